/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_SPAWN_H
#define ISOLATE_HELPER_SPAWN_H

#include <sys/types.h>

/*
 * Starts the program at an absolute path with one argument (NULL: none), an empty environment, /dev/null as fds 0 to 2, socket as
 * HELPER_SOCKET_FD and no other fd, all ids root's, all signals blocked. Nothing of the caller is copied (vfork), no signal handler of his runs. The child has
 * exit signal 0: the caller's SIGCHLD handler and plain wait(2) never see it, and its pid stays its own until spawn_reap().
 * Returns the pid or a negative errno; a program that cannot be executed ends with status 127 without a message.
 */
pid_t spawn_program(const char *path, const char *argument, int socket);

/* Waits for it. Returns its exit status, or -1 when a signal ended it. */
int spawn_reap(pid_t pid);

#endif
