# SPDX-License-Identifier: BSD-3-Clause
"""Scope=user: all logins of a user are in one sandbox, from the first to the last of them."""

import os
import threading
import time

from harness import Failed, Leader, Pty, alive, check, equal, kill, matches, namespaces, read_text, wait_for, write_file, write_text
from test_channels import sftp
from test_end import hook, hook_ran
from test_limits import FORK, MEGABYTE, is_v2
from test_users import PRINT_NAMESPACES

SHARED = "[default]\nScope=user\nMemoryMax=256M\nTasksMax=512\n"
NAMESPACES = "readlink /proc/self/ns/pid"
AT_ONCE = 30


def stay(m, short: str = "alice", **options):
    """A login that stays until it gets a line; and the PID namespace that it is in."""
    child = m.spawn_ssh(short, f"{NAMESPACES}; read line; echo $line", **options)
    where = child.stdout.readline().strip()
    check(where, f"the login failed: {child.stderr.read() if child.poll() is not None else 'no output'}")
    return child, where


def leave(child) -> None:
    equal(child.communicate("bye\n", 10)[0], "bye\n")


def memory_max(session, of_user: bool = False) -> int | str:
    text = session.read("memory", "memory.max" if is_v2() else "memory.limit_in_bytes", of_user)
    return "infinity" if text == "max" or int(text) > 1 << 62 else int(text)


# ---- together ----


def login_shared_finds_by_ssh_what_scp_has_brought_to_tmp(m):
    m.policy(SHARED)
    third, _ = stay(m)
    path = f"{m.directory}/for-tmp"
    write_text(path, "brought\n")
    for mode in ("-O", "-s"):
        m.call("scp", mode, *m.client_options(), path, f"{m.address('alice')}:/tmp/brought{mode}").ok()
        equal(m.ssh("alice", f"cat /tmp/brought{mode}").ok().out, "brought\n")
    sftp(m, f"put {path} /tmp/by-sftp\n").ok()
    equal(m.ssh("alice", "cat /tmp/by-sftp /dev/shm/none 2> /dev/null; echo there > /dev/shm/here").ok().out, "brought\n")
    equal(m.ssh("alice", "cat /dev/shm/here").ok().out, "there\n")
    check(not os.path.exists("/tmp/by-sftp"), "it is in the host's /tmp")
    leave(third)


def login_shared_reaches_the_server_that_another_has_started(m):
    """As editors do: the second connection looks for the first one's server by its pid."""
    m.policy(SHARED)
    first = m.spawn_ssh("alice", "echo $$ > /tmp/server.pid; exec sleep 1234")
    wait_for(lambda: m.running("sleep 1234"), 10, "the server")
    second = m.ssh("alice", "p=$(cat /tmp/server.pid); kill -0 $p && tr '\\0' ' ' < /proc/$p/cmdline; echo; readlink /proc/$p/exe; kill $p").ok()
    equal(second.lines[0], "sleep 1234 ")
    first.wait(10)


def login_shared_has_all_namespaces_in_common(m):
    m.policy(SHARED + "Hostname=one-%u\n")
    first = m.spawn_ssh("alice", f"{PRINT_NAMESPACES}; echo end; read line")
    lines = []
    while (line := first.stdout.readline()) != "end\n":
        check(line, "the first login ended")
        lines.append(line.strip())
    equal(m.ssh("alice", PRINT_NAMESPACES).ok().lines, lines)
    equal(m.ssh("alice", "uname -n").ok().out, f"one-{m.user('alice').name}\n")
    equal(m.ssh("alice", PRINT_NAMESPACES, tty=True).ok().out.split(), " ".join(lines).split())
    out, _ = first.communicate("\n", 10)
    equal(out, "")


def login_shared_thirty_times_at_once_is_one_sandbox(m):
    m.policy(SHARED)
    command = f"{NAMESPACES}; cat /proc/self/cgroup | md5sum; read line; echo $line"
    children = [m.spawn_ssh("alice", command) for _ in range(AT_ONCE)]
    found = {(child.stdout.readline(), child.stdout.readline()) for child in children}
    equal(len(found), 1, f"sandboxes {found}")
    sessions = m.sessions("alice")
    equal(len(sessions), AT_ONCE, "records")
    equal(len({one.cgroup for one in sessions}), 1, "cgroups")
    equal(len({one.supervisor for one in sessions}), 1, "supervisors")
    equal(len({one.leader for one in sessions}), AT_ONCE, "leaders")
    inside = set(sessions[0].pids())
    for one in sessions:
        check(one.leader in inside, f"leader {one.leader} is not in {one.cgroup}")
    for i, child in enumerate(children):
        out, err = child.communicate(f"{i}\n", 60)
        equal((child.returncode, out), (0, f"{i}\n"), err)
    m.nothing_left()


def login_shared_by_many_leaders_in_the_same_millisecond_is_one_sandbox(m):
    m.policy(SHARED)
    leader = Leader(m)
    for _ in range(5):
        equal(set(leader.crowd(AT_ONCE, "alice")), {0})
        equal(len({one.cgroup for one in m.sessions("alice")}), 1, "cgroups")
        equal(set(leader.end_crowd()), {0})
    leader.end()


def login_shared_of_two_users_is_two_sandboxes(m):
    m.policy(SHARED)
    hers, where = stay(m, "alice")
    his, other = stay(m, "bob")
    check(where != other, "both are in the same")
    m.ssh("alice", "echo secret > /tmp/hers; chmod 777 /tmp/hers; sleep 777 > /dev/null 2>&1 < /dev/null &").ok()
    wait_for(lambda: m.running("sleep 777"), 5, "her process")
    result = m.ssh("bob", "cat /tmp/hers; pgrep -f 'sleep 77[7]'; id -un")
    equal(result.out, f"{m.user('bob').name}\n")
    leave(hers)
    leave(his)


def login_shared_is_one_for_the_terminal_too(m):
    m.policy(SHARED)
    child, where = stay(m)
    equal(m.ssh("alice", NAMESPACES, tty=True).ok().out.strip(), where)
    leave(child)


# ---- the end ----


def login_shared_ends_with_the_last_of_them_and_not_before(m):
    m.policy(SHARED)
    first, where = stay(m)
    others = [stay(m)[0] for _ in range(2)]
    m.ssh("alice", "setsid sleep 1001 > /dev/null 2>&1 < /dev/null &").ok()
    for child, left in ((first, 2), (others[0], 1)):
        leave(child)
        wait_for(lambda left=left: len(m.sessions("alice")) == left, 5, f"{left} sessions")
        time.sleep(0.2)
        check(m.running("sleep 1001"), "it was ended with a login that was not the last")
        equal(m.ssh("alice", NAMESPACES).ok().out.strip(), where)
    leave(others[1])
    m.nothing_left()
    child, other = stay(m)
    check(where != other or not m.running("sleep 1001"), "the old one is there")
    leave(child)


def login_shared_ends_though_its_leaders_were_killed(m):
    m.policy(SHARED)
    for _ in range(3):
        stay(m)
    for session in m.sessions("alice"):
        kill(session.leader)
    m.nothing_left()


def login_shared_goes_on_when_one_leader_was_killed(m):
    m.policy(SHARED)
    first, where = stay(m)
    leader = m.session("alice").leader
    second, _ = stay(m)
    kill(leader)
    wait_for(lambda: len(m.sessions("alice")) == 1, 5, "the end of its record")
    equal(m.ssh("alice", NAMESPACES).ok().out.strip(), where)
    leave(second)


def login_shared_ends_its_background_processes_gently(m):
    m.policy(SHARED)
    path = f"{m.user('alice').home}/shared-last-words"
    child, _ = stay(m)
    m.ssh("alice", f"setsid sh -c \"trap 'sleep 0.5; echo saved > {path}; exit' TERM; while :; do sleep 0.1; done\" > /dev/null 2>&1 < /dev/null & sleep 0.3").ok()
    leave(child)
    m.nothing_left(6)
    equal(read_text(path), "saved\n")


def login_while_the_shared_sandbox_is_ending_gets_a_new_one(m):
    """Never an error: it is ending for five seconds, if a process does not want to."""
    m.policy(SHARED)
    child, where = stay(m)
    m.ssh("alice", "(trap '' HUP TERM; setsid sh -c 'while :; do sleep 1; done') > /dev/null 2>&1 < /dev/null & sleep 0.2").ok()
    leave(child)
    for _ in range(5):
        child, other = stay(m)
        check(other != where, "it is in the one that ends")
        leave(child)
    m.nothing_left(7)


def login_shared_quickly_again_and_again_is_never_refused(m):
    m.policy(SHARED)
    failed, count = [], 25

    def come_and_go(number: int) -> None:
        for i in range(count):
            try:
                result = m.ssh("alice", f"echo {i}", timeout=60)
                if (result.status, result.out) != (0, f"{i}\n"):
                    failed.append(f"{number}.{i}: {result}")
            except (Failed, ValueError) as error:
                failed.append(f"{number}.{i}: {error}")

    threads = [threading.Thread(target=come_and_go, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(failed, [])
    m.nothing_left()


def login_shared_is_never_refused_while_others_are_killed(m):
    m.policy(SHARED)
    for i in range(20):
        children = [m.spawn_ssh("alice", "echo in; read line") for _ in range(3)]
        equal(children[i % 3].stdout.readline(), "in\n")
        for session in m.sessions("alice")[:1 + i % 3]:
            kill(session.leader)
        result = m.ssh("alice", "echo fine")
        equal((result.status, result.out), (0, "fine\n"), result.err)
        m.end_clients()
    m.nothing_left()


def login_shared_by_leaders_that_come_and_go_is_never_refused(m):
    """Without the time that ssh takes: each end meets somebody's beginning."""
    m.policy(SHARED)
    leaders = [Leader(m) for _ in range(4)]
    threads, results = [], []
    for leader in leaders:
        def go(leader=leader) -> None:
            try:
                results.append(len(leader.cycle(100, "alice")))
            except Failed as error:
                results.append(str(error))
        threads.append(threading.Thread(target=go))
        threads[-1].start()
    for thread in threads:
        thread.join()
    equal(results, [100] * len(leaders))
    for leader in leaders:
        leader.end()
    m.nothing_left()


# ---- accidents ----


def login_after_the_shared_supervisor_was_killed_gets_a_new_sandbox(m):
    m.policy(SHARED)
    _, where = stay(m)
    session = m.session("alice")
    kill(session.supervisor)
    wait_for(lambda: not alive(session.supervisor), 2, "its end")
    child, other = stay(m)
    check(where != other or m.sessions("alice")[-1].supervisor != session.supervisor, "it is in the dead one")
    check(m.sessions("alice")[-1].cgroup != session.cgroup, "it is in the group of the dead one")
    leave(child)
    m.nothing_left()


def login_with_three_leaders_after_the_shared_supervisor_was_killed_leaves_nothing(m):
    m.policy(SHARED)
    for _ in range(2):
        stay(m)
    m.sshd.pam(after=hook(m, "close_session"))
    stay(m)
    kill(m.sessions("alice")[0].supervisor)
    m.end_clients()
    equal(hook_ran(m)[0], namespaces(m.sshd.pid))
    m.nothing_left(3)


def login_after_a_stopped_supervisor_says_what_is_wrong(m):
    m.policy(SHARED)
    stay(m)
    supervisor = m.session("alice").supervisor
    kill(supervisor, 19)
    mark = m.log.mark()
    try:
        check(m.ssh("alice", "true", timeout=40).status != 0, "the login was let in")
        m.log.expect("refused: .*(supervisor|helper).*does not answer", mark)
    finally:
        kill(supervisor, 18)
    m.ssh("alice", "true").ok()


# ---- the leaders ----


def login_shared_brings_each_leader_home(m):
    m.policy(SHARED)
    before = read_text(f"/proc/{m.sshd.pid}/cgroup")
    m.sshd.pam(after=hook(m, "close_session"))
    stayer, _ = stay(m)
    for _ in range(2):
        m.ssh("alice", "true").ok()
        equal(hook_ran(m), (namespaces(m.sshd.pid), before))
    leave(stayer)
    equal(hook_ran(m), (namespaces(m.sshd.pid), before))


def login_shared_by_leaders_of_different_places_brings_each_to_his_own(m):
    """The one in a group of his own goes back there, not where the first came from."""
    m.policy(SHARED)
    first, second = Leader(m, "alice"), Leader(m, "alice")
    group = f"{m.group}/other"
    os.mkdir(group)
    try:
        write_file(f"{group}/cgroup.procs", str(second.pid))
        before = [read_text(f"/proc/{one.pid}/cgroup") for one in (first, second)]
        check(before[0] != before[1], "both are in the same group")
        for order in ((first, second), (second, first)):
            for one in (first, second):
                equal(one.open(), 0)
            equal(len({session.cgroup for session in m.sessions("alice")}), 1, "cgroups")
            for one in order:
                equal(one.close(), 0)
            equal([read_text(f"/proc/{one.pid}/cgroup") for one in (first, second)], before)
            equal(namespaces(first.pid), namespaces(second.pid))
        second.end()
    finally:
        m.end_clients()
        wait_for(lambda: not read_text(f"{group}/cgroup.procs"), 5, "the end of the leader")
        os.rmdir(group)


def login_shared_is_recorded_once_for_each(m):
    m.policy(SHARED)
    children = [stay(m)[0] for _ in range(3)]
    leaders = {one.leader for one in m.sessions("alice")}
    equal(len(leaders), 3, "records")
    lines = [line for line in m.isolatectl("list").ok().lines if m.user("alice").name in line]
    equal({int(line.split()[3]) for line in lines}, leaders)
    leave(children[0])
    wait_for(lambda: len(m.sessions("alice")) == 2, 5, "the end of one record")
    check({one.leader for one in m.sessions("alice")} < leaders, "another leader")
    for child in children[1:]:
        leave(child)


def su_argv(m, *words: str) -> list[str]:
    """As in test_users, but su has a parent where it is itself: that is its way home from a sandbox that others made elsewhere."""
    stack = f"{m.directory}/su-stack"
    write_text(stack, f"auth sufficient pam_rootok.so\naccount required pam_permit.so\nsession required {m.module} debug\n")
    script = 'for f in su su-l; do mount --bind "$0" /etc/pam.d/$f; done; su "$@"; exit $?'
    return m.nursery("unshare", "-m", "sh", "-c", script, stack, *words)


def login_by_su_from_root_joins_the_shared_sandbox(m):
    m.policy(SHARED)
    child, where = stay(m)
    mark = m.log.mark()
    result = m.call(*su_argv(m, "-", m.user("alice").name, "-c", f"{NAMESPACES}; id -un; exit 5"))
    equal((result.status, result.lines), (5, [where, m.user("alice").name]), result.err)
    wait_for(lambda: len(m.sessions("alice")) == 1, 5, "the end of su's session")
    equal(m.log.since(mark, "came from another place"), [])
    leave(child)


def login_joins_the_shared_sandbox_that_su_has_made(m):
    m.policy(SHARED)
    terminal = Pty(m, argv=su_argv(m, "-", m.user("alice").name))
    terminal.line(f"echo ns=$({NAMESPACES})")
    where = terminal.expect(r"ns=(pid:\[\d+\])")[1]
    equal(m.ssh("alice", NAMESPACES).ok().out.strip(), where)
    terminal.line("exit")
    terminal.wait()


def login_shared_without_a_user_namespace(m):
    m.policy(SHARED + "PrivateUsers=no\n")
    child, where = stay(m)
    result = m.ssh("alice", f"{NAMESPACES}; readlink /proc/self/ns/user; echo > /tmp/of-both").ok()
    equal(result.lines, [where, namespaces()["user"]])
    equal(m.ssh("alice", "ls /tmp").ok().out, "of-both\n")
    leave(child)
    m.nothing_left()


def login_shared_without_a_pid_namespace_is_no_policy(m):
    m.policy("[default]\nScope=user\nPrivateUsers=no\nPrivatePIDs=no\n")
    result = m.isolatectl("explain", m.user("alice").name)
    check(result.status != 0, result.out)
    text = rf"{m.policy_file}:4: PrivatePIDs=no asks for Scope=session, not Scope=user"
    matches(text, result.err)
    mark = m.log.mark()
    check(m.ssh("alice", "true").status != 0, "the login was let in")
    m.log.expect(text, mark)


def login_kept_without_a_pid_namespace_is_no_policy(m):
    m.policy("[default]\nKillOnLogout=no\nPrivateUsers=no\nPrivatePIDs=no\n")
    matches("PrivatePIDs=no asks for KillOnLogout=yes, not KillOnLogout=no", m.isolatectl("explain", m.user("alice").name).err)


# ---- the policy changes meanwhile ----

CHANGED = "the policy has changed since"


def login_shared_gets_the_limits_of_the_new_policy(m):
    m.policy("[default]\nScope=user\nMemoryMax=200M\nTasksMax=100\n")
    child, _ = stay(m)
    session, mark = m.session("alice"), m.log.mark()
    for memory, tasks in ((300, 150), (150, 90)):
        m.policy(f"[default]\nScope=user\nMemoryMax={memory}M\nTasksMax={tasks}\n")
        m.ssh("alice", "true").ok()
        for of_user in (False, True):
            equal(memory_max(session, of_user), memory * MEGABYTE)
            equal(session.read("pids", "pids.max", of_user), str(tasks))
    m.policy("[default]\nScope=user\n")
    m.ssh("alice", "true").ok()
    for of_user in (False, True):
        equal(memory_max(session, of_user), "infinity")
        equal(session.read("pids", "pids.max", of_user), "max")
    m.policy("[default]\nScope=user\nMemoryMax=100M\nUserMemoryMax=400M\nTasksMax=infinity\n")
    m.ssh("alice", "true").ok()
    equal((memory_max(session), memory_max(session, True)), (100 * MEGABYTE, 400 * MEGABYTE))
    equal(m.log.since(mark, f"{CHANGED}|keeps a limit"), [])
    leave(child)


def cpu_quota(session, of_user: bool = False) -> str:
    return session.read("cpu", "cpu.max", of_user).split()[0] if is_v2() else session.read("cpu", "cpu.cfs_quota_us", of_user)


def login_shared_gets_the_cpu_limits_of_the_new_policy(m):
    m.policy("[default]\nScope=user\nCPUQuota=100%\nCPUWeight=100\n")
    child, _ = stay(m)
    session, mark = m.session("alice"), m.log.mark()
    for percent, of_user in ((200, 200), (50, 50), (100, 150), (40, 60)):
        m.policy(f"[default]\nScope=user\nCPUQuota={percent}%\nUserCPUQuota={of_user}%\nCPUWeight={percent}\n")
        m.ssh("alice", "true").ok()
        equal((cpu_quota(session), cpu_quota(session, True)), (str(percent * 1000), str(of_user * 1000)), f"{m.log.since(mark, 'keeps')}")
    equal(m.log.since(mark, f"{CHANGED}|keeps a limit"), [])
    leave(child)


def login_shared_below_what_it_uses_keeps_the_memory_limit_and_says_so(m):
    m.policy("[default]\nScope=user\nMemoryMax=200M\nTasksMax=100\n")
    child = m.spawn_ssh("alice", "head -c 60M /dev/zero > /tmp/much; echo in; read line; echo $line")
    equal(child.stdout.readline(), "in\n")
    session, mark = m.session("alice"), m.log.mark()
    m.policy("[default]\nScope=user\nMemoryMax=20M\nTasksMax=50\n")
    m.ssh("alice", "true")
    check(memory_max(session) == 20 * MEGABYTE or m.log.since(mark, "keeps a limit: .*MemoryMax"), "not in force, and not a word")
    equal(session.read("pids", "pids.max"), "50", "the limit after the one that could not be had")
    child.kill()


def login_shared_keeps_what_is_no_limit_and_says_which(m):
    m.policy(SHARED + "Hostname=before\n")
    child, where = stay(m)
    m.policy("[default]\nScope=user\nMemoryMax=128M\nTasksMax=512\nHostname=after\nPrivateTmp=no\n")
    mark = m.log.mark()
    equal(m.ssh("alice", f"uname -n; {NAMESPACES}").ok().lines, ["before", where])
    line = m.log.expect(CHANGED, mark)
    matches(rf"session \S{{36}}: {CHANGED} the sandbox of {m.user('alice').name} was made "
            r"\(\d{4}-\d\d-\d\d \d\d:\d\d\), which keeps its own: Hostname PrivateTmp$", line)
    leave(child)
    m.nothing_left()
    equal(m.ssh("alice", "uname -n").ok().out, "after\n")


def login_shared_says_nothing_when_nothing_has_changed(m):
    m.policy(SHARED + "Hostname=%u\nCPUQuota=150%\nRuntimeMaxSec=1000\n")
    mark = m.log.mark()
    child, _ = stay(m)
    for _ in range(3):
        m.ssh("alice", "true").ok()
    equal(m.log.since(mark, f"{CHANGED}|keeps"), [])
    leave(child)


def login_shared_says_of_a_quota_that_is_lifted_that_it_stays(m):
    m.policy(SHARED + "CPUQuota=100%\n")
    child, _ = stay(m)
    m.policy(SHARED)
    for _ in range(2):
        mark = m.log.mark()
        m.ssh("alice", "true").ok()
        quota = cpu_quota(m.sessions("alice")[0])
        if quota not in ("-1", "max"):
            matches("keeps its own:.* CPUQuota", m.log.expect(CHANGED, mark))
    leave(child)


def login_with_a_session_of_its_own_when_the_policy_says_so_meanwhile(m):
    m.policy(SHARED)
    child, where = stay(m)
    m.policy("[default]\nScope=session\nMemoryMax=256M\n")
    check(m.ssh("alice", NAMESPACES).ok().out.strip() != where, "it is in the shared one")
    m.policy(SHARED)
    equal(m.ssh("alice", NAMESPACES).ok().out.strip(), where)
    leave(child)


def login_with_a_lower_quota_while_another_has_a_higher_one(m):
    """Scope=session: the limits of all logins together are the newest policy's."""
    m.policy("[default]\nCPUQuota=200%\nMemoryMax=256M\n")
    child, _ = stay(m)
    m.policy("[default]\nCPUQuota=50%\nMemoryMax=128M\n")
    m.ssh("alice", "true").ok()
    leave(child)


def login_is_not_locked_out_of_a_shared_sandbox_that_is_full(m):
    """It is his own, and nobody else's: he is told, at least the administrator is."""
    m.policy("[default]\nScope=user\nTasksMax=20\n")
    child = m.spawn_ssh("alice", FORK + "100 60")
    matches("refused", child.stdout.readline())
    mark = m.log.mark()
    result = m.ssh("alice", "true")
    if result.status != 0:
        m.log.expect("no more processes|TasksMax", mark, 12)
    child.kill()
    m.nothing_left(3)
    m.ssh("alice", "true").ok()


def login_shared_without_room_for_one_more_is_refused_and_told_why(m):
    """The kernel lets a leader into a full group; it is his child that it refuses then, and sshd would only hang up."""
    m.policy("[default]\nScope=user\nTasksMax=20\n")
    child = m.spawn_ssh("alice", "exec python3 -u -c 'import os,time\nfor _ in range(99):\n try:\n  if os.fork() == 0: time.sleep(60)\n"
                                 " except OSError: break\nprint(\"full\")\ninput()'")
    equal(child.stdout.readline(), "full\n")
    mark = m.log.mark()
    done = m.ssh("alice", "true")
    check(done.status != 0, "the login was let in")
    matches("You have as many processes as you may have", done.err + done.out)
    m.log.expect("refused: pidns: no room for a leader and his child", mark)
    equal(len(m.sessions("alice")), 1, "sessions")
    child.kill()
    wait_for(lambda: m.ssh("alice", "true").status == 0, 5, "a login once they are gone")
