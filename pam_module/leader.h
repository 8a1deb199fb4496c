/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_PAM_MODULE_LEADER_H
#define ISOLATE_PAM_MODULE_LEADER_H

/* The process that called pam_open_session: into the sandbox's namespaces and out of them (setns(2)). Never into its user
 * namespace. */

#include "helper/client.h"
#include "lib/error.h"

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

/* Enters the sandbox of the helper's answer. When it fails halfway, the process is brought home; *err then tells of the failure,
 * and of a failed way home. */
int leader_join(const struct leader_home *home, const struct client_answer *answer, struct error *err);

/*
 * Back to the namespaces that leader_check() saw: those of the process behind the pidfd supervisor (-1: none), which never left
 * its own; but that of a shared sandbox was another leader's. Then our parent's, if it is the one that leader_check() found
 * worthy, or PID 1's. -ESTALE: none of those are ours; the process is in one of root's all the same. Other errors: the process is
 * still in the sandbox's.
 */
int leader_go_home(const struct leader_home *home, int supervisor, struct error *err);

#endif
