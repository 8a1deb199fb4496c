# SPDX-License-Identifier: BSD-3-Clause
"""
A real Debian under QEMU, with the project installed from the tree under test.

    with VM("bookworm") as vm:                 # or VM("bookworm", "systemd.unified_cgroup_hierarchy=0")
        vm.wait_ready()
        vm.install()
        vm.root("systemctl --failed").ok().out         # over a second sshd without PAM: works whatever the product does
        vm.ssh("alice", "cat /proc/self/cgroup").out   # over port 22, as Debian ships it, with our line in its PAM stack
        vm.console.line("root")                        # the serial line, with a getty on it

- Each start is of the same pristine disk. Emulation only, which runs everywhere, about 20 times slower than the host.
- Forwarded ports are picked by the kernel; all files are in a temporary directory; everything ends with the VM.
- Users: root, alice and bob (group students), teacher (group wheel). The password is the name.
"""

import contextlib
import fcntl
import json
import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from harness import Failed, Result, kill, read_text, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
QEMU = "qemu-system-x86_64"
NO_TEXT = re.compile(r"\x1b\[[?0-9;]*[a-zA-Z]|\r")
PROMPT = r"[$#] $"
BOOT_TIMEOUT = 240.0
TIMEOUT = 60.0

CMDLINE = ("root=/dev/vda rw console=ttyS0 quiet loglevel=2 net.ifnames=0 mitigations=off panic=-1 fsck.mode=skip "
           "systemd.show_status=0 systemd.ssh_auto=no")

# Every way in that a user of the tests can take: the services, and files in /etc/pam.d.
SERVICES = ("sshd", "login", "su-l", "cron", "atd")
PACKAGE = "/root/libpam-isolate.deb"
SESSION_LINE = "session required pam_isolate.so"

# As each test finds it.
POLICY = """\
[default]
MemoryMax=256M
CPUQuota=200%
TasksMax=128

[group students]
MemoryMax=128M
CPUQuota=150%
TasksMax=64
Hostname=lab-%u
UserMemoryMax=192M

[group wheel]
Isolate=no
"""


class Console:
    """The serial line. Read all the time, so that the machine never waits for us; `text` is what was read and not expected yet."""

    def __init__(self, path: str):
        self.text = ""
        self.more = threading.Condition()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := self.socket.recv(65536):
                with self.more:
                    self.text = NO_TEXT.sub("", self.text + data.decode(errors="replace"))
                    self.more.notify_all()

    def send(self, text: str) -> None:
        self.socket.sendall(text.encode())

    def line(self, text: str) -> None:
        self.send(text + "\r")

    def expect(self, pattern: str, timeout: float = TIMEOUT) -> re.Match:
        """Waits for the pattern, and forgets what is before its end."""
        deadline = time.monotonic() + timeout
        with self.more:
            while not (found := re.search(pattern, self.text, re.MULTILINE)):
                if not self.more.wait(deadline - time.monotonic()):
                    raise Failed(f"the console did not show {pattern!r} within {timeout} s, but {self.text[-2000:]!r}")
            self.text = self.text[found.end():]
        return found

    def forget(self) -> None:
        with self.more:
            self.text = ""

    def login(self, user: str, prompt: str = PROMPT) -> None:
        """From the getty's prompt to the shell's, on a line so wide that no echo is wrapped."""
        self.forget()
        self.line("")
        self.expect(r"login: $")
        self.line(user)
        self.expect(r"Password: $")
        self.line(user)
        self.expect(prompt)
        self.line("stty columns 250")
        self.expect(prompt)

    def run(self, command: str, timeout: float = TIMEOUT) -> str:
        """A command in the shell that is at its prompt, and is so again after it; what it prints. The mark is typed in two parts,
        so that its echo does not look like it."""
        self.forget()
        self.line(f"{command}; echo end-of''-it")
        lines = self.expect(r"(?s)\A.*?^end-of-it\n", timeout)[0].splitlines()[:-1]
        self.expect(PROMPT)
        echo = next((number for number, line in enumerate(lines) if "end-of''-it" in line), -1)
        return "\n".join(lines[echo + 1:])

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Login:
    """A login over ssh that goes on: a shell that is sent one command after the other. Without a terminal, or with one that does
    not echo, where other things may be shown among what commands print."""

    ON_A_TERMINAL = "stty -echo -onlcr; PS1= PS2= exec sh -i"

    def __init__(self, vm: "VM", user: str, options: tuple[str, ...] = (), tty: bool = False):
        self.text = ""
        self.tty = tty
        self.child = vm.spawn_ssh(user, self.ON_A_TERMINAL if tty else "", (*options, *(("-tt",) if tty else ())))
        self.run("true")  # what was shown at login comes before it
        self.id = self.run("echo $XDG_SESSION_ID").out.strip()
        self.uid = int(self.run("id -u").out)
        self.scope = f"session-{self.id}.scope"
        self.slice = f"user-{self.uid}.slice"
        self.group = f"/sys/fs/cgroup/user.slice/{self.slice}/{self.scope}"

    def send(self, command: str) -> None:
        try:
            self.child.stdin.write(command + "\n")
            self.child.stdin.flush()
        except OSError:
            self._ended()

    def run(self, command: str, timeout: float = TIMEOUT) -> Result:
        """Both its outputs in `out`. The shell itself must not end by it."""
        self.send(f"{{ {command}\n}} 2>&1 </dev/null; echo end-of-it $?")
        found = self.expect(r"(?s)\A(.*?)end-of-it (\d+)\n", timeout, command)
        return Result(int(found[2]), found[1], "")

    def expect(self, pattern: str, timeout: float = TIMEOUT, what: str = "") -> re.Match:
        """Waits for the pattern in what is printed, and forgets what is before its end."""
        deadline = time.monotonic() + timeout
        while not (found := re.search(pattern, self.text, re.MULTILINE)):
            if not select.select([self.child.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                raise Failed(f"{what or pattern}: not there within {timeout} s, but {self.text!r}")
            data = os.read(self.child.stdout.fileno(), 65536)
            if not data:
                self._ended()
            self.text += data.decode(errors="replace")
        self.text = self.text[found.end():]
        return found

    def _ended(self) -> None:
        self.child.wait(5)
        raise Failed(f"the login ended with {self.child.returncode}: {self.text}{self.child.stderr.read()}")

    def ended(self) -> bool:
        return self.child.poll() is not None

    def out(self, timeout: float = 20.0) -> None:
        """Waits until somebody has thrown the user out."""
        wait_for(self.ended, timeout, "the end of the login")

    def logout(self) -> None:
        if self.tty:
            self.send("exit")
        self.child.stdin.close()
        self.out()


class Monitor:
    """QEMU's monitor, spoken to in QMP."""

    def __init__(self, path: str):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(path)
        self.file = self.socket.makefile("rw")
        self.file.readline()
        self.command("qmp_capabilities")

    def command(self, name: str, **arguments):
        self.file.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.file.flush()
        while line := self.file.readline():
            answer = json.loads(line)
            if "error" in answer:
                raise Failed(f"monitor: {name}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
        raise Failed(f"monitor: no answer to {name}")

    def forwards(self) -> dict[int, int]:
        """{port in the machine: port on 127.0.0.1}"""
        text = self.command("human-monitor-command", **{"command-line": "info usernet"})
        found = re.findall(r"HOST_FORWARD\]\s+\d+\s+\S+\s+(\d+)\s+\S+\s+(\d+)", text)
        return {int(inside): int(outside) for outside, inside in found}

    def close(self) -> None:
        self.file.close()
        self.socket.close()


def needs() -> str:
    """What this host lacks for a VM; empty if nothing."""
    if os.geteuid() != 0:
        return "not root"
    lacking = [name for name in (QEMU, "mmdebstrap", "mke2fs", "ssh", "unshare") if not shutil.which(name)]
    return f"{', '.join(lacking)} not installed" if lacking else ""


def prepared(script: str, suite: str, *what: str) -> str:
    """Runs tests/vm/image or tests/vm/build, and returns the path that it prints."""
    done = subprocess.run([f"{HERE}/{script}", suite, *what], stdout=subprocess.PIPE, text=True, timeout=1800)
    if done.returncode != 0:
        raise Failed(f"tests/vm/{script} {suite}: exit {done.returncode}")
    return done.stdout.strip()


class VM:
    """One machine, from power on to power off. A context manager."""

    def __init__(self, suite: str, cmdline_extra: str = "", name: str = ""):
        self.suite, self.cmdline_extra, self.name = suite, cmdline_extra, name or suite
        self.packaged = self.name.endswith("-package")  # the Debian package is there to be installed, and nothing else
        self.children: list[subprocess.Popen] = []
        self.undo = contextlib.ExitStack()
        self.qemu: subprocess.Popen | None = None
        self.master: subprocess.Popen | None = None
        self.console: Console | None = None

    def __enter__(self) -> "VM":
        try:
            self.boot()
        except BaseException:
            self.shutdown()
            raise
        return self

    def __exit__(self, *_what) -> None:
        self.shutdown()

    # -- power --

    def boot(self) -> None:
        self.image = prepared("image", self.suite)
        lock = self.undo.enter_context(open(f"{self.image}/lock"))
        fcntl.flock(lock, fcntl.LOCK_SH)
        self.directory = self.undo.enter_context(tempfile.TemporaryDirectory(prefix="pam_isolate-vm-", dir="/var/tmp"))
        for key in ("root_key", "user_key"):
            shutil.copy(f"{self.image}/{key}", self.directory)
        self.qemu = self._spawn_qemu()
        self.undo.callback(self._end_qemu)
        wait_for(lambda: self._there("monitor") and self._there("serial"), 20, "QEMU's start")
        self.console = Console(f"{self.directory}/serial")
        self.undo.callback(self.console.close)
        self.monitor = Monitor(f"{self.directory}/monitor")
        self.undo.callback(self.monitor.close)
        self.ports = self.monitor.forwards()

    def _there(self, name: str) -> bool:
        if self.qemu.poll() is not None:
            raise Failed(f"QEMU ended with {self.qemu.returncode}: {read_text(f'{self.directory}/qemu.log')}")
        return os.path.exists(f"{self.directory}/{name}")

    def _spawn_qemu(self) -> subprocess.Popen:
        """TMPDIR is where snapshot=on puts what the machine writes: the image itself stays as it is."""
        with open(f"{self.directory}/qemu.log", "w") as log:
            return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *self._qemu_argv()], stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=log, start_new_session=True, env={**os.environ, "TMPDIR": self.directory})

    def _qemu_argv(self) -> list[str]:
        forwards = ",".join(f"hostfwd=tcp:127.0.0.1:0-:{port}" for port in (22, 2222))
        # One thread for both CPUs: with a thread each the emulation loses now and then a race that the kernel's own code patching relies on
        # (text_poke_bp), and the guest panics in the middle of a patched instruction.
        return [QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-machine", "q35,usb=off,sata=off,smbus=off,vmport=off", "-accel", "tcg,thread=single", "-cpu", "Nehalem",
                "-smp", "2", "-m", "1024",
                "-kernel", f"{self.image}/vmlinuz", "-initrd", f"{self.image}/initrd", "-append", f"{CMDLINE} {self.cmdline_extra}",
                "-drive", f"file={self.image}/root.ext4,format=raw,if=none,id=root,snapshot=on,cache=unsafe",
                "-device", "virtio-blk-pci,drive=root",
                "-netdev", f"user,id=net,restrict=on,{forwards}", "-device", "virtio-net-pci,netdev=net",
                "-device", "virtio-rng-pci",
                "-chardev", f"socket,id=serial,path={self.directory}/serial,server=on,wait=off,"
                            f"logfile={self.directory}/console.log",
                "-serial", "chardev:serial",
                "-qmp", f"unix:{self.directory}/monitor,server=on,wait=off"]

    def _end_qemu(self) -> None:
        self.qemu.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.qemu.wait(5)
        self.qemu.kill()
        self.qemu.wait()

    def wait_ready(self) -> str:
        """Until the boot is over; what `systemctl is-system-running` says."""
        state = self._expect_alive(r"vm-ready: (\S+)\n")[1]
        self._start_master()
        return state

    def _expect_alive(self, pattern: str) -> re.Match:
        """A kernel that panics makes QEMU end: no need to wait for the whole time then."""
        deadline = time.monotonic() + BOOT_TIMEOUT
        while True:
            self._there("console.log")
            try:
                return self.console.expect(pattern, 2)
            except Failed:
                if time.monotonic() > deadline:
                    raise

    def shutdown(self) -> None:
        """Power off, hard: nothing on the disk is worth a proper end."""
        self.end_clients()
        self.undo.close()

    def console_log(self) -> str:
        return read_text(f"{self.directory}/console.log")

    # -- ssh --

    def _options(self, port: int, key: str) -> list[str]:
        words = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "IdentitiesOnly=yes",
                 "BatchMode=yes", "ConnectTimeout=30", f"IdentityFile={self.directory}/{key}", f"Port={self.ports[port]}")
        return ["-F", "none", *(part for word in words for part in ("-o", word))]

    def client_options(self) -> list[str]:
        """For scp and sftp to users."""
        return self._options(22, "user_key")

    def root_argv(self, *command: str, options: tuple[str, ...] = ()) -> list[str]:
        return ["ssh", *self._options(2222, "root_key"), "-S", f"{self.directory}/master", *options, "root@127.0.0.1", *command]

    def ssh_argv(self, user: str, *command: str, options: tuple[str, ...] = ()) -> list[str]:
        return ["ssh", *self._options(22, "user_key"), *options, f"{user}@127.0.0.1", *command]

    def _start_master(self) -> None:
        """One connection for all of root's commands: a key exchange takes a second in here."""
        self.undo.callback(self._end_master)
        wait_for(self._master_answers, 60, "the back door's answer")

    def _master_answers(self) -> bool:
        """The server may not listen yet, though its port is forwarded already: then the next one is tried."""
        if self.master is None or self.master.poll() is not None:
            self.master = subprocess.Popen(self.root_argv(options=("-M", "-N")), stdin=subprocess.DEVNULL,
                                           stderr=subprocess.DEVNULL, start_new_session=True)
        time.sleep(0.2)
        return self.call(self.root_argv(options=("-O", "check"))).status == 0

    def _end_master(self) -> None:
        if self.master is not None:
            self.master.kill()
            self.master.wait()

    def call(self, argv: list[str], input: str = "", timeout: float = TIMEOUT, stdin=None) -> Result:
        """Runs a program of the host's to its end; a time-out is a failure that tells what there was."""
        child = self.spawn(argv, stdin=stdin or subprocess.PIPE)
        try:
            out, err = child.communicate(None if stdin else input, timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
            raise Failed(f"{shlex.join(argv)[-200:]}: no end within {timeout} s\nstdout: {out}\nstderr: {err}") from None
        self.children.remove(child)
        return Result(child.returncode, out, err)

    def spawn(self, argv: list[str], stdin=subprocess.PIPE) -> subprocess.Popen:
        child = subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                                 bufsize=1)
        self.children.append(child)
        return child

    def root(self, command: str, timeout: float = TIMEOUT, stdin=None, input: str = "") -> Result:
        """A shell command line as root, past PAM."""
        return self.call(self.root_argv(command), timeout=timeout, stdin=stdin, input=input)

    def ssh(self, user: str, command: str = "", timeout: float = TIMEOUT, tty: bool = False, input: str = "",
            options: tuple[str, ...] = ()) -> Result:
        """A login."""
        return self.call(self.ssh_argv(user, command, options=(*options, *(("-tt",) if tty else ()))), timeout=timeout, input=input)

    def spawn_ssh(self, user: str, command: str = "", options: tuple[str, ...] = ()) -> subprocess.Popen:
        """A login that goes on until the end of the test."""
        return self.spawn(self.ssh_argv(user, *([command] if command else []), options=options))

    def login(self, user: str, options: tuple[str, ...] = (), tty: bool = False) -> Login:
        return Login(self, user, options, tty)

    def end_clients(self) -> None:
        for child in self.children:
            kill(child.pid, signal.SIGTERM)
            try:
                child.wait(2)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            for stream in (child.stdin, child.stdout, child.stderr):
                with contextlib.suppress(OSError, AttributeError):
                    stream.close()
        self.children = []

    # -- the product --

    def install(self) -> None:
        """What a packager's `make install` makes, the system user, a policy, and our line in the PAM stacks."""
        if self.packaged:
            with open(prepared("build", self.suite, "package"), "rb") as package:
                self.root(f"cat >{PACKAGE}", stdin=package).ok()
            return
        with open(prepared("build", self.suite)) as tar:
            self.root("tar -x --keep-directory-symlink --no-overwrite-dir -C / -f -", stdin=tar).ok()
        files = " ".join(f"/etc/pam.d/{service}" for service in SERVICES)
        self.root("useradd --system --no-create-home --home-dir / --shell /usr/sbin/nologin isolate && "
                  f"echo '{SESSION_LINE}' | tee -a {files} && systemctl daemon-reload").ok()
        self.reset()

    def write(self, path: str, text: str, mode: str = "0644") -> None:
        self.root(f"cat >{shlex.quote(path)}~ && chmod {mode} {shlex.quote(path)}~ && mv {shlex.quote(path)}~ {shlex.quote(path)}",
                  input=text).ok()

    def policy(self, text: str) -> None:
        """Until the end of the test."""
        self.write("/etc/security/isolate.conf", text)

    def reset(self) -> None:
        if not self.packaged:
            self.policy(POLICY)


def say(text: str) -> None:
    print(f"# {text}", file=sys.stderr, flush=True)
