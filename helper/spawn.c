/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/spawn.h"

#include "helper/protocol.h"
#include "lib/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK_SIZE (64 * 1024)

struct spawn {
	const char *path;
	const char *argument;
	int socket;
};

/* Shares the caller's memory until it execs: nothing but system calls. */
static int run(void *data)
{
	const struct spawn *spawn = data;
	const char *name = strrchr(spawn->path, '/') + 1;
	char *argv[] = { (char *)(uintptr_t)name, (char *)(uintptr_t)spawn->argument, NULL }, *envp[] = { NULL };
	int null = open("/dev/null", O_RDWR);

	/* The caller may be set-user-ID, like su: root with the real ids of a user, who could then send it signals. */
	if (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0)
		_exit(127);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0)
		_exit(127);
	/* dup2 onto itself would leave O_CLOEXEC set. */
	if (spawn->socket == HELPER_SOCKET_FD ? fcntl(HELPER_SOCKET_FD, F_SETFD, 0) < 0 : dup2(spawn->socket, HELPER_SOCKET_FD) < 0)
		_exit(127);
	if (sys_close_range(HELPER_SOCKET_FD + 1, ~0U, 0) < 0)
		_exit(127);
	execve(spawn->path, argv, envp);
	_exit(127);
}

pid_t spawn_program(const char *path, const char *argument, int socket)
{
	struct spawn spawn = { .path = path, .argument = argument, .socket = socket };
	sigset_t all, before;
	pid_t pid;
	int saved;
	char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (stack == MAP_FAILED)
		return -errno;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	pid = clone(run, stack + STACK_SIZE, CLONE_VM | CLONE_VFORK, &spawn);
	saved = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	munmap(stack, STACK_SIZE);
	return pid < 0 ? -saved : pid;
}

int spawn_reap(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	while (waitid(P_PID, (id_t)pid, &info, WEXITED | __WALL) < 0)
		if (errno != EINTR)
			return -1;
	return info.si_code == CLD_EXITED ? info.si_status : -1;
}
