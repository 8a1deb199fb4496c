/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_CGROUP_H
#define ISOLATE_HELPER_CGROUP_H

/*
 * The control groups of one session (cgroups(7)): .../isolate/<uid>/<id> in the v2 hierarchy, or in each v1 hierarchy that is
 * needed. The outer group carries the user's limits, the inner one the session's; both have all their limits before a process
 * of the user's is in them. Which version it is, is seen from what is mounted at /sys/fs/cgroup. Where systemd runs, the two
 * groups are the user's slice and the login's scope: cgroup_systemd.h.
 */

#include "lib/error.h"
#include "policy/policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CGROUP_ROOT "/sys/fs/cgroup"
#define CGROUP_HIERARCHIES_MAX 8

struct cgroup_backend;

struct cgroup_hierarchy {
	const char *controller; /* v1: one that is mounted here; v2: "" */
	int root;               /* fd of the hierarchy's root */
	int session;            /* fd of the session's group; -1 once it is removed */
};

/* Who made the session's group, and so removes it. */
enum cgroup_owner {
	CGROUP_OURS,       /* no systemd here */
	CGROUP_OF_SESSION, /* systemd's scope of a session of logind's, which the leader was in already */
	CGROUP_OF_SCOPE,   /* systemd's scope of our asking, which the leader has been moved to */
};

struct cgroup {
	const struct cgroup_backend *backend;
	enum cgroup_owner owner;
	char path[96];   /* of the session's group, below each root: "/isolate/1000/<id>",
			    "/user.slice/user-1000.slice/session-1.scope" */
	char home[4096]; /* /proc/<leader>/cgroup as it was before */
	struct cgroup_hierarchy hierarchies[CGROUP_HIERARCHIES_MAX];
	size_t n_hierarchies;
};

/*
 * Makes the groups with all limits of the policy; no process is in them yet. lock is the fd of the lock file, held while the
 * groups of a user are made or removed. *ret_cgroup is the caller's: cgroup_remove(), then cgroup_release().
 * -ENOTSUP names a limit that this kernel or this hierarchy does not have. Nothing is left behind on error.
 */
int cgroup_make(const struct policy_effective *effective, uid_t uid, const char *id, pid_t leader, int lock,
	struct cgroup *ret_cgroup, struct error *err);

/* Finds the groups of a session whose supervisor is gone, to be removed. path, home and owner as its record has them. */
int cgroup_find(const char *path, const char *home, enum cgroup_owner owner, struct cgroup *ret_cgroup, struct error *err);

/* Moves the calling process and leader into the session's groups: all writes back to back, for each costs an RCU grace period
 * of several ms unless another such write has just been made. Safe between vfork and exec. */
int cgroup_enter(const struct cgroup *cgroup, pid_t leader, struct error *err);

/* Moves leader back to the groups that it came from. */
int cgroup_send_home(const struct cgroup *cgroup, pid_t leader, struct error *err);

/* Kills every process that is in the session's groups, those outside its PID namespace too, but not leader and the caller. */
int cgroup_kill(const struct cgroup *cgroup, pid_t leader, struct error *err);

/* Removes the session's groups and, when no other session of the user is left, the user's. -EBUSY while a process is in one of
 * them: call it again. Done twice, it does nothing. */
int cgroup_remove(struct cgroup *cgroup, int lock, struct error *err);

/* Whose limits a group carries. */
enum cgroup_level { CGROUP_SANDBOX, CGROUP_USER };

/* Opens file of the group that carries the limits of level, in the hierarchy of controller. Returns an fd, O_CLOEXEC, or a
 * negative errno: -ENOENT where there is no such controller, group or file. */
int cgroup_open_file(const struct cgroup *cgroup, enum cgroup_level level, const char *controller, const char *file, int flags);

/* Reads such a file as read_file_at() does. */
ssize_t cgroup_read_file(const struct cgroup *cgroup, enum cgroup_level level, const char *controller, const char *file,
	char *buffer, size_t size);

/* Calls function for each process of the sandbox's group, the leader and whoever else is in there too. Returns how many there
 * were, or a negative errno. */
int cgroup_each_process(const struct cgroup *cgroup, void (*function)(pid_t pid, void *data), void *data);

/* Closes the fds. */
void cgroup_release(struct cgroup *cgroup);

/* Whether CGROUP_ROOT is the v2 hierarchy. -ENOTSUP when it is neither that nor v1's. */
int cgroup_is_v2(struct error *err);

#endif
