# SPDX-License-Identifier: BSD-3-Clause
"""How long a sandbox lives, against somebody who wants it to live longer: the signals at logout, RuntimeMaxSec, KillOnLogout=no, the
files that outlive it."""

import contextlib
import os
import time

from attack import inside, line, programs, python_argv, sysctl
from harness import Leader, alive, check, equal, kill, matches, read_text, wait_for, write_text
from test_notices import fuse_for_users

# SIGTERM, SIGHUP after 2.5 s, SIGKILL after 5 s; the rest is for a busy machine.
GRACE = 8.0
KEPT = "[default]\nMemoryMax=256M\nTasksMax=128\nKillOnLogout=no\n"
NAMESPACE = "readlink /proc/self/ns/pid"
LEAVE = "setsid sleep {} > /dev/null 2>&1 < /dev/null &"


def users_processes(m, short: str = "alice") -> int:
    uid = m.user(short).uid
    return sum(one.uid == uid for one in m.strays())


def ends_within(m, seconds: float, what: str, short: str = "alice") -> None:
    wait_for(lambda: users_processes(m, short) == 0, seconds, f"the end of {what}")


# ---- signals ----


def attack_fork_bomb_at_logout(m):
    """It has all the tasks there are, minds neither SIGTERM nor SIGHUP, and goes on forking: SIGKILL ends it."""
    m.policy("[default]\nTasksMax=100\nMemoryMax=256M\nCPUQuota=100%\n")
    child = m.spawn_ssh("alice", python_argv(m, "bomb.py", "60") + "; read x")
    equal(line(child), "ready\n")
    check(users_processes(m) > 80, f"{users_processes(m)} processes are no bomb")
    child.kill()
    m.nothing_left(GRACE)


def attack_fork_bomb_at_the_time_limit(m):
    m.policy("[default]\nTasksMax=100\nMemoryMax=256M\nCPUQuota=100%\nRuntimeMaxSec=4\n")
    child = m.spawn_ssh("alice", python_argv(m, "bomb.py", "60") + "; exec sleep 60")
    equal(line(child), "ready\n")
    ends_within(m, 4 + GRACE, "the bomb")
    child.wait(10)
    m.nothing_left(3)


def attack_fork_bomb_and_other_users(m):
    """While one user's bomb is being ended, another logs in and out as ever."""
    m.policy("[default]\nTasksMax=100\nMemoryMax=256M\nCPUQuota=50%\n")
    child = m.spawn_ssh("alice", python_argv(m, "bomb.py", "60") + "; read x")
    equal(line(child), "ready\n")
    child.kill()
    for _ in range(3):
        start = time.monotonic()
        equal(m.ssh("bob", "echo in").out, "in\n")
        check(time.monotonic() - start < 4, f"bob had to wait {time.monotonic() - start:.1f} s")
    m.nothing_left(GRACE)


def attack_root_who_comes_to_signal(m):
    """The process of root's that enters the PID namespace for a moment is neither stopped, killed, traced nor looked into; and what it
    came for happens in time."""
    path = f"{m.user('alice').home}/herald"
    names = set()
    for _ in range(3):
        child = m.spawn_ssh("alice", python_argv(m, "herald.py", path, "12") + "; read x")
        equal(line(child), "ready\n")
        child.kill()
        m.nothing_left(GRACE)
        for text in read_text(path).splitlines():
            name, *outcomes = text.split()
            names.add(name)
            wanted = {"EPERM", "EACCES", "ESRCH", "ENOENT"}
            # Of sshd's own process of root's, and of a gate on its way, the same holds.
            check(set(outcomes) <= wanted, f"{name}: {outcomes}")
    os.unlink(path)


def attack_grace_is_not_prolonged(m):
    """Who comes back while his sandbox ends is in another, and the first ends in its time. Both count against his limits."""
    m.policy("[default]\nTasksMax=60\nUserTasksMax=70\nMemoryMax=128M\nScope=user\n")
    stubborn = "trap '' TERM HUP; for i in $(seq 40); do setsid sleep 600 & done > /dev/null 2>&1 < /dev/null"
    where = m.ssh("alice", f"{NAMESPACE}; {stubborn}").ok().lines[0]
    start = time.monotonic()
    rounds = 0
    while time.monotonic() - start < 4:
        done = m.ssh("alice", f"{NAMESPACE}; {python_argv(m, 'probe.py', 'tasks', '100')}")
        check(where not in done.out, "it was joined while it ends")
        number = int(matches(r"EAGAIN (\d+)", done.out)[1])
        check(number < 70 - 40, f"{number} processes beside the 40 that are left")
        rounds += 1
    check(rounds > 1, "hardly ever")
    wait_for(lambda: not m.running("sleep 600"), start + GRACE - time.monotonic(), "the end of what was left")
    m.nothing_left(GRACE)


def attack_stopped_sshd_and_the_time_limit(m):
    """He stops all that he can, sshd's process of his own among it: nobody closes that session, and it ends all the same."""
    m.policy("[default]\nRuntimeMaxSec=3\n")
    child = m.spawn_ssh("alice", python_argv(m, "probe.py", "stop_all", "19"))
    session = m.session("alice")
    wait_for(lambda: any(one.parent == session.leader and one.state == "T" for one in m.sshd.connections()), 10, "a stopped sshd")
    ends_within(m, 3 + GRACE, "his processes")
    wait_for(lambda: child.poll() is not None, 5, "the end of the connection")
    m.nothing_left(3)


def attack_zombies_at_logout(m):
    """Processes that have ended, and that nobody waits for, do not hold up the end, with or without KillOnLogout."""
    zombies = "/usr/bin/python3 -c 'import os, time; [os.fork() or os._exit(0) for _ in range(30)]; print(1, flush=True); time.sleep({})'"
    for policy, seconds in (("[default]\nTasksMax=100\n", "60"), (KEPT, "1")):
        m.policy(policy)
        child = m.spawn_ssh("alice", zombies.format(seconds))
        equal(line(child), "1\n")
        child.kill()
        m.nothing_left(3)


def attack_traced_to_the_end(m):
    """A tracer that lets nothing through: SIGTERM and SIGHUP never arrive, SIGKILL does."""
    trace = ("import ctypes, os, signal, time; l = ctypes.CDLL(None); pid = os.fork()\n"
             "if pid == 0:\n l.ptrace(0, 0, 0, 0); os.kill(os.getpid(), 19); time.sleep(600)\n"
             "[signal.signal(n, signal.SIG_IGN) for n in (1, 15)]\n"
             "print(1, flush=True)\n"
             "while True:\n os.waitpid(pid, 0); l.ptrace(7, pid, 0, 0)\n")
    write_text(f"{programs(m)}/trace.py", trace)
    child = m.spawn_ssh("alice", python_argv(m, "trace.py"))
    equal(line(child), "1\n")
    child.kill()
    m.nothing_left(GRACE)


def attack_process_that_the_kernel_holds(m):
    """
    One that SIGKILL does not end, for it waits for a FUSE server of another login. The logout does not wait for it, nor do other
    logins, his own among them, nor the collector; and when the server has gone, it has.
    """
    name = f"{m.tag}-held"
    with fuse_for_users(m):
        server = m.spawn_ssh("alice", python_argv(m, "wedge.py", "serve", name))
        equal(line(server), "ready\n")
        child = m.spawn_ssh("alice", python_argv(m, "wedge.py", "hold", name))
        equal(line(child), "ready\n")
    held = m.sessions("alice")[-1]
    child.kill()
    wait_for(lambda: not alive(held.leader), 3, "the end of the leader")
    time.sleep(GRACE)
    uid, inside = m.user("alice").uid, set(held.pids())
    left = [one for one in m.strays() if one.pid in inside and one.uid == uid]
    check(all(one.state in "DZ" for one in left), f"not only what the kernel holds is left: {[str(one) for one in left]}")
    check(left, "nothing was held")
    for short in ("bob", "alice"):
        start = time.monotonic()
        equal(m.ssh(short, "echo in").out, "in\n")
        check(time.monotonic() - start < 3, f"{short} had to wait {time.monotonic() - start:.1f} s")
    start = time.monotonic()
    m.isolatectl("gc").ok()
    check(time.monotonic() - start < 3, "the collector had to wait")
    server.kill()
    m.nothing_left(GRACE + 3)


# ---- KillOnLogout=no ----


def attack_kept_sandboxes_count(m):
    """Each logout leaves a sandbox: what they have together is what the policy gives to one user."""
    m.policy("[default]\nTasksMax=30\nUserTasksMax=40\nKillOnLogout=no\n")
    left = 0
    for _ in range(40):
        if m.ssh("alice", LEAVE.format(600), timeout=40).status != 0:
            break
        left += 1
    check(3 < left < 21, f"{left} sandboxes, with two processes each, in 40 tasks")
    # Another user, and he himself when he has ended some, log in as ever.
    m.ssh("bob", "true").ok()
    for one in m.running("sleep 600"):
        kill(one.pid)
    m.nothing_left(5)
    m.ssh("alice", "true").ok()
    # A process whose parent is not in there is looked for every second.
    m.nothing_left(3)


def attack_kept_sandbox_is_still_a_sandbox(m):
    """After the logout: the limits and PID 1 are what they were, and SIGKILL to everything ends it."""
    m.policy(KEPT + "Scope=user\n")
    m.ssh("alice", LEAVE.format(600)).ok()
    wait_for(lambda: [one for one in m.sessions("alice") if one.leader == 0], 5, "a record without a leader")
    got = inside(m, "alice", "init")
    check("done" not in [value for name, value in got.items() if name.startswith(("kill", "ptrace", "prlimit"))], f"{got}")
    m.ssh("alice", "kill -9 -1")
    m.nothing_left(3)


def attack_answer_of_pid_1(m):
    """Hundreds of logouts from a sandbox that goes on: never taken for empty while a process is in it."""
    m.policy(KEPT + "Scope=user\n")
    m.ssh("alice", LEAVE.format(600)).ok()
    leader = Leader(m)
    leader.cycle(300, "alice")
    leader.end()
    check(m.running("sleep 600"), "it was ended")
    for one in m.running("sleep 600"):
        kill(one.pid)
    m.nothing_left(3)


# ---- PrivateTmp=user ----

KEPT_TMP = "[default]\nPrivateTmp=user\nMemoryMax=128M\n"

TAMPER = """
cd /tmp || exit 1
for command in 'rmdir /tmp' 'mv /tmp /tmp.old' 'chmod 777 /tmp' 'chown $(id -u) /tmp' 'ls /tmp/../tmp/..//lib/pam_isolate' \
  'mount -o remount,suid /tmp' 'mknod /tmp/d b 8 0' 'ln /tmp/f ~/f' 'ls {state}' 'ls /proc/self/root{state}' \
  'unshare -Urm umount /tmp' 'unshare -Urm mount -o remount,bind,suid /tmp' 'unshare -Urm mount --bind / /mnt && ls /mnt{state}'; do
  echo > /tmp/f
  sh -c "$command" > /dev/null 2>&1 && echo "DONE $command"
done
rm -f /tmp/f ~/f
exit 0
"""


def attack_tmp_on_disk(m):
    """The directory itself, the way to it and the mount's flags are not his."""
    m.policy(KEPT_TMP)
    state = f"{m.prefix}/var/lib/pam_isolate"
    m.ssh("alice", "true").ok()
    equal(m.ssh("alice", "sh -s", input=TAMPER.replace("{state}", state)).ok().out, "")
    top = m.user_tmp(m.user("alice").uid)
    for path, mode in ((state, 0o700), (f"{state}/tmp", 0o700), (top, 0o700), (f"{top}/tmp", 0o1777), (f"{top}/var-tmp", 0o1777)):
        found = os.lstat(path)
        equal((found.st_uid, found.st_mode), (0, mode | 0o40000), path)


def attack_link_on_disk_for_roots_log(m):
    """Row 4 with PrivateTmp=user, where the link is there before the login."""
    m.policy(KEPT_TMP)
    victim, log = f"{m.directory}/victim-on-disk", f"/tmp/{m.tag}hook-on-disk.log"
    write_text(victim, "mine\n", 0o600)
    m.ssh("alice", f"ln -s {victim} {log}").ok()
    m.nothing_left()
    try:
        with sysctl("fs.protected_symlinks", "1"):
            for where in ({"after": f"session optional pam_exec.so type=open_session log={log} /bin/true"},
                          {"before": f"session optional pam_exec.so type=close_session log={log} /bin/true"}):
                m.sshd.pam(**where)
                m.ssh("alice", "true").ok()
                m.nothing_left()
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(log)
    equal(read_text(victim), "mine\n", "what root wrote through the user's link")


def attack_strange_files_on_disk(m):
    """Fifos, sockets, set-id files, names of all kinds, directories without end: they are there at the next login, and hold it up no
    more than that of anybody else."""
    m.policy(KEPT_TMP)
    m.ssh("alice", "find /tmp -mindepth 1 -delete; cd /tmp && mkfifo f tmp var-tmp && cp /usr/bin/id i && chmod 6755 i && "
          "mkdir -p .X11-unix d/d/d/d/d && ln -s / r && ln -s /tmp/loop loop; touch -- '-rf' \"$(printf 'a\\nb')\"; chmod 000 d; "
          "python3 -c 'import socket; socket.socket(1).bind(\"/tmp/s\")'").ok()
    m.nothing_left()
    start = time.monotonic()
    equal(m.ssh("alice", "ls -A /tmp | wc -l").ok().out, "12\n")
    check(time.monotonic() - start < 4, "it took its time")
    # What is set-id there gives nobody anything, not in there and not by a way from outside.
    equal(m.ssh("bob", f"{m.user_tmp(m.user('alice').uid)}/tmp/i -u; true").ok().out, "")
    m.nothing_left()
    m.ssh("alice", "chmod 700 /tmp/d; find /tmp -mindepth 1 -delete").ok()


def attack_set_id_file_on_disk_by_fd(m):
    """A colluder who is handed a directory of her /tmp executes her set-user-ID file there: nosuid, for him too."""
    m.policy(KEPT_TMP)
    name = f"{m.tag}-tmp-by-fd"
    give = ("import array, os, socket; s = socket.socket(1); s.bind('\\0" + name + "'); s.listen(); print(1, flush=True)\n"
            "c = s.accept()[0]; c.sendmsg([b'x'], [(1, 1, array.array('i', [os.open('/tmp', os.O_RDONLY)]))]); c.recv(1)\n")
    take = ("import array, os, socket; c = socket.socket(1); c.connect('\\0" + name + "')\n"
            "data, more, _, _ = c.recvmsg(1, 64); fd = array.array('i', more[0][2])[0]; os.fchdir(fd)\n"
            "os.set_inheritable(fd, True); print(os.popen('./i -u').read().strip(), flush=True)\n")
    write_text(f"{programs(m)}/give.py", give)
    write_text(f"{programs(m)}/take.py", take)
    hers = m.spawn_ssh("alice", "cp /usr/bin/id /tmp/i; chmod 4755 /tmp/i; exec " + python_argv(m, "give.py"))
    equal(line(hers), "1\n")
    equal(m.ssh("bob", python_argv(m, "take.py")).out, f"{m.user('bob').uid}\n")
    hers.kill()
