# SPDX-License-Identifier: BSD-3-Clause
"""Scope=user: several leaders in one sandbox, and the sockets by which they find it."""

import os
import random
import signal
import socket
import subprocess
import time

from attack import all_are, as_user, bind, decode, leader_argv, line, programs, python_argv, sandboxed
from harness import Leader, Master, check, equal, kill, matches, process, skip, wait_for, write_text
from test_init import fds
from test_leader import may_lift_limits
from test_limits import give_key

SHARED = "[default]\nScope=user\nMemoryMax=256M\nTasksMax=200\n"
PAM_SESSION_ERR = 14
NAMESPACE = "readlink /proc/self/ns/pid"


def stay(m, short: str = "alice", **options):
    """A login that stays until it gets a line, and its PID namespace."""
    child = m.spawn_ssh(short, f"{NAMESPACE}; read line; echo $line", **options)
    where = line(child).strip()
    check(where.startswith("pid:"), f"no login: {where!r}")
    return child, where


def leave(child) -> None:
    equal(child.communicate("bye\n", 10)[0], "bye\n")


# ---- the sockets ----

SOCKETS = """
import json, os, socket, sys
from probe import nested, opened, outcome
records, uid, session = sys.argv[1:]
def connected(path):
    def action():
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as one:
            one.connect(near(path))
    return action
# A path that is too long for the address of a socket, from its root.
def near(path):
    if len(path) < 108:
        return path
    os.chdir("/proc/self/root")
    return path.removeprefix("/proc/self/root/")
def bound(path):
    def action():
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as one:
            one.bind(near(path))
    return action
found = {}
for root in ("", "/proc/self/root"):
    for path in (f"{root}{records}/.users/{uid}", f"{root}{records}/{session}/control"):
        found[f"connect {path}"] = connected(path)
        found[f"bind {path}.x"] = bound(path + ".x")
        found[f"unlink {path}"] = lambda path=path: os.unlink(path)
    for path in (f"{root}{records}", f"{root}{records}/.users", f"{root}{records}/lock", f"{root}{records}/.users/{uid}.lock"):
        found[f"open {path}"] = opened(path)
        found[f"move {path}"] = lambda path=path: os.rename(path, path + ".old")
        found[f"remove {path}"] = lambda path=path: os.rmdir(path)
        found[f"make {path}/x"] = lambda path=path: os.mkdir(path + "/x")
found.update({f"{name}, nested": nested(action) for name, action in list(found.items())})
from probe import apart
print(json.dumps({name: apart(action) for name, action in found.items()}), flush=True)
"""


def attack_sockets_of_a_shared_sandbox(m):
    """He cannot connect to them, put others in their place, nor hold their locks: from inside, as root of a namespace of his own, and
    from outside."""
    m.policy(SHARED)
    write_text(f"{programs(m)}/sockets.py", SOCKETS)
    child, _ = stay(m)
    words = (m.records, m.shared_name("alice"), m.session("alice").id)
    denied = frozenset({"EACCES", "EPERM"})
    all_are(decode(m.ssh("alice", python_argv(m, "sockets.py", *words), timeout=60)), denied)
    outside = as_user(m, "alice", "/usr/bin/python3", "-B", f"{programs(m)}/sockets.py", *words)
    all_are(decode(outside), denied)
    leave(child)


def attack_join_socket_by_forwarding(m):
    """sshd's child connects for -L as the user, from the leader's view: not to the supervisor."""
    m.policy(SHARED)
    master = Master(m, "alice")
    master.ssh("true").ok()
    local = f"{m.directory}/forwarded-join"
    m.call(*m.ssh_argv("alice", options=("-S", master.path, "-O", "forward", "-L", f"{local}:{m.records}/.users/{m.shared_name('alice')}")))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(5)
        client.connect(local)
        got = b"?"
        try:
            got = client.recv(16)
        except ConnectionError:
            got = b""
        equal(got, b"", "an offer of the supervisor")
    equal(master.ssh("echo still").out, "still\n")
    master.close()


def attack_fds_of_a_leader_that_joined(m):
    """Nothing of the way in stays open in the processes of the leaders that came later."""
    m.policy(SHARED)
    first, _ = stay(m)
    second, _ = stay(m)
    for session in m.sessions("alice"):
        for pid in [session.leader] + [one.pid for one in m.sshd.connections() if one.parent == session.leader]:
            for name in os.listdir(f"/proc/{pid}/fd"):
                link = os.readlink(f"/proc/{pid}/fd/{name}")
                check("pidfd" not in link and link.split(":")[0] not in ("mnt", "pid", "user", "cgroup"), f"fd {name} of {pid} is {link}")
                check(m.records not in link, f"fd {name} of {pid} is {link}")
    leave(second)
    leave(first)


# ---- leaders that have an accident ----


def attack_leader_killed_while_it_joins(m):
    """At any moment of it: the sandbox goes on for the others, with them alone in it, and with nothing of the one that is gone."""
    m.policy(SHARED)
    child, where = stay(m)
    session = m.session("alice")
    # Its socket to syslog is there from the first logout on.
    m.ssh("alice", "true").ok()
    wait_for(lambda: len(m.sessions("alice")) == 1, 5, "the end of that login")
    before = fds(session.supervisor)
    for number in (signal.SIGKILL, signal.SIGSTOP):
        for _ in range(20):
            one = m.spawn(*leader_argv(m, "alice", "sleep", "0"), stderr=subprocess.DEVNULL)
            time.sleep(random.uniform(0.02, 0.08))
            kill(one.pid, number)
            time.sleep(0.01)
            kill(one.pid)
            one.wait()
    wait_for(lambda: [found.id for found in m.sessions("alice")] == [session.id], 5, "the end of their records")
    wait_for(lambda: [name for name in os.listdir(m.records) if name.startswith(".") and name != ".users"] == [], 5, "the end of their claims")
    equal(m.ssh("alice", NAMESPACE).out.strip(), where)
    wait_for(lambda: fds(session.supervisor) == before, 5, f"no other fds of the supervisor than before: {before}")
    leave(child)
    m.nothing_left(6)


SMALL = (["--fsize=0"], ["--fsize=100"], ["--nofile=8:8"], ["--nofile=12:12"], ["--nofile=16:16"], ["--as=20000000"],
         ["--stack=65536"], ["--data=65536"], ["--memlock=0"], ["--msgqueue=0"], ["--sigpending=0"], ["--cpu=1:1"])


def attack_small_limits_of_a_leader_that_joins(m):
    """Refused, or in the shared sandbox as a whole; and that is as it was."""
    m.policy(SHARED)
    child, where = stay(m)
    session = m.session("alice")
    for words in SMALL:
        argv = leader_argv(m, "alice", "plain")
        done = m.call(*argv[:4], "prlimit", *words, *argv[4:])
        if "user=" in done.out:
            sandboxed(done)
        else:
            check(done.status != 0, f"{words}: {done}")
        wait_for(lambda: [one.id for one in m.sessions("alice")] == [session.id], 5, f"{words}: the end of its session")
        equal(m.ssh("alice", NAMESPACE).out.strip(), where, f"after {words}")
    leave(child)
    m.nothing_left(6)


def attack_small_limits_of_the_leader_that_makes_it(m):
    """The first leader's limits are not those of the supervisor that all his other logins depend on: where root may not lift a limit
    (a container's), who finds no place is refused at once, and the others are not."""
    m.policy(SHARED)
    wanted = {0} if may_lift_limits() else {0, PAM_SESSION_ERR}
    for words in (["--nofile=48:48"], ["--fsize=0"], ["--cpu=1:1"], ["--nproc=4"]):
        argv = leader_argv(m, "alice", "sleep", "60")
        first = m.spawn(*argv[:4], "prlimit", *words, *argv[4:], stderr=subprocess.PIPE, text=True)
        wait_for(lambda: m.sessions("alice") or first.poll() is not None, 10, "a session, or a refusal")
        if first.poll() is None:
            leader, start = Leader(m), time.monotonic()
            got = leader.crowd(12, "alice")
            leader.end_crowd()
            leader.end()
            check(0 in got and set(got) <= wanted, f"{words}: twelve more logins: {got}")
            check(time.monotonic() - start < 10, f"{words}: it took {time.monotonic() - start:.1f} s")
            m.ssh("alice", "true").ok()
            kill(first.pid)
        m.nothing_left(8)


def attack_refused_first_login_leaves_nothing(m):
    """The login that would have made the shared sandbox fails half-way: no socket, lock or group of it is left."""
    m.policy(SHARED)
    argv = leader_argv(m, "alice", "plain")
    done = m.call(*argv[:4], "prlimit", "--nofile=24:24", *argv[4:])
    if done.status == 0:
        skip("it is not refused here")
    m.nothing_left(2)


def attack_stopped_leader_holds_up_nobody(m):
    """A leader (a su of his, which he may stop) that neither goes on nor ends: others join and leave, and the sandbox ends when it
    has to."""
    m.policy(SHARED + "RuntimeMaxSec=8\n")
    stopped = m.spawn(*leader_argv(m, "alice", "sleep", "60"))
    first = m.session("alice")
    kill(stopped.pid, signal.SIGSTOP)
    for _ in range(3):
        start = time.monotonic()
        equal(m.ssh("alice", "echo in").out, "in\n")
        check(time.monotonic() - start < 4, f"it took {time.monotonic() - start:.1f} s")
    uid = m.user("alice").uid
    wait_for(lambda: all(one.uid != uid or one.state == "Z" for one in m.strays()), 16, "the end for RuntimeMaxSec")
    equal(m.ssh("alice", "echo in").out, "in\n", "after the end, with the leader still stopped")
    check(process(stopped.pid).state == "T", "the leader goes on")
    kill(stopped.pid)
    m.nothing_left(3)
    check(first.id not in [one.id for one in m.sessions("alice")], "its record")


# ---- one trust domain, and no more ----


def attack_login_from_the_shared_login(m):
    """ssh localhost is the same sandbox with the same limits, and the end of the outer login leaves the inner one whole."""
    m.policy("[default]\nScope=user\nMemoryMax=128M\nTasksMax=60\n")
    again = give_key(m, "alice")
    tasks = python_argv(m, "probe.py", "tasks", "100")
    child = m.spawn_ssh("alice", f"{NAMESPACE}; {again} {NAMESPACE}; for i in $(seq 25); do sleep 60 & done 2>/dev/null; {again} {tasks}; echo end; "
                                 f"setsid {again} 'sleep 3' > /dev/null 2>&1 < /dev/null & sleep 1")
    where = line(child)
    equal(line(child), where, "the inner login's PID namespace")
    number = int(matches(r"EAGAIN (\d+)", line(child))[1])
    check(number < 60 - 25, f"{number} processes beside 25")
    child.kill()
    m.nothing_left(12)


def attack_stop_everything_in_a_shared_sandbox(m):
    """One login stops all the others and their sshd: another login comes in, and lets them go on."""
    m.policy(SHARED)
    first, where = stay(m)
    other = m.spawn_ssh("alice", python_argv(m, "probe.py", "stop_all", "19"))
    wait_for(lambda: sum(one.state == "T" for one in m.strays()) >= 2, 10, "stopped processes")
    equal(m.ssh("alice", f"{NAMESPACE}; kill -CONT -1").out.strip(), where)
    other.wait(10)
    leave(first)
    m.nothing_left(8)


def attack_kill_everything_in_a_shared_sandbox(m):
    """kill -9 -1 ends all logins of that user and of no other."""
    m.policy(SHARED)
    stay(m)
    bobs, _ = stay(m, "bob")
    m.ssh("alice", "kill -9 -1")
    wait_for(lambda: not m.sessions("alice"), 8, "the end of hers")
    leave(bobs)
    m.nothing_left(3)


def attack_other_users_shared_sandbox(m):
    """Processes, files and names of another user's are not there, as ever."""
    m.policy(SHARED)
    hers, where = stay(m)
    pid = m.session("alice").init
    done = m.ssh("bob", f"{NAMESPACE}; ls /proc/{pid}; kill -0 {pid}; ls {m.records}/.users")
    check(done.lines[0] != where and done.lines[1:] == [], f"{done}")
    leave(hers)


def attack_leader_of_another_policy(m):
    """
    Two services with policies of their own (policy=): whoever comes by the one that is strict gets what it says, though he has come by
    the other before.
    """
    lax = f"{m.directory}/lax.conf"
    write_text(lax, "[default]\nScope=user\nPrivateUsers=no\nMemoryMax=1G\n")
    m.policy("[default]\nScope=user\nMemoryMax=64M\n")
    server = m.add_sshd("lax")
    server.pam(arguments=f"policy={lax} debug")
    by_lax = m.spawn_ssh("alice", "readlink /proc/self/ns/user; read x", server=server)
    equal(line(by_lax).strip(), os.readlink("/proc/self/ns/user"))
    got = m.ssh("alice", "readlink /proc/self/ns/user")
    by_lax.kill()
    check(got.status != 0 or got.out.strip() != os.readlink("/proc/self/ns/user"),
          "a login by the strict service is without a user namespace: he has been here by the lax one before")


def attack_su_in_a_sandbox_without_a_user_namespace(m):
    """PrivateUsers=no: set-user-ID programs work in there. A su to himself asks the supervisor from inside, where processes have other
    numbers: refused, and no process of the host's is moved."""
    m.policy("[default]\nScope=user\nPrivateUsers=no\nMemoryMax=256M\nTasksMax=200\n")
    mark = m.log.mark()
    stack = f"{m.directory}/su-inside"
    write_text(stack, f"auth required pam_permit.so\naccount required pam_permit.so\nsession required {m.module} debug\n")
    with bind(stack, "/etc/pam.d/su"):
        # The server's own mounts are those of the tests.
        child, where = stay(m)
        session = m.session("alice")
        before = set(session.pids())
        done = m.ssh("alice", f"{NAMESPACE}; su {m.user('alice').name} -c 'echo in; {NAMESPACE}; cat /proc/self/cgroup'; echo $?; sleep 0.3")
        extra = set(session.pids()) - before
        own = {one.pid for one in m.strays()}
        equal({pid for pid in extra if pid not in own and os.path.exists(f"/proc/{pid}")}, set(), "processes of the host's in the sandbox's groups")
        check(done.lines[0] == where and done.lines[-1] != "0", f"{done}")
        m.log.expect("refused: join: this process is in a sandbox already", mark)
        leave(child)
    m.nothing_left(6)
