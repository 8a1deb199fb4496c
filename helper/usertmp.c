/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/usertmp.h"

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* Opens the directory name of root's with this mode, made if need be. The umask is 0. */
static int descend(int parent, const char *name, mode_t mode)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;

	if (mkdirat(parent, name, mode) < 0 && errno != EEXIST)
		return -errno;
	fd = open_resolved(parent, name, O_RDONLY | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	return st.st_uid == 0 && (st.st_mode & 07777) == mode ? take_fd(&fd) : -EPERM;
}

static int open_state(void)
{
	AUTO_CLOSE int above = open(LOCALSTATEDIR "/lib", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return above < 0 ? -errno : descend(above, "pam_isolate", 0700);
}

int usertmp_open(uid_t uid, const char *which, struct error *err)
{
	struct mount_attr attributes = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, .propagation = PROPAGATION_PRIVATE };
	char name[16];
	/* The way there is the administrator's, and may be by links. */
	AUTO_CLOSE int state = open_state();
	AUTO_CLOSE int all = state < 0 ? state : descend(state, "tmp", 0700);
	AUTO_CLOSE int users = -1;
	AUTO_CLOSE int directory = -1;
	AUTO_CLOSE int mount = -1;

	snprintf(name, sizeof(name), "%u", uid);
	users = all < 0 ? all : descend(all, name, 0700);
	directory = users < 0 ? users : descend(users, which, 01777);
	if (directory < 0)
		return error_set(err, -directory, "mount", USERTMP_DIR "/tmp/%u/%s", uid, which);
	mount = sys_open_tree(directory, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (mount < 0 || sys_mount_setattr(mount, "", AT_EMPTY_PATH, &attributes) < 0)
		return error_set(err, errno, "mount", "mount of " USERTMP_DIR "/tmp/%u/%s", uid, which);
	return take_fd(&mount);
}
