"""No 2xx without a covering fdatasync; no accepted callback lost, no hook forgotten."""

import http.client
import json
import os
import random
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from helpers import hmac_hex, until

SOURCE = "[Source s]\nVerify=hmac\nSecretFile=secret\n"
FILES = {"secret": "s3cret\n"}
FULL = bool(os.environ.get("FULL"))


def post(connection, id):
    body = json.dumps({"id": id, "status": "completed"})
    connection.request("POST", "/callback/s", body, hmac_hex("s3cret", body))
    reply = connection.getresponse()
    reply.read()
    return reply.status


CALL = re.compile(r"^(\d+)\s+(?:(\w+)\((.*)|<\.\.\. (\w+) resumed>(.*))")
READS = ("read", "readv", "recv", "recvfrom", "recvmsg")
WRITES = ("write", "writev", "send", "sendto", "sendmsg")


def judge(trace):
    """
    (answers, bad): how many 200s were written, and those written before an fdatasync returned
    that began after the request was read from its connection.
    """
    read_at, synced, unfinished = {}, 0, {}
    answers = bad = 0
    for number, line in enumerate(trace, 1):
        m = CALL.match(line)
        if not m:
            continue
        pid, call, rest = m[1], m[2] or m[4], m[3] or m[5] or ""
        if m[2]:
            begun, fd = number, rest.split(",", 1)[0].split(" ", 1)[0].rstrip(")")
            if "<unfinished ...>" in rest:
                unfinished[pid] = (begun, fd)
        else:
            begun, fd = unfinished.pop(pid, (0, None))
        if call == "fdatasync" and rest.endswith("= 0"):
            synced = max(synced, begun)
        elif call in READS and "POST /callback" in rest:
            read_at[fd] = number
        elif call in WRITES and "HTTP/1.1 200" in rest:
            answers += 1
            # A request that was never seen read counts as bad: nobody can vouch for it.
            bad += synced <= read_at.get(fd, number)
    return answers, bad


def trace_of(d, n, connections=4):
    """What strace sees of n callbacks over some connections."""
    path = os.path.join(d.directory, "trace")
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-s", "64", "-o", path, "-p", str(d.process.pid),
         "-e", "trace=fdatasync,fsync,read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    # Every thread must be traced before the first callback: the writer's syncs are what counts.
    tasks = Path(f"/proc/{d.process.pid}/task")
    traced = f"TracerPid:\t{tracer.pid}\n"
    try:
        until(lambda: all(traced in (t / "status").read_text() for t in tasks.iterdir()))
    except AssertionError:
        tracer.kill()
        pytest.skip("strace cannot attach here: " + tracer.communicate()[1])

    def client(k):
        c = http.client.HTTPConnection("127.0.0.1", d.port, timeout=30)
        for i in range(n // connections):
            assert post(c, f"t{k}-{i}") == 200

    threads = [threading.Thread(target=client, args=(k,)) for k in range(connections)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    tracer.terminate()
    tracer.wait()
    with open(path, errors="replace") as trace:
        return trace.read().splitlines()


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_no_answer_before_a_covering_fdatasync(run_daemon):
    d = run_daemon(SOURCE, files=FILES)
    answers, bad = judge(trace_of(d, 1000))
    assert answers == 1000
    assert bad == 0


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_the_judge_sees_a_store_that_does_not_sync(run_daemon):
    """The same trace with its fdatasyncs taken out, and one that came too early, must be found bad."""
    d = run_daemon(SOURCE, files=FILES)
    trace = trace_of(d, 40, connections=1)
    without = [line for line in trace if "fdatasync" not in line]
    assert judge(without) == (40, 40)
    early = ['1 fdatasync(9) = 0', '1 read(7, "POST /callback/s HTTP/1.1", 99) = 99', '1 writev(7, [{"HTTP/1.1 200 OK"}], 1) = 9']
    assert judge(early) == (1, 1)
    during = ['2 fdatasync(9 <unfinished ...>', '1 read(7, "POST /callback/s HTTP/1.1", 99) = 99',
              '2 <... fdatasync resumed>) = 0', '1 writev(7, [{"HTTP/1.1 200 OK"}], 1) = 9']  # fmt: skip
    assert judge(during) == (1, 1)
    torn = ['1 read(7,  <unfinished ...>', '2 futex(1) = 0', '1 <... read resumed>"POST /callback/s HTTP/1.1", 99) = 99',
            '2 fdatasync(9 <unfinished ...>', '1 epoll_wait(3) = 0', '2 <... fdatasync resumed>) = 0',
            '1 writev(7, [{"HTTP/1.1 200 OK"}], 1) = 9']  # fmt: skip
    assert judge(torn) == (1, 0)


@pytest.mark.timeout(300)
def test_kill_9_loses_nothing(run_daemon, tmp_path):
    """Clients post while the daemon is killed at random moments: what was answered 200 is there, its hook ran."""
    ran = tmp_path / "ran"
    ran.mkdir()
    config = SOURCE + (
        f"[Hook h]\nExec=/bin/sh -c 'echo >>{ran}/\"$CALLBACK_ID\"'\nMaxConcurrent=8\nRetryDelay=10ms\n"
    )
    d = run_daemon(config, files=FILES)
    accepted, stop = [], threading.Event()

    def client(k):
        i = 0
        while not stop.is_set():
            c = http.client.HTTPConnection("127.0.0.1", d.port, timeout=10)
            try:
                while not stop.is_set():
                    i += 1
                    if post(c, f"c{k}-{i}") == 200:
                        accepted.append(f"c{k}-{i}")
            except (OSError, http.client.HTTPException):
                pass
            finally:
                c.close()

    threads = [threading.Thread(target=client, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    kills = 200 if FULL else 30
    for _ in range(kills):
        time.sleep(random.uniform(0.02, 0.25))
        d.kill9()
        d.start()
    stop.set()
    for t in threads:
        t.join()
    assert len(accepted) > kills
    until(lambda: not set(accepted) - set(os.listdir(ran)), 120, "an accepted callback whose hook never ran")
    for id in random.sample(accepted, min(len(accepted), 200)):
        assert d.job("s", id)["outcome"] == "success"
    until(d.is_quiet, 60)
    assert d.runs("?state=dead") == []


def test_low_disk_is_503_and_told_and_over_when_it_is(run_daemon):
    d = run_daemon(SOURCE, files=FILES)
    body = '{"id":"j","status":"completed"}'

    def send():
        return d.post("/callback/s", body, hmac_hex("s3cret", body))

    d.configure(SOURCE, daemon="MinFreeBytes=900T")
    assert d.ctl("reload").returncode == 0
    answer = until(lambda: (a := send()).status == 503 and a)
    assert int(answer.headers["Retry-After"]) > 0
    until(lambda: d.request("GET", "/healthz").status == 503)
    assert "MinFreeBytes=" in d.control("GET", "/v1/status").json["last_error"]["error"]
    for _ in range(3):
        assert send().status == 503
    d.configure(SOURCE, daemon="MinFreeBytes=0")
    assert d.ctl("reload").returncode == 0
    until(lambda: send().status == 200)
    assert d.request("GET", "/healthz").status == 200
    assert d.stop() == 0
    assert d.stderr.count("The store cannot commit") == 1
    assert d.stderr.count("The store commits again") == 1


@pytest.mark.parametrize("away", ["removed", "renamed"])
def test_a_store_without_a_name_answers_nothing(run_daemon, away):
    """What is written to a file that nobody can open again is not recorded."""
    d = run_daemon(SOURCE, files=FILES)
    if away == "removed":
        shutil.rmtree(d.state)
    else:
        os.rename(d.state, d.state + ".old")
    body = '{"id":"j","status":"completed"}'
    try:
        assert d.post("/callback/s", body, hmac_hex("s3cret", body)).status == 503
    except (OSError, http.client.HTTPException):
        pass
    assert d.wait() == 74
