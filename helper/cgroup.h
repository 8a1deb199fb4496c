/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_CGROUP_H
#define ISOLATE_HELPER_CGROUP_H

/*
 * The control groups of one sandbox (cgroups(7)): .../isolate/<uid>/<id> in the v2 hierarchy, or in each v1 hierarchy that is
 * needed. The outer group carries the user's limits, the inner one the sandbox's; both have all their limits before a process
 * of the user's is in them. Which version it is, is seen from what is mounted at /sys/fs/cgroup. Where systemd runs, the two
 * groups are the user's slice and the login's scope: cgroup_systemd.h.
 */

#include "lib/error.h"
#include "policy/policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CGROUP_ROOT "/sys/fs/cgroup"
#define CGROUP_TOP "isolate" /* what we have below the root, where systemd does not run */
#define CGROUP_HIERARCHIES_MAX 8

struct cgroup_backend;

struct cgroup_hierarchy {
	const char *controller; /* v1: one that is mounted here; v2: "" */
	int root;               /* fd of the hierarchy's root */
	int session;            /* fd of the sandbox's group; -1 once it is removed */
};

/* Who made the sandbox's group, and so removes it. */
enum cgroup_owner { CGROUP_OURS, CGROUP_SYSTEMDS };

#define CGROUP_PATH_MAX 96

/* Whether path is of a group below CGROUP_TOP. */
bool cgroup_is_ours(const char *path);

struct cgroup {
	const struct cgroup_backend *backend;
	enum cgroup_owner owner;
	bool is_users;              /* the group is the user's: systemd's slice, where all of his logins share one sandbox */
	char path[CGROUP_PATH_MAX]; /* of the sandbox's group, below each root: "/isolate/1000/<id>",
				     * "/user.slice/user-1000.slice/session-1.scope" */
	struct cgroup_hierarchy hierarchies[CGROUP_HIERARCHIES_MAX];
	size_t n_hierarchies;
};

/* The groups of one login. */
struct cgroup_stay {
	char *home;                 /* /proc/<leader>/cgroup as it was, for free(3); NULL: the leader was not moved */
	char path[CGROUP_PATH_MAX]; /* the sandbox's, or a scope that systemd has given this login alone */
};

/* Who logs in, for cgroup_make() and cgroup_join(). */
struct cgroup_login {
	uid_t uid;
	const char *id; /* of the session */
	pid_t leader;
	bool shared; /* Scope=user */
};

/* What the leader's groups are now: *ret_home is for free(3). To be read before cgroup_make() or cgroup_join(). */
int cgroup_read_home(pid_t leader, char **ret_home, struct error *err);

/* The path of a sandbox's group, which is there already when it is to be removed and nothing else is known of it. */
void cgroup_guess_path(const struct cgroup_login *login, char path[CGROUP_PATH_MAX]);

/*
 * Makes the groups with all limits of the policy; no process is in them yet, except where systemd runs. lock is the fd of the
 * lock file, held while the groups of a user are made or removed. *ret_cgroup is the caller's: cgroup_remove(), then
 * cgroup_release(); stay->home is of cgroup_read_home(), and is freed where the leader was not moved. -ENOTSUP names a limit that
 * this kernel or this hierarchy does not have. Nothing is left behind on error.
 */
int cgroup_make(const struct policy_effective *effective, const struct cgroup_login *login, int lock, struct cgroup *ret_cgroup,
	struct cgroup_stay *stay, struct error *err);

/*
 * For one more login of a sandbox that stands, whose group is path. Where systemd runs the login gets a scope, with its leader in
 * it, and the user's slice the limits of effective. Elsewhere the leader is still to be moved, by cgroup_enter(). stay->home as
 * with cgroup_make().
 */
int cgroup_join(const struct policy_effective *effective, const struct cgroup_login *login, const char *path,
	struct cgroup_stay *stay, struct error *err);

/* Gives the groups of such a sandbox the limits of effective, where cgroup_join() has not. Those written before one that cannot
 * be stay in force. */
int cgroup_update(const struct policy_effective *effective, const char *path, struct error *err);

/* Finds the groups of a sandbox whose supervisor is gone, to be removed. path and owner as its record has them. */
int cgroup_find(const char *path, enum cgroup_owner owner, struct cgroup *ret_cgroup, struct error *err);

/*
 * Moves the process (0: the calling one) into the sandbox's groups, unless systemd has: all writes back to back, for each costs
 * an RCU grace period of several ms unless another such write has just been made. Safe between vfork and exec.
 */
int cgroup_enter(const struct cgroup *cgroup, pid_t pid, struct error *err);

/* Moves a process to the groups that home (struct cgroup_stay) tells. NULL: it is there. */
int cgroup_send_home(const struct cgroup *cgroup, const char *home, pid_t pid, struct error *err);

/* Sends a signal to every process that is in the sandbox's group but leader, the caller, and init. The pid of one that has just
 * ended may be another's by then: only for a sandbox without a PID namespace. */
void cgroup_signal(const struct cgroup *cgroup, int signal, pid_t leader, pid_t init);

/* Kills every process that is in the sandbox's groups, those outside its PID namespace too, but not leader and the caller. */
int cgroup_kill(const struct cgroup *cgroup, pid_t leader, struct error *err);

/* Removes the sandbox's groups and, when no other sandbox of the user is left, the user's. -EBUSY while a process is in one of
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

/* Whether the sandbox's group and the user's have a place for n more tasks; true where that cannot be told. Others take places,
 * too: it may be wrong by then. */
bool cgroup_has_room(const struct cgroup *cgroup, unsigned int n);

/* Whether the limits leave us n processes. They bind us where we are in a group of systemd's, and there the kernel counts a fork
 * of ours that it refuses as one of the user's, which he would be told of: so this is asked before. */
static inline bool cgroup_lets_us_fork(const struct cgroup *cgroup, unsigned int n)
{
	return cgroup->owner == CGROUP_OURS || cgroup_has_room(cgroup, n);
}

/* Calls function for the sandbox's group, in the hierarchy of controller; for the groups in it where that is a slice, which has
 * no processes itself. 0 or a negative errno. */
int cgroup_each_group(const struct cgroup *cgroup, const char *controller, void (*function)(int group, void *data), void *data);

/* Calls function for each process of the sandbox's group, the leader and whoever else is in there too. Returns how many there
 * were, or a negative errno. */
int cgroup_each_process(const struct cgroup *cgroup, void (*function)(pid_t pid, void *data), void *data);

/* Closes the fds. */
void cgroup_release(struct cgroup *cgroup);

/* Whether CGROUP_ROOT is the v2 hierarchy. -ENOTSUP when it is neither that nor v1's. */
int cgroup_is_v2(struct error *err);

#endif
