# SPDX-License-Identifier: BSD-3-Clause
"""alice at the serial console: agetty, login, her shell, and the end of it."""

from harness import check, equal, matches, wait_for

PROMPT = r"alice@lab-alice:~\$ $"
HANG_UP = "python3 -c 'import fcntl, os; fcntl.ioctl(os.open(\"/dev/ttyS0\", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK), 0x5437)'"


def vm_console_login_is_isolated(vm):
    console = vm.console
    console.login("alice", PROMPT)
    equal(console.run("tty"), "/dev/ttyS0")
    equal(console.run("cat /proc/self/cgroup /sys/fs/cgroup/memory.max"), "0::/\n134217728")
    namespace = console.run("readlink /proc/self/ns/user")
    check(namespace != vm.root("readlink /proc/1/ns/user").out.strip(), "she is in the host's user namespace")
    matches(r"^alice +ttyS0 ", vm.root("who").out)
    equal(vm.root("stat -c %U /dev/ttyS0").out, "alice\n")
    session = console.run("echo $XDG_SESSION_ID")
    shown = vm.root(f"loginctl show-session {session} -p TTY -p Service -p Scope").out
    matches("^TTY=ttyS0$", shown)
    equal(vm.root(f"cat /sys/fs/cgroup/user.slice/user-1000.slice/session-{session}.scope/memory.max").out, "134217728\n")
    console.line("logout")
    console.expect("login: $")
    equal(vm.root("stat -c %U /dev/ttyS0").out, "root\n")
    equal(vm.root("who | grep -c alice").out, "0\n")
    if vm.root("command -v last").status == 0:  # trixie has none
        matches(r"^alice +ttyS0 .* - ", vm.root("last -n 3 alice").out)


def vm_console_has_job_control(vm):
    console = vm.console
    console.login("alice", PROMPT)
    check("no job control" not in console.text, console.text)
    console.line("sleep 1000")
    wait_for(lambda: vm.root("pgrep -x sleep").status == 0, 10, "sleep")
    console.send("\x1a")
    console.expect("Stopped")
    console.line("bg; jobs")
    console.expect("Running")
    console.line("fg")
    wait_for(lambda: vm.root("ps -o stat= -C sleep").out == "S+\n", 10, "sleep in the foreground")
    console.send("\x03")
    console.expect(PROMPT)
    equal(console.run("jobs"), "")
    console.line("exit")
    console.expect("login: $")


def vm_console_hangup_ends_the_login(vm):
    console = vm.console
    console.login("alice", PROMPT)
    console.line("sleep 1000 & setsid sleep 1001 & echo start''ed")
    console.expect("started")
    wait_for(lambda: vm.root("pgrep -c -x sleep").out == "2\n", 10, "two processes")
    vm.root(HANG_UP).ok()
    console.expect("login: $")
    wait_for(lambda: vm.root("pgrep -x sleep").status != 0, 10, "the end of her processes")
    equal(vm.root("stat -c %U /dev/ttyS0").out, "root\n")


def vm_console_login_is_refused_with_a_reason(vm):
    vm.policy("[default]\nMemryMax=1G\n")
    vm.console.forget()
    vm.console.line("")
    vm.console.expect("login: $")
    vm.console.line("alice")
    vm.console.expect("Password: $")
    vm.console.line("alice")
    vm.console.expect("administrator")
    vm.console.expect("login: $")
    matches("MemryMax", vm.root("journalctl -q --no-pager -t login --since -60s").out)
    vm.reset()
