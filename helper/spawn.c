/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/spawn.h"

#include "helper/protocol.h"
#include "lib/cleanup.h"
#include "lib/syscalls.h"
#include "lib/vfork.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Lies in the caller's memory, which both processes below share until the exec. */
struct spawn {
	const char *path;
	const char *argument;
	int socket;
	pid_t pid; /* of the second process, or a negative errno */
	int pidfd;
	int errnum; /* why it has not become the program */
};

static int arrange_fds(int null, int socket)
{
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0)
		return -1;
	/* dup2 onto itself would leave O_CLOEXEC set. */
	if (socket == HELPER_SOCKET_FD ? fcntl(HELPER_SOCKET_FD, F_SETFD, 0) < 0 : dup2(socket, HELPER_SOCKET_FD) < 0)
		return -1;
	return sys_close_range(HELPER_SOCKET_FD + 1, ~0U, 0);
}

/* The second process: nothing but system calls. */
static int run(void *data)
{
	struct spawn *spawn = data;
	const char *name = strrchr(spawn->path, '/') + 1;
	char *argv[] = { (char *)(uintptr_t)name, (char *)(uintptr_t)spawn->argument, NULL }, *envp[] = { NULL };
	int null = open("/dev/null", O_RDWR);

	/* The caller may be set-user-ID, like su: root with the real ids of a user, who could then send it signals. */
	if (syscall(SYS_setgroups, 0, NULL) >= 0 && syscall(SYS_setresgid, 0, 0, 0) >= 0 &&
		syscall(SYS_setresuid, 0, 0, 0) >= 0 && arrange_fds(null, spawn->socket) >= 0)
		execve(spawn->path, argv, envp);
	spawn->errnum = errno;
	_exit(127);
}

/* The first process, the caller's child, lives only so that the second is nobody's. It shares the caller's fds: the pidfd is his.
 */
static int start_and_end(void *data)
{
	struct spawn *spawn = data;

	spawn->pid = vfork_call(run, spawn, 0);
	/* Not waited for, so its pid is its own as long as we live. */
	spawn->pidfd = spawn->pid < 0 ? spawn->pid : sys_pidfd_open(spawn->pid);
	if (spawn->pid > 0 && spawn->pidfd < 0)
		spawn->pidfd = -errno;
	/* vfork_call() comes back when it has become the program, or has not. */
	if (spawn->errnum) {
		cleanup_close(&spawn->pidfd);
		spawn->pidfd = -spawn->errnum;
	}
	return 0;
}

static int spawn_with(int socket, const char *path, const char *argument)
{
	struct spawn spawn = { .path = path, .argument = argument, .socket = socket, .pidfd = -EIO };
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	pid = vfork_call(start_and_end, &spawn, CLONE_FILES);
	if (pid > 0)
		vfork_reap(pid);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid < 0 ? pid : spawn.pidfd;
}

int spawn_program(const char *path, const char *argument, int *ret_socket, int *ret_pidfd)
{
	int pair[2], pidfd;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	AUTO_CLOSE int ours = pair[0];
	AUTO_CLOSE int theirs = pair[1];

	pidfd = spawn_with(theirs, path, argument);
	if (pidfd < 0)
		return pidfd;
	*ret_socket = take_fd(&ours);
	*ret_pidfd = pidfd;
	return 0;
}
