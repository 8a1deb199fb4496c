# SPDX-License-Identifier: BSD-3-Clause
"""Other ways to become a user: cron, at, su, sudo, runuser, and a service that has no session of logind's."""

from harness import check, equal, matches, wait_for
from test_limits import properties

WHERE = "readlink /proc/self/ns/user /proc/self/ns/pid; cat /proc/self/cgroup /sys/fs/cgroup/memory.max"


def check_sandbox(vm, text: str, what: str) -> None:
    """Output of WHERE, run for alice."""
    lines = text.splitlines()
    host = vm.root("readlink /proc/1/ns/user /proc/1/ns/pid").ok().lines
    equal(len(lines), 4, f"{what}: lines of {text!r}")
    check(not set(lines[:2]) & set(host), f"{what}: in the host's namespaces: {text}")
    equal(lines[2:], ["0::/", "134217728"], what)


# Jobs start when a minute does: the clock is put shortly before that, and cron told.
NEXT_MINUTE = 'now=$(date +%s); date -s "@$((now - now % 60 + 56))" >/dev/null; systemctl restart cron'


def to_file(path: str) -> str:
    """A shell command line, for a job: the file is there when it is whole."""
    return f"({WHERE}) >{path}~; mv {path}~ {path}"


def file_of(vm, path: str, timeout: float) -> str:
    return wait_for(lambda: vm.root(f"cat {path} 2>/dev/null").out, timeout, path)


def vm_cron_jobs_of_a_user_run_in_a_sandbox(vm):
    """By his crontab and by /etc/cron.d; another interpreter than a shell that is covered is refused."""
    vm.root("crontab -u alice -", input="* * * * * " + to_file("/home/alice/vm-cron") + "\n").ok()
    vm.write("/etc/cron.d/vm-job", "* * * * * alice " + to_file("/home/alice/vm-cron-d") + "\n")
    vm.write("/etc/cron.d/vm-root", "* * * * * root " + to_file("/root/vm-cron") + "\n")
    vm.write("/etc/cron.d/vm-python", "SHELL=/usr/bin/python3\n* * * * * alice open('/home/alice/vm-python', 'w').write('ran')\n")
    vm.root(f"[ $(date +%S) -gt 54 ] || {{ {NEXT_MINUTE}; }}").ok()
    check_sandbox(vm, file_of(vm, "/home/alice/vm-cron", 100), "crontab")
    check_sandbox(vm, file_of(vm, "/home/alice/vm-cron-d", 10), "cron.d")
    equal(file_of(vm, "/root/vm-cron", 10).splitlines()[:2], vm.root("readlink /proc/1/ns/user /proc/1/ns/pid").lines, "root's job")
    equal(vm.root("ls /home/alice/vm-python 2>/dev/null").out, "", "a job that needs no covered shell")
    vm.root("crontab -u alice -r; rm -f /etc/cron.d/vm-*")


def vm_at_jobs_of_a_user_run_in_a_sandbox(vm):
    vm.root("setpriv --reuid 1000 --regid 1000 --init-groups env HOME=/home/alice sh -c 'cd && at now'",
            input=to_file("/home/alice/vm-at") + "\n").ok()
    check_sandbox(vm, file_of(vm, "/home/alice/vm-at", 100), "at")


def vm_su_of_an_administrator_lands_in_a_sandbox(vm):
    """And the administrator's own session stays what it was."""
    admin = vm.login("root")
    before = admin.run(WHERE.replace("/sys/fs/cgroup/memory.max", "") + "; hostname").out
    check_sandbox(vm, admin.run(f"su - alice -c '{WHERE}'").ok().out, "su -")
    check_sandbox(vm, admin.run(f"su - alice -c '{WHERE}'").ok().out, "su -, again")
    equal(admin.run(WHERE.replace("/sys/fs/cgroup/memory.max", "") + "; hostname").out, before)
    matches(r"/user-0.slice/session-\w+.scope$", before)
    equal(vm.root(f"systemctl show session-{admin.id}.scope -p MemoryMax --value").out, "infinity\n")


def vm_sudo_and_runuser_with_the_line_land_in_a_sandbox(vm):
    """As Debian ships them they have no line of ours, and give no sandbox."""
    vm.root("cp /etc/pam.d/sudo-i /etc/pam.d/runuser-l /root && "
            "for file in sudo-i runuser-l; do echo 'session required pam_isolate.so' >>/etc/pam.d/$file; done").ok()
    try:
        admin = vm.login("root")
        check_sandbox(vm, admin.run(f"sudo -i -u alice sh -c '{WHERE}'").out, "sudo -i")
        check_sandbox(vm, admin.run(f"runuser -l alice -c '{WHERE}'").out, "runuser -l")
        equal(admin.run("echo here").out, "here\n")
    finally:
        vm.root("mv /root/sudo-i /root/runuser-l /etc/pam.d/").ok()


def vm_su_gets_a_scope_of_our_own(vm):
    """logind makes no session within a session: the limits go to a transient scope, which ends with the login."""
    admin = vm.login("root")
    admin.send("su - alice -c 'sleep 54321' &")
    list_scopes = "systemctl list-units --no-legend --plain 'isolate-*.scope'"
    scope = wait_for(lambda: vm.root(list_scopes).out, 10, "a scope of ours").split()[0]
    equal(properties(vm, scope, "MemoryMax", "TasksMax", "CPUQuotaPerSecUSec", "Slice", "Delegate"),
          {"MemoryMax": "134217728", "TasksMax": "64", "CPUQuotaPerSecUSec": "1.500000s", "Slice": "user-1000.slice",
           "Delegate": "yes"})
    wait_for(lambda: vm.root("pgrep -x sleep").status == 0, 10, "sleep")
    group = vm.root("cut -d: -f3 /proc/$(pgrep -x sleep)/cgroup").out.strip()
    matches(scope, group)
    equal(admin.run("cat /proc/self/cgroup").out, f"0::/user.slice/user-0.slice/session-{admin.id}.scope\n")
    vm.root("pkill -x sleep")
    wait_for(lambda: not vm.root(list_scopes).out, 10, "the end of the scope")


def vm_sftp_and_scp_work(vm):
    vm.call(["scp", *vm.client_options(), f"{vm.image}/vmlinuz", "alice@127.0.0.1:vm-copy"], timeout=120).ok()
    local = vm.call(["sha256sum", f"{vm.image}/vmlinuz"]).ok().out.split()[0]
    equal(vm.root("sha256sum /home/alice/vm-copy").out.split()[0], local)
    equal(vm.root("stat -c %U /home/alice/vm-copy").out, "alice\n")


def vm_the_ssh_client_works_inside(vm):
    """It wants to see that root owns the files which /etc/ssh/ssh_config includes, and inside nobody is root: pam_isolate(8) says what to do."""
    vm.root("sed -i '/^Include/d' /etc/ssh/ssh_config").ok()
    equal(vm.ssh("alice", "ssh localhost echo here").ok().out, "here\n")


def vm_a_terminal_over_ssh_works(vm):
    got = vm.ssh("alice", "tty; stty size; who am i", tty=True).ok()
    matches(r"^/dev/pts/\d+", got.out)
