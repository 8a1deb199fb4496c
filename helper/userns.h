/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_USERNS_H
#define ISOLATE_HELPER_USERNS_H

#include "lib/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Who owns the user namespaces of a user's sandboxes: an effective uid that only root can have had, and nobody else has, for
 * every capability in U is its owner's. Not root's own: what a namespace uses of the limits that the kernel counts by user
 * (inotify instances, user.max_*_namespaces, RLIMIT_MSGQUEUE ...) is charged to its owner as well, and one tenant could use up
 * what all others, and root, have. ucounts in the kernel; uids from 2^31 on are given to nobody, since not every program takes
 * them.
 */
static inline uid_t userns_owner(uid_t uid)
{
	return uid | UINT32_C(0x80000000);
}

/*
 * Makes U: a user namespace of userns_owner(uid) that maps uid and each of gids onto itself and nothing else
 * (user_namespaces(7)). gids is sorted in place, doubles removed. *ret_fd is the caller's and keeps the namespace alive. -ENOTSUP
 * for a uid from 2^31 on, -E2BIG when the gids do not fit the 340 lines of a map, -ENOSPC when user.max_user_namespaces is
 * reached, ...
 */
int userns_make(uid_t uid, gid_t *gids, size_t n_gids, int *ret_fd, struct error *err);

/* Sorts gids and writes them as the lines of a gid_map, runs of neighbours as one line. 0, or -E2BIG: more than 340 lines, or
 * more than size bytes. */
int userns_format_gid_map(gid_t *gids, size_t n_gids, char *map, size_t size);

#endif
