# SPDX-License-Identifier: BSD-3-Clause
"""
bomb.py SECONDS: a fork bomb that minds no signal but SIGKILL, each process of it in a session of its own; for so long at most. Prints
"ready" when it has as many processes as it may have.
"""

import os
import signal
import sys
import time


def main() -> None:
    end = time.monotonic() + float(sys.argv[1])
    for number in range(1, signal.NSIG):
        if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, 32, 33):
            signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    if os.fork():
        time.sleep(1.5)
        print("ready", flush=True)
        os._exit(0)
    os.setsid()
    os.closerange(0, 3)
    generation = 0
    while time.monotonic() < end:
        try:
            if os.fork() == 0:
                generation += 1
                os.setsid()
            elif generation % 3 == 0:
                # The parent goes: who is left has another pid, and falls to PID 1.
                os._exit(0)
        except OSError:
            time.sleep(0.001)
        except BaseException:
            pass


main()
