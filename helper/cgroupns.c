/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/cgroupns.h"

#include "lib/vfork.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>

/* Shares our fds, so that what it opens is ours. */
static int make(void *data)
{
	int *fd = data;

	*fd = unshare(CLONE_NEWCGROUP) < 0 ? -1 : open("/proc/self/ns/cgroup", O_RDONLY | O_CLOEXEC);
	if (*fd < 0)
		*fd = -errno;
	return 0;
}

int cgroupns_make(int *ret_fd, struct error *err)
{
	int fd = -EIO;
	pid_t pid = vfork_call(make, &fd, CLONE_FILES);

	if (pid < 0)
		return error_set(err, -pid, "cgroup", "clone");
	vfork_reap(pid);
	if (fd < 0)
		return error_set(err, -fd, "cgroup", "unshare a cgroup namespace");
	*ret_fd = fd;
	return 0;
}
