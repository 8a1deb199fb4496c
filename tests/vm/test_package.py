# SPDX-License-Identifier: BSD-3-Clause
"""The Debian package: installing it changes nothing, and the administrator's word everything. One machine each, in this order."""

from cases import on
from harness import check, equal, matches
from vm import PACKAGE

STACKS = "sha256sum /etc/pam.d/*"
NAMESPACES = "readlink /proc/self/ns/user /proc/self/ns/pid /proc/self/ns/mnt"
POLICY = "[default]\nMemoryMax=128M\nTasksMax=64\n"


@on("bookworm-package", "trixie-package")
def vm_the_package_changes_nothing_by_itself(vm):
    before = vm.root(STACKS).ok().out
    host = vm.root(NAMESPACES).ok().out
    vm.root(f"DEBIAN_FRONTEND=noninteractive apt-get -o APT::Sandbox::User=root install -y {PACKAGE}", timeout=300).ok()
    equal(vm.root(STACKS).ok().out, before)
    equal(vm.root("stat -c '%a %U' /usr/libexec/pam_isolate/isolate-shell").out, "4755 root\n")
    equal(vm.root("find / -xdev -perm -4000 -path '*isolate*'").out, "/usr/libexec/pam_isolate/isolate-shell\n")
    matches("^isolate:", vm.root("getent passwd isolate").ok().out)
    vm.root("isolatectl check").ok()
    equal(vm.ssh("alice", NAMESPACES).ok().out, host)
    # Her systemd runs, too: the policy as installed isolates nobody.
    matches("running|degraded", vm.ssh("alice", "systemctl --user is-system-running --wait", timeout=120).out)


@on("bookworm-package", "trixie-package")
def vm_the_package_isolates_when_it_is_told_to(vm):
    vm.root("pam-auth-update --enable isolate").ok()
    vm.policy(POLICY)
    equal(vm.ssh("alice", "cat /proc/1/comm; cat /sys/fs/cgroup/pids.max").ok().out, "isolate-init\n64\n")
    equal(vm.root("cat /proc/1/comm").out, "systemd\n")
    check(vm.ssh("alice", "systemctl --user is-system-running").status != 0, "her systemd runs")


@on("bookworm-package", "trixie-package")
def vm_the_package_goes_without_a_trace_in_the_stacks(vm):
    vm.root("DEBIAN_FRONTEND=noninteractive apt-get -o APT::Sandbox::User=root remove -y libpam-isolate", timeout=300).ok()
    equal(vm.root("grep -rl pam_isolate /etc/pam.d").out, "")
    check(vm.ssh("alice", "cat /proc/1/comm").ok().out != "isolate-init\n", "alice is still in a sandbox")
