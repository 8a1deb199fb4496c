# SPDX-License-Identifier: BSD-3-Clause
"""
probe.py TABLE [WORD ...]: runs attacks inside of a login and prints one line of JSON, {attack: outcome}. An outcome is the name of
an errno, "done", or what the attack returned. Each attack runs in a process of its own, so that none spoils the next.
"""

import ctypes
import errno
import fcntl
import json
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

CLONE_NEWTIME, CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x80, 0x20000, 0x2000000, 0x4000000
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x8000000, 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC = 1, 2, 32, 4096, 8192, 16384
MNT_DETACH = 2
AT_FDCWD, AT_EMPTY_PATH, AT_RECURSIVE = -100, 0x1000, 0x8000
OPEN_TREE_CLONE = 1
NUMBERS = {name: number for number, name in (
    (101, "ptrace"), (103, "syslog"), (157, "prctl"), (165, "mount"), (166, "umount2"), (167, "swapon"), (169, "reboot"), (155, "pivot_root"),
    (163, "acct"), (172, "iopl"), (175, "init_module"), (203, "sched_setaffinity"), (246, "kexec_load"), (248, "add_key"),
    (249, "request_key"), (250, "keyctl"), (251, "ioprio_set"), (256, "migrate_pages"), (279, "move_pages"), (298, "perf_event_open"),
    (300, "fanotify_init"), (301, "fanotify_mark"), (302, "prlimit"), (303, "name_to_handle_at"), (304, "open_by_handle_at"),
    (308, "setns"), (310, "process_vm_readv"), (311, "process_vm_writev"), (312, "kcmp"), (321, "bpf"), (323, "userfaultfd"),
    (425, "io_uring_setup"), (428, "open_tree"), (429, "move_mount"), (430, "fsopen"), (431, "fsconfig"), (432, "fsmount"),
    (433, "fspick"), (434, "pidfd_open"), (438, "pidfd_getfd"), (424, "pidfd_send_signal"), (440, "process_madvise"),
    (442, "mount_setattr"), (448, "process_mrelease"), (141, "setpriority"), (144, "sched_setscheduler"), (435, "clone3"))}


class SystemCalls:
    """sc.mount(...): raises OSError."""

    def __getattr__(self, name):
        def call(*arguments):
            words = [word.encode() if isinstance(word, str) else word for word in arguments]
            words = [ctypes.c_long(word) if isinstance(word, int) else word for word in words]
            result = libc.syscall(ctypes.c_long(NUMBERS[name]), *words)
            if result < 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
            return result
        return call


sc = SystemCalls()


def outcome(action) -> str:
    try:
        value = action()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    except subprocess.SubprocessError as error:
        return str(error)
    return "done" if value is None or (isinstance(value, int) and not isinstance(value, bool)) else value


def apart(action, timeout: float = 15.0):
    """The outcome, found in a child."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read_end)
        signal.alarm(int(timeout))
        os.write(write_end, json.dumps(outcome(action)).encode())
        os._exit(0)
    os.close(write_end)
    with open(read_end, "rb") as file:
        text = file.read()
    _, status = os.waitpid(pid, 0)
    return json.loads(text) if text else f"ended with {os.waitstatus_to_exitcode(status)}"


def unshare(flags: int) -> None:
    if libc.unshare(flags) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def become_nested_root(flags: int = 0) -> None:
    """Root of a user namespace of his own, with a mount namespace of its own."""
    uid, gid = os.getuid(), os.getgid()
    unshare(CLONE_NEWUSER | CLONE_NEWNS | flags)
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", f"0 {uid} 1")
    write("/proc/self/gid_map", f"0 {gid} 1")


def nested(action, flags: int = 0):
    def inner():
        become_nested_root(flags)
        return action()
    return inner


def opened(path: str, flags: int = os.O_RDONLY):
    return lambda: os.close(os.open(path, flags))


def linked(path: str):
    return lambda: os.readlink(path)



def scratch(name: str) -> str:
    path = os.path.expanduser(f"~/{name}")
    os.makedirs(path, exist_ok=True)
    return path


def sees(path: str, marker: str) -> str:
    """After a mount succeeded: whether it shows what it must not."""
    return "SEEN" if os.path.exists(f"{path}/{marker}") else "not seen"


# ---- PID 1 and sshd's child -------------------------------------------------


def sshd_child() -> int:
    for name in sorted((name for name in os.listdir("/proc") if name.isdigit()), key=int):
        with open(f"/proc/{name}/stat") as file:
            if "sshd" in file.read().split(")")[0] and int(name) > 1:
                return int(name)
    raise OSError(errno.ESRCH, "no sshd")


def iovec(address: int, size: int) -> ctypes.Array:
    return (ctypes.c_ulong * 2)(address, size)


def read_memory(pid: int):
    room = ctypes.create_string_buffer(16)
    local, remote = iovec(ctypes.addressof(room), 16), iovec(0x400000, 16)
    sc.process_vm_readv(pid, local, 1, remote, 1, 0)


def pidfd_namespace(pid: int, number: int):
    return fcntl.ioctl(os.pidfd_open(pid), 0xFF00 + number, 0)


def on_process(pid: int) -> dict:
    """What one can do to a process; signals apart."""
    pages = (ctypes.c_ulong * 1)(0)
    found = {
        "ptrace-attach": lambda: sc.ptrace(16, pid, 0, 0),
        "ptrace-seize": lambda: sc.ptrace(0x4206, pid, 0, 0),
        "process_vm_readv": lambda: read_memory(pid),
        "process_madvise": lambda: sc.process_madvise(os.pidfd_open(pid), iovec(4096, 4096), 1, 20, 0),
        "kcmp": lambda: sc.kcmp(os.getpid(), pid, 0, 0, 0),
        "move_pages": lambda: sc.move_pages(pid, 1, pages, 0, (ctypes.c_int * 1)(), 0),
        "pidfd_getfd": lambda: sc.pidfd_getfd(os.pidfd_open(pid), 0, 0),
        "setns-pidfd": lambda: sc.setns(os.pidfd_open(pid), CLONE_NEWNS),
        "setns-pidfd-user": lambda: sc.setns(os.pidfd_open(pid), CLONE_NEWUSER),
        "pidfd-ioctl-mnt": lambda: pidfd_namespace(pid, 3),
        "pidfd-ioctl-user": lambda: pidfd_namespace(pid, 9),
        "sched-core": lambda: sc.prctl(62, 3, pid, 0, 0),
    }
    for name in ("mem", "environ", "maps", "auxv", "map_files", "fd", "fdinfo/0", "stack", "syscall", "personality", "io"):
        found[name] = opened(f"/proc/{pid}/{name}")
    for name in ("root", "cwd", "exe", "ns/mnt", "ns/user", "ns/pid"):
        found[name] = linked(f"/proc/{pid}/{name}")
    for name in ("root/etc", "ns/mnt", "cwd/."):
        found[f"open {name}"] = opened(f"/proc/{pid}/{name}")
    for name in ("mem", "clear_refs", "timerslack_ns", "coredump_filter", "setgroups", "uid_map"):
        found[f"write {name}"] = lambda name=name: write(f"/proc/{pid}/{name}", "0")
    return found


def ids_on_process(pid: int) -> dict:
    """What the ids alone decide."""
    return {
        "prlimit": lambda: sc.prlimit(pid, 0, struct.pack("QQ", 1, 1), 0),
        "prlimit-read": lambda: sc.prlimit(pid, 0, 0, ctypes.create_string_buffer(16)),
        "sched_setaffinity": lambda: sc.sched_setaffinity(pid, 8, struct.pack("Q", 1)),
        "sched_setscheduler": lambda: sc.sched_setscheduler(pid, 3, struct.pack("i", 0)),
        "setpriority": lambda: sc.setpriority(0, pid, 19),
        "ioprio_set": lambda: sc.ioprio_set(1, pid, 3 << 13),
        "migrate_pages": lambda: sc.migrate_pages(pid, 64, (ctypes.c_ulong * 1)(1), (ctypes.c_ulong * 1)(1)),
        "oom_score_adj": lambda: write(f"/proc/{pid}/oom_score_adj", "1000"),
        "oom_adj": lambda: write(f"/proc/{pid}/oom_adj", "15"),
        "pidfd_send_signal": lambda: sc.pidfd_send_signal(os.pidfd_open(pid), 9, 0, 0),
    }


def table_init() -> dict:
    found = {**on_process(1), **ids_on_process(1)}
    for number in range(1, 65):
        found[f"kill {number}"] = lambda number=number: os.kill(1, number)
    return found


def table_init_nested() -> dict:
    """The same with all capabilities in a user namespace of his own."""
    return {name: nested(action) for name, action in {**on_process(1), **ids_on_process(1), "kill": lambda: os.kill(1, 9)}.items()}


def table_sshd() -> dict:
    return on_process(sshd_child())


def table_sshd_nested() -> dict:
    return {name: nested(action) for name, action in on_process(sshd_child()).items()}


# ---- the view -----------------------------------------------------------------


def remount(path: str, flags: int):
    return lambda: sc.mount(0, path, 0, MS_REMOUNT | MS_BIND | flags, 0)


def clear_attribute(path: str, attribute: int):
    return lambda: sc.mount_setattr(AT_FDCWD, path, 0, struct.pack("QQQQ", 0, attribute, 0, 0), 32)


def bound(path: str, marker: str):
    target = scratch("bound")

    def action():
        sc.mount(path, target, 0, MS_BIND, 0)
        return sees(target, marker)
    return action


def tree(path: str, marker: str, flags: int = 0):
    def action():
        fd = sc.open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | flags)
        return sees(f"/proc/self/fd/{fd}", marker)
    return action


def overlay(path: str, marker: str):
    target, upper, work = scratch("merged"), scratch("upper"), scratch("work")

    def action():
        sc.mount("overlay", target, "overlay", 0, f"lowerdir={path},upperdir={upper},workdir={work},userxattr")
        return sees(target, marker)
    return action


def overlay_read_only(path: str, marker: str):
    target, second = scratch("merged"), scratch("second")

    def action():
        sc.mount("overlay", target, "overlay", 0, f"lowerdir={path}:{second},userxattr")
        return sees(target, marker)
    return action


def recursive_then_umount(path: str, below: str, marker: str):
    target = scratch("bound")

    def action():
        sc.mount(path, target, 0, MS_BIND | MS_REC, 0)
        sc.umount2(f"{target}/{below}", MNT_DETACH)
        return sees(f"{target}/{below}", marker)
    return action


def pivoted(marker: str):
    target = scratch("bound")

    def action():
        sc.mount("/", target, 0, MS_BIND | MS_REC, 0)
        os.chdir(target)
        sc.pivot_root(".", ".")
        sc.umount2(".", MNT_DETACH)
        return "SEEN" if os.path.exists(f"/tmp/{marker}") else "not seen"
    return action


def table_nested(marker: str) -> dict:
    """Root of a nested user namespace works on the mounts that hide things. marker lies in the host's /tmp and /dev/shm."""
    found = {}
    for path in ("/tmp", "/var/tmp", "/dev/shm", "/run/user", "/proc", "/sys/fs/cgroup"):
        found[f"umount {path}"] = lambda path=path: sc.umount2(path, 0)
        found[f"detach {path}"] = lambda path=path: sc.umount2(path, MNT_DETACH)
        found[f"move {path}"] = lambda path=path: sc.mount(path, scratch("bound"), 0, MS_MOVE, 0)
        found[f"remount {path}"] = remount(path, 0)
        found[f"clear nosuid {path}"] = clear_attribute(path, MS_NOSUID)
        found[f"move_mount {path}"] = lambda path=path: sc.move_mount(AT_FDCWD, path, AT_FDCWD, scratch("bound"), 0)
        found[f"beneath {path}"] = lambda path=path: sc.move_mount(sc.open_tree(AT_FDCWD, scratch("bound"), 1), "", AT_FDCWD, path, 0x204)
    for path in ("/", "/dev", "/run", "/var", "/sys/fs"):
        found[f"bind {path}"] = bound(path, marker)
        found[f"open_tree {path}"] = tree(path, marker)
    found["open_tree -r /"] = tree("/", f"tmp/{marker}", AT_RECURSIVE)
    found["clear nosuid /"] = clear_attribute("/", MS_NOSUID)
    found["remount suid /"] = remount("/", 0)
    found["remount ro-to-rw /sys/fs/cgroup"] = remount("/sys/fs/cgroup", MS_NOSUID | 4 | 8)
    found["overlay /"] = overlay("/", f"tmp/{marker}")
    found["overlay-ro /"] = overlay_read_only("/", f"tmp/{marker}")
    found["overlay-ro /dev"] = overlay_read_only("/dev", f"shm/{marker}")
    found["recursive /"] = recursive_then_umount("/", "tmp", marker)
    found["recursive /dev"] = recursive_then_umount("/dev", "shm", marker)
    found["pivot_root"] = pivoted(marker)
    return {name: nested(action) for name, action in found.items()}


def table_own(_shell: str) -> dict:
    """What he may do to his own copy, and what the sandbox shows of it."""
    def action():
        sc.mount("/usr/bin/true", "/bin/bash", 0, MS_BIND, 0)
        return str(subprocess.run(["/bin/bash", "-c", "exit 3"]).returncode)
    return {"bind over bash": nested(action), "bash": lambda: str(subprocess.run(["/bin/bash", "-c", "exit 3"]).returncode)}


def mounted(kind: str, data: str = ""):
    target = scratch("bound")
    return lambda: sc.mount(kind, target, kind, 0, data or 0)


def fs_opened(kind: str):
    def action():
        fd = sc.fsopen(kind, 0)
        sc.fsconfig(fd, 6, 0, 0, 0)
    return action


def table_mounts() -> dict:
    """File systems that would show something of the host's, or run the kernel's parsers on the user's bytes."""
    found = {f"mount {kind}": nested(mounted(kind)) for kind in ("proc", "sysfs", "devtmpfs", "debugfs", "tracefs", "securityfs",
                                                                 "bpf", "mqueue", "binfmt_misc", "configfs", "pstore")}
    found["mount ext4"] = nested(lambda: sc.mount("/dev/vda", scratch("bound"), "ext4", MS_RDONLY, 0))
    found["fsopen proc"] = nested(fs_opened("proc"))
    found["fsopen sysfs"] = nested(fs_opened("sysfs"))
    found["mount tmpfs without userns"] = mounted("tmpfs")
    found["fsopen tmpfs without userns"] = fs_opened("tmpfs")
    found["open_tree without userns"] = lambda: sc.open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE)
    found["fspick /"] = nested(lambda: sc.fspick(AT_FDCWD, "/", 0))
    found["umount without userns"] = lambda: sc.umount2("/tmp", MNT_DETACH)
    return found


# ---- handles -----------------------------------------------------------------


class Handle(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint), ("kind", ctypes.c_int), ("data", ctypes.c_ubyte * 128)]


def handle_of(fd: int, path: str = "", flags: int = AT_EMPTY_PATH) -> Handle:
    handle, mount_id = Handle(size=128), ctypes.c_int()
    sc.name_to_handle_at(fd, path, ctypes.byref(handle), ctypes.byref(mount_id), flags)
    return handle


def open_handle(mount_fd: int, handle: Handle, flags: int = os.O_RDONLY) -> int:
    return sc.open_by_handle_at(mount_fd, ctypes.byref(handle), flags)


def hidden_directory(kind: str, data: str):
    """The handle of the host's own /tmp, which lies below the sandbox's."""
    handle = Handle(size=len(data) // 2, kind=int(kind))
    ctypes.memmove(handle.data, bytes.fromhex(data), len(data) // 2)

    def action():
        fd = open_handle(os.open("/", os.O_RDONLY), handle, os.O_RDONLY | os.O_DIRECTORY)
        return "SEEN " + " ".join(os.listdir(fd))[:80]
    return action


def namespaces_near_own():
    """Handles of namespaces are numbers one could guess. Which of them open, that are not ours."""
    own = {os.stat(f"/proc/self/ns/{name}").st_ino for name in os.listdir("/proc/self/ns")}
    found, tried = set(), 0
    for name in ("user", "mnt", "pid", "uts", "ipc", "cgroup", "net", "time"):
        fd = os.open(f"/proc/self/ns/{name}", os.O_RDONLY)
        handle = handle_of(fd)
        ns_id, kind, inode = struct.unpack("QII", bytes(handle.data[:16]))
        for other in range(max(1, ns_id - 3000), ns_id + 3000):
            for number in (0, inode) if other == ns_id else (0,):
                ctypes.memmove(handle.data, struct.pack("QII", other, 0 if number == 0 else kind, number), 16)
                tried += 1
                try:
                    got = open_handle(-10003, handle)
                except OSError:
                    continue
                if os.fstat(got).st_ino not in own:
                    found.add(os.readlink(f"/proc/self/fd/{got}"))
                os.close(got)
    return f"{'FOUND ' + ' '.join(sorted(found)) if found else 'none'} of {tried > 20000}"


def processes_near_own():
    """The same with pidfds: only processes of our own PID namespace may open."""
    handle = handle_of(os.pidfd_open(os.getpid()))
    size = handle.size
    own = int.from_bytes(bytes(handle.data[:8]), sys.byteorder)
    found, known = [], 0
    for other in range(max(1, own - 5000), own + 5000):
        ctypes.memmove(handle.data, other.to_bytes(8, sys.byteorder), 8)
        handle.size = size
        try:
            fd = open_handle(-10002, handle)
        except OSError:
            continue
        with open(f"/proc/self/fdinfo/{fd}") as file:
            pid = int(next(line.split()[1] for line in file if line.startswith("Pid:")))
        os.close(fd)
        known += 1
        if pid <= 0 or not os.path.exists(f"/proc/{pid}"):
            found.append(pid)
    return f"FOUND {found}" if found else f"none, but own {known > 0}"


def table_handles(kind: str, data: str) -> dict:
    hidden = hidden_directory(kind, data)
    return {
        "hidden directory": hidden,
        "hidden directory, nested": nested(hidden),
        "namespaces": namespaces_near_own,
        "namespaces, nested": nested(namespaces_near_own),
        "processes": processes_near_own,
        "processes, nested": nested(processes_near_own),
    }


# ---- groups --------------------------------------------------------------------


def write_below(directory: str, names: tuple[str, ...], text: str):
    """The outcomes of writing to every such file there is below."""
    def action():
        found = set()
        for folder, _, files in os.walk(directory):
            for name in files:
                if name in names:
                    found.add(outcome(lambda: write(f"{folder}/{name}", text)))
        return " ".join(sorted(found)) or "no such file"
    return action


def mounted_v1(controller: str):
    """A hierarchy of the host's, mounted anew. What it shows of others, and what can be written."""
    target = scratch(f"v1-{controller}")

    def action():
        sc.mount("cgroup", target, "cgroup", 0, controller)
        writes = write_below(target, ("cgroup.procs", "tasks", "notify_on_release", "release_agent", "cgroup.clone_children",
                                      "memory.limit_in_bytes", "pids.max", "cpu.cfs_quota_us", "freezer.state"), str(os.getpid()))()
        made = outcome(lambda: os.mkdir(f"{target}/mine"))
        others = [name for name in os.listdir(target) if os.path.isdir(f"{target}/{name}")]
        agent = os.path.exists(f"{target}/release_agent")
        return f"writes {writes}, mkdir {made}, others {len(others)}, release_agent {'yes' if agent else 'no'}"
    return action


def mounted_v2():
    target = scratch("v2")

    def action():
        sc.mount("cgroup2", target, "cgroup2", 0, 0)
        writes = write_below(target, ("cgroup.procs", "cgroup.threads", "cgroup.subtree_control", "cgroup.kill"), "0")()
        made = outcome(lambda: os.mkdir(f"{target}/mine"))
        return f"writes {writes}, mkdir {made}"
    return action


def into_cgroup_of(path: str):
    """clone3(CLONE_INTO_CGROUP): a child that starts elsewhere."""
    def action():
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        arguments = struct.pack("11Q", 0x200000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, fd)
        if sc.clone3(arguments, len(arguments)) == 0:
            os._exit(0)
    return action


def table_cgroups() -> dict:
    found = {
        "write what is shown": write_below("/sys/fs/cgroup", ("cgroup.procs", "tasks", "cgroup.threads", "pids.max", "memory.max"), "0"),
        "shown": lambda: " ".join(sorted(os.listdir("/sys/fs/cgroup"))),
        "named hierarchy": nested(lambda: sc.mount("cgroup", scratch("named"), "cgroup", 0, "none,name=mine"), CLONE_NEWCGROUP),
        "all controllers": nested(lambda: sc.mount("cgroup", scratch("named"), "cgroup", 0, "all"), CLONE_NEWCGROUP),
        "release_agent option": nested(lambda: sc.mount("cgroup", scratch("named"), "cgroup", 0, "memory,release_agent=/x"), CLONE_NEWCGROUP),
        "without cgroupns": nested(lambda: sc.mount("cgroup", scratch("named"), "cgroup", 0, "memory")),
        "v2": nested(mounted_v2(), CLONE_NEWCGROUP),
    }
    for controller in ("memory", "pids", "cpu", "cpuacct", "freezer"):
        found[f"v1 {controller}"] = nested(mounted_v1(controller), CLONE_NEWCGROUP)
    for controller in ("devices", "blkio", "cpuset", "name=systemd"):
        found[f"v1 {controller}"] = nested(mounted_v1(controller), CLONE_NEWCGROUP)
    return found


def table_cgroup_paths() -> dict:
    with open("/proc/self/cgroup") as file:
        lines = [line.strip().split(":", 2) for line in file]
    return {names or "v2": (lambda where=where: where) for _, names, where in lines}


# ---- the kernel's other doors ----------------------------------------------------


def bpf_load():
    program = struct.pack("QQ", 0x00000000000000b7, 0x95)
    code = ctypes.create_string_buffer(program)
    license_ = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack("IIQQ", 1, 2, ctypes.addressof(code), ctypes.addressof(license_)) + bytes(100)
    sc.bpf(5, attributes, len(attributes))


def io_uring_reads(path: str):
    """A ring is the user's own: what it opens, it opens as the user."""
    parameters = ctypes.create_string_buffer(120)
    os.close(sc.io_uring_setup(4, parameters))


def table_kernel() -> dict:
    found = {
        "dmesg": lambda: sc.syslog(3, ctypes.create_string_buffer(4096), 4096),
        "dmesg clear": lambda: sc.syslog(5, 0, 0),
        "/dev/kmsg": opened("/dev/kmsg"),
        "/dev/mem": opened("/dev/mem"),
        "/dev/port": opened("/dev/port"),
        "/dev/vda": opened("/dev/vda"),
        "/proc/kcore": opened("/proc/kcore"),
        "/proc/sysrq-trigger": opened("/proc/sysrq-trigger", os.O_WRONLY),
        "kexec": lambda: sc.kexec_load(0, 0, 0, 0),
        "reboot": lambda: sc.reboot(0xfee1dead, 672274793, 0x1234567, 0),
        "iopl": lambda: sc.iopl(3),
        "init_module": lambda: sc.init_module(b"x", 1, ""),
        "swapon": lambda: sc.swapon("/dev/vda", 0),
        "acct": lambda: sc.acct(0),
        "bpf": bpf_load,
        "userfaultfd": lambda: sc.userfaultfd(0),
        "fanotify content": lambda: sc.fanotify_init(4, 0),
        "mknod": lambda: os.mknod(os.path.expanduser("~/device"), 0o20666, os.makedev(1, 1)),
        "mknod /tmp": lambda: os.mknod("/tmp/device", 0o60666, os.makedev(254, 0)),
        "hostname": lambda: socket.sethostname("x"),
        "settime": lambda: time.clock_settime(time.CLOCK_REALTIME, 0),
        "chroot": lambda: os.chroot("/"),
        "setuid 0": lambda: os.setuid(0),
        "setgroups": lambda: os.setgroups([0]),
        "packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close(),
        "perf of the kernel": lambda: sc.perf_event_open(struct.pack("IIQQQQQ", 0, 112, 0, 0, 0, 0, 0) + bytes(64), -1, 0, -1, 0),
        "own oom_score_adj": lambda: write("/proc/self/oom_score_adj", "-1000"),
        "netlink address": lambda: add_address(),
    }
    for name in ("kernel.core_pattern", "kernel.hostname", "kernel.sysrq", "kernel.modprobe", "kernel.ns_last_pid", "vm.overcommit_memory",
                 "fs.suid_dumpable", "fs.protected_symlinks", "net.ipv4.ip_forward", "user.max_user_namespaces", "kernel.shmmax",
                 "dev.tty.legacy_tiocsti", "kernel.pid_max"):
        found[f"sysctl {name}"] = lambda name=name: write("/proc/sys/" + name.replace(".", "/"), "1")
    rooted = {f"{name}, nested": nested(action) for name, action in found.items()
              if name not in ("chroot", "setuid 0", "setgroups", "fanotify content", "sysctl user.max_user_namespaces")}
    harmless = {"io_uring": lambda: io_uring_reads("/")}
    return {**found, **rooted, **harmless}


def add_address() -> None:
    """RTM_NEWLINK: down with lo, in the network namespace that is shared with the host."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        header = struct.pack("IHHII", 32, 16, 5, 1, 0)
        netlink.send(header + struct.pack("BxHiII", 0, 0, 1, 0, 1))
        answer = netlink.recv(4096)
    number = struct.unpack_from("i", answer, 16)[0]
    if number < 0:
        raise OSError(-number, "netlink")


# ---- set-id and file capabilities ----------------------------------------------------


def printed(*argv: str):
    def action():
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=10)
        return done.stdout.strip() or f"exit {done.returncode}"
    return action


def table_set_id(directory: str) -> dict:
    found = {
        "setuid id": printed(f"{directory}/suid-id", "-u"),
        "setgid id": printed(f"{directory}/sgid-id", "-g"),
        "setuid of another": printed(f"{directory}/other-id", "-u"),
        "capable cat": printed("/bin/sh", "-c", f"{directory}/capable-cat /proc/self/status | grep -E 'Cap(Eff|Prm)' | tr -d '\\n\\t'"),
        "through ld.so": printed("/lib64/ld-linux-x86-64.so.2", f"{directory}/suid-id", "-u"),
    }
    return {**found, **{f"{name}, nested": nested(action) for name, action in found.items() if not name.startswith("capable")}}


def table_set_id_tools(other: str) -> dict:
    return {
        "su": printed("su", "-", other, "-c", "id -u"),
        "su nested": nested(printed("su", "-", other, "-c", "grep . /proc/self/uid_map")),
        "passwd": printed("passwd", "-d", os.environ["USER"]),
        "chsh": printed("chsh", "-s", "/bin/sh"),
        "newgrp": printed("newgrp", "root"),
    }


# ---- keys -------------------------------------------------------------------------


def find_key(name: str, ring: int):
    return lambda: sc.keyctl(10, ring, "user", name, 0)


RINGS = {"session": -3, "user": -4, "user-session": -5}


def table_keys_put(name: str) -> dict:
    """Puts a key into each ring that outlives a process, and says the numbers."""
    def put(ring):
        return lambda: str(sc.add_key("user", name, b"secret", 6, ring))
    return {ring: put(number) for ring, number in RINGS.items()}


def table_keys_find(name: str, *serials: str) -> dict:
    found = {ring: find_key(name, number) for ring, number in RINGS.items()}
    found["persistent"] = lambda: find_key(name, sc.keyctl(22, -1, -2))()
    found["request_key"] = lambda: sc.request_key("user", name, 0, 0)
    for serial in map(int, serials):
        found[f"read {serial}"] = lambda serial=serial: sc.keyctl(11, serial, ctypes.create_string_buffer(16), 16)
        found[f"link {serial}"] = lambda serial=serial: sc.keyctl(8, serial, -3)
        found[f"setperm {serial}"] = lambda serial=serial: sc.keyctl(5, serial, 0x3f3f3f3f)
        found[f"update {serial}"] = lambda serial=serial: sc.keyctl(2, serial, b"other", 5)
    found["listed"] = lambda: "yes" if name in open("/proc/keys").read() else "no"
    return found


# ---- files of the host's that show others ------------------------------------------


def table_other_proc(path: str, pid: str) -> dict:
    """A procfs of the host's that lies in the view for other reasons (a chroot's)."""
    other = f"{path}/{pid}"
    return {
        "seen": lambda: "yes" if os.path.exists(other) else "no",
        "root": linked(f"{other}/root"),
        "open root": opened(f"{other}/root/etc"),
        "mem": opened(f"{other}/mem", os.O_RDWR),
        "fd": linked(f"{other}/fd/0"),
        "environ": opened(f"{other}/environ"),
        "mnt": opened(f"{other}/ns/mnt"),
        "signal": lambda: sc.pidfd_send_signal(os.open(other, os.O_RDONLY | os.O_DIRECTORY), 0, 0, 0),
        "getfd": lambda: sc.pidfd_getfd(os.open(other, os.O_RDONLY | os.O_DIRECTORY), 0, 0),
    }


def table_paths(*paths: str) -> dict:
    return {path: (lambda path=path: "seen" if os.path.exists(path) else "not seen") for path in paths}


# ---- ends --------------------------------------------------------------------------


def table_cling(*_words: str) -> dict:
    """Leaves everything that might stay behind: daemons, stopped, traced, in PID namespaces of their own; then ends."""
    def daemon(action):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                for number in range(1, 65):
                    if number not in (9, 19, 32, 33):
                        signal.signal(number, signal.SIG_IGN)
                os.closerange(0, 3)
                action()
            os._exit(0)

    def sleep():
        time.sleep(600)

    def stopped():
        os.kill(os.getpid(), signal.SIGSTOP)
        sleep()

    def traced():
        pid = os.fork()
        if pid == 0:
            sc.ptrace(0, 0, 0, 0)
            stopped()
        sleep()

    def deep():
        for _ in range(5):
            become_nested_root(CLONE_NEWPID | CLONE_NEWUTS)
            if os.fork():
                sleep()
            os.setsid()
        if os.fork() == 0:
            stopped()
        sleep()

    def respawn():
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if os.fork():
                os._exit(0)
            time.sleep(0.002)

    for action in (sleep, stopped, traced, deep, respawn):
        daemon(action)
    time.sleep(0.3)
    return {"here": lambda: None}


def table_stop_all(number: str) -> dict:
    """Signals everything but himself."""
    return {"all": lambda: os.kill(-1, int(number))}


def fill(path: str, megabytes: int) -> str:
    """Writes so many MB there, as far as it goes."""
    block = b"x" * (1 << 20)
    with open(path, "wb", buffering=0) as file:
        for _ in range(megabytes):
            file.write(block)
    return "written"


def table_fill(path: str, megabytes: str) -> dict:
    return {"fill": lambda: fill(path, int(megabytes))}


def table_memfd(megabytes: str) -> dict:
    def action():
        fd = os.memfd_create("x")
        return fill(f"/proc/self/fd/{fd}", int(megabytes))
    return {"memfd": action}


def table_shm(megabytes: str) -> dict:
    """A SysV segment, touched."""
    def action():
        size = int(megabytes) << 20
        number = libc.shmget(0, ctypes.c_size_t(size), 0o1600)
        libc.shmat.restype = ctypes.c_void_p
        address = libc.shmat(number, 0, 0)
        libc.shmctl(number, 0, 0)
        for offset in range(0, size, 4096):
            ctypes.c_char.from_address(address + offset).value = b"x"
        return "written"
    return {"shm": action}


def table_tasks(wanted: str) -> dict:
    """How many processes he can have beside this one."""
    def action():
        children = []
        for _ in range(int(wanted)):
            try:
                pid = os.fork()
            except OSError as error:
                result = errno.errorcode[error.errno]
                break
            if pid == 0:
                time.sleep(60)
                os._exit(0)
            children.append(pid)
        else:
            result = "all"
        for pid in children:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        return f"{result} {len(children)}"
    return {"tasks": action}


def count_inotify() -> str:
    number = 0
    while number < 100_000 and libc.inotify_init1(0) >= 0:
        number += 1
    return str(number)


def lock_memory(megabytes: int):
    area = mmap.mmap(-1, megabytes << 20)
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    if libc.mlock(ctypes.c_void_p(address), ctypes.c_size_t(megabytes << 20)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, "mlock")
    HELD.append(area)


def queue_messages() -> str:
    """Queues until there is no room for one more."""
    number = 0
    while number < 1000:
        name = f"/q{os.getpid()}-{number}".encode()
        if libc.mq_open(name, os.O_RDWR | os.O_CREAT, 0o600, None) < 0:
            break
        # It counts as long as the fd is open.
        libc.mq_unlink(name)
        number += 1
    return str(number)


HELD: list = []


def table_counts() -> dict:
    """What the kernel counts for each user: takes all there is, and keeps it as long as stdin is open."""
    return {"inotify": count_inotify, "mlock": lambda: lock_memory(6), "queues": queue_messages}


TABLES = {name[6:]: value for name, value in list(globals().items()) if name.startswith("table_")}

if __name__ == "__main__":
    table = TABLES[sys.argv[1]](*sys.argv[2:])
    together = sys.argv[1] in ("keys_put", "keys_find", "stop_all", "counts")
    print(json.dumps({name: (outcome(action) if together else apart(action)) for name, action in table.items()}), flush=True)
    if sys.argv[1] == "counts":
        sys.stdin.read()
