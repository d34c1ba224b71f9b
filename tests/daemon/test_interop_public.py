"""Senders with public keys: npm's libraries and Node's crypto sign, with keys that openssl made."""

import base64
import json
import subprocess

import pytest

from helpers import npm

BODY = json.dumps({"id": "evt_1", "status": "completed", "text": "h\u00e9 \u2603"}, ensure_ascii=False)
KINDS = {
    "ed25519": ["-algorithm", "ed25519"],
    "p256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "other": ["-algorithm", "ed25519"],
}
CLAIMS = {"iss": "https://issuer.example", "aud": ["x", "callbackd"], "sub": "s-1"}
JWT = "Verify=jwt\nIssuer=https://issuer.example\nAudience=callbackd\nSubject=s-1\n"
HTTP = "Preset=http-signature\n"
FIELDS = ["@method", "@target-uri", "content-digest"]
FAL = "Preset=fal\nKeysURL=\nIdField=/id\nSuccessValues=completed\n"

# the request for sign.mjs, the kind of key, how the public key is written, the source
CASES = {
    "jose-rs256": ({"library": "jose", "alg": "RS256", "claims": CLAIMS}, "rsa", "pem", JWT),
    "jose-es256": ({"library": "jose", "alg": "ES256", "claims": CLAIMS, "kid": "k"}, "p256", "pem", JWT),
    "jose-es256-jwks": ({"library": "jose", "alg": "ES256", "claims": CLAIMS, "kid": "k"}, "p256", "jwks", JWT),
    "http-ed25519": ({"library": "http-message-signatures", "alg": "ed25519", "fields": FIELDS}, "ed25519", "pem", HTTP),
    "http-ecdsa": ({"library": "http-message-signatures", "alg": "ecdsa-p256-sha256",
                    "fields": [*FIELDS, "@authority", "@path", "@query", "content-type"]}, "p256", "pem", HTTP),
    "http-rsa-pss": ({"library": "http-message-signatures", "alg": "rsa-pss-sha512", "fields": FIELDS,
                      "kid": "k"}, "rsa", "pem", HTTP),
    "http-hmac": ({"library": "http-message-signatures", "alg": "hmac-sha256", "fields": FIELDS,
                   "secret": "a shared secret"}, None, "secret", HTTP),
    "http-query": ({"library": "http-message-signatures", "alg": "ed25519", "fields": [*FIELDS, '@query-param;name="a"']},
                   "ed25519", "pem", HTTP + "CoveredComponents=@method @target-uri content-digest @query-param;name=a\n"),
    "discord-hex": ({"library": "discord"}, "ed25519", "hex", "Preset=discord\n"),
    "discord-pem": ({"library": "discord"}, "ed25519", "pem", "Preset=discord\n"),
    "discord-raw": ({"library": "discord"}, "ed25519", "raw", "Preset=discord\n"),
    "fal-base64": ({"library": "fal"}, "ed25519", "base64", FAL),
    "fal-jwks": ({"library": "fal"}, "ed25519", "jwks", FAL),
    "standard-v1a": ({"library": "standard-webhooks-v1a"}, "ed25519", "whpk",
                     "Preset=standard-webhooks\nIdField=/id\n"),
    "standard-v1a-ed25519": ({"library": "standard-webhooks-v1a"}, "ed25519", "whpk", "Verify=ed25519\n"),
}  # fmt: skip


@pytest.fixture(scope="session")
def libraries():
    return npm.install()


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    place = tmp_path_factory.mktemp("keys")
    for kind, how in KINDS.items():
        subprocess.run(["openssl", "genpkey", *how, "-out", place / kind], check=True, capture_output=True)
    return place


def openssl(*args):
    return subprocess.run(["openssl", *args], check=True, capture_output=True).stdout


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def public(path, form):
    """The public half, written as its owner might. The last bytes of its DER are the key's."""
    der = openssl("pkey", "-in", path, "-pubout", "-outform", "DER")
    raw = der[-32:]
    if form == "jwks":
        one = {"use": "sig", "kid": "k"}
        if len(der) > 80:
            one |= {"kty": "EC", "crv": "P-256", "x": base64url(der[-64:-32]), "y": base64url(raw), "alg": "ES256"}
        else:
            one |= {"kty": "OKP", "crv": "Ed25519", "x": base64url(raw)}
        return json.dumps({"keys": [{"kty": "oct", "k": "AAAA"}, one]}).encode()
    return {
        "pem": openssl("pkey", "-in", path, "-pubout"),
        "raw": raw,
        "hex": raw.hex().encode() + b"\n",
        "base64": base64.b64encode(raw) + b"\n",
        "whpk": b"whpk_" + base64.b64encode(raw) + b"\n",
    }[form]


def changed(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", CASES)
def test_library_signs_and_callbackd_takes_it(run_daemon, libraries, keys, case):
    request, kind, form, lines = CASES[case]
    key = b"a shared secret\n" if kind is None else public(keys / kind, form)
    d = run_daemon(f"[Source s]\n{lines}SecretFile=key\n", files={"key": key})
    target = "/callback/s?a=b%20c&d=1"
    request = {**request, "id": "msg_1", "url": d.url + target, "body": BODY}
    if kind:
        request["key"] = (keys / kind).read_text()
    (signed,) = npm.sign(libraries, request)
    headers = {"Content-Type": "application/json", **signed["headers"]}
    raw = BODY.encode()

    assert d.post(target, raw, headers).status == 200, d.stderr
    (job,) = d.control("GET", "/v1/jobs").json["jobs"]
    assert (job["id"], job["outcome"]) == ("evt_1", "success")
    if request["library"] != "jose":  # a token does not cover the body
        for at in (0, len(raw) // 2, len(raw) - 1):
            assert d.post(target, changed(raw, at), headers).status == 401, at
    # and one byte of what proves it: a signature, an id, a time, a token
    for name in signed["headers"]:
        value = signed["headers"][name]
        if name.lower() == "content-type":
            continue
        middle = len(value) // 2
        other = value[:middle] + ("0" if value[middle] != "0" else "1") + value[middle + 1 :]
        assert d.post(target, raw, {**headers, name: other}).status == 401, name
        assert d.post(target, raw, {k: v for k, v in headers.items() if k != name}).status == 401, name
    if request["library"] == "http-message-signatures":
        assert d.post(target.replace("d=1", "d=2"), raw, headers).status == 401
    assert d.control("GET", "/v1/jobs").json["jobs"][0]["deliveries"] == 1

    if kind == "ed25519":  # another's key, the same message
        (forged,) = npm.sign(libraries, {**request, "key": (keys / "other").read_text()})
        assert d.post(target, raw, {**headers, **forged["headers"]}).status == 401


def test_keys_of_a_url_are_waited_for_and_nothing_is_taken_without(run_daemon):
    """Nobody answers there: a signature that only those keys could judge is not refused for good."""
    d = run_daemon("[Source s]\nVerify=ed25519\nKeysURL=http://127.0.0.1:1/jwks\n")
    assert d.post("/callback/s", b"{}", {"X-Signature": "00" * 64}).status == 503, d.stderr
    assert d.post("/callback/s", b"{}", {"X-Signature": "00"}).status == 401
    assert d.post("/callback/s", b"{}", {}).status == 401
    assert d.control("GET", "/v1/jobs").json["jobs"] == []
