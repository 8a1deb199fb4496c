/* SPDX-License-Identifier: BSD-3-Clause */
#include "pam_module/leader.h"

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/syscalls.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_capabilities(struct error *err)
{
	/* For the namespaces and mounts, the ids and maps, the groups' files, the limits and the end of the user's processes. */
	static const unsigned int needed[] = { CAP_SYS_ADMIN, CAP_SYS_CHROOT, CAP_SYS_PTRACE, CAP_SETUID, CAP_SETGID, CAP_SETPCAP,
		CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_KILL };

	if (geteuid() != 0)
		return error_set(err, EPERM, "leader", "the service does not run as root (effective uid %u)", geteuid());
	if (capng_get_caps_process() < 0)
		return error_set(err, EIO, "leader", "cannot read the service's capabilities");
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!capng_have_capability(CAPNG_EFFECTIVE, needed[i]))
			return error_set(err, EPERM, "leader", "the service runs without the capability %s",
				capng_capability_to_name(needed[i]));
	return 0;
}

/* setns(2) takes no process with threads into a mount namespace; and the other threads would stay outside. */
static int check_threads(struct error *err)
{
	AUTO_CLOSEDIR DIR *tasks = opendir("/proc/self/task");
	const struct dirent *entry;
	int n = 0;

	if (!tasks)
		return error_set(err, errno, "leader", "/proc/self/task");
	while (errno = 0, (entry = readdir(tasks)))
		n += entry->d_name[0] != '.';
	if (errno != 0)
		return error_set(err, errno, "leader", "/proc/self/task");
	return n == 1 ? 0 : error_set(err, EBUSY, "leader", "the service has %d threads, and a leader may have one", n);
}

static int namespace_number(const char *name, struct stat *st, struct error *err)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	return stat(path, st) < 0 ? error_set(err, errno, "leader", "%s", path) : 0;
}

/* Our PID namespace belongs to our user namespace, and our children's is the same, unless a leader has been here before. */
static int check_outside(struct error *err)
{
	AUTO_CLOSE int pidns = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int owner = pidns < 0 ? -1 : ioctl(pidns, NS_GET_USERNS);
	struct stat owner_st, userns, own, children;
	int r = namespace_number("user", &userns, err);

	if (r >= 0)
		r = namespace_number("pid", &own, err);
	if (r >= 0)
		r = namespace_number("pid_for_children", &children, err);
	if (r < 0)
		return r;
	/* EPERM: owned by a user namespace above ours, as in some containers. */
	if (owner < 0 && errno != EPERM)
		return error_set(err, errno, "leader", "the owner of the PID namespace");
	if (owner >= 0 && fstat(owner, &owner_st) < 0)
		return error_set(err, errno, "leader", "the owner of the PID namespace");
	if (own.st_ino != children.st_ino || (owner >= 0 && owner_st.st_ino != userns.st_ino))
		return error_set(err, EALREADY, "leader", "this process is in a sandbox already");
	return 0;
}

/* All ids root's: nobody else can ever have moved it. */
static bool is_root(pid_t pid)
{
	char path[32], text[4096];
	const char *line;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (read_file_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return false;
	line = strstr(text, "\nUid:");
	return line && strncmp(line, "\nUid:\t0\t0\t0\t0\n", strlen("\nUid:\t0\t0\t0\t0\n")) == 0;
}

static bool is_in_namespace(pid_t pid, const char *name, const struct stat *ours)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	return stat(path, &st) == 0 && st.st_dev == ours->st_dev && st.st_ino == ours->st_ino;
}

/* Our parent's pid cannot become another's while getppid(2) says it. */
static pid_t find_worthy_parent(const struct stat *mountns, const struct stat *userns)
{
	pid_t parent = getppid();

	if (parent <= 1 || !is_root(parent) || !is_in_namespace(parent, "mnt", mountns) ||
		!is_in_namespace(parent, "user", userns))
		return 0;
	return getppid() == parent ? parent : 0;
}

int leader_check(struct leader_home *ret_home, struct error *err)
{
	struct stat mountns, userns;
	int r = check_capabilities(err);

	if (r >= 0)
		r = check_threads(err);
	if (r >= 0)
		r = check_outside(err);
	if (r >= 0)
		r = namespace_number("mnt", &mountns, err);
	if (r >= 0)
		r = namespace_number("user", &userns, err);
	if (r < 0)
		return r;
	*ret_home = (struct leader_home){
		.device = mountns.st_dev,
		.mountns = mountns.st_ino,
		.parent = find_worthy_parent(&mountns, &userns),
	};
	return 0;
}

/*
 * A new mount namespace starts at its root. The directory is looked up again by its path there; the kernel gives it without
 * symbolic links, so one that has become a link since is not where we were, and the root has to do.
 */
static int set_namespaces(int fd, int flags)
{
	char cwd[PATH_MAX];
	AUTO_CLOSE int directory = -1;

	if (sys_getcwd(cwd, sizeof(cwd)) < 0)
		cwd[0] = '\0';
	if (setns(fd, flags) < 0)
		return -errno;
	if (!(flags & CLONE_NEWNS) || cwd[0] != '/')
		return 0;
	directory = open_resolved(AT_FDCWD, cwd, O_PATH | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);
	return directory >= 0 && fchdir(directory) < 0 ? -errno : 0;
}

static int join(const struct client_answer *answer, struct error *err)
{
	/* A cgroup namespace that is the login's own is entered by its fd, and not with PID 1's others. */
	int flags = (int)answer->namespaces & (answer->cgroupns < 0 ? ~0 : ~CLONE_NEWCGROUP);
	int r = set_namespaces(answer->init, flags);

	if (r >= 0 && answer->cgroupns >= 0)
		r = set_namespaces(answer->cgroupns, CLONE_NEWCGROUP);
	if (r < 0)
		return error_set(err, -r, "leader", "enter the sandbox's namespaces");
	r = set_namespaces(answer->mountns, CLONE_NEWNS);
	return r < 0 ? error_set(err, -r, "leader", "enter the sandbox's mount namespace") : 0;
}

int leader_join(const struct leader_home *home, const struct client_answer *answer, struct error *err)
{
	struct error way_home;
	int r = join(answer, err);

	if (r < 0 && leader_go_home(home, answer->supervisor, &way_home) < 0)
		error_prefix(err, "and no way back (%s)", way_home.text);
	return r;
}

static bool is_home(const struct leader_home *home)
{
	struct stat mountns;

	return namespace_number("mnt", &mountns, NULL) >= 0 && mountns.st_dev == home->device && mountns.st_ino == home->mountns;
}

static int follow(int pidfd)
{
	if (pidfd < 0)
		return -ESRCH;
	return set_namespaces(pidfd, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP);
}

static int follow_pid(pid_t pid)
{
	AUTO_CLOSE int pidfd = sys_pidfd_open(pid);

	return pidfd < 0 ? -errno : follow(pidfd);
}

int leader_go_home(const struct leader_home *home, int supervisor, struct error *err)
{
	int r = follow(supervisor);
	bool is_out = r >= 0;

	if (r >= 0 && is_home(home))
		return 0;
	/* Not just any parent: of su it is the user's shell, which can be where the user likes, and then we would go on there as
	 * root. */
	if (home->parent && getppid() == home->parent) {
		r = follow_pid(home->parent);
		is_out |= r >= 0;
		if (r >= 0 && is_home(home))
			return 0;
	}
	r = follow_pid(1);
	if (r < 0 && !is_out)
		return error_set(err, -r, "leader", "leave the sandbox's namespaces");
	return is_home(home) ? 0
			     : error_set(err, ESTALE, "leader",
				       "this process came from another place than its parent, "
				       "the supervisor and PID 1");
}
