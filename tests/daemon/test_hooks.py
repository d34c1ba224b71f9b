"""What a hook may rely on: limits, retries, timeouts of the whole tree, a place on the list of the dead."""

import os
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from helpers import until

SOURCE = "[Source s]\nVerify=none\n"


def processes_of(run):
    """Pids whose environment names this run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if f"CALLBACK_RUN={run}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


def send(d, id, status="completed"):
    assert d.post("/callback/s", {"id": id, "status": status}).status == 200


def ended(d, id):
    assert d.ctl("wait", f"s/{id}", "--hooks", "--timeout", "20s").returncode in (0, 1)
    return d.job("s", id)["runs"]


def test_a_failing_hook_is_retried_with_the_same_run_id(run_daemon, recorder):
    recorder.fail(3)
    d = run_daemon(SOURCE + f"[Hook h]\nExec={recorder.exec}\nRetries=2\nRetryDelay=50ms\n")
    send(d, "j")
    runs = recorder.wait(3)
    assert [r.ATTEMPT for r in runs] == ["1", "2", "3"]
    assert len({r.RUN for r in runs}) == 1
    (run,) = ended(d, "j")
    assert (run["state"], run["attempt"], run["exit_status"]) == ("dead", 3, 3)
    assert "hook got j completed" in run["stdout"]
    assert len(recorder.all()) == 3


def test_replay_makes_a_new_run(run_daemon, recorder):
    recorder.fail(1)
    d = run_daemon(SOURCE + f"[Hook h]\nExec={recorder.exec}\nRetries=0\n")
    send(d, "j")
    (dead,) = ended(d, "j")
    assert dead["state"] == "dead"
    recorder.fail(0)
    answer = d.ctl("replay", dead["run"])
    assert answer.returncode == 0, answer.stderr
    runs = recorder.wait(2)
    assert runs[1].ATTEMPT == "1" and runs[1].RUN != dead["run"]
    new = [r for r in ended(d, "j") if r["run"] != dead["run"]][0]
    assert (new["state"], new["replay_of"]) == ("done", dead["run"])
    assert d.ctl("replay", "nosuch-1").returncode == 66


def test_permanent_exit_status_ends_at_once(run_daemon, recorder):
    recorder.fail(65)
    d = run_daemon(SOURCE + f"[Hook h]\nExec={recorder.exec}\nPermanentExitStatus=65\nRetryDelay=10ms\n")
    send(d, "j")
    (run,) = ended(d, "j")
    assert (run["state"], run["attempt"]) == ("dead", 1)


def test_the_state_directory_of_the_start_is_where_a_hook_starts(run_daemon, tmp_path):
    config = SOURCE + f"[Hook h]\nExec=/bin/sh -c 'pwd >{tmp_path}/seen'\nRetries=0\n"
    d = run_daemon(config)
    d.configure(config, daemon="StateDirectory=/nowhere")
    assert d.ctl("reload").returncode == 0
    send(d, "j")
    (run,) = ended(d, "j")
    assert run["state"] == "done" and (tmp_path / "seen").read_text() == f"{d.state}\n"


def test_another_hook_is_told_of_a_death(run_daemon, recorder):
    d = run_daemon(
        SOURCE + f"[Hook bad]\nExec=/bin/false\nRetries=0\n[Hook tell]\nExec={recorder.exec}\nOn=dead\n"
    )
    send(d, "j")
    (run,) = recorder.wait(1)
    assert (run.HOOK, run.ID) == ("tell", "j")
    problem = d.control("GET", "/v1/status").json["last_error"]
    assert "Hook bad is dead" in problem["error"]


@pytest.mark.parametrize("command, words", [("/no/such/program", "No such file"), ("/etc/passwd", "Permission denied")])
def test_a_command_that_cannot_run_says_why(run_daemon, command, words):
    d = run_daemon(SOURCE + f"[Hook h]\nExec={command}\nRetries=0\n")
    send(d, "j")
    (run,) = ended(d, "j")
    assert run["state"] == "dead"
    assert words in d.stderr


TREE = """#!/bin/sh
# A tree that will not go: double-forked, its own sessions, deaf to SIGTERM.
trap '' TERM
(setsid sh -c 'trap "" TERM; setsid sleep 1000 & sleep 1000' &) >/dev/null 2>&1
(trap '' TERM; sleep 1000) &
sleep 1000 & wait; wait
"""


def test_timeout_ends_the_whole_tree(run_daemon, tmp_path):
    script = tmp_path / "tree"
    script.write_text(TREE)
    script.chmod(0o700)
    d = run_daemon(SOURCE + f"[Hook h]\nExec={script}\nTimeout=300ms\nKillAfter=300ms\nRetries=0\n")
    send(d, "j")
    (run,) = ended(d, "j")
    assert run["state"] == "dead"
    assert processes_of(run["run"]) == []
    assert "ran into Timeout=" in d.stderr


def test_kill_9_of_the_daemon_leaves_no_process(run_daemon, tmp_path):
    script = tmp_path / "tree"
    script.write_text(TREE)
    script.chmod(0o700)
    d = run_daemon(SOURCE + f"[Hook h]\nExec={script}\n")
    send(d, "j")
    run = d.job("s", "j")["runs"][0]["run"]
    until(lambda: len(processes_of(run)) >= 4)
    d.kill9()
    until(lambda: processes_of(run) == [])


def test_the_runner_killed_is_a_restart_and_nothing_is_left(run_daemon, tmp_path):
    script = tmp_path / "tree"
    script.write_text(TREE)
    script.chmod(0o700)
    d = run_daemon(SOURCE + f"[Hook h]\nExec={script}\n")
    send(d, "j")
    run = d.job("s", "j")["runs"][0]["run"]
    children = Path(f"/proc/{d.process.pid}/task/{d.process.pid}/children").read_text().split()
    assert len(children) == 1, "the runner is the daemon's only child"
    os.kill(int(children[0]), signal.SIGKILL)
    assert d.wait() == 71
    until(lambda: processes_of(run) == [])


def test_max_concurrent_holds(run_daemon, tmp_path):
    script = tmp_path / "count"
    script.write_text(
        f"#!/bin/sh\nmkdir {tmp_path}/in.$CALLBACK_ID\nls -d {tmp_path}/in.* | wc -l >>{tmp_path}/seen\n"
        f"sleep 0.05\nrmdir {tmp_path}/in.$CALLBACK_ID\n"
    )
    script.chmod(0o700)
    d = run_daemon(SOURCE + f"[Hook h]\nExec={script}\nMaxConcurrent=3\nRetries=0\n")
    for i in range(20):
        send(d, f"j{i}")
    for i in range(20):
        (run,) = ended(d, f"j{i}")
        assert run["state"] == "done"
    seen = [int(n) for n in (tmp_path / "seen").read_text().split()]
    assert len(seen) == 20 and max(seen) <= 3


def test_a_background_child_does_not_hold_the_run(run_daemon):
    d = run_daemon(SOURCE + "[Hook h]\nExec=/bin/sh -c 'echo begun; sleep 30 & echo over'\n")
    begun = time.monotonic()
    send(d, "j")
    (run,) = ended(d, "j")
    assert run["state"] == "done"
    assert run["stdout"] == "begun\nover\n"
    assert time.monotonic() - begun < 5
    assert d.stop() == 0
    assert processes_of(run["run"]) == []


def test_output_is_kept_to_its_last_64_kib(run_daemon):
    d = run_daemon(
        SOURCE + "[Hook h]\nExec=/bin/sh -c 'head -c 3000000 /dev/zero | tr \"\\\\\\\\0\" x; echo end; echo err >&2'\n"
    )
    send(d, "j")
    (run,) = ended(d, "j")
    assert run["state"] == "done"
    assert len(run["stdout"]) == 64 * 1024 and run["stdout"].endswith("xend\n")
    assert run["stderr"] == "err\n"
    assert run["truncated"] is True


def test_stop_gives_hooks_their_time(run_daemon, recorder, tmp_path):
    d = run_daemon(SOURCE + f"[Hook h]\nExec=/bin/sh -c 'echo >{tmp_path}/begun; sleep 0.5; {recorder.exec}'\n")
    send(d, "j")
    until((tmp_path / "begun").exists)
    assert d.stop() == 0
    assert len(recorder.all()) == 1


def test_stop_puts_back_what_takes_longer(run_daemon, tmp_path):
    config = SOURCE + f"[Hook h]\nExec=/bin/sh -c 'test -e {tmp_path}/quick || sleep 100'\n"
    d = run_daemon(config, daemon="StopTimeout=200ms")
    send(d, "j")
    until(lambda: d.runs("?state=running"))
    assert d.stop() == 0
    (tmp_path / "quick").touch()
    d.start()
    (run,) = ended(d, "j")
    # The stop ended it: that was no attempt of its own.
    assert (run["state"], run["attempt"]) == ("done", 1)


def test_clean_restarts_kill_no_run(run_daemon, tmp_path):
    config = SOURCE + f"[Hook h]\nExec=/bin/sh -c 'test -e {tmp_path}/quick || exec sleep 100'\nRetries=0\n"
    d = run_daemon(config, daemon="StopTimeout=0")
    send(d, "j")
    for _ in range(5):
        until(lambda: d.runs("?state=running"))
        d.restart()
    (tmp_path / "quick").touch()
    d.restart()
    (run,) = ended(d, "j")
    assert (run["state"], run["attempt"]) == ("done", 1)


def test_a_stop_asks_before_it_kills(run_daemon, tmp_path):
    config = SOURCE + (
        f"[Hook h]\nExec=/bin/sh -c 'trap \"echo >{tmp_path}/asked; exit 1\" TERM; echo >{tmp_path}/begun; "
        "sleep 100 & wait'\n"
    )
    d = run_daemon(config, daemon="StopTimeout=0")
    send(d, "j")
    until((tmp_path / "begun").exists)
    assert d.stop() == 0
    assert (tmp_path / "asked").exists()


def test_daemon_deaths_are_counted(run_daemon, tmp_path):
    """A hook that takes its daemon along every time ends as dead: 1 + Retries= and two more."""
    d = run_daemon(SOURCE + f"[Hook h]\nExec=/bin/sh -c 'echo >>{tmp_path}/starts; exec sleep 100'\nRetries=0\n")
    send(d, "j")
    for n in range(1, 4):
        until(lambda n=n: (tmp_path / "starts").exists() and len((tmp_path / "starts").read_text()) == n)
        d.kill9()
        d.start()
    (run,) = ended(d, "j")
    assert run["state"] == "dead"
    assert "ended with the daemon" in run["reason"]
    assert len((tmp_path / "starts").read_text()) == 3


def test_a_due_time_of_a_wrong_clock_is_mended(run_daemon, recorder):
    recorder.fail(1)
    d = run_daemon(SOURCE + f"[Hook h]\nExec={recorder.exec}\nRetryDelay=1s\nRetryDelayMax=1s\n")
    send(d, "j")
    recorder.wait(1)
    until(lambda: d.runs("?state=waiting"))
    assert d.stop() == 0
    with sqlite3.connect(d.state + "/callbackd.db") as db:
        db.execute("UPDATE run SET due = due + 86400000000")
    db.close()
    recorder.fail(0)
    d.start()
    recorder.wait(2)


def test_a_replay_without_its_hook_is_dead(run_daemon):
    d = run_daemon(SOURCE + "[Hook h]\nExec=/bin/true\n")
    send(d, "j")
    (run,) = ended(d, "j")
    d.configure(SOURCE)
    assert d.ctl("reload").returncode == 0
    assert d.ctl("replay", run["run"]).returncode == 0
    new = until(lambda: d.runs("?state=dead"))[0]
    assert (new["replay_of"], new["reason"]) == (run["run"], "no such hook")


def test_a_death_is_told_to_hooks_of_its_source_only(run_daemon, recorder):
    d = run_daemon(
        SOURCE
        + "[Source other]\nVerify=none\n[Hook bad]\nExec=/bin/false\nRetries=0\nSource=s\n"
        + f"[Hook a]\nExec={recorder.exec}\nOn=dead\nSource=other\n"
        + f"[Hook b]\nExec={recorder.exec}\nOn=dead\nSource=s\n"
    )
    send(d, "j")
    (run,) = recorder.wait(1)
    assert run.HOOK == "b"
    assert d.stop() == 0
    assert len(recorder.all()) == 1


def test_a_hook_that_is_gone_leaves_its_runs_dead_and_replayable(run_daemon, recorder):
    recorder.fail(1)
    d = run_daemon(SOURCE + f"[Hook h]\nExec={recorder.exec}\nRetryDelay=1h\n")
    send(d, "j")
    recorder.wait(1)
    d.configure(SOURCE)
    assert d.ctl("reload").returncode == 0
    (run,) = ended(d, "j")
    assert run["state"] == "dead"
    recorder.fail(0)
    d.configure(SOURCE + f"[Hook h]\nExec={recorder.exec}\n")
    assert d.ctl("reload").returncode == 0
    assert d.ctl("replay", run["run"]).returncode == 0
    assert recorder.wait(2)[1].ATTEMPT == "1"


def test_descriptors_signals_and_group_of_a_child(run_daemon, tmp_path):
    script = tmp_path / "look"
    script.write_text(
        f"#!/usr/bin/python3\nimport os\n"
        f"out = [sorted(os.listdir('/proc/self/fd'))[:-1]]\n"
        f"status = dict(l.split(':\\t', 1) for l in open('/proc/self/status').read().splitlines())\n"
        f"out += [status['SigBlk'], status['SigIgn'], os.getpgid(0) == os.getpid(), os.getcwd()]\n"
        f"open('{tmp_path}/seen', 'w').write(repr(out))\n"
    )
    script.chmod(0o700)
    d = run_daemon(SOURCE + f"[Hook h]\nExec={script}\nWorkingDirectory={tmp_path}\n")
    send(d, "j")
    ended(d, "j")
    fds, blocked, ignored, leads, cwd = eval((tmp_path / "seen").read_text())
    assert fds == ["0", "1", "2"]
    assert int(blocked, 16) == 0
    # Python itself ignores SIGPIPE and SIGXFSZ; nothing else may be.
    assert int(ignored, 16) & ~(1 << 12 | 1 << 24) == 0
    assert leads and cwd == str(tmp_path)
