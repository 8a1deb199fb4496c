/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_NOTICE_H
#define ISOLATE_HELPER_NOTICE_H

/*
 * What the user is told on his terminals, and the administrator in syslog, when a limit bites: what happened, which limit it was,
 * what to do. One line; the user's has no pid and no path of the host. Of each kind at most one in 10 seconds, and of refused
 * forks fewer and fewer while there is no end of them; what is kept back is counted in the next.
 */

#include "helper/cgroup.h"
#include "helper/limit_events.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The sandbox that it is about. All is the caller's. */
struct notice_sandbox {
	const struct cgroup *cgroup;
	uid_t uid;
	const char *id, *user;
	const pid_t *leaders; /* see terminals_tell() */
	size_t n_leaders;
};

enum notice_kind { NOTICE_MEMORY, NOTICE_TASKS, NOTICE_KINDS };

#define NOTICE_LINE_SIZE 384

/* All zero at first. */
struct notices {
	struct {
		uint64_t count; /* what is to be told: this many, the last for this limit */
		enum limit_owner limit;
		bool kept_back;
		int64_t told; /* when the last one was, as clock_milliseconds() counts */
		int pause;    /* milliseconds until the next */
	} kinds[NOTICE_KINDS];
	uint64_t log_sequence; /* of oom_find() */
	/* What could not be written yet, or empty. */
	struct {
		char text[NOTICE_LINE_SIZE];
		int64_t next, last; /* when it is tried again, and for the last time */
	} line;
};

/* Tells what news says, and what was kept back and is due. news may be NULL: only the latter. To be called, so, when
 * notice_milliseconds() is 0. Never waits for a terminal. */
void notice_limits(struct notices *notices, const struct notice_sandbox *who, const struct limit_news *news);

/* The same at the end: what was kept back is told now, and nothing is left to be told later. */
void notice_rest(struct notices *notices, const struct notice_sandbox *who, const struct limit_news *news);

/* How many milliseconds from now what is kept back is due; -1: nothing is kept back. For poll(2). */
int notice_milliseconds(const struct notices *notices);

/* Writes a line of the caller's to the terminals, not to syslog: now, or in the next seconds where no process can be made that
 * does it. */
void notice_text(struct notices *notices, const struct notice_sandbox *who, const char *line);

#endif
