"""The drop-in: the storage service's own API on StatusListen=, from what is recorded."""

import concurrent.futures
import http.client
import importlib.util
import json
import os
import re
import socket
import struct
import subprocess
import sys
import time

import pytest

from helpers import until
from helpers.daemon import UnixConnection, converse
from launch import bind_tcp

FULL = bool(os.environ.get("FULL"))
KEY = "our-own-status-key"
UPLOADS = "/api/v1/uploads"
REQUEST = {"owner": "org-your-org-id", "uploader": "customer", "file_type": "audio", "content_type": "audio/mp4"}
CONFIG = """
[Source eachlabs]
Preset=eachlabs
UploadURL={url}/api/v1/uploads
StatusURL={url}/api/v1/uploads/{{id}}
APIKeyFile=eachlabs.key
"""
KEYS = "StatusKeyFile=status.key"

# What the service's page shows as the full example, told anew: initiate, upload, poll until the end.
CLIENT = """
import sys, time, requests
BASE_URL, API_KEY, FILE = sys.argv[1:4]
started = requests.post(
    f"{BASE_URL}/api/v1/uploads",
    headers={"Content-Type": "application/json", "X-API-Key": API_KEY},
    json={"owner": "org-your-org-id", "uploader": "customer", "file_type": "audio", "content_type": "audio/mp4"},
).json()
with open(FILE, "rb") as f:
    requests.put(started["upload_url"], headers=started["required_headers"], data=f)
while True:
    status = requests.get(f"{BASE_URL}/api/v1/uploads/{started['id']}", headers={"X-API-Key": API_KEY}).json()
    if status["status"] in ("COMPLETED", "ERROR"):
        break
    print(f"Status: {status['status']}...")
    time.sleep(0.2)
print(f"Done! Status: {status['status']}, Size: {status.get('size_bytes')} bytes")
"""


class Client:
    """A client of the storage service with another base URL and another key."""

    def __init__(self, daemon, listener, key=KEY):
        self.daemon, self.port, self.key = daemon, listener.getsockname()[1], key
        self.url = f"http://127.0.0.1:{self.port}"

    def ask(self, method, path, body=None, headers=None, key=True, timeout=30):
        headers = dict(headers or {})
        if key:
            headers["X-API-Key"] = self.key if key is True else key
        if isinstance(body, dict):
            body, headers["Content-Type"] = json.dumps(body), "application/json"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        return converse(connection, method, path, body, headers)

    def initiate(self, **fields):
        answer = self.ask("POST", UPLOADS, {**REQUEST, **fields})
        assert answer.status == 200, answer
        return answer.json

    def status(self, id, wait=None, **more):
        headers = {"Prefer": f"wait={wait}"} if wait is not None else {}
        return self.ask("GET", f"{UPLOADS}/{id}", headers=headers, **more)


@pytest.fixture
def listener():
    return bind_tcp()


@pytest.fixture
def new_dropin(new_daemon, storage, listener):
    def make(daemon=KEYS, config=CONFIG, key=KEY, start=True):
        d = new_daemon(
            config.format(url=storage.url),
            daemon=daemon,
            files={"eachlabs.key": storage.api_key, "status.key": KEY + "\n", "next.key": "the-next-key"},
            sockets=[("callbackd-status.socket", listener)],
        )
        if start:
            d.start()
        return Client(d, listener, key)

    return make


@pytest.fixture
def client(new_dropin):
    return new_dropin()


def assert_refusal(answer, status, code, words=""):
    """The service's own form of an error."""
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/json"
    error = answer.json
    assert set(error) == {"status", "error", "code", "request_id", "details"}
    assert (error["status"], error["code"], error["details"]) == (status, code, {})
    assert words in error["error"] and error["request_id"]


def finish(storage, id, status="COMPLETED", **fields):
    assert storage.call_back(id, {"status": status, **fields})["answer"] == 200


def waiting(daemon):
    return daemon.control("GET", "/v1/status").json["waiting_clients"]


# ---- the client of the service's own page


@pytest.mark.skipif(not importlib.util.find_spec("requests"), reason="python3-requests is not installed")
def test_a_polling_client_runs_to_its_end_and_the_service_is_not_asked(client, storage):
    storage.behave(delay=0.3)
    file = client.daemon.write("audio.m4a", b"x" * 12345)
    env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, client.url, KEY, file], capture_output=True, text=True, timeout=30, env=env, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "Done! Status: COMPLETED, Size: 12345 bytes"
    counters = storage.counters()
    assert counters["n_initiates"] == 1 and counters["n_questions"] == 0
    assert counters["callbacks"][0]["answer"] == 200


def test_polling_asks_the_service_nothing(client, storage):
    id = client.initiate()["id"]
    for _ in range(50):
        assert client.status(id).json["status"] == "PENDING"
    finish(storage, id)
    for _ in range(50):
        assert client.status(id).json["status"] == "COMPLETED"
    assert storage.counters()["n_questions"] == 0


# ---- POST /api/v1/uploads


def test_the_initiate_is_passed_on_and_so_is_the_answer(client, storage):
    storage.behave("next", initiate_override={"ttl_days": 30})
    answer = client.ask("POST", UPLOADS, {**REQUEST, "audio_duration_seconds": 1008.32})
    (upload,) = storage.uploads.values()
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/json"
    # Byte for byte, not only the same members.
    assert answer.body == json.dumps({**upload.initiated(), "ttl_days": 30}).encode()
    (request,) = storage.counters()["initiates"]
    assert re.fullmatch(re.escape(client.daemon.url) + "/callback/eachlabs/[A-Za-z0-9_-]{43}", request.pop("callback_url"))
    assert request == {**REQUEST, "audio_duration_seconds": 1008.32}
    job = client.daemon.job("eachlabs", upload.id)
    assert job["outcome"] == "pending" and job["expected"]


def test_a_callback_url_of_the_clients_own_is_replaced_and_that_is_told(client, storage):
    client.initiate(callback_url="http://127.0.0.1:1/mine")
    assert storage.counters()["initiates"][0]["callback_url"].startswith(client.daemon.url + "/callback/eachlabs/")
    assert client.daemon.stop() == 0
    assert "callback_url is replaced" in client.daemon.stderr


def test_the_owner_is_ours_where_the_client_names_none(new_dropin, storage):
    client = new_dropin(config=CONFIG + "UploadOwner=org-configured\n")
    no_owner = {k: v for k, v in REQUEST.items() if k != "owner"}
    assert client.ask("POST", UPLOADS, no_owner).status == 200
    client.initiate()
    assert [r["owner"] for r in storage.counters()["initiates"]] == ["org-configured", "org-your-org-id"]


def test_refusals_come_through_in_the_services_own_words(client, storage):
    answer = client.ask("POST", UPLOADS, {"owner": "nobody", "unheard": "of"})
    assert answer.status == 400
    assert answer.json["code"] == "BAD_REQUEST" and set(answer.json["details"]) == {"owner", "uploader", "unheard"}
    assert [answer.json["request_id"]] == storage.counters()["request_ids"]
    storage.behave(initiate_error={"status": 500})
    assert client.ask("POST", UPLOADS, REQUEST).status == 500
    storage.behave(initiate_error={"status": 403, "code": "UNAUTHORIZED", "error": "not your org"})
    answer = client.ask("POST", UPLOADS, REQUEST)
    assert answer.status == 403 and answer.json["error"] == "not your org"


def test_the_tokens_url_is_not_given_to_the_client(client, storage):
    add = storage.add

    def echo(upload):
        upload.behaviour = {**upload.behaviour, "initiate_override": {"callback_url": upload.callback_url}}
        return add(upload)

    storage.add = echo
    answer = client.initiate()
    token = storage.uploads[answer["id"]].callback_url.rsplit("/", 1)[1]
    assert answer["callback_url"] == f"{client.daemon.url}/callback/eachlabs/{'*' * len(token)}"


def test_a_service_that_fails_is_told_in_its_form(client, storage):
    storage.behave("next", initiate_error="hangup")
    assert_refusal(client.ask("POST", UPLOADS, REQUEST), 504, "INTERNAL_ERROR", "no answer")
    storage.behave("next", initiate_override={"upload_url": None})
    assert_refusal(client.ask("POST", UPLOADS, REQUEST), 502, "INTERNAL_ERROR", "upload_url")


def test_a_service_that_is_not_there_is_told_in_its_form(client, storage):
    storage.stop()
    assert_refusal(client.ask("POST", UPLOADS, REQUEST), 504, "INTERNAL_ERROR", "no answer")
    for _ in range(3):  # for a moment that is remembered too
        assert_refusal(client.status("never-heard-of"), 502, "INTERNAL_ERROR")
    assert client.daemon.stop() == 0
    assert client.daemon.stderr.count("cannot say what became of an upload") == 1


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b'{"a":1,"a":2}', b"[" * 100 + b"]" * 100])
def test_what_is_no_request_does_not_reach_the_service(client, storage, body):
    assert_refusal(client.ask("POST", UPLOADS, body), 400, "BAD_REQUEST")
    assert storage.counters()["n_initiates"] == 0


# ---- GET /api/v1/uploads/{id}


def test_a_terminal_payload_is_the_services_own(client, storage):
    data = b"m" * 777
    started = client.initiate()
    target = started["upload_url"][len(storage.url) :]
    put = http.client.HTTPConnection("127.0.0.1", storage.port, timeout=10)
    assert converse(put, "PUT", target, data, started["required_headers"]).status == 200
    answer = client.status(started["id"], wait=20)
    assert answer.status == 200
    (upload,) = storage.uploads.values()
    assert answer.json == {**upload.document(), "public_url": upload.public_url}
    assert answer.json["size_bytes"] == 777


def test_what_is_known_before_the_end(client, storage):
    started = client.initiate()
    assert client.status(started["id"]).json == {
        "id": started["id"],
        "status": "PENDING",
        "public_url": started["public_url"],
    }
    finish(storage, started["id"], "UPLOADING")
    assert client.status(started["id"]).json["status"] == "UPLOADING"


@pytest.mark.parametrize(
    "said,told",
    [("success", "COMPLETED"), ("completed", "COMPLETED"), ("failed", "ERROR"), ("canceled", "ERROR"), ("running", "PROCESSING")],
)
def test_words_that_a_client_does_not_wait_for_become_those_it_does(client, storage, said, told):
    id = client.initiate()["id"]
    finish(storage, id, said)
    answer = client.status(id).json
    assert answer["status"] == told and answer["id"] == id
    assert ("error" in answer) == (told == "ERROR")


def test_a_payload_of_another_shape_is_completed(client, storage):
    id = client.initiate()["id"]
    assert storage.call_back(id, body=json.dumps({"data": {"id": id, "status": "COMPLETED"}, "size_bytes": 5}))["answer"] == 200
    answer = client.status(id).json
    assert (answer["id"], answer["status"], answer["size_bytes"]) == (id, "COMPLETED", 5)


def test_error_says_why(client, storage):
    id = client.initiate()["id"]
    finish(storage, id, "ERROR", error="unsupported codec")
    answer = client.status(id).json
    assert (answer["status"], answer["error"]) == ("ERROR", "unsupported codec")


# ---- Prefer: wait


def test_wait_is_answered_with_the_callback(client, storage):
    id = client.initiate()["id"]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waits = pool.submit(lambda: (client.status(id, wait=30), time.monotonic()))
        until(lambda: waiting(client.daemon) == 1)
        began = time.monotonic()
        finish(storage, id)
        answer, ended = waits.result(timeout=15)
    assert answer.json["status"] == "COMPLETED"
    assert answer.headers["Preference-Applied"] == "wait=30"
    assert ended - began < (0.1 if FULL else 5)
    assert storage.counters()["n_questions"] == 0


def test_wait_is_answered_by_any_change_of_the_status(client, storage):
    id = client.initiate()["id"]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waits = pool.submit(client.status, id, 30)
        until(lambda: waiting(client.daemon) == 1)
        finish(storage, id, "PROCESSING")
        assert waits.result(timeout=15).json["status"] == "PROCESSING"


def test_a_repeated_word_is_no_change(client, storage):
    id = client.initiate()["id"]
    finish(storage, id, "PROCESSING")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waits = pool.submit(client.status, id, 30)
        until(lambda: waiting(client.daemon) == 1)
        finish(storage, id, "PROCESSING")
        finish(storage, id, "processing", more="of it")
        with pytest.raises(concurrent.futures.TimeoutError):
            waits.result(timeout=0.3)
        finish(storage, id)
        assert waits.result(timeout=15).json["status"] == "COMPLETED"


def test_wait_ends_with_its_time(client, storage):
    id = client.initiate()["id"]
    began = time.monotonic()
    answer = client.status(id, wait=1)
    assert time.monotonic() - began >= 0.99
    assert answer.json["status"] == "PENDING" and answer.headers["Preference-Applied"] == "wait=1"
    assert waiting(client.daemon) == 0


def test_wait_has_an_end_and_what_is_over_needs_none(client, storage):
    id = client.initiate()["id"]
    assert client.status(id, wait=0).headers["Preference-Applied"] == "wait=0"
    finish(storage, id)
    assert client.status(id, wait=86400).headers["Preference-Applied"] == "wait=60"
    for words in ("respond-async", "wait=soon", "waiting=3", 'x="wait=9"'):
        answer = client.ask("GET", f"{UPLOADS}/{id}", headers={"Prefer": words})
        assert answer.status == 200 and answer.headers["Preference-Applied"] is None


def test_two_hundred_wait(client, storage):
    ids = [client.initiate()["id"] for _ in range(4)]
    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        waits = [pool.submit(client.status, ids[n % 4], 50, timeout=60) for n in range(200)]
        # Those who ask for the same share what waits for it.
        until(lambda: waiting(client.daemon) == 4, timeout=30)
        until(lambda: connections(client) >= 200, timeout=30)
        for id in ids:
            finish(storage, id)
        answers = [w.result(timeout=30) for w in waits]
    assert {(a.status, a.json["status"]) for a in answers} == {(200, "COMPLETED")}
    assert storage.counters()["n_questions"] == 0


def connections(client):
    """How many the daemon has accepted on the status listener."""
    with open(f"/proc/{client.daemon.process.pid}/net/tcp", encoding="ascii") as table:
        local = f"0100007F:{client.port:04X}"
        return sum(line.split()[1] == local and line.split()[3] == "01" for line in table)


def wait_on(client, id):
    """A connection on which somebody waits."""
    peer = socket.create_connection(("127.0.0.1", client.port), timeout=10)
    peer.sendall(f"GET {UPLOADS}/{id} HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nPrefer: wait=50\r\n\r\n".encode())
    return peer


def reset(peer):
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def test_a_client_that_breaks_off_leaves_nothing(client, storage):
    id = client.initiate()["id"]
    peer = wait_on(client, id)
    until(lambda: waiting(client.daemon) == 1)
    reset(peer)
    until(lambda: waiting(client.daemon) == 0)
    finish(storage, id)
    assert client.status(id).json["status"] == "COMPLETED"


def test_a_client_that_is_done_sending_has_its_answer(client, storage):
    """An end of stream behind a request is no abort; if nobody reads, the answer ends it."""
    id = client.initiate()["id"]
    with wait_on(client, id) as still_there, wait_on(client, id) as gone:
        until(lambda: waiting(client.daemon) == 1)
        still_there.shutdown(socket.SHUT_WR)
        gone.close()
        finish(storage, id)
        assert still_there.recv(4096).startswith(b"HTTP/1.1 200 ")
    until(lambda: waiting(client.daemon) == 0)
    assert client.status(id).json["status"] == "COMPLETED"


def test_one_that_leaves_does_not_take_the_others_answer(client, storage):
    id = client.initiate()["id"]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        peer = wait_on(client, id)
        until(lambda: waiting(client.daemon) == 1)
        waits = pool.submit(client.status, id, 50)
        until(lambda: connections(client) >= 2)
        reset(peer)
        until(lambda: connections(client) == 1)
        finish(storage, id)
        assert waits.result(timeout=15).json["status"] == "COMPLETED"


# ---- an id that is not known


def strange(storage):
    """An upload that somebody else initiated."""
    connection = http.client.HTTPConnection("127.0.0.1", storage.port, timeout=10)
    headers = {"X-API-Key": storage.api_key, "Content-Type": "application/json"}
    return converse(connection, "POST", UPLOADS, json.dumps(REQUEST), headers).json["id"]


def test_an_unknown_id_is_asked_for_once(client, storage):
    id = strange(storage)
    for _ in range(20):
        answer = client.status(id)
        assert answer.status == 200 and answer.json == storage.uploads[id].document()
    storage.uploads[id].status = "COMPLETED"
    assert client.status(id).json["status"] == "PENDING"  # what was said is remembered
    assert storage.counters()["questions"] == [f"{UPLOADS}/{id}"]
    assert client.daemon.job("eachlabs", id) is None  # and not recorded


def test_an_unknown_ids_end_is_remembered(client, storage):
    id = strange(storage)
    storage.uploads[id].status, storage.uploads[id].size_bytes = "COMPLETED", 5
    for _ in range(5):
        assert client.status(id, wait=30).json == storage.uploads[id].document()
    assert storage.counters()["n_questions"] == 1


def test_that_there_is_none_is_remembered_too(client, storage):
    for _ in range(20):
        answer = client.status("made-up")
        assert answer.status == 404 and answer.json["code"] == "NOT_FOUND"
    assert storage.counters()["n_questions"] == 1
    # The service's own words, request id and all.
    assert answer.json["request_id"] in storage.counters()["request_ids"]


def test_all_who_ask_at_once_share_one_question(client, storage):
    id = strange(storage)
    hold = storage.lock
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        with hold:  # the service thinks
            answers = [pool.submit(client.status, id) for _ in range(20)]
            until(lambda: connections(client) >= 20)
        assert {a.result().json["id"] for a in answers} == {id}
    assert storage.counters()["n_questions"] == 1


def test_the_id_is_encoded_in_the_question(client, storage):
    assert client.status("a%2Fb%3Fc%20d%23").status == 404
    assert storage.counters()["questions"] == [f"{UPLOADS}/a%2Fb%3Fc%20d%23"]


def test_an_id_that_would_be_another_resource_is_not_asked_for(client, storage):
    for id in (".", "..", "%2e%2E"):
        assert_refusal(client.status(id), 404, "NOT_FOUND")
    assert storage.counters()["n_questions"] == 0


def test_made_up_ids_do_not_hammer_the_service(client, storage):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: client.status(f"made-up-{n}"), range(300)))
    statuses = {a.status for a in answers}
    assert statuses == {404, 429}
    refused = next(a for a in answers if a.status == 429)
    assert_refusal(refused, 429, "BAD_REQUEST")
    assert int(refused.headers["Retry-After"]) >= 1
    assert storage.counters()["n_questions"] < 250


def test_a_callback_takes_the_place_of_what_was_remembered(new_dropin, storage):
    client = new_dropin(config=CONFIG + "SecretFile=next.key\n")
    id = strange(storage)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waits = pool.submit(client.status, id, 30)
        storage.wait_for(lambda c: c["n_questions"] == 1)
        until(lambda: waiting(client.daemon) == 1)
        url = client.daemon.url + "/callback/eachlabs/the-next-key"
        assert storage.call_back(id, {"status": "COMPLETED"}, url=url)["answer"] == 200
        assert waits.result(timeout=15).json["status"] == "COMPLETED"
    assert storage.counters()["n_questions"] == 1


# ---- the key


@pytest.mark.parametrize("key", [None, "", "wrong", KEY + "x", KEY[:-1], KEY.upper(), "k-upload-test"])
def test_without_the_key_there_is_nothing(client, storage, key):
    id = client.initiate()["id"]
    for method, path in (("GET", f"{UPLOADS}/{id}"), ("GET", f"{UPLOADS}/made-up"), ("POST", UPLOADS), ("GET", "/nothing")):
        answer = client.ask(method, path, REQUEST if method == "POST" else None, key=False, headers={} if key is None else {"X-API-Key": key})
        assert_refusal(answer, 401, "UNAUTHORIZED", "API key")
    assert storage.counters()["n_initiates"] == 1 and storage.counters()["n_questions"] == 0
    assert client.daemon.stop() == 0
    assert "Answered 401 to a GET on the status listener" in client.daemon.stderr
    assert KEY not in client.daemon.stderr and not (key and len(key) > 5 and key in client.daemon.stderr)


def test_our_key_at_the_service_is_told_to_nobody(client, storage):
    """Whatever the service repeats of it: who asks here has a key of this daemon."""
    error = {"status": 401, "code": "UNAUTHORIZED", "error": f"no such key: {storage.api_key}", "details": {}}
    storage.make("talkative", status=f"PROCESSING for {storage.api_key}")
    storage.behave("next", initiate_error=error)
    answers = [client.ask("POST", UPLOADS, REQUEST), client.status("talkative")]
    assert [a.status for a in answers] == [401, 200]
    assert all(b"***" in a.body and storage.api_key.encode() not in a.body for a in answers)
    assert client.daemon.stop() == 0
    assert storage.api_key not in client.daemon.stderr


def test_two_keys_are_none(client):
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as peer:
        peer.sendall(f"GET {UPLOADS}/x HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nX-API-Key: {KEY}\r\n\r\n".encode())
        assert peer.recv(4096).startswith(b"HTTP/1.1 401 ")


def test_without_a_key_of_its_own_the_sources_will_do(new_dropin, storage):
    client = new_dropin(daemon="", key=storage.api_key)
    assert client.initiate()["id"] in storage.uploads
    assert client.ask("POST", UPLOADS, REQUEST, key=KEY).status == 401


def test_keys_are_rotated_by_a_reload(new_dropin, storage):
    client = new_dropin()
    d = client.daemon
    d.configure(CONFIG.format(url=storage.url), KEYS + "\nStatusKeyFile=next.key")
    assert d.ctl("reload").returncode == 0
    id = client.initiate()["id"]
    assert client.status(id, key="the-next-key").status == 200
    d.configure(CONFIG.format(url=storage.url), "StatusKeyFile=next.key")
    assert d.ctl("reload").returncode == 0
    assert client.status(id, key="the-next-key").status == 200
    assert client.status(id).status == 401


# ---- the door


def test_other_paths_and_methods(client, storage):
    for path in ("/", "/api/v1/uploads/", "/api/v1/uploads/a/b", "/api/v1/uploadsx", "/callback/eachlabs", "/v1/status"):
        assert_refusal(client.ask("GET", path), 404, "NOT_FOUND")
    for method, path, allow in (("GET", UPLOADS, "POST"), ("POST", UPLOADS + "/x", "GET"), ("DELETE", UPLOADS + "/x", "GET")):
        answer = client.ask(method, path)
        assert_refusal(answer, 405, "BAD_REQUEST")
        assert answer.headers["Allow"] == allow
    assert_refusal(client.status("a%00b"), 400, "BAD_REQUEST")
    assert_refusal(client.status("x" * 256), 400, "BAD_REQUEST")
    assert client.daemon.request("GET", f"{UPLOADS}/x", headers={"X-API-Key": KEY}).status == 404  # not on the public one
    assert storage.counters()["n_questions"] == 0


def test_health_needs_no_key(client):
    answer = client.ask("GET", "/healthz", key=False)
    assert (answer.status, answer.json) == (200, {"status": "ok"})


def test_a_large_body_is_refused_before_it_is_read(client, storage):
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as peer:
        peer.sendall(f"POST {UPLOADS} HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nContent-Length: 65537\r\n\r\n".encode())
        assert peer.recv(4096).startswith(b"HTTP/1.1 413 ")
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as peer:
        peer.sendall(f"POST {UPLOADS} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode())
        assert peer.recv(4096).startswith(b"HTTP/1.1 401 ")  # not a byte of it was sent


def test_addresses_of_its_own(new_daemon, storage):
    d = new_daemon(
        CONFIG.format(url=storage.url),
        daemon="StatusListen=127.0.0.1:0\nStatusListen=@DIR@/status.sock",
        files={"eachlabs.key": storage.api_key},
    ).start()
    listeners = d.control("GET", "/v1/status").json["listeners"]
    (tcp,) = [n["address"] for n in listeners if n["kind"] == "status" and n["address"][0] != "/"]
    assert tcp in d.ctl("status").stdout
    headers = {"X-API-Key": storage.api_key}
    connection = http.client.HTTPConnection(*tcp.split(":"), timeout=10)
    assert converse(connection, "GET", UPLOADS + "/x", None, headers).status == 404
    connection = UnixConnection(os.path.join(d.directory, "status.sock"), 10)
    assert converse(connection, "GET", UPLOADS + "/x", None, headers).status == 404
    assert d.stop() == 0
    assert not os.path.exists(os.path.join(d.directory, "status.sock"))


def test_its_limits_are_a_quarter_of_the_public_ones(new_dropin, storage):
    client = new_dropin(daemon=KEYS + "\nMaxConnections=64")
    id = client.initiate()["id"]
    peers = [wait_on(client, id) for _ in range(4)]
    until(lambda: connections(client) == 4)
    assert client.ask("GET", "/healthz").status == 503
    assert client.daemon.request("GET", "/healthz").status == 200
    reset(peers.pop())
    until(lambda: connections(client) == 3)
    assert client.status(id).status == 200
    for peer in peers:
        peer.close()


def test_another_address_waits_for_the_next_start(new_daemon, storage):
    config, files = CONFIG.format(url=storage.url), {"eachlabs.key": storage.api_key}
    d = new_daemon(config, daemon="StatusListen=@DIR@/one.sock", files=files).start()
    d.configure(config, "StatusListen=@DIR@/two.sock")
    assert d.ctl("reload").returncode == 0
    until(lambda: "StatusListen=" in d.stderr and "keep their values until the next start" in d.stderr)
    # Nor does a source that is gone let anybody in.
    d.configure("[Source s]\nVerify=none\n")
    assert d.ctl("reload").returncode == 0
    connection = UnixConnection(os.path.join(d.directory, "one.sock"), 10)
    answer = converse(connection, "GET", UPLOADS + "/x", None, {"X-API-Key": storage.api_key})
    assert_refusal(answer, 503, "INTERNAL_ERROR", "no source is served here")


def test_a_socket_without_a_source_or_a_key_is_refused(new_dropin, storage):
    client = new_dropin(config="[Source s]\nVerify=none\n", daemon="", start=False)
    assert client.daemon.spawn().wait() == 78
    assert "callbackd-status.socket needs one source with UploadURL=" in client.daemon.stderr
    client = new_dropin(config=CONFIG.replace("APIKeyFile=eachlabs.key", ""), daemon="", start=False)
    assert client.daemon.spawn().wait() == 78
    assert "callbackd-status.socket needs StatusKeyFile=" in client.daemon.stderr


def test_a_reload_does_not_take_the_key_away(client, storage):
    client.daemon.configure(CONFIG.format(url=storage.url).replace("APIKeyFile=eachlabs.key", ""))
    done = client.daemon.ctl("reload")
    assert done.returncode == 78 and "StatusKeyFile=" in done.stderr
    client.initiate()


def test_of_several_sources_one_is_named(new_dropin, storage):
    two = CONFIG + CONFIG.replace("eachlabs]", "other]")
    client = new_dropin(config=two, daemon=KEYS + "\nStatusSource=other")
    id = client.initiate()["id"]
    assert client.daemon.job("other", id) and not client.daemon.job("eachlabs", id)
    assert client.status(id).json["status"] == "PENDING"


# ---- ends of lives


def test_a_restart_keeps_everything(client, storage):
    done, open_ = client.initiate()["id"], client.initiate()["id"]
    finish(storage, done, size_bytes=9)
    before = client.status(done).json, client.status(open_).json
    client.daemon.restart()
    assert (client.status(done).json, client.status(open_).json) == before
    client.daemon.kill9()
    client.daemon.start()
    assert (client.status(done).json, client.status(open_).json) == before
    assert storage.counters()["n_questions"] == 0


def test_a_kill_during_the_initiate(client, storage):
    """The service went on with it: its callback verifies in the next life, and the client finds it."""
    storage.behave(initiate_delay=0.5, callback="lost")
    body = json.dumps(REQUEST).encode()
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as peer:
        peer.sendall(
            f"POST {UPLOADS} HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )
        storage.wait_for(lambda c: c["n_initiates"] == 1)
        client.daemon.kill9()
        assert peer.recv(4096) == b""
    client.daemon.start()
    until(lambda: storage.uploads)
    (id,) = storage.uploads
    finish(storage, id)
    assert client.status(id).json["status"] == "COMPLETED"
    assert storage.counters()["n_questions"] == 0


def test_who_waits_is_answered_by_a_stop(client, storage):
    id = client.initiate()["id"]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waits = pool.submit(client.status, id, 50)
        until(lambda: waiting(client.daemon) == 1)
        assert client.daemon.stop() == 0
        answer = waits.result(timeout=15)
    assert answer.status == 200 and answer.json["status"] == "PENDING"


def test_a_stop_lets_an_initiate_finish(client, storage):
    storage.behave(initiate_delay=0.5)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        initiates = pool.submit(client.initiate)
        storage.wait_for(lambda c: c["n_initiates"] == 1)
        assert client.daemon.stop() == 0
        id = initiates.result()["id"]
    client.daemon.start()
    assert client.status(id).json["status"] == "PENDING"


def test_a_stop_does_not_wait_for_a_service_that_hangs(client, storage):
    storage.behave(initiate_delay=25)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        initiates = pool.submit(client.ask, "POST", UPLOADS, REQUEST)
        storage.wait_for(lambda c: c["n_initiates"] == 1)
        assert client.daemon.stop(timeout=20) == 0
        answer = initiates.result()
    assert_refusal(answer, 503, "INTERNAL_ERROR", "stopping")
    assert answer.headers["Retry-After"] == "5"
