# SPDX-License-Identifier: BSD-3-Clause
"""What users and administrators are told where systemd runs: notices on terminals, the banner, the journal."""

import json
import time

from cases import on
from harness import check, equal, matches, wait_for
from test_limits import EAT
from test_shared import SHARED, check_nothing_left

FORKS = "sh -c 'for i in $(seq 100); do sleep 20 & done'"


class Journal:
    """What comes after now."""

    def __init__(self, vm):
        self.vm = vm
        self.start = float(vm.root("cat /proc/uptime").ok().out.split()[0]) * 1e6

    def entries(self, match: str) -> list[dict[str, str]]:
        """By the time, for --after-cursor skips the first that matches."""
        text = self.vm.root(f"journalctl --sync; journalctl -q --no-pager -b -o json {match}").out
        found = [json.loads(line) for line in text.splitlines()]
        return [entry for entry in found if int(entry["__MONOTONIC_TIMESTAMP"]) > self.start]

    def ended(self, user: str = "alice") -> list[dict[str, str]]:
        return self.entries(f"ISOLATE_USER={user}")

    def warnings(self) -> list[str]:
        return [entry["MESSAGE"] for entry in self.entries("SYSLOG_IDENTIFIER=pam_isolate PRIORITY=4")]


def vm_a_killed_process_is_told_of(vm):
    vm.policy("[default]\nMemoryMax=100M\nUserMemoryMax=200M\n")
    journal = Journal(vm)
    login = vm.login("alice", tty=True)
    login.send(EAT.format(200, 0))
    login.expect(r"^pam_isolate: out of memory: python3 was killed, because your login may use 100M \(MemoryMax=\)\. Use less")
    login.run("true")
    words = wait_for(journal.warnings, 10, "a warning")
    equal(len(words), 1, str(words))
    matches(r"^session [-0-9a-f]{36} of alice: out of memory: killed python3 \(pid \d+\), limit MemoryMax=100M$", words[0])


def vm_a_process_killed_for_all_logins_is_told_of(vm):
    """On the terminal of the login whose process it was."""
    vm.policy("[default]\nMemoryMax=150M\nUserMemoryMax=160M\n")
    other, login = vm.login("alice", tty=True), vm.login("alice", tty=True)
    other.send(EAT.format(100, 600) + " &")
    other.expect("eaten")
    login.send(EAT.format(110, 0))
    time.sleep(4)
    heard = [one.run("true").out for one in (other, login)]
    # Now and then the kernel takes both.
    killed = ["oom_kill 0" not in vm.root(f"cat {one.group}/memory.events").ok().lines for one in (other, login)]
    check(any(killed), "nobody was killed")
    equal(["out of memory" in text for text in heard], killed, f"terminals: {heard}")
    matches(r"^pam_isolate: out of memory: python3 was killed, because all your logins together may use 160M \(UserMemoryMax=\)\. ",
            "".join(heard))


def vm_a_process_killed_in_a_shared_sandbox_is_told_of(vm):
    """On all terminals."""
    vm.policy(SHARED)
    first, second = vm.login("alice", tty=True), vm.login("alice", tty=True)
    first.send(EAT.format(300, 0))
    for login in (first, second):
        login.expect(r"^pam_isolate: out of memory: python3 was killed, because .* may use 200M \(\w*MemoryMax=\)\. Use less")


def vm_refused_processes_are_told_of(vm):
    vm.policy("[default]\nTasksMax=40\n")
    journal = Journal(vm)
    login = vm.login("alice", tty=True)
    login.send(FORKS)
    login.expect(r"^pam_isolate: no more processes.*: your login has as many as it may have, 40 \(TasksMax=\)\. End some of them\.")
    vm.root("pkill -x sleep")
    words = wait_for(journal.warnings, 10, "a warning")
    equal(len(words), 1, str(words))
    matches(r"^session [-0-9a-f]{36} of alice: no more processes: refused \d+, limit TasksMax=40$", words[0])


def vm_refused_processes_in_a_shared_sandbox_are_told_of(vm):
    vm.policy(SHARED)
    login = vm.login("alice", tty=True)
    login.send(FORKS)
    login.expect(r"^pam_isolate: no more processes.*: .* as many as \w+ may have, 64 \(TasksMax=\)\. End some of them\.")
    vm.root("pkill -x sleep")


def vm_the_console_is_told(vm):
    vm.policy("[default]\nMemoryMax=100M\nUserMemoryMax=200M\n")
    vm.console.login("alice")
    vm.console.line(EAT.format(200, 0))
    vm.console.expect(r"pam_isolate: out of memory: python3 was killed, because your login may use 100M")
    vm.console.line("")
    vm.console.expect(r"\$ $")
    vm.console.line("logout")
    vm.console.expect("login: $")


def vm_the_banner_is_shown(vm):
    vm.policy(SHARED + "Banner=yes\n")
    for _ in range(2):
        child = vm.spawn_ssh("alice", options=("-tt",))
        child.stdin.write("exit\n")
        child.stdin.flush()
        matches("This login may use 256M of memory, 150% of a CPU, 64 processes and threads", child.communicate(timeout=60)[0])
    check("This login" not in vm.ssh("alice", "true").ok().out, "in what a command prints")


NUMBERS = {f"ISOLATE_{name}" for name in "CPU_USER CPU_SYSTEM MEMORY_PEAK TASKS_PEAK OOM_KILLS IO_READ IO_WRITTEN".split()}


def check_numbers(vm, entry) -> None:
    equal(NUMBERS - set(entry), set(), f"fields that are not in {entry['MESSAGE']}")
    check(float(entry["ISOLATE_CPU_USER"]) + float(entry["ISOLATE_CPU_SYSTEM"]) > 0.2, entry["MESSAGE"])
    check(60 << 20 < int(entry["ISOLATE_MEMORY_PEAK"]) < 256 << 20, entry["MESSAGE"])


WORK = EAT.format(60, 0) + "; dd if=/dev/zero of=vm-file bs=64K count=16 oflag=direct 2>/dev/null; sync"


def vm_the_journal_has_what_a_session_used(vm):
    vm.policy("[default]\nMemoryMax=256M\nTasksMax=64\nCPUQuota=150%\n")
    journal = Journal(vm)
    login = vm.login("alice")
    login.run(WORK)
    login.logout()
    check_nothing_left(vm)
    entries = wait_for(journal.ended, 10, "an entry")
    equal(len(entries), 1, "entries")
    entry = entries[0]
    matches("^session ended: session=[-0-9a-f]{36} sandbox=[-0-9a-f]{36} user=alice uid=1000 service=sshd tty=ssh duration=",
            entry["MESSAGE"])
    equal((entry["ISOLATE_UID"], entry["ISOLATE_SERVICE"], entry["SYSLOG_IDENTIFIER"], entry["PRIORITY"], entry["_UID"]),
          ("1000", "sshd", "pam_isolate", "6", "0"))
    check(0.5 < float(entry["ISOLATE_DURATION"]) < 60, entry["MESSAGE"])
    check_numbers(vm, entry)
    check(int(entry["ISOLATE_IO_WRITTEN"]) >= 1 << 20, entry["MESSAGE"])
    equal(journal.entries("SYSLOG_IDENTIFIER=pam_isolate PRIORITY=3"), [], "errors")


def vm_the_journal_has_what_each_login_of_a_sandbox_used(vm):
    vm.policy(SHARED)
    journal = Journal(vm)
    first, second = vm.login("alice"), vm.login("alice")
    first.run(WORK)
    first.logout()
    # The client has gone; its server's end of the session may come after the other's.
    wait_for(journal.ended, 10, "the first entry")
    second.logout()
    check_nothing_left(vm)
    entries = wait_for(lambda: len(journal.ended()) >= 3 and journal.ended(), 10, "entries")
    equal([entry["MESSAGE"].split(":")[0] for entry in entries], ["session ended", "session ended", "sandbox ended"])
    check_numbers(vm, entries[0])
    check(float(entries[1]["ISOLATE_CPU_USER"]) < float(entries[0]["ISOLATE_CPU_USER"]), entries[1]["MESSAGE"])
    equal([name for name in NUMBERS if name in entries[2]], [], "the slice may be older than the sandbox")
    equal(len({entry["ISOLATE_SANDBOX"] for entry in entries}), 1, "sandboxes")


@on("bookworm-hybrid", "bookworm-v1")
def vm_the_journal_has_it_in_older_hierarchies(vm):
    vm.policy("[default]\nMemoryMax=256M\nTasksMax=64\nCPUQuota=150%\n")
    journal = Journal(vm)
    login = vm.login("alice")
    login.run(WORK)
    login.logout()
    check_nothing_left(vm)
    entries = wait_for(journal.ended, 10, "an entry")
    equal(len(entries), 1, "entries")
    check(60 << 20 < int(entries[0]["ISOLATE_MEMORY_PEAK"]) < 256 << 20, entries[0]["MESSAGE"])
    check(float(entries[0]["ISOLATE_CPU_USER"]) > 0.1, entries[0]["MESSAGE"])


@on("bookworm-hybrid", "bookworm-v1")
def vm_notices_are_shown_in_older_hierarchies(vm):
    for policy in ("[default]\nMemoryMax=100M\nTasksMax=40\n", "[default]\nScope=user\nMemoryMax=100M\nTasksMax=40\n"):
        vm.policy(policy)
        login = vm.login("alice", tty=True)
        login.send(EAT.format(200, 0))
        login.expect(r"^pam_isolate: out of memory: python3 was killed, because .* may use 100M \(\w*MemoryMax=\)\. Use less")
        login.send(FORKS)
        login.expect(r"^pam_isolate: no more processes.*, 40 \(TasksMax=\)\. End some of them\.")
        vm.root("pkill -x sleep")
        login.logout()
