"""Signed callbacks, one after another over a few connections:
load.py PORT PATH SECRET SECONDS CONNECTIONS [PAUSE [IDS]]

A PORT of tls:NUMBER is spoken to by TLS, whatever its certificate.
SIGTERM ends it early. PAUSE seconds lie between two of a connection; the ids of all that
were answered 200 are written into the file IDS. Prints one JSON object:

    answers   by status
    slowest   of them, in seconds
    gap       the longest time without a 200 to anybody, in seconds
    refused   connections that were not accepted
    closed    clean closes: not one byte came of an answer, on a connection that had had
              answers before (RFC 9110, 9.2.2 and 9112, 9.3.1). Whether the daemon had taken
              the callback is not known here: it is sent again under its id, so the daemon
              would call it a repeat.
    broken    any other end: without an answer on a new connection, within an answer, or
              nothing for 20 s

What was not answered 200 is sent again until it is.
"""
import hashlib
import hmac
import json
import os
import signal
import socket
import ssl
import sys
import threading
import time

port, path, secret, seconds, connections = sys.argv[1:6]
pause = float(sys.argv[6]) if len(sys.argv) > 6 else 0
tls = None
if port.startswith("tls:"):
    port = port[len("tls:"):]
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
end = time.monotonic() + float(seconds)
asked_to_end = threading.Event()
lock = threading.Lock()
result = {"answers": {}, "slowest": 0.0, "refused": 0, "closed": 0, "broken": 0,
          "gap": 0.0}
taken = []
last = time.monotonic()


def count(name):
    with lock:
        result[name] += 1


def request_of(id):
    body = json.dumps({"id": id, "status": "completed"}).encode()
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return (f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Signature: sha256={signature}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


class Connection:
    def __init__(self):
        self.socket = None
        self.answers = 0

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None
        self.answers = 0

    def exchange(self, request):
        """The status of the answer, or None when there was none; what that was is counted."""
        got = b""
        try:
            if not self.socket:
                self.socket = socket.create_connection(("127.0.0.1", int(port)), timeout=20)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if tls:
                    self.socket = tls.wrap_socket(self.socket)
            self.socket.sendall(request)
            while True:
                head, found, body = got.partition(b"\r\n\r\n")
                if found and len(body) >= length_of(head):
                    break
                piece = self.socket.recv(65536)
                if not piece:
                    raise ConnectionResetError
                got += piece
        except OSError as e:
            if not self.socket:
                count("refused")
                time.sleep(0.05)
            elif self.answers and not got and isinstance(e, ConnectionError):
                count("closed")
            else:
                count("broken")
            self.close()
            return None
        self.answers += 1
        if b"connection: close" in head.lower():
            self.close()
        return head.split(b" ", 2)[1].decode()


def length_of(head):
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


def answered(id, status, started):
    global last
    now = time.monotonic()
    with lock:
        result["answers"][status] = result["answers"].get(status, 0) + 1
        result["slowest"] = max(result["slowest"], now - started)
        if status == "200":
            result["gap"] = max(result["gap"], now - last)
            last = now
            taken.append(id)


def one(worker):
    connection = Connection()
    n, request = 0, None
    while time.monotonic() < end and not asked_to_end.is_set():
        if request is None:
            n += 1
            id = f"load-{os.getpid()}-{worker}-{n}"
            request = request_of(id)
        started = time.monotonic()
        status = connection.exchange(request)
        if status:
            answered(id, status, started)
        if status == "200":
            request = None
        if pause:
            time.sleep(pause)
    connection.close()


signal.signal(signal.SIGTERM, lambda *_: asked_to_end.set())
threads = [threading.Thread(target=one, args=(i,)) for i in range(int(connections))]
for t in threads:
    t.start()
for t in threads:
    t.join()
if len(sys.argv) > 7:
    with open(sys.argv[7], "w") as f:
        f.write("\n".join(taken))
print(json.dumps(result))
