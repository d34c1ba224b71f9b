"""Senders with their presets, through the real listener: forms, challenges, why they are refused."""

import hashlib
import json
import time
import urllib.parse

import pytest

from helpers import hmac_text, standard_webhooks, timestamped, until

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def source(preset, more=""):
    return f"[Source s]\nPreset={preset}\nSecretFile=secret\n{more}\n"


def slack(secret, body, t=None):
    t = str(int(time.time()) if t is None else t)
    return {
        "X-Slack-Request-Timestamp": t,
        "X-Slack-Signature": "v0=" + hmac_text(secret, f"v0:{t}:{body}"),
    }


def test_slack_gets_its_challenge_back_once_it_is_verified(run_daemon):
    d = run_daemon(source("slack"), files={"secret": "shh"})
    body = json.dumps({"type": "url_verification", "token": "t", "challenge": 'c"\\u1'})
    answer = d.post("/callback/s", body, slack("shh", body))
    assert (answer.status, answer.json) == (200, {"challenge": 'c"\\u1'})
    assert answer.headers["Content-Type"] == "application/json"
    assert d.control("GET", "/v1/jobs").json["jobs"] == []
    refused = d.post("/callback/s", body, slack("other", body))
    assert refused.status == 401
    assert b"c" not in refused.body
    body = json.dumps({"type": "event_callback", "event_id": "Ev1"})
    answer = d.post("/callback/s", body, slack("shh", body))
    assert (answer.status, answer.body) == (200, b"{}")
    assert d.job("s", "Ev1")["outcome"] == "success"


def test_a_token_only_the_store_could_know_earns_no_challenge(run_daemon):
    """What Where= leaves alone is answered once the store was asked about the token."""
    config = "[Source s]\nPreset=slack\nVerify=token\nUploadURL=http://127.0.0.1:9/u\n"
    d = run_daemon(config)
    body = {"type": "url_verification", "challenge": "secret?"}
    answer = d.post("/callback/s/" + "A" * 43, body)
    assert answer.status == 401
    assert b"secret?" not in answer.body


def test_other_senders_get_no_challenge_back(run_daemon):
    d = run_daemon("[Source s]\nVerify=none\n")
    assert d.post("/callback/s", {"id": "1", "status": "success", "challenge": "x"}).body == b"{}"


def multipart(fields, boundary="----b0undary"):
    body = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    return body + f"--{boundary}--\r\n", {"Content-Type": f"multipart/form-data; boundary={boundary}"}


@pytest.mark.parametrize("kind", ["multipart", "urlencoded"])
def test_transloadit_and_export_of_form_fields(run_daemon, recorder, kind):
    hook = (
        f"[Hook h]\nExec={recorder.exec}\nOn=any\nExport=OK:form:transloadit/ok "
        "URL:form:transloadit/results/:original/0/url SIG:form:signature NONE:form:nothing "
        "LAST:last:form:transloadit/version\n"
    )
    d = run_daemon(source("transloadit") + hook, files={"secret": "foo_secret"})
    status = json.dumps(
        {
            "ok": "ASSEMBLY_COMPLETED",
            "assembly_id": "a1b2",
            "version": "v.1.2",
            "results": {":original": [{"url": "https://cdn/x?a=b&c=d+e"}]},
        }
    )
    signature = "sha384:" + hmac_text("foo_secret", status, "sha384")
    fields = {"transloadit": status, "signature": signature}
    body, headers = multipart(fields) if kind == "multipart" else (urllib.parse.urlencode(fields), FORM)
    assert d.post("/callback/s", body, headers).status == 200
    (run,) = recorder.wait(1)
    assert (run.ID, run.STATUS, run.OUTCOME) == ("a1b2", "ASSEMBLY_COMPLETED", "success")
    assert (run.OK, run.URL) == ("ASSEMBLY_COMPLETED", "https://cdn/x?a=b&c=d+e")
    assert (run.SIG, run.LAST) == (signature, "2")
    assert "CALLBACK_NONE" not in run.env
    assert run.payload == body.encode()
    for wrong in (body.replace("a1b2", "a1b3"), body.replace("sha384", "sha385", 1)):
        assert d.post("/callback/s", wrong, headers).status == 401
    assert d.job("s", "a1b3") is None


def test_transloadit_error_of_any_name(run_daemon, recorder):
    hook = f"[Hook h]\nExec={recorder.exec}\nOn=error\n"
    d = run_daemon(source("transloadit") + hook, files={"secret": "k"})
    status = json.dumps({"error": "SOME_NEW_ERROR", "assembly_id": "a1"})
    fields = {"transloadit": status, "signature": "sha384:" + hmac_text("k", status, "sha384")}
    assert d.post("/callback/s", *multipart(fields)).status == 200
    (run,) = recorder.wait(1)
    assert (run.STATUS, run.OUTCOME) == ("SOME_NEW_ERROR", "error")
    assert "stands in no list" not in d.stderr


def test_twilio_form_and_json(run_daemon):
    d = run_daemon(source("twilio"), files={"secret": "auth"})
    fields = {"MessageSid": "SM1", "MessageStatus": "delivered", "Body": "a+b &=%ä"}
    content = f"{d.url}/callback/s?x=1" + "".join(k + fields[k] for k in sorted(fields))
    signature = {"X-Twilio-Signature": hmac_text("auth", content, "sha1", "base64")}
    body = urllib.parse.urlencode(fields)
    assert d.post("/callback/s?x=1", body, {**FORM, **signature}).status == 200
    assert d.job("s", "SM1")["outcome"] == "success"
    assert d.post("/callback/s?x=2", body, {**FORM, **signature}).status == 401
    assert d.post("/callback/s?x=1", body + "&a=b", {**FORM, **signature}).status == 401

    body = '{"any": "thing"}'
    target = f"/callback/s?bodySHA256={hashlib.sha256(body.encode()).hexdigest()}"
    signature = {"X-Twilio-Signature": hmac_text("auth", d.url + target, "sha1", "base64")}
    json_headers = {"Content-Type": "application/json", **signature}
    assert d.post(target, body, json_headers).status == 200
    assert d.post(target, body + " ", json_headers).status == 401


def test_several_schemes_one_suffices(run_daemon):
    config = (
        "[Source s]\nVerify=token standard-webhooks hmac\nSecretFile=secret\nSecretFile=token\n"
        "SignatureHeader=Stripe-Signature\nSignatureStyle=pairs\nSignatureField=v1\nTimestampField=t\n"
        "SignedContent={timestamp}.{body}\n"
    )
    d = run_daemon(config, files={"secret": WHSEC, "token": "in the path!"})
    body = '{"id":"x","status":"success"}'
    assert d.post("/callback/s", body).status == 401
    assert d.post("/callback/s", body, standard_webhooks(WHSEC, body)).status == 200
    assert d.post("/callback/s", body, standard_webhooks(WHSEC, body, prefix="svix-")).status == 200
    assert d.post("/callback/s", body, timestamped(WHSEC, body)).status == 200
    assert d.post("/callback/s/in%20the%20path!", body).status == 200
    assert d.post("/callback/s/in%20the%20path", body).status == 401
    assert d.job("s", "x")["deliveries"] == 4


@pytest.mark.parametrize(
    "preset, headers, words",
    [
        ("replicate", lambda b: {}, "neither header webhook-signature nor header svix-signature is there"),
        (
            "replicate",
            lambda b: {k: v for k, v in standard_webhooks(WHSEC, b).items() if k != "webhook-id"},
            "header webhook-id is missing",
        ),
        (
            "replicate",
            lambda b: standard_webhooks(WHSEC, b, t=int(time.time()) - 720),
            "timestamp is 12 min old, Tolerance=5min",
        ),
        (
            "replicate",
            lambda b: standard_webhooks(WHSEC, b, t=int(time.time()) + 7200),
            "ahead, Tolerance=5min",
        ),
        ("replicate", lambda b: standard_webhooks("b3RoZXI=", b), "the signature matches none of 2 keys"),
        (
            "stripe",
            lambda b: {"Stripe-Signature": timestamped("x", b)["Stripe-Signature"] + ",v1=" + "0" * 64},
            "none of 2 signatures matches any of 2 keys",
        ),
        ("stripe", lambda b: {"Stripe-Signature": "v1=" + "0" * 64}, "holds no timestamp t="),
        ("github", lambda b: {"X-Hub-Signature-256": "sha256=abc"}, "no signature of that length and encoding"),
        ("gitlab", lambda b: {"X-Gitlab-Token": "guess"}, "header X-Gitlab-Token is none of 2 secrets"),
        ("transloadit", lambda b: {"Content-Type": "application/json"}, "the body is no form"),
        ("transloadit", lambda b: FORM, "the form has no field signature"),
        (
            "twilio",
            lambda b: {"Content-Type": "application/json", "X-Twilio-Signature": "A" * 27 + "="},
            "the URL does not hold bodySHA256 once",
        ),
    ],
)
def test_the_journal_says_why_and_the_sender_learns_nothing(run_daemon, preset, headers, words):
    d = run_daemon(source(preset, "SecretFile=second"), files={"secret": WHSEC, "second": "whsec_c2Vjb25k"})
    body = '{"id":"x","status":"succeeded"}'
    answer = d.post("/callback/s", body, headers(body))
    assert answer.status == 401
    assert answer.body in (b"", b"{}") or b"signature" not in answer.body
    until(lambda: words in d.stderr)
    assert "Refused a callback for s" in d.stderr
    for secret in ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "c2Vjb25k", "guess"):
        assert secret not in d.stderr


def test_embedded_json_and_base64(run_daemon, recorder):
    config = (
        "[Source s]\nVerify=none\nIdField=/Message/detail/jobId /message/data/id\n"
        "StatusField=/Message/detail/status last:/message/attributes/type\nSuccessValues=COMPLETE done\n"
        f"[Hook h]\nExec={recorder.exec}\nWhere=/Message/detail/queue!=test\nExport=Q:/Message/detail/queue\n"
    )
    d = run_daemon(config)
    detail = {"detail": {"jobId": "m-1", "status": "COMPLETE", "queue": "main"}}
    assert d.post("/callback/s", {"Type": "Notification", "Message": json.dumps(detail)}).status == 200
    pubsub = {"data": "eyJpZCI6ICJwLTEifQ==", "attributes": {"type": "a.b.done"}}
    assert d.post("/callback/s", {"message": pubsub}).status == 200
    first, second = sorted(recorder.wait(2), key=lambda r: r.ID)
    assert (first.ID, first.STATUS, first.Q) == ("m-1", "COMPLETE", "main")
    assert (second.ID, second.STATUS) == ("p-1", "done")
    detail["detail"].update(jobId="m-2", queue="test")
    assert d.post("/callback/s", {"Message": json.dumps(detail)}).status == 200
    assert d.job("s", "m-2")["runs"] == []
