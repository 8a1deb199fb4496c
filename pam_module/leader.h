/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_PAM_MODULE_LEADER_H
#define ISOLATE_PAM_MODULE_LEADER_H

/* The process that called pam_open_session: into the sandbox's namespaces and out of them (setns(2)). Never into its user
 * namespace. */

#include "lib/error.h"

#include <stdint.h>
#include <sys/types.h>

/* Where the leader belongs. */
struct leader_home {
	dev_t device; /* its mount namespace, by number */
	ino_t mountns;
	pid_t parent; /* our parent, if it is root and in our namespaces, as sshd's listener is; 0 if it is not, as the shell that
			 called su */
};

/*
 * Whether this process can be a leader: root with the capabilities that it takes, one thread, in no sandbox yet. -EPERM, -EBUSY,
 * -EALREADY. On success *ret_home says where it is.
 */
int leader_check(struct leader_home *ret_home, struct error *err);

/*
 * Enters mountns and those namespaces of the process behind the pidfd init that the CLONE_NEW... flags name. When it fails
 * halfway, the process is brought home by supervisor's namespaces; *err then tells of the failure, and of a failed way home.
 */
int leader_join(const struct leader_home *home, int supervisor, int init, int mountns, uint64_t namespaces, struct error *err);

/*
 * Back to the namespaces of the process behind the pidfd supervisor, which never left ours; if it has ended, or is -1, to our
 * parent's, if it is the one that leader_check() found worthy, or to PID 1's. -ESTALE: those are not the ones that leader_check()
 * saw, but root's all the same. Other errors: the process is still in the sandbox's.
 */
int leader_go_home(const struct leader_home *home, int supervisor, struct error *err);

#endif
