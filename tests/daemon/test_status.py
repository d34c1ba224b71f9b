"""What an operator sees: callbackctl status, GET /metrics, the sample alerts."""

import json
import os
import pty
import re
import shutil
import subprocess

import pytest

from helpers import build_directory, certificate, hmac_hex, until
from helpers.daemon import TOP
from helpers.openmetrics import as_prometheus, parse, values

ALERTS = TOP / "conf/callbackd-alerts.yml"
CONFIG = """
[Source s]
Verify=hmac
SecretFile=secret
[Hook good]
Source=s
Exec=/bin/true
[Hook bad]
Source=s
Exec=/bin/false
Retries=0
"""
FILES = {"secret": "s3cret\n"}


def send(d, id, status="completed", secret="s3cret", source="s"):
    body = json.dumps({"id": id, "status": status})
    return d.post(f"/callback/{source}", body, hmac_hex(secret, body)).status


def scrape(d):
    return values(d.control("GET", "/metrics").body.decode())


def tls(directory):
    return f"ListenTLS=127.0.0.1:0\nTLSCertificateFile={certificate(directory)}\nTLSKeyFile={directory}/key.pem"


def status(d):
    return d.control("GET", "/v1/status").json


# ---- metrics ----

def test_what_happened_is_counted(run_daemon):
    d = run_daemon(CONFIG, files=FILES)
    before = scrape(d)
    assert before['callbackd_callbacks_total{result="accepted",source="s"}'] == 0
    assert [send(d, "a"), send(d, "a"), send(d, "b", "failed"), send(d, "c", secret="x")] == [200, 200, 200, 401]
    assert d.post("/callback/s", "{}", hmac_hex("s3cret", "{}")).status == 200
    assert d.post("/nowhere", "x").status == 404
    until(lambda: status(d)["runs"]["dead"] == 1 and status(d)["runs"]["done"] == 1)
    answer = d.control("GET", "/metrics")
    assert answer.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    v = values(answer.body.decode())
    for name, want in {
            'callbacks_total{result="accepted",source="s"}': 3,
            'callbacks_total{result="repeated",source="s"}': 1,
            'callbacks_total{result="unverified",source="s"}': 1,
            'callbacks_total{result="unavailable",source="s"}': 0,
            'callbacks_unreadable_total{source="s"}': 1,
            'jobs_moved_total{outcome="success",source="s"}': 1,
            'jobs_moved_total{outcome="error",source="s"}': 1,
            'jobs_moved_total{outcome="unreadable",source="s"}': 1,
            'requests_refused_total{code="404"}': 1,
            'requests_refused_total{code="413"}': 0,
            'runs_done_total{hook="good"}': 1, 'runs_done_total{hook="bad"}': 0,
            'runs_died_total{hook="good"}': 0, 'runs_died_total{hook="bad"}': 1,
            'attempts_started_total{hook="bad"}': 1, 'attempts_failed_total{hook="bad"}': 1,
            'hook_duration_seconds_count{hook="good"}': 1, 'hook_duration_seconds_count{hook="bad"}': 1,
            'hook_start_delay_seconds_count': 2, 'runs{state="dead"}': 1, 'jobs': 3,
            'answer_duration_seconds_count': 5, 'config_last_reload_successful': 1}.items():
        assert v["callbackd_" + name] == want, name
    assert v["callbackd_store_commit_duration_seconds_count"] >= 3
    assert 0 < v["callbackd_answer_duration_seconds_sum"] < 60
    assert v["callbackd_last_error_timestamp_seconds"] > v["callbackd_start_time_seconds"]


def test_many_names_and_no_ids(run_daemon):
    many = "".join(f"[Source n{i}]\nVerify=hmac\nSecretFile=secret\n[Hook h{i}]\nSource=n{i}\nExec=/bin/true\n"
                   for i in range(500))
    d = run_daemon(many, files=FILES)
    assert send(d, "an-id-of-a-sender", "a-word-of-a-sender", source="n7") == 200
    text = d.control("GET", "/metrics").body.decode()
    families = parse(text)
    assert "sender" not in text
    samples = families["callbackd_callbacks"].samples
    assert len(samples) == 4 * 500 and sum(samples.values()) == 1
    labels = {n for f in families.values() for _, pairs in f.samples for n, _ in pairs}
    assert labels <= {"version", "source", "hook", "result", "outcome", "state", "code", "le"}
    # And the list of names does not fill the screen.
    assert "and 488 more" in d.ctl("status").stdout


def test_no_sources_and_no_hooks(run_daemon):
    parse(run_daemon("").control("GET", "/metrics").body.decode())


def test_promtool_has_nothing_to_say(run_daemon):
    if not shutil.which("promtool"):
        pytest.skip("no promtool here (package prometheus)")
    text = run_daemon(CONFIG, files=FILES).control("GET", "/metrics").body.decode()
    r = subprocess.run(["promtool", "check", "metrics"], input=as_prometheus(text), capture_output=True,
                       text=True, timeout=60, check=False)
    assert r.returncode == 0 and not r.stderr + r.stdout, r.stderr + r.stdout


def test_the_manuals_way_to_the_textfile_collector(run_daemon, tmp_path):
    d = run_daemon(CONFIG, files=FILES)
    page = (TOP / "man/callbackd.8").read_text()
    command = re.search(r"^ExecStart=/bin/sh -ec '(.*?)'$", page, re.M | re.S)[1]
    # systemd replaces a backslash at a line's end by a blank; others would be for it to read.
    command = command.replace("\\e\n", " ")
    assert "\\" not in command and "%" not in command and "$" not in command
    for there, here in (("/var/lib/prometheus/node-exporter", str(tmp_path)),
                        ("/run/callbackd/control.sock", d.control_socket)):
        assert there in command
        command = command.replace(there, here)
    subprocess.run(["sh", "-ec", command], timeout=30, check=True)
    assert [p.name for p in tmp_path.iterdir()] == ["callbackd.prom"]
    text = (tmp_path / "callbackd.prom").read_text()
    assert "# TYPE callbackd_callbacks_total counter\n" in text and "# EOF" not in text and " info" not in text
    if shutil.which("promtool"):
        r = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True,
                           timeout=60, check=False)
        assert all(line.endswith("no help text") for line in r.stderr.splitlines()), r.stderr


@pytest.mark.parametrize("wrong", [
    "# TYPE a counter\n# HELP a x\na 1\n# EOF\n",                        # _total
    "# TYPE a gauge\n# HELP a x\na 1\n",                                 # EOF
    "# TYPE a gauge\n# HELP a x\na 1\na 1\n# EOF\n",                     # twice
    "# TYPE a gauge\na 1\n# EOF\n",                                      # HELP
    "# TYPE a_seconds gauge\n# HELP a_seconds x\na_seconds 1\n# EOF\n",  # UNIT
    "# TYPE a gauge\n# HELP a x\n# EOF\n",                               # samples
    '# TYPE a gauge\n# HELP a x\na{b="c",b="d"} 1\n# EOF\n',
    '# TYPE a gauge\n# HELP a x\na{b="c"} 1 \n# EOF\n',
    '# TYPE a histogram\n# HELP a x\na_bucket{le="1.0"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n# EOF\n',
    '# TYPE a histogram\n# HELP a x\na_bucket{le="+Inf"} 1\na_sum 1\na_count 2\n# EOF\n'])
def test_the_checker_checks(wrong):
    with pytest.raises(AssertionError):
        parse(wrong)


# ---- the sample alerts ----

def test_alerts_name_what_there_is(run_daemon, tmp_path):
    d = run_daemon(CONFIG + "[Source asked]\nVerify=hmac\nSecretFile=secret\n"
                   "StatusURL=http://127.0.0.1:9/{id}\n", files=FILES,
                   daemon=tls(tmp_path))
    have = {k.partition("{")[0] for k in scrape(d)}
    # Expressions alone: what is told in words does not count.
    text = "\n".join(line for line in ALERTS.read_text().splitlines() if not line.strip().startswith("#"))
    named = set(re.findall(r"\bcallbackd_\w+", text))
    assert len(named) >= 12 and named <= have, named - have
    # And each word that a label is compared with is one that is told.
    for name, label, word in re.findall(r'(callbackd_\w+)\{(\w+)="(\w+)"\}', text):
        assert any(k.startswith(name + "{") and f'{label}="{word}"' in k for k in scrape(d)), word


def test_alerts_are_rules():
    if not shutil.which("promtool"):
        pytest.skip("no promtool here (package prometheus)")
    r = subprocess.run(["promtool", "check", "rules", ALERTS], capture_output=True, text=True, timeout=60, check=False)
    assert r.returncode == 0, r.stdout + r.stderr


# ---- status ----

def test_all_is_well(run_daemon):
    d = run_daemon(CONFIG, files=FILES)
    s = status(d)
    assert s["problems"] == [] and s["oldest_waiting"] is None and s["certificate_expires"] is None
    assert s["configuration"]["problem"] is None and s["configuration"]["refused"] is None
    assert s["configuration"]["fixed_files"] == []
    out = d.ctl("status").stdout
    assert out.startswith("callbackd ") and "fixed until" not in out
    assert json.loads(d.ctl("--json", "status").stdout)["pid"] == s["pid"]


def test_rates(run_daemon):
    d = run_daemon(CONFIG, files=FILES)
    assert set(status(d)["rates"].values()) == {0.0}
    for i in range(50):
        assert send(d, f"r{i}", "pending") == 200
    rates = status(d)["rates"]
    assert 0 < rates["15min"] <= rates["1min"] <= 50 and rates["1min"] > 0.5
    assert re.search(r"^rate +[0-9.]+ callbacks/s over 1 min, [0-9.]+ over 5 min", d.ctl("status").stdout, re.M)


def test_what_is_wrong_comes_first(run_daemon):
    d = run_daemon(CONFIG, files=FILES)
    assert d.ctl("pause", "good").returncode == 0
    assert send(d, "x") == 200 and send(d, "y") == 200
    until(lambda: status(d)["runs"]["dead"] == 2)
    d.configure(CONFIG + "Bo\x1bgus=1\n")
    assert d.ctl("reload").returncode == 78
    s = status(d)
    told = [(p["level"], p["problem"]) for p in s["problems"]]
    assert told[0][0] == "error" and told[0][1].startswith("2 dead runs")
    assert told[1][0] == "error" and "unknown key Bo\\x1Bgus=" in told[1][1]
    assert told[2] == ("warning", "hook good is paused: callbackctl resume good")
    assert "Bo\\x1Bgus" in s["configuration"]["problem"] and s["configuration"]["refused"] > s["configuration"]["loaded"]
    # The oldest, and not the last one.
    assert s["oldest_waiting"]["hook"] == "good" and s["oldest_waiting"]["due"] < s["last_error"]["time"]
    first = s["oldest_waiting"]["due"]
    assert send(d, "z") == 200
    assert status(d)["oldest_waiting"]["due"] == first
    assert scrape(d)['callbackd_hook_overdue_seconds{hook="good"}'] > 0
    assert scrape(d)["callbackd_config_last_reload_successful"] == 0
    lines = d.ctl("status").stdout.splitlines()
    assert [line.partition(" ")[0] for line in lines[:5]] == ["error", "error", "warning", "", "callbackd"]
    assert "\x1b" not in "".join(lines)
    # And it goes when it is over.
    d.configure(CONFIG)
    assert d.ctl("reload").returncode == 0 and d.ctl("resume", "good").returncode == 0
    until(lambda: status(d)["runs"]["dead"] == 3 and status(d)["oldest_waiting"] is None)
    assert d.ctl("discard", "--all", "--reason", "a test").returncode == 0
    until(lambda: status(d)["problems"] == [])
    assert status(d)["configuration"]["problem"] is None
    assert scrape(d)["callbackd_config_last_reload_successful"] == 1


def test_fixed_files_and_the_certificate(run_daemon, tmp_path):
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials/secret").write_text("s3cret\n")
    d = run_daemon(CONFIG, env={"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")},
                   daemon=tls(tmp_path))
    s = status(d)
    assert s["configuration"]["fixed_files"] == ["secret"]
    assert s["certificate_expires"] > s["started"]
    out = d.ctl("status").stdout
    assert re.search(r"^fixed until a restart +secret$", out, re.M)
    assert re.search(r"^certificate until +20", out, re.M)
    assert scrape(d)["callbackd_certificate_expiry_timestamp_seconds"] > scrape(d)["callbackd_start_time_seconds"]


def test_what_systemd_is_told(run_daemon):
    d = run_daemon(CONFIG + "[Source asked]\nVerify=hmac\nSecretFile=secret\nStatusURL=http://127.0.0.1:9/{id}\n",
                   files=FILES)
    assert [d.ctl("expect", f"asked/{i}").returncode for i in "ef"] == [0, 0]
    assert send(d, "x") == 200
    assert d.notify.wait("STATUS=1 callbacks, 2 jobs open, 2 to be asked for, 0 runs waiting, 0 running, 1 dead",
                         d.process, 20)


@pytest.mark.parametrize("no_color", [False, True])
def test_colour_on_a_terminal_alone(run_daemon, no_color):
    d = run_daemon(CONFIG, files=FILES)
    d.ctl("pause", "good")
    master, slave = pty.openpty()
    env = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm"}
    if no_color:
        env["NO_COLOR"] = "1"
    subprocess.run([build_directory() / "callbackctl", "-s", d.control_socket, "status"], stdout=slave,
                   env=env, timeout=20, check=True)
    os.close(slave)
    out = os.read(master, 65536).decode()
    os.close(master)
    assert out.startswith("warning" if no_color else "\x1b[33mwarning\x1b[0m")
