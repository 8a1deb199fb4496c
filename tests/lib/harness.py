# SPDX-License-Identifier: BSD-3-Clause
"""
A machine for tests that log in: throwaway users, an own OpenSSH server on 127.0.0.1 with an own PAM service, the syslog.

    PAM_ISOLATE_PREFIX=/opt/test tests/login/run [--list] [pattern ...]      (as root)

A test is a function of a file test_*.py; the runner (tests/lib/runner.py) hands it the one Machine, `m`:

    def login_hostname_is_the_policys(m):
        m.policy("[default]\nHostname=lab-%u\n")            # until the end of this test
        equal(m.ssh("alice", "hostname").out, f"lab-{m.user('alice').name}\n")

- Users are called by their short name: alice (bash, group students), bob (dash), carol (zsh), root; m.add_user() makes more.
- m.ssh() runs a command; m.spawn_ssh() leaves it running; Master has many channels; Pty is a terminal; Leader is a PAM application
  of our own, for what ssh cannot do or takes too long for.
- m.sessions("alice") are the records of her logins: .id .leader .supervisor .init, and .read("memory", "memory.limit_in_bytes").
- m.log.mark(), .since(mark), .expect(regex, mark): what went to syslog.
- check(), equal(), matches(), wait_for() raise Failed; skip() says why a machine cannot run a test.
- The policy, the PAM stack and whatever m.spawn() started are put back after each test. Then nothing may be left: the runner
  calls m.nothing_left().
- Mount, kill and write only what is the test's own. Processes are ended by their pid.
"""

import atexit
import contextlib
import ctypes
import fcntl
import glob
import grp
import os
import pty
import pwd
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from dataclasses import dataclass

SSHD = "/usr/sbin/sshd"
CGROUPS = "/sys/fs/cgroup"
SSH_TIMEOUT = 20.0

PR_SET_CHILD_SUBREAPER = 36
CLONE_NEWNS = 0x20000
MS_BIND, MS_REC, MS_SLAVE = 0x1000, 0x4000, 0x80000
MNT_DETACH = 2
WALL = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """What a test found wrong."""


class Skipped(Exception):
    """What the machine lacks for a test."""


def check(condition, text: str) -> None:
    if not condition:
        raise Failed(text)


def equal(got, wanted, what: str = "") -> None:
    if got != wanted:
        raise Failed(f"{what + ': ' if what else ''}got {got!r}, wanted {wanted!r}")


def matches(pattern: str, text: str, what: str = "") -> re.Match:
    found = re.search(pattern, text, re.MULTILINE)
    if not found:
        raise Failed(f"{what + ': ' if what else ''}nothing matches {pattern!r} in {text!r}")
    return found


def skip(reason: str) -> None:
    raise Skipped(reason)


def need_program(*names: str) -> None:
    for name in names:
        if not shutil.which(name):
            skip(f"{name} is not installed")


def wait_for(probe, timeout: float = 5.0, what: str = "it"):
    """Returns the first true value of probe()."""
    deadline = time.monotonic() + timeout
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"{what} did not happen within {timeout} s")
        time.sleep(0.01)


def system_call(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def run(*argv: str, timeout: float = 60.0, **options) -> subprocess.CompletedProcess:
    """A command of the host's that must succeed."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, **options)
    if done.returncode != 0:
        raise Failed(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}")
    return done


def read_text(path: str) -> str:
    with open(path, errors="replace") as file:
        return file.read()


def write_text(path: str, text: str, mode: int = 0o644) -> None:
    """Replaces a file, so that nobody reads half of it."""
    fd = os.open(path + "~", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(fd, "w") as file:
        file.write(text)
        os.fchmod(fd, mode)
    os.rename(path + "~", path)


def write_file(path: str, text: str) -> None:
    """Into a file as it is: one of the kernel's."""
    with open(path, "w") as file:
        file.write(text)


def namespaces(pid="self") -> dict[str, str]:
    """The links of /proc/PID/ns, by name."""
    names = ("user", "pid", "mnt", "uts", "ipc", "cgroup", "net")
    return {name: os.readlink(f"/proc/{pid}/ns/{name}") for name in names}


# ---- processes ------------------------------------------------------------


@dataclass
class Process:
    """One line of ps, as the host sees it."""
    pid: int
    parent: int
    uid: int
    state: str
    name: str
    program: str

    def __str__(self) -> str:
        return f"{self.pid} ({self.name}, uid {self.uid}, state {self.state}, parent {self.parent}) {self.program}"


def process(pid: int) -> Process | None:
    try:
        status = dict(line.split(":\t", 1) for line in read_text(f"/proc/{pid}/status").splitlines() if ":\t" in line)
    except OSError:
        return None
    try:
        program = os.readlink(f"/proc/{pid}/exe")
    except OSError:
        program = ""
    return Process(pid, int(status["PPid"]), int(status["Uid"].split()[0]), status["State"][0], status["Name"], program)


def processes() -> list[Process]:
    found = (process(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [one for one in found if one]


def alive(pid: int) -> bool:
    one = process(pid)
    return one is not None and one.state not in "ZX"


def command_line(pid: int) -> str:
    """As ps shows it; empty for what has none any more."""
    with contextlib.suppress(OSError):
        return read_text(f"/proc/{pid}/cmdline").replace("\0", " ").strip()
    return ""


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


# ---- syslog ---------------------------------------------------------------


class Syslog:
    """
    Collects what programs send to /dev/log. Where there is a logger already, the tests move to a mount namespace of their own and
    cover it there.
    """

    def __init__(self, directory: str):
        self.lines: list[str] = []
        self.own = not os.path.lexists("/dev/log")
        self.path = "/dev/log" if self.own else f"{directory}/log"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o666)
        if not self.own:
            system_call(libc.unshare(CLONE_NEWNS), "unshare the mount namespace")
            system_call(libc.mount(b"none", b"/", None, MS_REC | MS_SLAVE, None), "make / a slave")
            system_call(libc.mount(self.path.encode(), b"/dev/log", None, MS_BIND, None), "cover /dev/log")
        self.thread = threading.Thread(target=self._collect, daemon=True)
        self.thread.start()

    def _collect(self) -> None:
        while True:
            try:
                line = self.socket.recv(65536)
            except OSError:
                return
            self.lines.append(line.decode(errors="replace").rstrip("\0\n"))

    def close(self) -> None:
        if not self.own:
            libc.umount2(b"/dev/log", MNT_DETACH)
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        os.unlink(self.path)

    def mark(self) -> int:
        return len(self.lines)

    def since(self, mark: int, pattern: str = "") -> list[str]:
        return [line for line in self.lines[mark:] if re.search(pattern, line)]

    def expect(self, pattern: str, mark: int = 0, timeout: float = 3.0) -> str:
        return wait_for(lambda: self.since(mark, pattern), timeout, f"a line in syslog like {pattern!r}")[0]


# ---- who and where --------------------------------------------------------


@dataclass
class User:
    """A throwaway user, and root."""
    name: str
    uid: int
    gid: int
    home: str
    shell: str


class Session:
    """A record below RUNSTATEDIR/pam_isolate, as its supervisor wrote it."""

    def __init__(self, path: str):
        fields = dict(line.split("=", 1) for line in read_text(f"{path}/session").splitlines())
        self.path = path
        self.id, self.user, self.service = fields["ID"], fields["USER"], fields["SERVICE"]
        self.leader, self.supervisor, self.init = int(fields["LEADER"]), int(fields["SUPERVISOR"]), int(fields["INIT"])
        self.cgroup, self.backend = fields["CGROUP"], fields["BACKEND"]

    def sandbox(self) -> tuple:
        """What the logins of a shared one have in common."""
        return self.supervisor, self.init, self.cgroup

    def group(self, controller: str, of_user: bool = False) -> str:
        """Directory of the session's cgroup, or of the one around it, which all logins of the user share."""
        path = os.path.dirname(self.cgroup) if of_user else self.cgroup
        return CGROUPS + ("" if self.backend == "v2" else f"/{controller}") + path

    def read(self, controller: str, file: str, of_user: bool = False) -> str:
        return read_text(f"{self.group(controller, of_user)}/{file}").strip()

    def pids(self) -> list[int]:
        return [int(pid) for pid in self.read("pids", "cgroup.procs").split()]


@dataclass
class Result:
    """What a command left."""
    status: int
    out: str
    err: str

    def ok(self) -> "Result":
        if self.status != 0:
            raise Failed(f"exit {self.status}\nstdout: {self.out}\nstderr: {self.err}")
        return self

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


# ---- servers --------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Sshd:
    """One OpenSSH server with a PAM service of its own: a copy of sshd under a name of its own reads /etc/pam.d/<that name>."""

    def __init__(self, machine: "Machine", name: str, config: str = "", sftp: str = "internal-sftp", private: bool = False):
        self.machine = machine
        self.private = private  # in a mount namespace of its own
        self.sftp = sftp
        self.service = machine.tag + name
        self.program = f"{machine.directory}/{self.service}"
        self.pam_file = f"/etc/pam.d/{self.service}"
        self.port = free_port()
        shutil.copy(SSHD, self.program)
        self.pam()
        self.config_file = f"{self.program}.conf"
        write_text(self.config_file, self._config() + config + "\n")
        self.child: subprocess.Popen | None = None

    def _config(self) -> str:
        directory = self.machine.directory
        return f"""\
Port {self.port}
ListenAddress 127.0.0.1
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/keys/%u
PidFile none
UsePAM yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
PrintMotd no
PrintLastLog no
X11Forwarding yes
AllowAgentForwarding yes
AcceptEnv LANG LC_* TEST_* TMPDIR LD_LIBRARY_PATH LOCPATH GLIBC_TUNABLES
MaxStartups 500
MaxSessions 100
LogLevel VERBOSE
Subsystem sftp {self.sftp}
"""

    def pam(self, before: str = "", after: str = "", arguments: str = "debug", isolated: bool = True) -> None:
        """Writes the PAM stack: session lines before and after ours, or in its place. sshd reads it at each login."""
        ours = f"session required {self.machine.module} {arguments}" if isolated else "session required pam_permit.so"
        write_text(self.pam_file, f"auth required pam_permit.so\naccount required pam_permit.so\n{before}\n{ours}\n{after}\n")

    def start(self) -> None:
        before = ("unshare", "--mount", "--propagation", "slave") if self.private else ()
        argv = self.machine.nursery(*before, self.program, "-D", "-f", self.config_file)
        self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        wait_for(self._listens, 10, f"a server on port {self.port}")
        self.pid = next(one.pid for one in processes() if one.parent == self.child.pid)
        self.fds = self.count_fds()

    def _listens(self) -> bool:
        """Asked of the kernel: a connection to try would be a login of its own."""
        if self.child.poll() is not None:
            raise Failed(f"{self.program} ended with {self.child.returncode}; see syslog: {self.machine.log.lines[-3:]}")
        return f"0100007F:{self.port:04X} 00000000:0000 0A" in read_text("/proc/net/tcp")

    def count_fds(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def connections(self) -> list[Process]:
        """Its monitors, and the children of them that are still sshd."""
        return [one for one in processes() if one.program.startswith(self.program) and one.pid != self.pid]

    def monitor(self) -> int:
        """The leader of the one login there is."""
        found = [one.pid for one in self.connections() if one.parent == self.pid]
        equal(len(found), 1, "logins")
        return found[0]

    def stop(self) -> None:
        if self.child:
            self.child.terminate()
            self.child.wait(5)
        for one in self.connections():
            kill(one.pid)
        os.unlink(self.pam_file)


# ---- the machine ----------------------------------------------------------


class Machine:
    """Everything that tests log in to. A context manager; what it made is undone whatever happens."""

    def __init__(self, prefix: str = "", init_user: str = ""):
        self.prefix = prefix or os.environ.get("PAM_ISOLATE_PREFIX", "")
        self.init_user = init_user or os.environ.get("PAM_ISOLATE_INIT_USER", "isolate")
        self.module = f"{self.prefix}/lib/security/pam_isolate.so"
        self.programs = f"{self.prefix}/libexec/pam_isolate"
        self.policy_file = f"{self.prefix}/etc/security/isolate.conf"
        self.records = f"{self.prefix}/run/pam_isolate"
        self.tag = f"pit{os.getpid()}"
        self.directory = f"/srv/{self.tag}"
        self.group = f"/sys/fs/cgroup/memory/{self.tag}"
        self.users: dict[str, User] = {}
        self.children: list[subprocess.Popen] = []
        self.terminals: list[Pty] = []
        self.servers: dict[str, Sshd] = {}
        self.undo = contextlib.ExitStack()

    def __enter__(self) -> "Machine":
        self._require()
        atexit.register(self.undo.close)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda got, _frame: sys.exit(128 + got))
        try:
            self._make()
        except BaseException:
            self.undo.close()
            raise
        return self

    def __exit__(self, *_what) -> None:
        self.end_clients()
        self.undo.close()

    def _require(self) -> None:
        if os.geteuid() != 0:
            sys.exit("these tests make users and run sshd: root only")
        if not self.prefix.startswith("/"):
            sys.exit("PAM_ISOLATE_PREFIX has to name the prefix that the product is installed in")
        for path in (self.module, f"{self.programs}/isolate-helper", SSHD):
            if not os.path.exists(path):
                sys.exit(f"{path} is missing")

    def _make(self) -> None:
        system_call(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "PR_SET_CHILD_SUBREAPER")
        os.makedirs("/run/sshd", exist_ok=True)
        os.umask(0o022)
        os.mkdir(self.directory, 0o755)
        self.undo.callback(shutil.rmtree, self.directory, True)
        os.mkdir(f"{self.directory}/keys")
        self._make_group()
        self._make_keys()
        self._make_init_user()
        self.log = Syslog(self.directory)
        self.undo.callback(self.log.close)
        self._make_users()
        self._keep_policy()
        self.sshd = self.add_sshd("sshd")
        self.mounts = self._mounts()

    def _make_group(self) -> None:
        """The leader is moved back to the group it came from: that must not be the one that the tests were started in."""
        if not os.path.isdir("/sys/fs/cgroup/memory"):
            self.group = f"/sys/fs/cgroup/{self.tag}"
        os.mkdir(self.group)
        self.undo.callback(self._remove_group)

    def _remove_group(self) -> None:
        def removed() -> bool:
            with contextlib.suppress(OSError):
                os.rmdir(self.group)
            return not os.path.exists(self.group)
        with contextlib.suppress(Failed):
            wait_for(removed, 3)

    def _make_keys(self) -> None:
        for name in ("host_key", "client_key"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{self.directory}/{name}")
        self.allow_key("root")
        self.users["root"] = User("root", 0, 0, "/root", pwd.getpwuid(0).pw_shell)

    def allow_key(self, name: str) -> None:
        shutil.copy(f"{self.directory}/client_key.pub", f"{self.directory}/keys/{name}")

    def _make_init_user(self) -> None:
        try:
            pwd.getpwnam(self.init_user)
        except KeyError:
            run("useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", self.init_user)
            self.undo.callback(run, "userdel", self.init_user)

    def _make_users(self) -> None:
        os.mkdir(f"{self.directory}/home")
        self.students = f"{self.tag}students"
        run("groupadd", self.students)
        self.undo.callback(run, "groupdel", self.students)
        self.add_user("alice", "/bin/bash", self.students)
        self.add_user("bob", "/bin/dash")
        self.add_user("carol", "/bin/zsh" if os.path.exists("/bin/zsh") else "/bin/sh")

    def add_user(self, short: str, shell: str, *groups: str) -> User:
        """Made once, there until the end of all tests."""
        if short in self.users:
            return self.users[short]
        name = self.tag + short
        home = f"{self.directory}/home/{short}"
        more = ["--groups", ",".join(groups)] if groups else []
        run("useradd", "--create-home", "--home-dir", home, "--shell", shell, "--password", "*", "--user-group", *more, name)
        self.undo.callback(run, "userdel", name)
        self.allow_key(name)
        entry = pwd.getpwnam(name)
        self.undo.callback(shutil.rmtree, self.user_tmp(entry.pw_uid), True)
        if shell.endswith("zsh"):
            # Without it zsh asks a new user questions.
            write_text(f"{home}/.zshrc", "")
        self.users[short] = User(name, entry.pw_uid, entry.pw_gid, home, shell)
        return self.users[short]

    def user(self, short: str) -> User:
        return self.users[short]

    def user_tmp(self, uid: int) -> str:
        """Where PrivateTmp=user keeps the files of a user."""
        return f"{self.prefix}/var/lib/pam_isolate/tmp/{uid}"

    def add_sshd(self, name: str, config: str = "", **options) -> Sshd:
        """Another server, with more lines of configuration. Made once, there until the end of all tests."""
        if name not in self.servers:
            server = Sshd(self, name, config, **options)
            self.undo.callback(server.stop)
            server.start()
            self.servers[name] = server
        return self.servers[name]

    # -- policy --

    def _keep_policy(self) -> None:
        os.makedirs(os.path.dirname(self.policy_file), exist_ok=True)
        os.makedirs(self.records, mode=0o700, exist_ok=True)
        saved = read_text(self.policy_file) if os.path.exists(self.policy_file) else None
        self.undo.callback(self._put_policy_back, saved)
        self.reset()

    def _put_policy_back(self, saved: str | None) -> None:
        self.remove_policy()
        if saved is not None:
            write_text(self.policy_file, saved)

    @contextlib.contextmanager
    def covered(self, path: str, text: str | None = None):
        """A server that sees another file, or without text an empty directory, at path. Nobody else does."""
        server = self.add_sshd("covered", private=True)
        cover = f"{self.directory}/cover{path.replace('/', '-')}"
        if text is None:
            os.makedirs(cover, exist_ok=True)
        else:
            write_text(cover, text)
        enter = ("nsenter", "--target", str(server.pid), "--mount")
        run(*enter, "mount", "--bind", cover, path)
        try:
            yield server
        finally:
            run(*enter, "umount", "--lazy", path)

    def remove_policy(self) -> None:
        if os.path.isdir(self.policy_file):
            os.rmdir(self.policy_file)
        elif os.path.lexists(self.policy_file):
            os.unlink(self.policy_file)

    def policy(self, text: str, mode: int = 0o644) -> None:
        """Replaces the policy until the end of the test. {students}, {alice}, {bob}, {carol} stand for their names."""
        words = {short: user.name for short, user in self.users.items()}
        for word, name in {**words, "students": self.students}.items():
            text = text.replace("{" + word + "}", name)
        if os.path.isdir(self.policy_file):
            os.rmdir(self.policy_file)
        write_text(self.policy_file, text, mode)

    def reset(self) -> None:
        """As each test finds it."""
        self.policy("[default]\nMemoryMax=256M\nCPUQuota=200%\nTasksMax=128\n\n"
                    "[group {students}]\nMemoryMax=128M\nTasksMax=64\nHostname=lab-%u\n")
        for server in self.servers.values():
            server.pam()

    def isolatectl(self, *arguments: str) -> Result:
        for folder in ("sbin", "bin"):
            path = f"{self.prefix}/{folder}/isolatectl"
            if os.path.exists(path):
                done = subprocess.run([path, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
                return Result(done.returncode, done.stdout, done.stderr)
        raise Failed(f"isolatectl is not installed in {self.prefix}")

    def sessions(self, short: str = "") -> list[Session]:
        """The logins there are, oldest first; of one user, or all."""
        found = []
        for path in glob.glob(f"{self.records}/*/session"):
            with contextlib.suppress(FileNotFoundError):
                found.append((os.stat(path).st_ctime_ns, Session(os.path.dirname(path))))
        found.sort(key=lambda pair: pair[0])
        return [one for _, one in found if not short or one.user == self.users[short].name]

    def session(self, short: str) -> Session:
        """The one login of a user, once it is there."""
        found = wait_for(lambda: self.sessions(short), 10, f"a login of {short}")
        equal(len(found), 1, f"logins of {short}")
        return found[0]

    def shared_name(self, short: str) -> str:
        """Of the socket of a user's shared sandbox in .users, by the default policy file: helper/shared.h."""
        number = 2166136261
        for byte in self.users[short].name.encode() + b"\0" + b"\0":
            number = (number ^ byte) * 16777619 & 0xFFFFFFFF
        return f"{self.users[short].uid}.{number:08x}"

    # -- processes --

    def spawn(self, *argv: str, **options) -> subprocess.Popen:
        """A process that is ended after the test, at the latest. What stays beyond a call has to be started by this."""
        child = subprocess.Popen(argv, **options)
        self.children.append(child)
        return child

    def nursery(self, *argv: str) -> list[str]:
        """The argv to start a leader by: see nursery.py."""
        return [f"{os.path.dirname(__file__)}/nursery.py", self.group, *argv]

    def end_clients(self) -> None:
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream:
                    with contextlib.suppress(OSError):
                        stream.close()
        for terminal in self.terminals:
            terminal.close()
        self.children, self.terminals = [], []

    def reap(self) -> None:
        """Orphans come to us, who are their subreaper; our own children are not touched."""
        for one in processes():
            if one.state == "Z" and one.parent == os.getpid() and not self._is_ours(one.pid):
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(one.pid, os.WNOHANG | WALL)

    def _is_ours(self, pid: int) -> bool:
        servers = [server.child for server in self.servers.values()]
        return pid in [child.pid for child in self.children + servers] + [terminal.pid for terminal in self.terminals]

    # -- ssh --

    def client_options(self, server: Sshd | None = None) -> list[str]:
        """Options that ssh, scp and sftp share."""
        words = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "IdentitiesOnly=yes", "BatchMode=yes",
                 f"IdentityFile={self.directory}/client_key", f"Port={(server or self.sshd).port}")
        return ["-F", "none", *(part for word in words for part in ("-o", word))]

    def ssh_argv(self, short: str, *command: str, options: tuple[str, ...] = (), server: Sshd | None = None) -> list[str]:
        return ["ssh", *self.client_options(server), *options, self.address(short), *command]

    def ssh_command(self, server: Sshd | None = None) -> str:
        """For programs that start ssh themselves (rsync -e, GIT_SSH_COMMAND): all but user and host."""
        return " ".join(["ssh", *self.client_options(server)])

    def address(self, short: str) -> str:
        return f"{self.users[short].name}@127.0.0.1"

    def ssh(self, short: str, *command: str, options: tuple[str, ...] = (), input: str = "", timeout: float = SSH_TIMEOUT,
            tty: bool = False, server: Sshd | None = None) -> Result:
        argv = self.ssh_argv(short, *command, options=(*options, *(("-tt",) if tty else ())), server=server)
        return self.call(*argv, input=input, timeout=timeout)

    def call(self, *argv: str, input: str = "", timeout: float = SSH_TIMEOUT, env: dict[str, str] | None = None,
             **options) -> Result:
        """Runs a program to its end; a time-out is a failure that tells what there was."""
        child = self.spawn(*argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                           env={**os.environ, **(env or {})}, **options)
        try:
            out, err = child.communicate(input, timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
            raise Failed(f"{' '.join(argv)[-200:]}: no end within {timeout} s\nstdout: {out}\nstderr: {err}") from None
        self.children.remove(child)
        return Result(child.returncode, out, err)

    def spawn_ssh(self, short: str, *command: str, options: tuple[str, ...] = (), server: Sshd | None = None) -> subprocess.Popen:
        """A login that goes on: pipes for all three, in text."""
        return self.spawn(*self.ssh_argv(short, *command, options=options, server=server), stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)

    # -- what must not be left --

    def nothing_left(self, within: float = 1.0) -> None:
        """Fails unless every trace of every login is gone within that time."""
        deadline = time.monotonic() + within
        while left := self.left():
            if time.monotonic() > deadline:
                raise Failed(f"left {within} s after the end:\n" + "\n".join(left))
            time.sleep(0.02)

    def left(self) -> list[str]:
        self.reap()
        return self._processes_left() + self._groups_left() + self._records_left() + self._mounts_left() + self._fds_left()

    def _processes_left(self) -> list[str]:
        return [f"process {one}" for one in self.strays()]

    def strays(self) -> list[Process]:
        """Processes of our users, of the product, and of our servers but their listeners."""
        uids = {user.uid for user in self.users.values()} - {0}
        listeners = {server.pid for server in self.servers.values()}
        programs = (f"{self.programs}/", *(server.program for server in self.servers.values()))
        return [one for one in processes()
                if one.pid not in listeners and (one.uid in uids or one.program.startswith(programs))]

    def _groups_left(self) -> list[str]:
        uids = [user.uid for user in self.users.values() if user.uid != 0]
        roots = [CGROUPS, *glob.glob(f"{CGROUPS}/*")]
        paths = (f"{root}/isolate/{uid}" for root in roots for uid in uids)
        return [f"cgroup {path}" for path in paths if os.path.exists(path)]

    def _records_left(self) -> list[str]:
        names = [name for name in os.listdir(self.records) if name not in ("lock", ".users")]
        if os.path.isdir(f"{self.records}/.users"):
            names += [f".users/{name}" for name in os.listdir(f"{self.records}/.users")]
        return [f"record {self.records}/{name}" for name in names]

    @staticmethod
    def _mounts() -> set[str]:
        return set(read_text("/proc/self/mountinfo").splitlines())

    def _mounts_left(self) -> list[str]:
        return [f"mount {line}" for line in self._mounts() ^ self.mounts]

    def _fds_left(self) -> list[str]:
        return [f"fds: the listener of {server.service} has {server.count_fds()}, had {server.fds}"
                for server in self.servers.values() if server.count_fds() != server.fds]

    def running(self, line: str) -> list[Process]:
        """Processes of our users with this command line, dead and stopped ones not."""
        return [one for one in self.strays() if one.state not in "ZXT" and command_line(one.pid) == line]

    @staticmethod
    def _remove_groups(top: str) -> None:
        for folder, _, files in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                if "freezer.state" in files:
                    write_file(f"{folder}/freezer.state", "THAWED")
                os.rmdir(folder)

    def purge(self) -> None:
        """After a failure: the next test starts clean."""
        for one in self.strays():
            kill(one.pid)
        deadline = time.monotonic() + 3
        while (groups := self._groups_left()) and time.monotonic() < deadline:
            for group in groups:
                self._remove_groups(group.removeprefix("cgroup "))
            self.reap()
            time.sleep(0.05)
        for name in os.listdir(self.records):
            if name != "lock":
                shutil.rmtree(f"{self.records}/{name}", True)
        self.mounts = self._mounts()
        for server in self.servers.values():
            server.fds = server.count_fds()


# ---- clients --------------------------------------------------------------


class Master:
    """One connection with many channels (ControlMaster)."""

    def __init__(self, machine: Machine, short: str, *options: str):
        self.machine, self.short = machine, short
        self.path = f"{machine.directory}/master-{short}-{time.monotonic_ns()}"
        self.child = machine.spawn_ssh(short, options=("-M", "-N", "-S", self.path, *options))
        wait_for(self._is_up, 10, "a master connection")

    def _is_up(self) -> bool:
        if self.child.poll() is not None:
            raise Failed(f"the master connection ended: {self.child.stderr.read()}")
        return self._control("check").status == 0

    def _control(self, word: str) -> Result:
        return self.machine.call(*self.machine.ssh_argv(self.short, options=("-S", self.path, "-O", word)))

    def ssh(self, *command: str, **options) -> Result:
        more = options.pop("options", ())
        return self.machine.ssh(self.short, *command, options=("-S", self.path, *more), **options)

    def spawn_ssh(self, *command: str) -> subprocess.Popen:
        return self.machine.spawn_ssh(self.short, *command, options=("-S", self.path))

    def close(self) -> None:
        self._control("exit")
        self.child.wait(10)


class Pty:
    """A terminal with a program in it: an ssh login, or any argv."""

    def __init__(self, machine: Machine, short: str = "", *command: str, argv: list[str] | None = None,
                 options: tuple[str, ...] = (), size: tuple[int, int] = (24, 80)):
        argv = argv or machine.ssh_argv(short, *command, options=("-tt", *options))
        self.text = ""
        self.status: int | None = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "dumb"
            os.execvp(argv[0], argv)
        machine.terminals.append(self)
        self.resize(*size)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def line(self, text: str) -> None:
        self.send(text + "\r")

    def expect(self, pattern: str, timeout: float = 10.0) -> re.Match:
        """Reads until the pattern is there, and forgets what is before its end."""
        deadline = time.monotonic() + timeout
        while not (found := re.search(pattern, self.text, re.MULTILINE)):
            if not self._read(deadline - time.monotonic()):
                raise Failed(f"the terminal did not show {pattern!r} within {timeout} s, but {self.text!r}")
        self.text = self.text[found.end():]
        return found

    def _read(self, timeout: float) -> bool:
        if timeout <= 0 or not select.select([self.fd], [], [], timeout)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        self.text += data.decode(errors="replace")
        return bool(data)

    def wait(self, timeout: float = 10.0) -> int:
        """Reads to the end; the exit status."""
        deadline = time.monotonic() + timeout
        while self._read(deadline - time.monotonic()):
            pass
        wait_for(self._ended, max(0.1, deadline - time.monotonic()), "the end of the terminal's program")
        return self.status

    def _ended(self) -> bool:
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def close(self) -> None:
        if not self._ended():
            kill(self.pid)
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        with contextlib.suppress(OSError):
            os.close(self.fd)


# A PAM application that is told on its stdin what to do, and answers each line with one that starts with "= ". The modules' messages
# go to stderr.
LEADER = r'''
import ctypes, os, pwd, sys, time

class Message(ctypes.Structure):
    _fields_ = [("style", ctypes.c_int), ("text", ctypes.c_char_p)]

TALK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.POINTER(Message)), ctypes.POINTER(ctypes.c_void_p),
                        ctypes.c_void_p)

class Conversation(ctypes.Structure):
    _fields_ = [("talk", TALK), ("data", ctypes.c_void_p)]

libc, pam = ctypes.CDLL(None), ctypes.CDLL("libpam.so.0")
libc.calloc.restype = ctypes.c_void_p
service = sys.argv[1].encode()

@TALK
def talk(n, messages, responses, _data):
    for i in range(n):
        print(messages[i].contents.text.decode(), file=sys.stderr, flush=True)
    responses[0] = libc.calloc(n, 16)
    return 0

conversation = Conversation(talk, None)

class Login:
    def __init__(self, name):
        self.user, self.pam = pwd.getpwnam(name), ctypes.c_void_p()
        pam.pam_start(service, name.encode(), ctypes.byref(conversation), ctypes.byref(self.pam))

    def open(self):
        return pam.pam_open_session(self.pam, 0)

    def close(self):
        status = pam.pam_close_session(self.pam, 0)
        pam.pam_end(self.pam, status)
        return status

    def run(self, command, wait=True):
        pid = os.fork()
        if pid == 0:
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
            os.setgroups([self.user.pw_gid])
            os.setgid(self.user.pw_gid)
            os.setuid(self.user.pw_uid)
            os.execv(self.user.pw_shell, ["sh", "-c", command])
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if wait else 0

def cycle(count, *names):
    """One login after the other: seconds of each."""
    took = []
    for i in range(int(count)):
        start = time.monotonic()
        login = Login(names[i % len(names)])
        status = login.open()
        if status == 0:
            status = login.close()
        took.append(time.monotonic() - start)
        if status:
            return f"login {i}: {status}"
    return " ".join(f"{seconds:.6f}" for seconds in took)

def crowd(count, *names):
    """As many at the same time, each in a process of its own: what each has got."""
    results, theirs = os.pipe()
    until, ours = os.pipe()
    for i in range(int(count)):
        if os.fork() == 0:
            os.close(ours)
            login = Login(names[i % len(names)])
            status = login.open()
            os.write(theirs, b"%d\n" % status)
            os.read(until, 1)
            os._exit(status or login.close())
    got = b""
    while got.count(b"\n") < int(count):
        got += os.read(results, 65536)
    answer(got.decode().replace("\n", " "))
    sys.stdin.readline()
    os.close(ours)
    return " ".join(str(os.waitstatus_to_exitcode(os.wait()[1])) for _ in range(int(count)))

def answer(what):
    print("=", what, flush=True)

answer("ready")
login = None
while line := sys.stdin.readline():
    word, _, rest = line.rstrip("\n").partition(" ")
    if word == "open":
        login = Login(rest)
        answer(login.open())
    elif word == "close":
        answer(login.close())
    elif word in ("run", "leave"):
        answer(login.run(rest, word == "run"))
    else:
        answer({"cycle": cycle, "crowd": crowd}[word](*rest.split()))
'''


class Leader:
    """
    A PAM application that logs in by the service of m.sshd (or another): open(), run() a command in the session, close(). cycle()
    and crowd() are for many logins without what ssh costs.
    """

    def __init__(self, machine: Machine, short: str = "", server: Sshd | None = None):
        self.machine, self.short = machine, short
        argv = machine.nursery(sys.executable, "-c", LEADER, (server or machine.sshd).service)
        self.child = machine.spawn(*argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)
        self._answer()
        self.pid = next(one.pid for one in processes() if one.parent == self.child.pid)

    def _answer(self) -> tuple[str, str]:
        """What it said, and what was printed before."""
        out = ""
        while line := self.child.stdout.readline():
            if line.startswith("= "):
                return line[2:-1], out
            out += line
        raise Failed(f"the leader has ended: {self.child.stderr.read()}")

    def _tell(self, text: str) -> tuple[str, str]:
        self.child.stdin.write(text + "\n")
        return self._answer()

    def open(self) -> int:
        """The module's result: 0 is PAM_SUCCESS."""
        return int(self._tell(f"open {self.machine.user(self.short).name}")[0])

    def close(self) -> int:
        return int(self._tell("close")[0])

    def run(self, command: str) -> Result:
        status, out = self._tell(f"run {command}")
        return Result(int(status), out, "")

    def leave(self, command: str) -> None:
        """Runs it, and does not wait for it, nor for its end."""
        self._tell(f"leave {command}")

    def cycle(self, count: int, *shorts: str) -> list[float]:
        words = self._tell(f"cycle {count} {' '.join(self.machine.user(short).name for short in shorts)}")[0]
        check(not words.startswith("login"), words)
        return [float(word) for word in words.split()]

    def crowd(self, count: int, *shorts: str) -> list[int]:
        """Opens them; end_crowd() closes them."""
        return [int(word) for word in self._tell(f"crowd {count} {' '.join(self.machine.user(short).name for short in shorts)}")[0].split()]

    def end_crowd(self) -> list[int]:
        return [int(word) for word in self._tell("")[0].split()]

    def end(self) -> None:
        self.child.stdin.close()
        self.child.wait(10)
