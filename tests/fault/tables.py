# SPDX-License-Identifier: BSD-3-Clause
"""
For test_calls.py: what calls are made to fail with, and what may come of it. A row says who makes the call, which call, of what,
and with what it fails, as regular expressions that have to fit all of it; and the reason, for those who read this.
"""

# What each call is made to fail with: what its manual page has, and a machine that is short of something or forbids it gives.
ERRNOS = {
    "EMFILE ENOENT ENOMEM": "open openat openat2 open_tree",
    "EMFILE EPERM": "fsopen fsmount",
    "EMFILE ENOMEM": "socket socketpair pidfd_open pipe2 eventfd2",
    "EPERM ENOMEM": "mount move_mount mount_setattr fsconfig",
    "EPERM ENOSPC": "unshare",
    "EPERM ENOMEM EINVAL": "setns",
    "EAGAIN ENOMEM": "clone clone3 fork vfork",
    "ENOENT ENOMEM": "execve execveat chdir fchdir",
    "EIO ENOMEM": "read pread64 getdents64 readlink readlinkat lseek",
    "EIO ENOSPC": "write",
    "ENOSPC EPERM": "mkdir mkdirat",
    "EPERM EIO": "unlink unlinkat",
    "ENOSPC EIO": "renameat fchownat",
    "ENOMEM EIO": "stat lstat newfstatat statfs fstatfs statx access faccessat faccessat2",
    "EIO": "fstat close ftruncate utimensat",
    "ENOMEM": "mmap brk mprotect mremap munmap madvise getcwd arch_prctl",
    "ENOMEM EADDRINUSE": "bind listen",
    "ECONNREFUSED ENOMEM": "connect",
    "EMFILE ECONNABORTED": "accept4",
    "ENOMEM ENOBUFS": "sendmsg sendto",
    "ENOMEM ECONNRESET": "recvmsg recvfrom",
    "ENOBUFS": "getsockopt",
    "ENOMEM EINTR": "poll ppoll",
    "EMFILE EINVAL": "dup2 dup3",
    "EINVAL": "fcntl close_range",
    "ENOLCK EINTR": "flock",
    "EPERM": "prctl capset capget sethostname setsid setgroups setresgid kill pidfd_send_signal prlimit64 setrlimit getrlimit",
    "EPERM EAGAIN": "setresuid",
    "EINTR": "waitid wait4 rt_sigtimedwait getrandom nanosleep clock_nanosleep",
    "ENOTTY EMFILE": "ioctl",
}
ERRNOS_OF = {call: names.split() for names, calls in ERRNOS.items() for call in calls.split()}

# After which a login may go on, if its sandbox is whole: who, which call, of what, with what; and why. All of it has to fit.
MAY_GO_ON = [
    (".*", "close", ".*", ".*", "the kernel closes all the same, close(2); that the fd stays is the injector's doing"),
    (".*", "munmap|madvise", ".*", ".*", "some memory more"),
    (".*", "waitid", ".*", "EINTR", "tried again"),
    (".*", "fcntl", ".*", ".*", "musl's second try at O_CLOEXEC, which open(2) has done; a stdio stream's flags"),
    ("helper|joiner", "brk|mmap", ".*", "ENOMEM", "malloc has more than one way to memory; the last one failing is refused"),
    ("helper", "lseek", ".*", ".*", "of a stream that is closed next"),
    ("helper|joiner", "setsid", ".*", ".*", "fails for the leader of a process group, which needs none"),
    ("helper|joiner", "prlimit64", ".*", "EPERM", "a root without CAP_SYS_RESOURCE: lift_limits()"),
    ("helper|joiner", "openat", ".*/isolate.d", "ENOENT", "there need not be one"),
    ("helper|joiner's limits", "open", ".*/cpuacct", "ENOENT",
     "a machine without it; it has no limits, and what has is asked for by check_controllers()"),
    ("helper|joiner's limits", "fstat", "/sys/fs/cgroup/[^/]*", "EIO",
     "is_open(): the same hierarchy twice would be EEXIST, and a refusal"),
    ("helper", "openat|fstat|getdents64", r"\.|/sys/fs/cgroup/.*/isolate/\d+", ".*",
     "lower_quotas(): if one stays too high the kernel refuses the user's quota, and that the login"),
    ("joiner's limits", "openat|fstat|getdents64", r"\.|ID|cpu\.cfs_quota_us|/sys/fs/cgroup/.*/isolate/\d+", ".*",
     "likewise; the joiner goes on then, with a line"),
    ("joiner", "access", "/run/systemd/system", ".*", "a cgroup namespace more than is needed; once it is, this is refused"),
    ("host", "accept4|sendmsg|recvmsg", ".*", ".*", "the joiner is still there, or is cut off, and tries again: make_or_join()"),
    ("host", "ppoll", ".*", ".*", "tried again"),
    ("host", "openat|pread64", r".*/pids\.(current|max)", ".*", "cgroup_has_room(): the kernel knows it all the same"),
    ("host", "poll", ".*", ".*", "session_leader_lives(): in doubt he does"),
    ("helper|host", "flock", ".*", ".*", "without the lock a login beside an end of the same user may be refused, no more"),
    ("helper", "openat", "/etc/shells", "ENOENT", "shells(5) need not be there; what is not covered cannot be executed in M'"),
    ("PID 1", "openat2", "/.*bin/.*", "ENOENT", "a shell that is not installed; what is not covered cannot be executed in M'"),
    ("PID 1", "prctl", "PR_SET_NAME", ".*", "only a name"),
    ("PID 1", "waitid", ".*", "EINTR", "it waits again"),
    ("PID 1", "ppoll", ".*", ".*", "likewise"),
    ("leader", "openat|newfstatat|read", "(.*/status)?", ".*", "libcap-ng wants to know more than the effective set that is asked for"),
    ("leader", "openat|pread64|newfstatat", "(/proc/N/.*)?", ".*", "find_worthy_parent(): then that way home is not there"),
    ("leader|joiner", "poll", ".*", "EINTR", "wait_readable() waits on"),
    ("leader", "getrandom", ".*", "EINTR", "libuuid has another source"),
    ("leader", "openat2", ".*", ".*", "the working directory is not to be had in the sandbox's view: set_namespaces()"),
    ("leader", "getcwd", ".*", ".*", "likewise"),
    ("leader's names", ".*", ".*", ".*", "the name service has more sources than it needs; if one too many fails the sandbox is not whole"),
]

# After which a login may go on, if its sandbox is whole but for what a line says that it lacks.
MAY_GO_ON_AND_SAY_SO = [
    ("joiner", "statfs", ".*", ".*", "likewise: the first thing that update_limits() asks for"),
    ("joiner's limits", ".*", ".*", ".*", "the sandbox keeps a limit that it was made with: update_limits()"),
]

# What the line may say instead of the errno that a call failed with: who, which call, of what, what is said; and why.
TRANSLATED = [
    ("helper|joiner", "arch_prctl|recvmsg", ".*", "Connection reset by peer|Broken pipe",
     "it could not read the request, and so cannot answer: main()"),
    ("helper|joiner", "access", "/run/systemd/system|/run/screen", "No such file or directory",
     "what cannot be looked for is taken for there, and missed then"),
    ("helper|joiner", "sendmsg", ".*", "Broken pipe", "it is its answer that fails"),
    ("helper|joiner's limits", "open", "/sys/fs/cgroup/.*", "(Operation n|N)ot supported",
     "a hierarchy that is not there: check_controllers()"),
    ("helper|joiner's limits", "openat", r"[a-z_]+\..*", "(Operation n|N)ot supported",
     "a file that the kernel does not have: write_value()"),
    ("joiner's limits", "openat", r"isolate/\d+/ID", "Not supported", "a group that is not there: write_both()"),
    ("joiner's limits", "openat|fstat|getdents64|pread64|write", r"\.|\d+|ID|cpu\.cfs_quota_us|/sys/fs/cgroup/cpu/.*",
     "Invalid argument", "lower_quotas(): one stays too high, and the kernel refuses the user's quota"),
    ("collector", "fcntl", ".*", "Bad file descriptor", "musl's fdopendir() takes it for one by O_PATH"),
    ("PID 1", "arch_prctl|write|prctl", ".*", "Protocol error", "isolate-init can say no more than that it is ready"),
    ("leader", "capget", ".*", "Input/output error", "libcap-ng does not tell"),
    ("leader's names", ".*", ".*", "Input/output error", "fill_group(), list_groups(): a second look has found something else"),
    ("leader's names", ".*", ".*", "No such file or directory",
     "nsswitch.conf(5): where one source fails the next one says that there is none"),
]

# Not a failure, but an answer, and a wrong one.
NOT_TRIED = [
    ("joiner", "connect", ".*", "ECONNREFUSED", "a sandbox whose supervisor was killed: then another is made"),
    ("joiner", "recvmsg", ".*", "ECONNRESET", "a sandbox that has ended: likewise"),
    ("collector", "open", "/sys/fs/cgroup/[^/]*", "ENOENT", "a hierarchy that is not there: then nothing is left in it"),
]

# What may go on for some seconds after the leader has gone.
MAY_TAKE_TIME = [
    ("supervisor", "stat|mmap|clone", "(/proc/.*/ns/pid)?", ".*",
     "nobody is asked to end by SIGTERM: then it ends by itself, or by SIGHUP"),
    ("herald|crier", ".*", ".*", ".*", "likewise"),
]

# After what the end of a session may be left out in the system log.
MAY_BE_SILENT = [
    ("supervisor", "socket|connect|sendto", ".*", ".*", "it cannot be told"),
]

PRCTL = {1: "PR_SET_PDEATHSIG", 3: "PR_GET_DUMPABLE", 4: "PR_SET_DUMPABLE", 8: "PR_SET_KEEPCAPS", 15: "PR_SET_NAME",
         23: "PR_CAPBSET_READ", 24: "PR_CAPBSET_DROP", 38: "PR_SET_NO_NEW_PRIVS", 47: "PR_CAP_AMBIENT"}

# musl's words, which are the helper's, where they are not glibc's.
MUSL = {"EMFILE": "No file descriptors available", "ENOMEM": "Out of memory", "EIO": "I/O error", "ENOLCK": "No locks available",
        "ENOTTY": "Not a tty", "EAGAIN": "Resource temporarily unavailable", "ECONNABORTED": "Connection aborted",
        "EADDRINUSE": "Address in use", "ENOBUFS": "No buffer space available"}
