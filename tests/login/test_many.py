# SPDX-License-Identifier: BSD-3-Clause
"""Many logins: the last costs what the first did, and nothing leaks."""

import os
import statistics
import subprocess
import time

from harness import Failed, Leader, check, equal, matches, read_text, wait_for

SEQUENCE, AT_ONCE, SAMPLE = 200, 50, 20
LONG_SEQUENCE, LONG_SAMPLE, CROWD = 2000, 100, 200
# Private memory of a session's helper and PID 1 together.
KILOBYTES = 64
MIXED = """[default]
MemoryMax=64M
UserMemoryMax=infinity
TasksMax=256
UserTasksMax=infinity

[user {bob}]
Scope=user

[user {carol}]
PrivateTmp=user
Banner=yes
RuntimeMaxSec=10000
"""


def kernel_objects() -> dict[str, int]:
    """What a leak would pile up in."""
    found = {line.split()[0]: int(line.split()[2]) for line in read_text("/proc/cgroups").splitlines()[1:]}
    found["records of mounts"] = len(read_text("/proc/self/mountinfo").splitlines())
    found["files of the host's /tmp"] = len(os.listdir("/tmp"))
    return found


def check_objects(before: dict[str, int], allowed: float) -> None:
    """The kernel frees a removed cgroup when it comes to it, after rmdir(2); one that is held is never freed."""
    def piled_up() -> list[str]:
        return [f"{name}: {before[name]} before, {count} after" for name, count in kernel_objects().items()
                if count - before[name] >= allowed]

    try:
        wait_for(lambda: not piled_up(), 30)
    except Failed:
        check(False, "; ".join(piled_up()))


def work() -> float:
    """What the machine needs just now to start a process: others use it, too, and a cost is worth what it is next to this."""
    costs = []
    for _ in range(40):
        start = time.monotonic()
        subprocess.run(["/bin/true"], check=True)
        costs.append(time.monotonic() - start)
    return statistics.median(costs)


def login_two_hundred_times_costs_the_same_at_the_end(m):
    m.ssh("alice", "true").ok()
    m.nothing_left()
    before = kernel_objects()
    costs, at_first = [], work()
    for _ in range(SEQUENCE):
        start = time.monotonic()
        m.ssh("alice", "true").ok()
        costs.append(time.monotonic() - start)
    ratio = statistics.median(costs[-SAMPLE:]) / statistics.median(costs[:SAMPLE]) / (work() / at_first)
    check(ratio <= 1.5, f"the last {SAMPLE} cost {ratio:.2f} times what the first did")
    m.nothing_left()
    check_objects(before, SEQUENCE / 4)


def login_fifty_times_at_once(m):
    m.policy("[default]\nMemoryMax=64M\nUserMemoryMax=infinity\nTasksMax=32\nUserTasksMax=infinity\n")
    command = "readlink /proc/self/ns/pid; read line; echo $line"
    children = [m.spawn_ssh(("alice", "bob", "carol")[i % 3], command) for i in range(AT_ONCE)]
    # None ends before all are there.
    namespaces = {child.stdout.readline() for child in children}
    for i, child in enumerate(children):
        out, err = child.communicate(f"{i}\n", timeout=60)
        equal((child.returncode, out), (0, f"{i}\n"), f"login {i}: {err}")
    equal(len(namespaces), AT_ONCE, "PID namespaces")
    m.nothing_left(3)


def login_while_another_of_the_user_ends(m):
    """The user's cgroup goes with his last login: the next may not find it half gone."""
    for _ in range(15):
        children = [m.spawn_ssh("alice", "true") for _ in range(3)]
        for child in children:
            _, err = child.communicate(timeout=20)
            equal(child.returncode, 0, err)


# ---- without what ssh costs ----


def sample(leader: Leader) -> float:
    """The cost of a login, next to what the machine needs for anything just then."""
    before = work()
    costs = leader.cycle(LONG_SAMPLE, "alice", "bob", "carol")
    equal(len(costs), LONG_SAMPLE)
    return statistics.median(costs) / ((before + work()) / 2)


def login_two_thousand_times_of_mixed_users_costs_the_same_at_the_end(m):
    m.policy(MIXED)
    leader = Leader(m)
    leader.cycle(30, "alice", "bob", "carol")
    m.nothing_left()
    before, fds = kernel_objects(), len(os.listdir(f"/proc/{leader.pid}/fd"))
    first = sample(leader)
    equal(len(leader.cycle(LONG_SEQUENCE - 2 * LONG_SAMPLE, "alice", "bob", "carol")), LONG_SEQUENCE - 2 * LONG_SAMPLE)
    ratio = sample(leader) / first
    check(ratio <= 1.5, f"the last {LONG_SAMPLE} cost {ratio:.2f} times what the first did")
    m.nothing_left()
    check_objects(before, LONG_SEQUENCE / 10)
    equal(len(os.listdir(f"/proc/{leader.pid}/fd")), fds, "fds of the leader")
    leader.end()


def memory_of(pid: int) -> tuple[int, int]:
    """Kilobytes: its share of all that it uses, and what nobody else uses."""
    text = read_text(f"/proc/{pid}/smaps_rollup")
    return (int(matches(r"^Pss:\s+(\d+) kB", text)[1]), int(matches(r"^Private_Dirty:\s+(\d+) kB", text)[1]))


def crowd_memory(m, leader: Leader, count: int, *shorts: str) -> tuple[float, float]:
    """PSS and private memory for each of so many sessions that are open at the same time."""
    equal(set(leader.crowd(count, *shorts)), {0})
    equal(len(m.sessions()), count)
    own = [one for one in m.strays() if one.program.startswith(f"{m.programs}/isolate-")]
    sums = [sum(column) for column in zip(*(memory_of(one.pid) for one in own))]
    equal(set(leader.end_crowd()), {0})
    m.nothing_left(5)
    print(f"# {count} sessions: {len(own)} processes, PSS {sums[0]} kB, private {sums[1]} kB", flush=True)
    return sums[0] / count, sums[1] / count


def login_two_hundred_at_the_same_time_of_mixed_users(m):
    m.policy(MIXED)
    leader = Leader(m)
    before = kernel_objects()
    few = crowd_memory(m, leader, CROWD // 10, "alice", "bob", "carol")
    many = crowd_memory(m, leader, CROWD, "alice", "bob", "carol")
    check(many[1] <= KILOBYTES, f"{many[1]:.1f} kB of private memory for each")
    check(many[0] <= 1.1 * few[0], f"{many[0]:.1f} kB for each of {CROWD}, {few[0]:.1f} kB for each of {CROWD // 10}")
    check_objects(before, CROWD / 4)
    leader.end()


def login_two_hundred_at_the_same_time_with_a_sandbox_each(m):
    m.policy("[default]\nMemoryMax=64M\nUserMemoryMax=infinity\nTasksMax=64\nUserTasksMax=infinity\n")
    leader = Leader(m)
    private = crowd_memory(m, leader, CROWD, "alice", "bob", "carol")[1]
    check(private <= KILOBYTES, f"{private:.1f} kB of private memory for each")
    leader.end()
