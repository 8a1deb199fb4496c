# SPDX-License-Identifier: BSD-3-Clause
"""
Ways out of a sandbox that only a machine with systemd has. Each attack tries to run PROOF, which writes down the namespaces that it
ran in; whatever of it turns up with the host's is a hole.
"""

import shlex
import time

from harness import check, equal, matches, wait_for

PROOF = "/bin/sh -c 'readlink /proc/self/ns/user /proc/self/ns/mnt >/home/alice/vm-proof'"
BUS = "XDG_RUNTIME_DIR=/run/user/1000 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus"
UNIT = f"""\
[Service]
Type=oneshot
ExecStart={PROOF}

[Install]
WantedBy=default.target
"""


def check_no_proof(vm, what: str) -> None:
    """Whatever ran was in a sandbox, if anything ran."""
    proof = vm.root("cat /home/alice/vm-proof 2>/dev/null").lines
    host = vm.root("readlink /proc/1/ns/user /proc/1/ns/mnt").ok().lines
    check(not set(proof) & set(host), f"{what}: ran outside of the sandbox, in {proof}")


def fails(vm, login, command: str, pattern: str = "", timeout: float = 30.0) -> str:
    """The command fails, for the reason that is named, and its proof is not there."""
    got = login.run(f"timeout {timeout:.0f} {command}", timeout + 30)
    check(got.status not in (0, 124), f"{command}: exit {got.status}: {got.out}")
    check("not found" not in got.out, got.out)
    if pattern:
        matches(pattern, got.out, command)
    check_no_proof(vm, command)
    return got.out


def plant_unit(login) -> None:
    folder = "/home/alice/.config/systemd/user"
    login.run(f"mkdir -p {folder}/default.target.wants && printf %s {shlex.quote(UNIT)} >{folder}/vm.service && "
              f"ln -sf ../vm.service {folder}/default.target.wants/vm.service").ok()


def user_processes_outside(vm) -> list[str]:
    """alice's processes in the host's user namespace, those of sshd not counted."""
    return vm.root("for pid in $(pgrep -u alice); do [ \"$(readlink /proc/$pid/ns/user)\" != \"$(readlink /proc/1/ns/user)\" ] || "
                   "ps -o pid=,args= -p $pid; done | grep -v ' sshd'").lines


def vm_a_unit_in_the_home_does_not_run(vm):
    login = vm.login("alice")
    plant_unit(login)
    time.sleep(2)
    login.logout()
    second = vm.login("alice")
    time.sleep(3)
    check_no_proof(vm, "a unit in the home")
    equal(user_processes_outside(vm), [])
    second.logout()
    vm.root("systemctl start user@1000.service; systemctl restart user@1000.service")
    time.sleep(2)
    check_no_proof(vm, "user@1000.service started by root")


def vm_a_user_manager_that_runs_already_is_no_way_out(vm):
    """It was started while the policy let alice through: it is stopped, or she is refused."""
    vm.policy("[user alice]\nIsolate=no\n")
    before = vm.spawn_ssh("alice", "cat")
    wait_for(lambda: vm.root("systemctl is-active user@1000.service").out == "active\n", 20, "the user manager's start")
    vm.reset()
    vm.ssh("alice", f"{BUS} timeout 20 systemd-run --user {PROOF}", timeout=90)
    check_no_proof(vm, "systemd-run --user")
    before.terminate()
    vm.root("loginctl terminate-user alice")


def vm_the_user_bus_is_no_way_out(vm):
    login = vm.login("alice")
    equal(login.run("ls -A $XDG_RUNTIME_DIR").out, "", "the runtime directory")
    for command in (f"systemd-run --user {PROOF}", f"systemd-run --user --scope {PROOF}", "systemctl --user start default.target",
                    "busctl --user list"):
        fails(vm, login, command)
        fails(vm, login, f"env {BUS} {command}")
    fails(vm, login, "busctl --address=unix:path=/run/user/1000/bus list")
    fails(vm, login, "busctl --address=unix:path=/run/user/1000/systemd/private list")
    equal(user_processes_outside(vm), [])


def vm_the_system_manager_is_no_way_out(vm):
    login = vm.login("alice")
    denied = "Access ?[Dd]enied|[Aa]uthentication|not permitted|Permission denied|Interactive|not authorized|Failed"
    fails(vm, login, f"systemd-run {PROOF}", denied)
    fails(vm, login, f"systemd-run --scope {PROOF}", denied)
    fails(vm, login, f"systemd-run --uid=1000 --pipe {PROOF}", denied)
    fails(vm, login, "systemctl start user@1000.service", denied)
    fails(vm, login, "systemctl stop ssh.service", denied)
    fails(vm, login, "busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager "
                     f"StartTransientUnit 'ssa(sv)a(sa(sv))' vm.scope fail 1 PIDs au 1 {1} 0", denied)
    fails(vm, login, "dbus-send --system --print-reply --dest=org.freedesktop.systemd1 /org/freedesktop/systemd1 "
                     "org.freedesktop.systemd1.Manager.StartUnit string:user@1000.service string:replace", denied)
    fails(vm, login, "systemctl --no-ask-password kill --signal=KILL ssh.service", denied)


def vm_machinectl_shell_is_no_way_out(vm):
    login = vm.login("alice")
    fails(vm, login, f"machinectl -q --no-ask-password shell alice@.host {PROOF}")
    fails(vm, login, f"machinectl -q --no-ask-password shell root@.host {PROOF}")


def vm_linger_is_no_way_out(vm):
    """logind may grant it to everyone; what must not be is that something of hers runs then."""
    login = vm.login("alice")
    plant_unit(login)
    login.run("timeout 30 loginctl enable-linger")
    login.run("timeout 30 loginctl enable-linger alice")
    login.logout()
    time.sleep(4)
    check_no_proof(vm, "linger")
    equal(user_processes_outside(vm), [])
    equal(vm.root("systemctl is-active user@1000.service").out, "inactive\n")


def vm_crontab_and_at_are_no_way_out(vm):
    login = vm.login("alice")
    fails(vm, login, f"sh -c 'echo \"* * * * * {PROOF}\" | crontab -'")
    fails(vm, login, f"sh -c 'echo \"{PROOF}\" | at now'")
    equal(vm.root("ls -A /var/spool/cron/crontabs; find /var/spool/cron/atjobs -type f -name 'a*'").out, "")


def vm_ssh_localhost_lands_in_a_sandbox(vm):
    login = vm.login("alice")
    ssh = "ssh -F .ssh/config localhost"
    login.run(f"{ssh} {shlex.quote(PROOF)}").ok()
    equal(vm.root("wc -l </home/alice/vm-proof").out, "2\n")
    check_no_proof(vm, "ssh localhost")
    equal(login.run(f"{ssh} cat /proc/self/cgroup /sys/fs/cgroup/memory.max").out, "0::/\n134217728\n")
    equal(vm.root(f"cat {login.group}/../memory.max").out, f"{192 << 20}\n", "what all her logins have together")


def vm_setuid_programs_give_nothing(vm):
    vm.write("/etc/sudoers.d/vm-alice", "alice ALL=(ALL:ALL) NOPASSWD: ALL\n", "0440")
    login = vm.login("alice")
    fails(vm, login, f"sudo -n {PROOF}", "setuid|effective uid|no new privileges|privileged")
    fails(vm, login, f"sudo -n -u alice {PROOF}")
    fails(vm, login, f"sh -c {shlex.quote(f'echo teacher | su teacher -c {shlex.quote(PROOF)}')}")
    fails(vm, login, f"sh -c {shlex.quote(f'echo alice | su alice -c {shlex.quote(PROOF)}')}")
    fails(vm, login, f"pkexec --disable-internal-agent {PROOF}", "setuid")
    fails(vm, login, "sh -c 'unshare -U sleep 20 & sleep 1; newuidmap $! 0 100000 65536'")


def vm_no_other_cgroup_can_be_joined(vm):
    login = vm.login("alice")
    equal(login.run("find /sys/fs/cgroup -name cgroup.procs -writable").out, "")
    equal(login.run("find / -xdev -name cgroup.procs -path '*user.slice*' 2>/dev/null").out, "")
    fails(vm, login, "unshare -Urm sh -c 'mkdir /tmp/c && mount -t cgroup2 none /tmp/c && echo 0 >/tmp/c/user.slice/cgroup.procs'")
    equal(login.run("cat /proc/self/cgroup").out, "0::/\n")
    matches(f"/{login.scope}$", vm.root("cat /proc/$(pgrep -u alice -n)/cgroup").out)


def vm_processes_of_the_host_are_out_of_reach(vm):
    """One of hers, outside: a service of root's that became alice."""
    vm.root("systemd-run --unit=vm-outside --uid=alice sleep 543210").ok()
    try:
        pid = wait_for(lambda: vm.root("pgrep -u alice -f '^[^ ]*sleep 543210'").out.strip(), 10, "the process")
        login = vm.login("alice")
        equal(login.run("ps -e -o args= | grep 54321[0]").out, "")
        check(login.run(f"kill -0 {pid}").status != 0, "it can be signalled")
        for command in (f"ls /proc/{pid}/root/", f"nsenter -t {pid} -m true", "nsenter -t 1 -a true", "nsenter -t 1 -m true",
                        "ls /proc/1/root/", "unshare -Ur nsenter -t 1 -m true", "unshare -Ur ls /proc/1/root/"):
            fails(vm, login, command)
        check(vm.root(f"kill -0 {pid}").status == 0, "it does not live any more")
    finally:
        vm.root("systemctl stop vm-outside")


def vm_terminal_servers_of_other_logins_are_out_of_reach(vm):
    """screen and tmux where they have their sockets by default."""
    first = vm.login("alice")
    first.run("tmux new-session -d 'sleep 600'").ok()
    first.run("screen -dmS vm sleep 600")
    second = vm.login("alice")
    fails(vm, second, "tmux list-sessions")
    second.run("screen -S vm -X screen touch vm-screen")
    time.sleep(2)
    check(vm.root("test -e /home/alice/vm-screen").status != 0, "the screen of another login takes commands")


def vm_no_key_is_pushed_into_roots_terminal(vm):
    """`su - alice` where root sits: what alice pushes into the terminal's input would be read by root's shell."""
    vm.root("sysctl -qw dev.tty.legacy_tiocsti=1 2>/dev/null; true")
    push = ('import fcntl, termios\n'
            'for key in "touch /root/vm-pushed\\n":\n    fcntl.ioctl(0, termios.TIOCSTI, key.encode())\n')
    vm.write("/home/alice/vm-push.py", push)
    vm.console.login("root", "# $")
    vm.console.line("su - alice")
    vm.console.expect(r"alice@lab-alice:~\$ $")
    got = vm.console.run("python3 vm-push.py")
    vm.console.line("exit")
    vm.console.expect("# $")
    vm.console.run("true")
    vm.console.line("exit")
    vm.console.expect("login: $")
    check(vm.root("test -e /root/vm-pushed").status != 0, "root's shell has run it")
    matches("PermissionError|Operation not permitted", got)
