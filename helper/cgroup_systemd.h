/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_CGROUP_SYSTEMD_H
#define ISOLATE_HELPER_CGROUP_SYSTEMD_H

/* Where systemd is PID 1 the tree is its own: limits go through its D-Bus interface, and are read back from the files. */

#include "helper/cgroup_backend.h"

/* sd_booted(3). */
bool cgroup_systemd_runs(void);

/*
 * Has systemd give the session's scope, and the user's slice, their limits; cgroup->backend and ->home are set. A login of
 * logind's keeps its own session-N.scope, another gets isolate-<id>.scope, with leader and the calling process moved into it.
 * Then reads every limit back. -ETIMEDOUT when systemd or the bus does not answer, -ENOTSUP when a limit is not in force.
 */
int cgroup_systemd_make(const struct policy_effective *effective, uid_t uid, const char *id, pid_t leader, struct cgroup *cgroup,
	struct error *err);

#endif
