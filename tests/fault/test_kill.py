# SPDX-License-Identifier: BSD-3-Clause
"""
SIGKILL at a random moment, of a process that the sandbox hangs on: nothing of it goes on, whoever it was. And after a collection
nothing is left.
"""

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import fault
from fault import PAM_SESSION_ERR, PAM_SUCCESS, Leader, add_results, collect, is_at_work, left, service
from harness import Failed, check, kill, process, wait_for

VICTIMS = ("leader", "helper", "init")
# With Scope=user two logins share a sandbox, and so do what is killed.
SCOPES = ("session", "session", "user")
PHASES = ("opening", "session", "closing")

# Supposing that the machine is busy with something else: how long until all processes of a sandbox are gone.
GONE = 4.0


@dataclass
class Round:
    """One login, or two in one sandbox, and what happened to them."""
    number: int
    victim: str
    scope: str
    phase: str
    turn: int  # whose opening, or closing
    moment: float  # after its begin
    by_login: bool  # what is left is collected by the next login, not by isolatectl gc
    killed: str = "nobody"
    killed_pid: int = 0
    wrong: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        when = f"{self.moment * 1000:.1f} ms after the begin of the {self.phase} {self.turn}, Scope={self.scope}"
        return f"round {self.number}: {self.killed} killed, {when}: {'; '.join(self.wrong)}"


def choose(number: int, lengths: dict[str, float]) -> Round:
    phase, scope = random.choice(PHASES), random.choice(SCOPES)
    turn = random.randrange(2) if scope == "user" and phase != "session" else 0
    return Round(number, random.choice(VICTIMS), scope, phase, turn, random.uniform(0, lengths[phase]), random.random() < 0.5)


def exe(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def process_name(pid: int) -> str:
    one = process(pid)
    return one.name if one else "gone"


def find_victim(m, leaders: list[Leader], victim: str) -> int | None:
    """By what it executes: the helper is also the supervisor, its two children, and PID 1 until that executes isolate-init."""
    if victim == "leader":
        return random.choice(leaders).pid
    wanted = f"{m.programs}/isolate-{victim}"
    found = [int(name) for name in os.listdir("/proc") if name.isdigit() and exe(int(name)) == wanted]
    return random.choice(found) if found else None


class Killer(threading.Thread):
    """Waits for the phase, then for the moment, then for its victim to be there."""

    def __init__(self, m, leaders: list[Leader], one: Round):
        super().__init__(daemon=True)
        self.m, self.leaders, self.one = m, leaders, one
        self.begun = threading.Event()
        self.over = False
        self.start()

    def begin(self, phase: str, turn: int) -> None:
        if (phase, turn) == (self.one.phase, self.one.turn):
            self.begun.set()

    def end(self) -> None:
        """A login that got no further than it did."""
        self.over = True
        self.begun.set()
        self.join()

    def run(self) -> None:
        self.begun.wait()
        time.sleep(self.one.moment)
        while True:
            pid = find_victim(self.m, self.leaders, self.one.victim)
            if pid:
                self.one.killed, self.one.killed_pid = f"{self.one.victim} ({process_name(pid)})", pid
                kill(pid, signal.SIGKILL)
            if pid or self.over:
                return


def measure(m, name: str) -> tuple[float, float]:
    """How long opening and closing take."""
    opening, closing = [], []
    for _ in range(10):
        start = time.monotonic()
        leader = Leader(m, name, cwd=m.directory)
        check(leader.open(), f"a login: {leader.said} {leader.log()}")
        middle = time.monotonic()
        leader.close()
        opening.append(middle - start)
        closing.append(time.monotonic() - middle)
        check(not left(m), "something is left of a good login")
    return sorted(opening)[5], sorted(closing)[5]


def stay_and_close(m, name: str, killer: Killer, session: float) -> None:
    """The logins as such: they are there for a while, and log out."""
    for turn in range(2 if killer.one.scope == "user" else 1):
        killer.leaders.append(Leader(m, name, cwd=m.directory))
        killer.begin("opening", turn)
        killer.leaders[-1].open()
    killer.begin("session", 0)
    time.sleep(session)
    for turn, leader in enumerate(killer.leaders):
        killer.begin("closing", turn)
        leader.close()


def judge_the_leader(leader: Leader, one: Round) -> None:
    """What it has said, if it lived on."""
    name = leader.said.get("inside", [""])[0]
    if name not in ("", f"lab-{leader.user.name}"):
        one.wrong.append(f"the user's program ran on {name}")
    if one.killed_pid == leader.pid:
        return
    if leader.hangs:
        one.wrong.append("hangs")
    # The end of another login is nobody's failure. That of the sandbox is none of the way out of it.
    allowed = {"open": (PAM_SUCCESS, PAM_SESSION_ERR), "close": (PAM_SUCCESS, None)}
    if one.killed.split(" ")[0] in ("leader", "nobody"):
        allowed["open"] = (PAM_SUCCESS,)
    for word, codes in allowed.items():
        if leader.code(word) not in codes:
            one.wrong.append(f"{word} says {leader.code(word)}: {leader.said}; logged {leader.log()}")
    if leader.code("open") == PAM_SESSION_ERR:
        try:
            wait_for(leader.log, 1)
        except Failed:
            one.wrong.append("refused without a line")
    if "abroad" in leader.said:
        one.wrong.append(f"{leader.said['abroad']} are not home; logged {leader.log()}")


def collect_by_login(m, name: str) -> list[str]:
    """The next one's collector does it. Returns what is wrong with that."""
    leader = Leader(m, name, "bob", collects=True, cwd=m.directory)
    entered = leader.open()
    leader.close()
    with contextlib.suppress(Failed):
        wait_for(lambda: m.reap() or not is_at_work(m), GONE)
    return ([] if entered else [f"the next login: {leader.said} {leader.log()}"]) + [f"after the next login: {line}" for line in left(m)]


def judge_the_remains(m, name: str, one: Round) -> None:
    """No process. And no group and no record, unless it was their maker that was killed: then not after the next collection."""
    one.left = left(m, GONE)
    one.wrong += [line for line in one.left if line.startswith("process")]
    if one.left and one.killed.startswith("helper"):
        one.wrong += collect_by_login(m, name) if one.by_login else collect(m)
    else:
        one.wrong += one.left
    if one.left and one.wrong:
        m.purge()


def play(m, name: str, one: Round, session: float) -> None:
    """One round."""
    m.policy(f"[default]\nScope={one.scope}\nMemoryMax=256M\nTasksMax=128\nHostname=lab-%u\n")
    leaders = []
    killer = Killer(m, leaders, one)
    try:
        stay_and_close(m, name, killer, session)
        killer.end()
        for leader in leaders:
            judge_the_leader(leader, one)
    finally:
        for leader in leaders:
            leader.kill()
            leader.end()
    judge_the_remains(m, name, one)


def kinds(left_over: list[str]) -> str:
    return ", ".join(sorted({line.split()[0] for line in left_over})) or "nothing"


def conclude(rounds: list[Round], seed: int) -> None:
    counts = Counter((one.killed.split(" (")[0], one.phase, one.scope, kinds(one.left)) for one in rounds)
    lines = [f"| {killed} | {phase} | {scope} | {remains} | {n} |" for (killed, phase, scope, remains), n in sorted(counts.items())]
    text = "| killed | while | Scope= | left, until the collection | rounds |\n|---|---|---|---|---|\n" + "\n".join(lines) + "\n"
    add_results("SIGKILL at a random moment", f"{len(rounds)} rounds, seed {seed}.\n\n{text}")
    print("\n".join(f"# {line}" for line in text.splitlines()[2:]), flush=True)
    wrong = [str(one) for one in rounds if one.wrong]
    if wrong:
        raise Failed(f"{len(wrong)} of {len(rounds)} rounds:\n" + "\n".join(wrong))


def fault_leader_helper_or_init_is_killed_at_any_moment(m):
    seed = fault.options.seed
    random.seed(seed)
    rounds = []
    with service(m) as name:
        opening, closing = measure(m, name)
        lengths = {"opening": opening, "session": closing, "closing": closing}
        for number in range(fault.options.rounds):
            one = choose(number, lengths)
            play(m, name, one, lengths["session"])
            rounds.append(one)
    conclude(rounds, seed)
