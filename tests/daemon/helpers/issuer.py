"""A place that publishes public keys, with keys of openssl(1)'s: a JWKS by HTTP, as bad as a test says."""

import base64
import json
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*args, input=None):
    return subprocess.run(["openssl", *map(str, args)], input=input, check=True, capture_output=True, timeout=60).stdout


class Key:
    """An RSA key with an id; signs tokens of RS256."""

    def __init__(self, directory, kid):
        self.kid, self.path = kid, f"{directory}/{kid}.key"
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.path)
        modulus = openssl("rsa", "-in", self.path, "-noout", "-modulus").decode().strip().partition("=")[2]
        self.jwk = {"kty": "RSA", "kid": kid, "n": base64url(bytes.fromhex(modulus)), "e": "AQAB"}

    def token(self, kid=None):
        head = {"alg": "RS256", "kid": kid or self.kid}
        claims = {"iss": "i", "aud": "a", "exp": int(time.time()) + 3600}
        text = ".".join(base64url(json.dumps(part).encode()) for part in (head, claims)).encode()
        signature = openssl("dgst", "-sha256", "-sign", self.path, input=text)
        return {"Authorization": f"Bearer {text.decode()}.{base64url(signature)}"}


class Issuer:
    """Serves `keys` at `url`; `behave(handler)`, where set, answers instead. `asked`: the paths, in order."""

    def __init__(self, *keys, port=0):
        self.keys, self.behave, self.asked, self.headers = list(keys), None, [], {}
        self.held = threading.Event()
        self.held.set()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked.append(self.path)
                issuer.held.wait(60)
                try:
                    (issuer.behave or issuer.publish)(self)
                except OSError:
                    pass  # it had enough

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 128

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/jwks"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def publish(self, handler):
        body = json.dumps({"keys": [k.jwk for k in self.keys]}).encode()
        handler.send_response(200)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(body), **self.headers}.items():
            handler.send_header(name, str(value))
        handler.end_headers()
        handler.wfile.write(body)

    def close(self):
        if self._thread:
            self.held.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread = None
