# SPDX-License-Identifier: BSD-3-Clause
"""isolate-shell, the gate: executed in every way that its caller can choose."""

import os
import shutil
import subprocess

from attack import (REFUSED, as_user, bind, expect, leader, leader_argv, line, programs, quiet, refused, report, sandboxed,
                    sysctl)
from harness import Master, Pty, check, equal, matches, read_text, wait_for, write_text

SHELL = "/bin/bash"
OUTSIDE = "this is not a sandbox"
REPORT = """echo user=$(readlink /proc/self/ns/user)
grep -E '^(Cap|Seccomp:|NoNewPrivs|Uid|Gid|Groups)' /proc/self/status | sed 's/:[[:space:]]*/=/'"""
NOT_SETUID = "not setuid here: this is no way into a sandbox"
NO_ROOT = "root has no shell in a sandbox"
NOT_ABSOLUTE = "not started by an absolute path"
NO_SHELL = "is no shell"


def gate(m) -> str:
    return f"{m.programs}/isolate-shell"


def not_executed(result, number: str) -> None:
    """The kernel's refusal: the gate did not even start."""
    equal((result.status, result.out, result.err.strip().splitlines()[-1:]), (125, "", [f"leader: exec: {number}"]), "execve")


# ---- how it is named: rows 9, 12, 13 ----------------------------------------


def attack_plain_exec_is_sandboxed(m):
    """The control of all others."""
    got = sandboxed(leader(m, "alice", "plain"))
    equal(got["cwd"], m.user("alice").home)
    equal(got["NoNewPrivs"], "0")
    uid = str(m.user("alice").uid)
    equal(got["Uid"].split(), [uid] * 4)
    equal(sorted(map(int, got["Groups"].split())), sorted(os.getgrouplist(m.user("alice").name, m.user("alice").gid)))


def attack_fexecve(m):
    refused(leader(m, "alice", "fexecve", SHELL, "no"), NO_SHELL)


def attack_fexecve_cloexec(m):
    refused(leader(m, "alice", "fexecve", SHELL, "yes"), "No such file or directory")


def attack_execveat_below_directory_fd(m):
    refused(leader(m, "alice", "execute_below", "/usr/bin", "bash"), NO_SHELL)


def attack_proc_self_fd(m):
    refused(leader(m, "alice", "through_fd", SHELL), NO_SHELL)


def attack_relative_path(m):
    for path in ("bash", "./bash", "../bin/bash"):
        refused(leader(m, "alice", "relative", "/usr/bin", path), NOT_ABSOLUTE)


def attack_proc_self_root_and_cwd(m):
    sandboxed(leader(m, "alice", "plain", "/proc/self/root/bin/bash"))
    sandboxed(leader(m, "alice", "relative", "/usr/bin", "/proc/self/cwd/bash"))


def attack_dots_in_the_path(m):
    for path in ("/usr/bin/../bin/./bash", "//usr///bin/bash", "/proc/../bin/bash"):
        sandboxed(leader(m, "alice", "plain", path))


def attack_symbolic_link(m):
    link = f"{m.user('alice').home}/link"
    os.symlink(SHELL, link)
    try:
        sandboxed(leader(m, "alice", "plain", link))
    finally:
        os.unlink(link)


def attack_symbolic_link_race(m):
    """The link is another one when the gate executes it: a program of the user's, in the sandbox."""
    user = m.user("alice")
    shutil.copy(SHELL, f"{user.home}/evil")
    done = leader(m, "alice", "race_link", "4", "1500", user.home, timeout=60).ok()
    os.unlink(f"{user.home}/shell-link")
    rounds_hold(done.out, r"exit=0 user:\[\d+\]|exit=125 EACCES|exit=126 .*|exit=125 ENOENT")


def attack_hard_link_of_the_shell(m):
    """Not across the gate's own mount."""
    not_executed(leader(m, "alice", "hard_link", SHELL, f"{m.user('alice').home}/bash"), "EXDEV")


def attack_hard_link_of_the_gate(m):
    """Made where the machine lets users do it (fs.protected_hardlinks=0): not executable in the leader's view, no gate outside."""
    link = f"{m.user('alice').home}/gate"
    shutil.copy2(gate(m), link)
    os.chown(link, 0, 0)
    os.chmod(link, 0o4755)
    try:
        not_executed(leader(m, "alice", "plain", link), "EACCES")
        refused(as_user(m, "alice", link), OUTSIDE)
        refused(m.ssh("alice", link), NOT_SETUID)
    finally:
        os.unlink(link)


def attack_gate_by_its_own_name(m):
    not_executed(leader(m, "alice", "plain", gate(m)), "EACCES")


def attack_script(m):
    """Row 9: a #! script whose interpreter is covered, not the script."""
    script = f"{m.user('alice').home}/script"
    write_text(script, f"#!{SHELL}\necho $# $*\n", 0o755)
    not_executed(leader(m, "alice", "plain", script, script, "one", "two"), "EACCES")
    os.unlink(script)


def attack_no_argv(m):
    """Linux makes it one empty string; a gate that counts on argv[1] would read the environment."""
    done = leader(m, "alice", "empty_argv", SHELL, input="readlink /proc/self/ns/user; echo $A; exit 3\n")
    equal(done.status, 3)
    check(done.lines[0] != os.readlink("/proc/self/ns/user"), "a shell outside of the sandbox")
    equal(done.lines[1], "1")


# ---- what it inherits: rows 13, 14, 17, 18 -----------------------------------


def attack_closed_fds(m):
    answer = f"{m.user('alice').home}/answer"
    equal(leader(m, "alice", "closed_fds", SHELL, answer).status, 0)
    text = read_text(answer)
    os.unlink(answer)
    got = report(text)
    check(got["user"] != os.readlink("/proc/self/ns/user"), "a shell outside of the sandbox")
    check("ns:" not in text.replace("user=", "") and "[" not in text.split("total 0")[-1], f"fds of the gate are left: {text}")


def attack_hostile_environment(m):
    """Every word of it reaches the shell, and none the gate."""
    home = m.user("alice").home
    library, log = f"{programs(m)}/libhostile.so", f"{home}/loaded"
    words = [f"LD_PRELOAD={library}", f"LD_AUDIT={home}/none.so", f"LD_LIBRARY_PATH={home}", f"HOSTILE_LOG={log}", "LD_DEBUG=unused",
             f"LOCPATH={home}", f"TMPDIR={home}", "GLIBC_TUNABLES=glibc.malloc.check=1", "IFS=/", f"PATH={home}:/usr/bin:/bin",
             f"MUSL_LOCPATH={home}", f"BASH_ENV={home}/none", "PWD=/root", "SHELL=/bin/sh", "ENV=/x"]
    got = sandboxed(leader(m, "alice", "environment", SHELL, "0", *words))
    loads = read_text(log).splitlines()
    os.unlink(log)
    uid, host = m.user("alice").uid, os.readlink("/proc/self/ns/user")
    check(loads and all(line.startswith(f"{uid} {uid} ") for line in loads), f"loaded with other ids: {loads}")
    check(all(host not in line for line in loads), f"loaded outside of the sandbox: {loads}")
    equal((got["LD_PRELOAD"], got["LD_LIBRARY_PATH"], got["TMPDIR"], got["LOCPATH"]), (library, home, home, home))
    equal(got["GLIBC_TUNABLES"], "glibc.malloc.check=1")


def attack_a_megabyte_of_environment(m):
    sandboxed(leader(m, "alice", "environment", SHELL, "1000000"))


def attack_small_file_limits(m):
    """No fd for the gate, no shell. 126, or the C library's own end when not even poll(2) works."""
    for number in (0, 1, 2):
        done = leader(m, "alice", "rlimit", SHELL, f"NOFILE={number}")
        check(done.status in (REFUSED, 128 + 11, 128 + 4) and done.out == "", f"NOFILE={number}: exit {done.status} {done.out} {done.err}")
    for number in (3, 4, 5):
        refused(leader(m, "alice", "rlimit", SHELL, f"NOFILE={number}"), "No file descriptors available")
    check(not os.path.exists(f"{m.user('alice').home}/core"), "a core file of the gate")


def attack_small_limits(m):
    """They hold the shell, and cannot make the gate do half of its work."""
    equal(sandboxed(leader(m, "alice", "rlimit", SHELL, "STACK=1048576"))["stack"], "1024")
    sandboxed(leader(m, "alice", "rlimit", SHELL, "CORE=0", "MEMLOCK=0", "SIGPENDING=0", "MSGQUEUE=0", "NICE=0", "RTPRIO=0"))
    for limits in (["STACK=131072"], ["AS=1048576"], ["AS=65536"], ["DATA=4096"], ["STACK=4096"], ["FSIZE=0"]):
        done = leader(m, "alice", "rlimit", SHELL, *limits)
        if "user=" in done.out:
            sandboxed(done)
        else:
            check(done.status != 0 and "user=" not in done.out, f"{limits}: {done}")


def attack_no_processes_left(m):
    """RLIMIT_NPROC=0: the gate's setresuid marks the process, its execve refuses; or, where U counts for itself, the shell runs alone."""
    done = leader(m, "alice", "rlimit_one_process", SHELL)
    if done.status == 0:
        check(done.out.strip() != os.readlink("/proc/self/ns/user"), "a shell outside of the sandbox")
    else:
        refused(done, "Resource temporarily unavailable")


def attack_personality(m):
    """ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC | ADDR_COMPAT_LAYOUT | MMAP_PAGE_ZERO do not reach a setuid program."""
    got = sandboxed(leader(m, "alice", "personality", SHELL, "0740000"))
    equal(int(got["personality"], 16) & 0x740000, 0)


def attack_umask(m):
    equal(sandboxed(leader(m, "alice", "umask", SHELL, "0"))["umask"], "0000")
    equal(sandboxed(leader(m, "alice", "umask", SHELL, "777"))["umask"], "0777")


def attack_no_new_privileges(m):
    refused(leader(m, "alice", "no_new_privileges", SHELL), NOT_SETUID)


def attack_signals_ignored_and_blocked(m):
    sandboxed(leader(m, "alice", "signals_ignored", SHELL))


# ---- who stands beside it: rows 3, 16 ----------------------------------------


def attack_tracer_that_continues(m):
    refused(leader(m, "alice", "traced", SHELL), NOT_SETUID)


def attack_shared_working_directory(m):
    """CLONE_FS: another process could chdir(2) for the gate. The kernel does not give such a process the setuid bit."""
    done = leader(m, "alice", "shared_directory", SHELL, "/")
    check(NOT_SETUID in done.err and "user=" not in done.out, f"{done}")


def attack_shared_fd_table(m):
    sandboxed(leader(m, "alice", "shared_files", SHELL))


def rounds_hold(text: str, pattern: str, at_least: int = 100) -> None:
    """Each outcome of a race is one that may be, and none of them is a shell in our own user namespace."""
    total = 0
    for line in text.splitlines():
        count, words = line.split(" ", 1)
        matches(f"^({pattern})$", words, "an outcome")
        check(os.readlink("/proc/self/ns/user") not in words, f"{count} shells outside of the sandbox")
        total += int(count)
    check(total >= at_least, f"only {total} rounds")


def attack_stop_race(m):
    """SIGSTOP and SIGCONT at any moment: before the gate is out of reach they only delay it."""
    done = leader(m, "alice", "race_signals", SHELL, "6", "2000", "19", timeout=60).ok()
    rounds_hold(done.out, r"kill=(done|EPERM|ESRCH) exit=0 user:\[\d+\]")


def attack_kill_race(m):
    done = leader(m, "alice", "race_signals", SHELL, "5", "2000", "9", timeout=60).ok()
    rounds_hold(done.out, r"kill=done exit=-9 (user:\[\d+\]|\w+:)?|kill=(EPERM|ESRCH|done) exit=0 user:\[\d+\]")


def attack_touch_a_stopped_gate(m):
    """As long as it is root's it can be neither traced nor written."""
    done = leader(m, "alice", "race_touch", SHELL, "5", "1500", timeout=60).ok()
    rounds_hold(done.out, r"gate ptrace=EPERM mem=(EACCES|EPERM) prlimit=EPERM|other ptrace=\w+ mem=\w+")
    matches("^\\d+ gate ", done.out, "no gate was met")


def attack_timer_race(m):
    done = leader(m, "alice", "race_timer", SHELL, "4", "2000", timeout=60).ok()
    rounds_hold(done.out, r"exit=-14 (user:\[\d+\]|\w+:)?|exit=0 user:\[\d+\]")


def attack_directory_race(m):
    """Row 3: the gate must not follow, as root, where the user's link points meanwhile."""
    user = m.user("alice")
    secret = f"{m.directory}/secret"
    os.makedirs(f"{secret}/room", exist_ok=True)
    os.chmod(secret, 0o700)
    done = leader(m, "alice", "race_directory", SHELL, "8", "6000", user.home, f"{secret}/room", timeout=60).ok()
    check(secret not in done.out, f"a shell in a directory of root's: {done.out}")
    rounds_hold(done.out, rf"exit=0 user:\[\d+\] (/|{user.home}/race(-old)?)|exit=125 (ENOENT|EACCES|ENOTDIR)", 1000)


# ---- where it is run: rows 10, 11, 15 ------------------------------------------


def attack_run_on_the_host(m):
    """By its own name it is a way into a sandbox of one's own, by any other it is nothing; root has none."""
    sandboxed(as_user(m, "alice", gate(m), "-c", REPORT))
    for name in ("/proc/self/fd/3", f"/proc/self/root{gate(m)}", f"/{gate(m)}"):
        done = as_user(m, "alice", "/bin/bash", "-c", f"exec 3<{gate(m)}; exec {name} -c 'echo in'")
        check(done.status == REFUSED and not done.out, f"{name}: {done}")
    refused(m.call(gate(m)), NO_ROOT)


def attack_login_shell_mode_with_a_hostile_caller(m):
    """isolate-login runs as root with the caller's arguments, environment and limits: all of it is for the shell."""
    user, library = m.user("alice"), f"{programs(m)}/libhostile.so"
    log = f"{user.home}/loaded"
    done = m.call("setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--init-groups", "env", f"LD_PRELOAD={library}", f"HOSTILE_LOG={log}",
                  f"PATH={user.home}", "IFS=/", f"LD_LIBRARY_PATH={user.home}", "MUSL_LOCPATH=x", gate(m), "-c", "PATH=/usr/bin:/bin\n" + REPORT)
    sandboxed(done)
    check(all(text.startswith(f"{user.uid} {user.uid} ") for text in read_text(log).splitlines()), read_text(log))
    os.unlink(log)
    for limits in (["--nofile=4:4"], ["--nofile=8:8"], ["--fsize=0"], ["--as=10000000"], ["--stack=16384"]):
        done = as_user(m, "alice", "prlimit", *limits, gate(m), "-c", REPORT)
        if "user=" in done.out:
            sandboxed(done)
        else:
            check(done.status != 0, f"{limits}: {done}")
        m.nothing_left(2)


def attack_login_shell_mode_is_out_of_reach(m):
    """Its leader is root's: the caller can neither signal nor trace it."""
    user = m.user("alice")
    child = m.spawn("setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--init-groups", gate(m), "-c", "echo here; exec sleep 60",
                    stdout=subprocess.PIPE, text=True)
    equal(line(child), "here\n")
    for number in ("KILL", "STOP", "HUP"):
        done = as_user(m, "alice", "kill", f"-{number}", str(child.pid))
        check("not permitted" in done.err, f"{number}: {done}")
    check("ermission denied" in as_user(m, "alice", "cat", f"/proc/{child.pid}/environ").err, "its environment is readable")
    child.kill()
    child.wait()
    m.nothing_left(2)


def attack_run_in_own_namespaces_on_the_host(m):
    """All that a user can make for himself: a PID namespace with an owner, a fresh /proc."""
    refused(as_user(m, "alice", "unshare", "-Urpf", "--mount-proc", gate(m)), NO_ROOT)
    refused(as_user(m, "alice", "unshare", "-Urpf", "--mount-proc", "unshare", "-U", gate(m)), NOT_SETUID)
    refused(as_user(m, "alice", "unshare", "-Um", gate(m)), NOT_SETUID)


def attack_run_in_the_sandbox(m):
    for command in (gate(m), f"unshare -U {gate(m)}", f"unshare -Um {gate(m)}", f"cp {gate(m)} ~/g; chmod 4755 ~/g; ~/g"):
        refused(m.ssh("alice", command), NOT_SETUID)
    for command in (f"unshare -Urpf {gate(m)}", f"unshare -Urm {gate(m)}", f"unshare -Urpfm --mount-proc {gate(m)}"):
        refused(m.ssh("alice", command), NO_ROOT)


def attack_reach_the_leaders_view(m):
    """/proc/PID/root of init and of sshd's child lead to where the gate is mounted: closed."""
    command = 'for p in /proc/[0-9]*; do test $p = /proc/$$ || $p/root/bin/bash -c "echo in $p"; done; for i in 1 2; do ls /proc/$i/root; done'
    done = m.ssh("alice", command)
    equal(done.out, "")
    check(len(done.err.splitlines()) >= 3, done.err)
    check(all("ermission denied" in line or "No such file" in line for line in done.err.splitlines()), done.err)


def attack_run_the_helper(m):
    """From anyone but root it takes nothing, and from root no words."""
    helper = f"{m.programs}/isolate-helper"
    equal(as_user(m, "alice", helper).status, 2)
    equal(m.ssh("alice", helper).status, 2)
    equal(m.ssh("alice", f"{helper} --help").status, 2)
    equal(m.call(helper, "x").status, 2)
    # As the root of a user namespace of his own it starts, and gets nowhere: the records are not this root's.
    check(m.ssh("alice", f"unshare -Ur {helper} 3<>/dev/null").status != 0, "the helper of a root of its own succeeded")


# ---- what else could be executed: rows 5, 6, 7, 8 -------------------------------


def attack_exec_of_anything_else(m):
    """cron's SHELL=, sudo -u: nothing but covered shells can be executed in the leader's view."""
    paths = ["/usr/bin/python3", "/usr/bin/env", "/usr/bin/id", "/lib64/ld-linux-x86-64.so.2", f"{m.programs}/isolate-init", gate(m)]
    done = leader(m, "alice", "executables", *[path for path in paths if os.path.exists(path)]).ok()
    for line in done.lines:
        equal(line.split()[1], "EACCES", line)


def attack_own_program_in_the_leaders_view(m):
    """Put there by the user from inside of the same session, then executed from outside of U."""
    user = m.user("alice")
    for place in (user.home, "/tmp", "/dev/shm", "/var/tmp", f"/run/user/{user.uid}"):
        not_executed(leader(m, "alice", "plant", SHELL, f"{place}/prog"), "EACCES")
    os.unlink(f"{user.home}/prog")


def attack_map_code_in_the_leaders_view(m):
    """Neither can a hijacked process there load code from a file."""
    equal(leader(m, "alice", "maps_library", "/usr/bin/id").ok().out, "EPERM\n")


def attack_leaders_own_program(m):
    """/proc/self/exe is a file of the host's mounts, not of the leader's view: its ld.so is not."""
    not_executed(leader(m, "alice", "plain", "/proc/self/exe", "x", "-c", "print(1)"), "EACCES")


def attack_remount_the_leaders_view(m):
    """A hijacked process there makes itself root of a user namespace: the flags and the gate's mounts are locked."""
    done = leader(m, "alice", "remount", SHELL).ok()
    for line in done.lines:
        check(line.split()[-1] in ("EPERM", "EINVAL", "EACCES"), line)
    equal(len(done.lines), 5)


def private_shell(m) -> str:
    """A copy of a shell at a path of our own, and a user who has it as his login shell."""
    path = f"{m.directory}/shells/sh"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not os.path.exists(path):
        shutil.copy("/bin/dash", path)
    m.add_user("dave", path)
    return path


def attack_rename_over_the_shell(m):
    """Row 5: a package upgrade while he is logged in. The mount over the old file goes; what is left cannot be executed."""
    shell = private_shell(m)
    master = Master(m, "dave")
    where = master.ssh("readlink /proc/self/ns/user").ok().out.strip()
    check(where != os.readlink("/proc/self/ns/user"), "not in a sandbox")
    shutil.copy("/bin/dash", shell + "~")
    os.rename(shell + "~", shell)
    done = master.ssh("readlink /proc/self/ns/user")
    equal((done.status, done.out), (1, ""))
    matches("Permission denied", done.err)
    master.close()
    check(m.ssh("dave", "readlink /proc/self/ns/user").ok().out.strip() != os.readlink("/proc/self/ns/user"), "the next login")


def attack_unlink_and_replace_the_shell(m):
    shell = private_shell(m)
    master = Master(m, "dave")
    master.ssh("true").ok()
    os.unlink(shell)
    shutil.copy("/bin/dash", shell)
    done = master.ssh("id")
    equal((done.status, done.out), (1, ""))
    matches("Permission denied", done.err)
    master.close()


def attack_rename_the_directory_of_the_shell(m):
    shell = private_shell(m)
    folder = os.path.dirname(shell)
    master = Master(m, "dave")
    master.ssh("true").ok()
    os.rename(folder, folder + ".old")
    os.mkdir(folder)
    shutil.copy("/bin/dash", shell)
    done = master.ssh("id")
    shutil.rmtree(folder)
    os.rename(folder + ".old", folder)
    equal((done.status, done.out), (1, ""))
    matches("Permission denied", done.err)
    master.close()


def attack_late_mount_over_the_shell(m):
    """Row 7: a mount of the host's covers the shell's directory later. It does not arrive where the leader stands."""
    shell = private_shell(m)
    folder = os.path.dirname(shell)
    for command in (["mount", "-t", "tmpfs", "late", folder], ["mount", "--make-shared", folder]):
        equal(quiet(command), 0, " ".join(command))
    try:
        shutil.copy("/bin/dash", shell)
        master = Master(m, "dave")
        master.ssh("true").ok()
        os.mkdir(f"{folder}/more")
        equal(quiet(["mount", "-t", "tmpfs", "-o", "suid,exec", "later", f"{folder}/more"]), 0)
        shutil.copy("/usr/bin/id", f"{folder}/more/id")
        os.chmod(f"{folder}/more/id", 0o4755)
        # It is there for the user in his sandbox, and gives nothing.
        equal(master.ssh(f"{folder}/more/id -u; {folder}/more/id -ur").ok().lines, [str(m.user("dave").uid)] * 2)
        seen = read_text(f"/proc/{m.session('dave').leader}/mounts")
        check(f" {folder}/more " not in seen and "later" not in seen, "the mount came to the leader")
        master.close()
        wait_for(lambda: not m.sessions("dave"), 5, "the end of the session")
    finally:
        quiet(["umount", f"{folder}/more"])
        equal(quiet(["umount", folder]), 0)


def attack_root_executes_a_covered_shell(m):
    """Row 8: a hook after ours runs in the leader's view, as root: refused at once, no endless loop, no root shell."""
    proof = f"{m.directory}/root-proof"
    m.sshd.pam(after=f"session optional pam_exec.so type=open_session log={m.directory}/hook.log {SHELL} -c 'echo ran>{proof}'")
    equal(m.ssh("alice", "true").status, 0)
    check(not os.path.exists(proof), "root had a shell in the leader's view")
    matches(NO_ROOT, read_text(f"{m.directory}/hook.log"))


def attack_close_hooks_run_at_home(m):
    """With `close` as the first line the hooks that follow it run in the host's namespaces, for root."""
    log = f"{m.directory}/close.log"
    hook = f"{m.directory}/hook.sh"
    write_text(hook, "#!/bin/sh\nreadlink /proc/self/ns/mnt /proc/self/ns/pid /proc/self/ns/uts /proc/self/ns/ipc /proc/self/ns/cgroup\n", 0o755)
    m.sshd.pam(after=f"session optional pam_exec.so type=close_session log={log} {hook}")
    equal(m.ssh("alice", "true").status, 0)
    lines = wait_for(lambda: os.path.exists(log) and [line for line in read_text(log).splitlines() if ":[" in line], 5, "the hook")
    equal(lines, [os.readlink(f"/proc/{m.sshd.pid}/ns/{name}") for name in ("mnt", "pid", "uts", "ipc", "cgroup")])


# ---- the terminal: row 2 -------------------------------------------------------


def attack_typing_into_roots_terminal(m):
    """Row 2: su from root's terminal, then TIOCSTI and TIOCLINUX by every number and every system call table."""
    stack = f"{m.directory}/su-l"
    write_text(stack, f"auth sufficient pam_rootok.so\naccount required pam_permit.so\nsession required {m.module} debug\n")
    with sysctl("dev.tty.legacy_tiocsti", "1"), bind(stack, "/etc/pam.d/su-l"):
        control = Pty(m, argv=["setpriv", f"--reuid={m.user('alice').uid}", f"--regid={m.user('alice').gid}", "--clear-groups",
                               f"{programs(m)}/tiocsti"])
        equal(control.expect(r"plain (\w+)").group(1), "done", "without the gate")
        control.wait()
        terminal = Pty(m, argv=["/bin/sh", "-c", f"echo $$ > {m.group}/cgroup.procs; PS1='root# ' exec /bin/sh -i"])
        terminal.expect("root# ")
        terminal.line(f"su - {m.user('alice').name}")
        terminal.expect(r"\$ ")
        terminal.line(f"exec {programs(m)}/tiocsti")
        text = terminal.expect(r"(?s)plain.*end\r\n").group(0)
        terminal.expect("root# ")
        terminal.line("exit")
        terminal.wait()
    got = dict(line.split()[:2] for line in text.splitlines() if line != "end")
    expect(got, {"plain": "EPERM", "high": "EPERM", "int80": "EPERM", "x32": "EPERM", "x32-native": {"EPERM", "ENOSYS"},
                 "tioclinux": "EPERM", "tioclinux-high": "EPERM", "nested": "EPERM", "reopened": "EPERM"})
    check("root# #" not in terminal.text, "something was typed into root's terminal")
