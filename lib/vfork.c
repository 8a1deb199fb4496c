/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/vfork.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define STACK_SIZE (128 * 1024)

pid_t vfork_call(int (*function)(void *data), void *data, int flags)
{
	char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	pid_t pid;

	if (stack == MAP_FAILED)
		return -errno;
	pid = clone(function, stack + STACK_SIZE, CLONE_VM | CLONE_VFORK | flags, data);
	if (pid < 0)
		pid = -errno;
	munmap(stack, STACK_SIZE);
	return pid;
}

void vfork_reap(pid_t pid)
{
	siginfo_t info;

	while (waitid(P_PID, (id_t)pid, &info, WEXITED | __WALL) < 0 && errno == EINTR)
		;
}
