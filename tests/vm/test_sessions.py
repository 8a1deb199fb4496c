# SPDX-License-Identifier: BSD-3-Clause
"""What administrators and services do to a login that is there. That nothing is left is looked at after each test."""

import time

from harness import check, equal, wait_for
from test_limits import check_limits


def check_gone(vm, login) -> None:
    login.out()
    wait_for(lambda: vm.root(f"systemctl is-active {login.scope}").out != "active\n", 10, "the end of the scope")
    equal(vm.root("pgrep -l -u alice").out, "")


def vm_stopping_the_scope_ends_the_login(vm):
    login = vm.login("alice")
    vm.root(f"systemctl stop {login.scope}", timeout=120).ok()
    check_gone(vm, login)
    vm.ssh("alice", "true").ok()


def vm_terminating_the_session_ends_the_login(vm):
    login, other = vm.login("alice"), vm.login("alice")
    vm.root(f"loginctl terminate-session {login.id}").ok()
    login.out()
    check_limits(vm, other)
    equal(other.run("echo here").out, "here\n")


def vm_terminating_the_user_ends_all_his_logins(vm):
    first, second, other = vm.login("alice"), vm.login("alice"), vm.login("bob")
    vm.root("loginctl terminate-user alice").ok()
    check_gone(vm, first)
    check_gone(vm, second)
    equal(other.run("echo here").out, "here\n")


def vm_killing_the_leader_ends_the_login(vm):
    login = vm.login("alice")
    login.send("setsid sleep 54321")
    leader = vm.root(f"loginctl show-session {login.id} -p Leader --value").ok().out.strip()
    vm.root(f"kill -KILL {leader}").ok()
    check_gone(vm, login)


def vm_a_login_outlives_a_restart_of_ssh(vm):
    login = vm.login("alice")
    vm.root("systemctl restart ssh.service").ok()
    equal(login.run("echo here").out, "here\n")
    check_limits(vm, login)
    check_limits(vm, vm.login("alice"))


def vm_a_login_outlives_a_restart_of_logind(vm):
    login = vm.login("alice")
    vm.root("systemctl restart systemd-logind.service").ok()
    equal(login.run("echo here").out, "here\n")
    check_limits(vm, login)
    second = vm.login("alice")
    check_limits(vm, second)
    check_limits(vm, login)
    login.logout()
    check_limits(vm, second)


def vm_a_login_outlives_daemon_reexec(vm):
    login = vm.login("alice")
    vm.root("systemctl daemon-reexec").ok()
    equal(login.run("echo here").out, "here\n")
    check_limits(vm, login)
    check_limits(vm, vm.login("alice"))


def vm_the_users_slice_goes_with_his_last_login(vm):
    """logind keeps it for ten seconds."""
    vm.login("alice").logout()
    wait_for(lambda: vm.root("systemctl is-active user-1000.slice").out == "inactive\n", 30, "the end of the slice")
    equal(vm.root("ls -d /sys/fs/cgroup/user.slice/user-1000.slice /run/user/1000 2>/dev/null").out, "")


def vm_many_logins_come_and_go(vm):
    clients = [vm.spawn_ssh("alice", "cat /sys/fs/cgroup/memory.max") for _ in range(6)]
    for client in clients:
        out, err = client.communicate(timeout=120)
        equal((client.returncode, out), (0, "134217728\n"), err)


def vm_a_login_at_once_after_the_last_logout(vm):
    """The slice of the user is on its way out, or there, or new: the limits are in force anyway."""
    for pause in (0, 0.3, 1):
        vm.login("alice").logout()
        time.sleep(pause)
        check_limits(vm, vm.login("alice"))


def vm_a_login_outlives_a_restart_of_dbus(vm):
    """Debian does not support that for everything else: only what is ours is looked at, and new logins once logind is back."""
    login = vm.login("alice")
    vm.root("systemctl restart dbus.service; systemctl restart systemd-logind.service", timeout=120)
    equal(login.run("echo here").out, "here\n")
    check_limits(vm, login)
    check_limits(vm, vm.login("alice"))


def vm_a_bus_that_hangs_does_not_hang_a_login(vm):
    """A service with nothing but our line in its session: refused, or made without the bus, within a minute."""
    vm.write("/etc/pam.d/vm-plain", "auth required pam_permit.so\naccount required pam_permit.so\n"
                                    "session required pam_isolate.so\n")
    vm.root("pkill -STOP -x dbus-daemon").ok()
    try:
        start = time.monotonic()
        vm.root("timeout 100 pamtester vm-plain alice open_session close_session", timeout=120)
        check(time.monotonic() - start < 60, "it took more than a minute")
    finally:
        vm.root("pkill -CONT -x dbus-daemon").ok()
    vm.ssh("alice", "true").ok()
