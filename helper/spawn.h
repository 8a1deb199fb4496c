/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_SPAWN_H
#define ISOLATE_HELPER_SPAWN_H

/*
 * Starts the program at an absolute path with one argument (NULL: none), an empty environment, /dev/null as fds 0 to 2, one end
 * of a new SOCK_SEQPACKET socket pair as HELPER_SOCKET_FD and no other fd, all ids root's, all signals blocked. Used in other
 * people's processes: no memory of the caller is copied (vfork), no signal handler of his runs, and the program is not his child,
 * so that neither his SIGCHLD handler nor his wait(2) ever sees it. (A child could not hide: execve(2) makes its exit signal
 * SIGCHLD again.)
 *
 * *ret_socket, the other end, and *ret_pidfd are the caller's, O_CLOEXEC. 0 or a negative errno; a program that cannot be
 * executed only closes its socket.
 */
int spawn_program(const char *path, const char *argument, int *ret_socket, int *ret_pidfd);

#endif
