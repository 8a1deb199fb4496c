/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/pidns.h"

#include "helper/caps.h"
#include "lib/fd.h"
#include "lib/syscalls.h"
#include "lib/vfork.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <unistd.h>

struct midwife {
	const struct pidns_plan *plan;
	struct error *err;
	int result; /* pid of PID 1, or a negative errno; 0: the midwife was killed */
};

static void run_inside(const struct pidns_plan *plan)
{
	struct error err;

	/* Until isolate-init does it again: with the helper, all ends. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		error_set(&err, errno, "pidns", "PR_SET_PDEATHSIG");
	else
		plan->inside(plan->data, &err);
	send_message(plan->report, &err, sizeof(err), NULL, 0);
	_exit(1);
}

/*
 * Runs in the helper's memory while the helper waits (vfork), as a process of its own: what it changes of its ids, capabilities,
 * cgroup and user namespace it could not change back. PID 1 becomes the helper's child (CLONE_PARENT).
 *
 * PID 1's ids are set here because in U they are not mapped, and must not be root's: the owner of U is root, so PID 1 would be a
 * root process with nothing of root's, and the user's ids would let him prlimit(2) it to death.
 */
static int deliver(void *data)
{
	struct midwife *midwife = data;
	const struct pidns_plan *plan = midwife->plan;
	/* The kernel says who PID 1 is: killed before we could, we would leave one that nobody knows of. */
	struct clone_args args = {
		.flags = plan->namespaces | CLONE_PARENT | CLONE_PARENT_SETTID,
		.parent_tid = (uintptr_t)&midwife->result,
	};
	int r = cgroup_enter(plan->cgroup, 0, midwife->err);

	if (r >= 0)
		r = cgroup_enter(plan->cgroup, plan->leader, midwife->err);
	if (r >= 0 && plan->userns >= 0)
		r = caps_become_keeping(plan->uid, plan->gid, midwife->err);
	if (r >= 0 && plan->userns >= 0 && setns(plan->userns, CLONE_NEWUSER) < 0)
		r = error_set(midwife->err, errno, "pidns", "enter the user namespace");
	if (r >= 0) {
		r = sys_clone3(&args);
		if (r == 0)
			run_inside(plan);
		if (r < 0)
			r = error_set(midwife->err, errno, "pidns", "clone the first process of the sandbox%s",
				errno == EAGAIN ? " (TasksMax= or UserTasksMax= is reached)" : "");
	}
	midwife->result = r;
	return r < 0;
}

int pidns_spawn(const struct pidns_plan *plan, pid_t *ret_pid, int *ret_pidfd, struct error *err)
{
	struct midwife midwife = { .plan = plan, .err = err };
	pid_t pid = vfork_call(deliver, &midwife, 0);
	int pidfd;

	if (pid < 0)
		return error_set(err, -pid, "pidns", "clone");
	vfork_reap(pid);
	if (midwife.result == 0)
		return error_set(err, EIO, "pidns", "clone the first process of the sandbox: who does it was killed");
	if (midwife.result < 0)
		return midwife.result;
	/* Our child, not waited for: the pid cannot have become another's. */
	pidfd = sys_pidfd_open(midwife.result);
	if (pidfd < 0) {
		int r = error_set(err, errno, "pidns", "pidfd_open");

		kill(midwife.result, SIGKILL);
		vfork_reap(midwife.result);
		return r;
	}
	*ret_pid = midwife.result;
	*ret_pidfd = pidfd;
	return 0;
}
