/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/mountns.h"

#include "helper/usertmp.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/syscalls.h"
#include "policy/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* By them one login of a user would let another execute what it likes. Only where screen is installed. */
#define SCREEN_SOCKETS "/run/screen"

static const struct {
	const char *target;
	const char *mode;
	unsigned int attributes;
} prepared_mounts[MOUNTNS_PREPARED] = {
	[MOUNTNS_TMP] = { "/tmp", "1777", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV },
	[MOUNTNS_VAR_TMP] = { "/var/tmp", "1777", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV },
	[MOUNTNS_DEV_SHM] = { "/dev/shm", "1777", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV },
	[MOUNTNS_SCREEN] = { SCREEN_SOCKETS, "1777", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC },
	[MOUNTNS_RUN_USER] = { RUN_USER, "0755", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV },
	[MOUNTNS_CGROUP] = { "/sys/fs/cgroup", "0555",
		MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY },
};

/* A new file system of type, not mounted anywhere yet. Returns its fd or a negative errno. fsopen(2) */
static int new_mount(const char *type, const char *mode, unsigned int attributes)
{
	AUTO_CLOSE int context = sys_fsopen(type, FSOPEN_CLOEXEC);
	int mount;

	if (context < 0)
		return -errno;
	if (mode && sys_fsconfig(context, FSCONFIG_SET_STRING, "mode", mode, 0) < 0)
		return -errno;
	if (sys_fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	mount = sys_fsmount(context, FSMOUNT_CLOEXEC, attributes);
	return mount < 0 ? -errno : mount;
}

/* The target may not be a symbolic link, nor anything on the way to it. */
static int attach(int mount, const char *target, struct error *err)
{
	AUTO_CLOSE int directory = open_resolved(AT_FDCWD, target, O_PATH | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);

	if (directory < 0)
		return error_set(err, -directory, "mount", "%s", target);
	if (sys_move_mount(mount, "", directory, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return error_set(err, errno, "mount", "%s", target);
	return 0;
}

static bool is_wanted(const struct mountns_options *options, int i)
{
	switch (i) {
	case MOUNTNS_TMP:
	case MOUNTNS_VAR_TMP:
	case MOUNTNS_DEV_SHM:
		return options->private_tmp != POLICY_PRIVATE_TMP_NO;
	case MOUNTNS_SCREEN:
		/* What cannot be looked at is taken to be there. */
		return options->private_tmp != POLICY_PRIVATE_TMP_NO &&
		       (access(SCREEN_SOCKETS, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR));
	case MOUNTNS_CGROUP:
		return !options->cgroup2 || options->cgroup;
	default:
		return true;
	}
}

/* The user's own directory, in a file system of root's: nobody else's runtime directory is seen. */
static int make_runtime_dir(int run_user, const struct mountns_options *options, struct error *err)
{
	char name[16];

	snprintf(name, sizeof(name), "%u", options->uid);
	if (mkdirat(run_user, name, 0700) < 0 || fchownat(run_user, name, options->uid, options->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(err, errno, "mount", "%s/%s", RUN_USER, name);
	/* A machine without logind need not have the mount point. */
	if (mkdir(RUN_USER, 0755) < 0 && errno != EEXIST)
		return error_set(err, errno, "mount", "%s", RUN_USER);
	return 0;
}

/* The sandbox's group where that is not PID 1's: systemd's slice, of which the root of a cgroup namespace cannot be made. */
static int open_group(const char *group, struct error *err)
{
	struct mount_attr attributes = {
		.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY,
		.propagation = PROPAGATION_PRIVATE,
	};
	char path[160];
	AUTO_CLOSE int mount = -1;

	snprintf(path, sizeof(path), "/sys/fs/cgroup%s", group);
	mount = sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	if (mount < 0 || sys_mount_setattr(mount, "", AT_EMPTY_PATH, &attributes) < 0)
		return error_set(err, errno, "mount", "mount of %s", path);
	return take_fd(&mount);
}

static int prepare_tmpfs(int i, struct error *err)
{
	int r = new_mount("tmpfs", prepared_mounts[i].mode, prepared_mounts[i].attributes);

	return r < 0 ? error_set(err, -r, "mount", "tmpfs for %s", prepared_mounts[i].target) : r;
}

static int prepare_mount(const struct mountns_options *options, int i, struct error *err)
{
	bool of_user = options->private_tmp == POLICY_PRIVATE_TMP_USER;

	if (of_user && i == MOUNTNS_TMP)
		return usertmp_open(options->uid, "tmp", err);
	if (of_user && i == MOUNTNS_VAR_TMP)
		return usertmp_open(options->uid, "var-tmp", err);
	if (options->cgroup2 && i == MOUNTNS_CGROUP)
		return open_group(options->cgroup, err);
	return prepare_tmpfs(i, err);
}

int mountns_prepare(const struct mountns_options *options, struct mountns_prepared *ret_prepared, struct error *err)
{
	struct mountns_prepared prepared;
	mode_t old_mask = umask(0);
	int r = 0;

	memset(&prepared, -1, sizeof(prepared));
	for (int i = 0; i < MOUNTNS_PREPARED && r >= 0; i++) {
		if (!is_wanted(options, i))
			continue;
		r = prepare_mount(options, i, err);
		if (r >= 0)
			prepared.mounts[i] = r;
	}
	if (r >= 0)
		r = make_runtime_dir(prepared.mounts[MOUNTNS_RUN_USER], options, err);
	umask(old_mask);
	if (r < 0) {
		mountns_release(&prepared);
		return r;
	}
	*ret_prepared = prepared;
	return 0;
}

void mountns_release(struct mountns_prepared *prepared)
{
	for (int i = 0; i < MOUNTNS_PREPARED; i++)
		cleanup_close(&prepared->mounts[i]);
}

/* File systems that show the namespaces of the process that mounts them. */
static int mount_fresh(const char *type, const char *target, struct error *err)
{
	AUTO_CLOSE int mount = new_mount(type, NULL, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);

	if (mount < 0)
		return error_set(err, -mount, "mount", "%s on %s", type, target);
	return attach(mount, target, err);
}

static int mount_fresh_mqueue(struct error *err)
{
	struct stat st;

	if (stat("/dev/mqueue", &st) < 0)
		return errno == ENOENT ? 0 : error_set(err, errno, "mount", "/dev/mqueue");
	return mount_fresh("mqueue", "/dev/mqueue", err);
}

/* What covers a mount point of the host's that shows more than the sandbox: one more mount of what the sandbox has itself. */
static int cover(int source, const char *target)
{
	AUTO_CLOSE int copy = sys_open_tree(source, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	AUTO_CLOSE int directory = -1;

	if (copy < 0)
		return -errno;
	directory = open_resolved(AT_FDCWD, target, O_PATH | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);
	if (directory < 0)
		return directory;
	return sys_move_mount(copy, "", directory, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ? -errno : 0;
}

/* The mount point of a line of mountinfo, its \ooo escapes undone, in place. proc_pid_mountinfo(5) */
static char *mount_point(char *line)
{
	char *from, *to, *start;

	for (int field = 0; field < 4 && line; field++)
		line = strchr(line, ' ') ? strchr(line, ' ') + 1 : NULL;
	if (!line)
		return NULL;
	line[strcspn(line, " ")] = '\0';
	for (from = to = start = line; *from; to++)
		if (from[0] == '\\' && from[1] && from[2] && from[3]) {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else
			*to = *from++;
	*to = '\0';
	return start;
}

/* The type of a line's file system, or "". */
static const char *mount_type(const char *line)
{
	const char *separator = strstr(line, " - ");

	return separator ? separator + 3 : "";
}

static bool is_type(const char *type, const char *wanted)
{
	size_t length = strlen(wanted);

	return strncmp(type, wanted, length) == 0 && (type[length] == ' ' || type[length] == '\0');
}

/* The whole of a file of /proc, for free(). NULL and errno. */
static char *read_whole(const char *path)
{
	size_t size = 16384;
	char *text = NULL;

	for (;; size *= 2) {
		char *larger = realloc(text, size);
		ssize_t n = larger ? read_file_at(AT_FDCWD, path, larger, size) : -ENOMEM;

		text = larger ? larger : text;
		if (n >= 0)
			return text;
		if (n != -E2BIG) {
			free(text);
			errno = (int)-n;
			return NULL;
		}
	}
}

/*
 * A chroot's /proc on the host shows all of the host's processes. proc is the fd of the sandbox's own. What PID 1 cannot reach
 * (EACCES), or nobody can (hidden below another mount, ENOENT), is left. The list is read before anything is added to it.
 */
static int cover_other_procs(int proc, struct error *err)
{
	AUTO_FREE char *mountinfo = read_whole("/proc/self/mountinfo");
	char *rest = mountinfo, *line;
	int r = mountinfo ? 0 : error_set(err, errno, "mount", "/proc/self/mountinfo");

	while (r >= 0 && (line = strsep(&rest, "\n"))) {
		bool shows_processes = is_type(mount_type(line), "proc");
		const char *target = mount_point(line);

		if (!shows_processes || !target || strcmp(target, "/proc") == 0)
			continue;
		r = cover(proc, target);
		if (r == -EACCES || r == -ENOENT || r == -ENOTDIR)
			r = 0;
		if (r < 0)
			error_set(err, -r, "mount", "proc on %s", target);
	}
	return r;
}

static int mount_proc(struct error *err)
{
	AUTO_CLOSE int proc = new_mount("proc", NULL, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	int r;

	if (proc < 0)
		return error_set(err, -proc, "mount", "proc on /proc");
	r = attach(proc, "/proc", err);
	return r < 0 ? r : cover_other_procs(proc, err);
}

int mountns_build(const struct mountns_options *options, const struct mountns_prepared *prepared, struct error *err)
{
	/*
	 * A mount namespace of another user namespace starts as a slave of the one it was copied from. Where U is the host's, say
	 * it: what happens in the sandbox must never reach the host. What the host mounts later (autofs homes) comes in.
	 */
	struct mount_attr attributes = {
		.attr_set = options->userns ? MOUNT_ATTR_NOSUID : 0,
		.propagation = options->userns ? 0 : PROPAGATION_SLAVE,
	};
	int r;

	if (sys_mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attributes) < 0)
		return error_set(err, errno, "mount", "change all mounts of the sandbox");
	for (int i = 0; i < MOUNTNS_PREPARED; i++) {
		if (prepared->mounts[i] < 0)
			continue;
		r = attach(prepared->mounts[i], prepared_mounts[i].target, err);
		if (r < 0)
			return r;
	}
	if (options->private_pids) {
		r = mount_proc(err);
		if (r < 0)
			return r;
	}
	if (options->private_ipc) {
		r = mount_fresh_mqueue(err);
		if (r < 0)
			return r;
	}
	return options->cgroup2 && !options->cgroup ? mount_fresh("cgroup2", "/sys/fs/cgroup", err) : 0;
}
