# SPDX-License-Identifier: BSD-3-Clause
"""What a session has used is told in syslog when it ends: one line, and its numbers are those of what was done."""

import threading
import time

from harness import Leader, check, equal, kill, matches, wait_for
from test_limits import EAT, FORK, MEGABYTE

LIMITS = "[default]\nMemoryMax=96M\nUserMemoryMax=infinity\nTasksMax=128\n"
NUMBERS = ("cpu_user", "cpu_system", "cpu_throttled", "memory_peak", "tasks_peak", "io_read", "io_written", "oom_kills")
HEAD = ["session", "sandbox", "user", "uid", "service", "tty", "duration"]
BURN = """python3 -c 'import time
while time.process_time() < {}: pass'"""


def fields(line: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in line.split(" ended: ", 1)[1].split(" "))


def ends(m, mark: int, what: str = "session", short: str = "alice", count: int = 1) -> list[dict[str, str]]:
    """The accounts of what has ended since: as many as there should be, and no more."""
    pattern = rf"pam_isolate\[\d+\]: {what} ended: .*user={m.user(short).name} "
    wait_for(lambda: len(m.log.since(mark, pattern)) >= count, 10, f"{count} lines")
    time.sleep(0.2)
    lines = m.log.since(mark, pattern)
    equal(len(lines), count, f"lines {lines}")
    return [fields(line) for line in lines]


def account(m, command: str, **options) -> dict[str, str]:
    mark = m.log.mark()
    m.ssh("alice", command, **options)
    return ends(m, mark)[0]


def login_account_has_who_it_was_and_how_long(m):
    m.policy(LIMITS)
    alice = m.user("alice")
    start = time.monotonic()
    got = account(m, "sleep 0.5")
    took = time.monotonic() - start
    equal(list(got)[:len(HEAD)], HEAD)
    equal((got["user"], got["uid"], got["service"], got["tty"]), (alice.name, str(alice.uid), m.sshd.service, "ssh"))
    equal(got["session"], got["sandbox"])
    matches(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", got["session"])
    check(0.5 <= float(got["duration"]) <= took, f"{got['duration']} of {took} s")
    equal([name for name in got if name not in HEAD], [name for name in NUMBERS if name in got], "order")
    for name in ("cpu_user", "cpu_system", "memory_peak", "oom_kills"):
        check(name in got, f"{name} is missing in {got}")


def login_account_counts_cpu_time(m):
    m.policy(LIMITS)
    idle, busy = account(m, "true"), account(m, BURN.format(1))
    used = [float(got["cpu_user"]) + float(got["cpu_system"]) for got in (idle, busy)]
    check(used[0] < 0.5, f"{used[0]} s for nothing")
    check(0.9 < used[1] < 2, f"{used[1]} s instead of 1")


def login_account_counts_what_the_quota_has_taken(m):
    m.policy(LIMITS + "CPUQuota=20%\n")
    got = account(m, BURN.format(0.3))
    if "cpu_throttled" in got:
        check(0.03 < float(got["cpu_throttled"]) <= float(got["duration"]) * 4, got["cpu_throttled"])


def login_account_counts_memory(m):
    m.policy(LIMITS)
    peaks = [int(account(m, EAT + f"{megabytes} 0")["memory_peak"]) / MEGABYTE for megabytes in (1, 31, 61)]
    for i in (0, 1):
        check(20 < peaks[i + 1] - peaks[i] < 40, f"{peaks} for 1, 31 and 61 MB")
    equal(account(m, "true")["oom_kills"], "0")


def login_account_counts_tasks(m):
    m.policy(LIMITS)
    idle, busy = account(m, "true"), account(m, FORK + "30 0.1")
    if "tasks_peak" in idle:
        check(int(idle["tasks_peak"]) < 15, idle["tasks_peak"])
        check(30 < int(busy["tasks_peak"]) < 60, busy["tasks_peak"])


def login_account_counts_those_that_were_killed_for_memory(m):
    m.policy(LIMITS)
    for times in (1, 3):
        got = account(m, f"for i in $(seq {times}); do {EAT} 150 0; done")
        equal(got["oom_kills"], str(times))
        check(int(got["memory_peak"]) <= 96 * MEGABYTE, got["memory_peak"])


def login_account_is_one_line_for_each_session(m):
    mark = m.log.mark()
    children = [m.spawn_ssh("alice", "read line") for _ in range(4)]
    wait_for(lambda: len(m.sessions("alice")) == 4, 10, "four logins")
    ids = {one.id for one in m.sessions("alice")}
    for child in children:
        child.communicate("\n", 10)
    equal({got["session"] for got in ends(m, mark, count=4)}, ids)
    equal(m.log.since(mark, "sandbox ended"), [])


def login_account_is_one_full_line_however_fast_they_come_and_go(m):
    """The groups are removed at once; but they are read before."""
    m.policy(LIMITS + "\n[user {bob}]\nScope=user\n")
    leaders, each = [Leader(m) for _ in range(3)], 60
    mark = m.log.mark()
    threads = [threading.Thread(target=leader.cycle, args=(each, "alice")) for leader in leaders[:2]]
    threads.append(threading.Thread(target=leaders[2].cycle, args=(each, "bob")))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for got in [*ends(m, mark, count=2 * each), *ends(m, mark, "sandbox", "bob", each)]:
        check("memory_peak" in got and "cpu_user" in got, f"{got}")
    for leader in leaders:
        leader.end()


def login_account_is_there_though_the_leader_was_killed(m):
    mark = m.log.mark()
    m.spawn_ssh("alice", BURN.format(0.3) + "; echo burnt; sleep 1000").stdout.readline()
    kill(m.session("alice").leader)
    got = ends(m, mark)[0]
    check(float(got["cpu_user"]) + float(got["cpu_system"]) > 0.25, f"{got}")


def login_account_is_there_though_pid_1_was_killed(m):
    mark = m.log.mark()
    m.spawn_ssh("alice", "sleep 1000")
    kill(m.session("alice").init)
    ends(m, mark)


def login_account_is_there_though_the_processes_had_to_be_killed(m):
    m.policy(LIMITS)
    mark = m.log.mark()
    m.ssh("alice", "(trap '' HUP TERM; setsid sh -c 'while :; do :; done') > /dev/null 2>&1 < /dev/null & sleep 0.2").ok()
    m.nothing_left(8)
    got = ends(m, mark)[0]
    check(float(got["duration"]) > 4, f"{got['duration']} s, and it was asked twice, for 2.5 s")
    check(float(got["cpu_user"]) > 1, f"{got['cpu_user']} s: its last seconds count")


def login_account_tells_of_a_terminal_and_of_none(m):
    equal(account(m, "true", tty=True)["tty"], "ssh")
    leader = Leader(m, "alice")
    mark = m.log.mark()
    equal((leader.open(), leader.close()), (0, 0))
    equal(ends(m, mark)[0]["tty"], '""')
    leader.end()


def login_account_of_a_refused_login_is_none(m):
    m.policy("[default]\nAllowedCPUs=4000\n")
    mark = m.log.mark()
    check(m.ssh("alice", "true").status != 0, "the login was let in")
    equal(m.log.since(mark, "ended:"), [])


# ---- shared sandboxes ----


def login_account_of_a_shared_sandbox_is_one_and_one_for_each_session(m):
    m.policy(LIMITS + "Scope=user\n")
    mark = m.log.mark()
    children = [m.spawn_ssh("alice", f"{BURN.format(0.4)}; echo burnt; read line") for _ in range(3)]
    for child in children:
        equal(child.stdout.readline(), "burnt\n")
    found = m.sessions("alice")
    for child in children:
        child.communicate("\n", 10)
    for got in ends(m, mark, count=3):
        equal(list(got), HEAD)
        check(got["session"] in {one.id for one in found}, "another session")
        check(found[0].cgroup.endswith(got["sandbox"]), f"{got['sandbox']} is not {found[0].cgroup}")
        check(float(got["duration"]) > 0.4, got["duration"])
    whole = ends(m, mark, "sandbox")[0]
    equal(list(whole)[:4], ["sandbox", "user", "uid", "duration"])
    # Three times 0.4 s, as v1 counts it: by the tick.
    check(0.9 < float(whole["cpu_user"]) + float(whole["cpu_system"]) < 3, f"{whole}")
    check("session" not in whole and "service" not in whole, f"{whole}")


def login_account_of_a_kept_sandbox_comes_with_its_end(m):
    m.policy(LIMITS + "KillOnLogout=no\n")
    mark = m.log.mark()
    m.ssh("alice", "setsid sleep 1 > /dev/null 2>&1 < /dev/null &").ok()
    got = ends(m, mark)[0]
    check(float(got["duration"]) >= 1, got["duration"])
    m.policy(LIMITS + "KillOnLogout=no\nScope=user\n")
    mark = m.log.mark()
    m.ssh("alice", "setsid sleep 1 > /dev/null 2>&1 < /dev/null &").ok()
    check(float(ends(m, mark)[0]["duration"]) < 1, "the session's")
    check(float(ends(m, mark, "sandbox")[0]["duration"]) >= 1, "the sandbox's")


def login_account_of_a_shared_sandbox_though_leaders_were_killed(m):
    m.policy(LIMITS + "Scope=user\n")
    mark = m.log.mark()
    for _ in range(3):
        m.spawn_ssh("alice", "sleep 1000")
    wait_for(lambda: len(m.sessions("alice")) == 3, 10, "three logins")
    for session in m.sessions("alice"):
        kill(session.leader)
    ends(m, mark, count=3)
    ends(m, mark, "sandbox")
