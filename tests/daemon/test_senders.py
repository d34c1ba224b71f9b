"""Every preset from end to end: as text to start from, with callbackctl test, with a payload of its sender."""

import base64
import hashlib
import json
import subprocess
import time
from urllib.parse import quote

import pytest

from helpers import build_directory, hmac_text, standard_webhooks, timestamped, until
from helpers.daemon import TOP

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRETS = {
    "standard-webhooks": WHSEC, "svix": WHSEC, "replicate": WHSEC, "openai": WHSEC,
    "stripe": "whsec_of-stripe-0815", "elevenlabs": "wsec_of-elevenlabs-0815", "revai": "Bearer r3v-0815",
    "discord": "26b40b8f93fff3d897112f7ebc582b232dbd72517d082fe83cfb30ddce43d1bb",
}  # fmt: skip
NAMES = [
    "eachlabs", "eachlabs-prediction", "eachlabs-workflow", "replicate", "openai", "assemblyai", "runpod", "mux",
    "cloudflare-stream", "coconut", "cloudconvert", "transloadit", "revai", "elevenlabs", "bunny-stream", "github",
    "gitlab", "stripe", "shopify", "slack", "twilio", "standard-webhooks", "svix", "tusd", "generic",
    "fal", "discord", "aws-sns", "aws-mediaconvert", "pubsub", "http-signature",
]  # fmt: skip
# those that only the sender can sign for
PUBLIC = ["fal", "discord", "aws-sns", "aws-mediaconvert", "pubsub"]


def secret_of(preset):
    return SECRETS.get(preset, f"of-{preset}-0815")


def ctl(*args):
    return subprocess.run([build_directory() / "callbackctl", *args], capture_output=True, text=True, check=False)


def start_text(preset):
    r = ctl("presets", preset)
    assert r.returncode == 0 and not r.stderr
    return r.stdout


def values_of(preset):
    return json.loads(ctl("--json", "presets", preset).stdout)["values"]


def words_of(preset, key):
    return [w for w in values_of(preset).get(key, "").split() if w != "*"]


# ---- the table ----


def test_list():
    r = ctl("presets")
    assert r.returncode == 0
    lines = r.stdout.splitlines()
    assert lines[0].split() == ["NAME", "VERIFICATION", "DOCUMENTATION"]
    assert sorted(line.split()[0] for line in lines[1:]) == sorted(NAMES)
    listed = [json.loads(line) for line in ctl("--json", "presets").stdout.splitlines()]
    assert sorted(p["name"] for p in listed) == sorted(NAMES)
    for p in listed:
        if p["name"] != "generic":
            assert p["verify"] and p["documentation"].startswith("https://"), p
            assert p["documentation"] in r.stdout


def test_no_such_preset():
    r = ctl("presets", "strip")
    assert (r.returncode, r.stdout) == (66, "")
    assert "did you mean stripe?" in r.stderr


@pytest.mark.parametrize("preset", NAMES)
def test_text_to_start_from_is_a_configuration(preset, tmp_path):
    text = start_text(preset)
    conf = tmp_path / "callbackd.conf"
    conf.write_text(text)

    def check():
        return subprocess.run([build_directory() / "callbackd", "-n", "-c", conf], capture_output=True, text=True,
                              check=False, env={"PATH": "/usr/bin:/bin"})  # fmt: skip

    # its words say where things go
    assert "What to enter at the sender" in text and f"/callback/{preset}" in text
    assert "{url}" not in text.replace("SignedContent={url}", "").replace("{timestamp} {body} {url}", "")
    assert max(map(len, text.splitlines())) < 200
    secret = tmp_path / f"{preset}.secret"
    secret.write_text(secret_of(preset) + "\n")
    secret.chmod(0o600)
    r = check()
    assert r.returncode == 0 and "error" not in r.stderr, r.stderr
    assert not r.stderr.strip(), r.stderr
    # every value the preset fills in is a line that holds when its # is taken away
    conf.write_text(text.replace("\n#On=", "\n#").replace("\n#Exec", "\n#"))
    for line in text.splitlines():
        if line.startswith("#") and "=" in line.split(" ")[0] and line[1].isupper():
            key = line[1:].split("=")[0]
            if key in ("Source", "On", "Exec", "APIKeyFile"):
                continue
            conf.write_text(text + f"\n[Source {preset}]\n{line[1:]}\n")
            r = check()
            assert r.returncode == 0, (line, r.stderr)


# ---- callbackctl test ----


@pytest.fixture
def started(run_daemon, recorder):
    def start(preset, more=""):
        hook = f"\n[Hook h]\nOn=any unreadable\nExec={recorder.exec}\n"
        text = start_text(preset).replace("https://callbacks.example.org", "http://127.0.0.1:@PORT@")
        return run_daemon(text + f"\n[Source {preset}]\n{more}\n" + hook,
                          files={f"{preset}.secret": secret_of(preset) + "\n"})  # fmt: skip

    return start


@pytest.mark.parametrize("preset", PUBLIC)
def test_test_says_that_only_the_sender_can_sign(started, preset):
    d = started(preset)
    r = d.ctl("test", preset)
    assert r.returncode not in (0, 124) and "only the sender can sign" in r.stderr, r.stderr
    assert d.control("GET", "/v1/jobs").json["jobs"] == []


@pytest.mark.parametrize("preset", [n for n in NAMES if n not in PUBLIC])
def test_test_is_taken_and_tampered_is_not(started, recorder, preset):
    d = started(preset)
    r = d.ctl("--json", "test", preset)
    assert r.returncode == 0, r.stderr + d.stderr
    answer = json.loads(r.stdout)
    assert answer["status"] == 200
    job = d.job(preset, answer["id"])
    assert job, d.control("GET", "/v1/jobs").body
    assert (job["outcome"], answer["id"][:5]) == ("success", "test-")
    (run,) = recorder.wait(1)
    assert (run.env["CALLBACK_TEST"], run.ID) == ("1", answer["id"])

    r = d.ctl("--json", "test", preset, "--tamper", "--id", "t")
    assert r.returncode == 0, r.stdout + r.stderr
    assert json.loads(r.stdout)["status"] == 401
    assert d.job(preset, "test-t") is None
    assert len(d.control("GET", "/v1/jobs").json["jobs"]) == 1
    assert secret_of(preset) not in d.stderr


EVENTS = ("github", "gitlab", "stripe", "shopify", "slack", "standard-webhooks", "svix", *PUBLIC)  # no status


@pytest.mark.parametrize("preset", [n for n in NAMES if n not in EVENTS])
def test_test_with_other_words(started, preset):
    errors = words_of(preset, "ErrorValues") or ["failed"]
    d = started(preset)
    assert d.ctl("test", preset, "--status", errors[0], "--id", "e").returncode == 0, d.stderr
    job = d.job(preset, "test-e")
    assert (job["outcome"], job["status"].lower()) == ("error", errors[0].lower())


@pytest.mark.parametrize("preset", NAMES)
def test_verify_explains_what_test_sends(started, preset):
    """Nothing captured: no headers at all. Each scheme says what it misses."""
    d = started(preset)
    d.write("head", "Content-Type: application/json\n")
    d.write("body", "{}")
    r = d.ctl("verify", preset, "--headers", "head", "--body", "body")
    assert r.returncode == 1, r.stderr
    assert "  NO    " in r.stdout and secret_of(preset) not in r.stdout
    assert any(word in r.stdout for word in ("missing", "neither header", "no token", "form", "its Type")), r.stdout


def test_given_body_of_a_form_signed_in_a_field(started):
    d = started("transloadit")
    d.write("field", '{"ok":"ASSEMBLY_COMPLETED","assembly_id":"given"}')
    assert d.ctl("test", "transloadit", "--body", "field").returncode == 0, d.stderr
    assert d.job("transloadit", "given")["outcome"] == "success"


# ---- what the senders send, signed by Python ----


def hex256(header, prefix=""):
    return lambda secret, body, _url: {header: hmac_text(secret, body, prefix=prefix)}


def slack(secret, body, _url):
    t = str(int(time.time()))
    return {"X-Slack-Request-Timestamp": t,
            "X-Slack-Signature": hmac_text(secret, b"v0:" + t.encode() + b":" + body, prefix="v0=")}  # fmt: skip


def twilio(secret, body, url):
    pairs = [p.split("=") for p in body.decode().split("&")]
    from urllib.parse import unquote_plus as plain

    text = url + "".join(plain(k) + plain(v) for k, v in sorted(pairs))
    return {"X-Twilio-Signature": hmac_text(secret, text, "sha1", "base64"),
            "Content-Type": "application/x-www-form-urlencoded"}  # fmt: skip


def in_header(name, preset=None):
    return lambda secret, _body, _url: {values_of(preset)["TokenHeader"] if preset else name: secret}


def listed(prefix):
    return lambda secret, body, _url: standard_webhooks(secret, body, prefix=prefix)


def pairs(header, field="v1", timestamp_field="t"):
    return lambda secret, body, _url: timestamped(
        secret, body, header=header, field=field, timestamp_field=timestamp_field
    )


TOKEN = None  # the secret is in the URL
SIGNERS = {
    "eachlabs": TOKEN, "eachlabs-prediction": in_header("X-Webhook-Secret"),
    "eachlabs-workflow": in_header("X-Webhook-Secret"), "replicate": listed("webhook-"), "openai": listed("webhook-"),
    "assemblyai": in_header("", "assemblyai"), "runpod": TOKEN, "mux": pairs("Mux-Signature"),
    "cloudflare-stream": pairs("Webhook-Signature", "sig1", "time"), "coconut": TOKEN,
    "cloudconvert": hex256("CloudConvert-Signature"), "revai": in_header("Authorization"),
    "elevenlabs": pairs("ElevenLabs-Signature", "v0"), "bunny-stream": TOKEN,
    "github": hex256("X-Hub-Signature-256", "sha256="), "gitlab": in_header("X-Gitlab-Token"),
    "stripe": pairs("Stripe-Signature"),
    "shopify": lambda s, b, _u: {"X-Shopify-Hmac-Sha256": hmac_text(s, b, encoding="base64")},
    "slack": slack, "twilio": twilio, "standard-webhooks": listed("webhook-"), "svix": listed("svix-"), "tusd": TOKEN,
}  # fmt: skip

# preset, more headers, payload, id, status, outcome
PAYLOADS = [
    ("eachlabs", {}, {"id": "7d1c", "status": "COMPLETED", "size_bytes": 12}, "7d1c", "COMPLETED", "success"),
    ("eachlabs", {}, {"id": "7d1c", "status": "error", "error": "virus"}, "7d1c", "error", "error"),
    ("eachlabs", {}, {"data": {"id": "x9", "status": "processing"}}, "x9", "processing", "pending"),
    ("eachlabs-prediction", {}, {"exec_id": "e1", "status": "succeeded"}, "e1", "succeeded", "success"),
    ("eachlabs-prediction", {}, {"id": "e1", "status": "success"}, "e1", "success", "success"),
    ("eachlabs-prediction", {}, {"exec_id": "e1", "status": "failed"}, "e1", "failed", "error"),
    ("eachlabs-workflow", {}, {"execution_id": "w1", "status": "completed"}, "w1", "completed", "success"),
    ("eachlabs-workflow", {}, {"execution_id": "w1", "status": "failed"}, "w1", "failed", "error"),
    ("replicate", {}, {"id": "ufawqhf", "status": "succeeded", "output": ["u"]}, "ufawqhf", "succeeded", "success"),
    ("replicate", {}, {"id": "ufawqhf", "status": "failed"}, "ufawqhf", "failed", "error"),
    ("replicate", {}, {"id": "ufawqhf", "status": "processing"}, "ufawqhf", "processing", "pending"),
    ("openai", {}, {"id": "evt_1", "type": "response.completed", "data": {"id": "resp_1"}}, "resp_1", "completed",
     "success"),
    ("openai", {}, {"id": "evt_2", "type": "batch.expired", "data": {"id": "batch_1"}}, "batch_1", "expired", "error"),
    ("openai", {}, {"id": "evt_3", "type": "fine_tuning.job.succeeded", "data": {"id": "ft_1"}}, "ft_1", "succeeded",
     "success"),
    ("openai", {}, {"id": "evt_4", "type": "response.cancelled", "data": {"id": "r4"}}, "r4", "cancelled", "canceled"),
    ("assemblyai", {}, {"transcript_id": "5552493", "status": "completed"}, "5552493", "completed", "success"),
    ("assemblyai", {}, {"transcript_id": "5552493", "status": "error"}, "5552493", "error", "error"),
    ("runpod", {}, {"id": "r-1", "status": "COMPLETED", "output": 1}, "r-1", "COMPLETED", "success"),
    ("runpod", {}, {"id": "r-1", "status": "TIMED_OUT"}, "r-1", "TIMED_OUT", "error"),
    ("runpod", {}, {"id": "r-1", "status": "CANCELLED"}, "r-1", "CANCELLED", "canceled"),
    ("mux", {}, {"type": "video.asset.ready", "id": "ev", "data": {"id": "as1"}}, "as1", "video.asset.ready", "success"),
    ("mux", {}, {"type": "video.asset.errored", "data": {"id": "as1"}}, "as1", "video.asset.errored", "error"),
    ("cloudflare-stream", {}, {"uid": "u1", "status": {"state": "ready"}}, "u1", "ready", "success"),
    ("cloudflare-stream", {}, {"uid": "u1", "status": {"state": "error"}}, "u1", "error", "error"),
    ("coconut", {}, {"job_id": "OolQXaiU86NFki", "event": "job.completed"}, "OolQXaiU86NFki", "job.completed", "success"),
    ("coconut", {}, {"job_id": "OolQXaiU86NFki", "event": "job.failed"}, "OolQXaiU86NFki", "job.failed", "error"),
    ("cloudconvert", {}, {"event": "job.finished", "job": {"id": "c4"}}, "c4", "job.finished", "success"),
    ("cloudconvert", {}, {"event": "job.failed", "job": {"id": "c4"}}, "c4", "job.failed", "error"),
    ("revai", {}, {"job": {"id": "Umx5c6F7pH7r", "status": "transcribed"}}, "Umx5c6F7pH7r", "transcribed", "success"),
    ("revai", {}, {"job": {"id": "Umx5c6F7pH7r", "status": "failed"}}, "Umx5c6F7pH7r", "failed", "error"),
    ("bunny-stream", {}, {"VideoLibraryId": 133, "VideoGuid": "657bb740", "Status": 3}, "657bb740", "3", "success"),
    ("bunny-stream", {}, {"VideoLibraryId": 133, "VideoGuid": "657bb740", "Status": 5}, "657bb740", "5", "error"),
    ("bunny-stream", {}, {"VideoLibraryId": 133, "VideoGuid": "657bb740", "Status": 8}, "657bb740", "8", "error"),
    ("github", {"X-GitHub-Delivery": "72d3162e", "X-GitHub-Event": "ping"}, {"zen": "x"}, "72d3162e", None, "success"),
    ("gitlab", {"Idempotency-Key": "f5e5f430", "X-Gitlab-Event": "Push Hook"}, {"object_kind": "push"}, "f5e5f430", None,
     "success"),
    ("gitlab", {"X-Gitlab-Event-UUID": "13792a34"}, {"object_kind": "push"}, "13792a34", None, "success"),
    ("shopify", {"X-Shopify-Webhook-Id": "b54557e4", "X-Shopify-Topic": "orders/paid"}, {"id": 82}, "b54557e4", None,
     "success"),
    ("slack", {}, {"type": "event_callback", "event_id": "Ev123ABC"}, "Ev123ABC", None, "success"),
    ("elevenlabs", {}, {"type": "post_call_transcription", "data": {"conversation_id": "c7", "status": "done"}}, "c7",
     "done", "success"),
    ("elevenlabs", {}, {"type": "call_initiation_failure", "data": {"conversation_id": "c7"}}, "c7",
     "call_initiation_failure", "error"),
    ("stripe", {}, {"id": "evt_1", "object": "event", "type": "charge.failed"}, "evt_1", None, "success"),
    ("twilio", {}, "CallSid=CA12&CallStatus=completed&To=%2B18005551212", "CA12", "completed", "success"),
    ("twilio", {}, "CallSid=CA12&CallStatus=no-answer&To=%2B1800", "CA12", "no-answer", "error"),
    ("twilio", {}, "MessageSid=SM34&MessageStatus=delivered", "SM34", "delivered", "success"),
    ("twilio", {}, "MessageSid=SM34&MessageStatus=undelivered", "SM34", "undelivered", "error"),
    ("tusd", {}, {"Type": "post-finish", "Event": {"Upload": {"ID": "24e5"}}}, "24e5", "post-finish", "success"),
    ("tusd", {}, {"Type": "post-terminate", "Event": {"Upload": {"ID": "24e5"}}}, "24e5", "post-terminate", "error"),
]


@pytest.mark.parametrize("preset", sorted({p[0] for p in PAYLOADS}))
def test_payloads_of_the_sender(started, preset):
    d = started(preset)
    secret, signer = secret_of(preset), SIGNERS[preset]
    for number, (_, more, payload, id_, status, outcome) in enumerate(p for p in PAYLOADS if p[0] == preset):
        # each a job of its own: the first of its name is what counts
        text = json.dumps(payload) if isinstance(payload, dict) else payload
        text, mine = text.replace(id_, f"{id_}{number}"), f"{id_}{number}"
        more = {k: v.replace(id_, mine) for k, v in more.items()}
        body = text.encode()
        path = f"/callback/{preset}" + ("" if signer else "/" + quote(secret))
        headers = {"Content-Type": "application/json", **more}
        if signer:
            headers |= signer(secret, body, d.url + path)
        assert d.post(path, body, headers).status == 200, d.stderr
        job = d.job(preset, mine)
        assert job, (payload, d.stderr)
        assert (job["status"], job["outcome"]) == (status, outcome), payload
        assert job["payload"] == text

        # one bit of what proves it
        if signer is TOKEN:
            assert d.post(path[:-1] + "X", body, headers).status == 401
        elif "TokenHeader" in values_of(preset):
            assert d.post(path, body, {k: v.replace(secret, secret[:-1]) for k, v in headers.items()}).status == 401
        else:
            assert d.post(path, body.replace(b'"', b"'", 1) if b'"' in body else body + b"1", headers).status == 401


@pytest.mark.parametrize("preset", ["standard-webhooks", "svix"])
def test_the_message_id_is_the_job(started, preset):
    d = started(preset)
    body = b'{"type":"thing.done"}'
    headers = SIGNERS[preset](secret_of(preset), body, "")
    for deliveries in (1, 2):
        assert d.post(f"/callback/{preset}", body, headers).status == 200, d.stderr
        job = d.job(preset, "msg_1")
        assert (job["outcome"], job["status"], job["deliveries"]) == ("success", None, deliveries)
    stale = standard_webhooks(WHSEC, body, t=int(time.time()) - 400, prefix="svix-" if preset == "svix" else "webhook-")
    assert d.post(f"/callback/{preset}", body, stale).status == 401
    until(lambda: "timestamp is 6 min old, Tolerance=5min" in d.stderr, what="the reason in the log")


def multipart(fields):
    parts = "".join(
        f'--b0\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    )
    return parts + "--b0--\r\n", {"Content-Type": "multipart/form-data; boundary=b0"}


def test_transloadit(started):
    d = started("transloadit")
    for field, id_, outcome in (
        ('{"ok":"ASSEMBLY_COMPLETED","assembly_id":"a1"}', "a1", "success"),
        ('{"error":"INVALID_FILE","assembly_id":"a2"}', "a2", "error"),
    ):
        signature = hmac_text(secret_of("transloadit"), field, "sha384", prefix="sha384:")
        body, headers = multipart({"transloadit": field, "signature": signature})
        assert d.post("/callback/transloadit", body, headers).status == 200, d.stderr
        assert d.job("transloadit", id_)["outcome"] == outcome
        for bad in (body.replace("assembly_id", "assembly_ie"), body.replace("sha384:", "sha384:0")):
            assert d.post("/callback/transloadit", bad, headers).status == 401


def test_slack_gets_its_challenge_back(started):
    d = started("slack")
    body = b'{"type":"url_verification","challenge":"3eZbrw1aB","token":"x"}'
    answer = d.post("/callback/slack", body, slack(secret_of("slack"), body, ""))
    assert answer.status == 200 and b"3eZbrw1aB" in answer.body
    bad = d.post("/callback/slack", body + b" ", slack(secret_of("slack"), body, ""))
    assert (bad.status, b"3eZbrw1aB" in bad.body) == (401, False)


def test_twilio_signs_a_json_body_by_its_hash(started):
    d = started("twilio", "IdField=/id\nStatusField=\n")
    body = b'{"id":"j1"}'
    path = "/callback/twilio?bodySHA256=" + hashlib.sha256(body).hexdigest()
    headers = {"Content-Type": "application/json",
               "X-Twilio-Signature": hmac_text(secret_of("twilio"), d.url + path, "sha1", "base64")}  # fmt: skip
    assert d.post(path, body, headers).status == 200, d.stderr
    assert d.post(path, body + b" ", headers).status == 401
    assert base64.b64decode(headers["X-Twilio-Signature"])


def test_manual_speaks_of_every_preset():
    text = (TOP / "man" / "callbackd-senders.7").read_text(encoding="utf-8")
    for preset in NAMES:
        if preset == "generic":
            assert ".Ic callbackctl presets generic" in text
            continue
        check = f".Ic callbackctl verify {preset} ." if preset in PUBLIC else f".Ic callbackctl test {preset}\n"
        assert f".Ss {preset}\n" in text and check in text
