# SPDX-License-Identifier: BSD-3-Clause
"""
Runs the tests of this folder, machine by machine.

A test is a function vm_* of a file test_*.py. It says which machines it wants, and gets one of them, booted and with the project
installed (see vm.py):

    @on("bookworm", "trixie")                 # without it: both
    def vm_limits_are_seen(vm):
        equal(vm.ssh("alice", "cat /sys/fs/cgroup/memory.max").out, "134217728\\n")

Machines: bookworm, trixie, and the older hierarchies of control groups, bookworm-hybrid and bookworm-v1. After each test the policy
is put back, whoever is logged in is thrown out, and what the product left is counted against the test.
"""

import os
import signal
import sys
import time
import traceback

from harness import Failed, Skipped, wait_for
from runner import chosen, discover, report
from vm import VM, needs

MACHINES = {
    "bookworm": ("bookworm", ""),
    "trixie": ("trixie", ""),
    "bookworm-hybrid": ("bookworm", "systemd.unified_cgroup_hierarchy=0"),
    "bookworm-package": ("bookworm", ""),
    "trixie-package": ("trixie", ""),
    "bookworm-v1": ("bookworm", "systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1"),
}

# What there may be once nobody is logged in: nothing of the users but their managers, nothing of the product.
LEFT = r"""
ps -eo user:20,pid,ppid,stat,args --no-headers | awk '
	$1 ~ /^(alice|bob|isolate)$/ && $5 !~ /systemd|sd-pam|dbus-daemon/ { print "process " $0 }
	$5 ~ /isolate-(helper|init|login|names|systemd)/ { print "process " $0 }'
find /run/pam_isolate -mindepth 1 -maxdepth 1 ! -name lock ! -name '.*' -printf 'record %p\n' 2>/dev/null
systemctl list-units --all --no-legend --plain 'isolate-*.scope' | sed 's/^/unit /'
grep pam_isolate /proc/self/mountinfo | sed 's/^/mount /'
true
"""

# Ends what a test has left of its users, and gives back what tests change. Asks the file system before a daemon: that is cheap.
CLEAN = r"""
for user in alice bob teacher; do
	[ ! -e /var/lib/systemd/linger/$user ] || loginctl disable-linger $user
	[ ! -e /run/systemd/users/$(id -u $user) ] || loginctl terminate-user $user
	[ ! -e /var/spool/cron/crontabs/$user ] || crontab -u $user -r
done
pkill -KILL -u alice,bob
rm -rf /home/*/.config /home/*/vm-* /tmp/vm-* /root/vm-* /etc/cron.d/vm-* /etc/sudoers.d/vm-* /etc/pam.d/vm-*
systemctl reset-failed
true
"""


# Whoever sits at the serial line is thrown out.
END_CONSOLE = "pgrep -x agetty >/dev/null || systemctl restart serial-getty@ttyS0"


def on(*machines: str):
    """Which machines a test is run on."""
    def mark(test):
        test.machines = machines
        return test
    return mark


class Case:
    """A test on a machine; for the runner's own functions it looks like a function."""

    def __init__(self, test, machine: str):
        self.test, self.machine = test, machine
        self.__name__ = f"{test.__name__} {machine}"
        self.__module__ = test.__module__

    def __call__(self, vm: VM) -> None:
        self.test(vm)


def cases_of(tests: list, suite: str | None, machine: str | None) -> list[Case]:
    names = [name for name, (of_suite, _) in MACHINES.items() if suite in (None, of_suite) and machine in (None, name)]
    return [Case(test, name) for name in names for test in tests if name in getattr(test, "machines", ("bookworm", "trixie"))]


def left(vm: VM) -> list[str]:
    return vm.root(LEFT).lines


def settle(vm: VM) -> list[str]:
    """What is left after a test, at the latest five seconds after its last client went; then the machine is cleaned."""
    vm.end_clients()
    words = []
    try:
        wait_for(lambda: not left(vm), 5)
    except Failed:
        words = left(vm)
    vm.root(CLEAN + END_CONSOLE)
    vm.reset()
    return words


def where(error: Exception) -> list[str]:
    """The lines of the test that led here; of what is no finding of a test, all there is."""
    if not isinstance(error, Failed):
        return traceback.format_exc().splitlines()
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if os.path.basename(frame.filename).startswith("test_")]
    return str(error).splitlines() + [f"{os.path.basename(frame.filename)}:{frame.lineno}: {frame.line}" for frame in frames]


def verdict_of(case: Case, vm: VM) -> tuple[str, list[str]]:
    verdict, words = "ok", []
    try:
        case(vm)
    except Skipped as reason:
        verdict, words = "skip", [str(reason)]
    except Exception as error:
        verdict, words = "not ok", where(error)
        vm.root(END_CONSOLE)
    lines = settle(vm)
    if lines:
        verdict, words = "not ok", words + ["left behind:"] + lines
    return verdict, words


def log_since(vm: VM, clock: str) -> list[str]:
    """Without the tables that the kernel prints when memory ends."""
    return vm.root(f"journalctl -q --no-pager -o short-monotonic --since @{clock} | "
                   r"grep -v '^ \|kernel: \[\|Tasks state' | tail -n 40").lines


def run_case(number: int, case: Case, vm: VM) -> bool:
    start = time.monotonic()
    clock = vm.root("date +%s.%N").out.strip()
    try:
        verdict, words = verdict_of(case, vm)
    except Exception as error:
        verdict, words = "not ok", [f"the machine is in no good state after this: {error}"]
    seconds = time.monotonic() - start
    log = log_since(vm, clock) if verdict == "not ok" else []
    return report(number, case, verdict, words, log, seconds)


def fail_all(number: int, cases: list[Case], verdict: str, words: list[str]) -> int:
    """No machine to run them on, which is told once. How many count as failed."""
    return sum(not report(number + offset, case, verdict, words if offset == 0 else ["see above"], [], 0.0)
               for offset, case in enumerate(cases))


def run_machine(number: int, name: str, cases: list[Case], keep: bool) -> int:
    """Boots one machine and runs its tests; how many failed."""
    suite, cmdline = MACHINES[name]
    start = time.monotonic()
    failed = done = 0
    try:
        with VM(suite, cmdline, name) as vm:
            try:
                state = vm.wait_ready()
                booted = time.monotonic()
                vm.install()
                print(f"# {name}: {state} after {booted - start:.1f} s, installed in {time.monotonic() - booted:.1f} s", flush=True)
                for case in cases:
                    failed += not run_case(number + done, case, vm)
                    done += 1
                if keep:
                    wait_for_enter(vm)
            except BaseException:
                keep_console(vm)
                raise
            if failed:
                keep_console(vm)
    except Exception as error:
        print(f"# {name}: {error}", flush=True)
        failed += max(1, fail_all(number + done, cases[done:], "not ok", traceback.format_exc().splitlines()))
    print(f"# {name}: {time.monotonic() - start:.0f} s", flush=True)
    return failed


def keep_console(vm: VM) -> None:
    path = f"/var/tmp/pam_isolate-vm-{vm.name}-console.log"
    with open(path, "w") as file:
        file.write(vm.console_log())
    print(f"# {vm.name}: what the console showed is in {path}", flush=True)


def how_to_get_in(vm: VM) -> str:
    """For people who copy and paste."""
    return "\n".join(f"{user:8} {' '.join(argv)}" for user, argv in
                     (("root", vm.root_argv()), *((name, vm.ssh_argv(name)) for name in ("alice", "teacher"))))


def wait_for_enter(vm: VM) -> None:
    print(f"{how_to_get_in(vm)}\nconsole  socat -,raw,echo=0,escape=0x1d UNIX-CONNECT:{vm.directory}/serial", file=sys.stderr)
    input("press Enter to end the machine\n")


def main(directory: str, arguments) -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _frame: sys.exit(128 + got))
    cases = chosen(cases_of(discover(directory, "vm_"), arguments.suite, arguments.machine), arguments.patterns)
    if not cases:
        sys.exit("no test is called like that; see --list")
    if arguments.list:
        print("\n".join(case.__name__ for case in cases))
        return 0
    print(f"1..{len(cases)}", flush=True)
    lacking = needs()
    failed, number = 0, 1
    for name in MACHINES:
        here = [case for case in cases if case.machine == name]
        if here and lacking:
            failed += sum(not report(number + offset, case, "skip", [lacking], [], 0.0) for offset, case in enumerate(here))
        elif here:
            failed += run_machine(number, name, here, arguments.keep and here[-1] is cases[-1])
        number += len(here)
    print(f"# {len(cases) - failed} of {len(cases)} hold")
    return 1 if failed else 0
