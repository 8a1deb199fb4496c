/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/caller.h"

#include "helper/caps.h"
#include "helper/tty-filter.h"
#include "lib/cleanup.h"
#include "lib/syscalls.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* A setuid exec cuts a soft stack limit above 8 MB (secureexec in the kernel's exec.c); our parent still has the whole. To be
 * asked under the caller's real uid, which is most often the parent's: then no CAP_SYS_RESOURCE is needed, which a container's
 * root lacks. prlimit(2) */
static int remember_stack(struct caller *caller, struct error *err)
{
	struct rlimit of_parent;

	if (getrlimit(RLIMIT_STACK, &caller->stack) < 0)
		return error_set(err, errno, "gate", "the stack's limit");
	if (getppid() > 0 && prlimit(getppid(), RLIMIT_STACK, NULL, &of_parent) == 0 &&
		of_parent.rlim_cur > caller->stack.rlim_cur)
		caller->stack.rlim_cur =
			of_parent.rlim_cur < caller->stack.rlim_max ? of_parent.rlim_cur : caller->stack.rlim_max;
	return 0;
}

int caller_take_over(struct caller *caller, struct error *err)
{
	int r;

	caller->uid = getuid();
	caller->gid = getgid();
	if (geteuid() != 0)
		return error_set(err, EPERM, "gate", "not setuid here: this is no way into a sandbox");
	if (caller->uid == 0)
		return error_set(err, EPERM, "gate", "root has no shell in a sandbox");
	r = remember_stack(caller, err);
	if (r < 0)
		return r;
	if (syscall(SYS_setresuid, 0, 0, 0) < 0)
		return error_set(err, errno, "gate", "setresuid");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_set(err, errno, "gate", "PR_SET_DUMPABLE");
	/* The kernel's word, not $PWD. A directory that cannot be named is none. */
	if (sys_getcwd(caller->cwd, sizeof(caller->cwd)) < 0)
		caller->cwd[0] = '\0';
	return 0;
}

/* Without it a process could type into the terminal of the administrator who did `su - student`. With capabilities in the user
 * namespace no no_new_privs is needed. seccomp(2), ioctl_tty(2) */
static int forbid_typing(struct error *err)
{
	const struct sock_fprog program = {
		.len = ARRAY_SIZE(tty_filter),
		.filter = (struct sock_filter *)(uintptr_t)tty_filter,
	};

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return error_set(err, errno, "gate", "the filter for TIOCSTI and TIOCLINUX");
	return 0;
}

static int set_ids(const struct caller *caller, struct error *err)
{
	if (syscall(SYS_setresgid, caller->gid, caller->gid, caller->gid) < 0 ||
		syscall(SYS_setresuid, caller->uid, caller->uid, caller->uid) < 0)
		return error_set(err, errno, "gate", "uid %u, gid %u: this is another user's sandbox", caller->uid, caller->gid);
	return 0;
}

int caller_surrender(const struct caller *caller, struct error *err)
{
	int r = forbid_typing(err);

	if (r >= 0)
		r = set_ids(caller, err);
	if (r >= 0)
		r = caps_drop_all(err);
	return r < 0 ? r : caps_verify_ids(caller->uid, caller->gid, err);
}

int caller_become(const struct caller *caller, struct error *err)
{
	int r = set_ids(caller, err);

	return r < 0 ? r : caps_verify_ids(caller->uid, caller->gid, err);
}

int caller_restore(const struct caller *caller, struct error *err)
{
	if (setrlimit(RLIMIT_STACK, &caller->stack) < 0)
		return error_set(err, errno, "gate", "the stack's limit");
	/* A directory of another root begins with "(unreachable)". */
	if ((caller->cwd[0] != '/' || chdir(caller->cwd) < 0) && chdir("/") < 0)
		return error_set(err, errno, "gate", "/");
	return 0;
}

void caller_refuse(const char *name, const struct error *err)
{
	char line[ERROR_LINE_MAX], text[ERROR_LINE_MAX + 32];
	int n = snprintf(text, sizeof(text), "%s: %s\n", name, error_line(err, line, sizeof(line)));

	(void)!write(STDERR_FILENO, text, (size_t)n);
	_exit(CALLER_REFUSED);
}
