/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/notice.h"

#include "helper/cgroup_backend.h"
#include "helper/oom.h"
#include "helper/terminal.h"
#include "lib/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#define PREFIX "pam_isolate: "
#define WORDS_SIZE 128
#define LIMIT_SIZE 48
/* v1 says a number near the largest for none. */
#define NO_LIMIT (UINT64_C(1) << 62)

#define PAUSE_MILLISECONDS 10000
/* Between two tries to write a line, and how long it is worth it. */
#define RETRY_MILLISECONDS 250
#define LINE_MILLISECONDS 10000
/* A killed process is worth a line each; forks that fail in a loop say the same for days. */
static const int longest_pause[NOTICE_KINDS] = { [NOTICE_MEMORY] = PAUSE_MILLISECONDS, [NOTICE_TASKS] = 32 * PAUSE_MILLISECONDS };

/* A limit as it is told. */
struct limit {
	enum limit_owner owner;
	char number[LIMIT_SIZE]; /* empty: not known, or there is none any more */
};

static const char *const keys[NOTICE_KINDS][LIMIT_LEVELS] = {
	[NOTICE_MEMORY] = { [LIMIT_OF_SANDBOX] = "MemoryMax", [LIMIT_OF_USER] = "UserMemoryMax" },
	[NOTICE_TASKS] = { [LIMIT_OF_SANDBOX] = "TasksMax", [LIMIT_OF_USER] = "UserTasksMax" },
};

/* ---- the limit in force ---- */

static uint64_t size_of(unsigned int unit)
{
	return UINT64_C(1024) << (10 * unit);
}

static bool has_one_decimal(uint64_t bytes, unsigned int unit)
{
	return bytes % size_of(unit) * 10 % size_of(unit) == 0;
}

/* 512M, 1.5G; 1280M rather than 1.2G, but 11.7G for what one decimal is not enough for in either. */
static void format_bytes(uint64_t bytes, char text[LIMIT_SIZE])
{
	static const char units[] = "KMGT";
	unsigned int unit = 0;
	uint64_t whole, tenths;

	while (units[unit + 1] && bytes >> (10 * (unit + 2)))
		unit++;
	if (unit > 0 && !has_one_decimal(bytes, unit) && has_one_decimal(bytes, unit - 1))
		unit--;
	whole = bytes / size_of(unit);
	tenths = bytes % size_of(unit) * 10 / size_of(unit);
	if (tenths > 0)
		snprintf(text, LIMIT_SIZE, "%" PRIu64 ".%" PRIu64 "%c", whole, tenths, units[unit]);
	else
		snprintf(text, LIMIT_SIZE, "%" PRIu64 "%c", whole, units[unit]);
}

static const char *limit_file(const struct cgroup *cgroup, enum notice_kind kind)
{
	if (kind == NOTICE_TASKS)
		return "pids.max";
	return cgroup->backend == &cgroup_backend_v2 ? "memory.max" : "memory.limit_in_bytes";
}

static void read_limit(const struct cgroup *cgroup, enum notice_kind kind, struct limit *limit)
{
	char text[LIMIT_SIZE];
	uint64_t number;
	ssize_t n;

	limit->number[0] = '\0';
	if (limit->owner >= LIMIT_LEVELS)
		return;
	n = cgroup_read_file(cgroup, (enum cgroup_level)limit->owner, kind == NOTICE_MEMORY ? "memory" : "pids",
		limit_file(cgroup, kind), text, sizeof(text));
	/* The group above the sandbox's is not one of a user's. */
	if (n == -ENOENT && limit->owner == LIMIT_OF_USER)
		limit->owner = LIMIT_OF_MACHINE;
	if (n <= 0 || text[0] < '0' || text[0] > '9')
		return;
	number = strtoull(text, NULL, 10);
	if (kind == NOTICE_TASKS)
		snprintf(limit->number, LIMIT_SIZE, "%" PRIu64, number);
	else if (number < NO_LIMIT)
		format_bytes(number, limit->number);
}

/* ---- the sentences ---- */

/* "MemoryMax=512M" */
static void put_limit(enum notice_kind kind, const struct limit *limit, char words[WORDS_SIZE])
{
	if (limit->owner < LIMIT_LEVELS)
		snprintf(words, WORDS_SIZE, "%s=%s", keys[kind][limit->owner], limit->number[0] ? limit->number : "?");
	else
		snprintf(words, WORDS_SIZE, limit->owner == LIMIT_OF_PART ? "set within the session" : "of the machine");
}

static void put_killed(const char *name, uint64_t count, char words[WORDS_SIZE])
{
	if (!name[0] && count == 1)
		snprintf(words, WORDS_SIZE, "a process was");
	else if (!name[0])
		snprintf(words, WORDS_SIZE, "%" PRIu64 " processes were", count);
	else if (count == 1)
		snprintf(words, WORDS_SIZE, "%s was", name);
	else
		snprintf(words, WORDS_SIZE, "%s and %" PRIu64 " more were", name, count - 1);
}

static void put_reason(const struct limit *limit, char words[WORDS_SIZE])
{
	const char *who = limit->owner == LIMIT_OF_SANDBOX ? "your login" : "all your logins together";

	if (limit->owner == LIMIT_OF_MACHINE)
		snprintf(words, WORDS_SIZE, "this machine ran out of memory");
	else if (limit->owner == LIMIT_OF_PART)
		snprintf(words, WORDS_SIZE, "a limit that was set within your login was reached");
	else
		snprintf(words, WORDS_SIZE, "%s may use %s (%s=)", who, limit->number[0] ? limit->number : "no more",
			keys[NOTICE_MEMORY][limit->owner]);
}

static const char *memory_advice(enum limit_owner owner)
{
	switch (owner) {
	case LIMIT_OF_MACHINE:
		return "It was not for a limit of yours: try again later, or tell your administrator.";
	case LIMIT_OF_PART:
		return "Use less memory at a time, or raise that limit.";
	default:
		return "Use less memory at a time, or ask your administrator for more.";
	}
}

static void tell_user_of_memory(struct notices *notices, const struct notice_sandbox *who, const struct limit *limit,
	const struct oom_victim *victim, uint64_t count)
{
	char line[NOTICE_LINE_SIZE], killed[WORDS_SIZE], reason[WORDS_SIZE];

	put_killed(victim->name, count, killed);
	put_reason(limit, reason);
	snprintf(line, sizeof(line), PREFIX "out of memory: %s killed, because %s. %s", killed, reason,
		memory_advice(limit->owner));
	notice_text(notices, who, line);
}

static void log_memory(
	const struct notice_sandbox *who, const struct limit *limit, const struct oom_victim *victim, uint64_t count)
{
	char words[WORDS_SIZE], more[32] = "";

	put_limit(NOTICE_MEMORY, limit, words);
	if (count > 1)
		snprintf(more, sizeof(more), " and %" PRIu64 " more", count - 1);
	if (victim->pid > 0)
		syslog(LOG_WARNING, "session %s of %s: out of memory: killed %s (pid %d)%s, limit %s", who->id, who->user,
			victim->name, victim->pid, more, words);
	else
		syslog(LOG_WARNING, "session %s of %s: out of memory: killed a process%s, limit %s", who->id, who->user, more,
			words);
}

static void tell_memory(struct notices *notices, const struct notice_sandbox *who, enum limit_owner owner, uint64_t count)
{
	struct oom_victim victim = { .pid = 0 };
	struct limit limit = { .owner = owner };

	/* Without it, or without a line in it, there is no name to tell; and who it was for is what the counters say. */
	if (oom_find(OOM_LOG, who->cgroup->path, &notices->log_sequence, &victim) > 0)
		limit.owner = victim.limit;
	read_limit(who->cgroup, NOTICE_MEMORY, &limit);
	tell_user_of_memory(notices, who, &limit, &victim, count);
	log_memory(who, &limit, &victim, count);
}

static void put_full(const struct limit *limit, char words[WORDS_SIZE])
{
	bool one = limit->owner != LIMIT_OF_USER;
	const char *who = limit->owner == LIMIT_OF_SANDBOX ? "your login"
			  : limit->owner == LIMIT_OF_USER  ? "all your logins together"
							   : "this machine";
	int n = snprintf(words, WORDS_SIZE, "%s %s as many as %s may have", who, one ? "has" : "have", one ? "it" : "they");

	if (limit->owner < LIMIT_LEVELS)
		snprintf(words + n, WORDS_SIZE - (size_t)n, "%s%s (%s=)", limit->number[0] ? ", " : "", limit->number,
			keys[NOTICE_TASKS][limit->owner]);
}

static void tell_tasks(struct notices *notices, const struct notice_sandbox *who, enum limit_owner owner, uint64_t count)
{
	struct limit limit = { .owner = owner };
	char line[NOTICE_LINE_SIZE], words[WORDS_SIZE], refused[48] = "";

	read_limit(who->cgroup, NOTICE_TASKS, &limit);
	if (count > 1)
		snprintf(refused, sizeof(refused), " (%" PRIu64 " were refused)", count);
	put_full(&limit, words);
	snprintf(line, sizeof(line), PREFIX "no more processes%s: %s. %s", refused, words,
		limit.owner == LIMIT_OF_MACHINE ? "Try again later, or tell your administrator." : "End some of them.");
	notice_text(notices, who, line);
	put_limit(NOTICE_TASKS, &limit, words);
	syslog(LOG_WARNING, "session %s of %s: no more processes: refused %" PRIu64 ", limit %s", who->id, who->user, count,
		words);
}

static void try_line(struct notices *notices, const struct notice_sandbox *who, int64_t now)
{
	if (!notices->line.text[0] || now < notices->line.next)
		return;
	notices->line.next = now + RETRY_MILLISECONDS;
	if (terminals_tell(who->cgroup, who->uid, who->leaders, who->n_leaders, notices->line.text) >= 0 ||
		now >= notices->line.last)
		notices->line.text[0] = '\0';
}

/* In the place of an older one: the newest is the one that is worth a second try. */
void notice_text(struct notices *notices, const struct notice_sandbox *who, const char *line)
{
	int64_t now = clock_milliseconds();

	snprintf(notices->line.text, sizeof(notices->line.text), "%s", line);
	notices->line.next = now;
	notices->line.last = now + LINE_MILLISECONDS;
	try_line(notices, who, now);
}

/* ---- when ---- */

static int64_t due_in(const struct notices *notices, enum notice_kind kind, int64_t now)
{
	int64_t left = notices->kinds[kind].told + notices->kinds[kind].pause - now;

	return left > 0 ? left : 0;
}

static void add(struct notices *notices, enum notice_kind kind, uint64_t count, enum limit_owner limit)
{
	if (count == 0)
		return;
	notices->kinds[kind].count += count;
	notices->kinds[kind].limit = limit;
}

/* Done with what was told. There is no end of it when the next is there before its time. */
static void rest(struct notices *notices, enum notice_kind kind, int64_t now)
{
	int pause = PAUSE_MILLISECONDS;

	if (notices->kinds[kind].kept_back && 2 * notices->kinds[kind].pause <= longest_pause[kind])
		pause = 2 * notices->kinds[kind].pause;
	else if (notices->kinds[kind].kept_back)
		pause = longest_pause[kind];
	notices->kinds[kind].count = 0;
	notices->kinds[kind].kept_back = false;
	notices->kinds[kind].told = now;
	notices->kinds[kind].pause = pause;
}

static void tell_if_due(struct notices *notices, const struct notice_sandbox *who, enum notice_kind kind, int64_t now)
{
	uint64_t count = notices->kinds[kind].count;

	if (count == 0)
		return;
	if (due_in(notices, kind, now) > 0) {
		notices->kinds[kind].kept_back = true;
		return;
	}
	if (kind == NOTICE_MEMORY)
		tell_memory(notices, who, notices->kinds[kind].limit, count);
	else
		tell_tasks(notices, who, notices->kinds[kind].limit, count);
	rest(notices, kind, now);
}

void notice_limits(struct notices *notices, const struct notice_sandbox *who, const struct limit_news *news)
{
	int64_t now = clock_milliseconds();

	try_line(notices, who, now);
	if (news) {
		add(notices, NOTICE_MEMORY, news->memory_kills, news->memory_limit);
		add(notices, NOTICE_TASKS, news->tasks_refused, news->tasks_limit);
	}
	tell_if_due(notices, who, NOTICE_MEMORY, now);
	tell_if_due(notices, who, NOTICE_TASKS, now);
}

void notice_rest(struct notices *notices, const struct notice_sandbox *who, const struct limit_news *news)
{
	for (int i = 0; i < NOTICE_KINDS; i++)
		notices->kinds[i].pause = 0;
	notices->line.next = 0;
	notice_limits(notices, who, news);
	notices->line.text[0] = '\0';
}

int notice_milliseconds(const struct notices *notices)
{
	int64_t now = clock_milliseconds(), soonest = -1;

	if (notices->line.text[0])
		soonest = notices->line.next > now ? notices->line.next - now : 0;
	for (int i = 0; i < NOTICE_KINDS; i++) {
		int64_t left = due_in(notices, (enum notice_kind)i, now);

		if (notices->kinds[i].count > 0 && (soonest < 0 || left < soonest))
			soonest = left;
	}
	return (int)soonest;
}
