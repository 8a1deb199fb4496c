/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_TERMINAL_H
#define ISOLATE_HELPER_TERMINAL_H

/*
 * The terminals of a sandbox, for a word to whoever sits there. Nothing that the user does to a terminal (stops it, fills it,
 * makes one with another's name in a /dev/pts of his own) keeps us waiting or leads us to one that is not his.
 */

#include "helper/cgroup.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define TERMINAL_PATH_SIZE 32

/*
 * Writes line, between two line ends, to
 *   - the controlling terminal of each process in the sandbox, where it is uid's,
 *   - the controlling terminal of each leader where it is uid's, or open as the leader's fd 0, 1 or 2: root's own, whose it may
 * be (su(1) from root's, login(1)), once to each, as found in the caller's /dev and /proc. Only pseudo, virtual and serial
 * terminals with the usual line discipline. Bytes that are not printable ASCII become '?'; line is cut after some 500. A terminal
 * that does not take it at once goes without. At most 16 are told. Needs root; the caller must not have a controlling terminal.
 *
 * Returns 0, or a negative errno when it may be tried again: -EBUSY while the line before is being written, -EAGAIN where no
 * process can be made that writes.
 */
int terminals_tell(const struct cgroup *cgroup, uid_t uid, const pid_t *leaders, size_t n_leaders, const char *line);

/* The controlling terminal in a text like /proc/<pid>/stat, 0: none. proc_pid_stat(5) */
dev_t terminal_in_stat(const char *text);

/* Writes the name of a terminal in /dev to path. False: not of a kind that is told anything. */
bool terminal_path(dev_t terminal, char path[TERMINAL_PATH_SIZE]);

#endif
