/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_RECORD_H
#define ISOLATE_HELPER_RECORD_H

/*
 * RUNSTATEDIR/pam_isolate, root's alone: for each session a directory <id> with
 *   session    KEY=value lines for people and isolatectl, under an exclusive flock(2) while the supervisor lives
 *   home       /proc/<leader>/cgroup as it was, should another have to finish the supervisor's work
 *   control    the supervisor's socket, see protocol.h
 * Nothing in the sandbox rests on it. A name that starts with a dot is not a session yet, and a file whose lock is not held is
 * left over from a supervisor that was killed: collect.h.
 */

#include "helper/cgroup.h"
#include "helper/protocol.h"
#include "lib/error.h"

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#define RECORD_DIR RUNSTATEDIR "/pam_isolate"

struct record_store {
	int directory; /* RECORD_DIR */
	int lock;      /* RECORD_DIR/lock: held for a moment by whoever makes or removes groups of a user, or claims a record */
};

/* Opens RECORD_DIR, made with mode 0700 if need be. -EPERM when it is not root's alone. The fds are the caller's. */
int record_store_open(struct record_store *ret_store, struct error *err);
void record_store_close(struct record_store *store);

struct record {
	char name[SESSION_ID_SIZE + 1]; /* of its directory: the session's id, with a dot before it until it is published */
	int session;                    /* fd of the file, holding its lock; -1: there is no record */
	int control;                    /* the listening socket; -1 */
};

#define RECORD_NONE ((struct record){ .session = -1, .control = -1 })

struct record_content {
	const char *user;
	uid_t uid;
	const char *service;
	const char *tty;
	pid_t leader; /* 0: he has logged out, and the sandbox lives on */
	pid_t init;
	time_t since;
	const struct cgroup *cgroup; /* NULL: not made yet */
	const char *group;           /* its path */
	const char *home;            /* NULL: the leader was not moved */
	bool pidns;                  /* there is one: all processes end with PID 1 */
};

/* Makes a record for session id, not to be seen yet. From here on until record_remove() what a killed helper leaves can be found
 * and removed, the group by its path too. *ret_record is the caller's. */
int record_claim(const struct record_store *store, const char *id, const struct record_content *content,
	struct record *ret_record, struct error *err);

/* Says in it what there is, and gives it its name. */
int record_publish(
	const struct record_store *store, const struct record_content *content, struct record *record, struct error *err);

/* Says something else of the session from now on. */
int record_rewrite(
	const struct record_store *store, const struct record_content *content, struct record *record, struct error *err);

/* Removes it and closes its fds. Without a record it does nothing. */
void record_remove(const struct record_store *store, struct record *record);

/* Removes a record (name: struct record's) that has no session file any more: who removed it was killed meanwhile. Returns
 * whether there was one. */
bool record_clean(const struct record_store *store, const char *name);

/* Closes its fds and lets it lie, for a collection: something that it tells of could not be removed. */
void record_abandon(struct record *record);

/* What a record says that is left over. */
struct record_remains {
	pid_t leader;
	char cgroup[CGROUP_PATH_MAX]; /* empty: the record was never written */
	enum cgroup_owner owner;
	bool pidns;
	char *home; /* NULL; else for free(3) */
};

/* Takes over a record (name: struct record's) whose supervisor has ended. -EBUSY: the supervisor lives; -ENOENT: there is no such
 * record. *ret_record is the caller's. */
int record_take_over(const struct record_store *store, const char *name, struct record *ret_record,
	struct record_remains *ret_remains, struct error *err);

#endif
