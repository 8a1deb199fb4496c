# SPDX-License-Identifier: BSD-3-Clause
"""
Logins that go wrong. What the tests of this folder share.

    PAM_ISOLATE_PREFIX=/opt/test tests/fault/run [--list] [--results FILE] [--seed N] [--rounds N] [--further PERCENT] [pattern ...]

A login here has no network: tests/fault/login.c is a PAM application that opens a session, runs one program of the user's in it
and closes it. tests/fault/inject.c runs the leader, or the helper, so that one system call fails.

- Leader(m, "alice") is such a login, Leader.open() goes on to where its program runs, .close() to its end.
- snapshot() is what a sandbox is, in all that a weaker one could differ in.
- left() is what remains, after the time that a healthy end takes; collect() is the administrator's broom.

Each call fails once in each run. With which errno, and which calls fail with a further one, is chosen by the seed; all of it is
--further 100, by which RESULTS.md is made.
"""

import argparse
import contextlib
import os
import random
import re
import select
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass

from harness import Failed, Machine, Session, kill, namespaces, process, read_text, run, write_text

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))

PAM_SUCCESS, PAM_USER_UNKNOWN, PAM_SESSION_ERR = 0, 10, 14

# Beyond it a login hangs: one of many takes milliseconds.
HANGS = 8.0
# What a session's end may take on a busy machine.
ENDS = 1.5

# What the user's program does: says that it is there, and where, and waits.
PROGRAM = ("/bin/sh", "-c", "read -r name < /proc/sys/kernel/hostname; echo inside $name; read -r line")
# And leaves a process behind that is asked to end. Not for long: where nobody asks it the test need not wait for SIGHUP.
PROGRAM_THAT_LEAVES = (*PROGRAM[:2], "sleep 1 > /dev/null 2>&1 & " + PROGRAM[2])

RESULTS_HEAD = """# What each failure led to

Made by tests/fault/run --further 100 --results. Equal outcomes are one row. *errno*: the line said what the call had failed with.
**Bold**: what is wrong. What was left went by the next collection.

"""

options = argparse.Namespace()


def read_options(arguments: list[str]) -> list[str]:
    """Takes this layer's options out of a command line, and returns the rest, which is the runner's."""
    parser = argparse.ArgumentParser(prog="tests/fault/run", add_help=False)
    parser.add_argument("--programs", help="directory with inject and login; without it they are compiled")
    parser.add_argument("--results", help="file for the table of what each failure led to")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--rounds", type=int, default=500, help="of test_kill.py")
    parser.add_argument("--further", type=int, default=10, help="percentage of the further errnos, and of the calls to be killed at")
    _, rest = parser.parse_known_args(arguments, options)
    if "--list" not in rest:
        print(f"# seed {options.seed}", flush=True)
    if options.results:
        write_text(options.results, RESULTS_HEAD)
    return rest


def add_results(title: str, text: str) -> None:
    if options.results:
        with open(options.results, "a") as file:
            file.write(f"## {title}\n\n{text}\n")


# ---- programs and services ------------------------------------------------


def program(m: Machine, name: str) -> str:
    """tests/fault/inject or login, built."""
    if options.programs:
        return os.path.abspath(f"{options.programs}/{name}")
    path = f"{m.directory}/{name}"
    if not os.path.exists(path):
        libraries = {"inject": "-lseccomp", "login": "-lpam"}
        run("cc", "-std=gnu11", "-O2", "-D_GNU_SOURCE", f"-I{TOP}", f"{HERE}/{name}.c", f"{TOP}/lib/fd.c", f"{TOP}/lib/syscalls.c",
            "-o", path, libraries[name])
    return path


@contextlib.contextmanager
def service(m: Machine, arguments: str = ""):
    """The name of a PAM service with our module."""
    name = f"{m.tag}fault"
    write_text(f"/etc/pam.d/{name}", "auth required pam_permit.so\naccount required pam_permit.so\n"
                                     f"session required {m.module} {arguments}\n")
    try:
        yield name
    finally:
        os.unlink(f"/etc/pam.d/{name}")


# ---- one login ------------------------------------------------------------


class Leader:
    """A login by login.c: what it said, by its first word."""

    def __init__(self, m: Machine, service_name: str, short: str = "alice", before: tuple[str, ...] = (), collects: bool = False,
                 program_of_user: tuple[str, ...] = PROGRAM, **options_of_popen):
        self.m, self.user = m, m.user(short)
        # A login starts a collection if the last one, whose time the lock file has, was a second ago: not in the midst of this.
        with contextlib.suppress(FileNotFoundError):
            os.utime(f"{m.records}/lock", (0, 0) if collects else None)
        self.mark = m.log.mark()
        self.said: dict[str, list[str]] = {}
        argv = (*before, program(m, "login"), f"{m.group}/cgroup.procs", service_name, self.user.name, *program_of_user)
        self.child = m.spawn(*argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0,
                             **options_of_popen)
        self.pid = self.child.pid
        self.deadline = time.monotonic() + HANGS
        self.hangs = False
        self.rest = b""

    def _read_line(self) -> bool:
        """False at the end, and when it takes too long."""
        while b"\n" not in self.rest:
            if not wait_readable(self.child.stdout.fileno(), self.deadline - time.monotonic()):
                self.hangs = True
                return False
            data = os.read(self.child.stdout.fileno(), 65536)
            if not data:
                return False
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        word, _, text = line.decode(errors="replace").partition(" ")
        self.said.setdefault(word, []).append(text)
        return True

    def until(self, *words: str) -> bool:
        """Whether it said one of these."""
        while not any(word in self.said for word in words):
            if not self._read_line():
                return False
        return True

    def code(self, word: str) -> int | None:
        return int(self.said[word][0]) if word in self.said else None

    def open(self) -> bool:
        """Whether the user's program runs in its session."""
        # He and his leader share the pipe: who of them is the first is open.
        return self.until("inside", "end", "home", "abroad") and "inside" in self.said and self.until("child")

    def close(self) -> None:
        """To its end."""
        with contextlib.suppress(BrokenPipeError):
            self.child.stdin.write(b"\n")
        self.deadline = time.monotonic() + HANGS
        self.until("nothing that it says")
        self.end()

    def end(self) -> None:
        if self.hangs:
            self.kill()
        self.child.wait()
        for stream in (self.child.stdin, self.child.stdout):
            stream.close()
        with contextlib.suppress(ValueError):
            self.m.children.remove(self.child)

    def kill(self) -> None:
        """It, and its user's program."""
        self.child.kill()
        for pid in self.said.get("child", []):
            if one_of_the_users(self.m, int(pid)):
                kill(int(pid))

    def log(self, pattern: str = "session [0-9a-f-]{36}: |collect: .*: ") -> list[str]:
        """The lines of the product since it was started, without debug. The machine's socket also takes what others log."""
        ours = self.m.log.since(self.mark, rf"pam_isolate\({self.m.tag}|pam_isolate\[\d+\]: ({pattern})")
        return [line for line in ours if int(line[1:line.index(">")]) % 8 != 7]

    def accounts(self) -> list[str]:
        """What was logged of sessions that have ended."""
        return self.m.log.since(self.mark, rf"pam_isolate\[\d+\]: session ended: .* user={self.user.name} ")


def one_of_the_users(m: Machine, pid: int) -> bool:
    one = process(pid)
    return one is not None and one.uid in {user.uid for user in m.users.values()} - {0}


def wait_readable(fd: int, seconds: float) -> bool:
    return seconds > 0 and bool(select.select([fd], [], [], seconds)[0])


# ---- what a sandbox is ----------------------------------------------------


def _lines(path: str, *names: str) -> str:
    """Of a file like /proc/PID/status, the lines with these names."""
    try:
        lines = read_text(path).splitlines()
    except OSError as error:
        return str(error.strerror)
    return " ".join(" ".join(line.split()) for line in lines if not names or line.split(":")[0] in names)


def _mounts(pid: int) -> str:
    """The mounts without what differs from one sandbox to the next: ids, and below /sys/fs/cgroup the session's group."""
    found = []
    try:
        lines = read_text(f"/proc/{pid}/mountinfo").splitlines()
    except OSError as error:
        return str(error.strerror)
    for line in lines:
        left, right = line.split(" - ", 1)
        fields = left.split()
        found.append(" ".join([fields[4], fields[5], *sorted(word.split(":")[0] for word in fields[6:]), right.split()[0]]))
    return "\n".join(sorted(found))


def _where(pid: int, other: dict[str, str], host: dict[str, str]) -> str:
    """For each namespace: PID 1's, the host's, or another."""
    try:
        own = namespaces(pid)
    except OSError as error:
        return str(error.strerror)
    said = {name: "init" if own[name] == other[name] else "host" if own[name] == host[name] else "other" for name in own}
    return " ".join(f"{name}:{where}" for name, where in said.items())


STATUS = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters",
          "SigBlk", "SigIgn")


# What is blocked but while it waits: who waits at this moment is not to matter.
UNBLOCKED = {"supervisor": 1 << (signal.SIGTERM - 1), "init": 1 << (signal.SIGCHLD - 1)}


def _status(pid: int, name: str) -> str:
    text = _lines(f"/proc/{pid}/status", *STATUS)
    return re.sub(r"(?<=SigBlk: )\S+", lambda found: f"{int(found[0], 16) | UNBLOCKED.get(name, 0):016x}", text)


def _process(pid: int, name: str) -> dict[str, str]:
    return {
        "status": _status(pid, name),
        "limits": _lines(f"/proc/{pid}/limits"),
        "oom": _lines(f"/proc/{pid}/oom_score_adj"),
        "owner of /proc": str(os.stat(f"/proc/{pid}/environ").st_uid) if os.path.exists(f"/proc/{pid}") else "gone",
    }


LIMITS = ("memory.limit_in_bytes", "pids.max", "cpu.cfs_quota_us")


def _limits(session: Session, pid: int) -> dict[str, str]:
    found = {}
    for controller, file in zip(("memory", "pids", "cpu"), LIMITS):
        for of_user in (False, True):
            try:
                found[f"{file}{' of the user' if of_user else ''}"] = session.read(controller, file, of_user)
            except OSError as error:
                found[file] = str(error.strerror)
        with contextlib.suppress(OSError):
            found[f"in {controller}"] = str(str(pid) in session.read(controller, "cgroup.procs").split())
    return found


def snapshot(m: Machine, leader: Leader) -> dict[str, str]:
    """What the sandbox of an open session is. Equal for two logins that are equally well isolated."""
    records = [one for one in m.sessions() if one.leader == leader.pid]
    if len(records) != 1 or "child" not in leader.said:
        return {"records": str(len(records))}
    session, child = records[0], int(leader.said["child"][0])
    init, host = namespaces(session.init), namespaces()
    together = [one for one in m.sessions() if one.sandbox() == session.sandbox()]
    found = {"hostname": leader.said["inside"][0], "environment": read_text(f"/proc/{child}/environ").replace("\0", " "),
             "logins in it": str(len(together))}
    for name, pid in (("child", child), ("init", session.init), ("supervisor", session.supervisor), ("leader", leader.pid)):
        found[f"{name} is in"] = _where(pid, init, host)
        found |= {f"{name}'s {what}": text for what, text in _process(pid, name).items() if name != "leader"}
    found["init's fds"] = " ".join(sorted(os.listdir(f"/proc/{session.init}/fd")))
    for name in ("uid_map", "gid_map"):
        found[name] = _lines(f"/proc/{child}/{name}")
    found["mounts"], found["leader's mounts"] = _mounts(child), _mounts(leader.pid)
    return found | _limits(session, child)


def differences(good: dict[str, str], got: dict[str, str]) -> list[str]:
    found = []
    for key in sorted(good.keys() | got.keys()):
        if good.get(key) != got.get(key):
            one, other = (set(re.split(r"[ \n]" if "mounts" not in key else "\n", side.get(key, ""))) for side in (good, got))
            found.append(f"{key}: {' '.join(sorted(other - one))} instead of {' '.join(sorted(one - other))}"[:300])
    return found


def weaknesses(m: Machine, leader: Leader, good: dict[str, str], is_known=lambda line: False) -> list[str]:
    """What differs from a good sandbox, once PID 1 has had the time to close its last fd. is_known: whether a line is no news."""
    deadline = time.monotonic() + 0.5
    while True:
        found = [line for line in differences(good, snapshot(m, leader)) if not is_known(line)]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


# ---- what is left ---------------------------------------------------------


def sweep(m: Machine) -> list[str]:
    """What remains of sessions whose supervisor was killed or could not do its work. Returns what is wrong with that."""
    done = m.isolatectl("gc")
    return [f"isolatectl gc: exit {done.status}, {done.err}"] if done.status or done.err else []


def collect(m: Machine) -> list[str]:
    """The same, and then nothing is left."""
    return sweep(m) + [f"after gc: {line}" for line in left(m)]


def left(m: Machine, within: float = ENDS) -> list[str]:
    """What is there of any login still, when that time is over, or nobody is there any more who would remove it."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        m.reap()
        if not m.strays():
            break
        time.sleep(0.01)
    return m.left()


def is_at_work(m: Machine) -> bool:
    """A helper or supervisor has not ended."""
    return any(one.program.endswith("/isolate-helper") and one.state not in "ZX" for one in m.strays())


# ---- calls that fail ------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """A line that inject.c wrote down."""
    phase: int
    process: int
    number: int  # among the process's calls of this name and this kind of object
    name: str
    call: str
    fails: int
    first: int
    kind: str
    object: str

    def key(self) -> tuple[int, str, str, int]:
        return self.process, self.call, self.kind, self.number


class Injector:
    """Runs of inject.c: where its orders are, and what it wrote."""

    def __init__(self, m: Machine, path: str, before: tuple[str, ...] = (), **words):
        self.path, self.before, self.words = path, before, words
        self.login = {}  # what else its logins are started with
        self.prepare = lambda: None  # called before each of them
        self.orders_are_for_the_prepared = False
        self.finish = lambda _prepared: ([], [])  # called at its end, with what that has returned: what is wrong, and what was left
        self.accounts_besides = 0  # of other sessions that have ended by then
        self.record = f"{m.directory}/calls"

    def order(self, call: Call | None = None, number: int = 0, onwards: bool = False) -> None:
        """Which call is to fail in the next run. None: all go on. onwards: with all its like that follow."""
        words = {**self.words, "record": self.record}
        if call:
            words |= {"process": call.process, "call": call.call, "object": call.kind, "number": call.number, "errno": number,
                      "onwards": int(onwards)}
        write_text(self.path, "".join(f"{key} {value}\n" for key, value in words.items()), 0o600)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.record)

    def calls(self) -> list[Call]:
        found = []
        with contextlib.suppress(FileNotFoundError):
            for line in read_text(self.record).splitlines():
                word = (line + " ").split(" ")
                if len(word) >= 9:
                    phase, process_number, number, fails, first = (int(word[i]) for i in (0, 1, 2, 5, 6))
                    found.append(Call(phase, process_number, number, word[3], word[4], fails, first, word[7], word[8]))
        return found


@contextlib.contextmanager
def in_the_helpers_place(m: Machine):
    """
    The injector where the module looks for the helper, which is moved to a directory beside it: it keeps its name, and its exe is
    still below libexec/pam_isolate.
    """
    place = f"{m.programs}/isolate-helper"
    real = f"{m.programs}/real/isolate-helper"
    put_helper_back(m)
    os.mkdir(os.path.dirname(real), 0o755)
    shutil.copy(program(m, "inject"), f"{place}.inject")
    os.rename(place, real)
    m.undo.callback(put_helper_back, m)
    try:
        os.rename(f"{place}.inject", place)
        yield Injector(m, f"{place}.orders")
    finally:
        put_helper_back(m)


def put_helper_back(m: Machine) -> None:
    """Also after a run that was killed."""
    place = f"{m.programs}/isolate-helper"
    if os.path.exists(f"{m.programs}/real/isolate-helper"):
        os.rename(f"{m.programs}/real/isolate-helper", place)
    shutil.rmtree(f"{m.programs}/real", True)
    for end in (".inject", ".orders"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(place + end)


def around_the_leader(m: Machine) -> Injector:
    path = f"{m.directory}/orders"
    return Injector(m, path, (program(m, "inject"), path), marks=1)
