"""
When a run starts: order within a job, intervals, rates, shares of the slots, hooks that fail, pauses.
Times are those the daemon noted. FULL=1: the numbers of the issue.
"""

import http.client
import json
import os
import re
import shlex
import subprocess
import threading
import time
from datetime import datetime

import pytest

from helpers import until
from helpers.crowd import cpu_seconds

FULL = bool(os.environ.get("FULL"))
SOURCE = "[Source s]\nVerify=none\n"


def send(d, id, status="completed", source="s"):
    assert d.post(f"/callback/{source}", {"id": id, "status": status}).status == 200


def send_many(d, ids, source="s", per_second=None):
    c = http.client.HTTPConnection("127.0.0.1", d.port, timeout=20)
    began = time.monotonic()
    for i, id in enumerate(ids):
        if per_second:
            time.sleep(max(0.0, began + i / per_second - time.monotonic()))
        c.request("POST", f"/callback/{source}", json.dumps({"id": id, "status": "completed"}))
        reply = c.getresponse()
        reply.read()
        assert reply.status == 200
    c.close()


def at(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def all_runs(d, query=""):
    found, after = [], ""
    while True:
        page = d.control("GET", f"/v1/runs?limit=1000{query}{after}").json
        found += page["runs"]
        if page["next"] is None:
            return found
        after = f"&after={page['next']}"


def counts(d):
    return d.control("GET", "/v1/status").json["runs"]


def is_over(d):
    n = counts(d)  # of one commit: what goes from waiting to running is not missed
    return n["waiting"] + n["running"] == 0


def wait_until_over(d, timeout=20):
    until(lambda: is_over(d), timeout)


def hook_of(d, name="h"):
    return next(h for h in d.control("GET", "/v1/status").json["hooks"] if h["name"] == name)


class Diary:
    """A hook that notes when it begins and ends: one line each, in one file, by one write."""

    def __init__(self, directory, body="sleep 0.05"):
        self.path = directory / "diary"
        self.path.touch()
        self.exec = directory / "hook"
        self.exec.write_text(
            f'#!/bin/sh\necho "begin $CALLBACK_ID $CALLBACK_STATUS $CALLBACK_ATTEMPT" >>{self.path}\n{body}\n'
            f'echo "end $CALLBACK_ID $CALLBACK_STATUS $CALLBACK_ATTEMPT" >>{self.path}\n'
        )
        self.exec.chmod(0o700)

    def lines(self):
        return [line.split() for line in self.path.read_text().splitlines()]

    def begun(self, id):
        return [line[2] for line in self.lines() if line[0] == "begin" and line[1] == id]


# ---- Serialize=


def test_runs_of_a_job_follow_each_other(run_daemon, tmp_path):
    diary = Diary(tmp_path)
    d = run_daemon(SOURCE + f"[Hook h]\nExec={diary.exec}\nOn=pending\nSerialize=yes\nMaxConcurrent=8\n")
    for word in ("p1", "p2", "p3", "p4"):
        for job in ("a", "b", "c"):
            send(d, job, word)
    wait_until_over(d)
    lines = diary.lines()
    for job in ("a", "b", "c"):
        own = [line[0] + line[2] for line in lines if line[1] == job]
        assert own == [what + word for word in ("p1", "p2", "p3", "p4") for what in ("begin", "end")]
    # Others of the hook are not held back.
    busy, most = 0, 0
    for what, *_ in lines:
        busy += 1 if what == "begin" else -1
        most = max(most, busy)
    assert most >= 2


def test_one_that_waits_for_its_retry_holds_its_job_back(run_daemon, tmp_path):
    fails = tmp_path / "fails"
    fails.touch()
    diary = Diary(tmp_path, f'if [ "$CALLBACK_ID$CALLBACK_STATUS" = ap1 ] && [ -e {fails} ]; then exit 1; fi')
    config = SOURCE + f"[Hook h]\nExec={diary.exec}\nOn=pending\nSerialize=yes\nRetries=1000\nRetryDelay=100ms\nRetryDelayMax=200ms\n"
    d = run_daemon(config)
    send(d, "a", "p1")
    until(lambda: len(diary.begun("a")) >= 2)
    send(d, "a", "p2")
    send(d, "b", "p1")
    until(lambda: diary.begun("b"))
    # Over a restart in order, and over one that is not.
    d.restart()
    until(lambda n=len(diary.begun("a")): len(diary.begun("a")) > n)
    d.kill9()
    d.start()
    until(lambda n=len(diary.begun("a")): len(diary.begun("a")) > n)
    assert set(diary.begun("a")) == {"p1"}
    fails.unlink()
    wait_until_over(d)
    assert diary.begun("a")[-1] == "p2" and diary.begun("a").count("p2") == 1
    # A replay is one more of its job, and waits for the others.
    first, done = d.job("s", "a")["runs"]
    fails.touch()
    n = len(diary.begun("a"))
    assert d.ctl("replay", first["run"]).returncode == 0
    until(lambda: len(diary.begun("a")) > n)
    assert d.ctl("replay", done["run"]).returncode == 0
    until(lambda: len(diary.begun("a")) > n + 2)
    assert set(diary.begun("a")[n:]) == {"p1"}
    fails.unlink()
    wait_until_over(d)
    assert diary.begun("a")[-1] == "p2"


def test_serialize_holds_over_a_stop(run_daemon, tmp_path):
    go = tmp_path / "go"
    diary = Diary(tmp_path, f"until [ -e {go} ]; do sleep 0.02; done")
    d = run_daemon(
        SOURCE + f"[Hook h]\nExec={diary.exec}\nOn=pending\nSerialize=yes\nKillAfter=1s\n", daemon="StopTimeout=0"
    )
    send(d, "a", "p1")
    until(lambda: diary.begun("a"))
    send(d, "a", "p2")
    send(d, "a", "p3")
    d.restart()
    until(lambda: len(diary.begun("a")) == 2)
    go.touch()
    wait_until_over(d)
    assert diary.begun("a") == ["p1", "p1", "p2", "p3"]
    assert {r["attempt"] for r in all_runs(d)} == {1}


def test_who_steps_up_while_a_claim_is_under_way_is_not_forgotten(run_daemon):
    """With a rate one claim waits for the other; the one under way saw the second run behind the first."""
    d = run_daemon(SOURCE + "[Hook h]\nExec=/bin/true\nOn=pending\nSerialize=yes\nRateLimit=10000/1s\n")
    for i in range(100):
        send(d, f"j{i}", "p1")
        send(d, f"j{i}", "p2")
        wait_until_over(d, 10)


# ---- MinInterval=


def test_what_waits_is_merged(run_daemon, recorder):
    d = run_daemon(SOURCE + f"[Hook h]\nExec={recorder.exec}\nMinInterval=1s\n")
    send(d, "j0")
    recorder.wait(1)
    for i in range(1, 8):
        send(d, f"j{i}")
    wait_until_over(d)
    last = recorder.all()[-1]
    runs = {r["id"]: r for r in all_runs(d)}
    ran = {r.RUN for r in recorder.all()}
    assert len(ran) == len(recorder.all()) and last.ID == "j7" and last.payload == b'{"id": "j7", "status": "completed"}'
    assert {r["state"] for r in runs.values()} == {"done"}
    merged = [r for r in runs.values() if r["run"] not in ran]
    assert len(merged) >= 5
    for r in merged:  # each names one that ran, or one that was merged itself
        assert r["reason"].removeprefix("merged into ") in {x["run"] for x in runs.values()}, r
        assert r["started"] is None
    starts = sorted(at(r["started"]) for r in runs.values() if r["run"] in ran)
    assert all(b - a >= 1.0 for a, b in zip(starts, starts[1:])), starts
    (told,) = [h for h in d.job("s", merged[0]["id"])["hooks"] if h["hook"] == "h"]
    assert "merged into" in told["why"]
    assert "merged into" in d.ctl("show", f"s/{merged[0]['id']}").stdout
    assert d.stderr.count("does not start for") == len(merged)


@pytest.mark.parametrize("end", ["restart", "kill9"])
def test_the_interval_survives(run_daemon, recorder, end):
    d = run_daemon(SOURCE + f"[Hook h]\nExec={recorder.exec}\nMinInterval=2s\n")
    send(d, "a")
    recorder.wait(1)
    wait_until_over(d)
    if end == "restart":
        d.restart()
    else:
        d.kill9()
        d.start()
    send(d, "b")
    recorder.wait(2)
    wait_until_over(d)
    a, b = sorted(at(r["started"]) for r in all_runs(d))
    assert b - a >= 2.0 - 0.05  # a crash loses the moment between commit and start


# ---- RateLimit=


def test_a_rate_is_kept_and_nothing_merged(run_daemon):
    d = run_daemon(SOURCE + "[Hook h]\nExec=/bin/true\nMaxConcurrent=16\nRateLimit=4/1s\n")
    send_many(d, [f"j{i}" for i in range(10)])
    wait_until_over(d)
    runs = all_runs(d)
    assert len(runs) == 10 and all(r["exit_status"] == 0 for r in runs)
    starts = sorted(at(r["started"]) for r in runs)
    # A burst of 4, then one each 250 ms. A start may be late, and the first one, too.
    for i, start in enumerate(starts):
        assert start - starts[0] >= max(0, i - 3) * 0.25 - 0.1, starts


# ---- shares of the slots

GREEDY = (
    "[Source quiet]\nVerify=none\n"
    "[Hook bad]\nSource=s\nExec=/bin/false\nMaxConcurrent=32\nRetries=5\nRetryDelay=1s\n"
    "[Hook slow]\nSource=s\nExec=/bin/sleep 600\nMaxConcurrent=32\nKillAfter=0\n"
    "[Hook third]\nExec=/bin/true\nMaxConcurrent=8\n"
)


def lateness(d, ids, source="s"):
    """Milliseconds from the callback to the start of the third hook: p50 and p99."""
    send_many(d, ids, source, per_second=200 if FULL else 40)
    late = []
    for id in ids:
        job = until(
            lambda id=id: (j := d.job(source, id))
            and all(r["state"] == "done" for r in j["runs"] if r["hook"] == "third")
            and j
        )
        (run,) = [r for r in job["runs"] if r["hook"] == "third"]
        late.append(1000 * (at(run["started"]) - at(job["received"])))
    late.sort()
    return late[len(late) // 2], late[len(late) * 99 // 100]


def test_greedy_hooks_leave_a_slot_for_a_third_one(run_daemon):
    """One always fails, one is always slow, and both could take all there is."""
    d = run_daemon(SOURCE + GREEDY, daemon="MaxConcurrent=32\nStopTimeout=0\nLogLevel=warning")
    n = 1000 if FULL else 40
    alone = lateness(d, [f"q{i}" for i in range(n)], "quiet")
    send_many(d, [f"warm{i}" for i in range(40)])
    until(lambda: hook_of(d, "slow")["running"] >= 20)
    until(lambda: hook_of(d, "third")["running"] == 0)
    assert hook_of(d, "slow")["running"] < 32
    beside = lateness(d, [f"j{i}" for i in range(n)])
    print("callback to start, p50 and p99 in ms: alone %.1f %.1f, beside them %.1f %.1f" % (*alone, *beside))
    assert hook_of(d, "slow")["running"] < 32
    assert beside[0] - alone[0] < (10 if FULL else 500), (alone, beside)
    assert beside[1] - alone[1] < (10 if FULL else 5000), (alone, beside)


def test_one_source_does_not_hold_another_up(run_daemon, tmp_path):
    diary = Diary(tmp_path, "true")
    d = run_daemon(
        SOURCE + f"[Source t]\nVerify=none\n[Hook h]\nExec={diary.exec}\nMaxConcurrent=1\n"
    )
    assert d.ctl("pause", "h").returncode == 0
    send_many(d, [f"j{i}" for i in range(40)])
    send_many(d, ["x", "y"], source="t")
    assert d.ctl("resume", "h").returncode == 0
    wait_until_over(d)
    order = [line[1] for line in diary.lines() if line[0] == "begin"]
    assert order.index("x") <= 2 and order.index("y") <= 5, order


# ---- a hook that fails


def test_a_failing_hook_is_slowed_alone_and_opens_again(run_daemon, tmp_path):
    ill = tmp_path / "ill"
    ill.touch()
    script = tmp_path / "hook"
    script.write_text(f"#!/bin/sh\ntest ! -e {ill}\n")
    script.chmod(0o700)
    d = run_daemon(
        SOURCE + f"[Hook h]\nExec={script}\nRetries=1000\nRetryDelay=100ms\nRetryDelayMax=100ms\n"
        "[Hook other]\nExec=/bin/true\n"
    )
    for i in range(12):
        send(d, f"j{i}")
    until(lambda: hook_of(d)["slowed"] and hook_of(d)["window"] == 1)
    assert "slowed to 1 at a time" in d.ctl("status").stdout
    assert not hook_of(d, "other")["slowed"]
    assert {r["state"] for r in all_runs(d, "&hook=other")} == {"done"}
    ill.unlink()
    until(lambda: not hook_of(d)["slowed"])
    wait_until_over(d)
    assert hook_of(d)["window"] == hook_of(d)["max_concurrent"] == 4
    assert len(re.findall("it is slowed down until", d.stderr)) == 1
    assert len(re.findall("it is not slowed down any more", d.stderr)) == 1
    assert {r["state"] for r in all_runs(d)} == {"done"}


def test_what_a_hook_says_is_hopeless_is_no_failure_of_its_own(run_daemon):
    d = run_daemon(SOURCE + "[Hook h]\nExec=/bin/sh -c 'exit 65'\nPermanentExitStatus=65\n")
    send_many(d, [f"j{i}" for i in range(30)])
    wait_until_over(d)
    assert len(d.runs("?state=dead")) == 30
    assert "slowed" not in d.stderr


# ---- pause and resume


def test_a_paused_hook_waits_over_restarts(run_daemon, recorder):
    d = run_daemon(SOURCE + f"[Hook h]\nExec={recorder.exec}\nOn=any\n[Hook other]\nExec=/bin/true\n")
    answer = d.control("POST", "/v1/hooks/h/pause")
    assert (answer.status, answer.json) == (200, {"hook": "h", "paused": True})
    assert d.ctl("pause", "h").returncode == 0  # again is no mistake
    send(d, "a")
    until(lambda: all_runs(d, "&hook=other")[0]["state"] == "done")
    assert hook_of(d)["paused"] and not hook_of(d, "other")["paused"]
    assert "h (paused)" in d.ctl("status").stdout
    # It is not even claimed, to be put back: a callback that only it wants is one commit.
    def commits():
        return [d.control("GET", "/v1/status").json["store"]["commits"] for _ in range(20)][-1]

    before = commits()
    send(d, "e", "failed")
    assert commits() - before == 1
    for again in (d.restart, lambda: (d.kill9(), d.start())):
        again()
        send(d, "b")
        until(lambda: all(r["state"] == "done" for r in all_runs(d, "&hook=other")))
        assert hook_of(d)["paused"]
        assert {r["state"] for r in all_runs(d, "&hook=h")} == {"waiting"}
    assert d.ctl("reload").returncode == 0
    assert recorder.all() == []
    assert d.ctl("resume", "h").returncode == 0
    assert {r.ID for r in recorder.wait(3)} == {"a", "b", "e"}
    assert d.ctl("resume", "h").returncode == 0
    wait_until_over(d)
    assert {r["attempt"] for r in all_runs(d)} == {1}
    assert d.stderr.count("is paused, by request") == 1 and d.stderr.count("goes on, by request") == 1
    d.restart()
    send(d, "c")
    assert recorder.wait(4)[-1].ID == "c"


def test_a_hook_with_a_rate_may_go_while_its_runs_wait(run_daemon):
    d = run_daemon(SOURCE + "[Hook h]\nExec=/bin/true\nRateLimit=2/1s\n")
    send_many(d, [f"j{i}" for i in range(6)])
    d.configure(SOURCE)
    assert d.ctl("reload").returncode == 0
    wait_until_over(d)
    assert counts(d)["dead"] >= 1
    time.sleep(1)  # its pace would let the next one start by now; there is none to start, so nothing is due
    before = cpu_seconds(d.process.pid)
    time.sleep(1)
    assert cpu_seconds(d.process.pid) - before < 0.5


def test_a_hook_that_is_back_keeps_what_is_not_buried_yet(run_daemon):
    with_hook = SOURCE + "[Hook h]\nMode=batch\nBatchMax=1000\nExec=/bin/sh -c 'cat >/dev/null'\n"
    d = run_daemon(with_hook, daemon="LogLevel=warning")
    assert d.ctl("pause", "h").returncode == 0
    parts = [threading.Thread(target=send_many, args=(d, [f"j{k}-{i}" for i in range(750)])) for k in range(4)]
    for part in parts:
        part.start()
    for part in parts:
        part.join()
    d.configure(SOURCE, daemon="LogLevel=warning")
    assert d.control("POST", "/v1/reload").status == 200
    until(lambda: counts(d)["dead"])
    d.configure(with_hook, daemon="LogLevel=warning")
    assert d.control("POST", "/v1/reload").status == 200
    dead = counts(d)["dead"]
    assert d.ctl("resume", "h").returncode == 0
    wait_until_over(d)
    assert counts(d)["dead"] <= dead + 500  # a step that was under way


def test_no_such_hook(run_daemon):
    d = run_daemon(SOURCE + "[Hook h]\nExec=/bin/true\n")
    for verb in ("pause", "resume"):
        assert d.control("POST", f"/v1/hooks/nosuch/{verb}").status == 404
        assert d.ctl(verb, "nosuch").returncode == 66


def test_nothing_starts_once_a_pause_is_answered(run_daemon, tmp_path):
    diary = Diary(tmp_path, "true")
    d = run_daemon(SOURCE + f"[Hook h]\nExec={diary.exec}\nMaxConcurrent=8\n")
    stop = threading.Event()
    errors = []

    def load(name, n=0):
        try:
            while not stop.is_set():
                send(d, f"{name}{n}")
                n += 1
                stop.wait(0.003)
        except (OSError, AssertionError) as e:
            errors.append(e)

    senders = [threading.Thread(target=load, args=[name]) for name in "xyz"]
    for sender in senders:
        sender.start()
    for _ in range(8):
        before = len(diary.lines())
        until(lambda n=before: len(diary.lines()) > n)
        assert d.control("POST", "/v1/hooks/h/pause").status == 200
        answered = time.time()
        until(lambda: counts(d)["running"] == 0)
        before = len(diary.lines())
        until(lambda n=counts(d)["waiting"]: counts(d)["waiting"] > n + 3)
        assert len(diary.lines()) == before
        late = [r for r in d.runs("?limit=200") if r["attempt"] and at(r["started"]) > answered]
        assert not late, late
        assert d.control("POST", "/v1/hooks/h/resume").status == 200
    stop.set()
    for sender in senders:
        sender.join(20)
    assert not errors
    wait_until_over(d)
    assert {(r["state"], r["attempt"]) for r in all_runs(d)} == {("done", 1)}


# ---- clocks, starts

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
/* The wall clock, and days that a file says. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
	static int (*real)(clockid_t, struct timespec *);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	int r = real(id, ts);
	const char *path = getenv("CLOCK_DAYS");
	FILE *f = id == CLOCK_REALTIME && path ? fopen(path, "re") : NULL;
	int days = 0;
	if (f) {
		if (fscanf(f, "%d", &days) == 1)
			ts->tv_sec += days * 86400;
		fclose(f);
	}
	return r;
}
"""


@pytest.mark.skipif(bool(os.environ.get("SAN")), reason="a sanitizer comes before any preloaded library")
def test_a_wall_clock_that_jumps_moves_no_start(run_daemon, recorder, tmp_path):
    source, shim, days = tmp_path / "shim.c", tmp_path / "shim.so", tmp_path / "days"
    source.write_text(SHIM)
    compiler = shlex.split(os.environ.get("CC", "cc"))
    subprocess.run([*compiler, "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True, timeout=60)
    days.write_text("0")
    recorder.fail(1)
    d = run_daemon(
        SOURCE + f"[Hook h]\nExec={recorder.exec}\nRetries=1000\nRetryDelay=200ms\nRetryDelayMax=200ms\n",
        env={"LD_PRELOAD": str(shim), "CLOCK_DAYS": str(days)},
    )
    send(d, "a")
    recorder.wait(2)
    for jump in ("1", "0", "-1", "0", "1"):
        days.write_text(jump)
        recorder.wait(len(recorder.all()) + 3)
    # Into the next life with a clock that is a day ahead, and back: nothing waits for a day.
    d.restart()
    recorder.wait(len(recorder.all()) + 2)
    days.write_text("-1")
    d.restart()
    recorder.wait(len(recorder.all()) + 2)
    recorder.fail(0)
    wait_until_over(d)
    (run,) = all_runs(d)
    assert run["state"] == "done"


def test_what_ran_is_found_and_started_again_within_a_second(run_daemon, tmp_path):
    diary = Diary(tmp_path, "sleep 600")
    d = run_daemon(
        SOURCE + f"[Hook h]\nExec={diary.exec}\nMaxConcurrent=16\nKillAfter=0\n", daemon="StopTimeout=0"
    )
    send_many(d, [f"j{i}" for i in range(16)])
    until(lambda: len(diary.lines()) == 16)
    d.kill9()
    began = time.monotonic()
    d.start()
    until(lambda: len(diary.lines()) == 32, 10)
    assert time.monotonic() - began < (1.0 if FULL else 5.0)
    running = d.runs("?state=running")
    assert len(running) == 16 and {r["attempt"] for r in running} == {2}


def test_many_failing_runs(run_daemon):
    """10,000 when FULL=1: without retries none is held back, and each is dead once."""
    n = 10000 if FULL else 200
    d = run_daemon(SOURCE + "[Hook h]\nExec=/bin/false\nMaxConcurrent=16\nRetries=0\n", daemon="LogLevel=err")
    send_many(d, [f"j{i}" for i in range(n)])
    wait_until_over(d, 120)
    runs = all_runs(d)
    assert len(runs) == len({r["id"] for r in runs}) == n
    assert {(r["state"], r["attempt"], r["exit_status"]) for r in runs} == {("dead", 1, 1)}
    assert not hook_of(d)["slowed"]
