# SPDX-License-Identifier: BSD-3-Clause
"""
leader.py SERVICE USER TRICK [WORD ...]: a PAM service. It opens a session as cron or su do, forks, becomes the user, and the child
plays a trick before or while it executes a shell. So the trick's code runs as the user where no user's code ought to run: in the
namespaces of the leader, before the gate.

Everything is imported before the session is open: later nothing can be loaded.
"""

import ctypes
import errno
import mmap
import os
import pwd
import random
import resource
import select
import signal
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
pam = ctypes.CDLL("libpam.so.0")

NOT_EXECUTED = 125

SYS_CLONE, SYS_EXECVEAT, SYS_PTRACE, SYS_PRLIMIT = 56, 322, 101, 302
CLONE_FS, CLONE_FILES, CLONE_NEWNS, CLONE_NEWUSER = 0x200, 0x400, 0x20000, 0x10000000
MS_REMOUNT, MS_BIND = 32, 4096
AT_EMPTY_PATH = 0x1000
O_PATH = 0o10000000
PR_SET_NO_NEW_PRIVS = 38
PTRACE_TRACEME, PTRACE_CONT, PTRACE_SEIZE = 0, 7, 0x4206
WALL = 0x40000000

# What the shell reports; readable by attack.report().
REPORT = """
echo user=$(readlink /proc/self/ns/user)
grep -E '^(Cap|Seccomp:|NoNewPrivs|Uid|Gid|Groups)' /proc/self/status | sed 's/:[[:space:]]*/=/'
echo cwd=$(pwd -P)
echo name=$0
echo stack=$(ulimit -S -s)
echo umask=$(umask)
echo personality=$(cat /proc/self/personality)
"""
ARGV = ["bash", "--norc", "-c", REPORT]
SHORT = ["bash", "--norc", "-c", 'p=$(readlink /proc/self/ns/user); echo "$p $(pwd -P)"']


def fail(what: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{what}: {os.strerror(number)}")


def call(number: int, *arguments) -> int:
    result = libc.syscall(number, *arguments)
    if result < 0:
        fail(f"system call {number}")
    return result


def strings(words: list[str]) -> ctypes.Array:
    return (ctypes.c_char_p * (len(words) + 1))(*[word.encode() for word in words], None)


def execveat(fd: int, path: bytes, argv: list[str], flags: int) -> None:
    environment = strings([f"{key}={value}" for key, value in os.environ.items()])
    call(SYS_EXECVEAT, fd, path, strings(argv), environment, flags)


def outcome(action) -> str:
    try:
        action()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"


# ---- tricks: each in the child, as the user ---------------------------------


def plain(path: str = "/bin/bash", *argv: str) -> None:
    os.execv(path, list(argv) or ARGV)


def fexecve(path: str, cloexec: str) -> None:
    fd = os.open(path, O_PATH)
    os.set_inheritable(fd, cloexec == "no")
    execveat(fd, b"", ARGV, AT_EMPTY_PATH)


def execute_below(directory: str, name: str) -> None:
    fd = os.open(directory, O_PATH)
    os.set_inheritable(fd, True)
    execveat(fd, name.encode(), ARGV, 0)


def through_fd(path: str) -> None:
    fd = os.open(path, O_PATH)
    os.set_inheritable(fd, True)
    os.execv(f"/proc/self/fd/{fd}", ARGV)


def relative(directory: str, path: str) -> None:
    os.chdir(directory)
    os.execv(path, ARGV)


def hard_link(source: str, target: str) -> None:
    os.link(source, target)
    os.execv(target, ARGV)


def empty_argv(path: str) -> None:
    libc.execve(path.encode(), strings([]), strings(["A=1"]))
    fail("execve")


def closed_fds(path: str, answer: str) -> None:
    """The shell has no fd to answer on but what it opens itself."""
    for fd in range(3):
        os.close(fd)
    os.execv(path, ["bash", "--norc", "-c", f"exec > {answer} 2>&1 < /dev/null\n{REPORT}ls -l /proc/self/fd"])


def environment(path: str, size: str, *settings: str) -> None:
    os.environ.update(setting.split("=", 1) for setting in settings)
    for i in range(int(size) // 100_000):
        os.environ[f"FILL{i}"] = "x" * 100_000
    os.execv(path, ["bash", "--norc", "-c", REPORT + "/usr/bin/env | cut -c1-200 | grep -E '^(LD_|IFS|PATH|MUSL|LOCPATH|TMPDIR|GLIBC)'"])


def rlimit(path: str, *settings: str) -> None:
    """NAME=VALUE, hard and soft; NAME=-1 is infinity for the soft limit only."""
    for setting in settings:
        name, value = setting.split("=")
        number = getattr(resource, f"RLIMIT_{name}")
        resource.setrlimit(number, (int(value), int(value)))
    os.execv(path, ARGV)


def rlimit_one_process(path: str) -> None:
    """The shell need not fork."""
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    os.execv(path, ["bash", "--norc", "-c", "exec readlink /proc/self/ns/user"])


def personality(path: str, value: str) -> None:
    libc.personality(ctypes.c_ulong(int(value, 16)))
    os.execv(path, ARGV)


def umask(path: str, value: str) -> None:
    os.umask(int(value, 8))
    os.execv(path, ARGV)


def no_new_privileges(path: str) -> None:
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.execv(path, ARGV)


def signals_ignored(path: str) -> None:
    for number in range(1, signal.NSIG):
        if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, 32, 33):
            signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, range(1, signal.NSIG))
    os.execv(path, ARGV)


def wait_exit(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def traced(path: str) -> None:
    """A tracer of the user's own that lets everything go on."""
    pid = os.fork()
    if pid == 0:
        call(SYS_PTRACE, PTRACE_TRACEME, 0, 0, 0)
        os.execv(path, ARGV)
    while True:
        _, status = os.waitpid(pid, 0)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            os._exit(os.waitstatus_to_exitcode(status) & 255)
        number = os.WSTOPSIG(status)
        call(SYS_PTRACE, PTRACE_CONT, pid, 0, 0 if number == signal.SIGTRAP else number)


def shared_directory(path: str, elsewhere: str) -> None:
    """Another process of the same fs_struct changes the working directory under the gate's feet."""
    pid = call(SYS_CLONE, CLONE_FS | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os.execv(path, ARGV)
    while os.waitpid(pid, os.WNOHANG) == (0, 0) and os.path.exists(f"/proc/{pid}"):
        os.chdir(elsewhere)
        with open(f"/proc/{pid}/stat") as file:
            if file.read().split()[2] == "Z":
                break
    os._exit(0)


def shared_files(path: str) -> None:
    """Another process of the same fd table closes what the gate opens. execve gives the gate a table of its own."""
    pid = call(SYS_CLONE, CLONE_FILES | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os.execv(path, ARGV)
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        os.closerange(3, 64)
        got, status = os.waitpid(pid, os.WNOHANG)
        if got:
            os._exit(os.waitstatus_to_exitcode(status) & 255)


# ---- tricks with many rounds: they print "count outcome" lines --------------


def spin(microseconds: float) -> None:
    end = time.perf_counter() + microseconds / 1e6
    while time.perf_counter() < end:
        pass


def start_shell(path: str, before=None) -> tuple[int, int]:
    """A shell that says where it is, and the fd of its answer."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(write_end, 1)
            os.dup2(write_end, 2)
            if before:
                before()
            os.execv(path, SHORT)
        except OSError as error:
            os.write(2, errno.errorcode[error.errno].encode())
        os._exit(NOT_EXECUTED)
    os.close(write_end)
    return pid, read_end


def read_answer(pid: int, fd: int) -> tuple[int, str]:
    text = b""
    while select.select([fd], [], [], 5)[0] and (data := os.read(fd, 4096)):
        text += data
    os.close(fd)
    return wait_exit(pid), text.decode(errors="replace").strip()


def rounds(seconds: str, count: str, one_round) -> None:
    """Plays one_round(i) and counts what it returns."""
    found: dict[str, int] = {}
    deadline = time.monotonic() + float(seconds)
    i = 0
    while i < int(count) and time.monotonic() < deadline:
        word = one_round(i)
        found[word] = found.get(word, 0) + 1
        i += 1
    for word, number in found.items():
        print(number, word)
    sys.stdout.flush()
    os._exit(0)


def race_signals(path: str, seconds: str, count: str, number: str) -> None:
    """The user's other processes stop, continue and kill the gate at any moment."""
    wanted = int(number)

    def one_round(_i: int) -> str:
        pid, fd = start_shell(path)
        spin(random.uniform(0, 2500))
        first = outcome(lambda: os.kill(pid, wanted))
        if wanted == signal.SIGSTOP:
            spin(200)
            outcome(lambda: os.kill(pid, signal.SIGCONT))
        status, text = read_answer(pid, fd)
        return f"kill={first} exit={status} {text.split(' ')[0]}"
    rounds(seconds, count, one_round)


def end_gate(pid: int) -> None:
    """One that was stopped just before it went out of reach can be continued by its session only, and killed when it is the user's again."""
    while True:
        got, status = os.waitpid(pid, os.WNOHANG | WALL)
        # A tracee's stops are reported too.
        if got and (os.WIFEXITED(status) or os.WIFSIGNALED(status)):
            return
        outcome(lambda: os.kill(pid, signal.SIGCONT))
        outcome(lambda: os.kill(pid, signal.SIGKILL))
        spin(50)


def race_touch(path: str, seconds: str, count: str) -> None:
    """What a stopped gate lets its user do to it."""
    def one_round(_i: int) -> str:
        pid, fd = start_shell(path)
        spin(random.uniform(300, 1500))
        stopped = outcome(lambda: os.kill(pid, signal.SIGSTOP))
        spin(50)
        try:
            is_root = os.stat(f"/proc/{pid}").st_uid == 0
        except OSError:
            is_root = False
        traced_now = outcome(lambda: call(SYS_PTRACE, PTRACE_SEIZE, pid, 0, 0))
        memory = outcome(lambda: os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR)))
        limits = outcome(lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, (4096, 4096)))
        os.close(fd)
        end_gate(pid)
        if stopped == "done" and is_root:
            return f"gate ptrace={traced_now} mem={memory} prlimit={limits}"
        return f"other ptrace={traced_now} mem={memory}"
    rounds(seconds, count, one_round)


def race_timer(path: str, seconds: str, count: str) -> None:
    """A timer of before the execve goes off in the gate."""
    def one_round(i: int) -> str:
        delay = random.uniform(50e-6, 4e-3)
        pid, fd = start_shell(path, lambda: signal.setitimer(signal.ITIMER_REAL, delay))
        status, text = read_answer(pid, fd)
        return f"exit={status} {text.split(' ')[0]}"
    rounds(seconds, count, one_round)


def race_directory(path: str, seconds: str, count: str, home: str, forbidden: str) -> None:
    """The working directory becomes a link to a directory of root's while the gate is on its way."""
    here, other = f"{home}/race", f"{home}/race-old"
    os.makedirs(here, exist_ok=True)
    if os.fork() == 0:
        # It ends with the session.
        while True:
            outcome(lambda: os.rename(here, other))
            outcome(lambda: os.symlink(forbidden, here))
            spin(random.uniform(0, 300))
            outcome(lambda: os.unlink(here))
            outcome(lambda: os.rename(other, here))
            spin(random.uniform(0, 300))

    def before() -> None:
        os.chdir(here)
        os.environ["PWD"] = here

    def one_round(_i: int) -> str:
        child, fd = start_shell(path, before)
        status, text = read_answer(child, fd)
        return f"exit={status} {text}"
    rounds(seconds, count, one_round)


def race_link(seconds: str, count: str, home: str) -> None:
    """The executed path is a link of the user's, which points elsewhere when the gate looks at it again."""
    link, other = f"{home}/shell-link", f"{home}/shell-link~"
    os.symlink("/bin/bash", link)
    if os.fork() == 0:
        while True:
            for target in (f"{home}/evil", "/bin/bash"):
                outcome(lambda: os.symlink(target, other))
                outcome(lambda: os.rename(other, link))
                spin(random.uniform(0, 300))

    def one_round(_i: int) -> str:
        child, fd = start_shell(link)
        status, text = read_answer(child, fd)
        return f"exit={status} {text.split(' ')[0] if status == 0 else text.split(':')[-1]}"
    rounds(seconds, count, one_round)


# ---- tricks that look around: nobody of the user's ought to stand there ------


def executables(*paths: str) -> None:
    """Which of these can be executed here."""
    for path in paths:
        pid = os.fork()
        if pid == 0:
            os.write(1, f"{path} {outcome(lambda: os.execv(path, ['x', '-c', 'exit 9']))}\n".encode())
            os._exit(NOT_EXECUTED)
        wait_exit(pid)


def plant(shell: str, path: str) -> None:
    pid = os.fork()
    if pid == 0:
        os.execv(shell, ["bash", "--norc", "-c", f"cp /usr/bin/id {path} && chmod 755 {path}"])
    if wait_exit(pid) == 0:
        os.execv(path, ["id"])


def maps_library(path: str) -> None:
    """Executable pages of a file, as dlopen makes them."""
    fd = os.open(path, os.O_RDONLY)
    print(outcome(lambda: mmap.mmap(fd, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)), flush=True)


def remount(shell: str) -> None:
    """Root of a namespace of his own in the leader's view, before any gate."""
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0:
        fail("unshare")

    def mount(source, target, flags):
        if libc.mount(source, target.encode(), None, flags, None) < 0:
            fail("mount")

    def umount(target):
        if libc.umount2(target.encode(), 2) < 0:
            fail("umount")
    attempts = {
        "remount /": lambda: mount(None, "/", MS_REMOUNT | MS_BIND),
        "umount gate": lambda: umount(os.path.realpath(shell)),
        "umount /proc": lambda: umount("/proc"),
        "bind /usr": lambda: mount(b"/", os.path.expanduser("~"), MS_BIND),
        "execute": lambda: os.execv("/usr/bin/id", ["id"]),
    }
    for name, attempt in attempts.items():
        print(name, outcome(attempt), flush=True)


def sleep(seconds: str) -> None:
    time.sleep(float(seconds))


TRICKS = {name: value for name, value in list(globals().items()) if callable(value)}


# ---- the service --------------------------------------------------------------


class Conversation(ctypes.Structure):
    CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    _fields_ = [("callback", CALLBACK), ("data", ctypes.c_void_p)]


def become(user: pwd.struct_passwd) -> None:
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ.clear()
    os.environ.update(HOME=user.pw_dir, USER=user.pw_name, PATH="/usr/bin:/bin")
    os.chdir(user.pw_dir)


def child(user: pwd.struct_passwd, trick: str, words: list[str]) -> None:
    try:
        become(user)
        TRICKS[trick](*words)
        sys.stdout.flush()
    except OSError as error:
        os.write(2, f"leader: exec: {errno.errorcode[error.errno]}\n".encode())
        os._exit(NOT_EXECUTED)
    os._exit(0)


def main() -> int:
    service, name, trick, *words = sys.argv[1:]
    user = pwd.getpwnam(name)
    handle = ctypes.c_void_p()
    conversation = Conversation(Conversation.CALLBACK(lambda *_: 19), None)
    pam.pam_start(service.encode(), name.encode(), ctypes.byref(conversation), ctypes.byref(handle))
    opened = pam.pam_open_session(handle, 0)
    if opened != 0:
        print(f"leader: pam_open_session: {opened}", file=sys.stderr)
        return 100
    pid = os.fork()
    if pid == 0:
        child(user, trick, words)
    status = wait_exit(pid)
    closed = pam.pam_close_session(handle, 0)
    pam.pam_end(handle, closed)
    if closed != 0:
        print(f"leader: pam_close_session: {closed}", file=sys.stderr)
    return status if status >= 0 else 128 - status


sys.exit(main())
