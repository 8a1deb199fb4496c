/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_CGROUP_SYSTEMD_H
#define ISOLATE_HELPER_CGROUP_SYSTEMD_H

/* Where systemd is PID 1 the tree is its own: limits go through its D-Bus interface, and are read back from the files. */

#include "helper/cgroup_backend.h"

/* sd_booted(3). */
bool cgroup_systemd_runs(void);

/*
 * Has systemd give the session's scope, and the user's slice, their limits; cgroup->backend and stay->home are set. A login of
 * logind's keeps its own session-N.scope, another gets isolate-<id>.scope, with leader and the calling process moved into it.
 * Where all logins of a user share one sandbox, the sandbox's group is the user's slice: it has the stricter of both limits, and
 * the calling process gets a scope in any case, which no login's end takes away. Then reads every limit back. -ETIMEDOUT when
 * systemd or the bus does not answer, -ENOTSUP when a limit is not in force.
 */
int cgroup_systemd_make(const struct policy_effective *effective, const struct cgroup_login *login, struct cgroup *cgroup,
	struct cgroup_stay *stay, struct error *err);

/* The same for one more login of a shared sandbox, whose group is path; the calling process stays where it is. */
int cgroup_systemd_join(const struct policy_effective *effective, const struct cgroup_login *login, const char *path,
	struct cgroup_stay *stay, struct error *err);

#endif
