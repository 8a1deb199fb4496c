/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_USERNS_H
#define ISOLATE_HELPER_USERNS_H

#include "lib/error.h"

#include <stddef.h>
#include <sys/types.h>

/*
 * Makes U: a user namespace owned by root that maps uid and each of gids onto itself and nothing else (user_namespaces(7)).
 * gids is sorted in place, doubles removed. *ret_fd is the caller's and keeps the namespace alive.
 * -E2BIG when the gids do not fit the 340 lines of a map, -ENOSPC when user.max_user_namespaces is reached, ...
 */
int userns_make(uid_t uid, gid_t *gids, size_t n_gids, int *ret_fd, struct error *err);

/* Sorts gids and writes them as the lines of a gid_map, runs of neighbours as one line. 0, or -E2BIG: more than 340 lines, or
 * more than size bytes. */
int userns_format_gid_map(gid_t *gids, size_t n_gids, char *map, size_t size);

#endif
