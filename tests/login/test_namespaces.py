# SPDX-License-Identifier: BSD-3-Clause
"""What a login sees: namespaces of its own, and only its own things in them."""

import contextlib
import os
import re

from harness import alive, check, equal, matches, namespaces, need_program, process, wait_for

ALL_SIX = ("user", "pid", "mnt", "uts", "ipc", "cgroup")
PRINT_NAMESPACES = "for n in user pid mnt uts ipc cgroup; do echo $n $(readlink /proc/self/ns/$n); done"


def inside(result) -> dict[str, str]:
    return dict(line.split() for line in result.ok().lines)


@contextlib.contextmanager
def staying(m, short: str):
    """A login that stays, with a shell that reads commands."""
    child = m.spawn_ssh(short, "echo ready; exec sh")
    equal(child.stdout.readline(), "ready\n")
    yield child
    child.stdin.close()
    child.wait(5)


def ask(child, command: str) -> str:
    child.stdin.write(command + "\n")
    return child.stdout.readline().strip()


def login_has_six_namespaces_of_its_own(m):
    host, own = namespaces(), inside(m.ssh("alice", PRINT_NAMESPACES))
    for name in ALL_SIX:
        check(own[name] != host[name], f"{name}: {own[name]} is the host's")


def login_shares_no_namespace_with_the_users_other_login(m):
    with staying(m, "alice") as first:
        second = inside(m.ssh("alice", PRINT_NAMESPACES))
        for name in ALL_SIX:
            check(ask(first, f"readlink /proc/self/ns/{name}") != second[name], f"{name}: {second[name]} is the first login's too")


def login_has_the_same_namespaces_in_all_its_processes(m):
    out = m.ssh("alice", f"sh -c '{PRINT_NAMESPACES}'; {PRINT_NAMESPACES}").ok().lines
    equal(out[:6], out[6:])


def login_keeps_the_hosts_network(m):
    equal(m.ssh("alice", "readlink /proc/self/ns/net").ok().out.strip(), namespaces()["net"])


def login_maps_the_user_and_nobody_else(m):
    uid = str(m.user("alice").uid)
    equal(m.ssh("alice", "cat /proc/self/uid_map").ok().out.split(), [uid, uid, "1"])


def login_maps_the_users_groups_and_no_others(m):
    wanted = sorted(os.getgrouplist(m.user("alice").name, m.user("alice").gid))
    lines = m.ssh("alice", "cat /proc/self/gid_map").ok().lines
    mapped = []
    for line in lines:
        inner, outer, count = map(int, line.split())
        equal(inner, outer)
        mapped += range(inner, inner + count)
    equal(sorted(mapped), wanted)


def login_has_the_users_ids_and_groups(m):
    alice = m.user("alice")
    gids = sorted(os.getgrouplist(alice.name, alice.gid))
    out = m.ssh("alice", "id -u; id -ru; id -g; id -un; id -G").ok().lines
    equal(out[:4], [str(alice.uid), str(alice.uid), str(alice.gid), alice.name])
    equal(sorted(map(int, out[4].split())), gids)


def login_has_no_capability(m):
    out = m.ssh("alice", "cat /proc/self/status").ok().out
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        equal(matches(rf"^{name}:\s+(\w+)$", out)[1], "0" * 16, name)


def login_sees_only_its_own_processes(m):
    lines = m.ssh("alice", "ps ax -o pid=,comm=").ok().lines
    names = [line.split(None, 1)[1] for line in lines]
    check(len(lines) <= 5, f"more than his own: {lines}")
    equal(names[0], "isolate-init")
    equal(set(names) - {"isolate-init", "ps", "bash", "sshd", m.sshd.service}, set())


def login_sees_the_users_other_login_not(m):
    with staying(m, "alice"):
        check("sleep 4321" not in m.ssh("alice", "ps axww").out, "before")
        other = m.spawn_ssh("alice", "exec sleep 4321")
        wait_for(lambda: m.running("sleep 4321"), 5, "the other login")
        check("4321" not in m.ssh("alice", "ps axww -o args= | grep -v grep").out, "sees the process of another login")
        other.kill()


def login_cannot_signal_a_process_of_the_users_outside(m):
    """The same uid, so only the PID namespace stands between."""
    alice = m.user("alice")
    outside = m.spawn("setpriv", "--reuid", str(alice.uid), "--regid", str(alice.gid), "--clear-groups", "sleep", "60")
    wait_for(lambda: process(outside.pid).uid == alice.uid, 5, "the process outside")
    matches("No such process", m.ssh("alice", f"kill -9 {outside.pid}").err)
    m.ssh("alice", "kill -9 -1")
    check(alive(outside.pid), "it was killed")
    outside.kill()
    outside.wait()


def login_cannot_signal_another_users_process(m):
    with staying(m, "bob"):
        pid = next(one.pid for one in m.strays() if one.uid == m.user("bob").uid and one.name in ("sh", "dash"))
        matches("No such process", m.ssh("alice", f"kill -9 {pid}").err)
        check(alive(pid), "it was killed")


def login_finds_no_process_of_the_host_in_proc(m):
    out = m.ssh("alice", f"ls -d /proc/{os.getpid()} /proc/{m.sshd.pid} 2>&1").out
    equal(out.count("No such file"), 2, out)


def login_has_the_policys_hostname(m):
    equal(m.ssh("alice", "hostname").ok().out, f"lab-{m.user('alice').name}\n")


def login_has_the_hosts_name_without_a_policy_for_it(m):
    equal(m.ssh("bob", "uname -n").ok().out, os.uname().nodename + "\n")


def login_hostname_takes_its_words(m):
    bob = m.user("bob")
    m.policy("[default]\nHostname=u%U-%g-%u\n")
    equal(m.ssh("bob", "uname -n").ok().out, f"u{bob.uid}-{bob.name}-{bob.name}\n")


def login_cannot_change_its_hostname(m):
    check(m.ssh("alice", "hostname elsewhere").status != 0, "hostname(1) succeeded")


def login_finds_tmp_empty_and_writable_and_not_its_own(m):
    for path in ("/tmp", "/var/tmp", "/dev/shm"):
        result = m.ssh("alice", f"ls -A {path}; stat -c '%u %a' {path}; echo hello > {path}/x && cat {path}/x").ok()
        owner, mode = result.lines[0].split()
        equal(mode, "1777", path)
        check(int(owner) != m.user("alice").uid, f"{path} is hers")
        equal(result.lines[1:], ["hello"], path)


def login_leaves_no_file_in_the_hosts_tmp(m):
    name = m.tag + "-file"
    m.ssh("alice", f"touch /tmp/{name} /var/tmp/{name} /dev/shm/{name}").ok()
    for path in ("/tmp", "/var/tmp", "/dev/shm"):
        check(not os.path.exists(f"{path}/{name}"), f"{path}/{name} is the host's")


def login_does_not_see_the_other_logins_tmp(m):
    with staying(m, "alice") as first:
        equal(ask(first, "touch /tmp/first && echo made"), "made")
        equal(m.ssh("alice", "ls -A /tmp").ok().out, "")


def login_cannot_mount(m):
    check(m.ssh("alice", "PATH=$PATH:/sbin mount -t tmpfs none /tmp").status != 0, "mount(8) succeeded")
    check(m.ssh("alice", "PATH=$PATH:/sbin umount /tmp").status != 0, "umount(8) succeeded")


def login_mounts_are_nosuid(m):
    for line in m.ssh("alice", "cat /proc/self/mountinfo").ok().lines:
        check("nosuid" in line.split()[5].split(","), f"not nosuid: {line}")


def login_gets_nothing_from_a_setuid_program(m):
    program = f"{m.directory}/setuid-id"
    m.call("cp", "/usr/bin/id", program).ok()
    os.chmod(program, 0o4755)
    equal(m.ssh("alice", f"{program} -u").ok().out, f"{m.user('alice').uid}\n")
    os.unlink(program)


def login_starts_a_program_with_file_capabilities_without_them(m):
    need_program("setcap")
    program = f"{m.directory}/capable-cat"
    m.call("cp", "/usr/bin/cat", program).ok()
    m.call("setcap", "cap_dac_override+ep", program).ok()
    equal(matches(r"^CapEff:\s+(\w+)$", m.ssh("alice", f"{program} /proc/self/status").ok().out)[1], "0" * 16)
    os.unlink(program)


def login_may_make_a_user_namespace_inside(m):
    need_program("unshare")
    equal(m.ssh("alice", "unshare -Ur id -u").ok().out, "0\n")


def login_has_isolate_init_as_pid_1_as_neither_root_nor_the_user(m):
    with staying(m, "alice"):
        init = process(m.session("alice").init)
        equal(init.name, "isolate-init")
        check(init.uid not in (0, m.user("alice").uid), f"uid {init.uid}")
        status = open(f"/proc/{init.pid}/status").read()
        for name in ("CapPrm", "CapEff", "CapBnd"):
            equal(matches(rf"^{name}:\s+(\w+)$", status)[1], "0" * 16, name)
        equal(re.search(r"^NSpid:.*\t(\d+)$", status, re.M)[1], "1")


def login_pid_1_holds_no_fd_but_its_report(m):
    with staying(m, "alice"):
        pid = m.session("alice").init
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        check(all(link.startswith(("/dev/null", "socket:", "pipe:", "anon_inode:")) for link in links), f"{links}")


def login_pid_1_survives_every_signal_from_inside(m):
    result = m.ssh("alice", "kill -9 1; kill -STOP 1; kill -TERM 1; kill -SEGV 1; echo still here; ps -p 1 -o stat=,comm=")
    equal(result.lines[0], "still here")
    matches(r"^S\S*\s+isolate-init$", result.lines[1])


def login_pid_1_survives_prlimit_from_inside(m):
    result = m.ssh("alice", "prlimit --pid 1 --cpu=1:1; prlimit --pid 1 --as=1:1; sleep 0.1; ps -p 1 -o comm=")
    equal(result.err.count("Operation not permitted") + result.err.count("Permission denied"), 2, result.err)
    equal(result.out, "isolate-init\n")


def login_pid_1_reaps_orphans(m):
    out = m.ssh("alice", "for i in 1 2 3 4 5; do (sleep 0.05 &); done; sleep 0.4; ps ax -o stat=,comm=").ok().out
    check("defunct" not in out and not re.search(r"^Z", out, re.M), f"zombies: {out}")


def login_cannot_look_into_pid_1(m):
    out = m.ssh("alice", "cat /proc/1/environ; ls /proc/1/fd /proc/1/root; readlink /proc/1/ns/mnt /proc/1/exe; cat /proc/1/mem").err
    check(out.count("Permission denied") >= 3, out)
    equal(m.ssh("alice", "readlink /proc/1/exe").out, "")


def login_has_a_private_runtime_directory(m):
    alice = m.user("alice")
    host = f"/run/user/{alice.uid}"
    made = not os.path.exists(host)
    os.makedirs(host, exist_ok=True)
    with open(f"{host}/bus", "w") as file:
        file.write("the host's")
    try:
        result = m.ssh("alice", "echo $XDG_RUNTIME_DIR; stat -c '%u %a' $XDG_RUNTIME_DIR; ls -A $XDG_RUNTIME_DIR; ls -A /run/user").ok()
        equal(result.lines, [host, f"{alice.uid} 700", str(alice.uid)])
        m.ssh("alice", "echo mine > $XDG_RUNTIME_DIR/x && cat $XDG_RUNTIME_DIR/x").ok()
        equal(os.listdir(host), ["bus"])
    finally:
        os.unlink(f"{host}/bus")
        if made:
            os.rmdir(host)


def login_has_a_message_queue_file_system_of_its_own(m):
    check("mqueue" in m.ssh("alice", "grep ' /dev/mqueue ' /proc/self/mountinfo; true").ok().out or not os.path.isdir("/dev/mqueue"),
          "/dev/mqueue is the host's")


def login_does_not_reach_sysv_memory_of_the_host_or_of_another_login(m):
    need_program("ipcmk", "ipcs", "ipcrm")
    made = matches(r"(\d+)", m.call("ipcmk", "-M", "64", "-p", "0666").ok().out)[1]
    try:
        with staying(m, "alice") as first:
            check("id: " in ask(first, "ipcmk -M 64 -p 0666"), "ipcmk failed")
            equal(re.findall(r"^0x", m.ssh("alice", "ipcs -m").ok().out, re.M), [])
            equal(len(re.findall(r"^0x", m.call("ipcs", "-m", "-i", made).ok().out + m.call("ipcs", "-m").ok().out, re.M)), 1)
    finally:
        m.call("ipcrm", "-m", made).ok()


def login_does_not_reach_posix_memory_of_another_login(m):
    make = "python3 -c 'from multiprocessing import shared_memory as s; s.SharedMemory(\"pit\", True, 64)'"
    with staying(m, "alice") as first:
        equal(ask(first, "touch /dev/shm/pit-memory && ls /dev/shm"), "pit-memory")
        equal(m.ssh("alice", "ls -A /dev/shm").ok().out, "")
    m.ssh("alice", make).ok()


def login_sees_no_cgroup_of_others(m):
    with staying(m, "bob"):
        out = m.ssh("alice", "find /sys/fs/cgroup -maxdepth 3; cat /proc/self/cgroup").ok().out
        check(str(m.user("bob").uid) not in out, out)
        for line in re.findall(r"^\d+:.*$", out, re.M):
            if not re.search(r":(devices|name=systemd|):|^0::", line) and not line.endswith(":/"):
                check(re.search(r"^\d+:(cpuset|blkio):", line), f"outside of its own cgroup: {line}")


def login_cannot_trace_or_read_its_sshd(m):
    """The child of sshd that serves the connection runs as the user, outside of U."""
    out = m.ssh("alice", "for p in /proc/[0-9]*; do read -r c < $p/comm; case $c in *sshd) cat $p/environ; readlink $p/root; cat $p/maps; esac; done")
    equal(out.out, "")
    check("Permission denied" in out.err, out.err)
