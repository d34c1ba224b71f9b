"""A backup taken while callbacks come holds all that was answered before it began; a restore
brings it back, and never gives a number twice."""

import contextlib
import http.client
import itertools
import json
import os
import shutil
import socket
import sqlite3
import stat
import subprocess
import threading
import time

import pytest

from helpers import build_directory, until

SOURCE = "[Source s]\nVerify=none\n"
KIB = 1024


def restore(d, path, *args):
    """Without -s: it speaks to no daemon."""
    return subprocess.run([build_directory() / "callbackctl", *args, "restore", "--directory", d.state, path],
                          capture_output=True, text=True, timeout=60, check=False)


def rows(path, text):
    with sqlite3.connect(f"file:{path}?immutable=1", uri=True) as db:
        return db.execute(text).fetchall()


def fill(d, n, prefix="f", size=100):
    connection = http.client.HTTPConnection("127.0.0.1", d.port, timeout=20)
    for i in range(n):
        body = json.dumps({"id": f"{prefix}{i}", "status": "completed", "pad": "x" * size})
        connection.request("POST", "/callback/s", body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        reply.read()
        assert reply.status == 200
    connection.close()


class Load:
    """Callbacks on four connections: which were answered, and how long each took."""

    def __init__(self, d):
        self.d, self.answered, self.slowest, self.failed = d, [], 0.0, []
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.one, args=(i,)) for i in range(4)]

    def one(self, worker):
        connection = http.client.HTTPConnection("127.0.0.1", self.d.port, timeout=20)
        n = 0
        while not self.stop.is_set():
            n += 1
            body = json.dumps({"id": f"w{worker}-{n}", "status": "completed"})
            began = time.monotonic()
            connection.request("POST", "/callback/s", body, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            reply.read()
            self.slowest = max(self.slowest, time.monotonic() - began)
            (self.answered if reply.status == 200 else self.failed).append(f"w{worker}-{n}")
        connection.close()

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for t in self.threads:
            t.join()


@pytest.fixture
def d(run_daemon):
    return run_daemon(SOURCE)


def test_under_load_it_holds_what_was_answered_before(d, tmp_path):
    fill(d, 300, size=20 * KIB)  # some hundred steps' worth of pages
    copy = tmp_path / "copy"
    with Load(d) as load:
        until(lambda: len(load.answered) > 100, what="the load")
        before = set(load.answered)
        done = d.ctl("backup", copy)
        after = len(load.answered)
    assert done.returncode == 0, done.stderr
    assert "checked" in done.stdout
    assert not load.failed and after > len(before), "others were served meanwhile"
    assert rows(copy, "PRAGMA integrity_check") == [("ok",)]
    held = {id for (id,) in rows(copy, "SELECT id FROM job")}
    assert before <= held and {f"f{i}" for i in range(300)} <= held
    assert os.stat(copy).st_mode & 0o777 == 0o600
    assert sorted(os.listdir(tmp_path)) == ["copy"], "nothing beside it"
    assert "callbackd.db.backup" not in os.listdir(d.state)
    if os.environ.get("FULL"):
        assert load.slowest < 0.2, load.slowest
    assert "A backup was taken" in d.stderr


def test_a_restore_brings_it_back_and_gives_no_number_twice(run_daemon, recorder, tmp_path):
    d = run_daemon(f"{SOURCE}[Hook h]\nSource=s\nExec={recorder.exec}\n")
    d.post("/callback/s", {"id": "kept", "status": "completed"})
    d.job("s", "kept", wait=10)
    until(lambda: d.job("s", "kept")["runs"][0]["state"] == "done", what="the run")
    run = d.job("s", "kept")["runs"][0]["run"]
    assert d.ctl("backup", tmp_path / "copy").returncode == 0
    d.post("/callback/s", {"id": "lost", "status": "completed"})
    until(lambda: d.job("s", "lost")["runs"], what="the lost run")
    lost = d.job("s", "lost")["runs"][0]["run"]
    seq = d.control("GET", "/v1/status").json["store"]["seq"]

    busy = restore(d, tmp_path / "copy")
    assert busy.returncode == 1 and "in use by another callbackd" in busy.stderr
    assert "systemctl stop" in busy.stderr
    d.stop()
    done = restore(d, tmp_path / "copy", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["jobs"] == 1 and told["runs"] == 1
    # What was there is all there, under the name that is told.
    assert {id for (id,) in rows(told["aside"], "SELECT id FROM job")} == {"kept", "lost"}
    d.start()
    assert d.job("s", "lost") is None
    assert d.job("s", "kept")["runs"][0]["run"] == run, "a run keeps its id"
    d.post("/callback/s", {"id": "new", "status": "completed"})
    until(lambda: d.job("s", "new")["runs"], what="the new run")
    new = d.job("s", "new")["runs"][0]["run"]
    assert new.rsplit("-", 1)[0] == run.rsplit("-", 1)[0]
    assert int(new.rsplit("-", 1)[1]) > int(lost.rsplit("-", 1)[1]) + 10**9
    assert d.control("GET", "/v1/status").json["store"]["seq"] > seq + 10**9
    # And so it stays behind another restart.
    d.restart()
    d.post("/callback/s", {"id": "newer", "status": "completed"})
    until(lambda: d.job("s", "newer")["runs"], what="the newer run")
    assert int(d.job("s", "newer")["runs"][0]["run"].rsplit("-", 1)[1]) > int(new.rsplit("-", 1)[1])


def test_a_log_that_was_not_carried_over_is_kept_with_its_store(d, tmp_path):
    fill(d, 5)
    assert d.ctl("backup", tmp_path / "copy").returncode == 0
    fill(d, 5, "later")
    d.kill9()
    done = restore(d, tmp_path / "copy", "--json")
    assert done.returncode == 0, done.stderr
    aside = json.loads(done.stdout)["aside"]
    with sqlite3.connect(aside) as db:  # with its log, which holds the newest
        assert ("later4",) in db.execute("SELECT id FROM job").fetchall()
    d.start()
    assert d.job("s", "f4") and not d.job("s", "later4")


def test_into_an_empty_directory(d, new_daemon, tmp_path):
    fill(d, 5)
    assert d.ctl("backup", tmp_path / "copy").returncode == 0
    other = new_daemon(SOURCE)
    missing = restore(other, tmp_path / "copy")
    assert missing.returncode == 66 and "No such file or directory" in missing.stderr
    os.mkdir(other.state, 0o700)
    done = restore(other, tmp_path / "copy", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["aside"] is None
    other.start()
    assert other.job("s", "f4")


@pytest.mark.parametrize("damage, words", [
    ("short", "cut short"), ("page", "cut short"), ("empty", "no store of callbackd"), ("text", "no store of callbackd"),
    ("foreign", "no store of callbackd"), ("newer", "newer callbackd"), ("holed", "damaged"), ("absent", "No such file"),
    ("directory", "no store of callbackd"),
])
def test_what_is_no_whole_copy_is_refused_and_nothing_moved(d, tmp_path, damage, words):
    fill(d, 50, size=5 * KIB)
    copy = tmp_path / "copy"
    assert d.ctl("backup", copy).returncode == 0
    d.stop()
    before = sorted(os.listdir(d.state))
    size = os.path.getsize(copy)
    if damage in ("short", "page"):
        os.truncate(copy, size - (1000 if damage == "short" else 4096))
    elif damage in ("empty", "text", "foreign", "absent", "directory"):
        os.unlink(copy)
    if damage in ("empty", "text"):
        copy.write_text("" if damage == "empty" else "hello " * 1000)
    elif damage == "directory":
        copy.mkdir()
    elif damage == "foreign":
        with sqlite3.connect(copy) as db:
            db.execute("CREATE TABLE t (a)")
    elif damage == "newer":
        with sqlite3.connect(copy) as db:
            db.execute("PRAGMA journal_mode=DELETE")
            db.execute("PRAGMA user_version=99")
    elif damage == "holed":
        with open(copy, "r+b") as f:  # all but the first page, which says what it is
            f.seek(4096)
            f.write(b"\xa5" * (size - 4096))
    done = restore(d, copy)
    assert done.returncode in (1, 66) and words in done.stderr, done
    assert sorted(os.listdir(d.state)) == before
    d.start()
    assert d.job("s", "f49")


def test_who_goes_away_leaves_nothing(d, tmp_path):
    fill(d, 300, size=20 * KIB)
    s = socket.socket(socket.AF_UNIX)
    s.connect(d.control_socket)
    s.sendall(b"GET /v1/backup HTTP/1.1\r\nHost: x\r\n\r\n")
    assert s.recv(1000).startswith(b"HTTP/1.1 200")
    # One at a time: each takes as much room as the store.
    second = d.control("GET", "/v1/backup")
    assert second.status == 409
    s.close()
    until(lambda: "broke off" in d.stderr, what="the end of it")
    until(lambda: d.control("GET", "/v1/backup").status == 200, what="another one")
    assert "callbackd.db.backup" not in os.listdir(d.state)
    assert not [f for f in os.listdir(f"/proc/{d.process.pid}/fd")
                if "db.backup" in os.readlink(f"/proc/{d.process.pid}/fd/{f}")]


def test_a_stop_breaks_it_off_and_half_of_it_is_no_backup(d, tmp_path):
    fill(d, 300, size=20 * KIB)
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(d.control_socket)
    s.sendall(b"GET /v1/backup HTTP/1.1\r\nHost: x\r\n\r\n")
    got = s.recv(1000)
    assert d.stop() == 0
    while piece := s.recv(1 << 16):
        got += piece
    assert not got.endswith(b"0\r\n\r\n")
    # What a crash left is taken away.
    with open(os.path.join(d.state, "callbackd.db.backup"), "wb") as f:
        f.write(b"x" * 1000)
    d.start()
    assert "callbackd.db.backup" not in os.listdir(d.state)


def test_to_standard_output_and_to_where_nothing_can_be_written(d, tmp_path):
    fill(d, 5)
    out = subprocess.run([build_directory() / "callbackctl", "-s", d.control_socket, "backup", "-"],
                         capture_output=True, timeout=30, check=True).stdout
    (tmp_path / "copy").write_bytes(out)
    assert rows(tmp_path / "copy", "SELECT count(*) FROM job") == [(5,)]
    nowhere = d.ctl("backup", "/nonexistent/copy")
    assert nowhere.returncode == 66 and "/nonexistent/copy" in nowhere.stderr
    full = subprocess.run(f"{build_directory()}/callbackctl -s {d.control_socket} backup - >/dev/full", shell=True,
                          capture_output=True, text=True, timeout=30, check=False)
    assert full.returncode == 1 and "No space left" in full.stderr
    d.stop()
    away = d.ctl("backup", tmp_path / "other")
    assert away.returncode == 69 and "cannot reach the daemon" in away.stderr
    assert not (tmp_path / "other").exists() and len(os.listdir(tmp_path)) == 1


@contextlib.contextmanager
def small_disk(path, size):
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("needs root to mount a small disk")
    os.mkdir(path)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", path], check=False).returncode:
        pytest.skip("no mount here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def test_a_disk_without_room_refuses_it_and_takes_callbacks(new_daemon, tmp_path):
    d = new_daemon(SOURCE, daemon="MinFreeBytes=1M")
    with small_disk(d.state, "14M"):
        d.start()
        fill(d, 250, size=20 * KIB)
        answer = d.ctl("backup", tmp_path / "copy")
        assert answer.returncode != 0 and "no room" in answer.stderr, answer
        fill(d, 5, "after")
        assert d.job("s", "after4")
        d.stop()


HALF_DONE = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA journal_mode=DELETE")
db.execute("PRAGMA cache_size=1")
db.execute("BEGIN IMMEDIATE")
db.execute("UPDATE callback SET payload = zeroblob(length(payload))")
db.execute("UPDATE job SET deliveries = 99")
os._exit(0)
"""


@pytest.mark.parametrize("log", ["journal", "wal"])
def test_what_a_restore_that_was_cut_short_left_is_no_part_of_the_next(d, tmp_path, log):
    fill(d, 60, "old", size=5 * KIB)
    assert d.ctl("backup", tmp_path / "old").returncode == 0
    fill(d, 200, "new", size=5 * KIB)
    assert d.ctl("backup", tmp_path / "new").returncode == 0
    d.stop()
    half = os.path.join(d.state, "callbackd.db.restore")
    shutil.copy(tmp_path / "old", half)
    script = HALF_DONE if log == "journal" else HALF_DONE.replace("=DELETE", "=WAL").replace("os._exit", "db.execute('COMMIT'); os._exit")
    subprocess.run(["/usr/bin/python3", "-c", script, half], timeout=30, check=True)
    assert os.path.getsize(f"{half}-{log}") > 10000, "the scene is set"
    done = restore(d, tmp_path / "new")
    assert done.returncode == 0, done.stderr
    assert not [f for f in os.listdir(d.state) if ".restore" in f]
    d.start()
    assert d.job("s", "new199")["deliveries"] == 1
    assert d.job("s", "old0")["deliveries"] == 1


def test_a_journal_beside_the_store_goes_aside_with_it(d, tmp_path):
    """Of a start that was cut short while it took a restored store into use."""
    fill(d, 200, "kept", size=5 * KIB)
    assert d.ctl("backup", tmp_path / "copy").returncode == 0
    fill(d, 60, "later", size=5 * KIB)
    d.stop()
    store = os.path.join(d.state, "callbackd.db")
    subprocess.run(["/usr/bin/python3", "-c", HALF_DONE, store], timeout=30, check=True)
    assert os.path.getsize(f"{store}-journal") > 10000, "the scene is set"
    done = restore(d, tmp_path / "copy", "--json")
    assert done.returncode == 0, done.stderr
    aside = json.loads(done.stdout)["aside"]
    assert os.path.exists(f"{aside}-journal") and not os.path.exists(f"{store}-journal")
    d.start()
    assert d.job("s", "kept199")["deliveries"] == 1


@pytest.mark.parametrize("what, words", [
    ("fifo", "no store of callbackd"), ("trigger", "no store of callbackd"), ("view", "no store of callbackd"),
    ("table", "no store of callbackd"), ("name", "no store of callbackd"), ("numbers", "damaged"),
    ("ids", "damaged: its index of ids is not whole"), ("key", "damaged: its index of ids is not whole"),
    ("mark", "damaged"),
])
def test_a_crafted_file_is_refused(d, tmp_path, what, words):
    fill(d, 5)
    copy = tmp_path / "copy"
    assert d.ctl("backup", copy).returncode == 0
    d.stop()
    before = sorted(os.listdir(d.state))
    if what == "fifo":
        os.unlink(copy)
        os.mkfifo(copy)
    else:
        with sqlite3.connect(copy) as db:
            db.execute("PRAGMA journal_mode=DELETE")
            db.executescript({
                "trigger": "CREATE TRIGGER t AFTER INSERT ON job BEGIN DELETE FROM run; END",
                "view": "DROP TABLE token; CREATE VIEW token AS SELECT 1 AS hash, 2 AS source, 3 AS id, 4 AS created",
                "table": "ALTER TABLE run DROP COLUMN reason",
                "name": "UPDATE meta SET value = char(27) || '[2Jabcd' WHERE key = 'name'",
                "numbers": "INSERT OR REPLACE INTO meta VALUES ('next_run', 9223372036854775807)",
                "ids": "UPDATE meta SET value = 1000 WHERE key = 'merged_to'",
                "key": "UPDATE meta SET value = 'abcdefghijklmnop' WHERE key = 'id_key'",
                "mark": "UPDATE meta SET value = 9223372036854775807 WHERE key = 'merged_to'",
            }[what])
    done = restore(d, copy)
    assert done.returncode == 1 and words in done.stderr, done
    assert "systemctl stop" not in done.stderr, "no daemon is in its way"
    assert sorted(os.listdir(d.state)) == before
    d.start()
    assert d.job("s", "f4")


def test_who_comes_second_takes_nothing_from_who_restores(d, tmp_path):
    fill(d, 5)
    assert d.ctl("backup", tmp_path / "copy").returncode == 0
    half = os.path.join(d.state, "callbackd.db.restore")
    with open(half, "wb") as f:
        f.write(b"being written by the first")
    assert restore(d, tmp_path / "copy").returncode == 1
    assert os.path.exists(half)


def test_a_backup_takes_the_place_of_no_device(d):
    fifo = os.path.join(os.path.dirname(d.state), "pipe")
    os.mkfifo(fifo)
    done = d.ctl("backup", fifo)
    assert done.returncode != 0 and "no regular file" in done.stderr, done
    assert stat.S_ISFIFO(os.stat(fifo).st_mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of another")
def test_a_restore_that_is_refused_leaves_no_lock_of_root(d, new_daemon, tmp_path):
    other = new_daemon(SOURCE)
    os.mkdir(other.state, 0o700)
    os.chown(other.state, 65534, 65534)
    assert restore(other, tmp_path / "absent").returncode == 66
    for name in os.listdir(other.state):
        assert os.stat(os.path.join(other.state, name)).st_uid == 65534, name


def stalled_reader(d):
    s = socket.socket(socket.AF_UNIX)
    s.connect(d.control_socket)
    s.sendall(b"GET /v1/backup HTTP/1.1\r\nHost: x\r\n\r\n")
    assert s.recv(1000).startswith(b"HTTP/1.1 200")
    return s


def test_a_copy_that_nobody_reads_makes_room_for_callbacks(new_daemon):
    d = new_daemon(SOURCE, daemon="MinFreeBytes=2M")
    with small_disk(d.state, "32M"):
        d.start()
        fill(d, 250, size=20 * KIB)
        with stalled_reader(d):
            vfs = os.statvfs(d.state)
            with open(os.path.join(d.state, "filler"), "wb") as f:
                f.write(bytes(vfs.f_bavail * vfs.f_frsize - 1024 * KIB))
            n = itertools.count()
            until(lambda: d.post("/callback/s", {"id": f"more{next(n)}", "status": "completed"}).status == 503
                  or "broke off" in d.stderr, what="a low disk")
            until(lambda: d.request("GET", "/healthz").status == 200 and "broke off" in d.stderr, 30, what="room")
            assert d.post("/callback/s", {"id": "after", "status": "completed"}).status == 200
        d.stop()


@pytest.mark.skipif(not os.environ.get("FULL"), reason="takes more than a minute: FULL=1")
@pytest.mark.timeout(200)
def test_who_reads_nothing_does_not_keep_others_from_theirs(d):
    fill(d, 300, size=20 * KIB)
    with stalled_reader(d):
        assert d.control("GET", "/v1/backup").status == 409
        until(lambda: d.control("GET", "/v1/backup").status == 200, 150, what="a turn")
    assert "broke off" in d.stderr
