# SPDX-License-Identifier: BSD-3-Clause
"""
What the attack tests share: programs laid out where users can run them, attacks run inside of a login, and the leader.

- inside(m, "alice", "nested") runs probe.py's table of that name in a login over ssh: {attack: outcome}. An outcome is the name of an
  errno ("EPERM"), "done", or what the attack got.
- leader(m, "alice", "rlimit", ...) is a PAM service of our own (programs/leader.py) that becomes the user and then plays a trick
  of programs/leader.py before it executes a shell: what cron's SHELL=, sudo -u or a hijacked service would be.
- expect(got, wanted) compares outcome by outcome; a set is a choice.
"""

import contextlib
import glob
import json
import os
import shutil
import subprocess
import threading

from harness import Failed, Machine, Result, equal, libc, read_text, run, system_call, write_text

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"
REFUSED = 126
MS_BIND = 0x1000


def programs(m: Machine) -> str:
    """The directory with all programs, C ones compiled. Made once."""
    path = f"{m.directory}/attack"
    if os.path.isdir(path):
        return path
    os.mkdir(path)
    for source in sorted(glob.glob(f"{HERE}/programs/*")):
        if source.endswith(".py"):
            shutil.copy(source, path)
        elif source.endswith(".c") and "fake" not in source:
            name = os.path.basename(source)[:-2]
            more = ["-shared", "-fPIC"] if name.startswith("lib") else []
            run("cc", "-O1", "-Wall", *more, "-o", f"{path}/{name}{'.so' if more else ''}", source)
    run("chmod", "-R", "a+rX", path)
    return path


def python_argv(m: Machine, script: str, *words: str) -> str:
    """A command line for ssh."""
    return " ".join([PYTHON, "-B", f"{programs(m)}/{script}", *words])


def decode(result: Result) -> dict:
    """The one line of JSON that a program prints last."""
    try:
        return json.loads(result.lines[-1])
    except (IndexError, ValueError):
        raise Failed(f"exit {result.status}, no answer\nstdout: {result.out}\nstderr: {result.err}") from None


def inside(m: Machine, short: str, table: str, *words: str, **options) -> dict:
    return decode(m.ssh(short, python_argv(m, "probe.py", table, *words), **options))


def expect(got: dict, wanted: dict) -> None:
    wrong = []
    for name, want in wanted.items():
        have = got.get(name, "not tried")
        if have != want and not (isinstance(want, (set, frozenset)) and have in want):
            wrong.append(f"{name}: got {have!r}, wanted {sorted(want) if isinstance(want, (set, frozenset)) else want!r}")
    wrong += [f"{name}: {value!r} is not looked at" for name, value in got.items() if name not in wanted]
    if wrong:
        raise Failed("\n".join(wrong))


def all_are(got: dict, want) -> None:
    if not got:
        raise Failed("nothing was tried")
    expect(got, {name: want for name in got})


def line(child: subprocess.Popen, timeout: float = 20.0) -> str:
    """The next line of what a spawned login prints; it is ended when that takes too long."""
    timer = threading.Timer(timeout, child.kill)
    timer.start()
    try:
        return child.stdout.readline()
    finally:
        timer.cancel()


# ---- a service of our own ---------------------------------------------------


def leader_service(m: Machine) -> str:
    """Its file in /etc/pam.d, there until the end of all tests."""
    name = m.tag + "leader"
    path = f"/etc/pam.d/{name}"
    if not os.path.exists(path):
        write_text(path, f"auth required pam_permit.so\naccount required pam_permit.so\nsession required {m.module} debug\n")
        m.undo.callback(os.unlink, path)
    return name


def leader_argv(m: Machine, short: str, *trick: str) -> list[str]:
    script = 'echo $$ > "$0" && exec "$@"'
    return ["/bin/sh", "-c", script, f"{m.group}/cgroup.procs", PYTHON, "-B", f"{programs(m)}/leader.py", leader_service(m),
            m.user(short).name, *trick]


def leader(m: Machine, short: str, *trick: str, **options) -> Result:
    return m.call(*leader_argv(m, short, *trick), **options)


# What a shell has to say of itself; leader.py puts it in REPORT.
def report(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def sandboxed(result: Result) -> dict[str, str]:
    """The shell ran, in a user namespace that is not ours, with nothing in its capability sets and with the filter."""
    got = report(result.out)
    if "user" not in got:
        raise Failed(f"no shell: exit {result.status}\nstdout: {result.out}\nstderr: {result.err}")
    if got["user"] == os.readlink("/proc/self/ns/user"):
        raise Failed(f"a shell outside of the sandbox: {got}")
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        equal(int(got[name], 16), 0, name)
    equal(got["Seccomp"], "2", "Seccomp")
    return got


def refused(result: Result, sentence: str) -> None:
    """The gate's own refusal."""
    if result.status != REFUSED or sentence not in result.err:
        raise Failed(f"not refused with {sentence!r}: exit {result.status}\nstdout: {result.out}\nstderr: {result.err}")
    equal(result.out, "", "output")


# ---- state that has to be put back ------------------------------------------


@contextlib.contextmanager
def sysctl(name: str, value: str):
    path = "/proc/sys/" + name.replace(".", "/")
    before = read_text(path).strip()
    with open(path, "w") as file:
        file.write(value)
    try:
        equal(read_text(path).strip(), value, name)
        yield
    finally:
        with open(path, "w") as file:
            file.write(before)


@contextlib.contextmanager
def bind(source: str, target: str):
    """Covers a file for the time of a test, in the mount namespace of the tests alone."""
    system_call(libc.mount(source.encode(), target.encode(), None, MS_BIND, None), f"bind over {target}")
    try:
        yield
    finally:
        system_call(libc.umount2(target.encode(), 2), f"umount {target}")


def as_user(m: Machine, short: str, *argv: str, **options) -> Result:
    """The user on the host, outside of every sandbox."""
    user = m.user(short)
    return m.call("setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--init-groups", *argv, **options)


def quiet(argv: list[str]) -> int:
    return subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=20).returncode
