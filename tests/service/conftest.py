"""One booted container for all tests of this directory, or the plain word why not."""
import os
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from container import TOP, Container, Unavailable, base_root  # noqa: E402

B = os.environ.get("B") or os.path.join(TOP, "build")
SECRET = "a secret of the test, known to both sides"

CONFIG = """\
[Daemon]
Listen=127.0.0.1:8080
MaxConcurrent=8
LogLevel=info

[Source demo]
Verify=hmac
SecretFile=demo.secret
SignaturePrefix=sha256=

[Source chatty]
Verify=hmac
SecretFile=demo.secret
SignaturePrefix=sha256=

[Source family]
Verify=hmac
SecretFile=demo.secret
SignaturePrefix=sha256=

[Source hidden]
Verify=hmac
SecretFile=demo.secret
SignaturePrefix=sha256=

[Source flood]
Verify=hmac
SecretFile=demo.secret
SignaturePrefix=sha256=

[Hook publish]
Source=demo
Exec=/usr/local/bin/publish

[Hook talk]
Source=chatty
Exec=/usr/local/bin/talk

[Hook family]
Source=family
Exec=/usr/local/bin/family
RetryDelay=1s

[Hook hidden]
Source=hidden
Exec=/usr/local/bin/hidden
Timeout=2s
KillAfter=1s
Retries=0
"""

# Each writes what it saw into the state directory, its working directory.
HOOKS = {
    "publish": 'echo "publishing $CALLBACK_ID"\necho "$CALLBACK_ID" >>published\n',
    # More lines than any queue holds.
    "talk": "i=0\nwhile [ $i -lt 60000 ]; do echo \"line $i\"; i=$((i+1)); done\n",
    # A child in its group, one in a session of its own, one that forgot where it is from.
    # The second attempt is at peace.
    "family": 'echo "$CALLBACK_ATTEMPT" >>attempts\n'
              '[ "$CALLBACK_ATTEMPT" = 1 ] || exit 0\n'
              "/bin/sleep 4241 &\nsetsid /bin/sleep 4242 &\n"
              "setsid env -i /bin/sleep 4243 &\nwait\n",
    "hidden": "setsid env -i /bin/sleep 4251 >/dev/null 2>&1 &\n/bin/sleep 4252\n",
}


def boot():
    if os.geteuid() != 0:
        raise Unavailable("a container needs root")
    for program in ("systemd-nspawn", "mmdebstrap", "nsenter"):
        if not shutil.which(program):
            raise Unavailable(f"no {program} here")
    container = Container(base_root(os.path.join(B, "callbackd")))
    try:
        subprocess.run(["make", "-s", "-C", TOP, "-o", "all", "install", "prefix=/usr", f"B={B}",
                        f"DESTDIR={container.root}"], check=True, stdout=subprocess.DEVNULL)
        container.write("/etc/callbackd/callbackd.conf", CONFIG)
        for name, text in HOOKS.items():
            container.write(f"/usr/local/bin/{name}", "#!/bin/sh\n" + text, 0o755)
        container.boot()
    except BaseException:
        container.close()
        raise
    return container


@pytest.fixture(scope="session")
def booted():
    try:
        container = boot()
    except Unavailable as e:
        pytest.skip(f"container tests: {e}")
    yield container
    container.close()


@pytest.fixture
def service(booted):
    """The container with the service enabled and running, whatever the test before did."""
    if not os.path.exists(booted.path("/etc/callbackd/demo.secret")):
        booted.write("/etc/callbackd/demo.secret", SECRET + "\n", 0o640, group="callbackd")
        booted.run("journalctl", "--update-catalog")
        booted.run("systemctl", "enable", "--now", "callbackd.service")
    booted.write("/etc/callbackd/callbackd.conf", CONFIG)
    booted.run("systemctl", "reset-failed")
    booted.run("systemctl", "start", "callbackd.service", timeout=30)
    return booted
