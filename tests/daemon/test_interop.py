"""Code that nobody here wrote signs, callbackd takes it; one byte changed, it does not."""

import json
from urllib.parse import urlencode, urlsplit

import pytest

from helpers import npm

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = json.dumps({"id": "evt_1", "type": "thing.done", "data": {"id": "d1", "text": "h\u00e9 \u2603"}}, ensure_ascii=False)
FORM = {"CallSid": "CA1234567890ABCDE", "CallStatus": "completed", "From": "+14158675309", "Text": "a b&c=d\u00e9"}

# library, preset, secret, body (a dict: a form), more of the source
CASES = {
    "standardwebhooks": ("standardwebhooks", "standard-webhooks", WHSEC, BODY, "IdField=/id\nStatusField=\n"),
    "svix": ("svix", "svix", WHSEC, BODY, "IdField=/id\nStatusField=\n"),
    "stripe": ("stripe", "stripe", "whsec_of-stripe-is-no-base64", BODY, ""),
    "octokit": ("octokit", "github", "It's a Secret to Everybody", BODY, ""),
    "twilio-form": ("twilio", "twilio", "auth-token-0815", FORM, ""),
    "twilio-json": ("twilio", "twilio", "auth-token-0815", BODY, "IdField=/id\nStatusField=\n"),
}


@pytest.fixture(scope="session")
def libraries():
    return npm.install()


def changed(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", CASES)
def test_library_signs_and_callbackd_takes_it(run_daemon, libraries, case):
    library, preset, secret, body, more = CASES[case]
    d = run_daemon(f"[Source s]\nPreset={preset}\nSecretFile=secret\n{more}", files={"secret": secret + "\n"})
    form = body if isinstance(body, dict) else None
    text = urlencode(form) if form else body
    request = {"library": library, "secret": secret, "id": "msg_1", "url": d.url + "/callback/s?a=1", "body": text,
               "form": form}  # fmt: skip
    (signed,) = npm.sign(libraries, request)
    url = urlsplit(signed["url"] if library == "twilio" else "/callback/s")
    target = url.path + (f"?{url.query}" if url.query else "")
    raw = text.encode()
    content = "application/x-www-form-urlencoded" if form else "application/json"
    headers = {"Content-Type": content, **signed["headers"]}
    if preset == "github":
        headers["X-GitHub-Delivery"] = "delivery-1"

    assert d.post(target, raw, headers).status == 200, d.stderr
    assert len(d.control("GET", "/v1/jobs").json["jobs"]) == 1
    job = d.control("GET", "/v1/jobs").json["jobs"][0]
    assert (job["id"], job["outcome"]) == (
        "CA1234567890ABCDE" if form else "delivery-1" if preset == "github" else "evt_1", "success")  # fmt: skip

    for at in (0, len(raw) // 2, len(raw) - 1):
        assert d.post(target, changed(raw, at), headers).status == 401, at
    # and one byte of what proves it: a signature, an id, a time
    for name in signed["headers"]:
        value = signed["headers"][name]
        middle = len(value) // 2
        # a digit for a letter or another digit: "a" and "A" are the same in hex
        other = value[:middle] + ("0" if value[middle] != "0" else "1") + value[middle + 1 :]
        assert d.post(target, raw, {**headers, name: other}).status == 401, name
    if library == "twilio":
        assert d.post(target.replace("a=1", "a=2"), raw, headers).status == 401
    assert d.control("GET", "/v1/jobs").json["jobs"][0]["deliveries"] == 1
    assert secret not in d.stderr
