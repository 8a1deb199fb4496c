/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * isolate-shell, the gate: the one setuid program. In M′ it is mounted over every login shell. Whoever executes a shell there
 * executes this instead, which enters the sandbox's user namespace U and its view M, gives up everything, and executes the shell
 * that is under that path in M, with argv and environment as they came.
 *
 * Its caller may be hostile and chooses argv, environment, fds, limits, working directory and the moment of every signal. So:
 * no PATH, no PWD, no configuration, no name service; linked statically with musl, whose start-up leaves the environment alone.
 * It must find itself in a sandbox, positively: every failure and every doubt ends in one sentence and exit status 126.
 *
 * Executed under its own name outside of a sandbox it is a login shell: isolate-login asks the helper for a sandbox.
 */

#include "helper/caller.h"
#include "helper/userns.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#define GATE LIBEXECDIR "/isolate-shell"
#define LOGIN LIBEXECDIR "/isolate-login"

struct gate {
	struct caller caller;
	const char *shell; /* what was executed: a path that we are mounted over */
	struct stat self;
	int userns;
	int mountns;
};

/* AT_EXECFN is the kernel's word for what was executed, not the caller's as argv[0] is. getauxval(3) */
static int find_shell(struct gate *gate, struct error *err)
{
	const char *path = (const char *)getauxval(AT_EXECFN);
	struct stat st;

	if (!path || path[0] != '/')
		return error_set(err, EINVAL, "gate", "not started by an absolute path");
	if (stat("/proc/self/exe", &gate->self) < 0 || stat(path, &st) < 0)
		return error_set(err, errno, "gate", "%s", path);
	if (st.st_dev != gate->self.st_dev || st.st_ino != gate->self.st_ino)
		return error_set(err, EINVAL, "gate", "%s is not covered by it", path);
	gate->shell = path;
	return 0;
}

static int open_namespace(const char *path, int *ret_fd, struct error *err)
{
	struct statfs fs;
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstatfs(fd, &fs) < 0)
		return error_set(err, errno, "gate", "%s", path);
	if ((unsigned long)fs.f_type != NSFS_MAGIC)
		return error_set(err, EINVAL, "gate", "%s is not a namespace", path);
	*ret_fd = take_fd(&fd);
	return 0;
}

static bool same_namespace(int a, int b)
{
	struct stat a_st, b_st;

	return fstat(a, &a_st) == 0 && fstat(b, &b_st) == 0 && a_st.st_dev == b_st.st_dev && a_st.st_ino == b_st.st_ino;
}

/*
 * U is the owner of our PID namespace, when that is not the user namespace we are in, and was made by the helper, for this user.
 * Returns 1 and its fd; 0 when we are in no sandbox: the PID namespace belongs to our own user namespace. ioctl_nsfs(2)
 */
static int find_userns(uid_t uid, int *ret_userns, struct error *err)
{
	AUTO_CLOSE int pidns = -1;
	AUTO_CLOSE int own = -1;
	AUTO_CLOSE int userns = -1;
	struct statfs fs;
	uid_t owner;
	int r;

	if (statfs("/proc", &fs) < 0 || (unsigned long)fs.f_type != PROC_SUPER_MAGIC)
		return error_set(err, EINVAL, "gate", "/proc is not mounted");
	r = open_namespace("/proc/self/ns/pid", &pidns, err);
	if (r >= 0)
		r = open_namespace("/proc/self/ns/user", &own, err);
	if (r < 0)
		return r;
	userns = ioctl(pidns, NS_GET_USERNS);
	if (userns < 0)
		return error_set(err, errno, "gate", "the owner of the PID namespace");
	if (same_namespace(userns, own))
		return 0;
	if (ioctl(userns, NS_GET_OWNER_UID, &owner) < 0 || owner != userns_owner(uid))
		return error_set(err, EPERM, "gate", "this is not a sandbox of yours");
	*ret_userns = take_fd(&userns);
	return 1;
}

/* M is where PID 1 is, and has the same owner. */
static int find_view(int userns, int *ret_mountns, struct error *err)
{
	AUTO_CLOSE int mountns = -1;
	AUTO_CLOSE int owner = -1;
	int r = open_namespace("/proc/1/ns/mnt", &mountns, err);

	if (r < 0)
		return r;
	owner = ioctl(mountns, NS_GET_USERNS);
	if (owner < 0 || !same_namespace(owner, userns))
		return error_set(err, EPERM, "gate", "PID 1 is not in this sandbox");
	*ret_mountns = take_fd(&mountns);
	return 0;
}

static int enter(const struct gate *gate, struct error *err)
{
	AUTO_CLOSE int userns = -1;
	AUTO_CLOSE int mountns = -1;
	int r;

	if (setns(gate->userns, CLONE_NEWUSER) < 0)
		return error_set(err, errno, "gate", "enter the user namespace");
	if (setns(gate->mountns, CLONE_NEWNS) < 0)
		return error_set(err, errno, "gate", "enter the mount namespace");
	r = open_namespace("/proc/self/ns/user", &userns, err);
	if (r >= 0)
		r = open_namespace("/proc/self/ns/mnt", &mountns, err);
	if (r < 0)
		return r;
	if (!same_namespace(userns, gate->userns) || !same_namespace(mountns, gate->mountns))
		return error_set(err, EPERM, "gate", "not where it should be");
	return caller_surrender(&gate->caller, err);
}

/* The last steps are the user's own: what he has made of the path cannot be used against anybody else. */
static int execute(const struct gate *gate, char **argv, char **envp, struct error *err)
{
	/* A user whose login shell is the gate itself has no other. */
	const char *shell = strcmp(gate->shell, GATE) == 0 ? "/bin/sh" : gate->shell;
	struct stat st;
	int r = caller_restore(&gate->caller, err);

	if (r < 0)
		return r;
	if (stat(shell, &st) < 0)
		return error_set(err, errno, "gate", "%s", shell);
	if (st.st_dev == gate->self.st_dev && st.st_ino == gate->self.st_ino)
		return error_set(err, ELOOP, "gate", "%s is no shell", shell);
	execve(shell, argv, envp);
	return error_set(err, errno, "gate", "%s", shell);
}

/* Not in a sandbox. That a shell is executed by its path here is none of the gate's doings: only its own name asks for a sandbox.
 */
static int become_login(const struct gate *gate, char **argv, char **envp, struct error *err)
{
	if (strcmp(gate->shell, GATE) != 0)
		return error_set(err, EPERM, "gate", "this is not a sandbox");
	/* With our caller's real ids: it has to know whom it works for. */
	if (setresuid(gate->caller.uid, 0, 0) < 0)
		return error_set(err, errno, "gate", "setresuid");
	execve(LOGIN, argv, envp);
	return error_set(err, errno, "gate", LOGIN);
}

int main(int argc, char **argv, char **envp)
{
	static struct gate gate = { .userns = -1, .mountns = -1 };
	struct error err;
	int r = caller_take_over(&gate.caller, &err);

	if (r >= 0 && argc < 1)
		r = error_set(&err, EINVAL, "gate", "started without a name");
	if (r >= 0)
		r = find_shell(&gate, &err);
	if (r >= 0)
		r = find_userns(gate.caller.uid, &gate.userns, &err);
	if (r == 0)
		r = become_login(&gate, argv, envp, &err);
	if (r > 0)
		r = find_view(gate.userns, &gate.mountns, &err);
	if (r >= 0)
		r = enter(&gate, &err);
	if (r >= 0)
		r = execute(&gate, argv, envp, &err);
	caller_refuse("isolate-shell", &err);
}
