# SPDX-License-Identifier: BSD-3-Clause
"""
Each system call on the way in and on the way out fails once. Either the login is refused, with the right line and nothing left, or
it goes on in a whole sandbox, for a reason that stands here; and at its end, whatever failed, nothing is left.
"""

import contextlib
import errno
import os
import random
import re
import signal
from dataclasses import dataclass, field

import fault
from fault import (LIMITS, PAM_SESSION_ERR, PAM_SUCCESS, PAM_USER_UNKNOWN, PROGRAM_THAT_LEAVES, Call, Leader, add_results,
                   around_the_leader, collect, in_the_helpers_place, is_at_work, left, service, snapshot, weaknesses)
from harness import Failed, alive, check, equal, kill, wait_for
from tables import ERRNOS_OF, MAY_BE_SILENT, MAY_GO_ON, MAY_GO_ON_AND_SAY_SO, MAY_TAKE_TIME, MUSL, NOT_TRIED, PRCTL, TRANSLATED

KILLED = "SIGKILL"


@dataclass
class Outcome:
    """What one failure led to."""
    who: str
    call: Call
    error: str
    made: bool = False
    verdict: str = ""
    told: str = ""
    logged: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.who}: {self.call.call} {object_of(self.call)} ({self.call.number}) {self.error}: {self.verdict}: " + \
            "; ".join(self.wrong) + (f"; logged: {' | '.join(self.logged)}" if self.logged else "")


def fits(table, outcome: Outcome, last: str) -> bool:
    words = (outcome.who, outcome.call.call, object_of(outcome.call), last)
    return any(all(re.fullmatch(pattern, word) for pattern, word in zip(row, words)) for row in table)


def object_of(call: Call) -> str:
    if call.call == "prctl":
        return PRCTL.get(call.first, str(call.first))
    text = re.sub(r"(?<=^/proc/)\d+|(?<=socket:\[)\d+", "N", call.object)
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)


# ---- which calls ----


def helpers_part(calls: list[Call]) -> dict[tuple, str]:
    """
    Who makes each call: the helper and its children until its answer to the module (socket 3), then the supervisor; the herald and
    the crier bring its signals to all in the sandbox.
    """
    names, found, answered = ("helper", "maker of U", "midwife", "PID 1", "herald", "crier"), {}, False
    for call in calls:
        who = names[call.process] if call.process < len(names) else f"process {call.process}"
        if answered and who in ("helper", "PID 1"):
            who = "supervisor" if who == "helper" else "PID 1 later"
        found[call.key()] = who
        answered = answered or (call.process == 0 and call.call == "sendmsg" and call.first == 3)
    return found


def leaders_part(calls: list[Call]) -> dict[tuple, str]:
    """
    The leader, the two processes that start the helper, and the name service, by which the leader finds the user's entry at first
    and his groups while the helper starts. At the end of each phase libpam tells the audit system: not ours.
    """
    names, found, over, asks = ("leader", "starter", "helper to be"), {}, set(), True
    for call in calls:
        if call.call == "socket" and call.first == 16:  # AF_NETLINK
            over.add(call.phase)
        if call.process == 0 and call.phase == 1:
            asks = call.call not in ("capget", "sendmsg") and (asks or call.call == "socket")
        who = "leader's names" if asks and call.process == 0 and call.phase == 1 else names[call.process]
        if call.phase not in over:
            found[call.key()] = who + (" at close" if call.phase == 2 else "")
    return found


def collectors_part(calls: list[Call]) -> dict[tuple, str]:
    """What the supervisor does to start the collector, which is the sixth process, and what that does once it is itself."""
    found, answered, executed = {}, False, 0
    for call in calls:
        if call.process == 4:
            found[call.key()] = "starter of the collector"
        elif call.process == 5 and (executed != 1 or call.call == "execve"):
            found[call.key()] = "collector"
        elif call.process == 0 and answered and call.call != "close":
            found[call.key()] = "supervisor"
        if call.process == 0:
            answered = (answered or (call.call == "sendmsg" and call.first == 3)) and call.call != "prctl"
        executed += call.process == 5 and call.call == "execve"
    return found


def record(m, injector, name: str, part) -> tuple[list[Call], dict[tuple, str], dict[str, str]]:
    """The calls of a good login, who makes them, and what sandbox it has."""
    prepared, leader = start(m, injector, name)
    check(leader.open(), f"a login without any failure: {leader.said} {leader.log()}")
    good = snapshot(m, leader)
    leader.close()
    equal(leader.code("close"), PAM_SUCCESS, "its end")
    equal(injector.finish(prepared), ([], []), "what was there besides it")
    equal(left(m), [], "what it left")
    calls = injector.calls()
    who = part(calls)
    return [call for call in calls if call.key() in who], who, good


def start(m, injector, name: str, *order) -> tuple:
    """What was prepared, and the login."""
    if injector.orders_are_for_the_prepared:
        injector.order(*order)
        prepared = injector.prepare()
    else:
        prepared = injector.prepare()
        injector.order(*order)
    return prepared, Leader(m, name, before=injector.before, cwd=m.directory, **injector.login)


def is_tried(who: str, call: Call, error: str) -> bool:
    return not any(all(re.fullmatch(pattern, word) for pattern, word in zip(row, (who, call.call, object_of(call), error)))
                   for row in NOT_TRIED)


def work(calls: list[Call], who: dict[tuple, str]):
    """Each call with one errno that it is to fail with, and some with the others."""
    chance = random.Random(fault.options.seed)
    for call in calls:
        names = [name for name in ERRNOS_OF.get(call.call, ["EPERM"]) if is_tried(who[call.key()], call, name)]
        first = chance.choice(names)
        for name in names:
            if name == first or chance.random() * 100 < fault.options.further:
                yield call, name


# ---- one failure ----


def refused(leader: Leader, outcome: Outcome) -> None:
    """The code, the one line and the one sentence."""
    outcome.verdict = "refused"
    with contextlib.suppress(Failed):
        wait_for(leader.log, 1)
    outcome.logged = leader.log()
    user, told = leader.user.name, leader.said.get("told", [])
    outcome.told = " ".join(told)
    wanted = (PAM_SESSION_ERR, PAM_USER_UNKNOWN) if "refused: user:" in str(outcome.logged) else (PAM_SESSION_ERR,)
    if leader.code("open") not in wanted:
        outcome.wrong.append(f"PAM returned {leader.code('open')}")
    if len(told) != 1 or not told[0].startswith(("Your login cannot be isolated on this machine.", "You have as many processes")):
        outcome.wrong.append(f"the user was told {told}")
    if len(outcome.logged) != 1:
        outcome.wrong.append(f"{len(outcome.logged)} lines in syslog")
        return
    found = re.search(rf"login of {user} refused: ([^:]+): (.*): ([^:]+)$", outcome.logged[0])
    if not found:
        outcome.wrong.append("a line without step, object and reason")
    elif not says(outcome, found[3]):
        outcome.wrong.append(f"it was {outcome.error}, the line says {found[3]!r}")


def says(outcome: Outcome, reason: str) -> bool:
    """Whether that is what failed, in the words of glibc or of musl."""
    return reason in words_for(outcome.error) or fits(TRANSLATED, outcome, reason)


def words_for(error: str) -> list[str]:
    if error == KILLED:
        return []
    return [os.strerror(getattr(errno, error)), MUSL[error]] if error in MUSL else [os.strerror(getattr(errno, error))]


def is_the_failure(outcome: Outcome, line: str) -> bool:
    """
    A difference that is no more than what failed: an fd that was not closed, a shell that is not there and not covered, a limit
    of which a line says that it was not changed.
    """
    return ("'s fds: " in line and outcome.call.call == "close") or \
        (line.startswith(LIMITS) and "keeps a limit: " in str(outcome.logged)) or \
        (line.startswith("leader's mounts:  instead of") and bool(re.fullmatch("/etc/shells|/.*bin/.*", outcome.call.object)))


def went_on(m, leader: Leader, good: dict[str, str], outcome: Outcome) -> None:
    """In a whole sandbox, and out of it again."""
    outcome.verdict = "goes on"
    if "inside" not in leader.said:
        outcome.verdict = "goes on, but the user's program does not run"
        outcome.wrong.append(f"the program ended with {leader.said.get('end')}")
    else:
        outcome.logged = leader.log()
        outcome.wrong += [f"weaker: {line}" for line in weaknesses(m, leader, good, lambda line: is_the_failure(outcome, line))]
    if outcome.who not in AFTERWARDS and not may_go_on(outcome):
        outcome.wrong.append("no reason is known why it may go on")
    leader.close()
    code = leader.code("close")
    if code not in (PAM_SUCCESS, None):
        with contextlib.suppress(Failed):
            wait_for(leader.log, 1)
        outcome.verdict += f", its close says {code}"
        if len(leader.log()) == 0:
            outcome.wrong.append("its close fails without a line")
    outcome.logged = leader.log()
    others = [line for line in outcome.logged if not says(outcome, line.split(": ")[-1])]
    outcome.wrong += [f"it was {outcome.error}, a line says {line}" for line in others]


def may_go_on(outcome: Outcome) -> bool:
    return fits(MAY_GO_ON, outcome, outcome.error) or (bool(outcome.logged) and fits(MAY_GO_ON_AND_SAY_SO, outcome, outcome.error))


# Once there is a sandbox whatever fails may not end it: nor may it go on beyond its end.
AFTERWARDS = ("supervisor", "herald", "crier", "PID 1 later", "starter of the collector", "collector", "leader at close",
              "starter at close", "helper to be at close")


def fail(m, injector, name: str, who: str, call: Call, error: str, good: dict[str, str]) -> Outcome:
    """Until the call is made: how often something has to be tried differs, and others may use the machine, too."""
    for _ in range(3):
        outcome = fail_once(m, injector, name, who, call, error, good)
        if outcome.made:
            break
        if outcome.wrong:
            print(f"# once more: {plain(m, str(outcome))}", flush=True)
    return outcome


def fail_once(m, injector, name: str, who: str, call: Call, error: str, good: dict[str, str]) -> Outcome:
    """One login at which one call is to fail."""
    outcome = Outcome(who, call, error)
    prepared, leader = start(m, injector, name, call, getattr(errno, error))
    try:
        leader.open()
        if leader.code("open") == PAM_SUCCESS:
            went_on(m, leader, good, outcome)
        elif "open" in leader.said:
            refused(leader, outcome)
        else:
            leader.close()
            outcome.logged = leader.log()
            outcome.verdict = "hangs" if leader.hangs else "the leader dies"
            outcome.wrong.append(f"no answer; {leader.said}")
        if "abroad" in leader.said:
            outcome.wrong.append(f"the leader is not home: {leader.said['abroad']}")
        if leader.hangs:
            outcome.verdict = f"{outcome.verdict}, and hangs"
            outcome.wrong.append("hangs")
    finally:
        finish(injector, prepared, outcome)
        leader.kill()
        leader.end()
    look_for_remains(m, injector, leader, outcome)
    outcome.made = any(one.fails for one in injector.calls())
    if not outcome.made:
        outcome.verdict += " (the call was not made)"
        if outcome.who not in AFTERWARDS:
            outcome.wrong.append("three logins in which the call was not made")
    return outcome


def fail_each(m, injector, name: str, part) -> list[Outcome]:
    calls, who, good = record(m, injector, name, part)
    return [fail(m, injector, name, who[call.key()], call, error, good) for call, error in work(calls, who)]


def finish(injector, prepared, outcome: Outcome) -> None:
    wrong, remains = injector.finish(prepared)
    outcome.wrong += [line for line in wrong if not is_the_failure(outcome, line)]
    outcome.left += remains


def wait_for_the_slow(m, outcome: Outcome) -> None:
    """Who has to do without what failed may need more time, for a known reason."""
    if fits(MAY_TAKE_TIME, outcome, outcome.error):
        with contextlib.suppress(Failed):
            wait_for(lambda: not is_at_work(m), 12)


def look_for_account(injector, leader: Leader, outcome: Outcome) -> None:
    """One line, whatever it does not know."""
    wanted = 1 + injector.accounts_besides
    with contextlib.suppress(Failed):
        wait_for(lambda: len(leader.accounts()) >= wanted, 0.5)
    if len(leader.accounts()) != wanted:
        outcome.wrong.append(f"{len(leader.accounts())} lines of accounting")


def look_for_remains(m, injector, leader: Leader, outcome: Outcome) -> None:
    """What is left must have been said, if not then, then by the next collection, and go by it."""
    remains = left(m)
    if remains and is_at_work(m):
        wait_for_the_slow(m, outcome)
        remains = left(m, 0)
    outcome.left += remains
    outcome.logged = leader.log()
    if "inside" in leader.said and not fits(MAY_BE_SILENT, outcome, outcome.error):
        look_for_account(injector, leader, outcome)
    if not outcome.left:
        return
    wrong = collect(m)
    if wrong:
        outcome.wrong.append(f"left: {', '.join(outcome.left)}; {', '.join(wrong)}")
        m.purge()
    # Of what it says this alone counts here: it removed something.
    if not outcome.logged and not leader.log("collect: removed what was left of 1 sessions"):
        outcome.wrong.append("left without a line")


# ---- the table ----


def plain(m, text: str) -> str:
    """Without what differs from run to run."""
    for user in m.users.values():
        text = text.replace(user.name, "USER")
        if user.uid:
            text = re.sub(rf"(?<!\d){user.uid}(?!\d)", "UID", text)
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<=^ID=)[0-9a-f-]+", "ID", text)
    text = re.sub(r"(?<=\.users/UID\.)[0-9a-f]{8}", "HASH", text)
    text = re.sub(r"(?<=user namespace of uid )\d+|(?<=setresuid )\d+|(?<=setresgid )\d+|(?<=look up group )(?:[1-9]\d*|UID)", "N", text)
    text = re.sub(r"^<\d+>.*?(pam_isolate|isolate-helper)", r"\1", text)
    text = text.replace(m.prefix, "PREFIX").replace(m.tag, "TAG")
    text = re.sub(r"\[\d+\]|(?<=/proc/)\d+|\bprocess \d+|parent \d+", "N", text)
    return text.replace("|", "\\|")


def what_was_said(m, outcome: Outcome) -> str:
    """The lines without what all of them begin with, and with the errno that failed as such."""
    lines = (re.sub(r"^pam_isolate(\(.*?\)|N): (login of USER refused: )?", "", plain(m, line)) for line in outcome.logged)
    reasons = "|".join(re.escape(word) for word in words_for(outcome.error)) or "nothing"
    return "; ".join(dict.fromkeys(re.sub(f": ({reasons})(?=$|;)", ": *errno*", line) for line in lines))


def plain_object(m, call: Call) -> str:
    """For a table: pids, and the groups that a leader came from, differ from machine to machine."""
    text = plain(m, object_of(call))
    text = re.sub(r"^\d+:.*:/.*", "its groups", text)
    return re.sub(r"^\d+$", "N", text) if call.call == "write" else text


def calls_of(m, group: list[Outcome]) -> str:
    """Each system call with its objects, or with how many there are."""
    objects: dict[str, dict[str, None]] = {}
    for one in group:
        objects.setdefault(one.call.call, {})[plain_object(m, one.call)] = None
    found = []
    for call, names in objects.items():
        known = [f"`{name}`" for name in names if name]
        found.append(f"{call} {' '.join(known[:SHOWN])}{f' +{len(known) - SHOWN}' if len(known) > SHOWN else ''}".strip())
    return ", ".join(found)


# So many objects of a call are named in a row of the table.
SHOWN = 3


def row_of(m, one: Outcome) -> tuple[str, ...]:
    """All but the call and its error."""
    remains = ", ".join(dict.fromkeys(line.split()[0] for line in one.left)) or "nothing"
    wrong = "; ".join(plain(m, word) for word in one.wrong)
    said = re.sub(r"capability \d+", "capability N", what_was_said(m, one))
    return one.who, one.verdict + (f" **{wrong}**" if wrong else ""), "the sentence" if one.told else "", said, remains


def tabulate(m, outcomes: list[Outcome]) -> str:
    """Equal outcomes are one row."""
    rows: dict[tuple, list[Outcome]] = {}
    for one in outcomes:
        rows.setdefault(row_of(m, one), []).append(one)
    text = "| who | call, and of what | error | × | outcome | the user saw | logged | left |\n|---|---|---|---|---|---|---|---|\n"
    for (who, verdict, told, said, remains), group in rows.items():
        errors = " ".join(dict.fromkeys(one.error for one in group))
        text += f"| {who} | {calls_of(m, group)} | {errors} | {len(group)} | {verdict} | {told} | {said} | {remains} |\n"
    return text


def conclude(m, title: str, outcomes: list[Outcome]) -> None:
    add_results(title, f"{len(outcomes)} logins.\n\n{tabulate(m, outcomes)}")
    wrong = [str(one) for one in outcomes if one.wrong]
    if wrong:
        raise Failed(f"{len(wrong)} of {len(outcomes)} failures:\n" + "\n".join(wrong))


def fault_each_call_of_the_helper(m):
    with service(m) as name, in_the_helpers_place(m) as injector:
        injector.login = {"program_of_user": PROGRAM_THAT_LEAVES}
        outcomes = fail_each(m, injector, name, helpers_part)
    conclude(m, "The helper, which becomes the supervisor, and its children", outcomes)


def fault_each_call_of_the_leader(m):
    injector = around_the_leader(m)
    with service(m) as name:
        outcomes = fail_each(m, injector, name, leaders_part)
    conclude(m, "The leader, and what it starts the helper by", outcomes)


# ---- a collection ----


def leave_remains(m, name: str) -> Leader:
    """The record and the groups of a session whose supervisor was killed, and whose leader does nothing about it."""
    leader = Leader(m, name, "bob", cwd=m.directory)
    check(leader.open(), f"a login: {leader.said} {leader.log()}")
    kill(leader.pid, signal.SIGSTOP)
    supervisor = m.session("bob").supervisor
    kill(supervisor)
    wait_for(lambda: m.reap() or not alive(supervisor))
    return leader


def end_remains(m, leader: Leader) -> tuple[list[str], list[str]]:
    """When the collector has ended, by itself or by what failed."""
    with contextlib.suppress(Failed):
        wait_for(lambda: m.reap() or not is_at_work(m))
    leader.kill()
    leader.end()
    return [], []


def fault_each_call_of_a_collection(m):
    """By the collector that a login starts. Nobody waits for it, and what it could not do is done by the next."""
    with service(m) as name, in_the_helpers_place(m) as injector:
        injector.login = {"collects": True}
        injector.prepare = lambda: leave_remains(m, name)
        injector.finish = lambda leader: end_remains(m, leader)
        outcomes = fail_each(m, injector, name, collectors_part)
    conclude(m, "The collector", outcomes)


# ---- killed at a call ----


def judge_the_killed(leader: Leader, outcome: Outcome) -> None:
    """Its leader is told, and is where he came from."""
    outcome.verdict = {PAM_SUCCESS: "goes on", PAM_SESSION_ERR: "refused"}.get(leader.code("open"), f"PAM returns {leader.code('open')}")
    if leader.code("open") not in (PAM_SUCCESS, PAM_SESSION_ERR):
        outcome.wrong.append(f"no answer; {leader.said}")
    if leader.code("close") not in (PAM_SUCCESS, None):
        outcome.verdict += f", its close says {leader.code('close')}"
    if PAM_SESSION_ERR in (leader.code("open"), leader.code("close")):
        with contextlib.suppress(Failed):
            wait_for(leader.log, 1)
        if not leader.log():
            outcome.wrong.append("without a line")
        outcome.wrong += [f"that is not what happened: {line}" for line in leader.log() if "not of this version" in line]
    outcome.told = " ".join(leader.said.get("told", []))
    if leader.code("open") == PAM_SESSION_ERR and not outcome.told:
        outcome.wrong.append("the user was told nothing")
    if "abroad" in leader.said:
        outcome.wrong.append(f"the leader is not home: {leader.said['abroad']}")
    if leader.hangs:
        outcome.wrong.append("hangs")


def kill_once(m, injector, name: str, who: str, call: Call) -> Outcome:
    """One login, of which one process is killed when it makes that call."""
    outcome = Outcome(who, call, KILLED)
    prepared, leader = start(m, injector, name, call, 0)
    try:
        leader.open()
        leader.close()
        judge_the_killed(leader, outcome)
    finally:
        leader.kill()
        leader.end()
        finish(injector, prepared, outcome)
    outcome.left += left(m, 5)
    outcome.logged = leader.log()
    if outcome.left:
        wrong = collect(m)
        if wrong:
            outcome.wrong.append(f"left: {', '.join(outcome.left)}; {', '.join(wrong)}")
            m.purge()
    return outcome


def kill_at_some(m, injector, name: str, part) -> list[Outcome]:
    chance = random.Random(fault.options.seed)
    calls, who, _ = record(m, injector, name, part)
    return [kill_once(m, injector, name, who[call.key()], call) for call in calls if chance.random() * 100 < fault.options.further]


def fault_helper_is_killed_at_a_call(m):
    """The helper, its children and the supervisor: those calls that the seed has chosen."""
    with service(m) as name, in_the_helpers_place(m) as injector:
        injector.login = {"program_of_user": PROGRAM_THAT_LEAVES}
        outcomes = kill_at_some(m, injector, name, helpers_part)
    conclude(m, "The helper, the supervisor and their children, killed at a call", outcomes)
