/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/userns.h"

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/vfork.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAP_LINES_MAX 340 /* UID_GID_MAP_MAX_EXTENTS */

static int compare_gids(const void *left, const void *right)
{
	gid_t a = *(const gid_t *)left, b = *(const gid_t *)right;

	return a < b ? -1 : a > b;
}

int userns_format_gid_map(gid_t *gids, size_t n_gids, char *map, size_t size)
{
	size_t length = 0, lines = 0;

	qsort(gids, n_gids, sizeof(*gids), compare_gids);
	for (size_t i = 0; i < n_gids;) {
		gid_t first = gids[i], last = first;
		int n;

		while (++i < n_gids && (gids[i] == last || gids[i] == last + 1))
			last = gids[i];
		n = snprintf(map + length, size - length, "%u %u %u\n", first, first, last - first + 1);
		if (n < 0 || (size_t)n >= size - length || ++lines > MAP_LINES_MAX)
			return -E2BIG;
		length += (size_t)n;
	}
	return 0;
}

static int write_map(pid_t pid, const char *name, const char *map, struct error *err)
{
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	r = write_file_at(AT_FDCWD, path, map);
	return r < 0 ? error_set(err, -r, "userns", "%s", name) : 0;
}

static int describe(pid_t pid, uid_t uid, gid_t *gids, size_t n_gids, int *ret_fd, struct error *err)
{
	static char map[MAP_LINES_MAX * 34]; /* three numbers of up to 10 digits a line */
	AUTO_CLOSE int fd = -1;
	char path[64], uid_map[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, errno, "userns", "%s", path);
	snprintf(uid_map, sizeof(uid_map), "%u %u 1\n", uid, uid);
	r = write_map(pid, "uid_map", uid_map, err);
	if (r < 0)
		return r;
	r = userns_format_gid_map(gids, n_gids, map, sizeof(map));
	if (r < 0)
		return error_set(err, -r, "userns", "gid_map: the user is in too many groups");
	r = write_map(pid, "gid_map", map, err);
	if (r < 0)
		return r;
	*ret_fd = take_fd(&fd);
	return 0;
}

struct creator {
	uid_t owner;
	int errnum;
};

/* In a process of its own, for a moment: neither the effective uid nor the user namespace could the helper change back. */
static int create(void *data)
{
	struct creator *creator = data;

	if (syscall(SYS_setresuid, -1, creator->owner, -1) < 0 || unshare(CLONE_NEWUSER) < 0)
		creator->errnum = errno;
	return 0;
}

int userns_make(uid_t uid, gid_t *gids, size_t n_gids, int *ret_fd, struct error *err)
{
	struct creator creator = { .owner = userns_owner(uid) };
	pid_t pid;
	int r;

	if (creator.owner == uid)
		return error_set(err, ENOTSUP, "userns", "uid %u: uids from %u on are used for the owners of sandboxes", uid,
			userns_owner(0));
	/*
	 * A user namespace is named only through a process in it. This one has ended before vfork_call() returns; until it is
	 * waited for, its /proc directory still names the namespace, and the fd opened there keeps it. No memory is copied,
	 * nobody waits for anybody.
	 */
	pid = vfork_call(create, &creator, 0);
	if (pid < 0)
		return error_set(err, -pid, "userns", "clone");
	if (creator.errnum)
		r = error_set(err, creator.errnum, "userns", "unshare a user namespace of uid %u (user.max_user_namespaces?)",
			creator.owner);
	else
		r = describe(pid, uid, gids, n_gids, ret_fd, err);
	vfork_reap(pid);
	return r;
}
