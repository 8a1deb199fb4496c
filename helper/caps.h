/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_CAPS_H
#define ISOLATE_HELPER_CAPS_H

/*
 * Privileges of one process (capabilities(7), credentials(7)), for the static programs of helper/: libcap-ng is not to be had for
 * musl, and the gate may not carry more code than it needs. All act on the calling thread by system calls of their own, so that
 * they may be used between vfork and exec.
 */

#include "lib/error.h"

#include <sys/types.h>

/* Becomes uid and gid (real, effective, saved, filesystem) with no supplementary group, and keeps all permitted capabilities,
 * made effective again. For a process that still has to enter a user namespace. */
int caps_become_keeping(uid_t uid, gid_t gid, struct error *err);

/* Empties the ambient set, the bounding set, and the permitted, effective and inheritable sets, then reads all of them back.
 * Setting the ids alone drops nothing where uid 0 is not mapped. */
int caps_drop_all(struct error *err);

/* -EPERM unless real, effective and saved ids are uid and gid, and setting each of them to 0 fails. Call it last. */
int caps_verify_ids(uid_t uid, gid_t gid, struct error *err);

#endif
