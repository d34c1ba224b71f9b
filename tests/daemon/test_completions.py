"""The shells know every command and every option that --help tells; zsh is asked where there is one."""

import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

from helpers import build_directory
from helpers.daemon import TOP

CTL = str(build_directory() / "callbackctl")
COMPLETIONS = TOP / "conf" / "completions"


def help_of(*args):
    return subprocess.run([CTL, *args, "--help"], capture_output=True, text=True, check=True, timeout=20).stdout


COMMANDS = re.findall(r"^  ([a-z]+) ", help_of(), re.M)
OPTIONS = {c: set(re.findall(r"^  (--[a-z-]+)", help_of(c), re.M)) for c in COMMANDS}
MANY = {c: o for c, o in OPTIONS.items() if o}


def bash(*words):
    """What it offers for the last word."""
    script = f"""
        source {COMPLETIONS}/callbackctl.bash
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _callbackctl
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    run = subprocess.run(
        ["bash", "-c", script, "bash", "callbackctl", *words], capture_output=True, text=True, timeout=20, check=True
    )
    assert run.stderr == ""
    return set(run.stdout.split())


def test_there_is_something_to_ask_for():
    assert len(COMMANDS) >= 20 and "--jobs" in OPTIONS["upload"] and "--cursor" in OPTIONS["watch"]


def test_bash_knows_every_command():
    assert set(COMMANDS) <= bash("")


@pytest.mark.parametrize("command", MANY)
def test_bash_knows_every_option(command):
    offered = bash(command, "--")
    assert MANY[command] <= offered
    assert offered - MANY[command] == {"--json", "--socket", "--help", "--version"}


class Zsh:
    """An interactive one on a terminal of its own."""

    def __init__(self, directory):
        (directory / ".zshrc").write_text(
            f"fpath=({COMPLETIONS} $fpath)\nautoload -Uz compinit\ncompinit -u -d {directory}/dump\n"
            "PS1='READY> '\nLISTMAX=1000\nsetopt NO_BEEP\nunsetopt ALWAYS_LAST_PROMPT\n"
        )
        env = {"ZDOTDIR": str(directory), "TERM": "dumb", "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe("zsh", ["zsh", "-i", "-o", "NO_GLOBAL_RCS"], {**env, "COLUMNS": "200", "LINES": "200"})
        self.read_until(lambda text: "READY> " in text)

    def read_until(self, enough, timeout=20):
        text, deadline = "", time.monotonic() + timeout
        while not enough(text):
            assert select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0], f"zsh says only {text!r}"
            text += os.read(self.fd, 65536).decode("utf-8", "replace")
        return text

    def complete(self, line, wanted):
        """Both Tabs: the list of what there is; then the line is cleared."""
        os.write(self.fd, line.encode() + b"\t\t")
        text = self.read_until(lambda t: all(re.search(rf"(?<!\S){re.escape(w)}(?!\S)", t) for w in wanted))
        os.write(self.fd, b"\x15\n")
        self.read_until(lambda t: "READY> " in t)
        return text

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


@pytest.fixture(scope="module")
def zsh(tmp_path_factory):
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed")
    shell = Zsh(tmp_path_factory.mktemp("zsh"))
    yield shell
    shell.close()


@pytest.mark.parametrize("command", ["", *MANY])
def test_zsh_knows_every_command_and_option(zsh, command):
    if command:
        zsh.complete(f"callbackctl {command} --", MANY[command])
    else:
        zsh.complete("callbackctl ", COMMANDS)
