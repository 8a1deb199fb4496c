# SPDX-License-Identifier: BSD-3-Clause
"""A wrong policy: nobody but root gets in, one line says why, and `isolatectl check` says the same."""

import os
import re

from harness import CGROUPS, check, equal, matches, read_text, skip

SENTENCE = "cannot be isolated on this machine"


def what_syslog_says(m, mark: int) -> list[str]:
    """The module's lines above debug (priority 7), from the step on."""
    lines = m.log.since(mark, r"pam_isolate\(|isolate-helper")
    return [line for line in lines if int(matches(r"^<(\d+)>", line)[1]) % 8 != 7]


def is_refused(m, pattern: str, short: str = "alice", server=None) -> str:
    """Returns the one line."""
    mark = m.log.mark()
    result = m.ssh(short, "echo let in", timeout=10, server=server)
    check(result.status != 0 and "let in" not in result.out, f"{short} was let in")
    check(SENTENCE in result.out + result.err, f"{short} was told nothing: {result.out + result.err!r}")
    lines = what_syslog_says(m, mark)
    equal(len(lines), 1, f"lines in syslog: {lines}")
    matches(rf"login of {m.user(short).name} refused: .*{pattern}", lines[0])
    return lines[0]


def refused_and_checked(m, place: str, pattern: str) -> None:
    """place is what follows the file's name: ":LINE: ", or ": " for what is wrong with the whole file."""
    text = f"{re.escape(m.policy_file + place)}{pattern}"
    line = is_refused(m, text)
    told = m.isolatectl("check")
    equal(told.status, 1, "isolatectl check")
    matches(text, told.err)
    check(told.err.strip() in line, f"isolatectl check says {told.err!r}, syslog {line!r}")
    equal(m.ssh("root", "echo in").ok().out, "in\n", "root")


def try_policy(m, text: str, line: int, pattern: str) -> None:
    m.policy(text)
    refused_and_checked(m, f":{line}: ", pattern)


def login_is_refused_for_a_typo_in_a_key(m):
    try_policy(m, "[default]\n\nMemoryMaks=1G\n", 3, 'unknown key "MemoryMaks", did you mean MemoryMax')


def login_is_refused_for_an_unknown_key(m):
    try_policy(m, "[default]\nColour=blue\n", 2, 'unknown key "Colour"')


def login_is_refused_for_an_unknown_section(m):
    try_policy(m, "[defult]\n", 1, r"unknown section .*default")


def login_is_refused_for_a_bad_unit(m):
    try_policy(m, "[default]\nMemoryMax=1Q\n", 2, "MemoryMax: .*1Q.*unit")


def login_is_refused_for_a_bad_value(m):
    try_policy(m, "[default]\nIsolate=maybe\n", 2, "Isolate: .*maybe")


def login_is_refused_for_a_key_without_a_value(m):
    try_policy(m, "[default]\nMemoryMax=\n", 2, "MemoryMax")


def login_is_refused_for_a_key_that_is_set_twice(m):
    try_policy(m, "[default]\nTasksMax=5\nTasksMax=6\n", 3, "TasksMax .*already")


def login_is_refused_for_a_key_before_any_section(m):
    try_policy(m, "MemoryMax=1G\n", 1, "MemoryMax")


def login_is_refused_for_a_line_that_is_none(m):
    try_policy(m, "[default]\n# fine\nwhatever\n", 3, ".*whatever")


def login_is_refused_for_a_nul_byte(m):
    try_policy(m, "[default]\nHostname=a\0b\n", 2, ".*NUL")


def login_is_refused_for_a_line_without_end(m):
    try_policy(m, "[default]\n# " + "x" * 100000 + "\n", 2, ".*long")


def login_is_refused_for_a_wrong_section_of_another_user(m):
    """The file is wrong, whomever it is wrong for."""
    try_policy(m, "[default]\n[user somebody-else]\nMemoryMax=lots\n", 3, "MemoryMax")


def login_is_refused_for_a_key_that_is_not_built(m):
    try_policy(m, "[default]\nPrivateNetwork=yes\n", 2, "PrivateNetwork=yes is not")


def login_is_let_in_where_another_needs_a_key_that_is_not_built(m):
    m.policy("[default]\n[user {alice}]\nPrivateNetwork=yes\n")
    m.ssh("bob", "true").ok()
    is_refused(m, "PrivateNetwork")


def login_is_refused_for_a_contradiction(m):
    m.policy("[default]\nPrivatePIDs=no\n")
    is_refused(m, f"{re.escape(m.policy_file)}:2: PrivatePIDs=no .*PrivateUsers")


def login_is_refused_for_a_file_that_its_group_may_write(m):
    m.policy("[default]\n", 0o664)
    refused_and_checked(m, ": ", "can be written")


def login_is_refused_for_a_file_that_others_may_write(m):
    m.policy("[default]\n", 0o646)
    refused_and_checked(m, ": ", "can be written")


def login_is_refused_for_a_file_that_is_not_roots(m):
    m.policy("[default]\n")
    os.chown(m.policy_file, m.user("alice").uid, 0)
    refused_and_checked(m, ": ", "belongs to")


def login_is_refused_for_a_directory_instead_of_the_file(m):
    m.remove_policy()
    os.mkdir(m.policy_file)
    refused_and_checked(m, ": ", "is a directory")


def login_is_refused_for_a_fifo_instead_of_the_file(m):
    """Without a wait for somebody to write to it."""
    m.remove_policy()
    os.mkfifo(m.policy_file)
    refused_and_checked(m, ": ", "not a regular file")


def login_is_refused_for_a_device_instead_of_the_file(m):
    m.remove_policy()
    os.mknod(m.policy_file, 0o600 | 0o020000, os.makedev(1, 5))
    refused_and_checked(m, ": ", "not a regular file")


def login_is_refused_for_ten_megabytes(m):
    m.policy(("# " + "x" * 77 + "\n") * 131072)
    refused_and_checked(m, ": ", ".*larger than")


def login_is_refused_without_a_policy(m):
    m.remove_policy()
    refused_and_checked(m, ": ", "No such file")


def login_is_refused_for_a_wrong_drop_in(m):
    folder = f"{os.path.dirname(m.policy_file)}/isolate.d"
    made = not os.path.isdir(folder)
    os.makedirs(folder, exist_ok=True)
    drop_in = f"{folder}/{m.tag}.conf"
    try:
        with open(drop_in, "w") as file:
            file.write("[default]\nNonsense=1\n")
        is_refused(m, rf"{re.escape(drop_in)}:2: unknown key")
        check(drop_in in m.isolatectl("check").err, "isolatectl check does not name it")
    finally:
        os.unlink(drop_in)
        if made:
            os.rmdir(folder)


def login_by_onerr_ignore_is_let_in_with_a_line(m):
    m.policy("[default]\nNonsense=1\n")
    m.sshd.pam(arguments="onerr=ignore")
    mark = m.log.mark()
    equal(m.ssh("alice", "echo in; readlink /proc/self/ns/pid").ok().lines, ["in", os.readlink("/proc/self/ns/pid")])
    lines = what_syslog_says(m, mark)
    equal(len(lines), 1, f"{lines}")
    matches(rf"login of {m.user('alice').name} goes on without a sandbox \(onerr=ignore\): .*:2: unknown key", lines[0])


def login_with_onerr_ignore_is_isolated_all_the_same(m):
    m.sshd.pam(arguments="onerr=ignore")
    equal(m.ssh("alice", "cat /proc/1/comm").ok().out, "isolate-init\n")


def login_is_refused_for_an_unknown_argument_of_the_module(m):
    m.sshd.pam(arguments="onerr=whatever")
    mark = m.log.mark()
    check(m.ssh("alice", "true").status != 0, "let in")
    m.log.expect('unknown argument "onerr=whatever"', mark)


def login_takes_the_policy_that_its_pam_line_names(m):
    path = f"{m.directory}/other.conf"
    with open(path, "w") as file:
        file.write("[default]\nHostname=from-the-other\n")
    m.sshd.pam(arguments=f"policy={path}")
    equal(m.ssh("alice", "uname -n").ok().out, "from-the-other\n")
    os.chmod(path, 0o666)
    is_refused(m, re.escape(path) + ": can be written")


def login_is_refused_without_the_init_user(m):
    others = [line for line in read_text("/etc/passwd").splitlines(True) if not line.startswith(f"{m.init_user}:")]
    with m.covered("/etc/passwd", "".join(others)) as server:
        is_refused(m, f"no system user {m.init_user}", server=server)
        equal(m.ssh("root", "echo in", server=server).ok().out, "in\n")


def login_is_refused_where_the_init_user_is_root(m):
    others = [line for line in read_text("/etc/passwd").splitlines(True) if not line.startswith(f"{m.init_user}:")]
    with m.covered("/etc/passwd", "".join(others) + f"{m.init_user}:x:0:0::/:/bin/false\n") as server:
        is_refused(m, f"{m.init_user} must not be root", server=server)


def login_is_refused_where_a_controller_is_missing(m):
    if os.path.exists(f"{CGROUPS}/cgroup.controllers"):
        skip("in cgroup v2 a controller cannot be hidden")
    for controller, key in (("memory", "MemoryMax=64M"), ("pids", "TasksMax=30"), ("cpu", "CPUQuota=50%"), ("cpuset", "AllowedCPUs=0")):
        m.policy(f"[default]\n{key}\n")
        with m.covered(f"{CGROUPS}/{controller}") as server:
            is_refused(m, f"{controller} controller", server=server)


def login_is_refused_without_any_cgroup(m):
    with m.covered(CGROUPS) as server:
        is_refused(m, "cgroup", server=server)
        equal(m.ssh("root", "echo in", server=server).ok().out, "in\n")


def login_is_refused_where_records_cannot_be_kept(m):
    os.chmod(m.records, 0o755)
    try:
        is_refused(m, f"{re.escape(m.records)} is not root's alone")
    finally:
        os.chmod(m.records, 0o700)


def login_of_root_gets_in_without_the_helper(m):
    hidden = f"{m.programs}/isolate-helper"
    os.rename(hidden, hidden + "~")
    try:
        equal(m.ssh("root", "echo in").ok().out, "in\n")
        is_refused(m, "isolate-helper")
    finally:
        os.rename(hidden + "~", hidden)


def login_is_refused_where_the_gate_is_not_setuid(m):
    gate = f"{m.programs}/isolate-shell"
    os.chmod(gate, 0o755)
    try:
        is_refused(m, "isolate-shell")
    finally:
        os.chmod(gate, 0o4755)
