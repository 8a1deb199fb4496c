# SPDX-License-Identifier: BSD-3-Clause
"""
A machine that has run out of something: each login is refused and says of what, or is let in whole; nothing is left.

Not here: cgroup.max.descendants, which is cgroup v2's and has to be tried where v2 has the controllers (tests/vm).
"""

import contextlib
import errno
import os
import re

from fault import PAM_SESSION_ERR, Leader, add_results, in_the_helpers_place, left, service, snapshot, weaknesses
from harness import CGROUPS, Failed, check, equal, run, skip, wait_for, write_file
from test_calls import helpers_part, plain, plain_object, record

# Of each resource: how much of it there is, one more at each login, until that is enough.
ENOUGH = 64


def refusal(leader: Leader, abroad: bool) -> str:
    """Step, object and reason of a login that was refused as it should be. abroad: nobody can move the leader any more."""
    check(not leader.hangs, f"no answer; {leader.said}, {leader.log()}")
    leader.close()
    equal(leader.code("open"), PAM_SESSION_ERR, f"PAM's code; {leader.said}, {leader.log()}")
    lines = wait_for(leader.log, 1, "a line in syslog")
    equal(len(lines), 1, f"lines: {lines}")
    check(abroad or "home" in leader.said, f"the leader is not home: {leader.said}")
    found = re.search(rf"login of {leader.user.name} refused: (.*: .*: .*)$", lines[0])
    check(found, f"a line without step, object and reason: {lines[0]}")
    return found[1]


def good_one(m, name: str, **options) -> dict[str, str]:
    leader = Leader(m, name, cwd=m.directory, **options)
    check(leader.open(), f"a login: {leader.said} {leader.log()}")
    found = snapshot(m, leader)
    leader.close()
    equal(left(m), [], "what a good login left")
    return found


def attempt(m, name: str, good: dict[str, str], but: tuple[str, ...] = (), abroad: bool = False, **options) -> str:
    """One login: why it is refused, or "" when it has a whole sandbox. but: what may differ in it."""
    leader = Leader(m, name, cwd=m.directory, **options)
    reason = ""
    try:
        if leader.open():
            weaker = [line for line in weaknesses(m, leader, good) if not line.split(":")[0].endswith(but or (" ",))]
            leader.close()
            equal(weaker, [], "weaker than a good one")
            check("home" in leader.said and leader.code("close") == 0, f"its close: {leader.said} {leader.log()}")
        elif "open" in leader.said or leader.hangs:
            reason = refusal(leader, abroad)
        else:
            leader.close()
            reason = "the service itself: " + str(leader.said)
    finally:
        leader.kill()
        leader.end()
    remains = left(m)
    if remains:
        m.purge()
        raise Failed(f"left after {reason or 'a login'}: {remains}")
    return reason


def until_enough(m, what: str, login) -> list[str]:
    """The reasons, with the amounts; all that are wrong in one failure."""
    reasons, wrong = [], []
    for amount in range(1, ENOUGH):
        try:
            reason = login(amount)
        except Failed as error:
            wrong.append(f"{amount} {what}: {plain(m, str(error))}")
            continue
        reasons.append(f"{amount}: {plain(m, reason) or 'let in'}")
        if not reason:
            break
    conclude(what, reasons, wrong)
    check(reasons and reasons[-1].endswith("let in"), f"{ENOUGH} {what} are not enough: {reasons}")
    return reasons


def grouped(reasons: list[str]) -> list[str]:
    """One line for what each reason was for."""
    found: dict[str, list[str]] = {}
    for line in reasons:
        amount, _, reason = line.partition(": ")
        found.setdefault(reason or amount, []).append(amount if reason else "")
    return [f"{', '.join(amounts)}: {reason}".removeprefix(": ") for reason, amounts in found.items()]


def conclude(what: str, reasons: list[str], wrong: list[str]) -> None:
    add_results(f"Short of {what}", "".join(f"- {line}\n" for line in grouped(reasons) + [f"**{text}**" for text in wrong]))
    if wrong:
        raise Failed(f"{len(wrong)} logins:\n" + "\n".join(wrong))


def all_say(reasons: list[str], *words: int) -> None:
    said = [os.strerror(word) for word in words]
    for line in reasons[:-1]:
        check(line.endswith(tuple(said)) or "the service itself" in line, f"{line!r} does not end in {said}")


# ---- the disk ----


@contextlib.contextmanager
def small_disk(m, options: str):
    """Over the directory of the records. Nothing else of the machine is on it."""
    run("mount", "-t", "tmpfs", "-o", f"mode=700,{options}", "none", m.records)
    m.mounts = m._mounts()
    try:
        yield
    finally:
        run("umount", m.records)
        m.mounts = m._mounts()


def fault_run_directory_without_room(m):
    with service(m) as name:
        good = good_one(m, name)
        with small_disk(m, "size=4k"):
            with open(f"{m.records}/lock", "w") as file:
                file.write("x" * 4096)
            reason = attempt(m, name, good)
    conclude("room in the run directory", [plain(m, reason)], [])
    check(reason.startswith("record: ") and reason.endswith(os.strerror(errno.ENOSPC)), f"it was said: {reason!r}")


def fault_run_directory_without_inodes(m):
    def login(amount: int) -> str:
        with small_disk(m, f"nr_inodes={amount}"):
            return attempt(m, name, good, but=("mounts",))

    with service(m) as name:
        good = good_one(m, name)
        all_say(until_enough(m, "inodes in the run directory", login), errno.ENOSPC)


# ---- files ----


def fault_leader_has_few_files(m):
    """What the leader cannot open is not taken for not being there."""
    def login(amount: int) -> str:
        return attempt(m, name, good, but=("'s limits",), before=("prlimit", f"--nofile={amount}:{amount}"))

    with service(m) as name:
        good = good_one(m, name)
        all_say(until_enough(m, "fds of the leader", login), errno.EMFILE)


# ---- processes ----


def fault_machine_has_no_pids(m):
    """A group around the leader, as a service's, in which no process more can be had."""
    if not os.path.isdir(f"{CGROUPS}/pids"):
        skip("no pids controller of cgroup v1")
    group = f"{CGROUPS}/pids/{m.tag}"
    os.mkdir(group)

    def login(amount: int) -> str:
        write_file(f"{group}/pids.max", str(amount))
        return attempt(m, name, good, before=("/bin/sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"))

    try:
        with service(m) as name:
            good = good_one(m, name)
            all_say(until_enough(m, "pids", login), errno.EAGAIN)
    finally:
        wait_for(lambda: not os.path.exists(group) or not remove(group), 3, "an empty group")


def remove(group: str) -> bool:
    """Whether it is still there."""
    with contextlib.suppress(OSError):
        os.rmdir(group)
    return os.path.exists(group)


# ---- memory, and all else, for good ----

# Unlike in test_calls.py it stays away: also the way out has to do without.
FOR_GOOD = {"ENOMEM": ("mmap", "brk", "clone", "clone3", "fsopen", "fsmount", "move_mount", "socketpair", "socket", "unshare"),
            "ENOSPC": ("mkdirat", "write"), "EMFILE": ("pidfd_open", "open_tree")}


def fault_helper_is_short_of_something_for_good(m):
    reasons, wrong = [], []
    with service(m) as name, in_the_helpers_place(m) as injector:
        calls, who, good = record(m, injector, name, helpers_part)
        for number, words in FOR_GOOD.items():
            for call in calls:
                if call.call not in words or who[call.key()] not in ("helper", "midwife", "maker of U", "PID 1"):
                    continue
                injector.order(call, getattr(errno, number), onwards=True)
                title = f"{number} for each {call.call} {plain_object(m, call)} from the {call.number + 1}. of the {who[call.key()]} on"
                title = title.replace("  ", " ")
                try:
                    reason = attempt(m, name, good, abroad=call.call == "write")
                    reasons.append(f"{plain(m, title)}: {plain(m, reason) or 'let in'}")
                except Failed as error:
                    wrong.append(f"{title}: {error}")
    conclude("something for good", reasons, wrong)
