# SPDX-License-Identifier: BSD-3-Clause
"""Who is isolated, and how far: root, Isolate=no, su, and what the policy may leave out."""

import os

from harness import Pty, check, equal, matches, namespaces, process, wait_for, write_text

PRINT_NAMESPACES = "for n in user pid mnt uts ipc cgroup net; do echo $n $(readlink /proc/self/ns/$n); done"


def inside(result) -> dict[str, str]:
    return dict(line.split() for line in result.ok().lines)


def same_as_host(m, short: str) -> None:
    equal(inside(m.ssh(short, PRINT_NAMESPACES)), namespaces(m.sshd.pid))
    equal(m.sessions(short), [])


def login_of_root_is_untouched(m):
    same_as_host(m, "root")
    check("isolate" not in m.ssh("root", "cat /proc/self/cgroup").ok().out, "it is in a cgroup of ours")


def login_of_root_works_without_a_policy(m):
    m.remove_policy()
    same_as_host(m, "root")


def login_of_a_user_with_isolate_no_is_untouched(m):
    m.policy("[default]\nMemoryMax=64M\n[user {carol}]\nIsolate=no\n")
    same_as_host(m, "carol")
    check(inside(m.ssh("bob", PRINT_NAMESPACES))["pid"] != namespaces()["pid"], "bob is not isolated")


def login_of_a_group_with_isolate_no_is_untouched(m):
    m.policy("[group {students}]\nIsolate=no\n")
    same_as_host(m, "alice")


def login_takes_the_more_specific_section(m):
    m.policy("[default]\nHostname=from-default\n[group {students}]\nHostname=from-group\n[user {carol}]\nHostname=from-user\n")
    equal([m.ssh(short, "uname -n").ok().out.strip() for short in ("alice", "bob", "carol")],
          ["from-group", "from-default", "from-user"])


# ---- su ----


def su_argv(m, *words: str) -> list[str]:
    """su(1) has its service's name built in. Ours covers /etc/pam.d/su and su-l in a mount namespace of this su alone."""
    stack = f"{m.directory}/su-stack"
    write_text(stack, f"auth sufficient pam_rootok.so\naccount required pam_permit.so\nsession required {m.module} debug\n")
    script = 'for f in su su-l; do mount --bind "$0" /etc/pam.d/$f; done; exec su "$@"'
    return m.nursery("unshare", "-m", "sh", "-c", script, stack, *words)


def login_by_su_from_root_is_isolated(m):
    alice = m.user("alice")
    result = m.call(*su_argv(m, "-", alice.name, "-c", PRINT_NAMESPACES))
    host, own = namespaces(), inside(result)
    for name in ("user", "pid", "mnt", "uts", "ipc", "cgroup"):
        check(own[name] != host[name], f"{name} is the host's")


def login_by_su_passes_the_gate_and_tells_the_status(m):
    alice = m.user("alice")
    command = "id -un; pwd; hostname; cat /proc/1/comm; cat /proc/self/uid_map; grep CapBnd /proc/self/status; exit 5"
    result = m.call(*su_argv(m, "-", alice.name, "-c", command))
    equal(result.status, 5, result.err)
    equal(result.lines[:4], [alice.name, alice.home, f"lab-{alice.name}", "isolate-init"])
    equal(result.lines[4].split(), [str(alice.uid), str(alice.uid), "1"])
    equal(result.lines[5].split(), ["CapBnd:", "0" * 16])


def login_by_su_has_job_control(m):
    terminal = Pty(m, argv=su_argv(m, "-", m.user("alice").name))
    terminal.line("PS1='@''@ '")
    terminal.expect("@@ $")
    terminal.line("sleep 100")
    wait_for(lambda: m.running("sleep 100"), 5, "the program")
    terminal.send("\x1a")
    terminal.expect("Stopped")
    terminal.line("kill %1; echo killed-$((1 + 1))")
    terminal.expect("killed-2")
    terminal.line("exit")
    terminal.line("exit")
    terminal.wait()


def login_by_su_leaves_nothing(m):
    m.call(*su_argv(m, m.user("bob").name, "-c", "true")).ok()
    m.nothing_left()


# ---- what the policy leaves out ----


def login_without_a_user_namespace_has_the_other_five(m):
    m.policy("[default]\nPrivateUsers=no\n")
    host, own = namespaces(), inside(m.ssh("alice", PRINT_NAMESPACES))
    equal(own["user"], host["user"])
    for name in ("pid", "mnt", "uts", "ipc", "cgroup"):
        check(own[name] != host[name], f"{name} is the host's")


def login_without_a_user_namespace_may_run_setuid_programs(m):
    m.policy("[default]\nPrivateUsers=no\n")
    program = f"{m.directory}/setuid-id"
    m.call("cp", "/usr/bin/id", program).ok()
    os.chmod(program, 0o4755)
    try:
        equal(m.ssh("alice", f"{program} -u").ok().out, "0\n")
    finally:
        os.unlink(program)


def login_without_a_user_namespace_sees_only_its_own_all_the_same(m):
    m.policy("[default]\nPrivateUsers=no\n")
    result = m.ssh("alice", "id -un; cat /proc/1/comm; ls -A /tmp; kill -9 1").lines
    equal(result, [m.user("alice").name, "isolate-init"])
    names = set(m.ssh("alice", "ps ax -o comm=").ok().lines)
    equal(names - {"isolate-init", "ps", "bash", "sshd", m.sshd.service[:15], m.sshd.service}, set())


def login_without_a_user_namespace_has_pid_1_as_neither_root_nor_the_user(m):
    m.policy("[default]\nPrivateUsers=no\n")
    m.spawn_ssh("alice", "sleep 60")
    init = process(m.session("alice").init)
    check(init.uid not in (0, m.user("alice").uid), f"uid {init.uid}")
    for name in ("CapPrm", "CapEff", "CapBnd"):
        equal(matches(rf"^{name}:\s+(\w+)$", open(f"/proc/{init.pid}/status").read())[1], "0" * 16, name)


def login_without_user_and_pid_namespaces(m):
    m.policy("[default]\nPrivateUsers=no\nPrivatePIDs=no\n")
    host, own = namespaces(), inside(m.ssh("alice", PRINT_NAMESPACES))
    equal((own["user"], own["pid"]), (host["user"], host["pid"]))
    for name in ("mnt", "uts", "ipc", "cgroup"):
        check(own[name] != host[name], f"{name} is the host's")


def login_without_user_and_pid_namespaces_ends_with_its_processes(m):
    m.policy("[default]\nPrivateUsers=no\nPrivatePIDs=no\n")
    m.ssh("alice", "setsid sleep 77 > /dev/null 2>&1 < /dev/null &").ok()
    m.nothing_left()


def login_without_a_private_tmp_shares_the_hosts(m):
    m.policy("[default]\nPrivateTmp=no\n")
    path = f"/tmp/{m.tag}-shared"
    write_text(path, "from the host\n")
    try:
        equal(m.ssh("alice", f"cat {path}").ok().out, "from the host\n")
    finally:
        os.unlink(path)


def login_without_a_private_ipc_shares_the_hosts(m):
    m.policy("[default]\nPrivateIPC=no\n")
    equal(inside(m.ssh("alice", PRINT_NAMESPACES))["ipc"], namespaces()["ipc"])
