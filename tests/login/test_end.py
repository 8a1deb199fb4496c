# SPDX-License-Identifier: BSD-3-Clause
"""Nothing remains, however a login ends."""

import os
import time

from harness import Master, Pty, alive, check, equal, kill, namespaces, read_text, wait_for, write_text

# Between SIGTERM and SIGKILL at logout, and then a second as for all.
GRACE = 5.0


def stay(m, short: str = "alice"):
    """A login with a process in the foreground and one that has left its terminal, and its record."""
    m.spawn_ssh(short, "setsid sleep 1001 > /dev/null 2>&1 < /dev/null & exec sleep 1000")
    wait_for(lambda: m.running("sleep 1000") and m.running("sleep 1001"), 10, "both processes")
    return m.session(short)


def login_leaves_nothing_after_logout(m):
    m.ssh("alice", "true").ok()
    m.nothing_left()


def login_ends_its_background_processes_at_logout(m):
    m.ssh("alice", "setsid nohup sleep 1000 > /dev/null 2>&1 < /dev/null & sleep 0.2").ok()
    m.nothing_left()


def login_ends_processes_that_ignore_every_signal(m):
    m.ssh("alice", "(trap '' HUP INT TERM QUIT; setsid sh -c 'while :; do sleep 1; done') > /dev/null 2>&1 < /dev/null & sleep 0.2").ok()
    m.nothing_left(GRACE + 1)


def login_gives_processes_time_to_end_by_themselves(m):
    path = f"{m.user('alice').home}/last-words"
    command = f"trap 'sleep 1; echo saved > {path}; exit' TERM; while :; do sleep 0.1; done"
    m.ssh("alice", f"setsid sh -c \"{command}\" > /dev/null 2>&1 < /dev/null & sleep 0.3").ok()
    m.nothing_left(GRACE + 1)
    equal(read_text(path), "saved\n")


def login_ends_stopped_processes(m):
    m.ssh("alice", "sleep 1000 > /dev/null 2>&1 < /dev/null & sleep 0.1; kill -STOP $!").ok()
    m.nothing_left()


def login_ends_processes_in_namespaces_of_their_own(m):
    m.ssh("alice", "unshare -Urpf --kill-child=0 sleep 1000 > /dev/null 2>&1 < /dev/null & sleep 0.3")
    # PID 1 of a namespace gets no SIGTERM that it has no handler for.
    m.nothing_left(GRACE + 1)


def login_leaves_nothing_after_the_terminal_hangs_up(m):
    terminal = Pty(m, "alice")
    terminal.line("sleep 1000")
    wait_for(lambda: m.running("sleep 1000"), 10, "the process")
    terminal.close()
    m.nothing_left()


def login_leaves_nothing_after_the_connection_drops(m):
    stay(m)
    m.children[-1].kill()
    m.nothing_left()


def login_leaves_nothing_after_its_monitor_was_killed(m):
    session = stay(m)
    equal(session.leader, m.sshd.monitor())
    kill(session.leader)
    m.nothing_left()


def login_leaves_nothing_after_its_supervisor_was_killed(m):
    session = stay(m)
    kill(session.supervisor)
    wait_for(lambda: not alive(session.supervisor), 2, "its end")
    m.children[-1].kill()
    m.nothing_left()


def login_ends_at_once_when_its_supervisor_was_killed_or_later_with_all_it_had(m):
    """Whichever the product chooses: no process may run on after logout."""
    session = stay(m)
    kill(session.supervisor)
    m.end_clients()
    m.nothing_left()
    check(not alive(session.init), "isolate-init is there")


def login_leaves_nothing_after_isolate_init_was_killed(m):
    session = stay(m)
    kill(session.init)
    m.nothing_left()


def login_leaves_nothing_after_sshd_itself_was_killed(m):
    server = m.add_sshd("mortal")
    m.spawn_ssh("alice", "exec sleep 1000", server=server)
    session = m.session("alice")
    for pid in (server.pid, session.leader):
        kill(pid)
    server.child.wait(5)
    wait_for(lambda: not m.running("sleep 1000"), 2, "the end of its process")
    server.start()
    m.nothing_left()


def login_survives_the_end_of_the_listener(m):
    server = m.add_sshd("restarted")
    child = m.spawn_ssh("alice", "echo ready; read line; echo got $line", server=server)
    equal(child.stdout.readline(), "ready\n")
    server.child.terminate()
    server.child.wait(5)
    equal(child.communicate("more\n", 5)[0], "got more\n")
    server.start()


def login_of_one_ends_and_the_other_goes_on(m):
    first, second = (m.spawn_ssh("alice", f"echo ready; read line; echo {n} got $line") for n in (1, 2))
    for child in (first, second):
        equal(child.stdout.readline(), "ready\n")
    equal(first.communicate("bye\n", 5)[0], "1 got bye\n")
    wait_for(lambda: len(m.sessions("alice")) == 1, 5, "the end of the first")
    equal(second.communicate("still\n", 5)[0], "2 got still\n")


def login_channel_that_ends_leaves_the_others(m):
    master = Master(m, "alice")
    child = master.spawn_ssh("exec sleep 1000")
    wait_for(lambda: m.running("sleep 1000"), 5, "the process")
    master.ssh("true").ok()
    check(m.running("sleep 1000"), "it was ended")
    child.kill()
    master.close()


# ---- the leader goes home ----


def hook(m, moment: str) -> str:
    """A line of the stack that runs a root program at close, which writes down where it is."""
    program, output = f"{m.directory}/hook", f"{m.directory}/hook.out"
    write_text(program, f"#!/bin/sh\nfor n in user pid mnt uts ipc cgroup net; do echo $n $(readlink /proc/self/ns/$n); done > {output}~\n"
                        f"cat /proc/self/cgroup > {output}.cgroup; mv {output}~ {output}\n", 0o755)
    if os.path.exists(output):
        os.unlink(output)
    return f"session required pam_exec.so type={moment} {program}"


def hook_ran(m) -> tuple[dict[str, str], str]:
    output = f"{m.directory}/hook.out"
    wait_for(lambda: os.path.exists(output), 5, "the hook")
    where = dict(line.split() for line in read_text(output).splitlines())
    os.unlink(output)
    return where, read_text(f"{output}.cgroup")


def login_close_hook_runs_in_the_hosts_namespaces_and_cgroups(m):
    m.sshd.pam(after=hook(m, "close_session"))
    m.ssh("alice", "true").ok()
    where, groups = hook_ran(m)
    equal(where, namespaces(m.sshd.pid))
    equal(groups, read_text(f"/proc/{m.sshd.pid}/cgroup"))


def login_close_hook_runs_after_the_terminal_hung_up(m):
    m.sshd.pam(after=hook(m, "close_session"))
    terminal = Pty(m, "alice")
    terminal.expect(r"\$ ")
    terminal.close()
    equal(hook_ran(m)[0], namespaces(m.sshd.pid))


def login_close_hook_runs_at_home_when_isolate_init_was_killed(m):
    m.sshd.pam(after=hook(m, "close_session"))
    kill(stay(m).init)
    where, groups = hook_ran(m)
    equal(where, namespaces(m.sshd.pid))
    equal(groups, read_text(f"/proc/{m.sshd.pid}/cgroup"))


def login_close_hook_runs_at_home_when_the_supervisor_was_killed(m):
    m.sshd.pam(after=hook(m, "close_session"))
    kill(stay(m).supervisor)
    m.end_clients()
    where, groups = hook_ran(m)
    equal(where, namespaces(m.sshd.pid))
    equal(groups, read_text(f"/proc/{m.sshd.pid}/cgroup"))


def login_close_hook_before_ours_runs_at_home_where_a_line_closes_first(m):
    m.sshd.pam(before=f"session required {m.module} close\n{hook(m, 'close_session')}", arguments="open")
    m.ssh("alice", "cat /proc/1/comm").ok()
    where, groups = hook_ran(m)
    equal(where, namespaces(m.sshd.pid))
    equal(groups, read_text(f"/proc/{m.sshd.pid}/cgroup"))


def login_close_hook_before_ours_sees_no_user_process_as_root_in_its_view(m):
    """It runs inside, before we close: M' lets it execute nothing, so that it fails rather than runs in the user's view."""
    line = hook(m, "close_session").replace("required", "optional")
    m.sshd.pam(before=line)
    m.ssh("alice", "true").ok()
    time.sleep(0.3)
    output = f"{m.directory}/hook.out"
    if os.path.exists(output):
        equal(hook_ran(m)[0], namespaces(m.sshd.pid), "it ran, but not at home")
