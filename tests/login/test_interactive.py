# SPDX-License-Identifier: BSD-3-Clause
"""A person at a terminal, and what his shell gets: environment, limits, arguments, working directory."""

import os

from harness import Pty, check, equal, matches, need_program, wait_for, write_text

CTRL_C, CTRL_D, CTRL_Z = "\x03", "\x04", "\x1a"
PROMPT = r"@@ (\x1b\[\?2004h)?$"  # zsh asks for bracketed paste even of a dumb terminal


def terminal(m, short: str) -> Pty:
    """A login shell with a prompt that is not what was typed to get it."""
    terminal = Pty(m, short)
    terminal.line("PS1='@''@ '")
    terminal.expect(PROMPT)
    return terminal


def try_job_control(m, short: str) -> None:
    shell = terminal(m, short)
    shell.line("sleep 100")
    wait_for(lambda: m.running("sleep 100"), 5, "the program")
    shell.send(CTRL_Z)
    shell.expect("(?i)(stopped|suspended)")
    shell.expect(PROMPT)
    shell.line("jobs")
    shell.expect("(?i)(stopped|suspended).*sleep 100")
    shell.expect(PROMPT)
    shell.line("fg")
    wait_for(lambda: m.running("sleep 100"), 5, "the program again")
    shell.send(CTRL_C)
    shell.expect(PROMPT)
    shell.line("echo status-$?")
    shell.expect(r"status-130")
    shell.expect(PROMPT)
    shell.line("sleep 100 &")
    shell.expect(PROMPT)
    wait_for(lambda: m.running("sleep 100"), 5, "the program in the background")
    shell.line("kill %1; wait; echo waited-$?")
    shell.expect(r"waited-\d")
    shell.expect(PROMPT)
    shell.send(CTRL_D)
    shell.wait()


def login_has_job_control_in_bash(m):
    try_job_control(m, "alice")


def login_has_job_control_in_dash(m):
    try_job_control(m, "bob")


def login_has_job_control_in_zsh(m):
    need_program("zsh")
    try_job_control(m, "carol")


def login_complains_of_no_missing_job_control(m):
    shell = Pty(m, "alice")
    shell.line("echo begin-$((1 + 1)); exit")
    shell.wait()
    check("begin-2" in shell.text, shell.text)
    for word in ("no job control", "cannot set terminal", "Inappropriate ioctl"):
        check(word not in shell.text, shell.text)


def login_learns_of_a_new_window_size(m):
    shell = terminal(m, "alice")
    shell.line("trap 'echo winch-$((1 + 1))' WINCH; stty size")
    shell.expect("24 80")
    shell.expect(PROMPT)
    shell.resize(40, 132)
    shell.line("")
    shell.expect("winch-2")
    shell.line("stty size")
    shell.expect("40 132")
    shell.line("exit")
    shell.wait()


def login_has_a_terminal_with_a_name_and_the_users_own(m):
    result = m.ssh("alice", "tty; stat -c %u $(tty); test -t 0 && test -t 1 && echo all", tty=True).ok()
    matches(r"^/dev/pts/\d+\s*$", result.lines[0])
    equal([line.strip() for line in result.lines[1:3]], [str(m.user("alice").uid), "all"])


def login_can_open_its_controlling_terminal(m):
    equal(m.ssh("alice", "echo hello > /dev/tty", tty=True).ok().out.strip(), "hello")


def login_can_make_a_terminal_inside(m):
    """As tmux, script and expect do."""
    need_program("script")
    check("inside-2" in m.ssh("alice", "script -qc 'echo inside-$((1 + 1))' /dev/null", tty=True).ok().out, "script(1)")


def login_types_binary_through(m):
    data = "".join(chr(32 + i % 95) for i in range(200000))
    equal(m.ssh("alice", "cat", input=data).ok().out, data)


def login_is_a_login_shell(m):
    for short, wanted in (("alice", "-bash"), ("bob", "-dash")):
        shell = terminal(m, short)
        shell.line("echo name=$0=")
        shell.expect(rf"name={wanted}=")
        shell.line("exit")
        shell.wait()


def login_reads_the_users_profile(m):
    alice = m.user("alice")
    write_text(f"{alice.home}/.profile", "PROFILE=was-read\n")
    try:
        shell = terminal(m, "alice")
        shell.line("echo the-profile-$PROFILE")
        shell.expect("the-profile-was-read")
        shell.line("exit")
        shell.wait()
    finally:
        os.unlink(f"{alice.home}/.profile")


def login_starts_at_home(m):
    for short in ("alice", "bob", "carol"):
        equal(m.ssh(short, "pwd; echo $HOME").ok().lines, [m.user(short).home] * 2, short)


def login_tells_the_exit_status(m):
    for short in ("alice", "bob", "carol"):
        for status in (0, 1, 7, 126, 255):
            equal(m.ssh(short, f"exit {status}").status, status, short)


def login_tells_of_a_death_by_signal_as_any_other(m):
    for name in ("TERM", "KILL", "SEGV"):
        equal(m.ssh("alice", f"kill -{name} $$").status, m.ssh("root", f"kill -{name} $$").status, name)


def login_says_exit_when_the_interactive_shell_does(m):
    shell = terminal(m, "alice")
    shell.line("exit 9")
    equal(shell.wait(), 9)


def login_ends_at_end_of_input(m):
    equal(m.ssh("alice", input="echo read by $0\n").out, "read by -bash\n")


def login_environment_has_what_a_login_has(m):
    alice = m.user("alice")
    out = dict(line.split("=", 1) for line in m.ssh("alice", "env").ok().lines if "=" in line)
    for name, value in (("USER", alice.name), ("LOGNAME", alice.name), ("HOME", alice.home), ("SHELL", alice.shell)):
        equal(out.get(name), value, name)
    check("SSH_CONNECTION" in out, "SSH_CONNECTION is missing")


def login_environment_that_a_setuid_program_loses_reaches_the_shell(m):
    names = ("TMPDIR", "LD_LIBRARY_PATH", "LOCPATH", "TEST_WORD")
    for short in ("alice", "bob", "carol"):
        options = tuple(f"-oSetEnv={' '.join(f'{name}=/value/of/{name}' for name in names)}" for _ in (0,))
        out = m.ssh(short, "; ".join(f"echo ${name}" for name in names), options=options).ok().lines
        equal(out, [f"/value/of/{name}" for name in names], short)


def login_environment_may_be_almost_a_megabyte(m):
    for i in range(9):
        os.environ[f"TEST_{i}"] = str(i) * 100000
    try:
        equal(m.ssh("alice", "printenv | wc -c; echo ${#TEST_0} ${#TEST_8}", options=("-oSendEnv=TEST_*",)).ok().lines[1:], ["100000 100000"])
    finally:
        for i in range(9):
            del os.environ[f"TEST_{i}"]


def login_command_may_be_as_long_as_the_kernel_lets_it(m):
    text = "x" * 120000
    equal(m.ssh("alice", f"echo {text} | wc -c").ok().out, "120001\n")


def login_command_comes_as_it_was_given(m):
    equal(m.ssh("alice", """printf '%s|' "a  b" 'c"d' \\$HOME * '$(id)'""", ).ok().out.split("|")[:3], ["a  b", 'c"d', "$HOME"])


def login_shell_that_is_a_script_gets_its_own_arguments_once(m):
    script = f"{m.directory}/script-shell"
    write_text(script, '#!/bin/sh\nprintf "<%s>" "$0" "$@"\n', 0o755)
    m.add_user("scripted", script)
    equal(m.ssh("scripted", "one two").ok().out, f"<{script}><-c><one two>")
    equal(m.ssh("scripted").ok().out, f"<{script}>")


def login_shell_that_is_a_script_is_inside(m):
    script = f"{m.directory}/script-shell-inside"
    write_text(script, "#!/bin/sh\nhostname; cat /proc/self/uid_map /proc/1/comm\n", 0o755)
    user = m.add_user("scripted2", script, m.students)
    out = m.ssh("scripted2").ok().lines
    equal(out[0], f"lab-{user.name}")
    equal(out[1].split(), [str(user.uid), str(user.uid), "1"])
    equal(out[2], "isolate-init")


def login_shell_that_is_missing_is_refused_by_sshd(m):
    m.add_user("shellless", f"{m.directory}/no-such-shell")
    check(m.ssh("shellless", "id").status != 0, "it ran")


def login_shell_nologin_says_its_sentence(m):
    m.add_user("nologin", "/usr/sbin/nologin")
    result = m.ssh("nologin", "id")
    equal(result.status, 1)
    check("not available" in result.out, result.out + result.err)


def login_keeps_an_unlimited_stack(m):
    alice = m.user("alice")
    write_text(f"{m.directory}/limits", f"{alice.name} soft stack unlimited\n{alice.name} hard stack unlimited\n")
    m.sshd.pam(before=f"session required pam_limits.so conf={m.directory}/limits")
    equal(m.ssh("alice", "ulimit -Ss; ulimit -Hs").ok().lines, ["unlimited"] * 2)


def login_keeps_a_small_stack_small(m):
    alice = m.user("alice")
    write_text(f"{m.directory}/limits", f"{alice.name} soft stack 4096\n{alice.name} hard stack 16384\n")
    m.sshd.pam(before=f"session required pam_limits.so conf={m.directory}/limits")
    equal(m.ssh("alice", "ulimit -Ss; ulimit -Hs").ok().lines, ["4096", "16384"])


def login_keeps_the_other_limits(m):
    alice = m.user("alice")
    write_text(f"{m.directory}/limits", f"{alice.name} - nofile 333\n{alice.name} - core 0\n{alice.name} - nproc 99\n")
    m.sshd.pam(before=f"session required pam_limits.so conf={m.directory}/limits")
    equal(m.ssh("alice", "ulimit -n; ulimit -c; ulimit -u").ok().lines, ["333", "0", "99"])


def login_keeps_umask_and_signals(m):
    """A shell that ignores or blocks a signal would pass that on."""
    out = m.ssh("alice", "umask; grep -E '^Sig(Blk|Ign):' /proc/self/status").ok().lines
    plain = m.ssh("root", "umask; grep -E '^Sig(Blk|Ign):' /proc/self/status").ok().lines
    equal(out, plain)


def login_shell_has_no_fd_but_the_three(m):
    out = m.ssh("alice", "exec ls /proc/self/fd").ok().out.split()
    equal(out, ["0", "1", "2", "3"], "3 is ls reading the directory")
