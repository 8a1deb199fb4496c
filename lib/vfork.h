/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_LIB_VFORK_H
#define ISOLATE_LIB_VFORK_H

#include <sys/types.h>

/*
 * Runs function(data) in a child process that shares the caller's memory, on a stack of its own, while the caller waits for it to
 * end or to exec (vfork(2), clone(2)). So it may change what a process has of its own (ids, namespaces, cgroup) for itself alone,
 * and use system calls, but leave no lock held and return no pointer to its stack. flags: more CLONE_... flags.
 *
 * Returns the child's pid, to be waited for with __WALL (its exit signal is 0), or a negative errno. The stack is unmapped
 * before.
 */
pid_t vfork_call(int (*function)(void *data), void *data, int flags);

/* Waits for such a child. */
void vfork_reap(pid_t pid);

#endif
