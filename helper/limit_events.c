/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/limit_events.h"

#include "helper/cgroup_backend.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>

#define SETTLE_MILLISECONDS 100
#define RETRY_MILLISECONDS 2000
#define LOOK_MILLISECONDS 5000
#define TEXT_SIZE 1024

/* The first of the fds of each concern, to which the level is added. */
enum { MEMORY = 0, TASKS = LIMIT_LEVELS };

_Static_assert(TASKS + LIMIT_LEVELS == LIMIT_EVENTS_FDS, "an fd for each level of each concern");

/* ---- open ---- */

/* *fd stays -1 where there is no such file. */
static int watch_file(const struct cgroup *cgroup, enum cgroup_level level, const char *controller, const char *file, int *fd,
	struct error *err)
{
	int r = cgroup_open_file(cgroup, level, controller, file, O_RDONLY);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return error_set(err, -r, "limit events", "%s of %s", file, cgroup->path);
	*fd = r;
	return 0;
}

/* v1: an eventfd that counts how often the group, or one above, was out of memory. */
static int subscribe(const struct cgroup *cgroup, enum cgroup_level level, int *fd, struct error *err)
{
	AUTO_CLOSE int oom = cgroup_open_file(cgroup, level, "memory", "memory.oom_control", O_RDONLY);
	AUTO_CLOSE int control = cgroup_open_file(cgroup, level, "memory", "cgroup.event_control", O_WRONLY);
	AUTO_CLOSE int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	char text[32];

	if (oom == -ENOENT || control == -ENOENT)
		return 0;
	if (oom < 0 || control < 0)
		return error_set(err, oom < 0 ? -oom : -control, "limit events", "the OOM notification of %s", cgroup->path);
	snprintf(text, sizeof(text), "%d %d", event, oom);
	if (event >= 0 && write(control, text, strlen(text)) >= 0) {
		*fd = take_fd(&event);
		return 0;
	}
	/* A kernel for real time has the file, but nothing behind it. */
	return errno == EOPNOTSUPP ? 0 : error_set(err, errno, "limit events", "the OOM notification of %s", cgroup->path);
}

static int open_level(struct limit_events *events, const struct cgroup *cgroup, enum cgroup_level level, struct error *err)
{
	int *memory = &events->fds[MEMORY + level], *tasks = &events->fds[TASKS + level];
	int r = events->is_v2 ? watch_file(cgroup, level, "memory", "memory.events", memory, err)
			      : subscribe(cgroup, level, memory, err);

	/* Only the group's own limit, not those below: else each login would hear of the others' TasksMax at the user's group. */
	if (r >= 0 && events->is_v2)
		r = watch_file(cgroup, level, "pids", "pids.events.local", tasks, err);
	if (r >= 0 && *tasks < 0)
		r = watch_file(cgroup, level, "pids", "pids.events", tasks, err);
	return r;
}

/* ---- the counters ---- */

/* The number in the line "name number" of text; value where there is none. */
static uint64_t counter_in(const char *text, const char *name, uint64_t value)
{
	size_t length = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, length) == 0 && line[length] == ' ')
			return strtoull(line + length + 1, NULL, 10);
	}
	return value;
}

/* Reading also makes poll(2) wait for the next change. What cannot be read any more is not worth to be polled. */
static const char *read_watched(int *fd, char text[TEXT_SIZE])
{
	if (*fd >= 0 && read_fd(*fd, text, TEXT_SIZE) >= 0)
		return text;
	cleanup_close(fd);
	return "";
}

static void read_memory_v2(struct limit_events *events, struct limit_counts *counts)
{
	char text[TEXT_SIZE];

	for (int level = 0; level < LIMIT_LEVELS; level++) {
		const char *lines = read_watched(&events->fds[MEMORY + level], text);

		counts->memory_over[level] = counter_in(lines, "oom", counts->memory_over[level]);
		if (level == CGROUP_SANDBOX)
			counts->memory_kills = counter_in(lines, "oom_kill", counts->memory_kills);
	}
}

struct sum {
	const char *file, *name;
	uint64_t number;
};

static void add_up(int group, void *data)
{
	struct sum *sum = data;
	char text[TEXT_SIZE];

	if (read_file_at(group, sum->file, text, sizeof(text)) >= 0)
		sum->number += counter_in(text, sum->name, 0);
}

/* What the groups have counted in which the processes are; value where that cannot be told. */
static uint64_t count_in_parts(
	const struct cgroup *cgroup, const char *controller, const char *file, const char *name, uint64_t value)
{
	struct sum sum = { .file = file, .name = name };

	return cgroup_each_group(cgroup, controller, add_up, &sum) < 0 ? value : sum.number;
}

static void read_memory_v1(struct limit_events *events, const struct cgroup *cgroup, struct limit_counts *counts)
{
	char text[TEXT_SIZE];

	for (int level = 0; level < LIMIT_LEVELS; level++) {
		uint64_t times;

		if (events->fds[MEMORY + level] >= 0 &&
			read(events->fds[MEMORY + level], &times, sizeof(times)) == (ssize_t)sizeof(times))
			counts->memory_over[level] += times;
	}
	if (events->in_parts)
		counts->memory_kills = count_in_parts(cgroup, "memory", "memory.oom_control", "oom_kill", counts->memory_kills);
	else if (cgroup_read_file(cgroup, CGROUP_SANDBOX, "memory", "memory.oom_control", text, sizeof(text)) >= 0)
		counts->memory_kills = counter_in(text, "oom_kill", counts->memory_kills);
}

static void read_counts(struct limit_events *events, const struct cgroup *cgroup, struct limit_counts *counts)
{
	char text[TEXT_SIZE];

	if (events->is_v2)
		read_memory_v2(events, counts);
	else
		read_memory_v1(events, cgroup, counts);
	for (int level = 0; level < LIMIT_LEVELS; level++)
		counts->tasks_refused[level] =
			counter_in(read_watched(&events->fds[TASKS + level], text), "max", counts->tasks_refused[level]);
	if (events->in_parts)
		counts->tasks_refused[CGROUP_SANDBOX] =
			count_in_parts(cgroup, "pids", "pids.events", "max", counts->tasks_refused[CGROUP_SANDBOX]);
}

/* Systemd's slice, whose processes are in scopes: before Linux 6.12, and in v1, the group counts whose process it was. */
static bool counts_in_parts(const struct limit_events *events, const struct cgroup *cgroup)
{
	AUTO_CLOSE int local = -1;

	if (!cgroup->is_users)
		return false;
	if (events->is_v2)
		local = cgroup_open_file(cgroup, CGROUP_SANDBOX, "pids", "pids.events.local", O_RDONLY);
	return local < 0;
}

int limit_events_open(const struct cgroup *cgroup, struct limit_events *ret_events, struct error *err)
{
	struct limit_events events = LIMIT_EVENTS_NONE;
	int r = 0;

	events.is_v2 = cgroup->backend == &cgroup_backend_v2;
	for (int level = 0; level < LIMIT_LEVELS && r >= 0; level++)
		r = open_level(&events, cgroup, (enum cgroup_level)level, err);
	if (r < 0) {
		limit_events_release(&events);
		return r;
	}
	events.in_parts = counts_in_parts(&events, cgroup);
	read_counts(&events, cgroup, &events.seen);
	if (events.in_parts ||
		(!events.is_v2 && (cgroup_hierarchy_of(cgroup, "memory") || cgroup_hierarchy_of(cgroup, "pids")))) {
		events.look_every = LOOK_MILLISECONDS;
		events.due = clock_milliseconds() + events.look_every;
	}
	*ret_events = events;
	return 0;
}

void limit_events_release(struct limit_events *events)
{
	for (size_t i = 0; i < LIMIT_EVENTS_FDS; i++)
		cleanup_close(&events->fds[i]);
	*events = LIMIT_EVENTS_NONE;
}

/* ---- what they say ---- */

/* v2 counts the trouble of a group in all above it, v1 notifies all below it. */
static enum limit_owner memory_limit(const struct limit_events *events)
{
	/* v1 without the notification: most often it is this one. */
	if (!events->is_v2 && events->fds[MEMORY + CGROUP_SANDBOX] < 0)
		return LIMIT_OF_SANDBOX;
	if (events->over[CGROUP_SANDBOX] && (events->is_v2 || !events->over[CGROUP_USER]))
		return LIMIT_OF_SANDBOX;
	return events->over[CGROUP_USER] ? LIMIT_OF_USER : LIMIT_OF_MACHINE;
}

/* How many more tasks may be in the group: UINT64_MAX where there is no limit. */
static uint64_t tasks_left(const struct cgroup *cgroup, enum cgroup_level level)
{
	char max[32], current[32];
	uint64_t limit, n;

	if (cgroup_read_file(cgroup, level, "pids", "pids.max", max, sizeof(max)) < 0 || strcmp(max, "max") == 0 ||
		cgroup_read_file(cgroup, level, "pids", "pids.current", current, sizeof(current)) < 0)
		return UINT64_MAX;
	limit = strtoull(max, NULL, 10);
	n = strtoull(current, NULL, 10);
	return limit > n ? limit - n : 0;
}

/* The group that counts is, by kernel, the one whose limit it was or the one whose process asked: so the limit that has the least
 * room left. The sandbox's is the first that the kernel looks at. */
static enum limit_owner tasks_limit(const struct cgroup *cgroup)
{
	uint64_t sandbox = tasks_left(cgroup, CGROUP_SANDBOX), user = tasks_left(cgroup, CGROUP_USER);

	if (sandbox == UINT64_MAX && user == UINT64_MAX)
		return LIMIT_OF_MACHINE;
	return sandbox <= user ? LIMIT_OF_SANDBOX : LIMIT_OF_USER;
}

/* How much a counter has gone up. */
static uint64_t rise(uint64_t before, uint64_t now)
{
	return now > before ? now - before : 0;
}

static bool compare(const struct limit_events *events, const struct cgroup *cgroup, const struct limit_counts *now,
	struct limit_news *ret_news)
{
	const struct limit_counts *seen = &events->seen;
	struct limit_news news = {
		.memory_kills = rise(seen->memory_kills, now->memory_kills),
		.memory_limit = memory_limit(events),
		.tasks_refused = rise(seen->tasks_refused[CGROUP_SANDBOX], now->tasks_refused[CGROUP_SANDBOX]),
		.tasks_limit = LIMIT_OF_USER,
	};

	if (news.tasks_refused > 0)
		news.tasks_limit = tasks_limit(cgroup);
	else
		news.tasks_refused = rise(seen->tasks_refused[CGROUP_USER], now->tasks_refused[CGROUP_USER]);
	if (news.memory_kills == 0 && news.tasks_refused == 0)
		return false;
	*ret_news = news;
	return true;
}

/* ---- the loop ---- */

int limit_events_watch(const struct limit_events *events, struct pollfd pollfds[LIMIT_EVENTS_FDS])
{
	int64_t left;

	for (int i = 0; i < LIMIT_EVENTS_FDS; i++)
		pollfds[i] = (struct pollfd){
			.fd = events->settling ? -1 : events->fds[i],
			.events = i < TASKS && !events->is_v2 ? POLLIN : POLLPRI,
		};
	if (events->due < 0)
		return -1;
	left = events->due - clock_milliseconds();
	return left > 0 ? (int)left : 0;
}

static bool is_heard(const struct pollfd pollfds[LIMIT_EVENTS_FDS])
{
	for (size_t i = 0; i < LIMIT_EVENTS_FDS; i++)
		if (pollfds[i].revents)
			return true;
	return false;
}

/* Notes whose limits were hit. Returns whether there were any. */
static bool note_over(struct limit_events *events, const struct limit_counts *now)
{
	bool any = false;

	for (int level = 0; level < LIMIT_LEVELS; level++) {
		if (now->memory_over[level] > events->seen.memory_over[level])
			events->over[level] = true;
		any = any || events->over[level];
	}
	return any;
}

/* Reads the counters, and says when to do so next. */
static bool look(struct limit_events *events, const struct cgroup *cgroup, int64_t now, struct limit_news *ret_news)
{
	struct limit_counts counts = events->seen;
	bool is_over, is_news;
	int pause = events->look_every;

	read_counts(events, cgroup, &counts);
	is_over = note_over(events, &counts);
	is_news = compare(events, cgroup, &counts, ret_news);
	/* Nobody killed yet: what was heard is remembered for one more look, be it that somebody is, or not for us. */
	if (is_over && events->settling && counts.memory_kills == events->seen.memory_kills)
		pause = RETRY_MILLISECONDS;
	else
		memset(events->over, 0, sizeof(events->over));
	events->seen = counts;
	events->settling = false;
	events->due = pause ? now + pause : -1;
	return is_news;
}

bool limit_events_read(struct limit_events *events, const struct cgroup *cgroup, const struct pollfd pollfds[LIMIT_EVENTS_FDS],
	struct limit_news *ret_news)
{
	int64_t now = clock_milliseconds();

	if (!events->settling && is_heard(pollfds)) {
		events->settling = true;
		events->due = now + SETTLE_MILLISECONDS;
	}
	if (events->due < 0 || now < events->due)
		return false;
	return look(events, cgroup, now, ret_news);
}

bool limit_events_last(struct limit_events *events, const struct cgroup *cgroup, struct limit_news *ret_news)
{
	return look(events, cgroup, clock_milliseconds(), ret_news);
}
