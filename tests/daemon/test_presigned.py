"""callbackctl upload against an S3: the URL is signed here, by the book (version 4, query parameters),
and verified by code that nobody here wrote. The headers sent are what the signature covers."""

import hashlib
import hmac
import http.client
import os
import subprocess
from datetime import datetime, timedelta, timezone
from urllib.parse import quote

import pytest

from fake_control import FakeControl
from helpers import build_directory, npm

REQUIRED = {
    "Content-Type": "video/mp4",
    "x-amz-meta-file-id": "0b54c1a6-30a5-4a67-9f5f-1f1a0e1d9a11",
    "x-amz-meta-expires-at": "2026-09-01T10:00:00.000Z",
    "x-amz-tagging": "uploader=customer&ttl_days=30",
}
DATA = os.urandom(100_000)


def presign(method, host, path, headers, key, when=None, expires=900, region="us-east-1"):
    """Authenticating Requests: Using Query Parameters (AWS Signature Version 4), step by step."""
    access, secret = key
    when = when or datetime.now(timezone.utc)
    stamp, scope = f"{when:%Y%m%dT%H%M%SZ}", f"{when:%Y%m%d}/{region}/s3/aws4_request"
    lower = {"host": host, **{name.lower(): " ".join(value.split()) for name, value in headers.items()}}
    names = ";".join(sorted(lower))
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{access}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(expires),
        "X-Amz-SignedHeaders": names,
    }
    encoded = "&".join(f"{quote(k, safe='')}={quote(query[k], safe='')}" for k in sorted(query))
    canonical = "".join(f"{name}:{lower[name]}\n" for name in sorted(lower))
    request = "\n".join([method, quote(path), encoded, canonical, names, "UNSIGNED-PAYLOAD"])
    content = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    signing = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        signing = hmac.new(signing, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(signing, content.encode(), hashlib.sha256).hexdigest()
    return f"http://{host}{quote(path)}?{encoded}&X-Amz-Signature={signature}"


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    server = npm.S3(npm.install(), tmp_path_factory.mktemp("s3"))
    yield server
    server.close()


@pytest.fixture
def control(tmp_path):
    fake = FakeControl(str(tmp_path / "control.sock"))
    fake.routes[("DELETE", "/v1/jobs/src/u1")] = (200, {})
    yield fake
    fake.close()


def initiate(control, url, required=None):
    control.routes[("POST", "/v1/uploads")] = (200, {
        "source": "src", "id": "u1", "upload_url": url, "public_url": "https://cdn.example/u1", "status": "PENDING",
        "required_headers": REQUIRED if required is None else required,
    })  # fmt: skip


def upload(control, tmp_path):
    (tmp_path / "clip.mp4").write_bytes(DATA)
    return subprocess.run(
        [build_directory() / "callbackctl", "-s", control.path, "upload", "--detach", str(tmp_path / "clip.mp4")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def stored(s3, path):
    """What is there, by a presigned GET: (status, body, headers)."""
    url = presign("GET", s3.address, path, {}, s3.KEY)
    connection = http.client.HTTPConnection(s3.address, timeout=20)
    try:
        connection.request("GET", url.removeprefix(f"http://{s3.address}"))
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


@pytest.mark.timeout(300)
def test_what_was_signed_is_taken_and_stored(s3, control, tmp_path):
    path = "/uploads/a folder/clip+1.mp4"
    initiate(control, presign("PUT", s3.address, path, REQUIRED, s3.KEY))
    done = upload(control, tmp_path)
    assert done.returncode == 0, done.stderr
    status, body, headers = stored(s3, path)
    assert (status, body) == (200, DATA)
    assert headers["Content-Type"] == "video/mp4" and headers["x-amz-meta-file-id"] == REQUIRED["x-amz-meta-file-id"]


CHANGES = [
    *(("missing", name) for name in REQUIRED),
    *(("altered", name) for name in REQUIRED),
    ("added", "x-amz-acl"),
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("change,name", CHANGES)
def test_one_header_otherwise_is_refused_and_told(s3, control, tmp_path, change, name):
    sent = dict(REQUIRED)
    if change == "missing":
        del sent[name]
    else:
        sent[name] = sent.get(name, "public-read") + ("x" if change == "altered" else "")
    path = f"/uploads/{change}-{name}"
    url = presign("PUT", s3.address, path, REQUIRED, s3.KEY)
    initiate(control, url, sent)
    done = upload(control, tmp_path)
    assert done.returncode == 76 and "403" in done.stderr and not done.stdout
    code = "AccessDenied" if change == "added" else "SignatureDoesNotMatch"
    assert code in done.stderr
    assert f"(headers sent: {', '.join(sent)})" in done.stderr
    # names are no secret; values and the URL's signature may be
    assert url.rsplit("=", 1)[1] not in done.stderr and "ttl_days" not in done.stderr
    assert stored(s3, path)[0] == 404
    assert ("DELETE", "/v1/jobs/src/u1", b"") in control.asked  # nobody waits for what cannot come


@pytest.mark.timeout(300)
@pytest.mark.parametrize("wrong", ["signature", "secret", "path", "method"])
def test_the_s3_does_verify(s3, control, tmp_path, wrong):
    """Else the tests above would show nothing."""
    path = f"/uploads/wrong-{wrong}"
    key = (s3.KEY[0], "another") if wrong == "secret" else s3.KEY
    method = "GET" if wrong == "method" else "PUT"
    url = presign(method, s3.address, path, REQUIRED, key)
    if wrong == "signature":
        url = url[:-1] + ("0" if url[-1] != "0" else "1")
    elif wrong == "path":
        url = url.replace(path, path + "2")
    initiate(control, url)
    done = upload(control, tmp_path)
    assert done.returncode == 76 and "SignatureDoesNotMatch" in done.stderr


@pytest.mark.timeout(300)
def test_a_url_that_is_too_old_is_initiated_anew(s3, control, tmp_path):
    old = datetime.now(timezone.utc) - timedelta(hours=1)
    urls = [presign("PUT", s3.address, "/uploads/again", REQUIRED, s3.KEY, when=w) for w in (old, None)]
    answer = {"source": "src", "id": "u1", "public_url": "p", "required_headers": REQUIRED}
    control.routes[("POST", "/v1/uploads")] = lambda h, b, q: h.answer(200, {**answer, "upload_url": urls.pop(0)})
    done = upload(control, tmp_path)
    assert done.returncode == 0 and urls == [] and "expired" in done.stderr
    assert stored(s3, "/uploads/again")[:2] == (200, DATA)
