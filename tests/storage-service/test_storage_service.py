"""The stand-in must be as strict as the real one, or the tests built on it prove nothing."""

import http.client
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from storage_service import StorageService  # noqa: E402

KEY = {"X-API-Key": "test-key", "Content-Type": "application/json"}
GOOD = {"owner": "org-x", "uploader": "customer", "file_type": "audio", "content_type": "audio/mp4"}


@pytest.fixture
def service():
    with StorageService(delay=0.01, retry_interval=0.05) as s:
        yield s


@pytest.fixture
def receiver():
    """Takes callbacks; answers what `answers` says, then 200."""
    got, answers, changed = [], [], threading.Condition()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with changed:  # before the answer, behind which the next one comes
                got.append(json.loads(body))
                changed.notify_all()
            self.send_response(answers.pop(0) if answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    class Receiver:
        url = f"http://127.0.0.1:{server.server_address[1]}/callback/x/TOKEN"
        calls, reply = got, answers

        @staticmethod
        def wait(n, timeout=5):
            with changed:
                assert changed.wait_for(lambda: len(got) >= n, timeout), got
            return got

    yield Receiver
    server.shutdown()
    server.server_close()


def ask(service, method, path, body=None, headers=KEY):
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text.startswith(b"{") else text


def initiate(service, **more):
    status, answer = ask(service, "POST", "/api/v1/uploads", {**GOOD, **more})
    assert status == 200, answer
    return answer


def put(service, answer, data=b"bytes", headers=None, url=None, length=True):
    target = url or answer["upload_url"]
    parts = urlsplit(target)
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    connection.putrequest("PUT", f"{parts.path}?{parts.query}", skip_accept_encoding=True)
    for name, value in (answer["required_headers"] if headers is None else headers).items():
        connection.putheader(name, value)
    if length:
        connection.putheader("Content-Length", str(len(data)))
    connection.endheaders(data)
    reply = connection.getresponse()
    text = reply.read().decode()
    connection.close()
    return reply.status, text


def wait_status(service, upload_id, status):
    service.wait_for(lambda c: c["uploads"][upload_id]["status"] == status)


@pytest.mark.parametrize("key", [None, "", "wrong", "test-key "])
@pytest.mark.parametrize("method,path", [("POST", "/api/v1/uploads"), ("GET", "/api/v1/uploads/x")])
def test_key_is_wanted(service, key, method, path):
    headers = {"Content-Type": "application/json"}
    if key is not None:
        headers["X-API-Key"] = key
    if key == "test-key ":
        headers["X-API-Key"] = "test-keyx"
    status, answer = ask(service, method, path, GOOD if method == "POST" else None, headers)
    assert status == 401 and answer["status"] == 401 and answer["code"] == "UNAUTHORIZED"
    assert answer["request_id"].startswith("req-") and answer["details"] == {}
    assert service.counters()["n_initiates"] == service.counters()["n_questions"] == 0


@pytest.mark.parametrize(
    "change,named",
    [
        ({"owner": None}, "owner"),
        ({"owner": "me"}, "owner"),
        ({"uploader": "robot"}, "uploader"),
        ({"file_type": "text"}, "file_type"),
        ({"content_type": "nonsense"}, "content_type"),
        ({"callback_url": "ftp://x/"}, "callback_url"),
        ({"callback_url": "/relative"}, "callback_url"),
        ({"audio_duration_seconds": "12"}, "audio_duration_seconds"),
        ({"video_bitrate_kbps": True}, "video_bitrate_kbps"),
        ({"source": "eachlabs"}, "source"),
    ],
)
def test_bad_requests_are_told_in_details(service, change, named):
    body = {name: value for name, value in {**GOOD, **change}.items() if value is not None}
    status, answer = ask(service, "POST", "/api/v1/uploads", body)
    assert status == 400 and answer["code"] == "BAD_REQUEST" and list(answer["details"]) == [named]


def test_content_type_of_the_request_is_wanted(service):
    status, answer = ask(service, "POST", "/api/v1/uploads", GOOD, {"X-API-Key": "test-key"})
    assert status == 400 and "Content-Type" in answer["error"]


def test_the_whole_road(service, receiver):
    answer = initiate(service, callback_url=receiver.url, audio_duration_seconds=1008.32)
    assert set(answer) == {"id", "upload_url", "public_url", "expires_at", "status", "required_headers"}
    assert answer["status"] == "PENDING"
    assert answer["required_headers"]["x-amz-meta-audio-duration-seconds"] == "1008.32"
    assert ask(service, "GET", f"/api/v1/uploads/{answer['id']}")[1]["status"] == "PENDING"
    assert put(service, answer, b"12345") == (200, "")
    want = {"id": answer["id"], "status": "COMPLETED", "file_type": "audio", "size_bytes": 5}
    assert receiver.wait(1) == [want]
    assert ask(service, "GET", f"/api/v1/uploads/{answer['id']}") == (200, want)
    assert service.counters()["n_questions"] == 2


def test_statuses_in_order(service, receiver):
    service.behave(callback="intermediate", outcome="ERROR", error="bad codec")
    answer = initiate(service, callback_url=receiver.url)
    put(service, answer)
    calls = receiver.wait(3)
    assert [c["status"] for c in calls] == ["UPLOADING", "PROCESSING", "ERROR"]
    assert calls[2]["error"] == "bad codec" and "error" not in calls[1]


def test_each_required_header_is_needed_as_it_is(service):
    answer = initiate(service)
    required = answer["required_headers"]
    for name in required:
        missing = {n: v for n, v in required.items() if n != name}
        for headers in (missing, {**required, name: required[name] + "x"}):
            status, text = put(service, answer, headers=headers)
            assert status == 403 and "<Code>SignatureDoesNotMatch</Code>" in text and name in text
    assert put(service, answer)[0] == 200


def test_put_refusals(service):
    answer = initiate(service)
    required = answer["required_headers"]
    for headers, status, code in [
        ({**required, "x-amz-acl": "public-read"}, 403, "AccessDenied"),
        ({**required, "Transfer-Encoding": "chunked"}, 501, "NotImplemented"),
    ]:
        got, text = put(service, answer, headers=headers, length=code != "NotImplemented")
        assert (got, f"<Code>{code}</Code>" in text) == (status, True), text
    assert put(service, answer, length=False)[0] == 411
    tampered = answer["upload_url"][:-1] + ("0" if answer["upload_url"][-1] != "0" else "1")
    assert put(service, answer, url=tampered)[0] == 403
    service.max_bytes = 3
    assert put(service, answer, b"1234") [0] == 400
    assert put(service, answer, b"123")[0] == 200
    assert put(service, answer, b"123")[0] == 403
    assert [p["status"] for p in service.counters()["puts"]] == [403, 501, 411, 403, 400, 200, 403]


def test_expired_url(service):
    service.behave("next", expires_in=0)
    first, second = initiate(service), initiate(service)
    status, text = put(service, first)
    assert status == 403 and "Request has expired" in text
    assert put(service, second)[0] == 200


def test_unknown_upload(service):
    status, answer = ask(service, "GET", "/api/v1/uploads/none")
    assert status == 404 and answer["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    "callback,statuses",
    [
        ("normal", ["COMPLETED"]),
        ("twice", ["COMPLETED", "COMPLETED"]),
        ("reordered", ["COMPLETED", "UPLOADING", "PROCESSING"]),
        ("forged", ["ERROR", "COMPLETED"]),
        ("intermediate+twice", ["UPLOADING", "PROCESSING", "COMPLETED", "COMPLETED"]),
    ],
)
def test_callbacks(service, receiver, callback, statuses):
    service.behave(callback=callback)
    put(service, initiate(service, callback_url=receiver.url))
    assert [c["status"] for c in receiver.wait(len(statuses))] == statuses


def test_lost_callback(service, receiver):
    service.behave("next", callback="lost")
    lost, other = (initiate(service, callback_url=receiver.url) for _ in range(2))
    put(service, lost)
    wait_status(service, lost["id"], "COMPLETED")
    put(service, other)
    assert [c["id"] for c in receiver.wait(1)] == [other["id"]]


def test_delayed_callback(service, receiver):
    service.behave(callback="delayed:0.3")
    put(service, initiate(service, callback_url=receiver.url))
    begun = time.monotonic()
    receiver.wait(1)
    assert time.monotonic() - begun >= 0.25


def test_retries_until_2xx(service, receiver):
    receiver.reply[:] = [503, 302]
    put(service, initiate(service, callback_url=receiver.url))
    receiver.wait(3)
    counters = service.wait_for(lambda c: len(c["callbacks"]) == 3)
    assert [(c["attempt"], c["answer"]) for c in counters["callbacks"]] == [(1, 503), (2, 302), (3, 200)]


def test_gives_up_after_its_attempts(service, receiver):
    service.behave(attempts=2, callback="twice")
    receiver.reply[:] = [401, 401]
    put(service, initiate(service, callback_url=receiver.url))
    counters = service.wait_for(lambda c: len(c["callbacks"]) == 3)
    assert [(c["attempt"], c["answer"]) for c in counters["callbacks"]] == [(1, 401), (2, 401), (1, 200)]


def test_early_callback_comes_before_the_answer(service, receiver):
    service.behave("next", callback="early+lost", early_id="other")
    answer = initiate(service, callback_url=receiver.url)
    assert [c["id"] for c in receiver.calls] == ["other"]
    assert answer["id"] != "other"


def test_initiate_can_be_made_to_fail(service):
    service.behave("next", initiate_error={"status": 503, "error": "busy"})
    service.behave("next", initiate_error="hangup")
    service.behave("next", initiate_override={"id": None, "required_headers": None})
    assert ask(service, "POST", "/api/v1/uploads", GOOD)[0] == 503
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        ask(service, "POST", "/api/v1/uploads", GOOD)
    assert set(initiate(service)) == {"upload_url", "public_url", "expires_at", "status"}
    assert "id" in initiate(service)


def test_over_http_as_a_program(tmp_path):
    program = Path(__file__).with_name("storage_service.py")
    port_file = tmp_path / "port"
    child = subprocess.Popen(
        [sys.executable, program, "--listen", "127.0.0.1:0", "--api-key", "k2", "--port-file", port_file],
        stdout=subprocess.PIPE,
    )
    try:
        child.stdout.readline()

        class Remote:
            port = int(port_file.read_text())

        key = {**KEY, "X-API-Key": "k2"}
        assert ask(Remote, "POST", "/_test/behaviour", {"for": "next", "outcome": "ERROR"})[0] == 200
        assert ask(Remote, "POST", "/_test/behaviour", {"outcom": "ERROR"})[0] == 400
        assert ask(Remote, "POST", "/_test/behaviour", {"callback": "never"})[0] == 400
        assert ask(Remote, "POST", "/api/v1/uploads", GOOD)[0] == 401
        assert ask(Remote, "POST", "/api/v1/uploads", GOOD, key)[0] == 200
        assert ask(Remote, "GET", "/_test/counters")[1]["n_initiates"] == 1
    finally:
        os.kill(child.pid, signal.SIGTERM)
        assert child.wait(10) == 0
        child.stdout.close()
