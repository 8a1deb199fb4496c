# SPDX-License-Identifier: BSD-3-Clause
"""The machine itself: what has to be there before anything else is worth a test."""

from cases import on
from harness import equal, matches

EVERYWHERE = ("bookworm", "trixie", "bookworm-hybrid", "bookworm-v1")


@on(*EVERYWHERE)
def vm_the_machine_is_running(vm):
    equal(vm.root("systemctl is-system-running").out, "running\n", vm.root("systemctl --failed --no-legend --plain").out)


@on(*EVERYWHERE)
def vm_boots_and_root_logs_in_untouched(vm):
    """Over port 22, through the PAM stack with our line in it."""
    inside = vm.ssh("root", "id -u; for pid in self 1; do cd /proc/$pid/ns && readlink user mnt pid; done").ok().lines
    equal(inside[0], "0")
    equal(inside[1:4], inside[4:7], "namespaces")


def vm_who_the_policy_lets_through_is_untouched(vm):
    inside = vm.ssh("teacher", "readlink /proc/self/ns/user; cat /proc/self/cgroup").ok().lines
    equal(inside[0], vm.root("readlink /proc/1/ns/user").out.strip())
    matches(r"^0::/user.slice/user-1002.slice/session-\w+.scope$", inside[1])


def vm_console_root_login_works(vm):
    vm.console.login("root")
    equal(vm.console.run("tty"), "/dev/ttyS0")
    equal(vm.console.run("id -u"), "0")
    vm.console.line("exit")
    vm.console.expect("login: $")


@on("bookworm-hybrid")
def vm_the_hierarchy_is_hybrid(vm):
    equal(vm.root("stat -f -c %T /sys/fs/cgroup /sys/fs/cgroup/unified").lines, ["tmpfs", "cgroup2fs"])


@on("bookworm-v1")
def vm_the_hierarchy_is_v1(vm):
    equal(vm.root("stat -f -c %T /sys/fs/cgroup; ls -d /sys/fs/cgroup/unified /sys/fs/cgroup/memory").lines,
          ["tmpfs", "/sys/fs/cgroup/memory"])
