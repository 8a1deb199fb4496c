# SPDX-License-Identifier: BSD-3-Clause
"""How sandboxes live on and end where systemd runs: KillOnLogout=no, RuntimeMaxSec, systemctl, what is left over, shutdown."""

import time

from cases import MACHINES
from harness import check, equal, matches, wait_for
from test_limits import properties
from test_shared import GROUP, SHARED, SLICE, check_nothing_left, leader_of, one_scope, record_of, sandboxes, scopes
from vm import VM

KEEP = SHARED + "KillOnLogout=no\n"


def vm_tmux_is_found_again(vm):
    vm.policy(KEEP)
    first = vm.login("alice")
    first.run("tmux new-session -d -s work 'sleep 54321'").ok()
    pidns = first.run("readlink /proc/self/ns/pid").out
    first.logout()
    time.sleep(6)  # longer than the time between the signals of an end
    equal(vm.root("pgrep -c -x sleep").out, "1\n")
    equal(properties(vm, SLICE, "MemoryMax"), {"MemoryMax": str(200 << 20)})
    matches(r'"leader": ?null', vm.root("isolatectl list --json").out)
    second = vm.login("alice")
    equal(second.run("readlink /proc/self/ns/pid").out, pidns)
    matches("^work:", second.run("tmux list-sessions").out)
    second.run("tmux kill-server").ok()
    second.logout()
    check_nothing_left(vm)


def vm_a_sandbox_that_was_left_ends_with_its_last_process(vm):
    vm.policy(KEEP)
    login = vm.login("alice")
    login.run("setsid sleep 15 >/dev/null 2>&1 </dev/null &")
    login.logout()
    time.sleep(2)
    equal(sandboxes(vm), 1)
    wait_for(lambda: sandboxes(vm) == 0, 30, "the end of the sandbox")
    check_nothing_left(vm)


def vm_a_session_of_its_own_can_be_left_too(vm):
    """Scope=session: it stays in the session's scope, which logind has closed; nobody finds it again."""
    vm.policy("[default]\nKillOnLogout=no\nMemoryMax=256M\n")
    login = vm.login("alice")
    login.run("setsid sleep 15 >/dev/null 2>&1 </dev/null &")
    login.logout()
    time.sleep(6)
    equal(vm.root("pgrep -c -x sleep").out, "1\n")
    equal(properties(vm, login.scope, "MemoryMax"), {"MemoryMax": str(256 << 20)})
    wait_for(lambda: sandboxes(vm) == 0, 30, "the end of the sandbox")
    wait_for(lambda: vm.root(f"systemctl is-active {login.scope}").out != "active\n", 10, "the end of the session")
    check_nothing_left(vm)


def vm_processes_are_asked_before_they_are_killed(vm):
    """SIGTERM, and time to save."""
    for policy in (SHARED, "[default]\nMemoryMax=256M\n"):
        vm.policy(policy)
        login = vm.login("alice")
        login.run("rm -f vm-saved; setsid sh -c 'trap \"sleep 1; echo saved >vm-saved; exit\" TERM; while :; do sleep 0.1; done' "
                  ">/dev/null 2>&1 </dev/null & sleep 1")
        login.logout()
        wait_for(lambda: sandboxes(vm) == 0, 20, "the end of the sandbox")
        equal(vm.root("cat /home/alice/vm-saved").out, "saved\n", policy)
        check_nothing_left(vm)


def vm_stopping_the_scope_of_a_shared_sandbox_ends_it(vm):
    vm.policy(SHARED)
    first, second = vm.login("alice"), vm.login("alice")
    first.send("setsid sleep 54321")
    start = time.monotonic()
    vm.root(f"systemctl stop {one_scope(vm)}", timeout=120).ok()
    check(time.monotonic() - start < 20, f"it took {time.monotonic() - start:.0f} s")
    first.out()
    second.out()
    check_nothing_left(vm)
    vm.ssh("alice", "true").ok()


def vm_stopping_the_scope_ends_what_was_left(vm):
    vm.policy(KEEP)
    login = vm.login("alice")
    login.run("setsid sleep 54321 >/dev/null 2>&1 </dev/null &")
    login.logout()
    start = time.monotonic()
    vm.root(f"systemctl stop {one_scope(vm)}", timeout=120).ok()
    check(time.monotonic() - start < 20, f"it took {time.monotonic() - start:.0f} s")
    check_nothing_left(vm)


def vm_runtime_max_sec_ends_a_sandbox(vm):
    for policy in ("[default]\nRuntimeMaxSec=20\n", SHARED + "RuntimeMaxSec=20\n"):
        vm.policy(policy)
        login = vm.login("alice", tty=True)
        start = time.monotonic()
        login.expect(r"pam_isolate: your session may last 20 seconds \(RuntimeMaxSec=\), and ends in \d seconds. Save your work.")
        login.expect(r"pam_isolate: your session has lasted 20 seconds \(RuntimeMaxSec=\), and ends now.")
        login.out()
        check(10 < time.monotonic() - start < 40, f"it lasted {time.monotonic() - start:.0f} s")
        check_nothing_left(vm)


def vm_what_killed_supervisors_leave_is_collected(vm):
    for policy in ("[default]\nMemoryMax=256M\n", SHARED):
        vm.policy(policy)
        login = vm.login("alice")
        login.send("setsid sleep 54321")
        leader = leader_of(vm, login)
        supervisor = record_of(vm)["SUPERVISOR"]
        vm.root(f"kill -STOP {supervisor} {leader} && kill -KILL {supervisor} {leader}").ok()
        login.out()
        wait_for(lambda: vm.root("pgrep -u alice,isolate").out == "", 10, "the end of her processes")
        matches("removed what was left of [1-9]", vm.root("isolatectl gc").ok().out, policy)
        equal(vm.root("isolatectl gc").ok().out, "removed what was left of 0 sessions\n")
        check_nothing_left(vm)
        vm.ssh("alice", "true").ok()


def vm_a_killed_supervisor_takes_all_logins_with_it(vm):
    """Without a PID 1 there is no sandbox; the leaders see their users' processes end, and go home."""
    vm.policy(SHARED)
    first, second = vm.login("alice"), vm.login("alice")
    vm.root(f"kill -KILL {record_of(vm)['SUPERVISOR']}").ok()
    first.out()
    second.out()
    vm.ssh("alice", "true").ok()
    vm.root("isolatectl gc").ok()
    check_nothing_left(vm)


def vm_no_room_for_groups_refuses_the_login(vm):
    """Of su: pam_systemd waits for two minutes before it is our turn in a login of ssh."""
    vm.policy(SHARED)
    login, admin = vm.login("alice"), vm.login("root")
    vm.root(f"echo 0 >{GROUP}/cgroup.max.descendants").ok()
    try:
        got = admin.run("su - alice -c 'echo in'", timeout=100)
        check("in" not in got.lines, got.out)
        matches("Your login cannot be isolated on this machine", got.out)
        matches("login of alice refused: .*isolate-.*scope", vm.root("journalctl -q --no-pager -t su --since -60s").out)
    finally:
        vm.root(f"echo max >{GROUP}/cgroup.max.descendants").ok()
    equal(login.run("echo here").out, "here\n")
    vm.ssh("alice", "true").ok()


def vm_shutdown_does_not_wait_for_a_sandbox(vm):
    """On a machine of its own: with a login, and with what somebody has left."""
    with VM(*MACHINES[vm.name], vm.name) as other:
        other.wait_ready()
        other.install()
        other.policy(KEEP)
        alice, bob = other.login("alice"), other.login("bob")
        for login in (alice, bob):
            login.run("setsid sleep 54321 >/dev/null 2>&1 </dev/null &")
        alice.logout()
        bob.run("cat /proc/self/cgroup").ok()
        equal(len(scopes(other)), 2)
        start = time.monotonic()
        other.root("systemctl --no-block reboot").ok()
        wait_for(lambda: other.qemu.poll() is not None, 150, "the end of the machine")
        check(time.monotonic() - start < 45, f"it took {time.monotonic() - start:.0f} s")
