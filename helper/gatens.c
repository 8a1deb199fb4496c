/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/gatens.h"

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>

#define GATE LIBEXECDIR "/isolate-shell"
#define SHELLS "/etc/shells"

static int add_shell(struct gatens_prepared *prepared, const char *shell, struct error *err)
{
	char *copy;

	for (size_t i = 0; i < prepared->n_shells; i++)
		if (strcmp(prepared->shells[i], shell) == 0)
			return 0;
	if (prepared->n_shells == GATENS_SHELLS_MAX)
		return error_set(err, E2BIG, "gate", "%s names more than %d shells", SHELLS, GATENS_SHELLS_MAX);
	copy = strdup(shell);
	if (!copy)
		return error_set(err, ENOMEM, "gate", "%s", shell);
	prepared->shells[prepared->n_shells++] = copy;
	return 0;
}

/* shells(5): a path a line, comments from # on. */
static int add_listed_shells(struct gatens_prepared *prepared, struct error *err)
{
	char text[8192], *rest = text, *line;
	ssize_t n = read_file_at(AT_FDCWD, SHELLS, text, sizeof(text));

	if (n == -ENOENT)
		return 0;
	if (n < 0)
		return error_set(err, (int)-n, "gate", "%s", SHELLS);
	while ((line = strsep(&rest, "\n"))) {
		line[strcspn(line, "# \t\r")] = '\0';
		if (line[0] == '/') {
			int r = add_shell(prepared, line, err);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* The gate's own mount: setuid and executable whatever the file system is mounted with below LIBEXECDIR. */
static int open_gate(int *ret_gate, struct error *err)
{
	struct mount_attr attributes = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV,
		.attr_clr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
		.propagation = PROPAGATION_PRIVATE,
	};
	AUTO_CLOSE int gate = sys_open_tree(AT_FDCWD, GATE, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	struct stat st;

	if (gate < 0 || fstat(gate, &st) < 0)
		return error_set(err, errno, "gate", "%s", GATE);
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & 07777 & ~0555) != 04200)
		return error_set(err, EPERM, "gate", "%s is not root's with mode 4755", GATE);
	if (sys_mount_setattr(gate, "", AT_EMPTY_PATH, &attributes) < 0)
		return error_set(err, errno, "gate", "mount of %s", GATE);
	*ret_gate = take_fd(&gate);
	return 0;
}

int gatens_prepare(const char *shell, struct gatens_prepared *ret_prepared, struct error *err)
{
	struct gatens_prepared prepared = { .gate = -1 };
	int r = add_shell(&prepared, "/bin/sh", err);

	if (r >= 0 && shell[0])
		r = add_shell(&prepared, shell, err);
	if (r >= 0)
		r = add_listed_shells(&prepared, err);
	if (r >= 0)
		r = open_gate(&prepared.gate, err);
	if (r < 0) {
		gatens_release(&prepared);
		return r;
	}
	*ret_prepared = prepared;
	return 0;
}

void gatens_release(struct gatens_prepared *prepared)
{
	cleanup_close(&prepared->gate);
	while (prepared->n_shells > 0)
		free(prepared->shells[--prepared->n_shells]);
}

/* Mounts the gate over one shell. A shell that is not installed is none. */
static int cover(const char *shell, int gate, const struct stat *gate_st, bool *attached, struct error *err)
{
	AUTO_CLOSE int target = open_resolved(AT_FDCWD, shell, O_PATH, 0, 0);
	AUTO_CLOSE int copy = -1;
	struct stat st;

	if (target == -ENOENT || target == -ENOTDIR)
		return 0;
	if (target < 0 || fstat(target, &st) < 0)
		return error_set(err, target < 0 ? -target : errno, "gate", "%s", shell);
	if (!S_ISREG(st.st_mode))
		return 0;
	/* Covered by another of its names; but the gate, too, may be somebody's login shell. */
	if (st.st_dev == gate_st->st_dev && st.st_ino == gate_st->st_ino && strcmp(shell, GATE) != 0)
		return 0;
	if (*attached) {
		copy = sys_open_tree(gate, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
		if (copy < 0)
			return error_set(err, errno, "gate", "one more mount for %s", shell);
	}
	if (sys_move_mount(*attached ? copy : gate, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return error_set(err, errno, "gate", "mount over %s", shell);
	*attached = true;
	return 0;
}

static int cover_all(const struct gatens_prepared *prepared, struct error *err)
{
	bool attached = false;
	struct stat gate_st;

	if (fstat(prepared->gate, &gate_st) < 0)
		return error_set(err, errno, "gate", "%s", GATE);
	for (size_t i = 0; i < prepared->n_shells; i++) {
		int r = cover(prepared->shells[i], prepared->gate, &gate_st, &attached, err);

		if (r < 0)
			return r;
	}
	return 0;
}

int gatens_build(const struct gatens_prepared *prepared, int *ret_mountns, struct error *err)
{
	struct mount_attr attributes = {
		.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
		.propagation = PROPAGATION_PRIVATE,
	};
	AUTO_CLOSE int view = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int mountns = -1;
	int r;

	if (view < 0)
		return error_set(err, errno, "gate", "/proc/self/ns/mnt");
	if (unshare(CLONE_NEWNS) < 0)
		return error_set(err, errno, "gate", "unshare a mount namespace");
	if (sys_mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attributes) < 0)
		return error_set(err, errno, "gate", "make all mounts nosuid, noexec and private");
	r = cover_all(prepared, err);
	if (r < 0)
		return r;
	mountns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (mountns < 0)
		return error_set(err, errno, "gate", "/proc/self/ns/mnt");
	if (setns(view, CLONE_NEWNS) < 0)
		return error_set(err, errno, "gate", "go back to the sandbox's mount namespace");
	*ret_mountns = take_fd(&mountns);
	return 0;
}
