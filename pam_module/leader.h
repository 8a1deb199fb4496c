/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_PAM_MODULE_LEADER_H
#define ISOLATE_PAM_MODULE_LEADER_H

/* The process that called pam_open_session: into the sandbox's namespaces and out of them (setns(2)). Never into its user namespace. */

#include "lib/error.h"

#include <stdint.h>
#include <sys/types.h>

/* Where the leader belongs: its mount namespace by number, and the process that it can find it by. */
struct leader_home {
	pid_t supervisor; /* a child of ours, never waited for but by us, that never leaves our namespaces */
	dev_t device;
	ino_t mountns;
};

/*
 * Whether this process can be a leader: root with the capabilities that it takes, one thread, in no sandbox yet. -EPERM, -EBUSY,
 * -EALREADY. On success *ret_home says where it is, but for the supervisor.
 */
int leader_check(struct leader_home *ret_home, struct error *err);

/*
 * Enters mountns and those namespaces of the process behind the pidfd init that the CLONE_NEW... flags name. When it fails halfway, the
 * process is brought home; *err then tells of the failure, and of a failed way home.
 */
int leader_join(const struct leader_home *home, int init, int mountns, uint64_t namespaces, struct error *err);

/*
 * Back to the supervisor's namespaces; if it has ended, to PID 1's. -ESTALE: those are not the ones that leader_check() saw, but root's all the same.
 * Other errors: the process is still in the sandbox's.
 */
int leader_go_home(const struct leader_home *home, struct error *err);

#endif
