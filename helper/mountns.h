/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_MOUNTNS_H
#define ISOLATE_HELPER_MOUNTNS_H

/*
 * M, the view of a sandbox (mount_namespaces(7)), in two halves. The helper prepares, as root in the host's namespaces, the
 * mounts that have to be the host root's: a /tmp owned by the user would switch off fs.protected_symlinks for the leader.
 * PID 1 then builds, in the new namespaces, with capabilities in U alone.
 */

#include "lib/error.h"

#include <stdbool.h>
#include <sys/types.h>

/* What one sandbox shows. */
struct mountns_options {
	bool userns;              /* M is owned by U: nothing in it is setuid. Else setuid files work as on the host */
	bool private_pids;        /* a fresh /proc */
	bool private_ipc;         /* a fresh /dev/mqueue, where the host has one */
	unsigned int private_tmp; /* POLICY_PRIVATE_TMP_...: /tmp, /var/tmp, /dev/shm, and where screen(1) has its sockets */
	bool cgroup2;             /* /sys/fs/cgroup: the sandbox's own group; else an empty directory */
	const char *cgroup;       /* NULL: PID 1 is in the sandbox's group; else that group, below the root */
	uid_t uid;                /* of XDG_RUNTIME_DIR */
	gid_t gid;
};

enum { MOUNTNS_TMP, MOUNTNS_VAR_TMP, MOUNTNS_DEV_SHM, MOUNTNS_SCREEN, MOUNTNS_RUN_USER, MOUNTNS_CGROUP, MOUNTNS_PREPARED };

/* Detached mounts, -1 where there is none. */
struct mountns_prepared {
	int mounts[MOUNTNS_PREPARED];
};

/* In the helper. *ret_prepared is the caller's, for mountns_release(). */
int mountns_prepare(const struct mountns_options *options, struct mountns_prepared *ret_prepared, struct error *err);
void mountns_release(struct mountns_prepared *prepared);

/* In PID 1, before its first exec, in its own new mount namespace. On error the namespace is half-built: end the process. */
int mountns_build(const struct mountns_options *options, const struct mountns_prepared *prepared, struct error *err);

/* Directory below which the runtime directory of each user is: XDG_RUNTIME_DIR is RUN_USER/uid. */
#define RUN_USER "/run/user"

#endif
