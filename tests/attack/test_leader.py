# SPDX-License-Identifier: BSD-3-Clause
"""The leader: root, and the user's parent or child. What the user can do to it by what it inherits from him and where it looks."""

import os
import random
import signal
import subprocess
import time

from attack import HERE, as_user, bind, leader_argv, programs, sandboxed, line
from harness import Failed, check, equal, kill, read_text, run, write_text

PYTHON = "/usr/bin/python3"


def attack_parent_with_a_view_of_its_own(m):
    """
    su and sudo are started by a user. When the supervisor is gone (he can end it where he owns the cgroup that he started su in:
    cgroup.kill), the leader has to find its way home without him: it must not follow its parent, his shell, to a mount
    namespace that he made, and start a helper there.
    """
    folder, proof = programs(m), f"{m.directory}/proof-of-root"
    fake, helper, sign = f"{folder}/fake-helper", f"{m.programs}/isolate-helper", f"{m.directory}/sign"
    run("cc", f'-DPROOF="{proof}"', "-static", "-o", fake, f"{HERE}/programs/fake-helper.c")
    os.chmod(fake, 0o755)
    parent = m.spawn(PYTHON, "-B", f"{folder}/parent.py", m.user("alice").name, helper, fake, sign,
                     *leader_argv(m, "alice", "sleep", "30"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    session = m.session("alice")
    mark = m.log.mark()
    write_text(sign, "")
    equal(line(parent), "covered\n")
    kill(session.supervisor)
    parent.wait(30)
    os.unlink(sign)
    time.sleep(0.2)
    if os.path.exists(proof):
        text = open(proof).read()
        os.unlink(proof)
        check(False, f"the user's own program was executed as root: {text}; syslog: {m.log.since(mark)}")
    # Where PID 1 may not be followed home either (a container's), the group and the record stay: see attack_supervisor_is_killed.
    if m.log.since(mark, "leave the sandbox's namespaces"):
        m.purge()


def limit(pid: int, name: str) -> list[str]:
    found = next(text for text in read_text(f"/proc/{pid}/limits").splitlines() if text.startswith(name))
    return found[len(name):].split()[:2]


def may_lift_limits() -> bool:
    return bool(int(next(text for text in read_text("/proc/self/status").splitlines() if text.startswith("CapEff")).split()[1], 16) >> 24 & 1)


def attack_inherited_limits(m):
    """`ulimit -t 1; su`: the limits of whoever starts the leader must not hang over the supervisor and PID 1."""
    # A hard limit can be lifted with CAP_SYS_RESOURCE only.
    words = "--cpu=5:5" if may_lift_limits() else "--cpu=5:"
    child = m.spawn("prlimit", words, *leader_argv(m, "alice", "sleep", "30"))
    session = m.session("alice")
    got = {name: limit(pid, "Max cpu time") for name, pid in (("supervisor", session.supervisor), ("init", session.init))}
    child.kill()
    m.nothing_left(2)
    equal(got, {"supervisor": ["unlimited", "unlimited"], "init": ["unlimited", "unlimited"]})


def attack_small_limits_of_the_leader(m):
    """With limits that the helper cannot work with, the login is refused as a whole, or is whole."""
    for words in (["--fsize=0"], ["--fsize=100"], ["--nofile=8:8"], ["--nofile=16:16"], ["--as=20000000"], ["--nproc=1"], ["--stack=65536"], ["--data=65536"]):
        argv = leader_argv(m, "alice", "plain")
        # The limit is set where su would be: after the shell that joins the group.
        done = m.call(*argv[:4], "prlimit", *words, *argv[4:])
        if "user=" in done.out:
            sandboxed(done)
        elif done.status == 0:
            raise Failed(f"{words}: {done}")
        m.nothing_left(2)


def attack_leader_with_a_users_real_uid(m):
    """su as a user starts it: real uid his, effective uid root's. The supervisor must be all root's, or he could signal it."""
    argv = leader_argv(m, "alice", "plain")
    ruid = ["setpriv", f"--ruid={m.user('bob').uid}"]
    done = m.call(*argv[:4], *ruid, *argv[4:])
    sandboxed(done)
    argv = leader_argv(m, "alice", "sleep", "30")
    child = m.spawn(*argv[:4], *ruid, *argv[4:])
    session = m.session("alice")
    for name, pid in (("supervisor", session.supervisor), ("init", session.init)):
        uids = {line.split()[1] for line in read_text(f"/proc/{pid}/status").splitlines() if line.startswith("Uid")}
        check(str(m.user("bob").uid) not in uids, f"{name} has the caller's real uid")
        check(as_user(m, "bob", "kill", "-9", str(pid)).status != 0, f"the caller can kill the {name}")
    child.kill()


def attack_su_of_a_user(m):
    """The same with the real su."""
    stack = f"{m.directory}/su"
    write_text(stack, f"auth required pam_permit.so\naccount required pam_permit.so\nsession required {m.module} debug\n")
    with bind(stack, "/etc/pam.d/su"):
        argv = leader_argv(m, "alice")
        done = m.call(*argv[:4], "setpriv", f"--reuid={m.user('bob').uid}", f"--regid={m.user('bob').gid}", "--clear-groups",
                      "su", m.user("alice").name, "-c", "readlink /proc/self/ns/user")
    check(done.status == 0 and done.out.strip() != os.readlink("/proc/self/ns/user"), f"{done}")


def attack_stopped_and_killed_leader_while_it_opens(m):
    """The user may signal the leader of his su at any moment: what is half built goes."""
    for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGINT):
        for _ in range(15):
            child = m.spawn(*leader_argv(m, "alice", "sleep", "0"), stderr=subprocess.DEVNULL)
            time.sleep(random.uniform(0.02, 0.07))
            kill(child.pid, number)
            time.sleep(0.01)
            kill(child.pid)
            child.wait()
    m.nothing_left(4)
