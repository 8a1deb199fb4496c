/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_LIB_FD_H
#define ISOLATE_LIB_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Most fds that one message of send_message() carries. */
#define MESSAGE_FDS_MAX 4

/* openat2(2) with O_CLOEXEC added to flags and RESOLVE_NO_MAGICLINKS to resolve. Returns an fd or a negative errno. */
int open_resolved(int dirfd, const char *path, int flags, mode_t mode, uint64_t resolve);

/* Writes text with one write(2) to the existing file path below dirfd, as cgroupfs and procfs want it. 0 or a negative errno;
 * a short write is -EIO. */
int write_file_at(int dirfd, const char *path, const char *text);

/* Reads the file path below dirfd to buffer (size bytes, the final NUL included) without its last newline. Returns the length,
 * or a negative errno: -E2BIG when it does not fit. */
ssize_t read_file_at(int dirfd, const char *path, char *buffer, size_t size);

/* The same for an open file that can be read from any place (pread(2)), from its beginning. */
ssize_t read_fd(int fd, char *buffer, size_t size);

/* Opens /dev/null on each of fds 0, 1 and 2 that is closed, so that no later fd becomes one of them. 0 or a negative errno. */
int ensure_standard_fds(void);

/* Closes every fd from first on. 0 or a negative errno. close_range(2). */
int close_from(int first);

/* Sends size bytes and n_fds fds as one message over the SOCK_SEQPACKET socket. MSG_NOSIGNAL. 0 or a negative errno. */
int send_message(int socket, const void *data, size_t size, const int *fds, size_t n_fds);

/* Receives one message of at most size bytes and at most MESSAGE_FDS_MAX fds, all O_CLOEXEC and owned by the caller; the rest
 * of ret_fds becomes -1. Where none are wanted ret_fds and ret_n_fds are NULL, and any that come are closed. Returns its length,
 * 0 at the end of the stream, or a negative errno: -EMSGSIZE for a message or a number of fds that is larger (no fd is kept
 * then). */
ssize_t receive_message(int socket, void *data, size_t size, int ret_fds[MESSAGE_FDS_MAX], size_t *ret_n_fds);

/*
 * Opens a pidfd of the process at the other end of a connected socket (SO_PEERCRED). That end is still
 * there after pidfd_open(2): so the process has not ended, and its pid is no other's. *ret_pid is its pid in our PID namespace.
 * Returns the fd, or -ESRCH when it has ended, -EXDEV when it has no pid here, or another negative errno.
 */
int open_peer(int socket, pid_t *ret_pid);

/* Waits for fd to become readable (POLLIN or POLLHUP), milliseconds at most (-1: for ever), through any EINTR. 0, -ETIMEDOUT,
 * or a negative errno. */
int wait_readable(int fd, int milliseconds);

#endif
