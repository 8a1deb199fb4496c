# SPDX-License-Identifier: BSD-3-Clause
"""isolate-init, the supervisor and sshd's child as root sees them from outside: rows 21 to 28."""

import contextlib
import os
import pwd
import signal
import socket

from attack import as_user, leader, sysctl, line
from harness import Master, check, equal, matches, namespaces, process, read_text

CAP_SYS_RESOURCE = 1 << 24
CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def status(pid: int) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in read_text(f"/proc/{pid}/status").splitlines() if ":\t" in line)


def fds(pid: int) -> dict[int, str]:
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
    return found


def login(m, short: str = "alice"):
    """A login with a process in it, and its record."""
    child = m.spawn_ssh(short, "echo here; exec sleep 60")
    equal(line(child), "here\n")
    return child, m.session(short)


def attack_ids_and_capabilities(m):
    """Row 21, 23: ids of its own, not root's and not his; nothing in any set; nothing to be had by an execve."""
    _, session = login(m)
    got, user = status(session.init), pwd.getpwnam(m.init_user)
    equal(got["Name"], "isolate-init")
    equal(got["Uid"].split(), [str(user.pw_uid)] * 4)
    equal(got["Gid"].split(), [str(user.pw_gid)] * 4)
    equal(got["Groups"].split(), [])
    for name in CAPABILITIES:
        equal(int(got[name], 16), 0, name)
    equal(got["NoNewPrivs"], "1")
    equal(read_text(f"/proc/{session.init}/environ"), "")
    equal(read_text(f"/proc/{session.init}/cmdline"), "isolate-init\0")


def attack_fds_of_init(m):
    """Nothing but /dev/null and the socket of its supervisor, which nobody in there gets at."""
    _, session = login(m)
    equal({name.split(":")[0] for name in fds(session.init).values()}, {"/dev/null", "socket"}, "fds of PID 1")
    equal(len([name for name in fds(session.init).values() if name.startswith("socket:")]), 1, "sockets of PID 1")
    done = m.ssh("alice", "ls /proc/1/fd; readlink /proc/1/fd/3; python3 -c 'import os; print(os.pidfd_open(1))'")
    check("socket" not in done.out, f"PID 1's socket: {done.out}")


def dumpable(pid: int) -> bool:
    """The kernel gives the files of a process that is not dumpable to root."""
    return os.stat(f"/proc/{pid}/environ").st_uid != 0


def attack_dumpable(m):
    """Row 22: fs.suid_dumpable must not undo it."""
    for value in ("0", "1", "2"):
        with sysctl("fs.suid_dumpable", value):
            child, session = login(m)
            check(not dumpable(session.init), f"init is dumpable with fs.suid_dumpable={value}")
            done = m.ssh("alice", "for f in environ maps mem auxv; do cat /proc/1/$f >/dev/null && echo $f; done; ls /proc/1/fd /proc/1/root")
            equal(done.out, "", f"fs.suid_dumpable={value}")
            child.kill()
            m.nothing_left()


def attack_gate_with_dumpable_setuid_programs(m):
    """With fs.suid_dumpable=1 the gate could be traced between its last change of ids and its execve: it holds nothing by then."""
    with sysctl("fs.suid_dumpable", "1"):
        done = leader(m, "alice", "race_touch", "/bin/bash", "4", "1500", timeout=60).ok()
    for line in done.lines:
        matches(r"^\d+ (gate ptrace=EPERM mem=(EACCES|EPERM) prlimit=EPERM|other ptrace=\w+ mem=\w+)$", line)


def attack_signals_from_outside(m):
    """Row 25: he cannot end PID 1 from outside of the sandbox either."""
    _, session = login(m)
    for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM):
        done = as_user(m, "alice", "kill", f"-{number}", str(session.init))
        check(done.status != 0 and "not permitted" in done.err, f"kill -{number}: {done}")
        done = as_user(m, "alice", "kill", f"-{number}", str(session.supervisor))
        check(done.status != 0 and "not permitted" in done.err, f"kill -{number} of the supervisor: {done}")
    check(process(session.init).state == "S", "PID 1 was stopped")


def attack_fds_of_sshds_child(m):
    """Row 28: nothing of ours reaches the process that runs as him outside of his user namespace."""
    master = Master(m, "alice")
    master.ssh("true").ok()
    session = m.session("alice")
    child = next(one for one in m.sshd.connections() if one.parent == session.leader)
    equal(child.uid, m.user("alice").uid)
    ours = {link for pid in (session.supervisor, session.init) for link in fds(pid).values() if link != "/dev/null"}
    for number, link in fds(child.pid).items():
        check("pidfd" not in link and not link.split(":")[0] in namespaces(child.pid), f"fd {number} is {link}")
        check(link not in ours, f"fd {number} is the supervisor's {link}")
        check(not link.startswith((m.prefix, "/run/pam_isolate", "/sys/fs/cgroup")), f"fd {number} is {link}")
    equal(status(child.pid)["NoNewPrivs"], "0")
    master.close()


def attack_fds_of_the_shell(m):
    """The gate leaves nothing open."""
    done = m.ssh("alice", "exec /bin/ls -l /proc/self/fd").ok()
    links = [line.split(" -> ")[1] for line in done.lines if " -> " in line]
    check(all(link.startswith(("pipe:", "socket:", "/proc/")) or link == "/dev/null" for link in links), links)
    equal(len(links), 4)


def attack_supervisor_stays_out(m):
    """It is in the host's namespaces and groups, with no child of the user's in reach; its memory cannot be the user's to fill."""
    _, session = login(m)
    got, host = namespaces(session.supervisor), namespaces(m.sshd.pid)
    equal(got, host)
    check(session.id not in read_text(f"/proc/{session.supervisor}/cgroup"), "the supervisor is in the session's cgroup")
    check(session.supervisor not in session.pids(), "the supervisor is in the session's cgroup")
    check(not dumpable(session.supervisor), "the supervisor is dumpable")
    for name in ("control", "session", "home"):
        done = as_user(m, "alice", "cat", f"{m.records}/{session.id}/{name}")
        check("ermission denied" in done.err, f"{name}: {done}")
    done = m.ssh("alice", f"ls {m.records}")
    check("ermission denied" in done.err and not done.out, f"{done}")


def attack_control_socket_by_forwarding(m):
    """sshd's child connects for -L as the user: not to the supervisor."""
    master = Master(m, "alice")
    master.ssh("true").ok()
    session = m.session("alice")
    local = f"{m.directory}/forwarded"
    m.call(*m.ssh_argv("alice", options=("-S", master.path, "-O", "forward", "-L", f"{local}:{session.path}/control")))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(5)
        client.connect(local)
        with contextlib.suppress(ConnectionError):
            client.sendall(b"1osi\1\0\0\0")
            equal(client.recv(16), b"", "an answer of the supervisor")
    equal(master.ssh("echo still").out, "still\n")
    master.close()


def attack_who_is_killed_when_memory_runs_out(m):
    """Neither PID 1 nor the supervisor, where root may say so; the user's processes are protected by nothing of that."""
    child, session = login(m)
    of_sshd = read_text(f"/proc/{m.sshd.pid}/oom_score_adj").strip()
    capabilities = int(matches(r"^CapEff:\s*(\w+)", read_text("/proc/self/status")).group(1), 16)
    protected = "-1000" if capabilities & CAP_SYS_RESOURCE else of_sshd
    equal(read_text(f"/proc/{session.supervisor}/oom_score_adj").strip(), protected)
    equal(read_text(f"/proc/{session.init}/oom_score_adj").strip(), protected)
    equal(m.ssh("alice", "cat /proc/self/oom_score_adj").out.strip(), of_sshd)
    child.kill()
