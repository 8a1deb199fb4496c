# SPDX-License-Identifier: BSD-3-Clause
"""What stands around a login: mounts, /proc, handles, groups, the kernel's other doors, set-id programs, keys."""

import contextlib
import ctypes
import json
import os
import shutil
import socket
import subprocess

from attack import all_are, as_user, decode, expect, inside, leader_argv, programs, python_argv, sysctl, line
from harness import Failed, Master, check, equal, libc, matches, read_text, run, skip, wait_for, write_text

NOT_THERE = frozenset({"EACCES", "EPERM", "ENOENT", "ENOSYS"})
DENIED = frozenset({"EACCES", "EPERM"})


@contextlib.contextmanager
def marker(m):
    """A file in the host's own /tmp, /var/tmp and /dev/shm: nobody in a sandbox may see it."""
    name = m.tag + "marker"
    paths = [f"{folder}/{name}" for folder in ("/tmp", "/var/tmp", "/dev/shm")]
    for path in paths:
        write_text(path, "of the host's\n", 0o666)
    try:
        yield name
    finally:
        for path in paths:
            os.unlink(path)


def logged_out(m) -> None:
    """For tests that have to clean up a mount before the runner looks."""
    def gone() -> bool:
        m.reap()
        return not m.sessions()
    wait_for(gone, 5, "the end of the logins")


# ---- mounts: rows 4, 7, 33, 34 -------------------------------------------------


def attack_link_for_roots_log(m):
    """Row 4: a hook of root's writes to /tmp at the end. It runs at home, so the user's link is not there; and if it were, it is
    not followed, for the private /tmp is root's."""
    victim, log = f"{m.directory}/victim", f"/tmp/{m.tag}hook.log"
    write_text(victim, "mine\n", 0o600)
    with sysctl("fs.protected_symlinks", "1"):
        m.sshd.pam(after=f"session optional pam_exec.so type=close_session log={log} /bin/true")
        m.ssh("alice", f"ln -s {victim} {log}").ok()
        wait_for(lambda: os.path.exists(log), 5, "the log in the host's /tmp")
        os.unlink(log)
        m.nothing_left()
        # The same with the hook first: then the leader is still in the sandbox's view.
        m.sshd.pam(before=f"session optional pam_exec.so type=close_session log={log} /bin/true")
        m.ssh("alice", f"ln -s {victim} {log}").ok()
        m.nothing_left()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(log)
    equal(read_text(victim), "mine\n", "what root wrote through the user's link")


def attack_private_directories_are_roots(m):
    done = m.ssh("alice", "stat -c '%n %a %u:%g' /tmp /var/tmp /dev/shm; chmod 777 /tmp; chown $(id -u) /tmp; rm -rf /tmp; mount -o remount,suid /tmp")
    # Root is not mapped: 65534 stands for him.
    equal(done.lines, [f"{path} 1777 65534:65534" for path in ("/tmp", "/var/tmp", "/dev/shm")])
    equal(done.err.count("not permitted"), 2, done.err)
    m.nothing_left()
    leader = m.spawn_ssh("alice", "echo here; exec sleep 30")
    equal(line(leader), "here\n")
    view = f"/proc/{m.session('alice').leader}/root/tmp"
    wait_for(lambda: os.stat(view).st_dev != os.stat("/tmp").st_dev, 3, "the leader's view")
    got = os.stat(view)
    equal((got.st_uid, got.st_gid, got.st_mode & 0o7777), (0, 0, 0o1777), "owner of /tmp as root sees it")
    leader.kill()


def attack_nested_root_and_the_mounts(m):
    """Row 33: root of a user namespace of his own works on everything that hides something."""
    with marker(m) as name:
        got = inside(m, "alice", "nested", name, timeout=60)
    wanted = {key: "EINVAL" for key in got}
    for key in got:
        if key.startswith(("remount ", "clear ")):
            wanted[key] = "EPERM"
    wanted["open_tree -r /"] = wanted["pivot_root"] = "not seen"
    check(len(got) > 50, f"only {len(got)}")
    expect(got, wanted)


def attack_bind_over_a_shell_is_his_own(m):
    """Row 34."""
    expect(inside(m, "alice", "own", "x"), {"bind over bash": "0", "bash": "3"})
    equal(m.ssh("alice", "exit 4").status, 4)


def attack_new_mounts(m):
    got = inside(m, "alice", "mounts")
    wanted = {key: "EPERM" for key in got}
    # binfmt_misc is one for each user namespace since 6.7; a picked mount cannot be reconfigured.
    wanted.update({"mount binfmt_misc": {"EPERM", "ENODEV", "done"}, "fspick /": {"EPERM", "done"}})
    for kind in ("debugfs", "tracefs", "securityfs", "configfs", "pstore", "bpf", "devtmpfs"):
        wanted[f"mount {kind}"] = {"EPERM", "ENODEV"}
    expect(got, wanted)


def in_shared_mounts(m, *argv: str, **options):
    """In a mount namespace that is all shared, as systemd leaves it."""
    return m.spawn("unshare", "--mount", "--propagation", "shared", *argv, **options)


def attack_late_mounts_of_the_host(m):
    """A mount over /tmp, and its end, come from the host: the private /tmp stays on top; a set-id program on it gives nothing."""
    script = python_argv(m, "probe.py", "paths", f"/tmp/{m.tag}late", f"/tmp/{m.tag}mine")
    command = f"touch /tmp/{m.tag}mine; echo ready; read x; {script}; read x; {script}"
    child = in_shared_mounts(m, *leader_argv(m, "alice", "plain", "/bin/bash", "bash", "-c", command), stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True, bufsize=1)
    equal(line(child), "ready\n")
    # The leader is in the sandbox's view now; the supervisor stayed where the host's mounts are made.
    host = ["nsenter", "--mount", "--target", str(m.session("alice").supervisor)]
    late = (("mount", "-t", "tmpfs", "late", "/tmp"), ("umount", "/tmp"))
    for command in late:
        run(*host, *command)
        if command[0] == "mount":
            run(*host, "touch", f"/tmp/{m.tag}late")
        child.stdin.write("\n")
        got = line(child)
        check('late": "not seen"' in got and 'mine": "seen"' in got, f"after {command[0]}: {got}")
    equal(child.wait(10), 0)


# ---- other processes: rows 27, 30, 38 --------------------------------------------


def attack_init(m):
    """Rows 23, 26, 27: everything one can do to PID 1."""
    got = inside(m, "alice", "init", timeout=60)
    wanted = {key: DENIED for key in got}
    wanted["sched-core"] = {"EPERM", "EINVAL", "ENODEV"}
    for key in got:
        if key.startswith("kill ") or key in ("prlimit", "sched_setaffinity", "ptrace-attach", "pidfd_send_signal", "setns-pidfd"):
            wanted[key] = "EPERM"
    expect(got, wanted)
    equal(m.ssh("alice", "kill -9 1; kill -STOP 1; echo alive").out, "alive\n")


def attack_init_from_a_nested_namespace(m):
    got = inside(m, "alice", "init_nested", timeout=60)
    expect(got, {key: {"EPERM", "EINVAL", "ENODEV"} if key == "sched-core" else DENIED for key in got})


def attack_sshds_child(m):
    """Row 27: it has his uid, and is not in his user namespace."""
    for table in ("sshd", "sshd_nested"):
        got = inside(m, "alice", table, timeout=60)
        check(len(got) > 30, f"only {len(got)}")
        expect(got, {key: {"EPERM", "EINVAL", "ENODEV"} if key == "sched-core" else DENIED for key in got})


def attack_other_processes_are_not_there(m):
    """Neither the host's nor those of another login of his own."""
    other = m.spawn_ssh("alice", "echo here; exec sleep 30")
    equal(line(other), "here\n")
    done = m.ssh("alice", "ps -eo pid,user,comm --no-headers; pkill sleep; pgrep sleep")
    names = [line.split()[2] for line in done.lines]
    check("sleep" not in names and len(names) <= 6, f"seen: {names}")
    check(other.poll() is None, "the other login's process was killed")
    bob = m.spawn_ssh("bob", "echo here; exec sleep 30")
    equal(line(bob), "here\n")
    equal(m.ssh("alice", f"ps -u {m.user('bob').name} --no-headers").out, "")


def attack_other_proc_of_the_host(m):
    """Row 38: a chroot's /proc, mounted by the host, lies in the view. It is covered, so that nobody is named there."""
    path = f"{m.directory}/chroot-proc"
    os.makedirs(path, exist_ok=True)
    run("mount", "-t", "proc", "proc", path)
    try:
        user = m.user("alice")
        outside = m.spawn("setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups", "sleep", "60")
        wait_for(lambda: os.stat(f"/proc/{outside.pid}").st_uid == user.uid, 3, "the sleeper")
        own = inside(m, "alice", "other_proc", path, str(outside.pid))
        root = inside(m, "alice", "other_proc", path, str(m.sshd.pid))
        outside.kill()
        logged_out(m)
    finally:
        run("umount", path)
    for got in (own, root):
        equal(got.pop("seen"), "no", "the host's processes in another procfs")
        all_are(got, "ENOENT")


# ---- handles: row 43 ----------------------------------------------------------------


class Handle(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint), ("kind", ctypes.c_int), ("data", ctypes.c_ubyte * 128)]


def attack_file_handles(m):
    """The host's /tmp, which the private one covers, by its handle; namespaces and processes by theirs."""
    handle, mount_id = Handle(size=128), ctypes.c_int()
    if libc.name_to_handle_at(-100, b"/tmp", ctypes.byref(handle), ctypes.byref(mount_id), 0) < 0:
        skip("the file system of /tmp has no file handles")
    got = inside(m, "alice", "handles", str(handle.kind), bytes(handle.data[:handle.size]).hex(), timeout=60)
    without = {"EOPNOTSUPP", "EBADF", "ESTALE", "EINVAL"}
    for suffix in ("", ", nested"):
        equal(got.pop("hidden directory" + suffix), "EPERM", "hidden directory" + suffix)
        check(got[f"namespaces{suffix}"] in {"none of True"} | without, got)
        check(got[f"processes{suffix}"] in {"none, but own True"} | without, got)


# ---- groups: rows 36, 37 ---------------------------------------------------------------


def attack_cgroups(m):
    """
    Rows 36, 37: no group can be written, by whatever path. In the v1 hierarchies that count and limit, nothing but one's own is to be seen; the others,
    which the session has no group in, show the names of the host's groups (SECURITY.md).
    """
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        skip("this machine has cgroup v2 alone: tests/vm has one")
    m.policy("[default]\nMemoryMax=64M\nTasksMax=64\nCPUQuota=100%\n")
    bob = m.spawn_ssh("bob", "echo here; exec sleep 60")
    equal(line(bob), "here\n")
    got = inside(m, "alice", "cgroups", timeout=60)
    own = ("memory", "pids", "cpu", "cpuacct")
    wanted = {f"v1 {name}": "writes EACCES, mkdir EACCES, others 0, release_agent no" for name in own}
    for name in [name for name in got if name.startswith("v1 ") and name not in wanted]:
        check(got.pop(name).startswith("writes EACCES, mkdir EACCES, "), f"{name} can be written")
    wanted.update({"write what is shown": "no such file", "shown": "", "named hierarchy": "EPERM", "all controllers": "EPERM",
                   "release_agent option": {"EPERM", "EINVAL"}, "without cgroupns": "EPERM", "v2": "writes EACCES, mkdir EACCES"})
    expect({key: value for key, value in got.items() if value not in ("ENODEV", "ENOENT")}, wanted)


def attack_cgroup_writes(m):
    """The part of the test above that is the limits': whatever is seen, nothing is written."""
    got = inside(m, "alice", "cgroups", timeout=60)
    for key, value in got.items():
        check("mkdir done" not in value and "writes done" not in value and " done" not in value, f"{key}: {value}")


def attack_cgroup_paths(m):
    """/proc/self/cgroup says nothing of where the session is."""
    all_are(inside(m, "alice", "cgroup_paths"), "/")


def attack_cgroup_by_the_leaders_path(m):
    """The host's tree, as the leader's view and sshd's child have it."""
    done = m.ssh("alice", "for f in $(find /sys/fs/cgroup /proc/1/root/sys/fs/cgroup /proc/2/root/sys/fs/cgroup -name cgroup.procs 2>/dev/null); "
                          "do echo 0 > $f && echo $f; done; true")
    equal((done.status, done.out), (0, ""))


# ---- the kernel's other doors -----------------------------------------------------------


def attack_kernel_interfaces(m):
    if read_text("/proc/sys/kernel/dmesg_restrict").strip() != "1":
        skip("kernel.dmesg_restrict=0 shows the log to everybody")
    got = inside(m, "alice", "kernel", timeout=60)
    wanted = {key: NOT_THERE for key in got}
    wanted["setuid 0"] = "EINVAL"
    wanted["setgroups"] = wanted["mknod"] = wanted["reboot"] = wanted["packet socket"] = wanted["netlink address"] = "EPERM"
    wanted["io_uring"] = {"done", "EPERM", "ENOSYS"}
    for key in got:
        if key.startswith("perf"):
            wanted[key] = NOT_THERE | {"EINVAL"}
    expect(got, wanted)


# ---- set-id programs, capabilities: rows 19, 20 -----------------------------------------------


def prepare_set_id(m) -> str:
    folder = f"{m.directory}/set-id"
    if not os.path.isdir(folder):
        os.mkdir(folder)
        for name, owner, group, mode in (("suid-id", 0, 0, 0o4755), ("sgid-id", 0, 0, 0o2755), ("other-id", m.user("bob").uid, 0, 0o4755)):
            shutil.copy("/usr/bin/id", f"{folder}/{name}")
            os.chown(f"{folder}/{name}", owner, group)
            os.chmod(f"{folder}/{name}", mode)
        shutil.copy("/usr/bin/cat", f"{folder}/capable-cat")
        run("setcap", "cap_net_raw,cap_dac_override,cap_sys_admin+ep", f"{folder}/capable-cat")
    return folder


def attack_set_id_programs(m):
    folder, user = prepare_set_id(m), m.user("alice")
    equal(as_user(m, "alice", f"{folder}/suid-id", "-u").out, "0\n", "the control")
    got = inside(m, "alice", "set_id", folder)
    none = "0" * 16
    # Nested, 0 is what he calls himself.
    expect(got, {"setuid id": str(user.uid), "setgid id": str(user.gid), "setuid of another": str(user.uid),
                 "capable cat": f"CapPrm:{none}CapEff:{none}", "through ld.so": str(user.uid), "setuid id, nested": "0",
                 "setgid id, nested": "0", "setuid of another, nested": "0", "through ld.so, nested": "0"})
    write_text(f"{user.home}/read", "x", 0o600)
    os.chown(f"{user.home}/read", 0, 0)
    done = m.ssh("alice", f"{folder}/capable-cat ~/read; unshare -Ur {folder}/capable-cat ~/read; unshare -Ur cat ~/read")
    os.unlink(f"{user.home}/read")
    equal((done.out, done.err.count("Permission denied")), ("", 3), "reading root's file")


def attack_set_id_tools(m):
    all_are(inside(m, "alice", "set_id_tools", "root"), "exit 1")
    for command in ("sudo -n true", "newuidmap $$ 0 0 1", "crontab -l", "ping -c 1 -I lo 127.0.0.1"):
        if shutil.which(command.split()[0]):
            got = m.ssh("alice", f"{command} >/dev/null 2>&1; grep -E '^Cap' /proc/self/status | tr -d ':[:alpha:][:space:]0'; id -u").out
            equal(got.strip(), str(m.user("alice").uid), command)
    if shutil.which("sudo"):
        done = m.ssh("alice", "sudo -n id -u")
        equal((done.status, done.out), (1, ""), "sudo")
        matches("effective uid is not 0|must be owned by uid 0", done.err, "sudo")


def attack_set_id_on_a_file_system_of_his_own(m):
    """A nested namespace's own tmpfs may be mounted suid: his own ids are all it can give."""
    done = m.ssh("alice", "unshare -Urm sh -c 'mount -t tmpfs -o suid,exec x /mnt && cp /usr/bin/id /mnt/ && chmod 6755 /mnt/id && /mnt/id -u; "
                          "grep -c . /proc/self/uid_map; cat /proc/self/uid_map'")
    equal(done.lines[-1].split(), ["0", str(m.user("alice").uid), "1"])


# ---- keys --------------------------------------------------------------------------------


def attack_keys_of_another_login(m):
    """Keyrings hang on the user namespace: what one login stores, another does not find, nor read by its number."""
    name = m.tag + "key"
    master = Master(m, "alice")
    put = decode(master.ssh(python_argv(m, "probe.py", "keys_put", name)))
    check(all(value.isdigit() for value in put.values()), put)
    for short in ("alice", "bob"):
        got = inside(m, short, "keys_find", name, *put.values())
        listed = got.pop("listed")
        check(all(value in ("ENOKEY", "EACCES", "EPERM") for value in got.values()), f"{short}: {got}")
        check(short == "alice" or listed == "no", "bob sees alice's keys")
    master.close()


# ---- sftp: row 29 ------------------------------------------------------------------------


def attack_sftp(m):
    """internal-sftp runs outside of the user namespace: what a batch can make it write."""
    batch = "\n".join(f"-{line}" for line in (
        "put /etc/hostname /proc/self/mem", "put /etc/hostname /proc/self/oom_score_adj", "put /etc/hostname /proc/1/mem",
        "put /etc/hostname /proc/self/uid_map", "get /proc/self/root/etc/shadow /dev/null", "get /proc/self/environ /dev/null",
        "ls /proc/self/root/proc/1/root", "rename /bin/bash /bin/bash2", "symlink /etc/shadow /tmp/link", "get /tmp/link /dev/null",
        "ls /proc/self/fd", "ls -n /sys/fs/cgroup/memory", "chmod 4755 /bin/bash", "put /etc/hostname /sys/fs/cgroup/memory/cgroup.procs")) + "\n"
    done = m.call("sftp", *m.client_options(None), "-b", "-", m.address("alice"), input=batch)
    wrong = [line for line in done.err.splitlines() if "Uploading" in line and "100%" in line]
    check(not wrong, wrong)
    for path in ("/proc/self/mem", "/proc/1/mem", "/proc/self/uid_map", "/sys/fs/cgroup/memory/cgroup.procs"):
        matches(rf'dest open .*"?{path}"?.*: (Permission denied|No such file|Failure)', done.err, path)
    for path in ("/etc/shadow", "/tmp/link"):
        matches(rf'open .*"{path if path != "/etc/shadow" else "/proc/self/root/etc/shadow"}": Permission denied', done.err, path)


# ---- the colluder: row 30 -----------------------------------------------------------------


def attack_fd_of_the_hosts_root(m):
    """Row 30: bob, on the host, hands over a directory of the host's by an abstract socket. It is only a view: what is written
    down is what must not come of it."""
    prepare_set_id(m)
    name = f"\0{m.tag}socket"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(name)
    listener.listen(1)
    child = m.spawn_ssh("alice", python_argv(m, "receive.py", m.tag + "socket", str(m.sshd.pid)))
    listener.settimeout(10)
    peer, _ = listener.accept()
    fd = os.open("/", os.O_RDONLY)
    socket.send_fds(peer, [b"x"], [fd])
    out, err = child.communicate(timeout=10)
    listener.close()
    try:
        got = json.loads(out.splitlines()[-1])
    except (IndexError, ValueError):
        raise Failed(f"{out} {err}") from None
    expect(got, {"setuid su": str(m.user("alice").uid), "root of sshd": DENIED, "mem of sshd": DENIED, "signal to sshd": {"EINVAL", "EPERM"},
                 "shell of the host": "own user namespace", "cgroup.procs": {"EACCES", "EPERM", "none"}})
