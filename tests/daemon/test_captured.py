"""`callbackctl verify`: why a captured request verifies or does not, step by step."""

import json
import re
import time

import pytest

from helpers import hmac_hex, hmac_text, standard_webhooks, timestamped

SECRET = "k-hush-hush-0815"
STRIPE_LIKE = (
    "[Source s]\nVerify=hmac\nSecretFile=old\nSecretFile=secret\nSignatureHeader=Stripe-Signature\n"
    "SignatureStyle=pairs\nSignatureField=v1\nTimestampField=t\nSignedContent={timestamp}.{body}\n"
)
PLAIN = "[Source s]\nVerify=hmac\nSecretFile=secret\n"
FILES = {"secret": SECRET + "\n", "old": "k-of-before-4711\n"}
BODY = '{"id":"j1","status":"completed"}'


def text_of(headers):
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


def without_age(text):
    return re.sub(r"\b\d+ s old", "N s old", text)


def ask(daemon, headers, body=BODY, *more, source="s"):
    """The tool's answer; neither secret nor a right signature is ever in it. It is asked twice, for
    JSON and for text, and a timestamp's age may have grown by a second between the two."""
    daemon.write("head", text_of(headers) if isinstance(headers, dict) else headers)
    daemon.write("body", body)
    args = ("verify", source, "--headers", "head", "--body", "body", *more)
    r = daemon.ctl("--json", *args)
    plain = daemon.ctl(*args)
    assert plain.returncode == r.returncode
    raw = body if isinstance(body, bytes) else body.encode()
    for hidden in (SECRET, hmac_text(SECRET, raw), hmac_text(SECRET, raw.rstrip(b"\r\n"))):
        assert hidden not in r.stdout + r.stderr + plain.stdout + plain.stderr
    answer = json.loads(r.stdout) if r.stdout else None
    if answer:
        assert r.returncode == (0 if answer["verified"] else 1)
        for step in answer["steps"]:
            assert without_age(step["text"]) in without_age(plain.stdout)
    return r, answer


def steps(answer, result):
    return [s["text"] for s in answer["steps"] if s["result"] == result]


def says(answer, result, *words):
    return any(all(w in text for w in words) for text in steps(answer, result))


def test_what_verifies_and_how_it_is_read(run_daemon):
    hook = "[Hook h]\nOn=success\nExec=/bin/true\n[Hook other]\nOn=error\nExec=/bin/true\n"
    more = "DeliveryField=header:X-Delivery\nWhere=header:X-Event=done\n"
    d = run_daemon(PLAIN + more + hook, files=FILES)
    headers = {**hmac_hex(SECRET, BODY), "X-Delivery": "d-1", "X-Event": "done"}
    r, answer = ask(d, headers)
    assert r.returncode == 0
    assert (answer["verified"], answer["scheme"], answer["source"]) == (True, "hmac", "s")
    assert says(answer, "good", "header X-Signature", "1 signature")
    assert says(answer, "note", "1 key tried")
    reading = answer["reading"]
    assert (reading["id"], reading["status"], reading["outcome"]) == ("j1", "completed", "success")
    assert (reading["delivery"], reading["where"], reading["hooks"]) == ("d-1", True, ["h"])
    assert d.job("s", "j1") is None  # looked at, not taken

    _, answer = ask(d, {**headers, "X-Event": "begun"})
    assert answer["verified"]
    assert (answer["reading"]["where"], answer["reading"]["unmet"]) == (False, ["header:X-Event=done"])
    assert answer["reading"]["hooks"] == []


@pytest.mark.parametrize(
    "headers,words",
    [
        ({}, ("header X-Signature is missing",)),
        ("X-Signature: 00\r\nX-Signature: 00\r\n", ("header X-Signature", "twice")),
        ({"X-Signature": "zz"}, ("no signature of that length and encoding",)),
        ({"X-Signature": "0" * 64}, ("matches none of 1 key",)),
    ],
)
def test_what_is_wrong_with_the_signature(run_daemon, headers, words):
    d = run_daemon(PLAIN, files=FILES)
    r, answer = ask(d, headers)
    assert r.returncode == 1 and answer["scheme"] is None
    assert says(answer, "bad", *words), answer
    assert answer["reading"]["id"] == "j1"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_newline_at_the_end(run_daemon, end):
    d = run_daemon(PLAIN, files=FILES)
    _, answer = ask(d, hmac_hex(SECRET, BODY), BODY + end)
    assert says(answer, "bad", "without the newline at its end")
    _, answer = ask(d, hmac_hex(SECRET, BODY + "\n"), BODY)
    assert says(answer, "bad", "with a newline at its end")
    _, answer = ask(d, hmac_hex(SECRET, "else"), BODY + end)
    assert not says(answer, "bad", "newline")


def test_age_and_tolerance(run_daemon):
    d = run_daemon(STRIPE_LIKE, files=FILES)
    now = int(time.time())
    _, answer = ask(d, timestamped(SECRET, BODY))
    assert answer["verified"] and says(answer, "good", "timestamp is", "within Tolerance=5min")
    assert says(answer, "note", "2 keys tried")

    fresh = timestamped(SECRET, BODY, t=now - 7200)
    r, answer = ask(d, fresh)
    assert r.returncode == 1
    assert says(answer, "bad", "timestamp is 2 h", "old, Tolerance=5min")
    assert says(answer, "note", "only its age is wrong")
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - 7190))
    r, answer = ask(d, fresh, BODY, "--at", at)
    assert r.returncode == 0 and answer["verified"]

    # stale and wrong: one does not hide the other
    _, answer = ask(d, timestamped(SECRET, BODY, t=now - 7200), BODY + "\n")
    assert says(answer, "bad", "timestamp is 2 h", "old") and says(answer, "bad", "without the newline")
    _, answer = ask(d, timestamped("wrong", BODY, t=now - 7200))
    assert says(answer, "bad", "matches none of 2 keys")
    assert not says(answer, "note", "only its age")
    _, answer = ask(d, timestamped(SECRET, BODY, t=now + 7200))
    assert says(answer, "bad", "ahead")


def test_request_line_and_path(run_daemon):
    d = run_daemon("[Source t]\nVerify=token\nSecretFile=secret\n" + PLAIN, files=FILES)
    r, answer = ask(d, f"POST /callback/t/{SECRET} HTTP/1.1\nHost: x\n", source="t")
    assert r.returncode == 0 and answer["scheme"] == "token"
    r, answer = ask(d, "POST /callback/t/wrong HTTP/1.1\nHost: x\n", source="t")
    assert says(answer, "bad", "none of 1 secret")
    r, answer = ask(d, "Host: x\n", source="t")
    assert says(answer, "bad", "no token")
    _, answer = ask(d, "POST /callback/s HTTP/1.1\nHost: x\n", source="t")
    assert says(answer, "bad", "leads to source s")
    _, answer = ask(d, "POST /elsewhere HTTP/1.1\nHost: x\n", source="t")
    assert says(answer, "bad", "leads nowhere")


def test_url_behind_a_proxy(run_daemon):
    url = "SignedContent={url}{body}\n"
    d = run_daemon(PLAIN + url, files=FILES)
    signed = hmac_hex(SECRET, "https://cb.example/callback/s?x=1" + BODY)
    _, answer = ask(d, "POST /callback/s?x=1 HTTP/1.1\nHost: cb.example\n" + text_of(signed))
    assert says(answer, "bad", "PublicURL=https://cb.example")


def test_other_schemes(run_daemon):
    whsec = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    d = run_daemon(
        "[Source w]\nPreset=standard-webhooks\nSecretFile=whsec\n[Source t]\nPreset=twilio\nSecretFile=secret\n",
        files={**FILES, "whsec": whsec},
    )
    head = standard_webhooks(whsec, BODY)
    _, answer = ask(d, head, source="w")
    assert (answer["verified"], answer["scheme"]) == (True, "standard-webhooks")
    assert says(answer, "good", "header webhook-signature", "1 signature") and says(answer, "good", "timestamp is")
    assert answer["reading"]["delivery"] == "msg_1"
    _, answer = ask(d, head, BODY + "\n", source="w")
    assert says(answer, "bad", "without the newline at its end")
    _, answer = ask(d, standard_webhooks(whsec, BODY, t=int(time.time()) - 600), source="w")
    assert says(answer, "bad", "10 min old") and says(answer, "note", "only its age is wrong")

    form, host = "CallSid=CA1&CallStatus=completed", "cb.example"
    signature = hmac_text(SECRET, f"https://{host}/callback/tCallSidCA1CallStatuscompleted", "sha1", "base64")
    lines = {"Host": host, "Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature}
    _, answer = ask(d, lines, form, source="t")
    assert says(answer, "bad", "none of 1 key") and says(answer, "bad", f"PublicURL=https://{host}")
    assert (answer["reading"]["id"], answer["reading"]["outcome"]) == ("CA1", "success")


def test_unreadable_body_and_unknown_word(run_daemon):
    d = run_daemon(PLAIN, files=FILES)
    _, answer = ask(d, hmac_hex(SECRET, b"\xff\x00"), b"\xff\x00")
    assert answer["verified"] and answer["reading"]["outcome"] == "unreadable"
    assert answer["reading"]["problem"]
    body = '{"id":"j","status":"odd"}'
    _, answer = ask(d, hmac_hex(SECRET, body), body)
    assert answer["reading"]["unknown_word"] and answer["reading"]["outcome"] == "pending"


def test_how_it_is_called(run_daemon):
    d = run_daemon(PLAIN, files=FILES)
    d.write("head", "X-Signature: 0\n")
    d.write("body", BODY)
    assert d.ctl("verify", "s").returncode == 2
    assert d.ctl("verify", "s", "--headers", "nosuch").returncode == 2
    assert d.ctl("verify", "nosuch", "--headers", "head").returncode == 66
    assert d.ctl("verify", "s", "--headers", "head", "--at", "noon").returncode == 2
    assert d.ctl("verify", "s", "--headers", "-", "--body", "-", input="x").returncode == 2
    assert d.ctl("verify", "s", "--headers", "-", "--body", "body", input="X-Signature: 0\n").returncode == 1
    r = d.ctl("verify", "s", "--headers", "body")
    assert (r.returncode, r.stdout) == (2, "") and "line 1 of the headers" in r.stderr
    for bad in ({"headers": 1}, {"headers": "x"}, {"headers_base64": "?"}, {"received": "noon"}):
        assert d.control("POST", "/v1/sources/s/verify", bad).status == 400, bad
    assert d.control("POST", "/v1/sources/s/verify", {"headers": "A: b", "body": "{}"}).status == 200
