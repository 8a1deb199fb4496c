# SPDX-License-Identifier: BSD-3-Clause
"""Limits where systemd owns the control groups: who shows them, and that they hold."""

import time

from cases import on
from harness import check, equal, matches, wait_for

MIB = 1 << 20
EAT = "python3 -c 'import time; x = b\"x\" * ({} << 20); print(\"eaten\", flush=True); time.sleep({})'"


def properties(vm, unit: str, *names: str) -> dict[str, str]:
    text = vm.root(f"systemctl show {unit} -p {','.join(names)}").ok().out
    return dict(line.split("=", 1) for line in text.splitlines())


def in_group(vm, path: str, *files: str) -> list[str]:
    return vm.root(" && ".join(f"cat {path}/{file}" for file in files)).ok().lines


def check_limits(vm, login) -> None:
    """What vm.POLICY says of students."""
    equal(properties(vm, login.scope, "MemoryMax", "TasksMax", "CPUQuotaPerSecUSec"),
          {"MemoryMax": str(128 * MIB), "TasksMax": "64", "CPUQuotaPerSecUSec": "1.500000s"}, "the scope")
    equal(in_group(vm, login.group, "memory.max", "pids.max", "cpu.max"), [str(128 * MIB), "64", "150000 100000"], "its files")
    equal(properties(vm, login.slice, "MemoryMax"), {"MemoryMax": str(192 * MIB)}, "the user's slice")
    equal(in_group(vm, f"{login.group}/..", "memory.max"), [str(192 * MIB)], "its file")


def vm_limits_are_shown_by_systemd(vm):
    check_limits(vm, vm.login("alice"))


def vm_limits_are_seen_inside(vm):
    got = vm.ssh("alice", "cat /proc/self/cgroup; cd /sys/fs/cgroup && cat memory.max pids.max cpu.max").ok().lines
    equal(got, ["0::/", str(128 * MIB), "64", "150000 100000"])


def vm_each_namespace_is_her_own(vm):
    names = "user mnt pid uts ipc cgroup"
    links = f"cd /proc/self/ns && readlink {names}"
    inside, outside = vm.ssh("alice", links).ok().lines, vm.root(links).lines
    equal([one for one in inside if one in outside], [])
    equal(vm.ssh("alice", "hostname").out, "lab-alice\n")


def vm_logind_shows_her_processes(vm):
    login = vm.login("alice")
    login.send("sleep 54321")
    status = f"loginctl session-status {login.id} --no-pager"
    wait_for(lambda: "sleep 54321" in vm.root(status).out, 10, "the process in session-status")
    matches("sleep 54321", vm.root(f"systemd-cgls --no-pager -u {login.slice}").out, "systemd-cgls")
    matches(r"^\s*Leader: \d+ \(sshd", vm.root(status).out)


def vm_a_hog_is_killed_and_the_login_lives(vm):
    login = vm.login("alice")
    got = login.run(EAT.format(300, 0))
    equal((got.status, "eaten" in got.lines), (137, False), got.out)
    equal(login.run("echo alive").out, "alive\n")
    matches(r"^oom_kill [1-9]", vm.root(f"cat {login.group}/memory.events").out)


def vm_cpu_quota_is_in_force(vm):
    vm.policy("[default]\nCPUQuota=20%\n")
    login = vm.login("alice")
    login.send("for i in 1 2; do timeout 60 sh -c 'while :; do :; done' & done")
    time.sleep(1)

    def sample() -> tuple[float, float]:
        words = vm.root(f"cat /proc/uptime {login.group}/cpu.stat").ok().out.split()
        return float(words[0]), int(words[words.index("usage_usec") + 1]) / 1e6

    (start, before), _, (end, after) = sample(), time.sleep(6), sample()
    share = (after - before) / (end - start)
    check(0.10 < share < 0.26, f"two busy loops had {share:.0%} of a CPU")


def vm_a_fork_bomb_meets_its_limit(vm):
    login = vm.login("alice")
    login.send("sh -c 'bomb() { bomb | bomb & }; bomb' 2>/dev/null")
    wait_for(lambda: not vm.root(f"cat {login.group}/pids.events").out.startswith("max 0"), 30, "the limit on tasks")
    check(int(vm.root(f"cat {login.group}/pids.current").out) <= 64, "more than 64 tasks")
    vm.ssh("teacher", "true").ok()


def vm_all_logins_of_a_user_share_his_cap(vm):
    vm.policy("[default]\nMemoryMax=100M\nUserMemoryMax=120M\n")
    first, second = vm.login("alice"), vm.login("alice")
    check(first.scope != second.scope, "both logins are one session")
    equal(first.run(EAT.format(70, 0)).out, "eaten\n")
    first.send(EAT.format(70, 600) + " &")
    wait_for(lambda: int(vm.root(f"cat {first.group}/memory.current").out) > 70 * MIB, 20, "the first login's 70 MiB")
    second.run(EAT.format(70, 2))
    matches(r"^oom_kill [1-9]", vm.root(f"cat {first.group}/../memory.events").out)


def vm_limits_outlive_daemon_reload(vm):
    first = vm.login("alice")
    vm.root("systemctl daemon-reload").ok()
    check_limits(vm, first)
    second = vm.login("alice")
    vm.root("systemctl daemon-reload").ok()
    check_limits(vm, first)
    check_limits(vm, second)


def vm_a_user_cannot_lift_his_limits(vm):
    login = vm.login("alice")
    call = "busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager SetUnitProperties"
    for command in (f"systemctl set-property {login.scope} MemoryMax=infinity",
                    f"systemctl set-property {login.slice} MemoryMax=infinity",
                    f"{call} 'sba(sv)' {login.scope} true 1 MemoryMax t 18446744073709551615",
                    "sh -c 'echo max >/sys/fs/cgroup/memory.max'"):
        check(login.run(command).status != 0, f"{command}: did not fail")
    check_limits(vm, login)


def vm_the_rest_of_the_limits(vm):
    vm.policy("[default]\nMemoryMax=128M\nMemoryHigh=100M\nMemorySwapMax=0\nCPUWeight=50\nAllowedCPUs=1\nIOWeight=200\n")
    login = vm.login("alice")
    equal(in_group(vm, login.group, "memory.high", "memory.swap.max", "cpu.weight", "cpuset.cpus"),
          [str(100 * MIB), "0", "50", "1"])
    equal(properties(vm, login.scope, "MemoryHigh", "MemorySwapMax", "CPUWeight", "AllowedCPUs", "IOWeight"),
          {"MemoryHigh": str(100 * MIB), "MemorySwapMax": "0", "CPUWeight": "50", "AllowedCPUs": "1", "IOWeight": "200"})
    equal(login.run("nproc").out, "1\n")


def vm_pressure_is_readable_inside(vm):
    got = vm.ssh("alice", "cat /sys/fs/cgroup/memory.pressure /sys/fs/cgroup/cpu.pressure").ok()
    matches("^some avg10=", got.out)


def vm_writes_are_as_slow_as_the_policy_says(vm):
    """Direct I/O to the root disk, 6 MiB at 1 MiB a second."""
    vm.policy("[default]\nMemoryMax=128M\nIOWriteBandwidthMax=/dev/vda 1M\n")
    login = vm.login("alice")
    matches("wbps=1048576|wbps=1000000", vm.root(f"cat {login.group}/io.max").out)
    start = time.monotonic()
    login.run("dd if=/dev/zero of=vm-disk bs=256K count=24 oflag=direct").ok()
    seconds = time.monotonic() - start
    check(4.5 < seconds < 12, f"6 MiB were written in {seconds:.1f} s")


# ---- older hierarchies -----------------------------------------------------------------------------------------------------


def own_groups(vm, login) -> dict[str, str]:
    """{controller: directory} of a process of hers, as the host sees it."""
    login.send("sleep 54321")
    pid = wait_for(lambda: vm.root("pgrep -u alice -x sleep").out.strip(), 10, "her process")
    found = {}
    for line in vm.root(f"cat /proc/{pid}/cgroup").ok().lines:
        _, controllers, path = line.split(":", 2)
        for one in controllers.split(","):
            found[one] = f"/sys/fs/cgroup/{controllers}{path}"
    return found


@on("bookworm-hybrid", "bookworm-v1")
def vm_the_same_limits_in_older_hierarchies(vm):
    groups = own_groups(vm, vm.login("alice"))
    equal(in_group(vm, groups["memory"], "memory.limit_in_bytes"), [str(128 * MIB)])
    equal(in_group(vm, groups["pids"], "pids.max"), ["64"])
    quota, period = (int(line) for line in in_group(vm, groups["cpu"], "cpu.cfs_quota_us", "cpu.cfs_period_us"))
    equal(quota / period, 1.5, "CPUs")


@on("bookworm-hybrid", "bookworm-v1")
def vm_a_hog_is_killed_in_older_hierarchies(vm):
    login = vm.login("alice")
    got = login.run(EAT.format(300, 0))
    equal((got.status, "eaten" in got.lines), (137, False), got.out)
    equal(login.run("echo alive").out, "alive\n")


@on("bookworm-hybrid", "bookworm-v1")
def vm_a_fork_bomb_in_older_hierarchies(vm):
    login = vm.login("alice")
    groups = own_groups(vm, login)
    second = vm.login("alice")
    second.send("sh -c 'bomb() { bomb | bomb & }; bomb' 2>/dev/null")
    time.sleep(5)
    check(int(vm.root("pgrep -c -u alice").out) <= 2 * 64 + 8, "more tasks than two logins may have")
    check(groups["pids"], "no pids group")
    vm.ssh("teacher", "true").ok()


@on("bookworm-hybrid", "bookworm-v1")
def vm_limits_outlive_daemon_reload_in_older_hierarchies(vm):
    groups = own_groups(vm, vm.login("alice"))
    vm.root("systemctl daemon-reload").ok()
    vm.login("bob")
    vm.root("systemctl daemon-reload").ok()
    equal(in_group(vm, groups["memory"], "memory.limit_in_bytes"), [str(128 * MIB)])
    equal(in_group(vm, groups["pids"], "pids.max"), ["64"])


def vm_the_users_own_manager_is_under_his_cap(vm):
    """UserManager=yes is the administrator's choice; what runs by it is outside of the sandbox, but not of the limits."""
    vm.policy("[default]\nUserMemoryMax=96M\nUserManager=yes\n")
    vm.login("alice")
    events = "/sys/fs/cgroup/user.slice/user-1000.slice/memory.events"
    as_alice = "setpriv --reuid=alice --regid=alice --init-groups env XDG_RUNTIME_DIR=/run/user/1000"
    vm.root(f"{as_alice} systemctl --user is-system-running --wait")
    equal(vm.root(f"grep -c '^oom_kill 0$' {events}").out, "1\n")
    check(vm.root(f"{as_alice} systemd-run --user --wait --quiet {EAT.format(200, 0)}", timeout=120).status != 0, "it ate more than the cap")
    matches(r"^oom_kill [1-9]", vm.root(f"cat {events}").out)
