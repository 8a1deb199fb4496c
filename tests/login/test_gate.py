# SPDX-License-Identifier: BSD-3-Clause
"""isolate-shell as a login shell or ForceCommand of its own: a sandbox without PAM."""

import os

from harness import Pty, check, equal, kill, matches, namespaces, wait_for

ALL_SIX = ("user", "pid", "mnt", "uts", "ipc", "cgroup")
PRINT_NAMESPACES = "for n in user pid mnt uts ipc cgroup; do echo $n $(readlink /proc/self/ns/$n); done"


def gate(m) -> str:
    return f"{m.programs}/isolate-shell"


def without_pam(m) -> None:
    """This test's logins come in without the module, by a user whose shell is the gate."""
    m.add_user("gated", gate(m), m.students)
    m.sshd.pam(isolated=False)


def login_by_the_gate_has_six_namespaces_of_its_own(m):
    without_pam(m)
    host = namespaces()
    own = dict(line.split() for line in m.ssh("gated", PRINT_NAMESPACES).ok().lines)
    for name in ALL_SIX:
        check(own[name] != host[name], f"{name} is the host's")


def login_by_the_gate_is_as_any_other(m):
    without_pam(m)
    user = m.user("gated")
    command = "id -un; pwd; hostname; cat /proc/1/comm; cat /proc/self/uid_map; grep -E 'Cap(Eff|Bnd)' /proc/self/status; exit 7"
    result = m.ssh("gated", command)
    equal(result.status, 7, result.err)
    equal(result.lines[:4], [user.name, user.home, f"lab-{user.name}", "isolate-init"])
    equal(result.lines[4].split(), [str(user.uid), str(user.uid), "1"])
    equal([line.split()[1] for line in result.lines[5:]], ["0" * 16] * 2)


def login_by_the_gate_is_limited(m):
    without_pam(m)
    m.policy("[default]\nMemoryMax=100M\nTasksMax=30\n")
    m.spawn_ssh("gated", "exec sleep 60")
    session = m.session("gated")
    equal(session.read("pids", "pids.max"), "30")
    process = wait_for(lambda: m.running("sleep 60"), 5, "the process")[0]
    check(process.pid in session.pids(), "it is not in the session's cgroup")
    kill(process.pid)


def login_by_the_gate_leaves_nothing(m):
    without_pam(m)
    m.ssh("gated", "setsid sleep 1000 > /dev/null 2>&1 < /dev/null & sleep 0.2").ok()
    m.nothing_left()


def login_by_the_gate_leaves_nothing_when_the_connection_drops(m):
    without_pam(m)
    m.spawn_ssh("gated", "exec sleep 60")
    wait_for(lambda: m.running("sleep 60"), 5, "the process")
    m.end_clients()
    m.nothing_left(3)


def login_by_the_gate_has_job_control(m):
    without_pam(m)
    terminal = Pty(m, "gated")
    terminal.line("PS1='@''@ '")
    terminal.expect("@@ $")
    terminal.line("sleep 100")
    wait_for(lambda: m.running("sleep 100"), 5, "the program")
    terminal.send("\x1a")
    terminal.expect("(?i)stopped")
    terminal.line("fg")
    wait_for(lambda: m.running("sleep 100"), 5, "the program again")
    terminal.send("\x03")
    terminal.expect("@@ $")
    terminal.line("exit 9")
    status = terminal.wait()
    equal(status, 9, terminal.text)


def login_by_the_gate_keeps_its_environment(m):
    without_pam(m)
    out = m.ssh("gated", "echo $TMPDIR $LD_LIBRARY_PATH $LOCPATH", options=("-oSetEnv=TMPDIR=/a LD_LIBRARY_PATH=/b LOCPATH=/c",)).ok().out
    equal(out, "/a /b /c\n")


def login_by_the_gate_is_refused_for_a_wrong_policy(m):
    without_pam(m)
    m.policy("[default]\nNonsense=1\n")
    result = m.ssh("gated", "echo in")
    equal((result.status, result.out), (126, ""))
    equal(len(result.err.splitlines()), 1, result.err)


def login_by_module_and_gate_is_one_sandbox(m):
    m.add_user("gated", gate(m), m.students)
    equal(m.ssh("gated", "cat /proc/1/comm").ok().out, "isolate-init\n")
    m.spawn_ssh("gated", "sleep 60")
    m.session("gated")


def login_forced_into_the_gate_is_inside(m):
    server = m.add_sshd("gateforced", f"Match User {m.user('bob').name}\n  ForceCommand {gate(m)}")
    server.pam(isolated=False)
    wanted = ["isolate-init", m.user("bob").name]
    equal(m.ssh("bob", "cat /proc/1/comm; id -un", server=server).ok().lines, wanted, "a command")
    equal(m.ssh("bob", input="cat /proc/1/comm; id -un\n", server=server).ok().lines, wanted, "a shell")


def gate_as(m, short: str, *argv: str, **options):
    user = m.user(short)
    return m.call(*m.nursery("setpriv", "--reuid", str(user.uid), "--regid", str(user.gid), "--clear-groups", *argv), **options)


def login_by_executing_the_gate_is_inside(m):
    """Anybody may, at any time: he gets his own sandbox and no other."""
    alice = m.user("alice")
    result = gate_as(m, "alice", gate(m), "-c", "id -un; cat /proc/1/comm; cat /proc/self/uid_map").ok()
    equal(result.lines[:2], [alice.name, "isolate-init"])
    equal(result.lines[2].split(), [str(alice.uid), str(alice.uid), "1"])
    m.nothing_left()


def login_of_root_by_the_gate_is_refused(m):
    result = m.call(gate(m), "-c", "id")
    equal((result.status, result.out), (126, ""))
    matches("root", result.err)


def login_by_the_gate_through_a_link_is_refused(m):
    folder = m.user("alice").home
    link = f"{folder}/link"
    os.symlink(gate(m), link)
    try:
        result = gate_as(m, "alice", link, "-c", "id")
        check(result.status == 126 or "uid=" in result.out and "isolate" not in result.err, f"{result}")
    finally:
        os.unlink(link)
