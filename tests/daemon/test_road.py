"""The whole road: a callback arrives, is verified, committed, answered, and its hook runs."""

import hashlib
import http.client
import json
import threading
import time

import pytest

from helpers import hmac_hex, hmac_text, until

SOURCE = "[Source s]\nVerify=hmac\nSecretFile=secret\n"
FILES = {"secret": "s3cret\n"}


def hook(recorder, more="On=success"):
    return f"[Hook h]\nExec={recorder.exec}\n{more}\n"


def send(daemon, payload, secret="s3cret", path="/callback/s"):
    body = json.dumps(payload) if isinstance(payload, dict) else payload
    return daemon.post(path, body, hmac_hex(secret, body))


def test_right_signature_is_recorded_and_fires(run_daemon, recorder):
    d = run_daemon(SOURCE + hook(recorder), files=FILES)
    body = b'{ "id": "job-1",\n "status": "Completed", "x": "\xc3\xa9" }'
    answer = send(d, body)
    assert (answer.status, answer.body) == (200, b"{}")
    assert answer.headers["Content-Type"] == "application/json"
    (run,) = recorder.wait(1)
    assert run.payload == body
    assert (run.ID, run.STATUS, run.OUTCOME, run.SOURCE) == ("job-1", "Completed", "success", "s")
    assert (run.HOOK, run.ATTEMPT) == ("h", "1")
    job = d.job("s", "job-1", wait=5)
    assert (job["outcome"], job["status"], job["deliveries"]) == ("success", "Completed", 1)
    assert job["payload"] == body.decode()


def test_environment_is_the_contract_and_nothing_else(run_daemon, recorder):
    config = SOURCE + hook(recorder, "On=any\nExport=SIZE:/size NONE:/none\nEnvironment=COLOR=red LANG=C")
    d = run_daemon(config, files=FILES, env={"LEAK": "me"})
    assert send(d, {"id": 7, "status": "failed", "size": 12}).status == 200
    (run,) = recorder.wait(1)
    shell_made = {"PWD", "SHLVL", "_", "OLDPWD"}
    assert set(run.env) - shell_made == {
        "PATH", "HOME", "USER", "LANG", "COLOR", "CALLBACK_SOURCE", "CALLBACK_ID", "CALLBACK_STATUS",
        "CALLBACK_OUTCOME", "CALLBACK_RECEIVED", "CALLBACK_HOOK", "CALLBACK_RUN", "CALLBACK_ATTEMPT",
        "CALLBACK_SIZE",
    }  # fmt: skip
    assert (run.ID, run.OUTCOME, run.SIZE, run.env["LANG"]) == ("7", "error", "12", "C")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Signature": "0" * 64},
        {"X-Signature": "zz"},
        {"X-Signature": hmac_text("other", '{"id":"x","status":"completed"}')},
    ],
)
def test_wrong_signature_is_401_and_leaves_nothing(run_daemon, headers):
    d = run_daemon(SOURCE, files=FILES)
    body = '{"id":"x","status":"completed"}'
    assert d.post("/callback/s", body, headers).status == 401
    assert d.job("s", "x") is None
    until(lambda: "Refused a callback for s" in d.stderr)


def test_answers_of_the_table(run_daemon):
    d = run_daemon(SOURCE, files=FILES)
    assert d.post("/nowhere", "{}").status == 404
    answer = d.request("GET", "/callback/s")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    assert d.request("BREW", "/callback/s").status == 405
    assert d.post("/callback/s", "{}", {"Content-Encoding": "gzip"}).status == 415
    assert d.post("/callback/s", "{}", {"Expect": "tea"}).status == 417
    assert d.post("/callback/s?" + "x" * 9000, "{}").status == 414
    assert d.post("/callback/s", "{}", {"X-Long": "x" * 17000}).status == 431
    big = b"x" * (1 << 20) + b"y"
    assert d.post("/callback/s", big, hmac_hex("s3cret", big)).status == 413
    assert d.request("GET", "/healthz").status == 200
    assert send(d, {"id": "after", "status": "completed"}).status == 200


def test_same_callback_twice_is_200_twice_and_one_run(run_daemon, recorder):
    d = run_daemon(SOURCE + hook(recorder), files=FILES)
    for _ in range(2):
        answer = send(d, {"id": "twice", "status": "completed"})
        assert (answer.status, answer.body) == (200, b"{}")
    assert d.ctl("wait", "s/twice", "--hooks", "--timeout", "10s").returncode == 0
    assert len(d.runs()) == 1
    job = d.job("s", "twice")
    assert job["deliveries"] == 2
    assert d.stop() == 0
    assert len(recorder.all()) == 1


def test_first_terminal_outcome_wins(run_daemon, recorder):
    d = run_daemon(SOURCE + hook(recorder, "On=any"), files=FILES)
    for status in ("processing", "failed", "completed", "processing"):
        assert send(d, {"id": "j", "status": status}).status == 200
    assert d.job("s", "j")["outcome"] == "error"
    recorder.wait(2)
    assert d.stop() == 0
    assert sorted(r.STATUS for r in recorder.all()) == ["failed", "processing"]
    assert "another outcome than the job already has" in d.stderr


@pytest.mark.parametrize(
    "body", [b"no json", b'{"id":true,"status":"completed"}', b'{"status":"completed"}', b"[" * 100 + b"]" * 100]
)
def test_unreadable_is_never_lost(run_daemon, recorder, body):
    d = run_daemon(SOURCE + hook(recorder, "On=unreadable"), files=FILES)
    assert send(d, body).status == 200
    (run,) = recorder.wait(1)
    assert run.ID == "sha256:" + hashlib.sha256(body).hexdigest()
    assert run.OUTCOME == "unreadable"
    assert run.payload == body


def test_unknown_word_is_pending_and_warned_of_once(run_daemon):
    d = run_daemon(SOURCE, files=FILES)
    for i in range(3):
        assert send(d, {"id": f"j{i}", "status": "mystery"}).status == 200
    assert d.job("s", "j1")["outcome"] == "pending"
    assert d.stop() == 0
    assert d.stderr.count("stands in no list") == 1


@pytest.mark.parametrize("id", ["$(touch pwned)", "'; rm -rf x; '", "a b\"c`id`", "../../etc/passwd", "ü/%2F"])
def test_a_job_id_is_text_to_a_shell(run_daemon, tmp_path, id):
    config = SOURCE + (
        f"[Hook h]\nExec=/bin/sh -c 'printf %s \"$CALLBACK_ID\" >{tmp_path}/out; echo >{tmp_path}/done'\n"
        f"WorkingDirectory={tmp_path}\n"
    )
    d = run_daemon(config, files=FILES)
    assert send(d, {"id": id, "status": "completed"}).status == 200
    assert d.ctl("wait", f"s/{id}", "--hooks", "--timeout", "10s").returncode == 0
    assert (tmp_path / "out").read_text() == id
    assert sorted(p.name for p in tmp_path.iterdir()) == ["done", "out"]


def test_a_thousand_different_ones_are_a_thousand_runs(run_daemon, recorder):
    d = run_daemon(
        SOURCE + "[Hook h]\nExec=/bin/true\nMaxConcurrent=16\n", files=FILES
    )
    connection = http.client.HTTPConnection("127.0.0.1", d.port, timeout=20)
    for i in range(1000):
        body = json.dumps({"id": f"n{i}", "status": "completed"})
        connection.request("POST", "/callback/s", body, hmac_hex("s3cret", body))
        reply = connection.getresponse()
        assert (reply.status, reply.read()) == (200, b"{}")
    connection.close()
    assert d.ctl("wait", *[f"s/n{i}" for i in range(0, 1000, 100)], "--hooks", "--timeout", "30s").returncode == 0
    until(d.is_quiet, 30)
    runs, after = [], ""
    while True:
        page = d.control("GET", f"/v1/runs?limit=1000{after}").json
        runs += page["runs"]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert len(runs) == 1000
    assert {r["state"] for r in runs} == {"done"}
    assert len({r["id"] for r in runs}) == 1000
    assert len({r["run"] for r in runs}) == 1000


def test_wait_returns_within_50_ms_of_the_callback(run_daemon):
    d = run_daemon(SOURCE, files=FILES)
    lags = []
    for i in range(5):
        ended = {}

        def wait(name=f"w{i}", out=ended):
            answer = d.control("GET", f"/v1/jobs/s/{name}?wait=20")
            out.update(at=time.monotonic(), job=answer.json)

        thread = threading.Thread(target=wait)
        thread.start()
        until(lambda: d.control("GET", "/v1/status").json["waiting_clients"] == 1)
        sent = time.monotonic()
        assert send(d, {"id": f"w{i}", "status": "completed"}).status == 200
        thread.join(20)
        assert ended["job"]["outcome"] == "success"
        lags.append(ended["at"] - sent)
    assert sorted(lags)[2] < 0.05, lags


def test_allow_from(run_daemon):
    d = run_daemon(SOURCE + "AllowFrom=192.0.2.0/24\n", files=FILES)
    assert send(d, {"id": "x", "status": "completed"}).status == 401
    until(lambda: "AllowFrom=" in d.stderr)


def test_two_secrets_rotate(run_daemon):
    d = run_daemon(SOURCE + "SecretFile=new\n", files={**FILES, "new": "other"})
    assert send(d, {"id": "a", "status": "completed"}).status == 200
    assert send(d, {"id": "b", "status": "completed"}, secret="other").status == 200
    assert send(d, {"id": "c", "status": "completed"}, secret="third").status == 401


def test_token_header_and_basic(run_daemon):
    d = run_daemon(
        "[Source t]\nVerify=token\nSecretFile=token\n"
        "[Source h]\nVerify=header\nTokenHeader=X-Key\nSecretFile=token\n"
        "[Source b]\nVerify=basic\nSecretFile=basic\n"
        "[Source n]\nVerify=none\n",
        files={"token": "t0ken\n", "basic": "user:pass word"},
    )
    good = {"id": "1", "status": "completed"}
    assert d.post("/callback/t/t0ken", good).status == 200
    assert d.post("/callback/t/t0keN", good).status == 401
    assert d.post("/callback/t", good).status == 401
    assert d.post("/callback/h", good, {"X-Key": "t0ken"}).status == 200
    assert d.post("/callback/h", good, {"X-Key": "t0ke"}).status == 401
    assert d.post("/callback/b", good, {"Authorization": "Basic dXNlcjpwYXNzIHdvcmQ="}).status == 200
    assert d.post("/callback/b", good, {"Authorization": "Basic dXNlcjpwYXNz"}).status == 401
    assert d.post("/callback/n", good).status == 200
    assert "t0ken" not in d.stderr


def test_fields_in_headers_query_and_first_pointer_that_is_there(run_daemon, recorder):
    d = run_daemon(
        "[Source a]\nVerify=none\nIdField=header:X-Job query:job /id\nStatusField=/data/status /status\n"
        + hook(recorder, "On=any\nExport=EVENT:header:X-Event Q:query:job"),
        files=FILES,
    )
    assert d.post("/callback/a", {"status": "completed"}, {"X-Job": "h1", "X-Event": "push"}).status == 200
    assert d.post("/callback/a?job=q1", {"data": {"status": "failed"}, "status": "completed"}).status == 200
    runs = sorted(recorder.wait(2), key=lambda r: r.ID)
    assert [(r.ID, r.OUTCOME) for r in runs] == [("h1", "success"), ("q1", "error")]
    assert runs[0].env["CALLBACK_EVENT"] == "push"
    assert runs[1].env["CALLBACK_Q"] == "q1"
    assert "CALLBACK_EVENT" not in runs[1].env


def test_where_of_source_and_hook(run_daemon, recorder):
    d = run_daemon(
        "[Source a]\nVerify=none\nWhere=header:X-Event=push\n" + hook(recorder, "Where=/ref=main"), files=FILES
    )
    push = {"X-Event": "push"}
    assert d.post("/callback/a", {"id": "1", "status": "completed", "ref": "main"}).status == 200
    assert d.post("/callback/a", {"id": "2", "status": "completed", "ref": "dev"}, push).status == 200
    assert d.post("/callback/a", {"id": "3", "status": "completed", "ref": "main"}, push).status == 200
    (run,) = recorder.wait(1)
    assert run.ID == "3"
    assert d.job("a", "1") is None
    assert d.job("a", "2")["outcome"] == "success"
