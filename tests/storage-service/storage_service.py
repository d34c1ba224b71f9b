#!/usr/bin/python3
"""A stand-in for the storage service that callbackd's preset `eachlabs` talks to.

Strict where the real one is: initiate wants its key and its fields, the presigned PUT its exact
headers, a length and its time; errors have the vendor's form. Then it calls back, or does not: what
it does is set per upload by POST /_test/behaviour, and GET /_test/counters tells what it saw.

    storage_service.py --listen 127.0.0.1:0 --api-key K --port-file F

From a test: `with StorageService() as s: … s.url, s.behave(…), s.counters()`.

The behaviour (all members optional; "for" is "all", "next" (one initiate, in order given) or an id):
  outcome          "COMPLETED", "ERROR", or "NEVER": it stays PROCESSING
  error            the words that go with ERROR
  callback         words joined by "+": normal | lost | twice | delayed:SECONDS | intermediate (a callback
                   for each status) | reordered (the intermediate ones after the last) | forged (first one
                   that says the opposite) | early (before the initiate's answer)
  early_id         the id that the early callback names instead of the upload's
  attempts, retry_interval   of a callback that is not answered by 2xx
  delay            seconds in each status
  expires_in       seconds the upload_url is good for
  initiate_error   {"status","code","error","details"}: refuse so; or "hangup": close without an answer
  initiate_delay   seconds before the answer
  initiate_override members of the answer to replace; null takes one away
  status_error     {"status","code","error","retry_after"}: answer questions so
  status_override  members of the answer to a question to replace; null takes one away
  status_body      answer questions with this text
  status_delay     seconds before a question is answered
"""

import argparse
import hashlib
import http.client
import http.server
import json
import os
import re
import secrets
import signal
import socket
import sys
import threading
import time
import uuid
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

DEFAULTS = {
    "outcome": "COMPLETED",
    "error": "the file could not be processed",
    "callback": "normal",
    "early_id": None,
    "attempts": 3,
    "retry_interval": 10.0,
    "delay": 0.05,
    "expires_in": 900.0,
    "initiate_error": None,
    "initiate_delay": 0.0,
    "initiate_override": {},
    "status_error": None,
    "status_override": {},
    "status_body": None,
    "status_delay": 0.0,
}
CALLBACK_WORDS = {"normal", "lost", "twice", "intermediate", "reordered", "forged", "early"}
FILE_TYPES = ("image", "video", "audio", "other")
NUMBERS = ("audio_duration_seconds", "video_duration_seconds", "video_bitrate_kbps")
INITIATE_FIELDS = {"owner", "uploader", "file_type", "content_type", "callback_url", *NUMBERS}
DRAIN_MAX = 8 << 20


class Refusal(Exception):
    """An answer in the vendor's error form."""

    def __init__(self, status, code, error, details=None):
        super().__init__(error)
        self.status, self.code, self.error, self.details = status, code, error, details or {}
        self.retry_after = None


class StorageRefusal(Exception):
    """An answer of the storage itself, in S3's form."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Upload:
    """One file on its way: PENDING, UPLOADING, PROCESSING, then COMPLETED or ERROR."""

    def __init__(self, request, behaviour, base_url):
        self.id = str(uuid.uuid4())
        self.behaviour = behaviour
        self.file_type = request.get("file_type", "other")
        self.content_type = request.get("content_type", "application/octet-stream")
        self.callback_url = request.get("callback_url")
        self.status = "PENDING"
        self.size_bytes = None
        self.sha256 = None
        self.expires = datetime.now(timezone.utc) + timedelta(seconds=behaviour["expires_in"])
        self.required_headers = self._required(request)
        self.target = self._presigned()
        self.upload_url = base_url + self.target
        self.public_url = f"{base_url}/public/{self.id}"

    def _required(self, request):
        headers = {
            "Content-Type": self.content_type,
            "x-amz-meta-file-id": self.id,
            "x-amz-meta-expires-at": self.iso(self.expires),
            "x-amz-tagging": "uploader=customer&ttl_days=30",
        }
        if self.file_type == "audio" and "audio_duration_seconds" in request:
            headers["x-amz-meta-audio-duration-seconds"] = str(request["audio_duration_seconds"])
        return headers

    def _presigned(self):
        signed = ";".join(sorted(name.lower() for name in (*self.required_headers, "host")))
        return (
            f"/bucket/uploads/{self.id}-{secrets.token_hex(8)}?X-Amz-Algorithm=AWS4-HMAC-SHA256"
            f"&X-Amz-Expires={int(self.behaviour['expires_in'])}&X-Amz-SignedHeaders={signed.replace(';', '%3B')}"
            f"&X-Amz-Signature={secrets.token_hex(32)}"
        )

    @staticmethod
    def iso(when):
        return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def document(self, status=None, error=None):
        """What a question is answered with, and what a callback says."""
        status = status or self.status
        out = {"id": self.id, "status": status, "file_type": self.file_type}
        if self.size_bytes is not None:
            out["size_bytes"] = self.size_bytes
        if status == "ERROR":
            out["error"] = error or self.behaviour["error"]
        return out

    def initiated(self):
        answer = {
            "id": self.id,
            "upload_url": self.upload_url,
            "public_url": self.public_url,
            "expires_at": self.iso(self.expires),
            "status": self.status,
            "required_headers": self.required_headers,
        }
        answer.update(self.behaviour["initiate_override"])
        return {name: value for name, value in answer.items() if value is not None}


def check_initiate(request):
    """The request's fields as documented; everything wrong is told at once."""
    wrong = {}
    if not isinstance(request, dict):
        raise Refusal(400, "BAD_REQUEST", "the body is not a JSON object")
    for name in sorted(set(request) - INITIATE_FIELDS):
        wrong[name] = "unknown field"
    if not re.fullmatch(r"org-[A-Za-z0-9._-]+", str(request.get("owner", ""))):
        wrong["owner"] = "required, org-…"
    if request.get("uploader") != "customer":
        wrong["uploader"] = 'required, "customer"'
    if request.get("file_type", "other") not in FILE_TYPES:
        wrong["file_type"] = "one of " + " ".join(FILE_TYPES)
    if not re.fullmatch(r"[\w.+-]+/[\w.+-]+(\s*;.*)?", str(request.get("content_type", "a/b"))):
        wrong["content_type"] = "not a MIME type"
    url = urlsplit(str(request.get("callback_url", "http://none")))
    if url.scheme not in ("http", "https") or not url.netloc:
        wrong["callback_url"] = "not an http or https URL"
    for name in NUMBERS:
        value = request.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            wrong[name] = "not a number"
    if wrong:
        raise Refusal(400, "BAD_REQUEST", "validation failed: " + ", ".join(sorted(wrong)), wrong)


def check_behaviour(fields):
    unknown = set(fields) - set(DEFAULTS)
    if unknown:
        raise Refusal(400, "BAD_REQUEST", "no such behaviour: " + ", ".join(sorted(unknown)))
    for word in fields.get("callback", "normal").split("+"):
        if word not in CALLBACK_WORDS and not re.fullmatch(r"delayed:\d+(\.\d+)?", word):
            raise Refusal(400, "BAD_REQUEST", f"no such callback behaviour: {word}")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one segment
    timeout = 60

    @property
    def service(self):
        return self.server.service

    def log_message(self, format, *args):
        if self.service.verbose:
            sys.stderr.write("storage-service: " + format % args + "\n")

    # ---- answers

    def reply(self, status, body=b"", kind="application/json", headers=()):
        self.send_response(status)
        if body:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def reply_json(self, status, value, headers=()):
        self.reply(status, json.dumps(value).encode(), headers=headers)

    def refuse(self, refusal):
        self.close_connection = True
        self.reply_json(
            refusal.status,
            {
                "status": refusal.status,
                "error": refusal.error,
                "code": refusal.code,
                "request_id": self.service.new_request_id(),
                "details": refusal.details,
            },
            [("Retry-After", str(refusal.retry_after))] if refusal.retry_after else (),
        )

    def refuse_storage(self, refusal):
        self.drain()
        self.close_connection = True
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{refusal.code}</Code><Message>{refusal.message}</Message>"
            f"<RequestId>{self.service.new_request_id()}</RequestId></Error>"
        )
        self.reply(refusal.status, body.encode(), "application/xml", [("Connection", "close")])

    def drain(self):
        """A peer that still sends would lose an early answer to a reset."""
        left = min(int(self.headers.get("Content-Length") or 0), DRAIN_MAX)
        self.connection.settimeout(1)
        try:
            while left > 0:
                data = self.rfile.read1(min(left, 65536))
                if not data:
                    break
                left -= len(data)
        except OSError:
            pass

    # ---- requests

    def parse_request(self):
        """A service that is down hangs up on whoever gets that far."""
        return super().parse_request() and not self.hung_up()

    def hung_up(self):
        if self.service.down and not self.path.startswith("/_test/"):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            self.service.count("hang_ups", self.path)
        return self.close_connection and self.service.down

    def read_json(self):
        length = self.headers.get("Content-Length")
        if length is None:
            raise Refusal(400, "BAD_REQUEST", "Content-Length is missing")
        try:
            return json.loads(self.rfile.read(int(length)) or b"{}")
        except ValueError as error:
            raise Refusal(400, "BAD_REQUEST", f"the body is not JSON: {error}") from None

    def want_key(self):
        keys = self.headers.get_all("X-API-Key", [])
        if len(keys) != 1 or not secrets.compare_digest(keys[0].encode(), self.service.api_key.encode()):
            raise Refusal(401, "UNAUTHORIZED", "invalid or missing API key")

    def do_POST(self):
        try:
            if self.path == "/api/v1/uploads":
                self.initiate()
            elif self.path == "/_test/behaviour":
                fields = self.read_json()
                self.service.behave(fields.pop("for", "all"), **fields)
                self.reply_json(200, {})
            elif self.path == "/_test/callback":
                self.reply_json(200, self.service.call_back(**self.read_json()))
            else:
                raise Refusal(404, "NOT_FOUND", "no such resource")
        except Refusal as refusal:
            self.refuse(refusal)

    def initiate(self):
        request = None
        if self.headers.get_content_type() == "application/json":
            request = self.read_json()
        self.want_key()
        if request is None:
            raise Refusal(400, "BAD_REQUEST", "Content-Type is not application/json")
        behaviour = self.service.next_behaviour()
        self.service.count("initiates", request)
        time.sleep(behaviour["initiate_delay"])
        if behaviour["initiate_error"] == "hangup":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if behaviour["initiate_error"]:
            wanted = behaviour["initiate_error"]
            raise Refusal(
                wanted.get("status", 500),
                wanted.get("code", "INTERNAL_ERROR"),
                wanted.get("error", "internal error"),
                wanted.get("details"),
            )
        check_initiate(request)
        upload = self.service.add(Upload(request, behaviour, self.service.url))
        if "early" in behaviour["callback"].split("+"):
            document = upload.document(behaviour["outcome"])
            document["id"] = behaviour["early_id"] or upload.id
            self.service.send(upload, document)
        self.reply_json(200, upload.initiated())

    def do_GET(self):
        try:
            if self.path == "/_test/counters":
                self.reply_json(200, self.service.counters())
                return
            if self.path.startswith("/public/"):
                self.public()
                return
            self.want_key()
            match = re.fullmatch(r"/api/v1/uploads/([^/?]+)", self.path)
            upload = self.service.uploads.get(match.group(1)) if match else None
            self.service.count("questions", self.path)
            if not upload:
                raise Refusal(404, "NOT_FOUND", "no such upload")
            self.answer_question(upload)
        except Refusal as refusal:
            self.refuse(refusal)

    def answer_question(self, upload):
        behaviour, document = upload.behaviour, upload.document()
        self.service.stopping.wait(behaviour["status_delay"])
        wanted = behaviour["status_error"]
        if wanted:
            refusal = Refusal(
                wanted.get("status", 500), wanted.get("code", "INTERNAL_ERROR"), wanted.get("error", "internal error")
            )
            refusal.retry_after = wanted.get("retry_after")
            raise refusal
        document.update(behaviour["status_override"])
        document = {name: value for name, value in document.items() if value is not None}
        self.reply(200, (behaviour["status_body"] or json.dumps(document)).encode())

    def public(self):
        upload = self.service.uploads.get(self.path.rsplit("/", 1)[1])
        if not upload or upload.status != "COMPLETED":
            raise Refusal(404, "NOT_FOUND", "no such file")
        self.reply(200, f"{upload.size_bytes} bytes, sha256 {upload.sha256}\n".encode(), "text/plain")

    def do_PUT(self):
        seen = {"target": urlsplit(self.path).path, "headers": [list(item) for item in self.headers.items()]}
        try:
            self.store(seen)
            seen["status"] = 200
            self.service.count("puts", seen)
            self.reply(200)
        except StorageRefusal as refusal:
            seen["status"], seen["code"] = refusal.status, refusal.code
            self.service.count("puts", seen)
            self.refuse_storage(refusal)

    def store(self, seen):
        upload = self.service.by_target(self.path)
        if not upload:
            raise StorageRefusal(403, "SignatureDoesNotMatch", "the URL is not one that was signed")
        seen["id"] = upload.id
        self.check_put(upload)
        length = int(self.headers["Content-Length"])
        # One file at a time; the first that is whole counts.
        with self.service.lock:
            if upload.status != "PENDING":
                raise StorageRefusal(403, "AccessDenied", "this URL was used")
            upload.status = "UPLOADING"
        digest, left = hashlib.sha256(), length
        while left > 0:
            data = self.rfile.read1(min(left, 1 << 16))
            if not data:
                upload.status = "PENDING"
                raise StorageRefusal(400, "IncompleteBody", "fewer bytes came than Content-Length says")
            digest.update(data)
            left -= len(data)
        upload.size_bytes, upload.sha256 = length, digest.hexdigest()
        self.service.begin_processing(upload)

    def check_put(self, upload):
        names = [name.lower() for name in self.headers.keys()]
        if "transfer-encoding" in names:
            self.close_connection = True
            raise StorageRefusal(501, "NotImplemented", "a header implies functionality that is not implemented")
        if not re.fullmatch(r"\d{1,15}", self.headers.get("Content-Length", "")) or names.count("content-length") > 1:
            raise StorageRefusal(411, "MissingContentLength", "Content-Length is required")
        if datetime.now(timezone.utc) >= upload.expires:
            raise StorageRefusal(403, "AccessDenied", "Request has expired")
        for name, value in upload.required_headers.items():
            if self.headers.get_all(name, []) != [value]:
                raise StorageRefusal(403, "SignatureDoesNotMatch", f"{name} is missing or not as it was signed")
        signed = {name.lower() for name in upload.required_headers}
        for name in names:
            if name.startswith("x-amz-") and name not in signed:
                raise StorageRefusal(403, "AccessDenied", f"{name} is there but was not signed")
        if int(self.headers["Content-Length"]) > self.service.max_bytes:
            raise StorageRefusal(400, "EntityTooLarge", "the file is too large")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class StorageService:
    """The service: its uploads, what it was told to do, what it saw. One lock for all of it."""

    def __init__(self, listen=("127.0.0.1", 0), api_key="test-key", max_bytes=64 << 20, verbose=False, **behaviour):
        self.api_key, self.max_bytes, self.verbose = api_key, max_bytes, verbose
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.stopping = threading.Event()
        self.down = False  # set it: every request is hung up on
        self.uploads, self._targets = {}, {}
        self._seen = {"initiates": [], "questions": [], "puts": [], "callbacks": [], "request_ids": [], "hang_ups": []}
        self._default, self._next = dict(DEFAULTS), []
        self.behave(**behaviour)
        self._workers = []
        self._server = Server(listen, Handler)
        self._server.service = self
        self._thread = None

    # ---- life

    @property
    def port(self):
        return self._server.server_address[1]

    @property
    def url(self):
        return f"http://{self._server.server_address[0]}:{self.port}"

    def start(self):
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def stop(self):
        self.stopping.set()
        if self._thread:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        for worker in self._workers:
            worker.join(2)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # ---- what a test says and asks

    def behave(self, target="all", /, **fields):
        """Sets behaviour for "all" uploads to come, the "next" one, or the one with this id."""
        check_behaviour(fields)
        with self.lock:
            if target == "all":
                self._default.update(fields)
            elif target == "next":
                self._next.append(fields)
            elif target in self.uploads:
                self.uploads[target].behaviour.update(fields)
            else:
                raise Refusal(404, "NOT_FOUND", "no such upload")

    def make(self, id, status="COMPLETED", callback_url=None, **fields):
        """An upload as if it had been initiated and stored: for questions, and for call_back()."""
        upload = Upload({"callback_url": callback_url}, {**self.next_behaviour(), **fields}, self.url)
        upload.id, upload.status, upload.size_bytes = id, status, 1
        return self.add(upload)

    def n_questions(self, id=None):
        """Without a copy of everything."""
        with self.lock:
            seen = self._seen["questions"]
            return sum(path.rsplit("/", 1)[1] == id for path in seen) if id else len(seen)

    def counters(self):
        with self.lock:
            out = {name: list(values) for name, values in self._seen.items()}
            out["n_initiates"], out["n_questions"] = len(out["initiates"]), len(out["questions"])
            out["uploads"] = {
                u.id: {**u.document(), "callback_url": u.callback_url, "sha256": u.sha256} for u in self.uploads.values()
            }
            return out

    def wait_for(self, holds, timeout=10.0):
        """Waits until holds(counters) and returns the counters; fails loudly when it never does."""
        with self.changed:
            if not self.changed.wait_for(lambda: holds(self.counters()), timeout):
                raise AssertionError(f"the storage service never saw it: {json.dumps(self.counters(), indent=1)}")
            return self.counters()

    def call_back(self, id, fields=None, url=None, body=None):
        """Sends one callback now: the upload's document with `fields` laid over, or `body` as it is."""
        upload = self.uploads.get(id)
        if not upload and not url:
            raise Refusal(404, "NOT_FOUND", "no such upload")
        document = {**(upload.document() if upload else {"id": id}), **(fields or {})}
        return self._post(url or upload.callback_url, body.encode() if body else json.dumps(document).encode(), id, document, 1)

    # ---- what the handler needs

    def new_request_id(self):
        request_id = "req-" + secrets.token_hex(8)
        self.count("request_ids", request_id)
        return request_id

    def count(self, what, value):
        with self.changed:
            self._seen[what].append(value)
            self.changed.notify_all()

    def next_behaviour(self):
        with self.lock:
            return {**self._default, **(self._next.pop(0) if self._next else {})}

    def add(self, upload):
        with self.lock:
            self.uploads[upload.id] = self._targets[upload.target] = upload
        return upload

    def by_target(self, target):
        with self.lock:
            return self._targets.get(target)

    # ---- processing and calling back

    def begin_processing(self, upload):
        self._workers.append(threading.Thread(target=self._process, args=(upload,), daemon=True))
        self._workers[-1].start()

    def _move(self, upload, status):
        with self.changed:
            upload.status = status
            self.changed.notify_all()

    def _process(self, upload):
        words = upload.behaviour["callback"].split("+")
        tell = upload.callback_url and "lost" not in words
        if self.stopping.wait(upload.behaviour["delay"]):
            return
        between = [upload.document("UPLOADING"), upload.document("PROCESSING")]
        if tell and "intermediate" in words:
            self.send(upload, between[0])
        self._move(upload, "PROCESSING")
        if tell and "intermediate" in words:
            self.send(upload, between[1])
        if tell and "forged" in words:
            self.send(upload, upload.document("ERROR" if upload.behaviour["outcome"] == "COMPLETED" else "COMPLETED"))
        if self.stopping.wait(upload.behaviour["delay"]) or upload.behaviour["outcome"] == "NEVER":
            return
        self._move(upload, upload.behaviour["outcome"])
        if tell:
            self._tell_the_end(upload, words, between)

    def _tell_the_end(self, upload, words, between):
        for word in words:
            if word.startswith("delayed:") and self.stopping.wait(float(word[8:])):
                return
        document = upload.document()
        self.send(upload, document)
        if "twice" in words:
            self.send(upload, document)
        if "reordered" in words:
            for late in between:
                self.send(upload, late)

    def send(self, upload, document):
        """One callback with its retries."""
        body = json.dumps(document).encode()
        for attempt in range(1, upload.behaviour["attempts"] + 1):
            if attempt > 1 and self.stopping.wait(upload.behaviour["retry_interval"]):
                return
            if 200 <= self._post(upload.callback_url, body, upload.id, document, attempt)["answer"] <= 299:
                return

    def _post(self, url, body, upload_id, document, attempt):
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname, parts.port, timeout=10)
        told = {"upload": upload_id, "id": document.get("id"), "status": document.get("status"), "attempt": attempt}
        try:
            connection.request("POST", parts.path, body, {"Content-Type": "application/json", "User-Agent": "storage-service"})
            answer = connection.getresponse()
            told["answer"], told["body"] = answer.status, answer.read(4096).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            told["answer"], told["body"] = 0, str(error)
        finally:
            connection.close()
        self.count("callbacks", told)
        return told


def main():
    parser = argparse.ArgumentParser(description="stand-in for the upstream storage service")
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="ADDR:PORT")
    parser.add_argument("--api-key", default="test-key")
    parser.add_argument("--port-file", help="the port is written here once it listens")
    parser.add_argument("--retry-interval", type=float, default=DEFAULTS["retry_interval"])
    parser.add_argument("--delay", type=float, default=DEFAULTS["delay"], help="seconds in each status")
    parser.add_argument("-v", "--verbose", action="store_true")
    args = parser.parse_args()
    host, _, port = args.listen.rpartition(":")
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    service = StorageService(
        (host, int(port)), args.api_key, verbose=args.verbose, retry_interval=args.retry_interval, delay=args.delay
    )
    with service:
        if args.port_file:
            with open(args.port_file + ".new", "w", encoding="ascii") as out:
                out.write(f"{service.port}\n")
            os.rename(args.port_file + ".new", args.port_file)
        print(f"storage service at {service.url}", flush=True)
        done.wait()


if __name__ == "__main__":
    main()
