/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_LIMIT_EVENTS_H
#define ISOLATE_HELPER_LIMIT_EVENTS_H

/*
 * What the kernel says when a limit bites: memory.events and pids.events of the sandbox's group and of the user's above it
 * (Documentation/admin-guide/cgroup-v2.rst of the kernel), in v1 the memory controller's OOM notification and pids.events
 * (cgroup-v1/memory.rst). For a poll(2) loop that does other things, too:
 *
 *	for (;;) {
 *		int milliseconds = limit_events_watch(&events, &pollfds[N]);
 *
 *		poll(pollfds, N + LIMIT_EVENTS_FDS, the smaller of milliseconds and others, -1 being none);
 *		if (limit_events_read(&events, &cgroup, &pollfds[N], &news))
 *			...
 *	}
 *
 * What is heard is looked at 100 ms later, and not polled for until then: v1 speaks before it kills, v2 once for each of a burst.
 * A kill that is not counted by then (the kernel writes its log before: a slow console) is news when it is.
 */

#include "helper/cgroup.h"
#include "lib/error.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#define LIMIT_EVENTS_FDS 4
#define LIMIT_LEVELS 2

/* Whose limit it was. The first two are the levels of enum cgroup_level. */
enum limit_owner {
	LIMIT_OF_SANDBOX = CGROUP_SANDBOX,
	LIMIT_OF_USER = CGROUP_USER,
	LIMIT_OF_MACHINE, /* none of ours: the machine's, or that of a group above both */
	LIMIT_OF_PART,    /* of a group below the sandbox's, set by somebody in there */
};

struct limit_counts {
	uint64_t memory_kills;              /* of the sandbox's processes, for whatever limit */
	uint64_t memory_over[LIMIT_LEVELS]; /* how often a limit of this level (v2: or below, v1: or above) let nothing more in */
	uint64_t tasks_refused[LIMIT_LEVELS];
};

struct limit_events {
	int fds[LIMIT_EVENTS_FDS];
	bool is_v2;
	bool in_parts; /* refused forks, in v1 kills, too, are counted in the groups below the sandbox's, and not told of */
	bool settling; /* something was heard; the counters are read when it is due */
	bool over[LIMIT_LEVELS]; /* whose limit was, lately, the reason for a kill that is not counted yet */
	int look_every;          /* milliseconds; 0: what there is to know is heard by poll */
	int64_t due; /* when the counters are read next, as clock_milliseconds() counts; -1: when something is heard */
	struct limit_counts seen;
};

/* One that watches nothing. */
#define LIMIT_EVENTS_NONE ((struct limit_events){ .fds = { -1, -1, -1, -1 }, .due = -1 })

struct limit_news {
	uint64_t memory_kills;         /* how many of the sandbox's processes were killed; 0: memory is no news */
	enum limit_owner memory_limit; /* never LIMIT_OF_PART; the kernel's log knows better: helper/oom.h */
	uint64_t tasks_refused;        /* how many forks and clones failed; 0: tasks are no news */
	enum limit_owner tasks_limit;
};

/*
 * Starts to watch: what was before is no news. A controller, a group or a file that is not there is not watched, which is no
 * error. *ret_events is the caller's, for limit_events_release(); before the groups are removed, if it is to be in order.
 *
 * Known to be missed: in v1 what happens in groups below the sandbox's; in v2 before Linux 6.12 the forks refused there. Both are
 * looked for in the scopes of a slice, every 5 s; what one has counted that ends in between is missed.
 * Since 6.12, v2 does not say whose fork the user's limit refused: each of his logins hears of it.
 */
int limit_events_open(const struct cgroup *cgroup, struct limit_events *ret_events, struct error *err);

/* Fills pollfds, the fd of some being -1. Returns the milliseconds that poll(2) may wait for, or -1. In v1 these are never more
 * than 5000, for there is what v1 does not tell by poll: kills for want of the machine's memory, and since Linux 6.12 (found on
 * 6.18) anything that pids.events counts. */
int limit_events_watch(const struct limit_events *events, struct pollfd pollfds[LIMIT_EVENTS_FDS]);

/* To be called after each poll(2), with the pollfds of limit_events_watch(). True: *ret_news is what has happened since it last
 * was true. Else *ret_news is left alone. Closes what has become unreadable (a group removed by others), so that poll does not
 * return for it for ever. */
bool limit_events_read(struct limit_events *events, const struct cgroup *cgroup, const struct pollfd pollfds[LIMIT_EVENTS_FDS],
	struct limit_news *ret_news);

/* Closes the fds and makes *events LIMIT_EVENTS_NONE. */
void limit_events_release(struct limit_events *events);

/* The last look, before the groups are left: as limit_events_read(), whatever poll(2) has said. */
bool limit_events_last(struct limit_events *events, const struct cgroup *cgroup, struct limit_news *ret_news);

#endif
