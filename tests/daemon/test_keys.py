"""Keys of KeysURL=: fetched once for all who wait, kept, renewed; a server that is away is no 401."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from helpers import until
from helpers.issuer import Issuer, Key

SOURCE = "[Source s]\nVerify=jwt\nIssuer=i\nAudience=a\nKeysURL={}\n"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    place = tmp_path_factory.mktemp("keys")
    return [Key(place, f"k{i}") for i in range(3)]


@pytest.fixture(scope="module")
def tokens(keys):
    return [k.token() for k in keys]


@pytest.fixture
def issuer(keys):
    made = Issuer(keys[0])
    yield made
    made.close()


def post(d, token, id="1"):
    return d.post("/callback/s", b'{"id":"%s","status":"completed"}' % id.encode(), token, timeout=40)


def line(d):
    (one,) = d.control("GET", "/v1/status").json["keys"]
    return one


def jobs(d):
    return sorted(j["id"] for j in d.control("GET", "/v1/jobs").json["jobs"])


@pytest.mark.timeout(120)
def test_all_who_wait_share_one_fetch_and_what_came_is_kept(run_daemon, issuer, tokens):
    d = run_daemon(SOURCE.format(issuer.url))
    assert issuer.asked == [] and line(d)["asked"] == 0  # nobody has needed them yet
    issuer.held.clear()
    with ThreadPoolExecutor(100) as pool:
        sent = [pool.submit(post, d, tokens[0], f"j{i:03}") for i in range(100)]
        # 5 s is all they have: on a machine where 100 do not come together in that time, fewer do
        until(lambda: line(d)["waiting"] >= 50 or all(s.done() for s in sent), 30, "waiting callbacks")
        assert d.request("GET", "/healthz").status == 200  # the loop is not held
        issuer.held.set()
        assert {s.result().status for s in sent} <= {200, 503}
        taken = sum(s.result().status == 200 for s in sent)
    assert taken >= 50 and len(jobs(d)) == taken
    assert len(issuer.asked) == 1
    assert post(d, tokens[0], "later").status == 200
    assert len(issuer.asked) == 1
    now = line(d)
    assert (now["source"], now["keys"], now["waiting"], now["asked"], now["trouble"]) == ("s", 1, 0, 1, None)
    assert now["fetched"] and now["url"] == issuer.url
    assert d.stderr.count("Fetched the keys") == 1
    assert "keys" in d.ctl("status").stdout and "fetched" in d.ctl("status").stdout


def test_an_unknown_key_id_has_them_renewed_once_a_minute(run_daemon, issuer, keys, tokens):
    d = run_daemon(SOURCE.format(issuer.url))
    assert post(d, tokens[0]).status == 200
    issuer.keys = [keys[0], keys[1]]
    assert post(d, tokens[1], "2").status == 200  # rotation
    assert len(issuer.asked) == 2
    for i in range(5):
        assert post(d, keys[2].token(kid=f"nobody{i}"), "3").status == 401
    assert post(d, tokens[2], "3").status == 401
    assert len(issuer.asked) == 2
    # a key that is known and does not fit is no reason either
    assert post(d, keys[2].token(kid="k0"), "3").status == 401
    assert post(d, tokens[0], "4").status == 200
    assert len(issuer.asked) == 2 and jobs(d) == ["1", "2", "4"]
    assert d.stderr.count("have changed") == 1


def test_what_is_at_hand_is_used_over_an_outage(run_daemon, issuer, keys, tokens):
    d = run_daemon(SOURCE.format(issuer.url))
    assert post(d, tokens[0]).status == 200
    issuer.close()
    assert d.ctl("reload").returncode == 0  # keys are old now: asked for anew with the next callback
    assert post(d, tokens[0], "2").status == 200
    until(lambda: line(d)["trouble"], what="trouble")
    for i in range(5):
        assert post(d, tokens[0], f"o{i}").status == 200
    assert post(d, tokens[1], "x").status == 503  # perhaps a new key: who knows?
    until(lambda: post(d, tokens[0], "2").status == 200 and line(d)["asked"] >= 3, 20, "another attempt")
    assert d.stderr.count("cannot be had") == 1, d.stderr
    assert line(d)["keys"] == 1 and "failed" in d.ctl("status").stdout
    again = Issuer(keys[0], keys[1], port=issuer.port)
    try:
        until(lambda: post(d, tokens[1], "x").status == 200, 30, "the new key")
        assert line(d)["trouble"] is None
    finally:
        again.close()


@pytest.mark.timeout(120)
def test_a_slow_server_costs_a_503_after_5_s_and_nobody_else_waits(run_daemon, issuer, tokens):
    d = run_daemon(SOURCE.format(issuer.url) + "[Source t]\nVerify=none\n")
    issuer.held.clear()
    began = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(post, d, tokens[0])
        until(lambda: line(d)["waiting"] == 1)
        assert d.post("/callback/t", b'{"id":"1","status":"completed"}').status == 200
        assert not late.done()
        answer = late.result()
    assert answer.status == 503 and int(answer.headers["Retry-After"]) > 0
    assert 4.9 < time.monotonic() - began < 25
    assert jobs(d) == ["1"] and line(d)["waiting"] == 0
    issuer.held.set()
    assert until(lambda: post(d, tokens[0]).status == 200, 30)


def test_without_a_server_it_is_503_at_once_and_told_once(run_daemon, keys, tokens):
    gone = Issuer(keys[0])
    gone.close()
    d = run_daemon(SOURCE.format(gone.url))
    for i in range(10):
        assert post(d, tokens[0]).status == 503
    assert line(d)["asked"] <= 4, "a pause lies between attempts"
    until(lambda: "cannot be had" in d.stderr)
    # Why, once; and who was sent away for it, each.
    until(lambda: d.stderr.count("Answered 503 to a callback of") == 10)
    assert d.stderr.count("are not at hand [") == 10 and "from 127.0.0.1]" in d.stderr
    assert d.stderr.count("cannot be had") == 1 and "NOT AT HAND" in d.ctl("status").stdout
    assert jobs(d) == []
    back = Issuer(keys[0], port=gone.port)
    try:
        until(lambda: post(d, tokens[0]).status == 200, 30)
        assert line(d)["trouble"] is None
    finally:
        back.close()


def answers(status, body=b"", headers=()):
    def behave(h):
        h.send_response(status)
        for name, value in headers:
            h.send_header(name, value)
        h.end_headers()
        h.wfile.write(body)

    return behave


def endless(h):
    h.send_response(200)
    h.end_headers()
    while True:
        h.wfile.write(b" " * 4096)


BAD = {
    "500": (answers(500), "status 500"),
    "empty": (answers(200), ""),
    "html": (answers(200, b"<html>"), ""),
    "huge": (answers(200, headers=[("Content-Length", "1000000000")]), "large"),
    "endless": (endless, "large"),
    "65 KiB": (answers(200, b'{"keys":[]}' + b" " * (65 << 10)), "large"),
    "not found": (answers(404), "status 404"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_answer_is_a_503_and_told_in_words(run_daemon, issuer, tokens, name):
    issuer.behave, words = BAD[name]
    d = run_daemon(SOURCE.format(issuer.url))
    assert post(d, tokens[0]).status == 503
    assert words in line(d)["trouble"].lower(), line(d)
    issuer.behave = None
    until(lambda: post(d, tokens[0]).status == 200, 30)


def test_no_redirect_is_followed(run_daemon, issuer, keys, tokens):
    other = Issuer(keys[0])
    try:
        for status in (301, 302, 307, 308):
            issuer.behave = answers(status, headers=[("Location", other.url)])
            d = run_daemon(SOURCE.format(issuer.url))
            assert post(d, tokens[0]).status == 503
            assert f"status {status}" in line(d)["trouble"] and "redirect" in line(d)["trouble"]
        assert other.asked == []
    finally:
        other.close()


def test_a_reload_leads_to_another_url_and_forgets_the_old(run_daemon, issuer, keys, tokens):
    other = Issuer(keys[1])
    try:
        d = run_daemon(SOURCE.format(issuer.url))
        assert post(d, tokens[0]).status == 200
        d.configure(SOURCE.format(other.url))
        assert d.ctl("reload").returncode == 0
        assert post(d, tokens[1], "2").status == 200
        assert post(d, tokens[0], "3").status == 401
        assert len(issuer.asked) == 1 and line(d)["url"] == other.url
    finally:
        other.close()


def test_a_reload_has_keys_fetched_anew(run_daemon, issuer, keys, tokens):
    d = run_daemon(SOURCE.format(issuer.url))
    assert post(d, tokens[0]).status == 200
    issuer.keys = [keys[1]]  # the old one is withdrawn
    assert d.ctl("reload").returncode == 0
    until(lambda: post(d, tokens[0], "2").status == 401, 20, "the withdrawal")
    assert len(issuer.asked) <= 3


def test_who_leaves_while_waiting_does_no_harm(run_daemon, issuer, tokens):
    d = run_daemon(SOURCE.format(issuer.url))
    issuer.held.clear()
    body = b'{"id":"1","status":"completed"}'
    head = f"POST /callback/s HTTP/1.1\r\nHost: h\r\nAuthorization: {tokens[0]['Authorization']}\r\n"
    for i in range(3):
        with socket.create_connection(("127.0.0.1", d.port)) as s:
            s.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            until(lambda n=i: line(d)["waiting"] >= n + 1 or line(d)["asked"] > 1)
    issuer.held.set()
    until(lambda: line(d)["waiting"] == 0, 20)
    assert post(d, tokens[0], "2").status == 200 and d.process.poll() is None


def test_bodies_that_wait_count_as_in_flight(run_daemon, issuer, tokens):
    d = run_daemon(SOURCE.format(issuer.url), daemon="MaxBodyBytesInFlight=1M\nMaxBodyBytes=700K\n")
    issuer.held.clear()
    big = b'{"id":"1","status":"completed","x":"' + b"x" * 600_000 + b'"}'
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(d.post, "/callback/s", big, tokens[0], timeout=40)
        until(lambda: line(d)["waiting"] == 1)
        assert d.post("/callback/s", big, tokens[0]).status == 503
        assert line(d)["waiting"] <= 1
        issuer.held.set()
        first.result()


@pytest.mark.parametrize("stop_timeout", ["0", "10s"])
def test_a_stop_does_not_hang_on_who_waits(run_daemon, issuer, tokens, stop_timeout):
    d = run_daemon(SOURCE.format(issuer.url), daemon=f"StopTimeout={stop_timeout}\n")
    issuer.held.clear()
    status = []

    def send():
        try:
            status.append(post(d, tokens[0]).status)
        except OSError:
            status.append("closed")

    sender = threading.Thread(target=send)
    sender.start()
    until(lambda: line(d)["waiting"] == 1)
    assert d.stop(30) == 0, d.stderr
    sender.join(30)
    assert status[0] in (503, "closed")


def test_verify_says_how_it_is_with_the_keys_and_fetches_none(run_daemon, issuer, keys, tokens):
    d = run_daemon(SOURCE.format(issuer.url))

    body = d.write("body", '{"id":"1","status":"completed"}')

    def verify(token):
        head = d.write("head", f"POST /callback/s HTTP/1.1\nHost: h\nAuthorization: {token['Authorization']}\n")
        return d.ctl("verify", "--headers", head, "--body", body, "s")

    told = verify(tokens[0])
    assert "not fetched yet" in told.stdout, told
    assert issuer.asked == []
    assert post(d, tokens[0]).status == 200
    told = verify(tokens[0])
    assert "1 at hand, fetched at" in told.stdout and told.returncode == 0, told
    told = verify(tokens[1])
    assert "fetched anew" in told.stdout and told.returncode != 0, told
    assert len(issuer.asked) == 1
    issuer.close()
    assert post(d, tokens[1]).status == 503
    assert "the last attempt, at" in verify(tokens[1]).stdout
