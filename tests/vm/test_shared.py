# SPDX-License-Identifier: BSD-3-Clause
"""Scope=user where systemd owns the control groups: one sandbox for all logins of a user, and a session of logind's for each."""

import json
import time

from cases import on
from harness import check, equal, matches, wait_for
from test_limits import EAT, MIB, in_group, own_groups, properties

SHARED = """\
[default]
Scope=user
MemoryMax=256M
UserMemoryMax=200M
CPUQuota=150%
TasksMax=64
UserTasksMax=96
"""
# What the slice has then: of two limits the stricter.
LIMITS = {"MemoryMax": str(200 * MIB), "TasksMax": "64", "CPUQuotaPerSecUSec": "1.500000s"}
SLICE = "user-1000.slice"
GROUP = f"/sys/fs/cgroup/user.slice/{SLICE}"
LINKS = "cd /proc/self/ns && readlink user mnt pid uts ipc"


def scopes(vm) -> list[str]:
    """Those that we have made."""
    return [line.split()[0] for line in vm.root("systemctl list-units --no-legend --plain 'isolate-*.scope'").ok().lines]


def one_scope(vm) -> str:
    found = scopes(vm)
    equal(len(found), 1, f"scopes: {found}")
    return found[0]


def record_of(vm) -> dict[str, str]:
    """Of the only session, or of the first."""
    text = vm.root("cat $(ls -tr -d /run/pam_isolate/*-*/session | head -n 1)").ok().out
    return dict(line.split("=", 1) for line in text.splitlines())


def sandboxes(vm) -> int:
    return int(vm.root("pgrep -c -x isolate-init").out)


def sessions_of(vm) -> list[str]:
    return [session["id"] for session in json.loads(vm.root("isolatectl list --json").ok().out)["sessions"]]


def group_of(vm, pid: str) -> str:
    """On v2."""
    return vm.root(f"cut -d: -f3 /proc/{pid}/cgroup").ok().out.strip()


def leader_of(vm, login) -> str:
    return vm.root(f"loginctl show-session {login.id} -p Leader --value").ok().out.strip()


def check_nothing_left(vm) -> None:
    wait_for(lambda: not scopes(vm), 10, "the end of the scope")
    equal(vm.root("pgrep -l -u alice,isolate; pgrep -l isolate-; ls -d /run/pam_isolate/*-* 2>/dev/null").out, "")


def vm_two_logins_share_a_sandbox(vm):
    vm.policy(SHARED)
    first, second = vm.login("alice"), vm.login("alice")
    check(first.id and first.id != second.id, f"sessions {first.id} and {second.id}")
    equal(first.run(LINKS).ok().out, second.run(LINKS).out, "namespaces")
    check(first.run("readlink /proc/self/ns/cgroup").out != second.run("readlink /proc/self/ns/cgroup").out, "one cgroup namespace")
    first.run("echo here >/tmp/vm-file")
    equal(second.run("cat /tmp/vm-file").out, "here\n")
    first.send("sleep 54321")
    wait_for(lambda: "sleep 54321" in second.run("ps -eo args").out, 10, "the first login's process in the second")
    equal(sandboxes(vm), 1, "sandboxes")


def vm_each_login_of_a_shared_sandbox_is_a_session(vm):
    """logind's, with its leader and its processes; what the sandbox hangs on is in a scope that belongs to neither."""
    vm.policy(SHARED)
    logins = [vm.login("alice"), vm.login("alice")]
    for number, login in enumerate(logins):
        equal(login.run("cat /proc/self/cgroup").out, "0::/\n", f"login {number}")
        login.send(f"sleep 5432{number}")
    for number, login in enumerate(logins):
        pid = wait_for(lambda: vm.root(f"pgrep -f 'sleep 5432{number}'").out.strip(), 10, "its process")
        equal(group_of(vm, pid), f"/user.slice/{SLICE}/{login.scope}")
        equal(group_of(vm, leader_of(vm, login)), f"/user.slice/{SLICE}/{login.scope}")
    scope = one_scope(vm)
    for name in ("isolate-init", "isolate-helper"):
        equal(group_of(vm, vm.root(f"pgrep -x {name}").ok().out.strip()), f"/user.slice/{SLICE}/{scope}", name)
    matches(f"^{logins[0].id} .*alice", vm.root("loginctl --no-legend list-sessions | sed 's/^ *//'").out)


def vm_limits_of_a_shared_sandbox_are_the_slices(vm):
    vm.policy(SHARED)
    first, second = vm.login("alice"), vm.login("alice")
    equal(properties(vm, SLICE, *LIMITS), LIMITS)
    equal(in_group(vm, GROUP, "memory.max", "pids.max", "cpu.max"), [str(200 * MIB), "64", "150000 100000"])
    for login in (first, second):
        equal(login.run("cd /sys/fs/cgroup && cat memory.max pids.max cpu.max").ok().lines, [str(200 * MIB), "64", "150000 100000"])
        equal(properties(vm, login.scope, "MemoryMax"), {"MemoryMax": "infinity"})
        check(login.run("echo max >/sys/fs/cgroup/memory.max").status != 0, "the limit was written to")
        check(login.run("mkdir /sys/fs/cgroup/vm-group").status != 0, "a group was made")
        matches("read-only|Read-only", login.run("mkdir /sys/fs/cgroup/vm-group").out)
    vm.root("systemctl daemon-reload").ok()
    equal(in_group(vm, GROUP, "memory.max", "pids.max", "cpu.max"), [str(200 * MIB), "64", "150000 100000"])


def vm_logins_of_a_shared_sandbox_eat_from_one_plate(vm):
    vm.policy(SHARED)
    first, second = vm.login("alice"), vm.login("alice")
    first.send(EAT.format(120, 600) + " &")
    first.expect(r"eaten\n")
    got = second.run(EAT.format(120, 2))
    matches(r"^oom_kill [1-9]", vm.root(f"cat {GROUP}/memory.events").out, got.out)
    equal(second.run("echo here").out, "here\n")
    equal(first.run("echo here").out, "here\n")


def vm_a_shared_sandbox_outlives_its_first_login(vm):
    vm.policy(SHARED)
    first, second = vm.login("alice"), vm.login("alice")
    pidns = second.run("readlink /proc/self/ns/pid").out
    scope = one_scope(vm)
    first.logout()
    wait_for(lambda: vm.root(f"systemctl is-active {first.scope}").out != "active\n", 10, "the end of the first session")
    equal(second.run("echo here; readlink /proc/self/ns/pid").out, "here\n" + pidns)
    equal(properties(vm, SLICE, *LIMITS), LIMITS)
    third = vm.login("alice")
    equal(third.run("readlink /proc/self/ns/pid").out, pidns)
    equal(scopes(vm), [scope])
    second.logout()
    equal(third.run("echo here").out, "here\n")
    third.logout()
    check_nothing_left(vm)


def vm_ten_logins_at_once_make_one_sandbox(vm):
    vm.policy(SHARED.replace("TasksMax=64", "TasksMax=infinity").replace("UserTasksMax=96", "UserTasksMax=infinity"))
    clients = [vm.spawn_ssh("alice", "readlink /proc/self/ns/pid; cat /proc/self/cgroup; read line") for _ in range(10)]
    lines = [[client.stdout.readline(), client.stdout.readline()] for client in clients]
    check(all(line[0] == lines[0][0] and line[0] for line in lines), f"namespaces: {lines}")
    equal([line[1] for line in lines], ["0::/\n"] * 10)
    one_scope(vm)
    equal(sandboxes(vm), 1, "sandboxes")
    for client in clients:
        client.stdin.write("\n")
        client.stdin.close()
    for client in clients:
        equal(client.wait(60), 0, "a login")
    check_nothing_left(vm)


def vm_a_login_of_su_joins(vm):
    """Without a session of logind's: in a scope of ours, which ends with it."""
    vm.policy(SHARED)
    login, admin = vm.login("alice"), vm.login("root")
    scope = one_scope(vm)
    equal(admin.run("su - alice -c 'readlink /proc/self/ns/pid; cat /proc/self/cgroup'").ok().lines,
          [login.run("readlink /proc/self/ns/pid").out.strip(), "0::/"])
    wait_for(lambda: scopes(vm) == [scope], 10, "the end of su's scope")
    admin.send("su - alice -c 'sleep 54321' &")
    pid = wait_for(lambda: vm.root("pgrep -x sleep").out.strip(), 10, "its process")
    matches(f"^/user.slice/{SLICE}/isolate-.*.scope$", group_of(vm, pid))
    check(scope not in group_of(vm, pid), "in the sandbox' own scope")
    login.logout()
    check(vm.root("pgrep -x sleep").status == 0, "it ended with the other")
    equal(sandboxes(vm), 1)
    vm.root("pkill -x sleep")
    check_nothing_left(vm)
    equal(admin.run("cat /proc/self/cgroup").out, f"0::/user.slice/user-0.slice/session-{admin.id}.scope\n")


def vm_a_login_of_su_can_be_the_first(vm):
    vm.policy(SHARED)
    admin = vm.login("root")
    admin.send("su - alice -c 'cat /proc/self/cgroup; cat /sys/fs/cgroup/memory.max; sleep 54321' &")
    equal(admin.expect(r"(?s)\A(.*\n.*\n)")[1], f"0::/\n{200 * MIB}\n")
    login = vm.login("alice")
    wait_for(lambda: "sleep 54321" in login.run("ps -eo args").out, 10, "the first login's process in the second")
    equal(login.run("cat /proc/self/cgroup").out, "0::/\n")
    vm.root("pkill -x sleep")
    wait_for(lambda: admin.run("jobs").out == "" or "Done" in admin.run("jobs").out, 10, "the end of su")
    equal(login.run("echo here; cat /sys/fs/cgroup/memory.max").out, f"here\n{200 * MIB}\n")
    equal(admin.run("cat /proc/self/cgroup").out, f"0::/user.slice/user-0.slice/session-{admin.id}.scope\n")
    login.logout()
    check_nothing_left(vm)


def vm_a_login_on_the_console_joins(vm):
    vm.policy(SHARED)
    login = vm.login("alice")
    vm.console.login("alice", r"alice@vm:~\$ $")
    equal(vm.console.run("readlink /proc/self/ns/pid; cat /proc/self/cgroup").splitlines(),
          [login.run("readlink /proc/self/ns/pid").out.strip(), "0::/"])
    equal(vm.console.run("tty"), "/dev/ttyS0")
    login.logout()
    equal(vm.console.run("echo here"), "here")
    vm.console.line("logout")
    vm.console.expect("login: $")
    check_nothing_left(vm)


def vm_a_changed_policy_arrives_with_the_next_login(vm):
    vm.policy(SHARED)
    first = vm.login("alice")
    vm.policy(SHARED.replace("200M", "160M"))
    vm.login("alice")
    equal(properties(vm, SLICE, "MemoryMax"), {"MemoryMax": str(160 * MIB)})
    equal(first.run("cat /sys/fs/cgroup/memory.max").out, f"{160 * MIB}\n")
    vm.policy("[default]\nScope=user\nTasksMax=80\n")
    vm.login("alice")
    equal(properties(vm, SLICE, "MemoryMax", "TasksMax"), {"MemoryMax": "infinity", "TasksMax": "80"}, "without a limit of memory")
    equal(sandboxes(vm), 1)


def vm_a_shared_sandbox_leaves_no_limits(vm):
    """What the next policy does not say any more is not said by the slice either."""
    vm.policy(SHARED + "AllowedCPUs=1\nCPUWeight=50\n")
    vm.login("alice").logout()
    check_nothing_left(vm)
    vm.policy("[default]\nTasksMax=80\n")
    login = vm.login("alice")
    equal(properties(vm, SLICE, "MemoryMax", "AllowedCPUs", "CPUWeight", "CPUQuotaPerSecUSec"),
          {"MemoryMax": "infinity", "AllowedCPUs": "", "CPUWeight": "[not set]", "CPUQuotaPerSecUSec": "infinity"})
    equal(login.run("nproc").out, "2\n")


def vm_terminating_one_session_of_a_shared_sandbox_ends_that_one(vm):
    vm.policy(SHARED)
    first, second = vm.login("alice"), vm.login("alice")
    vm.root(f"loginctl terminate-session {first.id}").ok()
    first.out()
    equal(second.run("echo here").out, "here\n")
    equal(properties(vm, SLICE, *LIMITS), LIMITS)
    vm.login("alice")
    equal(sandboxes(vm), 1)


def vm_terminating_the_user_ends_a_shared_sandbox(vm):
    vm.policy(SHARED)
    first, second = vm.login("alice"), vm.login("alice")
    vm.root("loginctl terminate-user alice").ok()
    first.out()
    second.out()
    check_nothing_left(vm)
    vm.ssh("alice", "true").ok()


def vm_killing_one_leader_of_a_shared_sandbox_ends_that_one(vm):
    vm.policy(SHARED)
    first, second = vm.login("alice"), vm.login("alice")
    vm.root(f"kill -KILL {leader_of(vm, first)}").ok()
    wait_for(lambda: len(sessions_of(vm)) == 1, 10, "the end of the first session")
    equal(second.run("echo here").out, "here\n")
    equal(sandboxes(vm), 1)
    vm.root(f"kill -KILL {leader_of(vm, second)}").ok()
    second.out()
    first.out()
    check_nothing_left(vm)


def vm_logind_kills_what_one_login_has_left(vm):
    """KillUserProcesses=yes: and nobody else's."""
    vm.root("mkdir -p /etc/systemd/logind.conf.d").ok()
    vm.write("/etc/systemd/logind.conf.d/vm.conf", "[Login]\nKillUserProcesses=yes\n")
    vm.root("systemctl restart systemd-logind").ok()
    try:
        vm.policy(SHARED)
        first, second = vm.login("alice"), vm.login("alice")
        first.run("for n in 1 2; do setsid sleep 5432$n >/dev/null 2>&1 </dev/null & done")
        second.run("setsid sleep 54323 >/dev/null 2>&1 </dev/null &")
        wait_for(lambda: vm.root("pgrep -c -x sleep").out == "3\n", 10, "three processes")
        first.logout()
        wait_for(lambda: vm.root("pgrep -c -x sleep").out == "1\n", 20, "the end of the first login's two")
        time.sleep(1)
        equal(second.run("echo here").out, "here\n")
        vm.login("alice").run("cat /proc/self/cgroup").ok()
        equal(sandboxes(vm), 1)
        second.logout()
    finally:
        vm.root("rm /etc/systemd/logind.conf.d/vm.conf; systemctl restart systemd-logind").ok()


def vm_a_shared_sandbox_outlives_restarts(vm):
    vm.policy(SHARED)
    first = vm.login("alice")
    vm.root("systemctl daemon-reexec; systemctl restart systemd-logind ssh", timeout=120).ok()
    equal(first.run("echo here").out, "here\n")
    second = vm.login("alice")
    equal(second.run("readlink /proc/self/ns/pid").out, first.run("readlink /proc/self/ns/pid").out)
    equal(properties(vm, SLICE, *LIMITS), LIMITS)
    first.logout()
    equal(second.run("echo here").out, "here\n")


def vm_users_have_each_their_own(vm):
    vm.policy(SHARED)
    alice, bob = vm.login("alice"), vm.login("bob")
    check(alice.run("readlink /proc/self/ns/pid").out != bob.run("readlink /proc/self/ns/pid").out, "one sandbox for two users")
    equal(len(scopes(vm)), 2)
    alice.logout()
    equal(bob.run("echo here").out, "here\n")


@on("bookworm-hybrid", "bookworm-v1")
def vm_logins_share_a_sandbox_in_older_hierarchies(vm):
    vm.policy(SHARED)
    first, second = vm.login("alice"), vm.login("alice")
    equal(first.run(LINKS).ok().out, second.run(LINKS).out, "namespaces")
    groups = own_groups(vm, first)
    slice_of = {name: path.rsplit("/", 1)[0] for name, path in groups.items()}
    matches(f"/{SLICE}$", slice_of["memory"])
    equal(in_group(vm, slice_of["memory"], "memory.limit_in_bytes"), [str(200 * MIB)])
    equal(in_group(vm, slice_of["pids"], "pids.max"), ["64"])
    one_scope(vm)
    vm.root("pkill -x sleep")
    first.logout()
    equal(second.run("echo here").out, "here\n")
    third = vm.login("alice")
    equal(third.run(LINKS).out, second.run(LINKS).out)
    second.logout()
    third.logout()
    check_nothing_left(vm)
