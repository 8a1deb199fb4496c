/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/cgroupns.h"

#include "helper/cgroup.h"
#include "lib/vfork.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>

struct maker {
	const struct cgroup *group;
	struct error *err;
	int fd; /* or a negative errno */
};

/* Shares our fds, so that what it opens is ours. */
static int make(void *data)
{
	struct maker *maker = data;

	maker->fd = maker->group ? cgroup_enter(maker->group, 0, maker->err) : 0;
	if (maker->fd < 0)
		return 0;
	maker->fd = unshare(CLONE_NEWCGROUP) < 0 ? -1 : open("/proc/self/ns/cgroup", O_RDONLY | O_CLOEXEC);
	if (maker->fd < 0)
		maker->fd = error_set(maker->err, errno, "cgroup", "unshare a cgroup namespace");
	return 0;
}

int cgroupns_make(const struct cgroup *group, int *ret_fd, struct error *err)
{
	struct maker maker = { .group = group, .err = err, .fd = -EIO };
	pid_t pid = vfork_call(make, &maker, CLONE_FILES);

	if (pid < 0)
		return error_set(err, -pid, "cgroup", "clone");
	vfork_reap(pid);
	if (maker.fd < 0)
		return maker.fd;
	*ret_fd = maker.fd;
	return 0;
}
