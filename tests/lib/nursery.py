#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""
nursery.py CGROUP PROGRAM [ARGUMENT ...]

Runs a program that becomes a leader, or starts some, as a machine would: in a cgroup that is not the one of the tests, below a
process that reaps orphans at once. A zombie keeps the PID namespace that it was in from ending.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def main() -> int:
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with open(f"{sys.argv[1]}/cgroup.procs", "w") as procs:
        procs.write(str(os.getpid()))
    pid = os.fork()
    if pid == 0:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        os.execvp(sys.argv[2], sys.argv[2:])
    signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
    while True:
        ended, status = os.wait()
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
