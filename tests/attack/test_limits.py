# SPDX-License-Identifier: BSD-3-Clause
"""Ways out of the limits: rows 44, 46. Groups as such are in test_view.py."""

import os
import shutil

from attack import as_user, decode, inside, programs, python_argv, line
from harness import check, equal, matches, read_text

POLICY = "[default]\nMemoryMax=64M\nMemorySwapMax=0\nTasksMax=40\n"


def charge(session) -> int:
    """Bytes that the session's group is charged with."""
    file = "memory.usage_in_bytes" if session.backend == "v1" else "memory.current"
    return int(session.read("memory", file))


def fits(m, *table: str) -> None:
    """48 MB can be had, and are charged to the session."""
    login = m.spawn_ssh("alice", python_argv(m, "probe.py", *table, "48") + "; read x")
    text = line(login)
    check("written" in text, f"48 MB: {text}")
    if table[0] == "fill":
        check(charge(m.session("alice")) >= 48 << 20, f"charged with {charge(m.session('alice'))}")
    login.kill()
    m.nothing_left(2)


def ends_by_the_limit(done) -> None:
    """
    96 MB cannot. The kernel kills in the session's group until there is room; what lies in a tmpfs does not become free by that, so
    that the login may end too (exit 255). It hits nobody else.
    """
    check("written" not in done.out, f"96 MB were had: {done}")
    check(done.status == 255 or "ended with -9" in done.out or done.status == 137, f"{done}")


def memory_killed(m, *table: str) -> None:
    fits(m, *table)
    ends_by_the_limit(m.ssh("alice", python_argv(m, "probe.py", *table, "96"), timeout=60))
    m.nothing_left(2)


def attack_memory_in_tmp(m):
    """Memory in a tmpfs of the sandbox's is the session's, and another user does not notice."""
    m.policy(POLICY)
    bob = m.spawn_ssh("bob", "echo here; read x; echo still")
    equal(line(bob), "here\n")
    for place in ("/tmp/x", "/var/tmp/x", "/dev/shm/x", f"/run/user/{m.user('alice').uid}/x"):
        ends_by_the_limit(m.ssh("alice", python_argv(m, "probe.py", "fill", place, "96"), timeout=60))
    bob.stdin.write("\n")
    equal(line(bob), "still\n")
    bob.wait(10)
    m.nothing_left(2)
    fits(m, "fill", "/tmp/x")


def attack_memory_in_memfd_and_shm(m):
    m.policy(POLICY)
    memory_killed(m, "memfd")
    memory_killed(m, "shm")


def attack_memory_in_a_tmpfs_of_his_own(m):
    m.policy(POLICY)
    fill = python_argv(m, "probe.py", "fill", "/mnt/x", "96")
    ends_by_the_limit(m.ssh("alice", f"unshare -Urm sh -c 'mount -t tmpfs x /mnt && {fill}'", timeout=60))


def attack_tasks(m):
    """TasksMax holds in nested PID and user namespaces as well."""
    m.policy(POLICY)
    plain = inside(m, "alice", "tasks", "100")["tasks"]
    nested = m.ssh("alice", "unshare -Urpf --mount-proc " + python_argv(m, "probe.py", "tasks", "100")).lines[-1]
    for text in (plain, nested):
        number = int(matches(r"EAGAIN (\d+)", text).group(1))
        check(number < 40, f"{number} processes")


def give_key(m, short: str) -> str:
    """The key of the tests for his own use; the command that logs in again."""
    user = m.user(short)
    key = f"{user.home}/key"
    shutil.copy(f"{m.directory}/client_key", key)
    os.chown(key, user.uid, user.gid)
    os.chmod(key, 0o600)
    return (f"ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o BatchMode=yes -i {key} "
            f"-p {m.sshd.port} {user.name}@127.0.0.1")


def attack_login_from_the_login(m):
    """Row 44: ssh localhost is another sandbox, and all of a user's sandboxes share UserMemoryMax and UserTasksMax."""
    m.policy("[default]\nMemoryMax=48M\nMemorySwapMax=0\nTasksMax=40\nUserMemoryMax=64M\nUserMemorySwapMax=0\nUserTasksMax=60\n")
    again = give_key(m, "alice")
    fill = python_argv(m, "probe.py", "fill", "/tmp/x", "32")
    child = m.spawn_ssh("alice", f"{fill}; readlink /proc/self/ns/pid; {again} readlink /proc/self/ns/pid; read x; {again} '{fill}'; echo end")
    lines = [line(child) for _ in range(3)]
    check("written" in lines[0], lines)
    check(lines[1] != lines[2] and lines[2].startswith("pid:["), f"the same sandbox: {lines}")
    session = m.sessions("alice")[0]
    limit = "memory.limit_in_bytes" if session.backend == "v1" else "memory.max"
    equal(session.read("memory", limit, of_user=True), str(64 << 20))
    child.stdin.write("\n")
    text = line(child)
    check("written" not in text, f"twice 32 MB and two logins in 64 MB: {text}")


def attack_tasks_of_all_logins(m):
    m.policy("[default]\nTasksMax=40\nUserTasksMax=60\n")
    again = give_key(m, "alice")
    tasks = python_argv(m, "probe.py", "tasks", "100")
    sleepers = "for i in $(seq 25); do sleep 60 & done 2>/dev/null"
    child = m.spawn_ssh("alice", f"{sleepers}; {again} {tasks}; echo end")
    number = int(matches(r"EAGAIN (\d+)", line(child)).group(1))
    check(number < 60 - 25, f"{number} processes beside 25")


def attack_limits_as_the_policy_says_by_default(m):
    """UserMemoryMax and UserTasksMax are the session's own limits unless they are set (DESIGN section 6)."""
    m.policy(POLICY)
    child = m.spawn_ssh("alice", "echo here; read x")
    equal(line(child), "here\n")
    session = m.session("alice")
    limit = "memory.limit_in_bytes" if session.backend == "v1" else "memory.max"
    equal(session.read("memory", limit, of_user=True), str(64 << 20))
    equal(session.read("pids", "pids.max", of_user=True), "40")


def attack_move_by_the_leaders_help(m):
    """sftp and forwarding run outside of the user namespace, but in the session's groups like all the rest."""
    child = m.spawn_ssh("alice", "echo here; read x")
    equal(line(child), "here\n")
    session = m.session("alice")
    monitor = next(one for one in m.sshd.connections() if one.parent == session.leader)
    for pid in (session.init, monitor.pid, session.leader):
        check(session.id in read_text(f"/proc/{pid}/cgroup"), f"process {pid} is not in the session's groups")


def attack_counts_are_his_own(m):
    """
    inotify instances, locked memory, message queues, namespaces: the kernel counts them for a user, and in a user namespace also
    for whoever made that. One who takes all of his takes none of another user's, nor of root's.
    """
    argv = ["/usr/bin/python3", "-B", f"{programs(m)}/probe.py", "counts"]
    wanted = decode(as_user(m, "bob", *argv))
    of_root = decode(m.call(*argv))
    alice = m.spawn_ssh("alice", " ".join(argv))
    line(alice)
    got = {"bob": decode(m.ssh("bob", " ".join(argv))), "root": decode(m.call(*argv))}
    equal(got, {"bob": wanted, "root": of_root})
