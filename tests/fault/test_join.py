# SPDX-License-Identifier: BSD-3-Clause
"""
With Scope=user: each system call by which a login joins the sandbox of another fails once. The one who comes is refused, or in the
whole sandbox of the other; to that one nothing happens, and when both have gone nothing is left.
"""

import contextlib
import os

from fault import LIMITS, PAM_SUCCESS, Call, Leader, around_the_leader, differences, in_the_helpers_place, service, snapshot, sweep
from harness import Failed, check, read_text, wait_for
from test_calls import conclude, fail_each, kill_at_some, leaders_part

# The limits are others by the time of the second login, and lower: so that those of the sandbox have to be written, in their order.
POLICY = "[default]\nScope=user\nHostname=lab-%u\nMemoryMax={}M\nTasksMax={}\nCPUQuota={}%\n"
BEFORE, AFTER = POLICY.format(256, 128, 200), POLICY.format(192, 96, 150)
LIMITS_AFTER = dict(zip(LIMITS, (str(192 << 20), "96", "150000")))


def count_fds(pid: int) -> int:
    """Without the socket to the system log, which is there from the first line on: the one of datagrams."""
    datagrams = {f"socket:[{line.split()[6]}]" for line in read_text("/proc/net/unix").splitlines()[1:] if line.split()[4] == "0002"}
    return sum(os.readlink(f"/proc/{pid}/fd/{fd}") not in datagrams for fd in os.listdir(f"/proc/{pid}/fd"))


class Company:
    """The login that stands."""

    def __init__(self, m, name: str):
        self.m, self.whole = m, {}
        m.policy(BEFORE)
        self.leader = Leader(m, name, cwd=m.directory)
        check(self.leader.open(), f"the login before: {self.leader.said} {self.leader.log()}")
        self.session = m.session("alice")
        wait_for(self.is_at_rest, 5, "a supervisor that waits")
        self.whole = self.look()
        m.policy(AFTER)

    def is_at_rest(self) -> bool:
        """Its supervisor has nothing more to close."""
        return "poll" in read_text(f"/proc/{self.session.supervisor}/wchan")

    def look(self) -> dict[str, str]:
        """A limit may be that of either policy: in the sandbox of the other it is to be seen which."""
        try:
            found = snapshot(self.m, self.leader) | {
                "records": " ".join(sorted(os.listdir(self.m.records))),
                "supervisor's fds": str(count_fds(self.session.supervisor)),
                "processes": " ".join(sorted(self.session.read("pids", "cgroup.procs").split())),
            }
        except OSError as error:
            return {"of it": str(error)}
        changed = [key for key in found if found[key] == LIMITS_AFTER.get(key.split()[0])]
        return found | {key: self.whole[key] for key in changed}

    def settle(self) -> None:
        with contextlib.suppress(Failed, OSError):
            wait_for(self.is_at_rest, 5)
            wait_for(lambda: self.look() == self.whole, 0.3)

    def end(self) -> tuple[list[str], list[str]]:
        """When the other has gone: what is wrong with it, up to its end; and what he has left, until the next collection."""
        wrong = []
        self.settle()
        remains = [f"record {name}" for name in os.listdir(self.m.records) if name not in self.whole["records"].split()]
        if remains:
            wrong += sweep(self.m)
            self.settle()
        wrong += differences(self.whole, self.look())
        self.leader.close()
        wrong += [f"its {word} says {self.leader.code(word)}" for word in ("end", "close") if self.leader.code(word) != PAM_SUCCESS]
        if "home" not in self.leader.said:
            wrong.append(f"its leader is not home: {self.leader.said}")
        return [f"the login before: {line}" for line in wrong], remains


def beside_another(m, injector, name: str):
    """Each login of the injector's finds one that stands."""
    injector.prepare = lambda: Company(m, name)
    injector.finish = Company.end
    injector.accounts_besides = 1
    return injector


# ---- which calls ----


def joiners_part(calls: list[Call]) -> dict[tuple, str]:
    """The helper of the login that joins; between the hierarchies and its request to the supervisor it is at the limits."""
    found, at_limits = {}, False
    for call in calls:
        at_limits = (at_limits or call.object.startswith("/sys/fs/cgroup/")) and call.call != "sendmsg"
        found[call.key()] = "joiner's limits" if at_limits else "joiner"
    return found


def joining_leaders_part(calls: list[Call]) -> dict[tuple, str]:
    """From its request on: until then it is as any other."""
    who = leaders_part(calls)
    asked = next(place for place, call in enumerate(calls) if call.process == 0 and call.call == "sendmsg")
    return {call.key(): who[call.key()] for call in calls[asked:] if call.key() in who}


def hosts_part(calls: list[Call]) -> dict[tuple, str]:
    """The supervisor from when the joiner calls, which is the first who does, to when it is called for the end of the other login."""
    found, called, answers = {}, 0, 0
    for call in calls:
        if call.process != 0:
            continue
        called += call.call == "accept4"
        if called in (1, 2):
            found[call.key()] = "host" if answers < 2 else "supervisor"
            answers += call.call == "sendmsg"
    return found


# ---- tests ----


def fault_each_call_of_a_joining_helper(m):
    with service(m) as name, in_the_helpers_place(m) as injector:
        outcomes = fail_each(m, beside_another(m, injector, name), name, joiners_part)
    conclude(m, "The helper of a login that joins another", outcomes)


def fault_each_call_of_a_joining_leader(m):
    with service(m) as name:
        outcomes = fail_each(m, beside_another(m, around_the_leader(m), name), name, joining_leaders_part)
    conclude(m, "The leader of a login that joins another", outcomes)


def fault_each_call_of_a_supervisor_whom_a_login_joins(m):
    with service(m) as name, in_the_helpers_place(m) as injector:
        beside_another(m, injector, name).orders_are_for_the_prepared = True
        outcomes = fail_each(m, injector, name, hosts_part)
    conclude(m, "The supervisor, while another login joins and leaves", outcomes)


def fault_joining_helper_is_killed_at_a_call(m):
    with service(m) as name, in_the_helpers_place(m) as injector:
        outcomes = kill_at_some(m, beside_another(m, injector, name), name, joiners_part)
    conclude(m, "The helper of a login that joins another, killed at a call", outcomes)
