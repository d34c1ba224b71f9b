"""The senders' own libraries and an S3, installed by npm from the committed lockfile; see tests/interop."""

import json
import os
import shutil
import subprocess
import tempfile

import pytest

from .daemon import TOP, build_directory

SOURCE = TOP / "tests" / "interop"
SCRIPTS = ("sign.mjs", "s3.mjs")
FILES = ("package.json", "package-lock.json", *SCRIPTS)
# What npm says when it is the network that is missing, and not the test that is wrong.
NO_NETWORK = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH",
              "ERR_SOCKET_TIMEOUT", "network", "E50", "ENOTCACHED")  # fmt: skip


def _node():
    for program in ("node", "npm"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < 18:
        pytest.skip(f"node {version} is too old, 18 is needed")


def install():
    """The directory with the script and its libraries, made once per lockfile. Skips without npm or network."""
    _node()
    place = build_directory() / "interop"
    done = place / "package-lock.json"
    if not done.exists() or done.read_bytes() != (SOURCE / "package-lock.json").read_bytes():
        with tempfile.TemporaryDirectory(dir=build_directory(), prefix="interop-") as new:
            for name in FILES:
                shutil.copy(SOURCE / name, new)
            npm = subprocess.run(
                ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline",
                 "--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=60000"],
                cwd=new, capture_output=True, text=True, timeout=240, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            if npm.returncode:
                if any(word in npm.stderr for word in NO_NETWORK):
                    pytest.skip("npm cannot reach its registry")
                raise AssertionError(f"npm ci failed:\n{npm.stderr}")
            shutil.rmtree(place, ignore_errors=True)
            os.rename(new, place)
            os.mkdir(new)  # for the context manager to remove
    for name in SCRIPTS:
        shutil.copy(SOURCE / name, place)
    return place


def sign(directory, *requests):
    """Each request's headers and URL, by the library it names."""
    node = subprocess.run(
        ["node", "sign.mjs"], cwd=directory, input=json.dumps(requests), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert node.returncode == 0, node.stderr
    return json.loads(node.stdout)


class S3:
    """tests/interop/s3.mjs: an S3 that stores what a presigned URL of version 4 lets in."""

    KEY = ("S3RVER", "S3RVER")
    BUCKET = "uploads"

    def __init__(self, libraries, directory):
        self._process = subprocess.Popen(
            ["node", "s3.mjs", str(directory), self.BUCKET], cwd=libraries, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        line = self._process.stdout.readline()
        assert line, "s3.mjs did not start"
        self.address = f"127.0.0.1:{int(line)}"

    def close(self):
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()
