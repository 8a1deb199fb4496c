/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_PIDNS_H
#define ISOLATE_HELPER_PIDNS_H

/* The first process of a sandbox, PID 1 of P (pid_namespaces(7)). */

#include "helper/cgroup.h"
#include "lib/error.h"

#include <stdint.h>
#include <sys/types.h>

struct pidns_plan {
	const struct cgroup *cgroup; /* entered together with leader, before the namespaces are made */
	pid_t leader;
	int userns; /* entered next: the other namespaces are owned by it; -1: the host's */
	uid_t uid;  /* of PID 1 */
	gid_t gid;
	uint64_t namespaces; /* CLONE_NEW...; without CLONE_NEWPID it is no PID 1, but still the one that holds the others */
	/*
	 * Runs in the new process. It has all capabilities in the user namespace; its ids are uid and gid when userns >= 0 (they
	 * are not mapped there and could not be had any more), else still root's. Does not return when all is well.
	 */
	int (*inside)(void *data, struct error *err);
	void *data;
	int report; /* inside()'s error goes here as a struct error */
};

/* *ret_pidfd is the caller's; the process is its child, with exit signal 0: waitid(P_PIDFD, ..., WEXITED | __WALL). */
int pidns_spawn(const struct pidns_plan *plan, pid_t *ret_pid, int *ret_pidfd, struct error *err);

#endif
