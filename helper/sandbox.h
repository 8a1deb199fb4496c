/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_SANDBOX_H
#define ISOLATE_HELPER_SANDBOX_H

/* A sandbox from its making to its end: only the order of things. What each thing is, is in the file named after it. */

#include "helper/cgroup.h"
#include "helper/protocol.h"
#include "helper/record.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sandbox {
	pid_t leader;     /* the process that called pam_open_session */
	int leader_pidfd; /* not the sandbox's to close */
	struct record_store store;
	struct cgroup cgroup;
	bool has_cgroup;
	pid_t init;
	int init_pidfd;      /* -1: none, or waited for */
	int mountns;         /* what the leader enters: M′, or M where there is no user namespace */
	uint64_t namespaces; /* CLONE_NEW... flags of the others that the leader enters */
	bool userns;         /* U is not the host's */
	struct record record;
};

/*
 * Makes the sandbox of a checked request and moves the leader into its cgroup. Returns 1 when it stands, 0 when the policy says
 * Isolate=no, or a negative errno with nothing left behind.
 */
int sandbox_open(const struct request *request, pid_t leader, int leader_pidfd, struct sandbox *ret_sandbox, struct error *err);

/* Brings the leader back to its cgroups and kills every process of the sandbox. Done twice, it does nothing. */
int sandbox_end(struct sandbox *sandbox, struct error *err);

/* After sandbox_end(): waits until the cgroups are removed and PID 1 is reaped. */
int sandbox_clear(struct sandbox *sandbox, struct error *err);

/* After sandbox_clear(): removes the record, closes the fds. */
void sandbox_release(struct sandbox *sandbox);

/* Does what the supervisor of session id, which is gone, has not done. The caller must have ended all processes or be about to:
 * they are killed. */
int sandbox_collect(const char *id, pid_t leader, int leader_pidfd, struct error *err);

#endif
