# SPDX-License-Identifier: BSD-3-Clause
"""
parent.py USER HELPER FAKE SIGNAL ARGV...: a user's process that has a setuid-root leader (su, sudo) as its child. It starts ARGV, which is
the leader, becomes the user, and when the file SIGNAL is there moves to a mount namespace of its own in which FAKE lies over HELPER.
"""

import ctypes
import os
import pwd
import sys
import time

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_BIND = 4096

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "system call")


def main() -> None:
    name, helper, fake, sign, *argv = sys.argv[1:]
    user = pwd.getpwnam(name)
    leader = os.fork()
    if leader == 0:
        os.execv(argv[0], argv)
    os.initgroups(name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    while not os.path.exists(sign):
        time.sleep(0.01)
    check(libc.unshare(CLONE_NEWUSER | CLONE_NEWNS))
    check(libc.mount(fake.encode(), helper.encode(), None, MS_BIND, None))
    print("covered", flush=True)
    os.waitpid(leader, 0)


main()
