# SPDX-License-Identifier: BSD-3-Clause
"""How long a sandbox lives (KillOnLogout, RuntimeMaxSec), and what outlives it (PrivateTmp=user)."""

import json
import os
import shutil
import signal
import time

from harness import Leader, Pty, check, equal, kill, matches, need_program, read_text, wait_for, write_text
from test_channels import sftp
from test_interactive import terminal

KEPT = "[default]\nMemoryMax=256M\nTasksMax=128\nKillOnLogout=no\n"
KEPT_SHARED = KEPT + "Scope=user\n"
NAMESPACES = "readlink /proc/self/ns/pid"
LEAVE = "setsid sleep {} > /dev/null 2>&1 < /dev/null &"


def left_running(m, seconds: int = 1001, short: str = "alice") -> None:
    """A login that has gone and left a process."""
    m.ssh(short, LEAVE.format(seconds)).ok()
    wait_for(lambda: m.running(f"sleep {seconds}"), 5, "its process")
    wait_for(lambda: [one for one in m.sessions(short) if one.leader == 0], 5, "a record without a leader")


def end(m, line: str) -> None:
    for one in m.running(line):
        kill(one.pid)


# ---- what survives logout ----


def login_kept_tmux_is_found_again(m):
    need_program("tmux")
    m.policy(KEPT_SHARED)
    m.ssh("alice", "tmux new-session -d -s work 'echo in-tmux; exec sleep 4321'").ok()
    wait_for(lambda: not m.sshd.connections(), 5, "the end of the login")
    time.sleep(0.3)
    for _ in range(2):
        matches(r"^work: 1 windows", m.ssh("alice", "tmux ls").ok().out)
    matches("in-tmux", m.ssh("alice", "tmux capture-pane -p -t work").ok().out)
    m.ssh("alice", "tmux kill-server").ok()
    m.nothing_left(3)


def login_kept_tmux_is_attached_again_after_the_terminal_hung_up(m):
    need_program("tmux")
    m.policy(KEPT_SHARED)
    shell = Pty(m, "alice", options=("-o", "SetEnv=TEST_A=1"))
    shell.line("TERM=vt100 tmux new-session -s work")
    wait_for(lambda: "work" in m.ssh("alice", "tmux ls").out, 10, "tmux")
    shell.line("kept=of-$((40 + 2))")
    m.ssh("alice", "tmux send-keys -t work 'echo kept-$kept' Enter").ok()
    wait_for(lambda: "kept-of-42" in m.ssh("alice", "tmux capture-pane -p -t work").out, 10, "the shell in tmux")
    shell.close()
    time.sleep(0.3)
    again = Pty(m, "alice", "TERM=vt100 tmux attach -t work")
    again.expect("kept-of-42")
    again.line("echo again-$kept; exit")
    again.expect("again-of-42")
    again.wait()
    m.nothing_left(3)


def login_tmux_ends_at_logout_where_the_policy_does_not_keep_it(m):
    need_program("tmux")
    m.policy("[default]\nScope=user\n")
    m.ssh("alice", "tmux new-session -d -s work 'exec sleep 4321'; tmux ls").ok()
    m.nothing_left(6)
    check(m.ssh("alice", "tmux ls").status != 0, "it is there")


def login_kept_nohup_goes_on_and_writes(m):
    m.policy(KEPT)
    path = f"{m.user('alice').home}/nohup-out"
    m.ssh("alice", f"nohup sh -c 'sleep 1; echo done > {path}' > /dev/null 2>&1 < /dev/null &").ok()
    wait_for(lambda: os.path.exists(path) and read_text(path) == "done\n", 5, "its output")
    m.nothing_left(3)
    os.unlink(path)


DAEMON = r"""
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
null = os.open("/dev/null", os.O_RDWR)
for fd in range(3): os.dup2(null, fd)
os.execvp("sleep", ["sleep", "2345"])
"""


def login_kept_server_that_has_forked_twice_goes_on(m):
    """As mosh-server, whose client comes by UDP, does."""
    m.policy(KEPT)
    write_text(f"{m.directory}/daemon.py", DAEMON)
    m.ssh("alice", f"python3 {m.directory}/daemon.py").ok()
    wait_for(lambda: not m.sshd.connections(), 5, "the end of the login")
    time.sleep(0.5)
    check(m.running("sleep 2345"), "it was ended")
    end(m, "sleep 2345")
    m.nothing_left(3)


def login_kept_is_found_by_the_next_only_where_it_is_shared(m):
    m.policy(KEPT)
    m.ssh("alice", f"{LEAVE.format(1001)} echo > /tmp/first").ok()
    left_running(m, 1002)
    equal(len(m.sessions("alice")), 2)
    equal(m.ssh("alice", "ls /tmp; pgrep sleep").out, "")
    end(m, "sleep 1001")
    wait_for(lambda: len(m.sessions("alice")) == 1, 3, "the end of the first")
    end(m, "sleep 1002")
    m.nothing_left(3)


def login_kept_and_shared_is_the_same_sandbox(m):
    m.policy(KEPT_SHARED)
    where = m.ssh("alice", f"{NAMESPACES}; {LEAVE.format(1001)}").ok().out
    for _ in range(3):
        time.sleep(0.2)
        equal(m.ssh("alice", NAMESPACES).ok().out, where)
        equal(len(m.running("sleep 1001")), 1)
    end(m, "sleep 1001")
    m.nothing_left(3)


def login_kept_without_anything_left_ends_at_once(m):
    for policy in (KEPT, KEPT_SHARED):
        m.policy(policy)
        m.ssh("alice", "true").ok()
        m.nothing_left(1.5)


def login_kept_ends_with_its_last_process(m):
    m.policy(KEPT_SHARED)
    m.ssh("alice", f"{LEAVE.format(1001)} {LEAVE.format(1002)}").ok()
    left_running(m, 1003)
    for seconds in (1001, 1003):
        end(m, f"sleep {seconds}")
        time.sleep(0.2)
        check(m.sessions("alice"), "it ended with a process that was not the last")
    end(m, "sleep 1002")
    m.nothing_left(3)


def login_kept_is_listed_without_a_leader(m):
    m.policy(KEPT_SHARED)
    left_running(m)
    session = m.session("alice")
    line = matches(rf"^{session.id} .*$", m.isolatectl("list").ok().out)[0]
    words = line.split()
    equal(words[1:3], [m.user("alice").name, m.sshd.service])
    matches(r"^\d{4}-\d\d-\d\d$", words[3], "SINCE follows SERVICE")
    found = [one for one in json.loads(m.isolatectl("list", "--json").ok().out)["sessions"] if one["id"] == session.id]
    equal([one["leader"] for one in found], [None])
    child = m.spawn_ssh("alice", "read line")
    wait_for(lambda: len(found := m.sessions("alice")) == 1 and found[0].leader, 5, "one record, with a leader")
    equal(len([line for line in m.isolatectl("list").ok().lines if m.user("alice").name in line]), 1)
    check("  0 " not in m.isolatectl("list").out, "a leader 0")
    child.communicate("\n", 10)
    end(m, "sleep 1001")
    m.nothing_left(3)


def login_kept_goes_on_when_its_leader_was_killed(m):
    for policy in (KEPT, KEPT_SHARED):
        m.policy(policy)
        child = m.spawn_ssh("alice", f"{LEAVE.format(1001)} exec sleep 1000")
        wait_for(lambda: m.running("sleep 1000") and m.running("sleep 1001"), 10, "both processes")
        kill(m.session("alice").leader)
        wait_for(lambda: [one.leader for one in m.sessions("alice")] == [0], 5, "a record without a leader")
        time.sleep(0.3)
        check(m.running("sleep 1001"), "it was ended")
        end(m, "sleep 1001")
        end(m, "sleep 1000")
        child.wait(10)
        m.nothing_left(3)


def login_kept_ends_though_the_parents_of_its_processes_are_outside(m):
    """sshd's children in the sandbox are children of a process that is not in its PID namespace."""
    m.policy(KEPT)
    leader = Leader(m, "alice")
    equal(leader.open(), 0)
    equal(leader.run(f"{LEAVE.format(1001)} true").status, 0)
    equal(leader.close(), 0)
    wait_for(lambda: m.running("sleep 1001"), 5, "its process")
    end(m, "sleep 1001")
    m.nothing_left(3)
    leader.end()


def login_kept_waits_for_a_process_with_its_parent_outside(m):
    """The leader forks, logs out, and waits for its child only much later."""
    m.policy(KEPT)
    leader = Leader(m, "alice")
    equal(leader.open(), 0)
    leader.leave("exec sleep 1001")
    wait_for(lambda: m.running("sleep 1001"), 5, "its process")
    equal(leader.close(), 0)
    time.sleep(0.5)
    check(m.running("sleep 1001"), "it was ended")
    equal(len(m.sessions("alice")), 1)
    end(m, "sleep 1001")
    leader.end()
    m.nothing_left(4)


def login_kept_sandbox_ends_when_its_supervisor_is_told_to(m):
    m.policy(KEPT_SHARED)
    left_running(m)
    kill(m.session("alice").supervisor, signal.SIGTERM)
    m.nothing_left(3)


def login_ends_when_its_supervisor_is_told_to(m):
    child = m.spawn_ssh("alice", "exec sleep 1000")
    wait_for(lambda: m.running("sleep 1000"), 10, "its process")
    kill(m.session("alice").supervisor, signal.SIGTERM)
    check(child.wait(10) != 0, "it ended well")
    m.nothing_left(3)


def login_kept_ends_when_its_supervisor_was_killed(m):
    m.policy(KEPT_SHARED)
    left_running(m)
    session = m.session("alice")
    kill(session.supervisor)
    wait_for(lambda: not m.running("sleep 1001"), 3, "the end of its process")
    wait_for(lambda: m.isolatectl("gc").ok() and not m.sessions("alice"), 5, "the collection")
    m.nothing_left(3)


def login_supervisor_minds_no_other_signal(m):
    child = m.spawn_ssh("alice", "read line; echo $line")
    supervisor = m.session("alice").supervisor
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGPIPE, signal.SIGCHLD, signal.SIGALRM):
        kill(supervisor, number)
    equal(child.communicate("there\n", 10)[0], "there\n")
    m.nothing_left()


# ---- the end of one that does not want to ----


def login_end_is_told_by_hangup_to_those_that_mind_no_term(m):
    """An interactive bash ignores SIGTERM."""
    path = f"{m.user('alice').home}/hung-up"
    start = time.monotonic()
    m.ssh("alice", f"setsid sh -c \"trap '' TERM; trap 'echo hup > {path}; exit' HUP; while :; do sleep 0.1; done\" > /dev/null 2>&1 < /dev/null & sleep 0.3").ok()
    m.nothing_left(6)
    equal(read_text(path), "hup\n")
    check(time.monotonic() - start > 2, "without waiting for what SIGTERM does")
    os.unlink(path)


def login_end_does_not_keep_the_client_waiting(m):
    """The next prompt is there at once, whatever is left in the sandbox takes its time."""
    start = time.monotonic()
    m.ssh("alice", "(trap '' HUP TERM; setsid sh -c 'while :; do sleep 1; done') > /dev/null 2>&1 < /dev/null & sleep 0.2").ok()
    check(time.monotonic() - start < 2.5, "logout took as long as the processes")
    m.nothing_left(7)


# ---- RuntimeMaxSec ----

NEAR = r"pam_isolate: your session may last (\d+ \w+) \(RuntimeMaxSec=\), and ends in (\d+ \w+)\. Save your work\."
REACHED = r"pam_isolate: your session has lasted (\d+ \w+) \(RuntimeMaxSec=\), and ends now\."


def login_time_is_told_on_the_terminal_before_and_at_its_end(m):
    m.policy("[default]\nRuntimeMaxSec=4\n")
    mark, start = m.log.mark(), time.monotonic()
    shell = terminal(m, "alice")
    found = shell.expect(NEAR)
    equal((found[1], found[2]), ("4 seconds", "1 second"))
    found = shell.expect(REACHED)
    equal(found[1], "4 seconds")
    check(time.monotonic() - start > 3, "it ended too early")
    check(shell.wait() != 0, "it ended well")
    name = m.user("alice").name
    m.log.expect(rf"session \S+ of {name}: your session may last 4 seconds", mark)
    m.log.expect(rf"session \S+ of {name}: your session has lasted 4 seconds", mark)
    m.log.expect(rf"session ended: .*user={name} .*duration=[4-9]\.", mark)
    m.nothing_left(6)


def login_time_over_is_read_also_where_sshd_is_slow(m):
    """What is written to the terminal is passed on by a process of the sandbox, which is to end, too."""
    m.policy("[default]\nRuntimeMaxSec=4\n")
    mark = m.log.mark()
    shell = terminal(m, "alice")
    shell.expect(NEAR)
    server = next(one for one in m.strays() if one.uid == m.user("alice").uid and one.program == m.sshd.program)
    kill(server.pid, signal.SIGSTOP)
    m.log.expect("your session has lasted 4 seconds", mark)
    time.sleep(0.2)
    kill(server.pid, signal.SIGCONT)
    shell.expect(REACHED)
    check(shell.wait() != 0, "it ended well")
    m.nothing_left(6)


def login_time_of_a_command_is_told_in_syslog_only(m):
    m.policy("[default]\nRuntimeMaxSec=2\n")
    mark = m.log.mark()
    child = m.spawn_ssh("alice", "echo begun; exec sleep 1000")
    out, err = child.communicate(timeout=12)
    equal((out, "pam_isolate" in err), ("begun\n", False), err)
    m.log.expect("your session has lasted 2 seconds", mark)
    m.nothing_left(6)


def login_time_over_gives_processes_time_to_end_by_themselves(m):
    m.policy("[default]\nRuntimeMaxSec=2\n")
    path = f"{m.user('alice').home}/time-over"
    child = m.spawn_ssh("alice", f"setsid sh -c \"trap 'sleep 0.7; echo saved > {path}; exit' TERM; while :; do sleep 0.1; done\" > /dev/null 2>&1 < /dev/null & sleep 1000")
    child.wait(15)
    m.nothing_left(6)
    equal(read_text(path), "saved\n")
    os.unlink(path)


def login_time_holds_for_what_is_left_after_logout(m):
    m.policy(KEPT_SHARED + "RuntimeMaxSec=3\n")
    left_running(m)
    m.nothing_left(8)


def login_time_of_a_shared_sandbox_is_that_of_its_first_login(m):
    m.policy("[default]\nScope=user\nRuntimeMaxSec=3\n")
    start = time.monotonic()
    first = m.spawn_ssh("alice", "exec sleep 1000")
    wait_for(lambda: m.sessions("alice"), 10, "the first")
    time.sleep(1.5)
    second = m.spawn_ssh("alice", "exec sleep 1001")
    for child in (first, second):
        check(child.wait(12) != 0, "it ended well")
    check(time.monotonic() - start > 2.5, "too early")
    m.nothing_left(6)
    m.ssh("alice", "true").ok()


def login_time_that_is_infinite_is_none(m):
    m.policy("[default]\nRuntimeMaxSec=infinity\n")
    m.ssh("alice", "sleep 0.5").ok()


# ---- PrivateTmp=user ----

KEPT_TMP = "[default]\nPrivateTmp=user\nMemoryMax=64M\n"


def login_tmp_of_the_user_keeps_what_scp_has_brought(m):
    m.policy(KEPT_TMP)
    path = f"{m.directory}/f"
    write_text(path, "kept\n")
    for mode in ("-O", "-s"):
        m.call("scp", mode, *m.client_options(), path, f"{m.address('alice')}:/tmp/f{mode}").ok()
        m.nothing_left()
        equal(m.ssh("alice", f"ls /tmp/f{mode}").ok().out, f"/tmp/f{mode}\n")
        m.nothing_left()
    sftp(m, f"put {path} /var/tmp/g\n").ok()
    equal(m.ssh("alice", "cat /var/tmp/g; ls -A /var/tmp").ok().out, "kept\ng\n")
    check(not os.path.exists("/tmp/f-s") and not os.path.exists("/var/tmp/g"), "it is in the host's")
    equal(m.ssh("alice", "rm /tmp/f* /var/tmp/g; ls -A /tmp /var/tmp").ok().out, "/tmp:\n\n/var/tmp:\n")


def login_tmp_of_the_user_is_common_to_his_sandboxes(m):
    m.policy(KEPT_TMP)
    child = m.spawn_ssh("alice", "echo one > /tmp/common; echo mine > /dev/shm/own; echo in; read line; cat /tmp/back")
    equal(child.stdout.readline(), "in\n")
    equal(m.ssh("alice", "cat /tmp/common; ls -A /dev/shm; echo two > /tmp/back").ok().out, "one\n")
    equal(child.communicate("\n", 10)[0], "two\n")


def login_tmp_of_another_user_is_another(m):
    m.policy(KEPT_TMP)
    m.ssh("alice", "echo secret > /tmp/hers; chmod 777 /tmp/hers").ok()
    alice, bob = m.user("alice"), m.user("bob")
    result = m.ssh("bob", f"ls -A /tmp /var/tmp; cat /tmp/hers {m.user_tmp(alice.uid)}/tmp/hers; ls {m.user_tmp(bob.uid)} {os.path.dirname(m.user_tmp(0))}; true").ok()
    equal(result.out, "/tmp:\n\n/var/tmp:\n")
    check("secret" not in result.out + result.err, "he can read it")


def login_tmp_of_the_user_is_roots_and_sticky_and_harmless(m):
    m.policy(KEPT_TMP)
    out = m.ssh("alice", "stat -c '%U %a' /tmp /var/tmp; findmnt -no OPTIONS /tmp; findmnt -no OPTIONS /var/tmp; rmdir /tmp; mv /tmp /tmp2; chmod 700 /tmp; mknod /tmp/dev b 8 0; ls -A /tmp")
    for line in out.lines[:2]:
        # In the sandbox root has no name of his own: nobody, and nothing of his can be changed.
        matches(r"^(root|nobody) 1777$", line)
    for line in out.lines[2:4]:
        check({"nosuid", "nodev"} <= set(line.split(",")), line)
    top = m.user_tmp(m.user("alice").uid)
    for path, mode in ((os.path.dirname(top), 0o700), (top, 0o700), (f"{top}/tmp", 0o1777), (f"{top}/var-tmp", 0o1777)):
        status = os.stat(path)
        equal((status.st_uid, status.st_mode & 0o7777), (0, mode), path)


def login_tmp_of_the_user_does_not_run_setuid_programs(m):
    m.policy(KEPT_TMP + "PrivateUsers=no\n")
    m.ssh("alice", "cp /usr/bin/id /tmp/setuid-id").ok()
    path = f"{m.user_tmp(m.user('alice').uid)}/tmp/setuid-id"
    os.chown(path, 0, 0)
    os.chmod(path, 0o4755)
    equal(m.ssh("alice", "/tmp/setuid-id -u").ok().out, f"{m.user('alice').uid}\n")


def refused_for_tmp(m) -> None:
    mark = m.log.mark()
    check(m.ssh("alice", "true").status != 0, "the login was let in")
    m.log.expect(rf"refused: mount: .*{m.user_tmp(m.user('alice').uid)}", mark)
    m.nothing_left()


def login_is_refused_where_the_users_tmp_is_not_roots(m):
    m.policy(KEPT_TMP)
    alice = m.user("alice")
    top = m.user_tmp(alice.uid)
    m.ssh("alice", "true").ok()
    for path in (f"{top}/tmp", f"{top}/var-tmp", top):
        os.chown(path, alice.uid, -1)
        refused_for_tmp(m)
        os.chown(path, 0, -1)
        m.ssh("alice", "true").ok()
    for path, mode in ((f"{top}/tmp", 0o777), (top, 0o777), (f"{top}/tmp", 0o6777)):
        before = os.stat(path).st_mode & 0o7777
        os.chmod(path, mode)
        refused_for_tmp(m)
        os.chmod(path, before)
    m.ssh("alice", "true").ok()


def login_is_refused_where_the_users_tmp_is_a_symbolic_link(m):
    m.policy(KEPT_TMP)
    top = m.user_tmp(m.user("alice").uid)
    m.ssh("alice", "true").ok()
    elsewhere = f"{m.directory}/elsewhere"
    os.makedirs(f"{elsewhere}/tmp", exist_ok=True)
    os.chmod(elsewhere, 0o700)
    os.chmod(f"{elsewhere}/tmp", 0o1777)
    for path, target in ((f"{top}/tmp", f"{elsewhere}/tmp"), (top, elsewhere)):
        shutil.rmtree(path)
        os.symlink(target, path)
        refused_for_tmp(m)
        os.unlink(path)
    write_text(top, "a file\n")
    refused_for_tmp(m)
    os.unlink(top)
    m.ssh("alice", "true").ok()


def login_tmp_of_the_user_at_the_first_logins_at_once(m):
    """They all make the directories."""
    m.policy(KEPT_TMP + "Scope=session\nUserMemoryMax=infinity\n")
    leader = Leader(m)
    for _ in range(3):
        shutil.rmtree(m.user_tmp(m.user("alice").uid), True)
        equal(set(leader.crowd(20, "alice")), {0})
        equal(set(leader.end_crowd()), {0})
    leader.end()
