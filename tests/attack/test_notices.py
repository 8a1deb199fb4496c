# SPDX-License-Identifier: BSD-3-Clause
"""What root writes for the user, and where: terminals that the user has prepared, names and logs that he has a hand in."""

import contextlib
import os
import time

from attack import all_are, bind, decode, line, programs, python_argv
from harness import Failed, Pty, check, equal, kill, matches, process, wait_for, write_text

GRACE = 8.0
FULL = "no more processes"
SMALL = "[default]\nMemoryMax=128M\nTasksMax=60\nUserTasksMax=infinity\nUserMemoryMax=infinity\n"
# Runs into TasksMax.
FILL = "for i in $(seq 80); do sleep {} & done 2> /dev/null"


@contextlib.contextmanager
def fuse_for_users(m):
    """/dev/fuse as udev makes it (0666), in the tests' own mount namespace."""
    path = f"{m.directory}/fuse"
    if not os.path.exists(path):
        os.mknod(path, 0o20666, os.makedev(10, 229))
        os.chmod(path, 0o666)
    with bind(path, "/dev/fuse"):
        yield


def wedge(m, count: int = 8, more: str = ""):
    """A login with a terminal that nobody can open for count times 5 seconds."""
    with fuse_for_users(m):
        child = m.spawn_ssh("alice", python_argv(m, "wedge.py", "terminal", str(count)) + more)
        equal(line(child), "ready\n")
    return child, m.session("alice")


def users_processes(m) -> int:
    uid = m.user("alice").uid
    return sum(one.uid == uid for one in m.strays())


# ---- terminals ----


def attack_wedged_terminal_and_the_time_limit(m):
    """A terminal whose open(2) does not come back, O_NONBLOCK or not: RuntimeMaxSec holds all the same."""
    m.policy("[default]\nRuntimeMaxSec=4\n")
    start = time.monotonic()
    child, _ = wedge(m)
    wait_for(lambda: users_processes(m) == 0, 4 + GRACE - (time.monotonic() - start), "the end for RuntimeMaxSec")
    child.kill()
    m.nothing_left(3)


def attack_wedged_terminal_and_the_end(m):
    """A notice is on its way to such a terminal: the logout ends the sandbox in its time, and the leader does not wait."""
    m.policy(SMALL)
    child, session = wedge(m, 8, " & sleep 2; " + FILL.format(60) + "; sleep 60")
    mark = m.log.mark()
    with contextlib.suppress(Failed):
        m.log.expect(FULL, mark, 8)
    child.kill()
    start = time.monotonic()
    wait_for(lambda: session.leader not in [one.pid for one in m.strays()], 4, "the end of the leader")
    wait_for(lambda: users_processes(m) == 0, GRACE - (time.monotonic() - start), "the end of his processes")
    m.nothing_left(3)


OWN_NUMBER = """
import fcntl, os, struct, sys, termios, time
from probe import become_nested_root, sc, scratch
become_nested_root()
own = scratch("devpts")
sc.mount("devpts", own, "devpts", 0, "newinstance,ptmxmode=0666,mode=620")
kept = []
for _ in range(4096):
    kept.append(os.open(f"{own}/ptmx", os.O_RDWR | os.O_NOCTTY))
    number = struct.unpack("i", fcntl.ioctl(kept[-1], 0x80045430, b"    "))[0]
    if number == int(sys.argv[1]):
        break
fcntl.ioctl(kept[-1], 0x40045431, struct.pack("i", 0))
slave = os.open(f"{own}/{number}", os.O_RDWR | os.O_NOCTTY)
if os.fork() == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    with open("/proc/self/stat") as file:
        print(number, file.read().rsplit(")", 1)[1].split()[4], flush=True)
    pids = []
    for _ in range(100):
        try:
            pids.append(os.fork())
        except OSError:
            continue
        if not pids[-1]:
            time.sleep(3)
            os._exit(0)
    time.sleep(30)
time.sleep(30)
"""


def attack_terminal_of_the_same_number(m):
    """
    A process whose terminal is number N of a devpts of his own: what is told is not written to /dev/pts/N, which is another user's, or
    root's.
    """
    m.policy(SMALL)
    write_text(f"{programs(m)}/own_number.py", OWN_NUMBER)
    bobs = Pty(m, "bob")
    bobs.line("echo tty=$(tty)")
    number = int(bobs.expect(r"tty=/dev/pts/(\d+)")[1])
    mark = m.log.mark()
    child = m.spawn_ssh("alice", python_argv(m, "own_number.py", str(number)))
    equal(line(child).split(), [str(number), str(136 << 8 | number)])
    m.log.expect(FULL, mark, 12)
    bobs.line("echo silent-$((40 + 2))")
    bobs.expect("silent-42")
    check("pam_isolate" not in bobs.text, f"bob was told: {bobs.text!r}")
    child.kill()
    bobs.line("exit")
    bobs.wait()
    check("pam_isolate" not in bobs.text, f"bob was told: {bobs.text!r}")
    m.nothing_left(GRACE)


PREPARED = """
import fcntl, os, signal, struct, sys, termios, time, tty
signal.signal(signal.SIGHUP, signal.SIG_IGN)
masters = []
def make(prepare):
    master, slave = os.openpty()
    masters.append(master)
    if os.fork() == 0:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        prepare(master, slave)
        time.sleep(60)
        os._exit(0)
def full(master, slave):
    fcntl.fcntl(slave, fcntl.F_SETFL, os.O_NONBLOCK)
    try:
        while True: os.write(slave, b"x" * 4096)
    except BlockingIOError: pass
make(full)
make(lambda master, slave: termios.tcflow(slave, termios.TCOOFF))
make(lambda master, slave: fcntl.ioctl(slave, 0x540C))                                  # TIOCEXCL
make(lambda master, slave: fcntl.ioctl(master, termios.TIOCPKT, struct.pack("i", 1)))
make(lambda master, slave: os.fchmod(slave, 0))
make(lambda master, slave: tty.setraw(slave))
def tostop(master, slave):
    mode = termios.tcgetattr(slave); mode[3] |= termios.TOSTOP; termios.tcsetattr(slave, 0, mode)
make(tostop)
make(lambda master, slave: fcntl.ioctl(master, 0x40045431, struct.pack("i", 1)))        # TIOCSPTLCK
def chain(master, slave):
    for _ in range(12): make(lambda master, slave: None)
chain(0, 0)
print("ready", flush=True)
time.sleep(2)
pids = []
for _ in range(100):
    try: pids.append(os.fork())
    except OSError: continue
    if not pids[-1]:
        time.sleep(60); os._exit(0)
time.sleep(60)
"""


def attack_prepared_terminals(m):
    """Full, stopped, exclusive, locked, in packet mode, with no permissions, more than there can be told of: none of them holds up the
    supervisor, which notices the logout at once."""
    m.policy(SMALL)
    write_text(f"{programs(m)}/prepared.py", PREPARED)
    mark = m.log.mark()
    child = m.spawn_ssh("alice", python_argv(m, "prepared.py"))
    equal(line(child), "ready\n")
    session = m.session("alice")
    m.log.expect(FULL, mark, 12)
    equal(process(session.supervisor).state, "S", "the supervisor")
    kill(session.leader)
    m.nothing_left(GRACE)


# ---- the kernel's log ----

LOG = """
import ctypes, json, os
from probe import NUMBERS, apart, nested, opened, sc, write
line = "<0>oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/,task_memcg=/,task=x,pid=1,uid=0"
found = {
    "write": lambda: write("/dev/kmsg", line),
    "read": opened("/dev/kmsg"),
    "by /proc": lambda: write("/proc/1/root/dev/kmsg", line),
    "/proc/kmsg": opened("/proc/kmsg"),
    "node of his own": lambda: os.mknod(os.path.expanduser("~/kmsg"), 0o20666, os.makedev(1, 11)),
    "ttyprintk": lambda: write("/dev/ttyprintk", line),
    "syslog": lambda: sc.syslog(3, ctypes.create_string_buffer(99), 99),
    "console level": lambda: sc.syslog(8, 0, 8),
}
found.update({f"{name}, nested": nested(action) for name, action in list(found.items())})
print(json.dumps({name: apart(action) for name, action in found.items()}), flush=True)
"""


def attack_log_of_the_kernel(m):
    """He can neither read nor write what notices are made of."""
    write_text(f"{programs(m)}/log.py", LOG)
    all_are(decode(m.ssh("alice", python_argv(m, "log.py"))), frozenset({"EACCES", "EPERM", "ENOENT"}))


NAMED = r"""
import ctypes, os, sys
ctypes.CDLL(None).prctl(15, bytes.fromhex(sys.argv[1]), 0, 0, 0)
if sys.argv[2] == "segfault":
    ctypes.string_at(0)
kept = bytearray(int(sys.argv[2]) << 20)
kept[::4096] = b"x" * len(kept[::4096])
"""


def attack_lines_of_the_kernels_with_his_name_in_front(m):
    """A process that is called like the beginning of such a line, and crashes: what is told is of the one that was killed."""
    m.policy("[default]\nMemoryMax=64M\nUserMemoryMax=infinity\n")
    path = f"{programs(m)}/named.py"
    write_text(path, NAMED)
    mark = m.log.mark()
    for name in (b"oom-kill:constr", b",task=x,pid=1,", b",oom_memcg=/,t", b"task_memcg=/x", b"\n0,1,2,-;oom-"):
        m.ssh("alice", f"python3 -B {path} {name.hex()} segfault; python3 -B {path} {name.hex()} 150; sleep 1")
    for text in m.log.since(mark, "out of memory"):
        found = matches(r"out of memory: killed (.{0,15}) \(pid (\d+)\)(?: and \d+ more)?, limit (\S+)$", text)
        check(int(found[2]) > 1 and found[3] == "MemoryMax=64M", text)
    check(m.log.since(mark, "out of memory"), "not a word of it")
