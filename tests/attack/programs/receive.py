# SPDX-License-Identifier: BSD-3-Clause
"""receive.py SOCKET PID: takes a directory fd of the host's "/" from an abstract socket, and tries what it is good for."""

import glob
import json
import os
import socket
import subprocess
import sys

from probe import outcome, sc


def run_below(fd: int, path: str, *argv: str) -> str:
    """A program of the host's view, by the fd."""
    done = subprocess.run([f"/proc/self/fd/{fd}/{path}", *argv], pass_fds=[fd], stdout=subprocess.PIPE, text=True, timeout=10)
    return done.stdout.strip()


def write_groups(root: str) -> str:
    found = set()
    for path in glob.glob(f"{root}/sys/fs/cgroup/**/cgroup.procs", recursive=True)[:200]:
        found.add(outcome(lambda: open(path, "w").write("0")))
    return " ".join(sorted(found)) or "none"


def where(fd: int) -> str:
    inside = run_below(fd, "bin/bash", "-c", "readlink /proc/self/ns/user")
    return "own user namespace" if inside == os.readlink("/proc/self/ns/user") else inside


def main() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
        peer.connect("\0" + sys.argv[1])
        _, fds, _, _ = socket.recv_fds(peer, 1, 1)
    fd, pid = fds[0], sys.argv[2]
    root = f"/proc/self/fd/{fd}"
    print(json.dumps({
        "setuid su": run_below(fd, "srv/" + sys.argv[1].removesuffix("socket") + "/set-id/suid-id", "-u"),
        "root of sshd": outcome(lambda: os.listdir(f"{root}/proc/{pid}/root")),
        "mem of sshd": outcome(lambda: os.close(os.open(f"{root}/proc/{pid}/mem", os.O_RDWR))),
        "signal to sshd": outcome(lambda: sc.pidfd_send_signal(os.open(f"{root}/proc/{pid}", os.O_RDONLY), 0, 0, 0)),
        "shell of the host": where(fd),
        "cgroup.procs": write_groups(root),
    }))


main()
