# SPDX-License-Identifier: BSD-3-Clause
"""What else goes through one SSH connection: channels, forwarding, copying, jumping."""

import contextlib
import os
import shutil
import socket
import struct
import threading

from harness import Master, Pty, check, equal, free_port, matches, need_program, wait_for, write_text

IN_SANDBOX = "hostname; cat /proc/1/comm"


class Server:
    """Answers each connection on 127.0.0.1 with `answer` to what it got."""

    def __init__(self, answer, port: int = 0):
        self.socket = socket.create_server(("127.0.0.1", port))
        self.port = self.socket.getsockname()[1]
        self.answer = answer
        self.got: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                with connection:
                    data = connection.recv(65536)
                    self.got.append(data)
                    connection.sendall(self.answer(data))

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_what) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def shout(data: bytes) -> bytes:
    return data.upper()


def talk(port: int, data: bytes, timeout: float = 5.0) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        connection.sendall(data)
        return connection.recv(65536)


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def copied_file(m, name: str = "data") -> str:
    path = f"{m.directory}/{name}"
    with open(path, "wb") as file:
        file.write(os.urandom(300000))
    return path


def same_content(a: str, b: str) -> None:
    with open(a, "rb") as one, open(b, "rb") as other:
        check(one.read() == other.read(), f"{a} and {b} differ")


# ---- channels ----


def login_channels_of_one_connection_share_the_sandbox(m):
    master = Master(m, "alice")
    command = "for n in user pid mnt uts ipc cgroup; do readlink /proc/self/ns/$n; done"
    first = master.ssh(command).ok().out
    for _ in range(5):
        equal(master.ssh(command).ok().out, first)
    equal(master.ssh(command, tty=True).ok().out.split(), first.split())
    equal(len(m.sessions("alice")), 1)
    master.close()


def login_channels_see_each_others_processes_and_files(m):
    master = Master(m, "alice")
    child = master.spawn_ssh("echo > /tmp/from-the-first; exec sleep 321")
    wait_for(lambda: "sleep 321" in master.ssh("ps axww -o args=").out, 5, "the other channel's process")
    equal(master.ssh("ls /tmp/from-the-first").ok().out, "/tmp/from-the-first\n")
    master.ssh("pkill -f 'sleep 32[1]'").ok()
    child.wait(5)
    master.close()


def login_channels_work_at_the_same_time(m):
    master = Master(m, "alice")
    children = [master.spawn_ssh(f"sleep 0.2; echo {i}; exit {i}") for i in range(8)]
    for i, child in enumerate(children):
        equal(child.communicate(timeout=10)[0], f"{i}\n")
        equal(child.returncode, i)
    master.close()


def login_channel_after_the_first_has_ended_works(m):
    master = Master(m, "alice")
    for _ in range(3):
        equal(master.ssh("kill -9 $$").status, 255)
        equal(master.ssh("echo again").ok().out, "again\n")
    master.close()


def login_without_a_command_has_its_sandbox_too(m):
    child = m.spawn_ssh("alice", options=("-N",))
    session = m.session("alice")
    check(child.poll() is None, "ssh -N ended")
    check(session.leader in session.pids(), f"the leader {session.leader} is not in {session.cgroup}")
    child.terminate()


# ---- agent and forwarding ----


def login_reaches_the_forwarded_agent(m):
    path = f"{m.directory}/agent"
    m.spawn("ssh-agent", "-D", "-a", path, stdout=-3, stderr=-3)
    wait_for(lambda: os.path.exists(path), 5, "the agent")
    m.call("ssh-add", f"{m.directory}/client_key", env={"SSH_AUTH_SOCK": path}).ok()
    result = m.call(*m.ssh_argv("alice", "ssh-add -l; echo $SSH_AUTH_SOCK", options=("-A",)), env={"SSH_AUTH_SOCK": path}).ok()
    matches(r"^256 SHA256:\S+ .*\(ED25519\)", result.out)
    check(not os.path.exists(result.lines[1]), f"the agent's socket {result.lines[1]} is the host's")
    os.unlink(path)


def login_forwards_a_local_port(m):
    port = free_port()
    with Server(shout) as server:
        m.spawn_ssh("alice", options=("-N", "-L", f"127.0.0.1:{port}:127.0.0.1:{server.port}"))
        wait_for(lambda: listens(port), 10, "the forwarded port")
        equal(talk(port, b"hello"), b"HELLO")


def login_forwards_a_remote_port(m):
    port = free_port()
    with Server(shout) as server:
        m.spawn_ssh("alice", options=("-N", "-R", f"127.0.0.1:{port}:127.0.0.1:{server.port}"))
        wait_for(lambda: listens(port), 10, "the forwarded port")
        equal(talk(port, b"hello"), b"HELLO")


def login_forwards_dynamically(m):
    port = free_port()
    with Server(shout) as server:
        m.spawn_ssh("alice", options=("-N", "-D", f"127.0.0.1:{port}"))
        wait_for(lambda: listens(port), 10, "the proxy's port")
        with socket.create_connection(("127.0.0.1", port), 5) as proxy:
            proxy.sendall(b"\x05\x01\x00")
            equal(proxy.recv(2), b"\x05\x00")
            proxy.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + struct.pack(">H", server.port))
            equal(proxy.recv(10)[:2], b"\x05\x00")
            proxy.sendall(b"hello")
            equal(proxy.recv(100), b"HELLO")


def login_forwards_a_socket_in_its_own_tmp(m):
    with Server(shout) as server:
        master = Master(m, "alice", "-R", f"/tmp/forwarded:127.0.0.1:{server.port}")
        script = "import socket; s = socket.socket(1); s.connect('/tmp/forwarded'); s.send(b'hello'); print(s.recv(9))"
        equal(master.ssh(f'python3 -c "{script}"').ok().out, "b'HELLO'\n")
        check(not os.path.exists("/tmp/forwarded"), "the socket is in the host's /tmp")
        master.close()


X_CLIENT = r"""
import os, socket, struct, subprocess
host, screen = os.environ["DISPLAY"].split(":")
words = subprocess.run(["xauth", "list", os.environ["DISPLAY"]], capture_output=True, text=True).stdout.split()
cookie = bytes.fromhex(words[2])
s = socket.create_connection((host, 6000 + int(float(screen))), 5)
name = b"MIT-MAGIC-COOKIE-1"
s.sendall(struct.pack("<BxHHHH2x", 0x6c, 11, 0, len(name), len(cookie)) + name + b"\0\0" + cookie)
print(words[1], len(cookie), s.recv(100))
"""


def login_forwards_x11(m):
    need_program("xauth")
    display = next(n for n in range(60, 99) if not listens(6000 + n))
    with Server(lambda _data: b"from the X server", 6000 + display) as server:
        write_text(f"{m.directory}/xclient.py", X_CLIENT)
        home = f"{m.directory}/xhome"
        os.makedirs(home, exist_ok=True)
        result = m.call(*m.ssh_argv("alice", f"python3 {m.directory}/xclient.py", options=("-Y",)),
                        env={"DISPLAY": f"127.0.0.1:{display}", "XAUTHORITY": f"{home}/none"}).ok()
        equal(result.out, "MIT-MAGIC-COOKIE-1 16 b'from the X server'\n")
        check(server.got and b"MIT-MAGIC-COOKIE-1" in server.got[0], f"the server got {server.got}")


# ---- copying ----


def sftp(m, batch: str, short: str = "alice", server=None):
    return m.call("sftp", *m.client_options(server), "-b", "-", m.address(short), input=batch)


def try_sftp(m, server) -> None:
    path, back = copied_file(m), f"{m.directory}/back"
    sftp(m, f"put {path} sent\nget sent {back}\nls -l\nrm sent\nput {path} /tmp/in-sftp\n", server=server).ok()
    same_content(path, back)
    check(not os.path.exists("/tmp/in-sftp"), "sftp wrote to the host's /tmp")
    os.unlink(back)


def login_copies_with_the_internal_sftp(m):
    try_sftp(m, m.sshd)


def login_copies_with_the_external_sftp_server(m):
    program = "/usr/lib/openssh/sftp-server"
    need_program(program)
    try_sftp(m, m.add_sshd("external", sftp=program))


def login_sees_its_own_sandbox_through_sftp(m):
    back = f"{m.directory}/comm"
    sftp(m, f"get /proc/1/comm {back}\n")
    check(open(back).read() in ("isolate-init\n", ""), "it is the host's /proc")
    check(str(os.getpid()) not in sftp(m, "ls -1 /proc\n").ok().out.split(), "sees a process of the host")


def login_copies_with_scp(m):
    path = copied_file(m)
    for mode in ("-O", "-s"):
        m.call("scp", mode, "-p", *m.client_options(), path, f"{m.address('alice')}:sent").ok()
        m.call("scp", mode, *m.client_options(), f"{m.address('alice')}:sent", f"{m.directory}/back").ok()
        same_content(path, f"{m.directory}/back")
        same_content(path, f"{m.user('alice').home}/sent")
        os.unlink(f"{m.directory}/back")
    m.ssh("alice", "rm sent").ok()


def login_copies_a_tree_with_rsync(m):
    need_program("rsync")
    tree = f"{m.directory}/tree"
    os.makedirs(f"{tree}/deep/er", exist_ok=True)
    shutil.copy(copied_file(m), f"{tree}/deep/er/data")
    m.call("rsync", "-a", "-e", m.ssh_command(), f"{tree}/", f"{m.address('alice')}:tree/").ok()
    m.call("rsync", "-a", "-e", m.ssh_command(), f"{m.address('alice')}:tree/", f"{m.directory}/tree-back/").ok()
    same_content(f"{tree}/deep/er/data", f"{m.directory}/tree-back/deep/er/data")
    m.ssh("alice", "rm -r tree").ok()


def login_serves_git(m):
    need_program("git")
    m.ssh("alice", "git init -q --bare work.git").ok()
    env = {"GIT_SSH_COMMAND": m.ssh_command(), "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b",
           "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    address, clone = f"{m.address('alice')}:work.git", f"{m.directory}/clone"
    m.call("git", "clone", "-q", address, clone, env=env).ok()
    shutil.copy(copied_file(m), f"{clone}/data")
    for words in (("add", "data"), ("commit", "-qm", "data"), ("push", "-q", "origin", "HEAD:main")):
        m.call("git", *words, env=env, cwd=clone).ok()
    m.call("git", "clone", "-q", "-b", "main", address, f"{clone}2", env=env).ok()
    same_content(f"{clone}/data", f"{clone}2/data")
    m.ssh("alice", "rm -rf work.git").ok()


# ---- on the way to somewhere else ----


def login_is_a_jump_host(m):
    path = f"{m.directory}/jump.conf"
    both = "\n  ".join(("Port " + str(m.sshd.port), "HostName 127.0.0.1", "StrictHostKeyChecking no", "UserKnownHostsFile /dev/null",
                        "LogLevel ERROR", f"IdentityFile {m.directory}/client_key"))
    write_text(path, f"Host jump\n  User {m.user('alice').name}\n  {both}\n"
                     f"Host target\n  User {m.user('bob').name}\n  ProxyJump jump\n  {both}\n")
    equal(m.call("ssh", "-F", path, "target", "id -un; cat /proc/1/comm").ok().lines, [m.user("bob").name, "isolate-init"])


def login_inside_a_login_has_its_own_sandbox(m):
    """ssh from inside goes through the same server again."""
    key = f"{m.directory}/agent"
    m.spawn("ssh-agent", "-D", "-a", key, stdout=-3, stderr=-3)
    wait_for(lambda: os.path.exists(key), 5, "the agent")
    m.call("ssh-add", f"{m.directory}/client_key", env={"SSH_AUTH_SOCK": key}).ok()
    again = f"ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -p {m.sshd.port} 127.0.0.1"
    command = f"readlink /proc/self/ns/pid; {again} readlink /proc/self/ns/pid"
    lines = m.call(*m.ssh_argv("alice", command, options=("-A",)), env={"SSH_AUTH_SOCK": key}).ok().lines
    equal(len(set(lines)), 2, f"{lines}")
    os.unlink(key)


def login_forced_command_runs_inside(m):
    server = m.add_sshd("forced", f"Match User {m.user('alice').name}\n  ForceCommand echo forced $SSH_ORIGINAL_COMMAND; {IN_SANDBOX}")
    equal(m.ssh("alice", "one two", server=server).ok().lines, ["forced one two", f"lab-{m.user('alice').name}", "isolate-init"])


def login_forced_to_sftp_can_do_nothing_else(m):
    server = m.add_sshd("forcedsftp", f"Match User {m.user('alice').name}\n  ForceCommand internal-sftp")
    sftp(m, "ls\n", server=server).ok()
    check("root" not in m.ssh("alice", "cat /etc/passwd", server=server, timeout=5).out, "another command ran")


def login_command_of_the_key_runs_inside(m):
    path = f"{m.directory}/keys/{m.user('bob').name}"
    key = open(path).read()
    try:
        write_text(path, f'command="cat /proc/1/comm" {key}')
        equal(m.ssh("bob", "id").ok().out, "isolate-init\n")
    finally:
        write_text(path, key)


def login_terminal_in_a_channel_of_a_master(m):
    master = Master(m, "alice")
    terminal = Pty(m, "alice", "stty size; tty", options=("-S", master.path), size=(33, 99))
    terminal.expect("33 99")
    terminal.expect("/dev/pts/")
    equal(terminal.wait(), 0)
    master.close()
