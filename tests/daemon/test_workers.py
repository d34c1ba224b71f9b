"""Mode=stream, batch and socket: one worker for many runs, and each run ends once, whatever the worker does."""

import os
import signal
import time

import pytest

from helpers import Peer, Worker, until
from helpers.crowd import memory

SOURCE = "[Source s]\nVerify=none\n"
QUICK = "RetryDelay=20ms\nRetryDelayMax=50ms\n"


@pytest.fixture
def worker(tmp_path):
    return lambda *args, **more: Worker(tmp_path, *args, **more)


@pytest.fixture
def peer(tmp_path):
    made = Peer(str(tmp_path / "peer.sock"))
    yield made
    made.close()


def hook(worker, mode="stream", more=""):
    return SOURCE + f"[Hook h]\nMode={mode}\nExec={worker.exec}\n{QUICK}{more}\n"


def to_peer(peer, more=""):
    return SOURCE + f"[Hook h]\nMode=socket\nSocket={peer.path}\n{QUICK}{more}\n"


def send(d, *ids, status="completed"):
    for id in ids:
        assert d.post("/callback/s", {"id": id, "status": status}).status == 200


def run_of(d, id):
    (run,) = d.job("s", id)["runs"]
    return run


def ended(d, id):
    return until(lambda: (lambda r: r if r["state"] in ("done", "dead") else None)(run_of(d, id)), 20)


def states(d, ids):
    return [ended(d, id)["state"] for id in ids]


# ---- The line, and what a worker sees


def test_a_line_holds_what_the_environment_would(run_daemon, worker):
    w = worker()
    d = run_daemon(
        hook(w, more="Export=SIZE:/size AGENT:header:X-Agent NONE:/nothing\nEnvironment=COLOR=red\n").replace(
            f"Exec={w.exec}", f"Exec={w.exec} -- ${{CALLBACK_HOOK}} ${{COLOR}}"
        )
    )
    body = '{"id":"j","status":"Completed","size":12,"text":"\\u00e9\\n\\"q\\""}'
    assert d.post("/callback/s", body.encode(), {"X-Agent": "probe"}).status == 200
    run = ended(d, "j")
    assert (run["state"], run["attempt"], run["exit_status"], run["signal"]) == ("done", 1, None, None)
    (line,) = w.runs
    received = line.pop("received")
    assert received.endswith("Z") and len(received) == len("2026-09-01T10:00:00.000000Z")
    assert line == {
        "run": run["run"], "hook": "h", "source": "s", "id": "j", "status": "Completed", "outcome": "success",
        "attempt": 1, "payload": body, "export": {"SIZE": "12", "AGENT": "probe"},
    }  # fmt: skip
    (start,) = w.starts
    assert start["argv"] == ["--", "h", "${COLOR}"]
    names = set(start["env"]) - {"LC_CTYPE"}  # Python's own doing
    assert names == {"PATH", "LANG", "HOME", "USER", "COLOR", "CALLBACK_HOOK", "CALLBACK_RUN"}
    assert {"hook": "h", "ran": True, "why": None} in d.job("s", "j")["hooks"]
    shown = d.ctl("show", "s/j")
    assert shown.returncode == 0 and "exit status" not in shown.stdout


def test_a_payload_that_is_no_text_comes_as_base64(run_daemon, worker):
    w = worker()
    d = run_daemon(
        f"[Source s]\nVerify=none\nIdField=header:X-Id\nStatusField=\n[Hook h]\nMode=stream\nExec={w.exec}\n"
    )
    assert d.post("/callback/s", b"\xff\x00\xfe", {"X-Id": "j"}).status == 200
    ended(d, "j")
    assert "payload" not in w.runs[0] and w.runs[0]["payload_base64"] == "/wD+"
    assert w.runs[0]["status"] is None


def test_one_process_serves_them_all_in_order(run_daemon, worker):
    w = worker()
    d = run_daemon(hook(w, more="MaxConcurrent=1"))
    ids = [f"j{i}" for i in range(30)]
    send(d, *ids)
    assert states(d, ids) == ["done"] * 30
    assert w.ids == ids and len(w.starts) == 1


def test_answers_come_in_any_order(run_daemon, worker):
    w = worker(body="runs = [json.loads(sys.stdin.readline()) for _ in range(4)]\nnote(runs[0]); "
               "[ok(r) for r in reversed(runs[1:])]; wait_for('go'); ok(runs[0])\nsys.stdin.read()")  # fmt: skip
    d = run_daemon(hook(w, more="MaxConcurrent=4"))
    send(d, "a", "b", "c", "d")
    assert states(d, ["b", "c", "d"]) == ["done"] * 3
    assert run_of(d, "a")["state"] == "running"
    w.let("go")
    assert states(d, ["a"]) == ["done"]


def test_the_window_is_max_concurrent(run_daemon, worker):
    w = worker("if run['id'] == 'j0': wait_for('go')\nok(run)", body=None)
    w.become(body="import select\nheld = []\nfor line in iter(sys.stdin.readline, ''):\n"
                  "    run = json.loads(line); note(run); held.append(run)\n"
                  "    if len(held) == 3:\n        time.sleep(0.3)\n        note({'more': bool(select.select([0], [], [], 0)[0])})\n"
                  "        [ok(r) for r in held]; held = []\n")  # fmt: skip
    d = run_daemon(hook(w, more="MaxConcurrent=3"))
    ids = [f"j{i}" for i in range(12)]
    send(d, *ids)
    assert states(d, ids) == ["done"] * 12
    assert [s["more"] for s in w.seen if "more" in s] == [False] * 4


def test_a_window_takes_one_slot_of_the_daemon(run_daemon, worker, recorder):
    """MaxConcurrent= of [Daemon] counts processes: a worker with ten runs in hand is one."""
    w = worker(body="runs = [json.loads(sys.stdin.readline()) for _ in range(10)]\n[note(r) for r in runs]\n"
               "wait_for('go'); [ok(r) for r in runs]\nsys.stdin.read()")  # fmt: skip
    config = hook(w, more="MaxConcurrent=10") + f"[Source t]\nVerify=none\n[Hook x]\nSource=t\nExec={recorder.exec}\n"
    d = run_daemon(config.replace("[Hook h]\n", "[Hook h]\nSource=s\n"), daemon="MaxConcurrent=2")
    ids = [f"j{i}" for i in range(10)]
    send(d, *ids)
    until(lambda: len(w.runs) == 10)
    told = d.control("GET", "/v1/status").json["runs"]
    assert (told["running"], told["slots_used"], told["slots"]) == (10, 1, 2)
    assert b"callbackd_run_slots_used 1\n" in d.control("GET", "/metrics").body
    assert d.post("/callback/t", {"id": "x", "status": "completed"}).status == 200
    recorder.wait(1)
    w.let("go")
    assert states(d, ids) == ["done"] * 10


def test_slots_are_counted_by_what_the_hook_is_now(run_daemon, worker):
    """It is busy all the time: a stream of many runs took one slot, processes of their own take one each."""
    w = worker("wait_for('go'); ok(run)")
    more = "MaxConcurrent=100\nTimeout=1s\nKillAfter=0\nRetries=0\n"
    d = run_daemon(hook(w, more=more.replace("Timeout=1s", "")), daemon="MaxConcurrent=4\nStopTimeout=0")
    streamed, own = [f"a{i}" for i in range(10)], [f"b{i}" for i in range(10)]
    send(d, *streamed)
    until(lambda: len(w.runs) >= 1 and d.control("GET", "/v1/status").json["runs"]["running"] == 10)
    d.configure(SOURCE + f"[Hook h]\nExec=/bin/sleep 30\n{more}", daemon="MaxConcurrent=4\nStopTimeout=0")
    assert d.ctl("reload").returncode == 0
    send(d, *own)
    w.let("go")
    assert states(d, streamed) == ["done"] * 10
    until(lambda: run_of(d, "b0")["state"] != "waiting")
    most = 0
    while run_of(d, "b9")["state"] != "dead":
        most = max(most, len(d.runs("?state=running")))
    assert 1 <= most <= 4


# ---- Failures


def test_a_fail_is_retried_and_told(run_daemon, worker):
    w = worker("fail(run, 'disk full') if run['attempt'] < 3 else ok(run)")
    d = run_daemon(hook(w, more="Retries=2"))
    send(d, "j")
    assert ended(d, "j")["attempt"] == 3
    assert len({r["run"] for r in w.runs}) == 1 and len(w.starts) == 1
    assert "failed (attempt 1 of 3): its worker answered: fail disk full" in d.stderr


def test_a_fail_too_many_is_dead_and_says_why(run_daemon, worker, recorder):
    w = worker("fail(run, 'no \\\\\\\\ way \\x07')")
    d = run_daemon(hook(w, more="Retries=1") + f"[Hook tell]\nOn=dead\nExec={recorder.exec}\n")
    send(d, "j")
    recorder.wait(1)
    run = [r for r in d.job("s", "j")["runs"] if r["hook"] == "h"][0]
    assert (run["state"], run["attempt"], run["exit_status"]) == ("dead", 2, None)
    assert run["reason"] == "its worker answered: fail no \\\\ way \\x07"
    assert {"hook": "h", "ran": True, "why": None} in d.job("s", "j")["hooks"]
    w.become()
    assert d.ctl("replay", run["run"]).returncode == 0  # the old process still says no
    until(lambda: len(d.runs("?state=dead")) == 2)


def test_kill_9_of_a_worker_retries_what_it_had(run_daemon, worker):
    w = worker("wait_for('go')\nok(run)")
    d = run_daemon(hook(w, more="MaxConcurrent=3"))
    send(d, "a", "b", "c")
    until(lambda: w.runs)
    until(lambda: len(d.runs("?state=running")) == 3)
    os.kill(w.starts[0]["start"], signal.SIGKILL)
    w.let("go")  # for the next one: this one has answered nothing
    assert states(d, ["a", "b", "c"]) == ["done"] * 3
    assert [run_of(d, id)["attempt"] for id in "abc"] == [2, 2, 2]
    assert "Worker of hook h was killed by signal KILL; it had 3 runs in hand" in d.stderr
    assert len(w.starts) >= 2


def test_a_callback_that_kills_its_worker_ends_as_dead(run_daemon, worker):
    w = worker("if run['id'] == 'bad':\n    sys.stderr.write('last words\\n'); os._exit(3)\nok(run)")
    d = run_daemon(hook(w, more="Retries=2\nMaxConcurrent=1"))
    send(d, "bad", "good")
    bad = ended(d, "bad")
    assert (bad["state"], bad["attempt"], bad["exit_status"]) == ("dead", 3, 3)
    assert bad["stderr"] == "last words\n"
    assert ended(d, "good")["state"] == "done"
    assert {"hook": "h", "ran": True, "why": None} in d.job("s", "bad")["hooks"]


def test_a_worker_that_cannot_start_says_why(run_daemon, worker, tmp_path):
    d = run_daemon(SOURCE + f"[Hook h]\nMode=stream\nExec={tmp_path}/none\nRetries=1\n{QUICK}")
    send(d, "j")
    run = ended(d, "j")
    assert (run["state"], run["attempt"]) == ("dead", 2)
    assert "No such file" in run["reason"]
    (told,) = d.job("s", "j")["hooks"]
    assert told["ran"] is False and "No such file" in told["why"]


def test_timeout_of_one_leaves_the_others_uncounted(run_daemon, worker, tmp_path):
    w = worker(
        "if run['id'] == 'slow' and not os.path.exists(%r):\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    os.system('setsid sleep 1000 & setsid sleep 1000')\nok(run)" % str(tmp_path / "quick")
    )  # fmt: skip
    d = run_daemon(hook(w, more="Timeout=500ms\nKillAfter=200ms\nRetries=1\nMaxConcurrent=4"))
    send(d, "a")
    assert states(d, ["a"]) == ["done"]
    send(d, "slow", "b", "c")
    until(lambda: "ran into Timeout=" in d.stderr)
    w.let("quick")
    assert states(d, ["slow", "b", "c"]) == ["done"] * 3
    assert [run_of(d, id)["attempt"] for id in ("slow", "b", "c")] == [2, 1, 1]
    assert d.stderr.count("ran into Timeout=") == 1
    first = w.starts[0]["env"]["CALLBACK_RUN"]
    for entry in os.listdir("/proc"):
        if entry.isdigit() and entry != str(os.getpid()):
            try:
                with open(f"/proc/{entry}/environ", "rb") as env:
                    assert f"CALLBACK_RUN={first}".encode() not in env.read().split(b"\0")
            except OSError:
                pass


def test_an_answer_that_comes_with_the_timeout_is_too_late(run_daemon, worker):
    w = worker("signal.signal(signal.SIGTERM, lambda *_: (ok(run), note({'late': 1}), os._exit(0)))\ntime.sleep(1000)")
    d = run_daemon(hook(w, more="Timeout=300ms\nRetries=0\nMaxConcurrent=1"))
    send(d, "a")
    assert (ended(d, "a")["state"], run_of(d, "a")["reason"]) == ("dead", "Timeout= passed")
    assert w.seen[-1] == {"late": 1}


def test_a_timeout_every_time_ends_as_dead(run_daemon, worker):
    w = worker("time.sleep(1000)")
    d = run_daemon(hook(w, more="Timeout=200ms\nKillAfter=100ms\nRetries=1\nMaxConcurrent=2"))
    send(d, "a", "b")
    assert states(d, ["a", "b"]) == ["dead"] * 2
    assert [run_of(d, id)["attempt"] for id in "ab"] == [2, 2]
    assert run_of(d, "a")["reason"] == "Timeout= passed"


# ---- What a worker should not do


def test_garbage_and_unknown_ids_are_warned_of_and_do_no_harm(run_daemon, worker):
    w = worker("say('hello'); say('nosuch-1 ok'); say(run['run'] + ' okay'); say(run['run'] + '\\x00 ok')\n"
               "os.write(1, b'\\xff' * 3000 + b'\\n\\n'); ok(run); ok(run)")  # fmt: skip
    d = run_daemon(hook(w))
    send(d, "j")
    run = ended(d, "j")
    assert (run["state"], run["attempt"]) == ("done", 1)
    until(lambda: d.stderr.count("does not have") == 2)
    assert "wrote what is no answer: hello" in d.stderr
    assert "answers a run that it does not have: nosuch-1 ok" in d.stderr
    assert f"answers a run that it does not have: {run['run']} ok" in d.stderr
    assert f"no answer: {run['run']} okay" in d.stderr
    assert "\\xFF" in d.stderr and "\xff" not in d.stderr


def test_half_lines_are_put_together(run_daemon, worker):
    w = worker("for c in run['run'] + ' ok': os.write(1, c.encode()); time.sleep(0.002)\nos.write(1, b'\\n')")
    d = run_daemon(hook(w))
    send(d, "a", "b")
    assert states(d, ["a", "b"]) == ["done"] * 2


def test_a_last_line_without_its_newline_counts(run_daemon, worker):
    w = worker("os.write(1, run['run'].encode() + b' ok'); sys.exit(0)")
    d = run_daemon(hook(w, more="MaxConcurrent=1"))
    send(d, "a", "b")
    assert states(d, ["a", "b"]) == ["done"] * 2
    assert [run_of(d, id)["attempt"] for id in "ab"] == [1, 1]


def test_an_endless_line_is_bounded(run_daemon, worker):
    w = worker("for _ in range(1000): os.write(1, b'x' * 65536)\nos.write(1, b'\\n'); ok(run)")
    d = run_daemon(hook(w))
    before = memory(d.process.pid)["RssAnon"]
    send(d, "j")
    assert ended(d, "j")["state"] == "done"
    if not os.environ.get("SAN"):
        assert memory(d.process.pid)["RssAnon"] - before < 16 << 20


def test_a_flood_of_stderr_is_drained_and_kept_to_its_last(run_daemon, worker):
    w = worker("sys.stderr.write('y' * 99 + '\\n' * 1 if 0 else ''.join('y' * 99 + '\\n' for _ in range(50000)))\n"
               "if run['id'] == 'die': sys.stderr.write('the end\\n'); sys.stderr.flush(); os._exit(9)\nok(run)")  # fmt: skip
    d = run_daemon(hook(w, more="Retries=0"))
    send(d, "a")
    assert ended(d, "a")["state"] == "done"
    send(d, "die")
    run = ended(d, "die")
    assert (run["state"], run["exit_status"], run["truncated"]) == ("dead", 9, True)
    assert len(run["stderr"]) == 65536 and run["stderr"].endswith("y\nthe end\n")


def test_a_worker_that_never_reads_does_not_grow_us_nor_stall(run_daemon, worker, recorder):
    w = worker(body="time.sleep(1000)")
    d = run_daemon(
        hook(w, more="Timeout=1s\nKillAfter=100ms\nRetries=0\nMaxConcurrent=8").replace("[Hook h]\n", "[Hook h]\nSource=s\n")
        + f"[Source t]\nVerify=none\n[Hook x]\nSource=t\nExec={recorder.exec}\n"
    )
    before = memory(d.process.pid)["RssAnon"]
    ids = [f"j{i}" for i in range(30)]
    for id in ids:
        assert d.post("/callback/s", {"id": id, "status": "completed", "fill": "x" * 500000}).status == 200
    assert d.post("/callback/t", {"id": "x", "status": "completed"}).status == 200
    recorder.wait(1)
    if not os.environ.get("SAN"):  # eight payloads of half a megabyte, and what a claim brings
        assert memory(d.process.pid)["RssAnon"] - before < 48 << 20
    dead = until(lambda: d.runs("?state=dead"), 20)
    assert dead[0]["attempt"] == 1


def test_a_worker_that_closes_its_output_is_replaced(run_daemon, worker, tmp_path):
    w = worker("if not os.path.exists(%r):\n    os.close(1); open(%r, 'w'); time.sleep(1000)\nok(run)"
               % ((str(tmp_path / "once"),) * 2))  # fmt: skip
    d = run_daemon(hook(w, more="KillAfter=100ms"))
    send(d, "j")
    assert ended(d, "j")["attempt"] == 2
    assert "its worker closed its output" in d.stderr


# ---- The daemon's own ends


@pytest.mark.skipif(not os.environ.get("FULL"), reason="two minutes; FULL=1 runs it")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", ["stream", "batch"])
def test_many_deaths_of_the_daemon_lose_and_double_nothing(run_daemon, worker, mode):
    w = worker("time.sleep(0.005)\nok(run)")
    d = run_daemon(hook(w, mode, "MaxConcurrent=8\nBatchMax=8\nRetries=1000"))
    ids = []
    for n in range(100):
        more = [f"j{n}-{i}" for i in range(10)]
        send(d, *more)
        ids += more
        time.sleep(0.02 * (n % 5))
        d.kill9()
        d.start()
    assert states(d, ids) == ["done"] * len(ids)
    assert set(w.ids) == set(ids) and not d.runs("?state=running")


def test_kill_9_of_the_daemon_with_runs_in_flight(run_daemon, worker):
    w = worker("wait_for('go')\nok(run)")
    d = run_daemon(hook(w, more="MaxConcurrent=8"))
    ids = [f"j{i}" for i in range(20)]
    send(d, *ids)
    until(lambda: len(d.runs("?state=running")) == 8)
    until(lambda: w.starts)
    pid = w.starts[0]["start"]
    d.kill9()
    until(lambda: not os.path.exists(f"/proc/{pid}"))
    w.let("go")
    d.start()
    assert states(d, ids) == ["done"] * 20
    assert sorted(run_of(d, id)["attempt"] for id in ids) == [1] * 12 + [2] * 8
    assert sorted(set(w.ids)) == sorted(ids)


def test_stop_lets_it_finish_and_closes_its_input(run_daemon, worker):
    w = worker("wait_for('go')\nok(run)")
    d = run_daemon(hook(w, more="MaxConcurrent=1"))
    send(d, "a", "b")
    until(lambda: w.runs)
    d.signal(signal.SIGTERM)
    until(lambda: "Stopping:" in d.stderr)
    w.let("go")
    assert d.wait() == 0
    assert w.ids == ["a"] and len(w.ends) == 1, "it saw the end of its input and went"
    d.start()
    assert states(d, ["a", "b"]) == ["done"] * 2
    assert w.ids == ["a", "b"] and run_of(d, "b")["attempt"] == 1


def test_stop_puts_back_what_takes_longer(run_daemon, worker):
    w = worker("wait_for('go')\nok(run)")
    d = run_daemon(hook(w, more="Retries=0\nKillAfter=200ms"), daemon="StopTimeout=100ms")
    send(d, "a", "b")
    until(lambda: w.runs)
    until(lambda: len(d.runs("?state=running")) == 2)
    assert d.stop() == 0
    w.let("go")
    d.start()
    assert states(d, ["a", "b"]) == ["done"] * 2
    assert [run_of(d, id)["attempt"] for id in "ab"] == [1, 1]


def test_an_idle_worker_may_finish_on_a_stop(run_daemon, worker):
    w = worker(body="for line in sys.stdin: ok(json.loads(line))\ntime.sleep(0.4)")
    d = run_daemon(hook(w))
    send(d, "a")
    assert ended(d, "a")["state"] == "done"
    assert d.stop() == 0
    assert len(w.ends) == 1


def test_an_idle_worker_that_does_not_heed_its_end_does_not_hold_the_stop(run_daemon, worker):
    w = worker("ok(run)", body=None)
    w.become(body="signal.signal(signal.SIGTERM, signal.SIG_IGN)\nrun = json.loads(sys.stdin.readline()); ok(run)\n"
                  "while True: time.sleep(1)")  # fmt: skip
    d = run_daemon(hook(w, more="KillAfter=100ms"))
    send(d, "a")
    assert ended(d, "a")["state"] == "done"
    begun = time.monotonic()
    assert d.stop() == 0
    assert time.monotonic() - begun < 10


def test_reload_keeps_a_worker_that_is_the_same_and_replaces_one_that_is_not(run_daemon, worker):
    w = worker("if run['id'] == 'held': wait_for('go')\nok(run)")
    d = run_daemon(hook(w))
    send(d, "a")
    ended(d, "a")
    d.configure(hook(w, more="Retries=3\nTimeout=1min") + "[Hook other]\nExec=/bin/true\nOn=error\n")
    assert d.ctl("reload").returncode == 0
    send(d, "b")
    ended(d, "b")
    assert len(w.starts) == 1
    send(d, "held")
    until(lambda: "held" in w.ids)
    d.configure(hook(w, more="Environment=GENERATION=2"))
    assert d.ctl("reload").returncode == 0
    send(d, "c")  # waits for the old one, which works on
    assert run_of(d, "held")["state"] == "running"
    assert len(w.starts) == 1
    w.let("go")
    assert states(d, ["held", "c"]) == ["done"] * 2
    assert [run_of(d, id)["attempt"] for id in ("held", "c")] == [1, 1]
    assert [s["env"].get("GENERATION") for s in w.starts] == [None, "2"]
    told = d.stderr
    assert told.index("Worker of hook h has ended") < told.rindex("Worker of hook h starts")
    assert len(w.ends) == 1
    d.configure(SOURCE)
    assert d.ctl("reload").returncode == 0
    until(lambda: len(w.ends) == 2)


# ---- batch


def test_a_batch_takes_what_waits_and_exit_0_is_done(run_daemon, worker):
    w = worker(body="runs = [json.loads(l) for l in sys.stdin]\nfor r in runs: note(r)\n"
               "note({'batch': len(runs)}); wait_for('go')")  # fmt: skip
    d = run_daemon(hook(w, "batch", "BatchMax=80\nMaxConcurrent=2"))
    send(d, "first")
    until(lambda: w.runs)
    ids = [f"j{i}" for i in range(100)]
    send(d, *ids)
    w.let("go")
    assert states(d, ["first", *ids]) == ["done"] * 101
    assert [s["batch"] for s in w.seen if "batch" in s] == [1, 80, 20]
    assert w.ids == ["first", *ids]
    assert (run_of(d, "j0")["exit_status"], run_of(d, "j0")["attempt"]) == (0, 1)


def test_a_batch_with_mixed_answers(run_daemon, worker):
    w = worker(body="runs = [json.loads(l) for l in sys.stdin]\nfor r in runs: note(r)\nwait_for('go')\n"
               "for r in runs:\n    if r['id'] == 'no' and r['attempt'] == 1: fail(r, 'not this one')\n"
               "    if r['id'] == 'yes': ok(r)\n"
               "sys.stderr.write('batch says\\n')\n"
               "if any(r['id'] == 'yes' for r in runs): note({'end': 0}); sys.exit(4)")  # fmt: skip
    d = run_daemon(hook(w, "batch", "Retries=5"))
    send(d, "first")
    until(lambda: w.runs)
    send(d, "yes", "no", "silent")
    w.let("go")
    assert states(d, ["first", "yes", "no", "silent"]) == ["done"] * 4
    attempts = {id: run_of(d, id)["attempt"] for id in ("first", "yes", "no", "silent")}
    assert attempts == {"first": 1, "yes": 1, "no": 2, "silent": 2}
    assert "its worker answered: fail not this one" in d.stderr
    assert "failed (attempt 1 of 6): its worker ended with exit status 4" in d.stderr


def test_the_exit_status_of_a_batch_can_be_permanent_or_a_success(run_daemon, worker):
    w = worker(body="runs = [json.loads(l) for l in sys.stdin]\nfor r in runs: note(r)\n"
               "sys.stderr.write('why not\\n'); sys.exit(65 if runs[0]['id'] == 'never' else 9)")  # fmt: skip
    d = run_daemon(hook(w, "batch", "PermanentExitStatus=65\nSuccessExitStatus=9"))
    send(d, "fine")
    assert (ended(d, "fine")["state"], run_of(d, "fine")["exit_status"]) == ("done", 9)
    send(d, "never")
    run = ended(d, "never")
    assert (run["state"], run["attempt"], run["exit_status"], run["stderr"]) == ("dead", 1, 65, "why not\n")


def test_a_batch_that_ends_before_it_read_has_not_done_what_it_could_not_know(run_daemon, worker):
    d = run_daemon(SOURCE + f"[Hook h]\nMode=batch\nExec=/bin/true\nRetries=1\n{QUICK}")
    assert d.post("/callback/s", {"id": "big", "status": "completed", "fill": "x" * 300000}).status == 200
    run = ended(d, "big")
    assert (run["state"], run["attempt"]) == ("dead", 2)
    send(d, "small")
    assert ended(d, "small")["state"] == "done"


# ---- socket


def test_a_socket_is_spoken_to(run_daemon, peer):
    peer.open()
    d = run_daemon(to_peer(peer))
    ids = [f"j{i}" for i in range(20)]
    send(d, *ids)
    assert states(d, ids) == ["done"] * 20
    assert peer.connections == 1 and sorted(peer.ids) == sorted(ids)


def test_a_socket_that_is_not_there_is_waited_for_uncounted(run_daemon, peer):
    d = run_daemon(to_peer(peer, "Retries=0"))
    send(d, "a", "b", "c", "d", "e", "f")
    until(lambda: d.stderr.count("cannot be reached at") >= 4)
    assert not d.runs("?state=dead")
    why = until(lambda: d.job("s", "a")["hooks"][0]["why"])
    assert d.job("s", "a")["hooks"][0]["ran"] is False, why
    peer.open()
    assert states(d, "abcdef") == ["done"] * 6
    assert [run_of(d, id)["attempt"] for id in "abcdef"] == [1] * 6


def test_what_waits_for_a_peer_is_left_alone_until_it_is_tried_again(run_daemon, peer):
    """Not claimed and set back by turns, however many wait: that would be a line and two commits a run."""
    peer.close()
    d = run_daemon(to_peer(peer, "MaxConcurrent=2").replace(QUICK, ""))
    ids = [f"j{i}" for i in range(60)]
    send(d, *ids)
    until(lambda: d.stderr.count("Worker of hook h cannot be reached") >= 3)
    tried = d.stderr.count("Worker of hook h cannot be reached")
    assert d.stderr.count("that is not counted") <= 2 * (tried + 1)
    assert {r["attempt"] for r in d.runs()} == {0}


def test_a_peer_that_restarts_gets_again_what_it_had(run_daemon, peer):
    peer.each = lambda p, run: p.ok(run) if run["attempt"] > 1 else p.hang_up()
    peer.open()
    d = run_daemon(to_peer(peer, "MaxConcurrent=1"))
    send(d, "a")
    assert (ended(d, "a")["state"], run_of(d, "a")["attempt"]) == ("done", 2)
    assert "its worker closed the connection" in d.stderr
    peer.each = lambda p, run: p.ok(run)
    peer.close()
    send(d, "b")
    until(lambda: "cannot be reached at" in d.stderr)
    peer.open()
    assert ended(d, "b")["state"] == "done"


def test_timeout_closes_the_connection(run_daemon, peer):
    peer.each = lambda p, run: p.ok(run) if run["id"] != "slow" or run["attempt"] > 1 else None
    peer.open()
    d = run_daemon(to_peer(peer, "Timeout=300ms\nRetries=1"))
    send(d, "slow", "b")
    assert states(d, ["slow", "b"]) == ["done"] * 2
    assert [run_of(d, id)["attempt"] for id in ("slow", "b")] == [2, 1]
    assert peer.connections == 2


def test_stop_ends_the_connection(run_daemon, peer):
    peer.each = lambda p, run: None
    peer.open()
    d = run_daemon(to_peer(peer, "Retries=0"), daemon="StopTimeout=100ms")
    send(d, "a")
    until(lambda: peer.runs)
    assert d.stop() == 0
    peer.each = lambda p, run: p.ok(run)
    d.start()
    assert (ended(d, "a")["state"], run_of(d, "a")["attempt"]) == ("done", 1)
    assert d.stop() == 0
