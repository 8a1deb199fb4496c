# SPDX-License-Identifier: BSD-3-Clause
"""What killed supervisors and helpers have left is removed by the next login and by isolatectl gc, and nothing else is."""

import os
import shutil
import socket
import threading
import time
import uuid

from harness import CGROUPS, Failed, Leader, alive, check, equal, kill, matches, process, read_text, wait_for, write_file, write_text
from test_limits import is_v2

DONE = r"^removed what was left of (\d+) sessions\n$"


def gc(m) -> int:
    return int(matches(DONE, m.isolatectl("gc").ok().out)[1])


def crash(m, short: str = "alice"):
    """Supervisor and leader killed at the same time: nobody cleans up."""
    before = {one.id for one in m.sessions()}
    child = m.spawn_ssh(short, "exec sleep 1000")
    wait_for(lambda: m.running("sleep 1000"), 10, "its process")
    session = next(one for one in m.sessions(short) if one.id not in before)
    for pid in (session.supervisor, session.leader):
        kill(pid)
    wait_for(lambda: not alive(session.supervisor) and not alive(session.leader), 5, "their end")
    wait_for(lambda: not alive(session.init) and not m.running("sleep 1000"), 3, "the end of its processes")
    child.wait(10)
    return session


def exists(session) -> bool:
    return os.path.exists(session.path) or os.path.exists(session.group("memory")) or os.path.exists(session.group("pids"))


def groups_of(m, short: str) -> list[str]:
    """The user's group, by hierarchy."""
    roots = [CGROUPS] if is_v2() else [f"{CGROUPS}/{name}" for name in ("memory", "pids", "cpu")]
    return [f"{root}/isolate/{m.user(short).uid}" for root in roots]


# ---- by hand ----


def login_that_crashed_has_no_process_left(m):
    session = crash(m)
    check(os.path.exists(session.path), "the record is gone")
    gc(m)


def login_that_crashed_is_collected(m):
    sessions = [crash(m) for _ in range(2)]
    check(gc(m) <= 2, "more than there were")
    for session in sessions:
        check(not exists(session), f"{session.path} or {session.cgroup} is left")
    equal(gc(m), 0)
    m.nothing_left()


def login_that_crashed_is_not_listed(m):
    session = crash(m)
    check(session.id not in m.isolatectl("list").ok().out, "it is listed")
    gc(m)


def login_that_crashed_in_a_shared_sandbox_is_collected(m):
    m.policy("[default]\nScope=user\n")
    children = [m.spawn_ssh("alice", "exec sleep 1000") for _ in range(3)]
    wait_for(lambda: len(m.sessions("alice")) == 3, 10, "three logins")
    found = m.sessions("alice")
    for pid in [found[0].supervisor, *(one.leader for one in found)]:
        kill(pid)
    for child in children:
        child.wait(10)
    wait_for(lambda: not m.running("sleep 1000"), 3, "the end of the processes")
    gc(m)
    m.nothing_left()


def login_whose_supervisor_crashed_is_collected_while_its_leader_lives(m):
    """He is brought home by the collector, and his own close finds nothing to do."""
    leader = Leader(m, "alice")
    before = read_text(f"/proc/{leader.pid}/cgroup")
    equal(leader.open(), 0)
    session = m.session("alice")
    kill(session.supervisor)
    wait_for(lambda: not alive(session.init), 3, "the end of PID 1")
    equal(gc(m), 1)
    equal(read_text(f"/proc/{leader.pid}/cgroup"), before)
    equal(leader.close(), 0)
    equal((leader.open(), leader.close()), (0, 0))
    leader.end()
    m.nothing_left()


# ---- by the next login ----


def login_collects_what_another_has_left(m):
    session = crash(m)
    time.sleep(2.1)
    m.ssh("bob", "true").ok()
    wait_for(lambda: not exists(session), 5, "the collection")
    m.nothing_left()


def login_does_not_collect_again_within_a_second(m):
    leader = Leader(m)
    seen = set()
    done = threading.Event()

    def watch() -> None:
        """A collector is a helper without a sandbox: its only child is none."""
        while not done.is_set():
            with open(f"{m.records}/lock") as lock:
                seen.add(os.fstat(lock.fileno()).st_mtime)
            time.sleep(0.01)

    thread = threading.Thread(target=watch)
    start = time.monotonic()
    thread.start()
    leader.cycle(60, "alice")
    done.set()
    thread.join()
    check(len(seen) <= time.monotonic() - start + 2, f"{len(seen)} collections in {time.monotonic() - start:.1f} s")
    leader.end()


def login_says_what_it_has_collected(m):
    crash(m)
    time.sleep(2.1)
    mark = m.log.mark()
    m.ssh("bob", "true").ok()
    m.log.expect("collect: removed what was left of 1 sessions?", mark, 5)


# ---- what lives is left alone ----


def login_is_not_touched_by_the_collection(m):
    m.policy("[default]\nMemoryMax=64M\nUserMemoryMax=infinity\n\n[user {bob}]\nScope=user\n\n[user {carol}]\nKillOnLogout=no\n")
    children = [m.spawn_ssh(short, "echo in; read line; echo $line") for short in ("alice", "bob", "bob")]
    m.ssh("carol", "setsid sleep 1001 > /dev/null 2>&1 < /dev/null &").ok()
    for child in children:
        equal(child.stdout.readline(), "in\n")
    wait_for(lambda: 0 in [one.leader for one in m.sessions("carol")], 5, "her logout")
    time.sleep(0.3)
    before = {one.id: one.pids() for one in m.sessions()}
    equal(len(before), 4)
    for _ in range(5):
        equal(gc(m), 0)
    equal({one.id: one.pids() for one in m.sessions()}, before)
    for child in children:
        equal(child.communicate("bye\n", 10)[0], "bye\n")
    equal(gc(m), 0)
    for one in m.running("sleep 1001"):
        kill(one.pid)
    m.nothing_left(3)


def collect_in_a_loop(m, until: threading.Event, results: list) -> None:
    while not until.is_set():
        done = m.isolatectl("gc")
        results.append((done.status, done.out, done.err))


def login_comes_and_goes_while_it_is_collected_all_the_time(m):
    """Two collectors in a loop: they never take the beginning or the end of a login for what is left of one."""
    m.policy("[default]\nMemoryMax=64M\nUserMemoryMax=infinity\n\n[user {bob}]\nScope=user\n")
    done, results = threading.Event(), []
    collectors = [threading.Thread(target=collect_in_a_loop, args=(m, done, results)) for _ in range(2)]
    leaders = [Leader(m) for _ in range(3)]
    took, mark = [], m.log.mark()

    def go(leader) -> None:
        try:
            took.append(len(leader.cycle(60, "alice", "bob", "carol")))
        except Failed as error:
            took.append(str(error))

    threads = [threading.Thread(target=go, args=(leader,)) for leader in leaders]
    for thread in collectors + threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    for thread in collectors:
        thread.join()
    equal(took, [60] * 3)
    equal(set(results), {(0, "removed what was left of 0 sessions\n", "")})
    check(len(results) > 20, "hardly ever")
    equal(m.log.since(mark, "refused|collect:|pam_isolate.*(error|cannot|No such)"), [])
    lines = m.log.since(mark, "ended: .*user={}".format(m.user("alice").name)) + m.log.since(mark, "sandbox ended: ")
    equal([line for line in lines if "memory_peak" not in line], [], "the groups were gone before they were read")
    for leader in leaders:
        leader.end()
    m.nothing_left()


def login_two_collections_at_once_count_each_session_once(m):
    for _ in range(3):
        sessions = [crash(m) for _ in range(3)]
        results: list[int] = []
        threads = [threading.Thread(target=lambda: results.append(gc(m))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check(len(results) == 3 and sum(results) <= len(sessions), f"{results}")
        check(not any(exists(session) for session in sessions), "something is left")
    m.nothing_left()


# ---- what a helper leaves that was killed half-way ----


def login_group_without_a_record_is_nobodys_to_remove(m):
    """Another installation's, or an administrator's."""
    name = str(uuid.uuid4())
    groups = groups_of(m, "alice")
    for group in groups:
        os.makedirs(f"{group}/{name}")
    try:
        equal(gc(m), 0)
        check(all(os.path.isdir(f"{group}/{name}") for group in groups), "it was removed")
    finally:
        for group in groups:
            os.rmdir(f"{group}/{name}")
            os.rmdir(group)


def claim(m, short: str, name: str, leader: int) -> str:
    """What a helper has written before it makes the groups."""
    path, user = f"{m.records}/.{name}", m.user(short)
    os.mkdir(path, 0o700)
    write_text(f"{path}/session", f"ID={name}\nUSER={user.name}\nUID={user.uid}\nSERVICE=sshd\nTTY=ssh\nLEADER={leader}\nSUPERVISOR=1\n"
               f"INIT=0\nSINCE=1\nCGROUP=/isolate/{user.uid}/{name}\nBACKEND={'v2' if is_v2() else 'v1'}\nOWNER=0\nPIDNS=1\n", 0o600)
    return path


def login_claim_with_groups_is_collected_with_them(m):
    """In as many hierarchies as the helper has come to."""
    for n in range(len(groups_of(m, "alice")) + 1):
        name = str(uuid.uuid4())
        claim(m, "alice", name, 0)
        for group in groups_of(m, "alice")[:n]:
            os.makedirs(f"{group}/{name}")
        equal(gc(m), 1, f"{n} groups")
        m.nothing_left()


def login_claim_with_a_process_in_its_group_keeps_that_alive(m):
    name = str(uuid.uuid4())
    claim(m, "alice", name, 0)
    group = f"{groups_of(m, 'alice')[0]}/{name}"
    os.makedirs(group)
    child = m.spawn("sleep", "1000")
    write_file(f"{group}/cgroup.procs", str(child.pid))
    m.isolatectl("gc")
    equal(child.poll(), None, "it was ended")
    child.kill()
    child.wait()
    for _ in range(2):
        gc(m)
    for path in (group, os.path.dirname(group)):
        if os.path.isdir(path):
            os.rmdir(path)
    m.nothing_left()


def login_claim_that_nobody_holds_is_collected(m):
    for i in range(2):
        claim = f"{m.records}/.{uuid.uuid4()}"
        os.mkdir(claim, 0o700)
        if i:
            write_text(f"{claim}/session", "", 0o600)
        equal(gc(m), 1)
        check(not os.path.exists(claim), "it is there")
    m.nothing_left()


def stale_socket(m, short: str) -> str:
    users = f"{m.records}/.users"
    os.makedirs(users, mode=0o700, exist_ok=True)
    path = f"{users}/{m.shared_name(short)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as one:
        one.bind(path)
        one.listen()
    write_text(f"{path}.lock", "", 0o600)
    return path


def login_socket_of_a_shared_sandbox_that_is_gone_is_collected(m):
    path = stale_socket(m, "alice")
    gc(m)
    check(not os.path.exists(path) and not os.path.exists(f"{path}.lock"), "it is there")
    m.nothing_left()


def login_socket_of_a_shared_sandbox_that_is_gone_is_no_obstacle(m):
    m.policy("[default]\nScope=user\n")
    stale_socket(m, "alice")
    m.ssh("alice", "true").ok()
    m.nothing_left()


def login_lock_of_a_shared_sandbox_that_is_gone_is_collected(m):
    path = f"{stale_socket(m, 'alice')}.lock"
    os.unlink(path.removesuffix(".lock"))
    gc(m)
    check(not os.path.exists(path), "it is there")


def login_helper_killed_at_any_moment_leaves_nothing_that_is_not_collected(m):
    """SIGKILL comes while it makes the sandbox: earlier in one round, later in the next."""
    m.policy("[default]\nMemoryMax=64M\nUserMemoryMax=infinity\n\n[user {bob}]\nScope=user\n")
    for i in range(40):
        leader = Leader(m, ("alice", "bob")[i % 2])
        result: list[int] = []
        thread = threading.Thread(target=lambda: result.append(leader.open()))
        thread.start()
        deadline = time.monotonic() + 2
        helper = None
        while not helper and thread.is_alive() and time.monotonic() < deadline:
            helper = next((one.pid for one in m.strays() if one.name == "isolate-helper"), None)
        time.sleep(i % 20 / 2000)
        if helper:
            kill(helper)
        thread.join()
        if result == [0]:
            equal(leader.close(), 0, f"round {i}")
        leader.child.kill()
        leader.child.wait()
        kill(leader.pid)
        wait_for(lambda: not alive(leader.pid), 3, "the end of the leader")
        wait_for(lambda: gc(m) == 0, 5, "the collection")
        m.nothing_left(3)


# ---- records that are none ----


def login_record_that_is_garbage_is_named_and_the_others_are_collected(m):
    name = str(uuid.uuid4())
    path = f"{m.records}/{name}"
    contents = ("garbage\n", "\0\0\0", "ID=x\nCGROUP=isolate\nOWNER=0\nLEADER=1\nPIDNS=1\n", "x" * 5000,
                "\nCGROUP=/isolate/1/2\nOWNER=0\n", "\nCGROUP=" + "/x" * 2000 + "\nOWNER=0\nLEADER=1\nPIDNS=1\n")
    try:
        for content in contents:
            shutil.rmtree(path, True)
            session = crash(m)
            os.mkdir(path, 0o700)
            write_text(f"{path}/session", content, 0o600)
            result = m.isolatectl("gc")
            equal(result.status, 1, content[:40])
            check(name in result.err, f"{content[:40]!r}: {result.err!r} does not say which")
            matches(DONE, result.out, "how many were")
            check(not exists(session), "what was left of the other is there")
            m.ssh("bob", "true").ok()
            m.isolatectl("list").ok()
    finally:
        shutil.rmtree(path, True)
    equal(gc(m), 0)


def login_record_whose_leaders_pid_is_another_process_leaves_that_alone(m):
    session = crash(m)
    child = m.spawn("sleep", "1000")
    text = read_text(f"{session.path}/session")
    write_text(f"{session.path}/session", text.replace(f"LEADER={session.leader}", f"LEADER={child.pid}"), 0o600)
    groups = read_text(f"/proc/{child.pid}/cgroup")
    equal(gc(m), 1)
    equal(child.poll(), None)
    equal(read_text(f"/proc/{child.pid}/cgroup"), groups, "it was moved")
    m.nothing_left()


def login_record_with_names_that_are_none_is_left(m):
    """What is not of ours in the directory is not touched."""
    for name in ("notes", ".hidden", "x" * 36, "." + "x" * 20):
        path = f"{m.records}/{name}"
        write_text(path, "not ours\n")
        try:
            m.isolatectl("gc")
            equal(read_text(path), "not ours\n")
            m.ssh("alice", "true").ok()
        finally:
            os.unlink(path)


# ---- who may ----


def login_user_may_not_collect(m):
    path = next(f"{m.prefix}/{folder}/isolatectl" for folder in ("sbin", "bin") if os.path.exists(f"{m.prefix}/{folder}/isolatectl"))
    session = crash(m)
    result = m.call("setpriv", "--reuid", str(m.user("bob").uid), "--regid", str(m.user("bob").gid), "--clear-groups", path, "gc")
    equal(result.status, 1)
    matches("only root", result.err)
    check(os.path.exists(session.path), "it was removed")
    gc(m)


def login_gc_takes_no_arguments(m):
    check(m.isolatectl("gc", "all").status not in (0, 1), "it took one")


def login_collector_leaves_no_zombie_of_the_supervisor(m):
    time.sleep(2.1)
    child = m.spawn_ssh("alice", "read line")
    session = m.session("alice")
    time.sleep(0.3)
    children = [int(pid) for pid in read_text(f"/proc/{session.supervisor}/task/{session.supervisor}/children").split()]
    equal([str(process(pid)) for pid in children if pid != session.init], [])
    child.communicate("\n", 10)
