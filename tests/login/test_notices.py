# SPDX-License-Identifier: BSD-3-Clause
"""What the user is told, and where he is not: one line on his terminals when a limit bites, and his limits at login (Banner)."""

import os
import re
import time

from harness import Failed, Master, Pty, check, equal, kill, matches, need_program, wait_for, write_text
from test_channels import copied_file, same_content
from test_interactive import PROMPT, terminal
from test_limits import EAT, FORK

SMALL = "[default]\nMemoryMax=64M\nUserMemoryMax=infinity\n"
KILLED = r"pam_isolate: out of memory: (.+) (?:was|were) killed, because (.+)\. Use less memory at a time, or ask your administrator for more\."
LOGGED = r"session \S+ of {}: out of memory: killed "
FULL = r"pam_isolate: no more processes.*: (.+)\. End some of them\."

# Calls itself as it is told (in hexadecimal), and takes more than there is.
NAMED = r"""
import ctypes, sys
ctypes.CDLL(None).prctl(15, bytes.fromhex(sys.argv[1]), 0, 0, 0)
kept = bytearray(int(sys.argv[2]) << 20)
kept[::4096] = b"x" * len(kept[::4096])
"""


def hog(m, name: str = "hungry", megabytes: int = 192) -> str:
    """A command that is killed for memory, whose process has this name."""
    path = f"{m.directory}/named.py"
    if not os.path.exists(path):
        write_text(path, NAMED)
    return f"python3 {path} {name.encode('latin-1').hex()} {megabytes}"


def logged(m, mark: int, short: str = "alice") -> str:
    return m.log.expect(LOGGED.format(m.user(short).name), mark, 12)


# ---- out of memory ----


def login_out_of_memory_is_told_on_the_terminal(m):
    m.policy(SMALL)
    shell, mark = terminal(m, "alice"), m.log.mark()
    shell.line(hog(m))
    found = shell.expect(KILLED)
    equal(found.groups(), ("hungry", "your login may use 64M (MemoryMax=)"))
    line = logged(m, mark)
    matches(r"killed hungry \(pid \d+\), limit MemoryMax=64M$", line)
    shell.line("echo alive-$((40 + 2))")
    shell.expect("alive-42")
    shell.line("exit")
    shell.wait()
    equal(len(m.log.since(mark, "out of memory")), 1, "lines")


def login_out_of_memory_names_the_users_limit(m):
    m.policy("[default]\nMemoryMax=100M\nUserMemoryMax=120M\n")
    first = terminal(m, "alice")
    first.line(EAT + "60 100 &")
    first.expect("eaten")
    second, mark = terminal(m, "alice"), m.log.mark()
    second.line(hog(m, megabytes=90))
    line = logged(m, mark)
    matches(r"limit UserMemoryMax=120M$", line)
    words = "all your logins together may use 120M (UserMemoryMax=)"
    # The kernel chooses whose process it is.
    told = []
    for shell in (first, second):
        try:
            told.append(shell.expect(KILLED, 3)[2])
        except Failed:
            pass
    equal(told, [words], "one is told, and only the one whose process it was")


def login_out_of_memory_is_not_told_to_the_others_of_the_user(m):
    m.policy(SMALL)
    other, shell = terminal(m, "alice"), terminal(m, "alice")
    bobs = terminal(m, "bob")
    shell.line(hog(m))
    shell.expect(KILLED)
    for one in (other, bobs):
        one.line("echo silent-$((40 + 2))")
        one.expect("silent-42")
        check("pam_isolate" not in one.text, one.text)
        one.line("exit")
        one.wait()
        check("pam_isolate" not in one.text, one.text)


def login_out_of_memory_is_told_to_all_terminals_of_a_shared_sandbox(m):
    m.policy(SMALL + "Scope=user\n")
    shells = [terminal(m, "alice") for _ in range(3)]
    mark = m.log.mark()
    shells[1].line(hog(m))
    for shell in shells:
        equal(shell.expect(KILLED)[1], "hungry")
    time.sleep(0.3)
    equal(len(m.log.since(mark, "out of memory: killed")), 1)


def login_out_of_memory_is_told_in_tmux(m):
    need_program("tmux")
    m.policy(SMALL)
    master = Master(m, "alice")
    master.ssh("tmux -f /dev/null new-session -d -s work -x 200 -y 50 'exec bash --norc'").ok()
    master.ssh(f"tmux send-keys -t work '{hog(m)}' Enter").ok()
    text = lambda: master.ssh("tmux capture-pane -p -J -t work").ok().out  # noqa: E731
    wait_for(lambda: re.search(KILLED, text()), 10, "the line in the pane")
    equal(matches(KILLED, text())[1], "hungry")
    master.ssh("tmux kill-server")
    master.close()


def login_out_of_memory_tells_hostile_names_as_plain_text(m):
    """What a process calls itself is the user's own, but the administrator reads it as well."""
    m.policy(SMALL)
    for name, wanted in (("\x1b]0;title\x07", "?]0;title?"), ("two\nlines\r\t", "two?lines??"), ("\x80\xff\x9b31m", "???31m"),
                         ("a,pid=1,uid=0", "a,pid=1,uid=0"), ("%s%n%x \\x41", r"%s%n%x \x41"), (" ", " ")):
        shell, mark = terminal(m, "alice"), m.log.mark()
        shell.line("stty -echo; clear() { :; }")
        shell.expect(PROMPT)
        shell.line(hog(m, name))
        found = shell.expect(KILLED)
        equal(found[1], wanted)
        line = logged(m, mark)
        check(all(" " <= character <= "~" for character in line), repr(line))
        matches(rf"killed {re.escape(wanted)} \(pid \d+\), limit MemoryMax=64M$", line)
        shell.line("exit")
        shell.wait()


def login_out_of_memory_of_a_command_is_told_in_syslog_only(m):
    m.policy(SMALL)
    mark = m.log.mark()
    result = m.ssh("alice", f"printf '%s' before; {hog(m)}; printf '%s' after-$?; sleep 0.5; printf '%s' end >&2")
    equal((result.out, re.sub(r"^.*Killed.*\n", "", result.err)), ("beforeafter-137end"[:-3], "end"))
    matches(r"killed hungry \(pid \d+\), limit MemoryMax=64M$", logged(m, mark))


def login_out_of_memory_at_its_very_end_is_told_in_syslog(m):
    """The process that is killed is the last that there was: the session is over at the same moment."""
    m.policy(SMALL)
    mark = m.log.mark()
    check(m.ssh("alice", f"exec {hog(m)}").status != 0, "it had all the memory")
    m.nothing_left()
    logged(m, mark)


def login_out_of_memory_does_not_get_into_what_is_copied(m):
    """In one connection, and in one sandbox."""
    need_program("rsync")
    m.policy(SMALL + "Scope=user\nKillOnLogout=no\n")
    master, shell, path = Master(m, "alice"), terminal(m, "alice"), copied_file(m)
    hogs = m.spawn_ssh("alice", f"while :; do {hog(m)}; sleep 0.2; done")
    mark = m.log.mark()
    control = ("-o", f"ControlPath={master.path}")
    logged(m, mark)
    for i in range(3):
        for program in (("scp", "-O"), ("scp", "-s")):
            m.call(*program, "-q", *m.client_options(), *control, path, f"{m.address('alice')}:sent").ok()
            back = m.call(*program, "-q", *m.client_options(), *control, f"{m.address('alice')}:sent", f"{m.directory}/back").ok()
            equal((back.out, back.err), ("", ""))
            same_content(path, f"{m.directory}/back")
        m.call("rsync", "-a", "-e", m.ssh_command(), f"{m.address('alice')}:sent", f"{m.directory}/back").ok()
        m.call("sftp", *m.client_options(), *control, "-b", "-", m.address("alice"), input=f"get sent {m.directory}/back\n").ok()
        same_content(path, f"{m.directory}/back")
        out = master.ssh("head -c 300000 sent | md5sum; sleep 1").ok()
        equal((out.err, "pam_isolate" in out.out), ("", False))
    shell.expect(KILLED)
    os.unlink(f"{m.directory}/back")
    hogs.kill()
    master.close()
    m.end_clients()
    for one in m.strays():
        if one.uid == m.user("alice").uid:
            kill(one.pid)
    m.nothing_left(4)


def login_out_of_memory_on_a_stopped_terminal_holds_up_nobody(m):
    m.policy(SMALL)
    shell, mark = terminal(m, "alice"), m.log.mark()
    shell.line(f"(sleep 1; {hog(m)}) &")
    shell.expect(PROMPT)
    shell.send("\x13")  # Ctrl-S
    logged(m, mark)
    check(not shell._read(0.5), f"it was not stopped: {shell.text!r}")
    session = m.session("alice")
    start = time.monotonic()
    kill(session.leader)
    m.nothing_left(2)
    check(time.monotonic() - start < 2, "it took its time")


def login_out_of_memory_on_a_terminal_that_nobody_reads_holds_up_nobody(m):
    m.policy(SMALL)
    shell, mark = terminal(m, "alice"), m.log.mark()
    shell.line(f"(sleep 1; {hog(m)}) & yes")
    logged(m, mark)
    session = m.session("alice")
    kill(session.leader)
    m.nothing_left(3)


def login_out_of_memory_many_times_is_told_once_in_ten_seconds(m):
    m.policy(SMALL)
    shell, mark = terminal(m, "alice"), m.log.mark()
    shell.line(f"for i in 1 2 3 4 5 6 7 8; do {hog(m)}; done; echo all-$((40 + 2))")
    shell.expect(KILLED)
    shell.expect("all-42", 20)
    check("out of memory" not in shell.text, "a second line")
    found = shell.expect(KILLED, 15)
    more = int(matches(r"^hungry and (\d+) more$", found[1])[1])
    wait_for(lambda: len(m.log.since(mark, "out of memory: killed")) == 2, 3, "the second line in syslog")
    lines = m.log.since(mark, "out of memory: killed")
    check(4 <= more <= 7, f"{more} more")
    total = sum(1 + int((re.search(r"and (\d+) more", line) or [0, 0])[1]) for line in lines)
    equal(total, 8, "kills told of")


def login_out_of_memory_in_a_group_of_its_own_is_not_the_logins_limit(m):
    """The machine is short of memory for the harness' group alone: nobody of ours."""
    m.policy(SMALL)
    mark = m.log.mark()
    m.spawn_ssh("alice", "sleep 60")
    m.session("alice")
    time.sleep(0.5)
    equal(m.log.since(mark, "out of memory"), [])


# ---- tasks ----


def login_without_processes_left_is_told_on_the_terminal(m):
    m.policy("[default]\nTasksMax=30\nUserTasksMax=infinity\n")
    shell, mark = terminal(m, "alice"), m.log.mark()
    shell.line(f"python3 {fork_script(m)} 100 1")
    shell.expect("refused")
    # The last of v1, which does not tell of it, is looked for every five seconds.
    equal(shell.expect(FULL)[1], "your login has as many as it may have, 30 (TasksMax=)")
    matches(r"no more processes: refused \d+, limit TasksMax=30$", m.log.expect(rf"session \S+ of {m.user('alice').name}: no more processes", mark, 12))
    shell.line("exit")
    shell.wait()


def fork_script(m) -> str:
    path = f"{m.directory}/fork.py"
    if not os.path.exists(path):
        write_text(path, FORK.split("'", 1)[1].rsplit("'", 1)[0])
    return path


def login_without_processes_left_names_the_users_limit(m):
    m.policy("[default]\nTasksMax=60\nUserTasksMax=40\n")
    shell, mark = terminal(m, "alice"), m.log.mark()
    shell.line(f"python3 {fork_script(m)} 100 6")
    equal(shell.expect(FULL, 12)[1], "all your logins together have as many as they may have, 40 (UserTasksMax=)")
    matches(r"limit UserTasksMax=40$", m.log.expect("no more processes", mark, 12))


def login_without_processes_left_in_a_command_keeps_its_output_clean(m):
    m.policy("[default]\nTasksMax=30\n")
    mark = m.log.mark()
    result = m.ssh("alice", f"python3 {fork_script(m)} 100 0.5; printf end >&2").ok()
    matches(r"^refused \d+\n$", result.out)
    equal(result.err, "end")
    m.log.expect("no more processes: refused", mark, 12)


def login_fork_bomb_is_told_of_fewer_and_fewer_times(m):
    m.policy("[default]\nTasksMax=30\nCPUQuota=50%\n")
    mark = m.log.mark()
    child = m.spawn_ssh("alice", "bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 60")
    m.log.expect("no more processes", mark, 12)
    time.sleep(13)
    count = len(m.log.since(mark, "no more processes"))
    check(count <= 3, f"{count} lines in 13 seconds")
    child.kill()
    m.nothing_left(8)


# ---- Banner ----

LIMITED = "[default]\nMemoryMax=512M\nCPUQuota=50%\nTasksMax=128\n"
BANNER = "This login may use 512M of memory, 50% of a CPU, 128 processes and threads."


def login_banner_is_shown_on_a_terminal(m):
    m.policy(LIMITED + "Banner=yes\n")
    shell = Pty(m, "alice", "true")
    shell.wait()
    shell = Pty(m, "alice")
    shell.expect(re.escape(BANNER))
    shell.line("exit")
    shell.wait()


def login_banner_tells_what_all_logins_may_use_where_it_is_another(m):
    m.policy(LIMITED + "UserMemoryMax=1G\nRuntimeMaxSec=7200\nBanner=yes\n")
    shell = Pty(m, "alice")
    shell.expect(re.escape(BANNER[:-1] + ", all your logins together 1G of memory. It ends after 2 hours."))
    shell.line("exit")
    shell.wait()


def login_banner_without_limits_says_that(m):
    m.policy("[default]\nBanner=yes\n")
    shell = Pty(m, "alice")
    shell.expect(r"This login may use all that this machine has\.")
    shell.line("exit")
    shell.wait()


def login_banner_is_shown_in_the_shared_sandbox_too(m):
    m.policy(LIMITED + "Scope=user\nBanner=yes\n")
    shells = [Pty(m, "alice") for _ in range(2)]
    for shell in shells:
        shell.expect(re.escape(BANNER))


def login_banner_is_not_shown_to_programs(m):
    m.policy(LIMITED + "Banner=yes\n")
    result = m.ssh("alice", "echo out; echo err >&2").ok()
    equal((result.out, result.err), ("out\n", "err\n"))
    result = m.call("sftp", *m.client_options(), "-b", "-", m.address("alice"), input="pwd\n").ok()
    check("This login" not in result.out + result.err, result.out + result.err)
    path = copied_file(m)
    for mode in ("-O", "-s"):
        result = m.call("scp", mode, *m.client_options(), path, f"{m.address('alice')}:sent").ok()
        equal((result.out, result.err), ("", ""))


def login_banner_is_not_shown_where_the_policy_does_not_ask_for_it(m):
    m.policy(LIMITED)
    shell = terminal(m, "alice")
    shell.line("exit")
    shell.wait()
    check("This login" not in shell.text, shell.text)
