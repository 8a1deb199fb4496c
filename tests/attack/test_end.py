# SPDX-License-Identifier: BSD-3-Clause
"""How a session ends, and what somebody can do against it: row 42. The runner looks afterwards that nothing is left."""

import os
import signal
import time

from attack import inside, python_argv, line
from harness import check, equal, kill, process, wait_for

# Who ignores SIGTERM and SIGHUP lives for 5 seconds.
GRACE = 7.0


def cling(m):
    """A login that has left all it can behind, and waits."""
    child = m.spawn_ssh("alice", python_argv(m, "probe.py", "cling") + "; exec sleep 60")
    check(line(child), "no daemons")
    session = m.session("alice")
    check(len(session.pids()) > 8, f"only {len(session.pids())} processes")
    return child, session


def attack_logout_with_daemons(m):
    """Daemons, stopped and traced processes, PID namespaces in PID namespaces, one that forks on: the logout ends them."""
    child, _ = cling(m)
    child.kill()
    m.nothing_left(GRACE)


def attack_leader_is_killed(m):
    """Row 42."""
    _, session = cling(m)
    kill(session.leader)
    m.nothing_left(GRACE)


def attack_init_is_killed(m):
    """By root, from outside."""
    _, session = cling(m)
    kill(session.init)
    m.nothing_left(GRACE)


def attack_supervisor_is_killed(m):
    _, session = cling(m)
    kill(session.supervisor)
    m.nothing_left(GRACE)


def attack_stopped_leader_is_killed(m):
    _, session = cling(m)
    os.kill(session.leader, signal.SIGSTOP)
    kill(session.leader)
    m.nothing_left(GRACE)


def attack_stopped_init(m):
    """SIGSTOP of root's stops a PID 1; the end comes all the same."""
    child, session = cling(m)
    os.kill(session.init, signal.SIGSTOP)
    child.kill()
    m.nothing_left(GRACE)


def attack_stopped_supervisor(m):
    """Others log in as fast as ever, he too; and when it goes on, his session ends."""
    child, session = cling(m)
    os.kill(session.supervisor, signal.SIGSTOP)
    try:
        for short in ("bob", "alice"):
            start = time.monotonic()
            equal(m.ssh(short, "echo in").out, "in\n")
            check(time.monotonic() - start < 3, f"{short} had to wait {time.monotonic() - start:.1f} s")
        child.kill()
        child.wait()
        start = time.monotonic()
        equal(m.ssh("bob", "echo in").out, "in\n")
        check(time.monotonic() - start < 3, f"bob had to wait {time.monotonic() - start:.1f} s")
    finally:
        os.kill(session.supervisor, signal.SIGCONT)
    m.nothing_left(8)


def attack_kill_everything(m):
    """kill -9 -1 from inside: his own sshd goes with it, PID 1 does not need to."""
    child, _ = cling(m)
    m.ssh("alice", python_argv(m, "probe.py", "stop_all", "9") + " ; true")
    child.kill()
    m.nothing_left(GRACE)


def attack_stop_everything(m):
    """
    kill -STOP -1 from inside stops his own sshd, whose monitor waits for it, with us or without: the session stays. It ends with
    the monitor.
    """
    child = m.spawn_ssh("alice", python_argv(m, "probe.py", "stop_all", "19"))
    session = m.session("alice")
    stopped = lambda: any(one.parent == session.leader and one.state == "T" for one in m.sshd.connections())  # noqa: E731
    wait_for(stopped, 10, "a stopped sshd")
    equal(process(session.init).state, "S", "PID 1")
    child.kill()
    kill(session.leader)
    m.nothing_left(GRACE)


def attack_frozen_from_inside(m):
    """vfork leaves a parent that takes no signal but SIGKILL; PID 1's end is one."""
    command = "/usr/bin/python3 -c 'import ctypes,os; print(1, flush=True); l = ctypes.CDLL(None); (l.vfork() == 0) and l.sleep(600)' & read x"
    child = m.spawn_ssh("alice", command)
    equal(line(child), "1\n")
    time.sleep(0.2)
    child.kill()
    m.nothing_left(GRACE)


def attack_blocked_in_a_fifo(m):
    """A gate that has root's ids, and cannot write its sentence: it ends with the session."""
    command = ("mkfifo ~/fifo; exec 3<>~/fifo; dd if=/dev/zero of=/proc/self/fd/3 bs=65536 count=1 2>/dev/null; "
               f"({m.programs}/isolate-shell 2>&3 &) ; sleep 0.3; echo here; sleep 60")
    child = m.spawn_ssh("alice", command)
    equal(line(child), "here\n")
    child.kill()
    m.nothing_left(GRACE)
    os.unlink(f"{m.user('alice').home}/fifo")


def attack_many_short_logins_while_one_dies(m):
    """Sessions of one user that begin and end together: the group they share is neither lost nor left."""
    children = [m.spawn_ssh("alice", "echo here; read x") for _ in range(12)]
    for child in children:
        equal(line(child), "here\n")
    for number, session in enumerate(m.sessions("alice")):
        kill((session.leader, session.init, session.supervisor)[number % 3])
    equal(inside(m, "alice", "paths", "/proc/1")["/proc/1"], "seen")
    for child in children:
        child.kill()
    m.nothing_left(3)
