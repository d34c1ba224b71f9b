"""The road of the seed: initiate, PUT with exactly the required headers, be called back, exit."""

import hashlib
import json
import os
import re
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from helpers import build_directory, until
from helpers.crowd import memory

CONFIG = """
[Source eachlabs]
Preset=eachlabs
UploadURL={url}/api/v1/uploads
StatusURL={url}/api/v1/uploads/{{id}}
UploadOwner=org-test
APIKeyFile=eachlabs.key

[Hook publish]
Source=eachlabs
On=COMPLETED
Exec={hook}
Export=SIZE_BYTES:/size_bytes

[Hook complain]
Source=eachlabs
On=ERROR
Exec={hook}
"""
DATA = b"\x00\xffmoving pictures" * 100


@pytest.fixture
def daemon(run_daemon, storage, recorder):
    config = CONFIG.format(url=storage.url, hook=recorder.exec)
    return run_daemon(config, files={"eachlabs.key": storage.api_key + "\n", "clip.mp4": DATA})


def initiate(daemon, **fields):
    answer = daemon.control("POST", "/v1/uploads", {"content_type": "video/mp4", **fields})
    assert answer.status == 200, answer
    return answer.json


def token_of(storage, upload_id):
    return storage.uploads[upload_id].callback_url.rsplit("/", 1)[1]


# ---- callbackctl upload


def test_upload_prints_the_end_and_the_size(daemon, storage, recorder):
    done = daemon.ctl("upload", "clip.mp4")
    assert done.returncode == 0, done.stderr
    assert "COMPLETED" in done.stdout and str(len(DATA)) in done.stdout
    run = recorder.wait(1)[0]
    (upload,) = storage.uploads.values()
    assert (run.SOURCE, run.ID, run.STATUS, run.OUTCOME) == ("eachlabs", upload.id, "COMPLETED", "success")
    assert run.SIZE_BYTES == str(len(DATA))
    assert json.loads(run.payload) == upload.document()
    assert daemon.ctl("wait", f"eachlabs/{upload.id}").returncode == 0
    until(lambda: f"]: Upload {upload.id} initiated at eachlabs" in daemon.stderr)


def test_the_bytes_and_headers_arrive_as_they_were_asked_for(daemon, storage):
    assert daemon.ctl("upload", "clip.mp4").returncode == 0
    counters = storage.counters()
    (upload,) = storage.uploads.values()
    assert upload.sha256 == hashlib.sha256(DATA).hexdigest()
    (request,) = counters["initiates"]
    assert request["owner"] == "org-test" and request["uploader"] == "customer"
    assert request["content_type"] == "video/mp4" and request["file_type"] == "video"
    assert re.fullmatch(re.escape(daemon.url) + "/callback/eachlabs/[A-Za-z0-9_-]{43}", request["callback_url"])
    (put,) = counters["puts"]
    sent = {name.lower() for name, _ in put["headers"]}
    wanted = {name.lower() for name in upload.required_headers} | {"host", "content-length"}
    assert wanted <= sent
    # The key is between us and the API, not the storage; S3 takes no chunks.
    assert not sent & {"x-api-key", "authorization", "transfer-encoding", "content-encoding"}


def test_error_exits_1_and_says_why(daemon, storage, recorder):
    storage.behave(outcome="ERROR", error="unsupported codec")
    done = daemon.ctl("upload", "clip.mp4")
    assert done.returncode == 1
    assert "ERROR" in done.stdout + done.stderr and "unsupported codec" in done.stdout + done.stderr
    assert recorder.wait(1)[0].OUTCOME == "error"


def test_several_files_print_a_line_each_and_the_worst_decides(daemon, storage):
    daemon.write("two.mp4", b"22")
    storage.behave("next", outcome="COMPLETED")
    storage.behave("next", outcome="ERROR")
    done = daemon.ctl("upload", "clip.mp4", "two.mp4")
    assert done.returncode == 1
    assert len(storage.uploads) == 2
    text = done.stdout + done.stderr
    assert "clip.mp4" in text and "two.mp4" in text and "COMPLETED" in text and "ERROR" in text


def test_altered_required_header_is_told(daemon, storage):
    storage.behave(
        initiate_override={"required_headers": {"Content-Type": "video/other", "x-amz-tagging": "uploader=customer"}}
    )
    done = daemon.ctl("upload", "clip.mp4")
    assert done.returncode == 76
    assert "403" in done.stderr


def test_expired_upload_url_is_told(daemon, storage):
    storage.behave(expires_in=0)
    done = daemon.ctl("upload", "clip.mp4")
    assert done.returncode == 76
    assert "403" in done.stderr and "expired" in done.stderr.lower()
    assert storage.counters()["n_initiates"] == 2  # anew, and only once
    for upload in storage.uploads:
        assert daemon.job("eachlabs", upload) is None  # what cannot come is not waited for


def test_expired_upload_url_is_initiated_anew(daemon, storage, recorder):
    storage.behave("next", expires_in=0)
    done = daemon.ctl("upload", "clip.mp4")
    assert done.returncode == 0 and "COMPLETED" in done.stdout
    first, second = storage.uploads
    assert f"eachlabs/{first}" in done.stderr and f"eachlabs/{second}" in done.stderr
    assert recorder.wait(1)[0].ID == second and daemon.job("eachlabs", first) is None


def start(daemon, *args):
    """callbackctl, left to run: its words come by `told`."""
    return subprocess.Popen(
        [build_directory() / "callbackctl", "-s", daemon.control_socket, *args], cwd=daemon.directory,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_killed_upload_is_taken_up_by_its_id(daemon, storage, recorder):
    storage.behave(callback="lost")
    process = start(daemon, "upload", "clip.mp4")
    told = process.stderr.readline()  # early: before anything can have happened to it
    job = re.fullmatch(r"callbackctl: clip.mp4: is job (eachlabs/\S+)\n", told)[1]
    storage.wait_for(lambda c: [u["sha256"] for u in c["uploads"].values()] != [None])
    process.kill()
    assert process.wait(20) == -9
    process.stdout.close(), process.stderr.close()
    assert [j["id"] for j in map(json.loads, daemon.ctl("--json", "list", "--expected").stdout.splitlines())] == [
        job.partition("/")[2]
    ]
    waiting = start(daemon, "wait", job)
    until(lambda: daemon.control("GET", "/v1/status").json["waiting_clients"] == 1)
    storage.call_back(job.partition("/")[2], {"status": "COMPLETED"})
    out, _ = waiting.communicate(timeout=20)
    assert (waiting.returncode, out) == (0, f"{job}  success  COMPLETED\n")
    assert recorder.wait(1)[0].ID == job.partition("/")[2]


def test_many_files_some_at_a_time(daemon, storage):
    for i in range(30):
        daemon.write(f"f{i}.mp4", b"x" * (i + 1))
    storage.behave("next", outcome="ERROR")
    done = daemon.ctl("upload", "--jobs", "5", *(f"f{i}.mp4" for i in range(30)))
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert len(lines) == 30 and sum("COMPLETED" in line for line in lines) == 29
    sizes = {line.split()[0]: line.split()[2] for line in lines}
    assert sizes == {f"f{i}.mp4": str(i + 1) for i in range(30)}


def test_detached_upload_ends_by_itself(daemon, storage, recorder):
    done = daemon.ctl("--json", "upload", "--detach", "clip.mp4")
    assert done.returncode == 0
    (upload,) = storage.uploads
    assert json.loads(done.stdout)["id"] == upload
    assert recorder.wait(1)[0].ID == upload


class Swallower:
    """Takes any PUT and throws it away."""

    def __init__(self):
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d/big?X-Amz-Signature=0" % self.sock.getsockname()[1]
        self.bytes = 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        connection, _ = self.sock.accept()
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(65536)
            head, _, body = head.partition(b"\r\n\r\n")
            size = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
            self.bytes, buffer = len(body), bytearray(1 << 20)
            while self.bytes < size:
                n = connection.recv_into(buffer)
                if not n:
                    return
                self.bytes += n
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.timeout(300)
def test_a_large_file_takes_no_memory(daemon, storage):
    """FULL=1: 2 GiB. A sparse file, so that the disk is not what is measured."""
    size = (2 << 30 if os.environ.get("FULL") else 96 << 20) + 12345
    swallower = Swallower()
    storage.behave(initiate_override={"upload_url": swallower.url})
    os.truncate(daemon.write("big.mp4", b""), size)
    began = time.monotonic()
    process = start(daemon, "upload", "big.mp4")
    until(lambda: swallower.bytes == size, timeout=250)
    spent = time.monotonic() - began
    peak = memory(process.pid)["VmHWM"]
    (upload,) = storage.uploads
    storage.call_back(upload, {"status": "COMPLETED", "size_bytes": size})
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0 and f"{size} bytes" in out
    print(f"{size} bytes in {spent:.1f} s, {size / spent / (1 << 20):.0f} MiB/s; at most {peak / (1 << 20):.1f} MiB resident")
    assert peak < (200 << 20 if os.environ.get("SAN") else 32 << 20)


class TooEarly(Swallower):
    """Says 200 to the first PUT before it has read the file, and is done; takes the second."""

    def serve(self):
        connection, _ = self.sock.accept()
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            super().serve()


def test_a_200_before_the_whole_file_was_sent_is_no_success(daemon, storage):
    early, size = TooEarly(), 24 << 20
    storage.behave(initiate_override={"upload_url": early.url})
    os.truncate(daemon.write("big.mp4", b""), size)
    done = daemon.ctl("upload", "--detach", "big.mp4")
    assert "not uploaded: the service answered 200 before the whole file was sent; again" in done.stderr
    assert done.returncode == 0 and early.bytes == size


def test_a_key_the_service_does_not_take_is_told_with_its_request_id(daemon, storage):
    storage.api_key = "another"
    done = daemon.ctl("upload", "clip.mp4")
    assert done.returncode == 76
    (request_id,) = storage.counters()["request_ids"]
    assert request_id in done.stderr and "invalid or missing API key" in done.stderr
    assert not storage.uploads


def test_a_service_that_is_not_there_is_told(daemon, storage):
    storage.stop()
    done = daemon.ctl("upload", "clip.mp4")
    assert done.returncode == 76
    assert "no answer" in done.stderr


def test_a_file_that_is_not_there(daemon, storage):
    done = daemon.ctl("upload", "none.mp4")
    assert done.returncode != 0 and "none.mp4" in done.stderr
    assert storage.counters()["n_initiates"] == 0


# ---- POST /v1/uploads


def test_the_answer_is_the_services_with_the_source_added(daemon, storage):
    storage.behave("next", initiate_override={"ttl_days": 30})
    answer = initiate(daemon, file_type="audio", audio_duration_seconds=12.5, size_bytes=77)
    upload = storage.uploads[answer["id"]]
    assert answer == {**upload.initiated(), "source": "eachlabs"}
    assert answer["ttl_days"] == 30
    assert storage.counters()["initiates"][0]["audio_duration_seconds"] == 12.5
    job = daemon.job("eachlabs", answer["id"])
    assert job["outcome"] == "pending" and job["status"] is None and job["expected"]


@pytest.mark.parametrize(
    "request_body,status",
    [
        ({"source": "none", "content_type": "a/b"}, 404),
        ({"source": 3, "content_type": "a/b"}, 400),
        ({}, 400),
        ({"content_type": "a/b", "file_type": "text"}, 400),
        ({"content_type": "a/b", "video_bitrate_kbps": "fast"}, 400),
        ([], 400),
    ],
)
def test_requests_that_cannot_be_sent(daemon, storage, request_body, status):
    answer = daemon.control("POST", "/v1/uploads", request_body)
    assert answer.status == status and answer.json["error"]
    assert storage.counters()["n_initiates"] == 0


def test_what_is_not_configured_is_a_conflict(run_daemon, storage, recorder):
    config = CONFIG.format(url=storage.url, hook=recorder.exec).replace("UploadOwner=org-test\n", "")
    config += "\n[Source plain]\nVerify=token\nSecretFile=fixed.token\n"
    daemon = run_daemon(config, files={"eachlabs.key": storage.api_key, "fixed.token": "t" * 40})
    for source, key in (("eachlabs", "UploadOwner="), ("plain", "UploadURL=")):
        answer = daemon.control("POST", "/v1/uploads", {"source": source, "content_type": "a/b"})
        assert answer.status == 409 and key in answer.json["error"]
    answer = daemon.control("POST", "/v1/uploads", {"content_type": "a/b", "owner": "org-asked"})
    assert answer.status == 200 and answer.json["source"] == "eachlabs"
    assert storage.counters()["initiates"][0]["owner"] == "org-asked"


@pytest.mark.parametrize(
    "behaviour,status,words",
    [
        ({"initiate_error": {"status": 400, "code": "BAD_REQUEST", "error": "owner not known"}}, 502, "owner not known"),
        ({"initiate_error": {"status": 500}}, 502, "internal error"),
        ({"initiate_error": "hangup"}, 504, "no answer"),
        ({"initiate_override": {"id": None}}, 502, "id"),
        ({"initiate_override": {"upload_url": None}}, 502, "upload_url"),
        ({"initiate_override": {"upload_url": "file:///etc/passwd"}}, 502, "upload_url"),
    ],
)
def test_a_service_that_fails_is_told_in_its_own_words(daemon, storage, behaviour, status, words):
    storage.behave(**behaviour)
    answer = daemon.control("POST", "/v1/uploads", {"content_type": "a/b"})
    assert answer.status == status and words in answer.json["error"]
    if isinstance(behaviour.get("initiate_error"), dict):
        assert answer.json["upstream_status"] == behaviour["initiate_error"]["status"]
        assert answer.json["request_id"] in storage.counters()["request_ids"]
        assert daemon.stop() == 0  # what it logged is written
        assert answer.json["request_id"] in daemon.stderr


def test_answers_without_required_headers_or_public_url_will_do(daemon, storage):
    storage.behave(initiate_override={"required_headers": None, "public_url": None, "expires_at": None})
    assert set(initiate(daemon)) == {"id", "upload_url", "status", "source"}


# ---- the token


def test_token_is_good_for_its_own_job_alone(daemon, storage):
    one, two = initiate(daemon)["id"], initiate(daemon)["id"]
    done = {"status": "COMPLETED"}
    assert storage.call_back(one, {**done, "id": two})["answer"] == 401
    assert storage.call_back(one, {**done, "id": "made-up"})["answer"] == 401
    assert daemon.job("eachlabs", two)["outcome"] == "pending"
    assert daemon.job("eachlabs", "made-up") is None
    assert storage.call_back(one, done)["answer"] == 200
    assert daemon.job("eachlabs", one)["outcome"] == "success"


@pytest.mark.parametrize("token", ["A" * 43, "", "A" * 42, "A" * 44, "%41" + "A" * 42])
def test_other_tokens_are_refused(daemon, storage, token):
    upload = initiate(daemon)["id"]
    answer = daemon.post(f"/callback/eachlabs/{token}", {"id": upload, "status": "COMPLETED"})
    assert answer.status in (401, 404)
    assert daemon.job("eachlabs", upload)["outcome"] == "pending"


def test_the_path_without_a_token_is_refused(daemon):
    upload = initiate(daemon)["id"]
    assert daemon.post("/callback/eachlabs", {"id": upload, "status": "COMPLETED"}).status == 401


def test_token_of_a_refused_initiate_is_taken_back(daemon, storage):
    storage.behave(initiate_error={"status": 400, "code": "BAD_REQUEST", "error": "no"})
    assert daemon.control("POST", "/v1/uploads", {"content_type": "a/b"}).status == 502
    url = storage.counters()["initiates"][0]["callback_url"]
    assert storage.call_back("x", {"status": "COMPLETED"}, url=url)["answer"] == 401


def test_token_of_an_initiate_without_an_answer_stays_good(daemon, storage):
    storage.behave(initiate_error="hangup")
    assert daemon.control("POST", "/v1/uploads", {"content_type": "a/b"}).status == 504
    url = storage.counters()["initiates"][0]["callback_url"]
    assert storage.call_back("x", {"status": "COMPLETED"}, url=url)["answer"] == 200
    assert storage.call_back("y", {"status": "COMPLETED"}, url=url)["answer"] == 401


def test_a_callback_before_the_initiates_answer_binds(daemon, storage, recorder):
    storage.behave(callback="early+lost")
    answer = initiate(daemon)
    (callback,) = storage.counters()["callbacks"]
    assert callback["answer"] == 200
    assert daemon.job("eachlabs", answer["id"])["outcome"] == "success"
    assert recorder.wait(1)[0].ID == answer["id"]


def test_a_different_id_then_is_an_error(daemon, storage):
    storage.behave(callback="early+lost", early_id="other")
    answer = daemon.control("POST", "/v1/uploads", {"content_type": "a/b"})
    assert answer.status == 502 and "another id" in answer.json["error"]
    (upload,) = storage.uploads
    assert daemon.job("eachlabs", upload) is None
    assert daemon.stop() == 0  # what it logged is written
    assert upload in daemon.stderr and "other" in daemon.stderr


def test_duplicates_are_answered_alike_and_fire_once(daemon, storage, recorder):
    storage.behave(callback="intermediate+twice")
    assert daemon.ctl("upload", "clip.mp4").returncode == 0
    (upload,) = storage.uploads
    storage.wait_for(lambda c: len(c["callbacks"]) == 4)
    storage.call_back(upload)
    callbacks = storage.counters()["callbacks"]
    assert [(c["answer"], c["body"]) for c in callbacks] == [(200, "{}")] * 5
    recorder.wait(1)
    assert daemon.job("eachlabs", upload)["deliveries"] >= 3
    assert len(daemon.runs()) == 1
    assert daemon.stop() == 0
    assert len(recorder.all()) == 1


def test_late_words_change_nothing(daemon, storage, recorder):
    storage.behave(callback="reordered")
    assert daemon.ctl("upload", "clip.mp4").returncode == 0
    (upload,) = storage.uploads
    counters = storage.wait_for(lambda c: len(c["callbacks"]) == 3)
    assert [c["answer"] for c in counters["callbacks"]] == [200] * 3
    job = daemon.job("eachlabs", upload)
    assert (job["outcome"], job["status"]) == ("success", "COMPLETED")


def test_the_token_outlives_a_crash_and_callbacks_are_retried(daemon, storage, recorder):
    upload = initiate(daemon)["id"]
    daemon.kill9()
    daemon.start()
    assert storage.call_back(upload, {"status": "COMPLETED"})["answer"] == 200
    assert recorder.wait(1)[0].ID == upload
    daemon.kill9()
    daemon.start()
    assert storage.call_back(upload, {"status": "COMPLETED"})["answer"] == 200
    assert daemon.job("eachlabs", upload)["deliveries"] == 2
    assert len(daemon.runs()) == 1


def test_neither_token_nor_key_reaches_the_journal(new_daemon, storage, recorder):
    config = CONFIG.format(url=storage.url, hook=recorder.exec)
    daemon = new_daemon(config, daemon="LogLevel=debug", files={"eachlabs.key": storage.api_key, "clip.mp4": DATA})
    daemon.start()
    assert daemon.ctl("upload", "clip.mp4").returncode == 0
    (upload,) = storage.uploads
    token = token_of(storage, upload)
    daemon.post(f"/callback/eachlabs/{token}x", {"id": upload, "status": "COMPLETED"})
    storage.call_back(upload, {"id": "another"})
    storage.call_back(upload, body="no json")
    run = recorder.wait(1)[0]
    assert daemon.stop() == 0
    for text in (daemon.stderr, json.dumps(run.env)):
        assert token not in text and storage.api_key not in text
    state = b"".join(p.read_bytes() for p in Path(daemon.state).rglob("*") if p.is_file())
    assert token.encode() not in state and storage.api_key.encode() not in state


def test_a_key_that_the_service_repeats_is_told_to_nobody(daemon, storage):
    error = {"status": 401, "code": "UNAUTHORIZED", "error": f"no such key: {storage.api_key}", "details": {"key": storage.api_key}}
    storage.behave("next", initiate_error=error)
    answer = daemon.control("POST", "/v1/uploads", {"content_type": "video/mp4"})
    assert answer.status == 502 and answer.json["error"] == "no such key: " + "*" * len(storage.api_key)
    assert storage.api_key.encode() not in answer.body
    assert daemon.stop() == 0
    assert "no such key: ***" in daemon.stderr and storage.api_key not in daemon.stderr


def test_initiates_do_not_hold_up_callbacks(daemon, storage):
    """The service takes its time; the loop does not wait with it."""
    first = initiate(daemon)["id"]
    storage.behave(initiate_delay=1.0)
    path = "/v1/uploads"
    body = b'{"content_type":"a/b"}'
    with socket.socket(socket.AF_UNIX) as slow:
        slow.connect(daemon.control_socket)
        slow.sendall(
            b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (path.encode(), len(body), body)
        )
        storage.wait_for(lambda c: c["n_initiates"] == 2)
        assert storage.call_back(first, {"status": "COMPLETED"})["answer"] == 200
        assert len(storage.uploads) == 1  # the second is still being thought about
        slow.settimeout(5)
        assert slow.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_where_does_not_open_a_door_for_unknown_tokens(run_daemon, storage):
    d = run_daemon(
        f"[Source s]\nVerify=token\nWhere=/ok=yes\nUploadURL={storage.url}/api/v1/uploads\nAPIKeyFile=key\n",
        files={"key": "k-upload-test"},
    )
    token = "A" * 43
    assert d.post(f"/callback/s/{token}", {"id": "x", "status": "completed"}).status == 401
    assert d.post(f"/callback/s/{token}", {"id": "x", "status": "completed", "ok": "yes"}).status == 401
