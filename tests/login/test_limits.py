# SPDX-License-Identifier: BSD-3-Clause
"""Limits are in force, and a login that runs into one goes on."""

import os
import subprocess
import time

from harness import CGROUPS, Master, check, equal, matches, process, skip, wait_for

MEGABYTE = 1 << 20

# Takes so many megabytes, says so, and keeps them.
EAT = """python3 -c 'import sys, time
kept = bytearray(int(sys.argv[1]) << 20)
kept[::4096] = b"x" * len(kept[::4096])
print("eaten", flush=True)
time.sleep(float(sys.argv[2]))' """

# Forks until it is refused, says how often it was not, and ends all of them.
FORK = """python3 -c 'import os, signal, sys, time
pids = []
try:
    while len(pids) < int(sys.argv[1]):
        pids.append(os.fork())
        if not pids[-1]: time.sleep(60); os._exit(0)
except BlockingIOError: print("refused", end=" ")
print(len(pids), flush=True)
time.sleep(float(sys.argv[2]))
for pid in pids: os.kill(pid, signal.SIGKILL); os.waitpid(pid, 0)' """


def is_v2() -> bool:
    return os.path.exists(f"{CGROUPS}/cgroup.controllers")


def cpu_seconds(session, of_user: bool = False) -> float:
    if is_v2():
        return int(matches(r"^usage_usec (\d+)$", session.read("cpu", "cpu.stat", of_user))[1]) / 1e6
    return int(session.read("cpuacct", "cpuacct.usage", of_user)) / 1e9


def cpu_rate(session, seconds: float, of_user: bool = False) -> float:
    """CPUs used on the average."""
    used, start = cpu_seconds(session, of_user), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(session, of_user) - used) / (time.monotonic() - start)


def check_quota(session, wanted: float, seconds: float, of_user: bool = False) -> None:
    """Within 10 %: never more; as much in one of three runs, for other work on the machine may take some of it."""
    rates = []
    for _ in range(3):
        rates.append(cpu_rate(session, seconds, of_user))
        check(rates[-1] <= 1.1 * wanted, f"{rates[-1]:.3f} CPUs instead of {wanted}")
        if rates[-1] >= 0.9 * wanted:
            return
    check(False, f"{rates} CPUs instead of {wanted}")


# ---- memory ----


def login_memory_hog_is_killed_and_its_login_lives_on(m):
    m.policy("[default]\nMemoryMax=128M\n")
    result = m.ssh("alice", EAT + "192 0; echo status $?; echo alive")
    equal(result.lines[-2:], ["status 137", "alive"])
    check("eaten" not in result.out, "it got all the memory")


def login_may_use_memory_below_its_limit(m):
    m.policy("[default]\nMemoryMax=128M\n")
    equal(m.ssh("alice", EAT + "64 0").ok().out, "eaten\n")


def login_channels_survive_the_hog_of_one(m):
    m.policy("[default]\nMemoryMax=128M\n")
    master = Master(m, "alice")
    child = master.spawn_ssh("echo ready; read line; echo got $line")
    equal(child.stdout.readline(), "ready\n")
    equal(master.ssh(EAT + "192 0").status, 255 if master.ssh("kill -9 $$").status == 255 else 137)
    equal(child.communicate("more\n", 5)[0], "got more\n")
    master.close()


def login_memory_of_two_logins_together_is_under_the_users_limit(m):
    m.policy("[default]\nMemoryMax=100M\nUserMemoryMax=150M\n")
    first = m.spawn_ssh("alice", EAT + "85 30; echo status $?")
    equal(first.stdout.readline(), "eaten\n")
    second = m.spawn_ssh("alice", EAT + "85 0; echo status $?")
    wait_for(lambda: len(m.sessions("alice")) == 2, 10, "the second login")
    one = m.sessions("alice")[0]
    limit, used = ("memory.max", "memory.peak") if is_v2() else ("memory.limit_in_bytes", "memory.max_usage_in_bytes")
    equal(int(one.read("memory", limit, of_user=True)), 150 * MEGABYTE)
    words = [second.stdout.readline()]
    if words[0] == "eaten\n":
        equal(first.stdout.readline(), "status 137\n", "both have got 85 M of 150 M")
    else:
        equal(words, ["status 137\n"])
    if os.path.exists(f"{one.group('memory', True)}/{used}"):
        check(int(one.read("memory", used, of_user=True)) <= 150 * MEGABYTE, "above the limit")


def login_memory_limit_counts_what_is_in_tmp(m):
    m.policy("[default]\nMemoryMax=64M\n")
    result = m.ssh("alice", "head -c 100M /dev/zero > /tmp/big; echo status $?; rm -f /tmp/big; echo alive")
    check(result.lines[:1] != ["status 0"], "wrote more to /tmp than it may have memory")


def login_user_limit_is_the_sessions_unless_it_is_set(m):
    m.policy("[default]\nMemoryMax=100M\nTasksMax=50\n")
    m.spawn_ssh("alice", "sleep 60")
    session = m.session("alice")
    file = "memory.max" if is_v2() else "memory.limit_in_bytes"
    for of_user in (False, True):
        equal(int(session.read("memory", file, of_user)), 100 * MEGABYTE)
        equal(session.read("pids", "pids.max", of_user), "50")


def login_swap_is_limited_with_memory(m):
    m.policy("[default]\nMemoryMax=100M\nMemorySwapMax=20M\n")
    root = f"{CGROUPS}/memory.swap.max" if is_v2() else f"{CGROUPS}/memory/memory.memsw.limit_in_bytes"
    if not is_v2() and not os.path.exists(root):
        refused(m, "MemorySwapMax|memory.memsw.limit_in_bytes")
        return
    m.spawn_ssh("alice", "sleep 60")
    session = m.session("alice")
    if is_v2():
        equal(int(session.read("memory", "memory.swap.max")), 20 * MEGABYTE)
    else:
        equal(int(session.read("memory", "memory.memsw.limit_in_bytes")), 120 * MEGABYTE)


def refused(m, pattern: str) -> None:
    mark = m.log.mark()
    check(m.ssh("alice", "true").status != 0, "the login was let in")
    m.log.expect(rf"pam_isolate.*refused.*({pattern})", mark)


# ---- tasks ----


def login_fork_bomb_stays_under_its_limit_and_the_login_recovers(m):
    m.policy("[default]\nTasksMax=60\n")
    master = Master(m, "alice")
    child = master.spawn_ssh(FORK + "1000 1")
    words = child.stdout.readline().split()
    equal(words[:1], ["refused"])
    check(30 <= int(words[1]) < 60, f"{words[1]} processes")
    check(int(m.session("alice").read("pids", "pids.current")) <= 60, "above the limit")
    check(m.ssh("bob", "echo fine").ok().out == "fine\n", "another user cannot log in")
    child.wait(10)
    equal(master.ssh("echo recovered").ok().out, "recovered\n")
    master.close()


def login_endless_fork_bomb_harms_nobody_else_and_ends_with_its_login(m):
    m.policy("[default]\nTasksMax=60\nCPUQuota=50%\n")
    child = m.spawn_ssh("alice", "bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 60")
    session = m.session("alice")
    wait_for(lambda: int(session.read("pids", "pids.current")) >= 30, 10, "the bomb")
    for _ in range(10):
        check(int(session.read("pids", "pids.current")) <= 60, "above the limit")
        time.sleep(0.05)
    start = time.monotonic()
    m.ssh("bob", "echo fine").ok()
    check(time.monotonic() - start < 5, "the host is slow")
    child.kill()
    m.nothing_left(3)


def login_is_refused_when_the_user_has_all_his_tasks_and_says_so(m):
    m.policy("[default]\nTasksMax=20\nUserTasksMax=20\n")
    child = m.spawn_ssh("alice", FORK + "100 60")
    matches("refused", child.stdout.readline())
    mark = m.log.mark()
    done = m.ssh("alice", "true")
    check(done.status != 0, "the login was let in")
    matches("You have as many processes as you may have", done.err + done.out)
    m.log.expect(r"refused: pidns: clone the first process of the sandbox \(TasksMax= or UserTasksMax= is reached\)", mark)
    child.kill()
    wait_for(lambda: m.ssh("alice", "true").status == 0, 5, "a login once they are gone")


def login_tasks_of_two_logins_together_are_under_the_users_limit(m):
    m.policy("[default]\nTasksMax=40\nUserTasksMax=50\n")
    first = m.spawn_ssh("alice", FORK + "25 20")
    equal(first.stdout.readline(), "25\n")
    second = m.spawn_ssh("alice", FORK + "25 1")
    words = second.stdout.readline().split()
    equal(words[:1], ["refused"], "the second login")
    session = m.sessions("alice")[0]
    equal(session.read("pids", "pids.max", of_user=True), "50")
    check(int(session.read("pids", "pids.current", of_user=True)) <= 50, "above the limit")


# ---- CPU ----


def login_busy_loops_get_their_quota(m):
    m.policy("[default]\nCPUQuota=50%\n")
    m.spawn_ssh("alice", "while :; do :; done & while :; do :; done")
    session = m.session("alice")
    time.sleep(0.5)
    check_quota(session, 0.5, 5)


def login_busy_loops_of_two_logins_get_the_users_quota(m):
    m.policy("[default]\nCPUQuota=40%\nUserCPUQuota=50%\n")
    for _ in range(2):
        m.spawn_ssh("alice", "while :; do :; done")
    wait_for(lambda: len(m.sessions("alice")) == 2, 10, "two logins")
    time.sleep(0.5)
    check_quota(m.sessions("alice")[0], 0.5, 3, of_user=True)


def login_cpu_weight_is_in_force(m):
    m.policy("[default]\nCPUWeight=50\n")
    m.spawn_ssh("alice", "sleep 60")
    session = m.session("alice")
    if is_v2():
        equal(session.read("cpu", "cpu.weight"), "50")
    else:
        equal(session.read("cpu", "cpu.shares"), "512")


def login_runs_on_the_allowed_cpus(m):
    if os.cpu_count() < 2:
        skip("there is only one CPU")
    m.policy("[default]\nAllowedCPUs=1\n")
    equal(m.ssh("alice", "nproc; grep Cpus_allowed_list /proc/self/status; taskset -c 0 true || echo refused").lines,
          ["1", "Cpus_allowed_list:\t1", "refused"])


def login_is_refused_where_an_allowed_cpu_does_not_exist(m):
    m.policy("[default]\nAllowedCPUs=4000\n")
    refused(m, r"cpuset\.cpus|AllowedCPUs")


# ---- I/O ----


def has_io_weight(m) -> bool:
    if is_v2():
        return os.path.exists(f"{m.group}/io.weight")
    probe = f"{CGROUPS}/blkio/{m.tag}"
    os.mkdir(probe)
    found = any(os.path.exists(f"{probe}/{name}") for name in ("blkio.weight", "blkio.bfq.weight"))
    os.rmdir(probe)
    return found


def login_io_weight_is_in_force_or_refused_with_its_name(m):
    m.policy("[default]\nIOWeight=50\n")
    if not has_io_weight(m):
        refused(m, "IOWeight.*(blkio|io).weight|(blkio|io).weight.*IOWeight")
        return
    m.spawn_ssh("alice", "sleep 60")
    session = m.session("alice")
    found = [session.read("blkio", name) for name in ("io.weight", "blkio.weight", "blkio.bfq.weight")
             if os.path.exists(f"{session.group('blkio')}/{name}")]
    check("50" in " ".join(found).split(), f"{found}")


def login_reads_from_a_device_no_faster_than_it_may(m):
    image = f"{m.directory}/disk"
    with open(image, "wb") as file:
        file.truncate(16 << 20)
    device = subprocess.run(["losetup", "--find", "--show", "--direct-io=off", image], capture_output=True, text=True)
    if device.returncode:
        skip(f"no loop device: {device.stderr.strip()}")
    device = device.stdout.strip()
    try:
        os.chmod(device, 0o666)
        seconds = {}
        for limit in ("infinity", "2M"):
            m.policy(f"[default]\nIOReadBandwidthMax={device} {limit}\n")
            took = m.ssh("alice", f"s=$(date +%s%N); dd if={device} of=/dev/null bs=64k count=96 iflag=direct 2>&1; echo took $(($(date +%s%N) - s))").ok()
            seconds[limit] = int(took.out.split("took ")[1]) / 1e9
        rate = 96 * 65536 / seconds["2M"] / 2e6
        # The kernel lets a first slice pass at once.
        check(0.3 < rate < 1.3, f"read at {rate:.2f} of the limit")
        check(seconds["2M"] > 3 * seconds["infinity"], f"{seconds}")
        m.policy("[default]\nIOReadBandwidthMax=/dev/null 2M\n")
        refused(m, "IOReadBandwidthMax=/dev/null 2M: Block device required")
    finally:
        os.chmod(device, 0o660)
        subprocess.run(["losetup", "--detach", device], check=True)
        os.unlink(image)


# ---- where everybody is ----


def login_leader_and_all_its_processes_are_in_its_cgroup(m):
    m.spawn_ssh("alice", "sleep 60 & sleep 60")
    session = m.session("alice")
    wait_for(lambda: len(m.running("sleep 60")) == 2, 5, "its processes")
    inside = set(session.pids())
    check(session.leader in inside, "the leader is not")
    check(session.init in inside, "PID 1 is not")
    for one in m.running("sleep 60"):
        check(one.pid in inside, f"{one} is not")


def login_supervisor_is_outside_of_the_sessions_cgroup(m):
    """A hog must not be able to have it killed."""
    m.spawn_ssh("alice", "sleep 60")
    session = m.session("alice")
    check(session.supervisor not in session.pids(), "it is inside")
    equal(process(session.supervisor).name, "isolate-helper")
