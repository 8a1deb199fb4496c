/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_SESSION_H
#define ISOLATE_HELPER_SESSION_H

/* One login's stay in a sandbox, as the supervisor knows it. */

#include "helper/cgroup.h"
#include "helper/record.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct session {
	struct session *next;
	char id[SESSION_ID_SIZE];
	char *service, *tty;
	pid_t leader;     /* 0: he has left */
	int leader_pidfd; /* -1: he has left */
	struct cgroup_stay stay;
	struct record record;
	uint64_t since; /* clock_boottime() */
	time_t started; /* the same by the calendar */
};

/* A session that has no record yet, whose leader's pidfd it takes over. NULL: no memory; then the pidfd is the caller's still. */
struct session *session_new(const struct request *request, pid_t leader, int leader_pidfd);

/* Takes the leader's fds away: nobody has to be watched any more. */
void session_forget_leader(struct session *session);

/* Removes the record, or lets it lie where store is NULL, and frees the session. */
void session_free(struct session *session, const struct record_store *store);

/* A leader that has ended may have left its pid to another process by now. */
bool session_leader_lives(const struct session *session);

#endif
