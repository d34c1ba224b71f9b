"""A small control server on a unix socket: answers what a test tells it to, notes what it
was asked. For the tests of callbackctl alone; the real one is the daemon's."""

import json
import os
import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler


class FakeControl:
    """routes: {(method, path without query): function(handler, body, query) or (status, json)}"""

    def __init__(self, path, routes=None):
        self.path = path
        self.asked = []
        self.routes = routes or {}  # who is asked at once must know them at once
        self.connections = []
        self.lock = threading.Condition()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                fake.connections.append(self.connection)

            def log_message(self, *args):
                pass

            def address_string(self):
                return "unix"

            def answer(self, status, body):
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def serve(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                path, _, query = self.path.partition("?")
                with fake.lock:
                    fake.asked.append((self.command, self.path, body))
                    fake.lock.notify_all()
                route = fake.routes.get((self.command, path))
                if route is None:
                    self.answer(404, {"error": "no such path"})
                elif callable(route):
                    route(self, body, query)
                else:
                    self.answer(*route)

            do_GET = do_PUT = do_POST = do_DELETE = serve

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True
            request_queue_size = 64

        self.server = Server(path, Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,),
                                       daemon=True)
        self.thread.start()

    def wait_for(self, count, timeout=10):
        with self.lock:
            assert self.lock.wait_for(lambda: len(self.asked) >= count, timeout)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        for c in self.connections:  # kept-alive ones too: the daemon is gone
            try:
                c.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        if os.path.exists(self.path):
            os.unlink(self.path)
