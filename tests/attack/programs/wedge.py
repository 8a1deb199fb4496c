# SPDX-License-Identifier: BSD-3-Clause
"""
What the kernel holds up as long as the user likes, by a page of a FUSE file of his own that never comes. Runs inside of a login.

wedge.py terminal N: makes a terminal that whoever opens it waits for some 5 * N seconds, and a process that has it. Prints "ready" when
all is in place. One process holds a reference to the terminal's line discipline: it takes the terminal's settings from such a page. Each
of N others asks for another line discipline, again and again, and waits for that reference, 5 seconds at a time, with the terminal's
lock held. So whoever opens or closes the terminal, or writes to it, waits with them, O_NONBLOCK or not.

wedge.py hold NAME, wedge.py serve NAME: a process that SIGKILL does not end, for the server of the page it waits for is in another
login, which has got the device's fd by an abstract socket.
"""

import array
import contextlib
import ctypes
import fcntl
import mmap
import os
import signal
import socket
import struct
import sys
import termios
import time

from probe import become_nested_root, libc, sc, scratch

TCSETS, TIOCGPTN, TIOCSPTLCK = 0x5402, 0x80045430, 0x40045431
LOOKUP, FORGET, GETATTR, OPEN, READ, INIT, BATCH_FORGET = 1, 2, 3, 14, 15, 26, 42
PAGE = 4096


def detached(action) -> int:
    """A process that minds no signal that can be ignored."""
    pid = os.fork()
    if pid:
        return pid
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    action()
    os._exit(0)


def sleep() -> None:
    while True:
        time.sleep(600)


def terminal() -> int:
    """The slave of a new one. Its master stays open."""
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    number = struct.unpack("i", fcntl.ioctl(master, TIOCGPTN, b"    "))[0]
    fcntl.ioctl(master, TIOCSPTLCK, struct.pack("i", 0))
    return os.open(f"/dev/pts/{number}", os.O_RDWR | os.O_NOCTTY)


def attributes(inode: int, mode: int, size: int) -> bytes:
    return struct.pack("QQQQQQIIIIIIIIII", inode, size, 1, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, PAGE, 0)


def serve(device: int) -> None:
    """A file system with one file, "page". Who reads it gets no answer."""
    of_file = attributes(2, 0o100644, PAGE)
    while True:
        request = os.read(device, 1 << 18)
        _, code, unique, node = struct.unpack_from("IIQQ", request)
        if code == INIT:
            answer = struct.pack("IIIIHHIIHHI28x", 7, 31, 0, 0, 1, 1, PAGE, 1, 1, 0, 0)
        elif code == LOOKUP:
            answer = struct.pack("QQQQII", 2, 0, 600, 600, 0, 0) + of_file
        elif code == GETATTR:
            answer = struct.pack("QII", 600, 0, 0) + (of_file if node == 2 else attributes(1, 0o40755, 0))
        elif code == OPEN:
            answer = struct.pack("QIi", 1, 0, 0)
        elif code in (READ, FORGET, BATCH_FORGET):
            continue
        else:
            os.write(device, struct.pack("IiQ", 16, -38, unique))
            continue
        os.write(device, struct.pack("IiQ", 16 + len(answer), 0, unique) + answer)


def page_of_a_file(give_device) -> int:
    """The address of the page. give_device(fd) sees to a server; nobody else has the device open."""
    directory = scratch("fuse")
    device = os.open("/dev/fuse", os.O_RDWR)
    sc.mount("fuse", directory, "fuse", 0, f"fd={device},rootmode=40000,user_id=0,group_id=0")
    give_device(device)
    os.close(device)
    file = os.open(f"{directory}/page", os.O_RDONLY)
    libc.mmap.restype = ctypes.c_void_p
    return libc.mmap(None, ctypes.c_size_t(PAGE), mmap.PROT_READ, mmap.MAP_PRIVATE, file, ctypes.c_long(0))


def take_settings(slave: int, address: int) -> None:
    libc.ioctl(slave, ctypes.c_ulong(TCSETS), ctypes.c_void_p(address))


def contend(slave: int) -> None:
    while True:
        with contextlib.suppress(OSError):
            fcntl.ioctl(slave, termios.TIOCSETD, struct.pack("i", 0))


def lead(slave: int) -> None:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    sleep()


def wedge_terminal(count: str) -> None:
    become_nested_root()
    slave = terminal()
    address = page_of_a_file(lambda device: detached(lambda: serve(device)))
    detached(lambda: lead(slave))
    time.sleep(0.2)
    detached(lambda: take_settings(slave, address))
    time.sleep(0.2)
    for _ in range(int(count)):
        detached(lambda: contend(slave))
    time.sleep(0.5)
    print("ready", flush=True)
    sleep()


def hold(name: str) -> None:
    def send(device: int) -> None:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(f"\0{name}")
            peer.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [device]))])
            peer.recv(1)

    become_nested_root()
    address = page_of_a_file(send)
    detached(lambda: ctypes.string_at(address, 1))
    time.sleep(0.5)
    print("ready", flush=True)
    sleep()


def serve_another(name: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        print("ready", flush=True)
        peer = listener.accept()[0]
    _, more, _, _ = peer.recvmsg(1, socket.CMSG_SPACE(4))
    peer.send(b"x")
    serve(array.array("i", more[0][2])[0])


{"terminal": wedge_terminal, "hold": hold, "serve": serve_another}[sys.argv[1]](sys.argv[2])
