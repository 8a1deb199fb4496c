/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_RECORD_H
#define ISOLATE_HELPER_RECORD_H

/*
 * RUNSTATEDIR/pam_isolate, root's alone: for each session a directory <id> with
 *   session    KEY=value lines for people and isolatectl, under an exclusive flock(2) while the supervisor lives
 *   home       /proc/<leader>/cgroup as it was, should another have to finish the supervisor's work
 *   control    the supervisor's socket, see protocol.h
 * Nothing in the sandbox rests on it. A name that starts with a dot is not a session yet.
 */

#include "helper/cgroup.h"
#include "helper/protocol.h"
#include "lib/error.h"

#include <sys/types.h>
#include <time.h>

#define RECORD_DIR RUNSTATEDIR "/pam_isolate"

struct record_store {
	int directory; /* RECORD_DIR */
	int lock;      /* RECORD_DIR/lock: see cgroup_make() */
};

/* Opens RECORD_DIR, made with mode 0700 if need be. -EPERM when it is not root's alone. The fds are the caller's. */
int record_store_open(struct record_store *ret_store, struct error *err);

struct record {
	char id[SESSION_ID_SIZE];
	int session; /* fd of the file, holding its lock; -1: there is no record */
	int control; /* the listening socket */
};

struct record_content {
	const struct request *request;
	pid_t leader;
	pid_t init;
	const char *backend;
	const char *cgroup;
	enum cgroup_owner owner;
	const char *home;
};

/* Makes the record of a session, whole or not at all. *ret_record is the caller's, for record_remove(). */
int record_make(
	const struct record_store *store, const struct record_content *content, struct record *ret_record, struct error *err);

/* Removes it and closes its fds. Without a record it does nothing. */
void record_remove(const struct record_store *store, struct record *record);

/*
 * Takes over the record of a session whose supervisor has ended: what its home file and its CGROUP and OWNER lines say goes to
 * home, cgroup and ret_owner. -EBUSY: the supervisor lives; -ENOENT: there is no such record.
 */
int record_take_over(const struct record_store *store, const char *id, struct record *ret_record, char *cgroup,
	size_t cgroup_size, char *home, size_t home_size, enum cgroup_owner *ret_owner, struct error *err);

#endif
