"""Callbacks twice, late, in any order, all at once: one run for each hook, job and outcome."""

import itertools
import json
import threading

import pytest

from helpers import hmac_hex, standard_webhooks, until

SOURCE = "[Source s]\nVerify=hmac\nSecretFile=secret\nDeliveryField=header:X-Delivery\n"
FILES = {"secret": "s3cret\n"}


def hooks(recorder, *on):
    return "".join(f"[Hook h{i}]\nExec={recorder.exec}\nOn={words}\n" for i, words in enumerate(on))


def send(daemon, status, delivery=None, id="j", **more):
    body = json.dumps({"id": id, "status": status, **more})
    headers = hmac_hex("s3cret", body)
    if delivery:
        headers["X-Delivery"] = delivery
    answer = daemon.post("/callback/s", body, headers)
    assert (answer.status, answer.body) == (200, b"{}")


def told(recorder):
    return sorted((r.HOOK, r.OUTCOME, r.STATUS) for r in recorder.all())


def settled(daemon):
    """No run waits or runs any more: what ran until now is all there will be."""
    until(lambda: not any(r["state"] in ("waiting", "running") for r in runs(daemon)))


def runs(daemon):
    return daemon.control("GET", "/v1/runs?limit=1000").json["runs"]


@pytest.mark.parametrize("order", list(itertools.permutations(["processing", "completed", "failed"])))
def test_first_terminal_outcome_wins_in_every_order(run_daemon, recorder, order):
    d = run_daemon(SOURCE + hooks(recorder, "any"), files=FILES)
    for status in order:
        send(d, status)
        send(d, status)  # and each of them twice
    first = next(s for s in order if s != "processing")
    job = d.job("s", "j")
    assert (job["status"], job["deliveries"]) == (first, 6)
    recorder.wait(1 + (order[0] == "processing"))
    settled(d)
    wanted = [("h0", {"completed": "success", "failed": "error"}[first], first)]
    if order[0] == "processing":
        wanted.append(("h0", "pending", "processing"))
    assert told(recorder) == sorted(wanted)


def test_same_delivery_with_another_body_is_a_repeat(run_daemon, recorder):
    d = run_daemon(SOURCE + hooks(recorder, "any"), files=FILES)
    send(d, "processing", "d1", sent=1)
    send(d, "running", "d2")
    send(d, "processing", "d1", sent=2)  # redelivered late: does not turn the job back
    assert d.job("s", "j")["status"] == "running"
    send(d, "completed", "d1")  # an id used for everything swallows no outcome
    assert (d.job("s", "j")["status"], d.job("s", "j")["deliveries"]) == ("completed", 4)
    recorder.wait(3)
    settled(d)
    assert [s for _, _, s in told(recorder)] == ["processing", "running", "completed"]


def test_new_delivery_id_of_the_same_outcome_fires_nothing(run_daemon, recorder):
    """A sender that lost the answer may mint a new id: runs are by hook, job and outcome."""
    d = run_daemon(SOURCE + hooks(recorder, "success"), files=FILES)
    for n in range(5):
        send(d, "completed", f"d{n}", n=n)
    recorder.wait(1)
    settled(d)
    assert len(recorder.all()) == 1
    job = d.job("s", "j")
    assert job["deliveries"] == 5
    assert json.loads(job["payload"])["n"] == 0  # the first payload of an outcome stays
    assert "another body" in d.stderr


def test_pending_words_fire_once_each(run_daemon, recorder):
    d = run_daemon(SOURCE + hooks(recorder, "pending", "running"), files=FILES)
    for status in ["queued", "running", "queued", "Running", "running", "starting"]:
        send(d, status)
    recorder.wait(4)
    settled(d)
    assert sorted((h, s) for h, _, s in told(recorder)) == [
        ("h0", "queued"), ("h0", "running"), ("h0", "starting"), ("h1", "running")]  # fmt: skip


def test_late_pending_word_changes_nothing(run_daemon, recorder):
    d = run_daemon(SOURCE + hooks(recorder, "any"), files=FILES)
    send(d, "completed")
    send(d, "processing")
    send(d, "failed")
    recorder.wait(1)
    settled(d)
    assert told(recorder) == [("h0", "success", "completed")]
    job = d.job("s", "j")
    assert (job["outcome"], job["deliveries"]) == ("success", 3)


def test_reopen(run_daemon, recorder):
    d = run_daemon(SOURCE + "Reopen=yes\n" + hooks(recorder, "any"), files=FILES)
    send(d, "failed")
    send(d, "processing")
    assert d.job("s", "j")["outcome"] == "pending"
    send(d, "completed")
    assert d.job("s", "j")["outcome"] == "success"
    send(d, "failed")  # only a pending word opens it
    assert d.job("s", "j")["outcome"] == "success"
    recorder.wait(3)
    settled(d)
    assert told(recorder) == [
        ("h0", "error", "failed"), ("h0", "pending", "processing"), ("h0", "success", "completed")]  # fmt: skip


def test_reopened_job_runs_once_for_each_outcome(run_daemon, recorder):
    d = run_daemon(SOURCE + "Reopen=yes\n" + hooks(recorder, "any"), files=FILES)
    for status in ["completed", "processing", "completed", "processing", "failed"]:
        send(d, status)
    recorder.wait(3)
    settled(d)
    assert [s for _, _, s in told(recorder)] == ["failed", "processing", "completed"]
    # The second success moved the job, and a hook that came later would see it.
    assert (d.job("s", "j")["outcome"], d.job("s", "j")["deliveries"]) == ("error", 5)


def test_reopen_does_not_take_a_redelivery_for_news(run_daemon, recorder):
    d = run_daemon(SOURCE + "Reopen=yes\n" + hooks(recorder, "any"), files=FILES)
    send(d, "processing", "d1")
    send(d, "completed", "d2")
    send(d, "processing", "d1")
    assert d.job("s", "j")["outcome"] == "success"


def test_the_same_from_many_senders_at_once(run_daemon, recorder):
    """Both in one batch, or in two: neither is answered before the commit, one run is made."""
    d = run_daemon(SOURCE + hooks(recorder, "success", "error"), files=FILES)
    statuses = ["completed", "failed"] * 16
    barrier = threading.Barrier(len(statuses))

    def one(status):
        barrier.wait()
        for n in range(8):
            send(d, status, id=f"j{n}")

    threads = [threading.Thread(target=one, args=(s,)) for s in statuses]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    recorder.wait(8, timeout=30)
    settled(d)
    by_job = {}
    for r in recorder.all():
        assert r.ID not in by_job
        by_job[r.ID] = r.OUTCOME
    assert len(by_job) == 8
    for n in range(8):
        job = d.job("s", f"j{n}")
        assert (job["outcome"], job["deliveries"]) == (by_job[f"j{n}"], len(statuses))


def test_repeats_outlive_a_restart(run_daemon, recorder):
    d = run_daemon(SOURCE + hooks(recorder, "any"), files=FILES)
    send(d, "completed", "d1")
    recorder.wait(1)
    settled(d)
    d.restart()
    send(d, "completed", "d1")
    send(d, "completed", "d9")
    send(d, "processing", "d3")
    settled(d)
    assert len(recorder.all()) == 1
    assert d.job("s", "j")["deliveries"] == 4


def test_a_stale_timestamp_is_no_duplicate(run_daemon, recorder):
    """It is refused, and the true one behind it is the first."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    config = "[Source s]\nPreset=replicate\nSecretFile=secret\n" + hooks(recorder, "success")
    d = run_daemon(config, files={"secret": secret})
    body = json.dumps({"id": "p", "status": "succeeded"})
    stale = standard_webhooks(secret, body, "msg_1", t=1700000000)
    assert d.post("/callback/s", body, stale).status == 401
    assert d.job("s", "p") is None
    assert d.post("/callback/s", body, standard_webhooks(secret, body, "msg_1")).status == 200
    recorder.wait(1)
    assert d.job("s", "p")["deliveries"] == 1
