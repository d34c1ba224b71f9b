"""A real systemd in a container: a minimal Debian, made once by mmdebstrap and kept
outside the checkout, with the programs and units of `make install` laid over it.

    cache/KEY          the Debian, never written to again
      └─ overlay ──►   a root for one container ──► systemd-nspawn, its own network

Commands are run in it by nsenter, so neither D-Bus nor a login is needed. Whatever this
machine lacks for it is raised as Unavailable, with a plain word.
"""
import ctypes
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("B") or os.path.join(TOP, "build"))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or "/var/tmp", "callbackd-test-root")
BASE_PACKAGES = ["systemd", "systemd-sysv", "dbus", "curl"]
MAKE_SECONDS = 150


class Unavailable(Exception):
    pass


def wait_for(what, condition, seconds=15):
    """The first true value of condition(), asked every 50 ms."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.05)


def runtime_packages(program):
    """The packages of the shared libraries a program is linked with."""
    ldd = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    if re.search(r"lib[a-z]*san\.so", ldd):
        raise Unavailable("a sanitized build is not run in a container")
    packages = set()
    for path in re.findall(r"=> (/\S+)", ldd):
        for candidate in (path, os.path.realpath(path), "/usr" + path, path.replace("/usr", "", 1)):
            found = subprocess.run(["dpkg", "-S", candidate], capture_output=True, text=True)
            if found.returncode == 0:
                packages.add(found.stdout.split(":")[0])
                break
        else:
            raise Unavailable(f"no package has {path}")
    return packages


def sources():
    """The machine's own Debian sources, and nothing others added beside them."""
    for path in ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list.d/ubuntu.sources",
                 "/etc/apt/sources.list"):
        if os.path.exists(path) and os.path.getsize(path):
            return path
    raise Unavailable("no apt sources to make a container from")


def codename():
    with open("/etc/os-release") as f:
        found = re.search(r"^VERSION_CODENAME=(\S+)", f.read(), re.M)
    if not found:
        raise Unavailable("no Debian to make a container from")
    return found.group(1)


def base_root(program):
    """The path of a minimal Debian that can run `program`; made when it is not there."""
    packages = sorted(set(BASE_PACKAGES) | runtime_packages(program))
    suite = codename()
    key = hashlib.sha256(" ".join([suite] + packages).encode()).hexdigest()[:12]
    root = os.path.join(CACHE, f"{suite}-{key}")
    os.makedirs(CACHE, mode=0o700, exist_ok=True)
    with open(os.path.join(CACHE, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(root):
            return root
        half = root + ".half"
        shutil.rmtree(half, ignore_errors=True)
        started = time.monotonic()
        try:
            made = subprocess.run(
                ["mmdebstrap", "--variant=minbase", "--include=" + ",".join(packages),
                 '--aptopt=Acquire::Retries "1"', '--aptopt=Acquire::http::Timeout "10"',
                 suite, half, sources()],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=MAKE_SECONDS)
        except subprocess.TimeoutExpired:
            shutil.rmtree(half, ignore_errors=True)
            raise Unavailable(f"mmdebstrap was not done after {MAKE_SECONDS} s") from None
        if made.returncode != 0:
            shutil.rmtree(half, ignore_errors=True)
            words = [line for line in made.stderr.splitlines() if line.startswith("E: ")]
            raise Unavailable("mmdebstrap: " + (words or ["failed"])[0])
        os.rename(half, root)
        print(f"a container's root took {time.monotonic() - started:.0f} s: {root}")
    return root


def cgroups_of_our_own(name):
    """Where no systemd keeps this machine's cgroups: a group of our own in each hierarchy
    that the container will use, so that two of them do not meet. Their procs files."""
    with open("/proc/self/mountinfo") as f:
        mounts = [line.split() for line in f]
    procs = []
    for m in mounts:
        kind, options = m[m.index("-") + 1], m[m.index("-") + 3]
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options):
            path = os.path.join(m[4], name)
            os.makedirs(path, exist_ok=True)
            procs.append(os.path.join(path, "cgroup.procs"))
    if not procs:
        raise Unavailable("no cgroup v2 here")
    return procs


class Container:
    count = 0  # of this process: several may run at a time

    def __init__(self, base):
        Container.count += 1
        self.name = f"callbackd-test-{os.getpid()}-{Container.count}"
        self.dir = tempfile.mkdtemp(prefix="container-", dir=CACHE)
        self.root = os.path.join(self.dir, "root")
        self.process = None
        self.leader = None
        self.procs = []
        self.mounted = False
        for name in ("root", "upper", "work"):
            os.mkdir(os.path.join(self.dir, name), 0o755)
        self.mounted = subprocess.run(
            ["mount", "-t", "overlay", "-o",
             f"lowerdir={base},upperdir={self.dir}/upper,workdir={self.dir}/work",
             "callbackd-test", self.root], stderr=subprocess.DEVNULL).returncode == 0
        if not self.mounted:
            os.rmdir(self.root)
            subprocess.run(["cp", "-a", "--reflink=auto", base, self.root], check=True)

    def path(self, inside):
        return self.root + inside

    def write(self, inside, text, mode=0o644, group=None):
        """Before or after boot; `group` by the container's own names, after boot."""
        path = self.path(inside)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        if group:
            self.run("chgrp", group, inside)

    def boot(self):
        argv = ["systemd-nspawn", "--quiet", "--register=no", "--private-network",
                "--console=pipe", f"--machine={self.name}", "-D", self.root, "--boot"]
        if not os.path.isdir("/run/systemd/system"):
            argv.insert(1, "--keep-unit")
            self.procs = cgroups_of_our_own(self.name)
        console = open(os.path.join(self.dir, "console"), "wb")

        def enter():
            for procs in self.procs:
                with open(procs, "w") as f:
                    f.write("0")

        self.process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=console, stderr=console, preexec_fn=enter,
            env=dict(os.environ, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY="1"), start_new_session=True)
        console.close()
        try:
            self.leader = wait_for("a container's first process", self._find_leader, 10)
            wait_for("a container's systemd", self._is_up, 30)
        except AssertionError as e:
            with open(os.path.join(self.dir, "console"), errors="replace") as f:
                last = f.read().strip().splitlines()[-1:]
            raise Unavailable(f"a container does not boot here: {e} {last}") from None

    def _find_leader(self):
        if self.process.poll() is not None:
            raise AssertionError(f"systemd-nspawn ended with {self.process.returncode}")
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as f:
            children = f.read().split()
        for child in children:
            try:
                with open(f"/proc/{child}/comm") as f:
                    if f.read().strip() == "systemd":
                        return int(child)
            except OSError:
                pass
        return None

    def _is_up(self):
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in ("running", "degraded")

    def install(self, build):
        """`make install` of what is built there, also over what runs."""
        subprocess.run(["make", "-s", "-C", TOP, "-o", "all", "install", "prefix=/usr",
                        f"B={build}", f"DESTDIR={self.root}"], check=True,
                       stdout=subprocess.DEVNULL)

    def run(self, *argv, check=True, timeout=20, input=None):
        done = subprocess.run(
            ["nsenter", "-t", str(self.leader), "-a", "--", *argv], capture_output=True,
            text=True, timeout=timeout, input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"})
        if check and done.returncode != 0:
            raise AssertionError(f"{argv}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def kill(self, signal_name, pid):
        """By the container's own number; kill(1) is not there, the shell's is."""
        self.run("sh", "-c", f"kill -{signal_name} {pid}")

    def in_network(self, *argv, **options):
        """A program of this machine that sees the container's network."""
        return subprocess.Popen(["nsenter", "-t", str(self.leader), "-n", "--", *argv],
                                stdout=subprocess.PIPE, text=True, **options)

    def show(self, unit, name):
        return self.run("systemctl", "show", "-P", name, unit).stdout.strip()

    def journal(self, *match):
        """Records as objects, oldest first."""
        self.run("journalctl", "--sync", check=False)
        out = self.run("journalctl", "--no-pager", "-q", "-o", "json", *match, check=False)
        return [json.loads(line) for line in out.stdout.splitlines()]

    def processes(self):
        """{pid here: command line} of what runs in the container."""
        space = os.readlink(f"/proc/{self.leader}/ns/pid")
        found = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    if os.readlink(f"/proc/{entry}/ns/pid") == space:
                        with open(f"/proc/{entry}/cmdline") as f:
                            command = f.read().replace("\0", " ").strip()
                        if command:  # a zombie has none
                            found[int(entry)] = command
                except OSError:
                    pass
        return found

    def close(self):
        if self.process:
            if self.leader:
                subprocess.run(["nsenter", "-t", str(self.leader), "-a", "--", "systemctl",
                                "poweroff", "--force"], capture_output=True, timeout=20)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                for pid in filter(None, (self.leader, self.process.pid)):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                self.process.wait(10)
            self.process = None
        if self.mounted:
            # MNT_DETACH: a process that is still on its way out may hold it.
            ctypes.CDLL(None).umount2(self.root.encode(), 2)
            self.mounted = False
        for procs in self.procs:
            # Deepest first: a cgroup goes only when it is empty.
            for path, _, _ in os.walk(os.path.dirname(procs), topdown=False):
                try:
                    os.rmdir(path)
                except OSError:
                    pass
        if not os.path.ismount(self.root):
            shutil.rmtree(self.dir, ignore_errors=True)


def new_container():
    """Not yet booted; Unavailable says why there is none."""
    if os.geteuid() != 0:
        raise Unavailable("a container needs root")
    for program in ("systemd-nspawn", "mmdebstrap", "nsenter"):
        if not shutil.which(program):
            raise Unavailable(f"no {program} here")
    return Container(base_root(os.path.join(BUILD, "callbackd")))
