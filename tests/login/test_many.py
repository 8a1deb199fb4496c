# SPDX-License-Identifier: BSD-3-Clause
"""Many logins: the last costs what the first did, and nothing leaks."""

import os
import statistics
import time

from harness import check, equal, read_text

SEQUENCE, AT_ONCE, SAMPLE = 200, 50, 20


def kernel_objects() -> dict[str, int]:
    """What a leak would pile up in."""
    found = {line.split()[0]: int(line.split()[2]) for line in read_text("/proc/cgroups").splitlines()[1:]}
    found["records of mounts"] = len(read_text("/proc/self/mountinfo").splitlines())
    found["files of the host's /tmp"] = len(os.listdir("/tmp"))
    return found


def login_two_hundred_times_costs_the_same_at_the_end(m):
    m.ssh("alice", "true").ok()
    m.nothing_left()
    before = kernel_objects()
    costs = []
    for _ in range(SEQUENCE):
        start = time.monotonic()
        m.ssh("alice", "true").ok()
        costs.append(time.monotonic() - start)
    ratio = statistics.median(costs[-SAMPLE:]) / statistics.median(costs[:SAMPLE])
    check(ratio <= 1.5, f"the last {SAMPLE} cost {ratio:.2f} times what the first did")
    m.nothing_left()
    for name, count in kernel_objects().items():
        check(count - before[name] < SEQUENCE / 4, f"{name}: {before[name]} before, {count} after")


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
