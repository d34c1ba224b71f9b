"""The source is asked: for jobs that keep silent, and before a callback is believed."""

import http.server
import json
import os
import re
import ssl
import threading
import time

import pytest
from helpers import certificate, until
from storage_service import StorageService

FULL = os.environ.get("FULL") == "1"
KEY = "k-upload-test"
TOKEN = "t" * 40

# The within of an expectation is the source's here, unless a test says otherwise.
SOURCE = """
[Source s]
Preset=eachlabs
SecretFile=token
UploadURL={url}/api/v1/uploads
StatusURL={url}/api/v1/uploads/{{id}}
UploadOwner=org-test
APIKeyFile=key
{more}
"""
HOOK = """
[Hook all]
Source=s
On=any lost unreadable
Exec={hook}
Export=SIZE:/size_bytes
"""


@pytest.fixture
def ask(new_daemon, storage, recorder):
    """ask(more, …): a daemon with a source s at the stand-in; `within` its ExpectWithin=."""

    def start(more="", within="200ms", hook=HOOK, url=storage.url, daemon="", **rest):
        if within:
            more = f"ExpectWithin={within}\n{more}"
        config = SOURCE.format(url=url, more=more) + hook.format(hook=recorder.exec)
        files = {"key": KEY + "\n", "token": TOKEN, "clip.mp4": b"moving", **rest.pop("files", {})}
        return new_daemon(config, daemon=daemon, files=files, **rest).start()

    return start


def expect(daemon, id, **body):
    answer = daemon.control("PUT", f"/v1/jobs/s/{id}", body or None)
    assert answer.status == 200, answer
    return answer.json


def call_back(daemon, id, status="COMPLETED", **more):
    answer = daemon.post(f"/callback/s/{TOKEN}", {"id": id, "status": status, **more})
    assert answer.status == 200, answer
    return answer


def end_of(daemon, id, timeout=60):
    """The job once it is settled, however long that takes; a long poll is shorter than that."""
    return until(lambda: (j := daemon.job("s", id, wait=10))["outcome"] != "pending" and j, timeout)


def journal(daemon, text):
    """Its lines with this text, once it has written all of them."""
    assert daemon.stop() == 0
    return [line for line in daemon.stderr.splitlines() if re.search(text, line)]


def asked(daemon):
    (source,) = [s for s in daemon.control("GET", "/v1/status").json["sources"] if s["name"] == "s"]
    return source["asking"]


# ---- Expected, and not heard of


def test_an_expected_job_that_keeps_silent_is_asked_for_once(ask, storage, recorder):
    d = ask()
    storage.make("quiet")
    expect(d, "quiet")
    job = d.job("s", "quiet", wait=10)
    assert (job["outcome"], job["status"], job["deliveries"]) == ("success", "COMPLETED", 0)
    assert job["confirmed"] and job["received"] is None
    assert job["asked"] == 1 and job["next_ask"] is None and job["ask_error"] is None
    assert json.loads(job["payload"]) == storage.uploads["quiet"].document()
    (run,) = recorder.wait(1)
    assert (run.ID, run.STATUS, run.OUTCOME, run.SIZE) == ("quiet", "COMPLETED", "success", "1")
    assert json.loads(run.payload) == storage.uploads["quiet"].document()
    assert storage.n_questions() == 1
    assert asked(d)["asked"] == 1 and asked(d)["failed"] == 0
    assert 'callbackd_questions_total{source="s"} 1\n' in d.control("GET", "/metrics").body.decode()


def test_what_called_back_is_not_asked_for(ask, storage, recorder):
    """Nor what did so while it waits to be asked for; a later one shows that its time has come."""
    d = ask(within="500ms")
    storage.make("loud")
    expect(d, "loud")
    call_back(d, "loud")
    storage.make("quiet")
    expect(d, "quiet")
    assert d.job("s", "quiet", wait=10)["outcome"] == "success"
    recorder.wait(2)
    assert storage.n_questions("loud") == 0 and storage.n_questions("quiet") == 1
    assert d.job("s", "loud")["asked"] == 0 and d.job("s", "loud")["next_ask"] is None


def test_pending_answers_are_recorded_and_asked_again_later_each_time(ask, storage, recorder):
    d = ask(within="100ms", hook="[Hook all]\nSource=s\nOn=PROCESSING any\nExec={hook}\n")
    storage.make("slow", status="PROCESSING")
    began = time.monotonic()
    expect(d, "slow")
    (run,) = recorder.wait(1)
    assert (run.STATUS, run.OUTCOME) == ("PROCESSING", "pending")
    assert json.loads(run.payload)["status"] == "PROCESSING"
    until(lambda: storage.n_questions() >= 3)
    job = d.job("s", "slow")
    assert (job["outcome"], job["status"]) == ("pending", "PROCESSING") and job["confirmed"]
    # 100 ms, then at least 50, 100, 200, …: so many fit and no more.
    until(lambda: storage.n_questions() >= 4)
    assert time.monotonic() - began > 0.44
    with storage.lock:
        storage.uploads["slow"].status = "ERROR"
    assert d.job("s", "slow", wait=10)["outcome"] == "error"
    assert [r.STATUS for r in recorder.wait(2)] == ["PROCESSING", "ERROR"]  # the word once
    assert d.job("s", "slow")["asked"] == storage.n_questions()


def test_an_id_is_one_segment_of_the_url(ask, storage):
    d = ask()
    for id in ("a/b?c=d#e", "ä ö", "..%2f", "x" * 255, "~a-b_c.d"):
        quoted = "".join(c if re.match(r"[A-Za-z0-9._~-]", c) else "".join(f"%{b:02X}" for b in c.encode()) for c in id)
        upload = storage.make(quoted)
        upload.document = lambda status=None, id=id: {"id": id, "status": "COMPLETED"}
        expect(d, quoted)  # on the control socket, too
        assert d.job("s", quoted, wait=10)["outcome"] == "success"
        assert storage.counters()["questions"][-1] == "/api/v1/uploads/" + quoted


def test_dots_are_not_asked_for(ask, storage):
    """/api/v1/uploads/.. would be another resource."""
    d = ask("GiveUpAfter=300ms", within="50ms")
    expect(d, "%2E%2E")
    job = d.job("s", "%2E%2E", wait=10)
    assert job["outcome"] == "lost" and storage.n_questions() == 0


@pytest.mark.parametrize(
    "behaviour,error",
    [
        ({"status_override": {"id": "another"}}, "of another job"),
        ({"status_body": "no json"}, "cannot be used"),
        ({"status_override": {"status": None}}, "no status"),
        ({"status_body": '{"status":"COMPLETED","x":"' + "y" * 3000 + '"}'}, "too large"),
        ({"status_error": {"status": 404}}, "answered 404"),
        ({"status_error": {"status": 400}}, "answered 400"),
        ({"status_error": {"status": 500}}, "answered 500"),
        ({"status_error": {"status": 302}}, "answered 302"),
        ({"status_error": {"status": 401}}, "answered 401"),
    ],
)
def test_what_cannot_be_used_is_told_once_and_asked_again(ask, storage, recorder, behaviour, error):
    d = ask(within="50ms", daemon="MaxBodyBytes=2000")
    storage.make("odd", **behaviour)
    expect(d, "odd")
    job = until(lambda: (j := d.job("s", "odd"))["ask_error"] and j)
    assert error in job["ask_error"] and job["outcome"] == "pending" and job["next_ask"]
    until(lambda: storage.n_questions() >= 3)
    storage.behave("odd", status_override={}, status_body=None, status_error=None)
    assert d.job("s", "odd", wait=20)["outcome"] == "success"
    assert d.job("s", "odd")["ask_error"] is None and d.job("s", "another") is None
    recorder.wait(1)
    assert len(d.runs()) == 1
    lines = journal(d, error)
    assert 1 <= len(lines) <= 2, lines  # of the job, and of the source when it fails as a whole


def test_an_answer_without_an_id_is_of_the_job_asked_for(ask, storage):
    d = ask()
    storage.make("nameless", status_override={"id": None})
    expect(d, "nameless")
    assert d.job("s", "nameless", wait=10)["outcome"] == "success"


def test_a_source_that_needs_no_preset(run_daemon, storage, recorder):
    """Any source with StatusURL=, IdField= and StatusField=."""
    d = run_daemon(
        f"[Source s]\nVerify=none\nConfirm=yes\nStatusURL={storage.url}/api/v1/uploads/{{id}}\nAPIKeyFile=key\n"
        "IdField=form:job\nIdField=/meta/id\nStatusField=form:state /meta/state\nSuccessValues=ok\n"
        f"[Hook h]\nExec={recorder.exec}\nExport=X:/meta/x\n",
        files={"key": KEY},
    )
    storage.make("j", status_body='{"meta":{"id":"j","state":"OK","x":7}}')
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert d.post("/callback/s", b"job=j&state=ok&x=8", headers).status == 200
    (run,) = recorder.wait(1)
    assert (run.STATUS, run.X) == ("OK", "7")
    assert storage.n_questions() == 1


# ---- Lost


def test_without_a_status_url_silence_leads_straight_to_lost(run_daemon, recorder):
    d = run_daemon(
        f"[Source s]\nVerify=none\nExpectWithin=100ms\n[Hook h]\nOn=lost success\nExec={recorder.exec}\n"
        f"[Hook other]\nExec={recorder.exec}\nOn=error\n"
    )
    expect(d, "gone")
    job = d.job("s", "gone", wait=10)
    assert (job["outcome"], job["status"], job["payload"], job["deliveries"]) == ("lost", None, None, 0)
    (run,) = recorder.wait(1)
    assert run.OUTCOME == "lost" and run.payload == b"" and "CALLBACK_STATUS" not in run.env
    # It came after all.
    assert d.post("/callback/s", {"id": "gone", "status": "completed"}).status == 200
    assert [r.OUTCOME for r in recorder.wait(2)] == ["lost", "success"]
    assert len(journal(d, "gone is lost")) == 1


@pytest.mark.parametrize("why", ["404", "pending", "refused", "down"])
def test_give_up(ask, storage, recorder, why):
    url = "http://127.0.0.1:1" if why == "refused" else storage.url
    d = ask("GiveUpAfter=900ms", within="100ms", url=url)
    storage.down = why == "down"
    if why == "pending":
        storage.make("hopeless", status="PROCESSING")
    began = time.monotonic()
    expect(d, "hopeless")
    job = d.job("s", "hopeless", wait=20)
    assert job["outcome"] == "lost" and time.monotonic() - began > 0.8
    assert recorder.wait(2 if why == "pending" else 1)[-1].OUTCOME == "lost"
    assert job["next_ask"] is None and (job["ask_error"] or why == "pending")
    n = storage.n_questions()
    # Nobody asks for what is lost; another job shows that time went on.
    storage.down = False
    if why != "refused":
        storage.make("later")
        expect(d, "later", within="300ms")
        assert d.job("s", "later", wait=20)["outcome"] == "success"
        assert storage.n_questions() == n + 1
    call_back(d, "hopeless")
    assert d.job("s", "hopeless")["outcome"] == "success"


def test_lost_may_be_replaced_by_what_the_source_says_of_a_held_callback(ask, storage, recorder):
    d = ask("Confirm=yes\nGiveUpAfter=300ms", within="50ms")
    expect(d, "late")
    assert d.job("s", "late", wait=10)["outcome"] == "lost"
    recorder.wait(1)  # two runs at once may end in either order
    storage.make("late")
    call_back(d, "late")
    assert [r.OUTCOME for r in recorder.wait(2)] == ["lost", "success"]
    assert d.job("s", "late")["outcome"] == "success"


# ---- Confirm=yes


def test_a_callback_is_answered_at_once_and_believed_when_the_source_says_so(ask, storage, recorder):
    d = ask("Confirm=yes")
    storage.make("j", status_delay=0.3)
    assert call_back(d, "j", size_bytes=999).body == b"{}"
    job = d.job("s", "j")
    assert (job["outcome"], job["status"], job["deliveries"]) == ("pending", None, 1)
    job = d.job("s", "j", wait=10)
    assert (job["outcome"], job["status"]) == ("success", "COMPLETED")
    (run,) = recorder.wait(1)
    assert run.SIZE == "1"  # the source's, not the callback's
    call_back(d, "j", size_bytes=999)
    call_back(d, "j", size_bytes=998)
    assert d.job("s", "j")["deliveries"] == 3
    assert len(d.runs()) == 1 and storage.n_questions() == 1
    assert not journal(d, "said COMPLETED, and")


@pytest.mark.parametrize("claimed,truth", [("COMPLETED", "ERROR"), ("ERROR", "COMPLETED"), ("COMPLETED", "PROCESSING")])
def test_a_forged_callback_changes_nothing_and_is_told(ask, storage, recorder, claimed, truth):
    d = ask("Confirm=yes", within="100ms")
    storage.make("j", status=truth)
    call_back(d, "j", claimed)
    if truth == "PROCESSING":
        until(lambda: storage.n_questions() >= 3)
        assert d.job("s", "j")["status"] == "PROCESSING"
        with storage.lock:
            storage.uploads["j"].status = "COMPLETED"
    job = d.job("s", "j", wait=10)
    assert job["status"] == {"PROCESSING": "COMPLETED"}.get(truth, truth)
    runs = recorder.wait(1 + (truth == "PROCESSING"))
    assert [r.STATUS for r in runs] == ([truth] if truth != "PROCESSING" else ["PROCESSING", "COMPLETED"])
    call_back(d, "j", "CANCELED" if claimed == "ERROR" else "ERROR", forged="again")
    assert d.job("s", "j")["status"] == job["status"]
    assert len(journal(d, f"said {claimed}, and its source says {truth}")) == 1


def test_ids_nobody_knows_cost_a_question_and_fire_nothing(ask, storage, recorder):
    d = ask("Confirm=yes")
    call_back(d, "made-up")
    job = until(lambda: (j := d.job("s", "made-up"))["ask_error"] and j)
    assert job["outcome"] == "pending" and "404" in job["ask_error"] and job["expected"] is None
    assert d.runs() == [] and storage.n_questions("made-up") >= 1


def test_many_callbacks_of_one_job_are_one_question(ask, storage, recorder):
    d = ask("Confirm=yes")
    storage.make("j", status_delay=0.5)
    for n in range(30):
        call_back(d, "j", n=n)
    assert d.job("s", "j", wait=10)["outcome"] == "success"
    assert storage.n_questions() == 1 and len(recorder.wait(1)) == 1 and len(d.runs()) == 1


def test_what_cannot_be_read_cannot_be_confirmed(ask, storage, recorder):
    """No run is made from a callback, whatever On= says; nobody is asked for a hash."""
    d = ask("Confirm=yes")
    assert d.post(f"/callback/s/{TOKEN}", b"no json").status == 200
    storage.make("j")
    call_back(d, "j")
    assert d.job("s", "j", wait=10)["outcome"] == "success"
    assert storage.n_questions() == 1 and [r.ID for r in recorder.wait(1)] == ["j"] and len(d.runs()) == 1


def test_our_own_sample_is_believed(ask, storage, recorder):
    d = ask("Confirm=yes")
    assert d.ctl("test", "s").returncode == 0
    (run,) = recorder.wait(1)
    assert run.TEST == "1" and storage.n_questions() == 0


def test_a_crash_does_not_forget_to_ask(ask, storage, recorder):
    d = ask("Confirm=yes")
    storage.down = True
    for n in range(20):
        storage.make(f"j{n}")
        call_back(d, f"j{n}")
    until(lambda: storage.counters()["hang_ups"])
    d.kill9()
    storage.down = False
    d.start()
    assert sorted(r.ID for r in recorder.wait(20)) == sorted(f"j{n}" for n in range(20))
    assert storage.n_questions() == 20 and len(d.runs("?limit=100")) == 20


def test_killed_in_the_middle_of_asking(ask, storage, recorder):
    d = ask("Confirm=yes", within="50ms")
    ids = [f"j{n}" for n in range(40)]
    # Nothing is answered before the last kill: a slow machine would find nothing left to ask.
    uploads = [storage.make(id, status_delay=60) for id in ids]
    for n, id in enumerate(ids):
        expect(d, id) if n % 2 else call_back(d, id)
    for life in range(3):
        seen = storage.n_questions() if life else 0
        until(lambda seen=seen: storage.n_questions() > seen, timeout=30)
        d.kill9()
        for upload in uploads if life == 2 else ():
            upload.behaviour["status_delay"] = 0.05
        d.start()
    for id in ids:
        assert end_of(d, id)["outcome"] == "success"
    until(lambda: sum(r["state"] == "done" for r in d.runs("?limit=100")) == 40, timeout=30)
    assert len(d.runs("?limit=100")) == 40
    assert storage.n_questions() <= 40 + 3 * 8  # those under way when it died


# ---- Callback and question meet


def test_a_callback_ends_a_question_that_is_under_way(ask, storage, recorder):
    d = ask(within="50ms")
    storage.make("j", status="PROCESSING", status_delay=1.0)
    expect(d, "j")
    until(lambda: storage.n_questions() == 1)
    call_back(d, "j")
    assert d.job("s", "j")["outcome"] == "success"
    assert asked(d)["under_way"] == 0
    storage.make("other")
    expect(d, "other")
    assert d.job("s", "other", wait=10)["outcome"] == "success"
    assert d.job("s", "j")["status"] == "COMPLETED" and len(recorder.wait(2)) == 2 and len(d.runs()) == 2
    assert storage.n_questions("j") == 1


def test_what_is_forgotten_is_not_raised_by_its_answer(ask, storage, recorder):
    d = ask(within="50ms")
    storage.make("j", status_delay=0.4)
    expect(d, "j")
    until(lambda: storage.n_questions() == 1)
    assert d.control("DELETE", "/v1/jobs/s/j").status == 200
    until(lambda: asked(d)["under_way"] == 0)
    storage.make("other")
    expect(d, "other")
    assert d.job("s", "other", wait=10)["outcome"] == "success"
    assert d.job("s", "j") is None and len(recorder.wait(1)) == 1


def test_what_answers_of_the_other_end_must_not_do_is_fire_twice(ask, storage, recorder):
    """Callbacks and questions at the same time, for hundreds of jobs: each hook once."""
    d = ask(within="100ms")
    ids = [f"j{n}" for n in range(60)]
    for id in ids:
        storage.make(id, status_delay=0.01)
        expect(d, id)
    until(lambda: storage.n_questions() >= 5)
    for id in reversed(ids):
        call_back(d, id)
    for id in ids:
        assert d.job("s", id, wait=10)["outcome"] == "success"
    assert sorted(r.ID for r in recorder.wait(60, timeout=30)) == sorted(ids)
    assert len(d.runs("?limit=100")) == 60


# ---- A source that fails


@pytest.mark.timeout(600)
def test_an_outage_neither_hammers_nor_floods(ask, storage, recorder):
    n = 2000 if FULL else 60
    d = ask(within="100ms")
    storage.down = True
    for i in range(n):
        storage.make(f"j{i}")
        expect(d, f"j{i}")
    until(lambda: (a := asked(d))["trouble"] and not a["under_way"])
    began, first = time.monotonic(), len(storage.counters()["hang_ups"])
    # Each after a longer pause than the one before: half a second at least, a second, …
    until(lambda: len(storage.counters()["hang_ups"]) >= first + 2, timeout=200)
    assert time.monotonic() - began > 1.2
    tried = len(storage.counters()["hang_ups"])
    print(f"\n{tried} questions in {time.monotonic() - began:.1f} s for {n} jobs; the seed's loop: one a job each 3 s")
    assert tried < 30 and asked(d)["trouble"]
    assert "no answer" in d.job("s", f"j{n - 1}")["ask_error"]
    storage.down = False
    for i in range(n):
        assert end_of(d, f"j{i}", 300)["outcome"] == "success"
    assert storage.n_questions() == n and asked(d)["trouble"] is None
    recorder.wait(n, timeout=300)
    assert len(journal(d, "s cannot be asked")) == 1
    assert len(journal(d, "s can be asked again")) == 1


def test_an_outage_loses_what_it_outlasts(ask, storage, recorder):
    """Not one a pause, in the order of the questions: all of them, when their time is up."""
    d = ask("GiveUpAfter=1500ms", within="100ms")
    storage.down = True
    for i in range(100):
        expect(d, f"j{i}")
    for i in range(100):
        assert d.job("s", f"j{i}", wait=10)["outcome"] == "lost"
    assert sorted(r.ID for r in recorder.wait(100, timeout=30)) == sorted(f"j{i}" for i in range(100))
    assert len(storage.counters()["hang_ups"]) < 40


def test_what_is_overdue_is_spread(ask, storage):
    """20 at once and then 20 a second: 60 take 2 s, on the fastest machine, too."""
    d = ask(within="300ms", hook="")
    for i in range(60):
        storage.make(f"j{i}")
        expect(d, f"j{i}")
    until(lambda: storage.n_questions() >= 1)
    began = time.monotonic()
    for i in range(60):
        assert d.job("s", f"j{i}", wait=20)["outcome"] == "success"
    assert time.monotonic() - began > 1.5


def test_retry_after_is_honoured(ask, storage):
    d = ask(within="50ms")
    storage.make("j", status_error={"status": 429, "retry_after": 2})
    storage.make("k")
    expect(d, "j")
    until(lambda: storage.n_questions() == 1)
    began = time.monotonic()
    storage.behave("j", status_error=None)
    expect(d, "k")
    assert d.job("s", "k", wait=20)["outcome"] == "success"
    assert time.monotonic() - began > 1.8  # nobody of this source is asked for
    assert d.job("s", "j", wait=20)["outcome"] == "success"
    assert storage.n_questions() == 3


def test_one_job_that_makes_it_fail_does_not_stop_the_others(ask, storage):
    d = ask("Confirm=yes", within="50ms")
    storage.make("bad", status_error={"status": 500})
    call_back(d, "bad")
    until(lambda: storage.n_questions("bad") >= 1)
    for n in range(10):
        storage.make(f"j{n}")
        call_back(d, f"j{n}")
    for n in range(10):
        assert d.job("s", f"j{n}", wait=10)["outcome"] == "success"


def test_made_up_ids_do_not_starve_what_is_expected(ask, storage):
    """A hundred forged ones are in line before it; it is asked for among the first."""
    d = ask("Confirm=yes", within="50ms")
    for n in range(100):
        call_back(d, f"forged{n}")
    before = storage.n_questions()
    storage.make("real")
    expect(d, "real")
    assert d.job("s", "real", wait=10)["outcome"] == "success"
    questions = [path.rsplit("/", 1)[1] for path in storage.counters()["questions"]]
    assert questions.index("real") - before < 30


# ---- The configuration changes


def test_the_next_question_uses_the_new_key_and_url(ask, storage, recorder):
    d = ask(within="50ms", files={"key": "old-key"})
    storage.make("j")
    expect(d, "j")
    job = until(lambda: (j := d.job("s", "j"))["ask_error"] and j)
    assert "401" in job["ask_error"]
    d.write("key", KEY)
    assert d.ctl("reload").returncode == 0
    assert d.job("s", "j", wait=20)["outcome"] == "success"
    text = d.stderr
    assert "old-key" not in text and KEY not in text


def test_jobs_of_a_source_that_is_gone_wait_for_its_return(ask, storage, recorder):
    d = ask("GiveUpAfter=2s", within="50ms")
    storage.make("j")
    d.configure("[Source other]\nVerify=none\nExpectWithin=50ms\n")
    expect(d, "j", within="200ms")
    assert d.ctl("reload").returncode == 0
    assert d.control("PUT", "/v1/jobs/other/x", {"within": "500ms"}).status == 200
    assert d.job("other", "x", wait=10)["outcome"] == "lost"
    assert d.job("s", "j")["outcome"] == "pending" and storage.n_questions() == 0
    time.sleep(2)  # GiveUpAfter= passes
    storage.down = True
    d.configure(SOURCE.format(url=storage.url, more="GiveUpAfter=2s") + HOOK.format(hook=recorder.exec))
    assert d.ctl("reload").returncode == 0
    until(lambda: storage.counters()["hang_ups"])
    storage.down = False
    assert d.job("s", "j", wait=10)["outcome"] == "success"


def test_after_a_downtime_what_is_overdue_is_asked_for_at_once(ask, storage, recorder):
    """Also what is long past GiveUpAfter=: it is asked for once before it is given up."""
    d = ask("GiveUpAfter=400ms", within="100ms")
    for n in range(30):
        expect(d, f"j{n}")
        if n % 2:
            storage.make(f"j{n}")
    storage.down = True
    d.kill9()
    time.sleep(0.5)  # nothing of ours runs: time alone must pass
    storage.down = False
    d.start()
    for n in range(30):
        assert d.job("s", f"j{n}", wait=20)["outcome"] == ("success" if n % 2 else "lost")
    recorder.wait(30, timeout=20)
    assert all(storage.n_questions(f"j{n}") >= 1 for n in range(30))


def test_what_cannot_be_asked_right_after_a_start_is_not_lost_at_once(ask, storage, recorder):
    """The network is not up yet, and their time went by while nobody could ask."""
    d = ask("GiveUpAfter=2s", within="1s")
    storage.make("j")
    expect(d, "j")
    d.kill9()
    storage.down = True
    time.sleep(2.1)  # time alone must pass
    d.start()
    until(lambda: storage.counters()["hang_ups"])
    storage.down = False
    assert d.job("s", "j", wait=20)["outcome"] == "success"


# ---- The way there


def test_the_key_reaches_the_source_and_no_log(ask, storage):
    d = ask(within="50ms", daemon="LogLevel=debug")
    storage.make("good")
    storage.make("bad", status_error={"status": 500, "error": KEY})
    for id in ("good", "bad", "none"):
        expect(d, id)
    assert d.job("s", "good", wait=10)["outcome"] == "success"
    until(lambda: storage.n_questions("bad") >= 2)
    storage.down = True
    until(lambda: storage.counters()["hang_ups"])
    until(lambda: asked(d)["trouble"])
    shown = d.control("GET", "/v1/jobs/s/bad").body.decode() + d.control("GET", "/v1/status").body.decode()
    assert d.stop() == 0
    assert KEY not in d.stderr + shown and "good" in d.stderr
    for name in os.listdir(d.state):
        with open(os.path.join(d.state, name), "rb") as file:
            assert KEY.encode() not in file.read()


def test_a_private_authority(run_daemon, tmp_path, recorder):
    path, key = certificate(tmp_path), tmp_path / "key.pem"

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"id": self.path.rsplit("/", 1)[1], "status": "completed"}).encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        source = f"Verify=none\nExpectWithin=50ms\nStatusURL=https://localhost:{server.server_port}/{{id}}\n"
        d = run_daemon(f"[Source s]\n{source}CAFile={path}\n[Source t]\n{source}")
        expect(d, "j")
        assert d.control("PUT", "/v1/jobs/t/j").status == 200
        assert d.job("s", "j", wait=10)["outcome"] == "success"
        job = until(lambda: (j := d.job("t", "j"))["ask_error"] and j)
        assert job["outcome"] == "pending" and "no answer" in job["ask_error"]
    finally:
        server.shutdown()
        server.server_close()


# ---- All of it


@pytest.mark.parametrize("confirm", [False, True], ids=["no", "yes"])
@pytest.mark.parametrize("callback", ["normal", "lost", "delayed:0.3", "twice", "intermediate+reordered", "forged"])
@pytest.mark.timeout(180)
def test_every_job_ends_right_and_each_hook_fires_once(ask, storage, recorder, callback, confirm):
    """Against the stand-in, with uploads of our own; the questions beside the seed's."""
    if callback == "forged" and not confirm:
        pytest.skip("without Confirm=yes whoever has the token is believed")
    n = 100 if FULL else 8
    d = ask("Confirm=yes\n" if confirm else "", within="1s" if callback == "lost" else "1min",
            hook="[Hook all]\nSource=s\nOn=success error canceled lost\nExec={hook}\n")
    storage.behave(callback=callback, delay=0.05)
    began = time.monotonic()
    ids, ends = [], {}
    for i in range(n):
        storage.behave("next", outcome="ERROR" if i % 4 == 0 else "COMPLETED")
        started = d.control("POST", "/v1/uploads", {"content_type": "video/mp4"})
        assert started.status == 200, started
        ids.append(started.json["id"])
        storage.begin_processing(storage.uploads[ids[-1]])
    for i, id in enumerate(ids):
        job = end_of(d, id)
        assert job["outcome"] == ("error" if i % 4 == 0 else "success"), job
        ends[id] = time.monotonic() - began
    runs = recorder.wait(n, timeout=60)
    assert sorted(r.ID for r in runs) == sorted(ids)
    assert all(r.OUTCOME == d.job("s", r.ID)["outcome"] for r in runs)
    polls = sum(int(t / 3) + 1 for t in ends.values())
    print(f"\n{callback}, Confirm={'yes' if confirm else 'no'}: {storage.n_questions()} questions for {n} jobs, the seed's loop: {polls} or more")
    if callback == "lost":
        assert storage.n_questions() == n
    elif not confirm:
        assert storage.n_questions() == 0
    elif callback in ("normal", "delayed:0.3", "twice"):
        assert storage.n_questions() == n
    else:  # a word before the end, or a lie, is a question more
        assert storage.n_questions() <= 4 * n
    assert len(d.runs("?limit=1000")) == n


@pytest.mark.timeout(900)
def test_a_crowd_of_which_few_are_lost(ask, storage, recorder):
    """10,000 expected jobs (FULL=1) of which 1 % never call back."""
    n = 10000 if FULL else 300
    d = ask(within="3min" if FULL else "8s", hook="")
    ids = [f"crowd-{i}" for i in range(n)]
    lost = set(ids[::100])
    for id in lost:
        storage.make(id)
    before = memory(d)
    began = time.monotonic()
    for id in ids:
        expect(d, id)
    waiting = memory(d)
    for id in ids:
        if id not in lost:
            call_back(d, id)
    for id in lost:
        assert end_of(d, id, 400)["outcome"] == "success"
    took = time.monotonic() - began
    assert d.control("GET", "/v1/status").json["store"]["jobs_pending"] == 0
    print(
        f"\n{n} jobs, {len(lost)} lost: {storage.n_questions()} questions, {took:.0f} s until all are settled, "
        f"{before} kB before, {waiting} kB while they wait, {memory(d)} kB after; "
        f"the seed's loop would have asked {n * int(took / 2 / 3)} times or so"
    )
    assert storage.n_questions() == len(lost)
    if not os.environ.get("SAN"):
        assert waiting - before < 20000


def memory(daemon):
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as text:
        return int(re.search(r"VmRSS:\s+(\d+)", text.read()).group(1))


@pytest.mark.timeout(300)
def test_the_service_is_down_for_a_while(ask, storage, recorder):
    """A minute with FULL=1: callbacks get lost meanwhile, and every job ends right."""
    d = ask(within="300ms", hook="[Hook all]\nSource=s\nOn=success error lost\nExec={hook}\n")
    ids = [f"j{i}" for i in range(30)]
    for id in ids:
        storage.make(id, status="PROCESSING")
        expect(d, id)
    until(lambda: storage.n_questions() >= 30)
    storage.down = True
    began = storage.n_questions()
    time.sleep(60 if FULL else 1)  # the outage itself
    for i, id in enumerate(ids):
        storage.uploads[id].status = "ERROR" if i % 3 == 0 else "COMPLETED"
    hang_ups = len(storage.counters()["hang_ups"])
    storage.down = False
    for i, id in enumerate(ids):
        assert end_of(d, id, 120)["outcome"] == ("error" if i % 3 == 0 else "success")
    assert sorted(r.ID for r in recorder.wait(30, timeout=30)) == sorted(ids) and len(d.runs("?limit=100")) == 30
    print(f"\n{hang_ups} questions during the outage, {storage.n_questions() - began} after it, for 30 jobs")
    assert hang_ups < 30
