# SPDX-License-Identifier: BSD-3-Clause
"""What the administrator sees: isolatectl list and explain."""

import json
import re

from harness import check, equal, matches, wait_for


def login_is_listed_with_its_limits(m):
    m.policy("[default]\nMemoryMax=100M\nTasksMax=40\n")
    m.spawn_ssh("alice", "sleep 60 & sleep 60 & wait")
    session = m.session("alice")
    wait_for(lambda: len(m.running("sleep 60")) == 2, 5, "its processes")
    line = matches(rf"^{session.id} .*$", m.isolatectl("list").ok().out)[0].split()
    equal(line[1:4], [m.user("alice").name, m.sshd.service, str(session.leader)])
    memory, limit = line[-2].split("/")
    equal(limit, "100M")
    check(memory[-1] in "KM" and float(memory[:-1]) > 0, f"memory {memory}")
    tasks, limit = map(int, line[-1].split("/"))
    equal((tasks, limit), (int(session.read("pids", "pids.current")), 40))


def login_is_listed_in_json(m):
    m.spawn_ssh("alice", "sleep 60")
    session = m.session("alice")
    found = [one for one in json.loads(m.isolatectl("list", "--json").ok().out)["sessions"] if one["id"] == session.id]
    equal(len(found), 1)
    equal((found[0]["user"], found[0]["leader"]), (session.user, session.leader))


def login_is_listed_while_it_is_there(m):
    equal(re.findall(m.tag, m.isolatectl("list").ok().out), [])
    children = [m.spawn_ssh(short, "sleep 60") for short in ("alice", "alice", "bob")]
    wait_for(lambda: len(m.sessions()) == 3, 10, "three logins")
    lines = m.isolatectl("list").ok().lines
    equal(sum(m.user("alice").name in line for line in lines), 2)
    equal(sum(m.user("bob").name in line for line in lines), 1)
    children[2].kill()
    wait_for(lambda: m.user("bob").name not in m.isolatectl("list").out, 5, "the end of bob's")


def login_is_explained_before_it_comes(m):
    m.policy("[default]\nMemoryMax=100M\n\n[group {students}]\nTasksMax=40\n\n[user {alice}]\nHostname=hers\n")
    out = m.isolatectl("explain", m.user("alice").name).ok().out
    for key, value, line, section in (("MemoryMax", "100M", 2, "default"), ("TasksMax", "40", 5, f"group {m.students}"),
                                      ("Hostname", "hers", 8, f"user {m.user('alice').name}")):
        matches(rf"^{key}={value}\s.*{re.escape(m.policy_file)}:{line}\b.*{re.escape(section)}", out)


def login_is_not_explained_for_nobody(m):
    result = m.isolatectl("explain", m.tag + "nobody")
    equal(result.status, 1)
    matches("no such user", result.err)


def login_policy_that_is_right_is_checked(m):
    equal(m.isolatectl("check").status, 0)
