/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/oom.h"

#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

/* A record of ours has some 200 bytes; one that does not fit is skipped by the kernel. */
#define RECORD_SIZE 2048
/* A log of 8 MB; each takes 1.5 us. */
#define RECORDS_MAX 100000
#define STALE_MICROSECONDS (UINT64_C(60) * 1000 * 1000)

struct record {
	uint64_t sequence;
	uint64_t microseconds;
	char *text;
};

/* "priority,sequence,microseconds,flags[,...];text\n key=value lines". Only the kernel itself can log with facility 0. */
static bool parse_record(char *line, struct record *record)
{
	unsigned int priority;
	char *text = strchr(line, ';');

	if (!text || sscanf(line, "%u,%" SCNu64 ",%" SCNu64 ",", &priority, &record->sequence, &record->microseconds) != 3 ||
		priority > 7)
		return false;
	record->text = text + 1;
	record->text[strcspn(record->text, "\n")] = '\0';
	return true;
}

static bool is_within(const char *path, size_t length, const char *group, size_t group_length)
{
	return length >= group_length && strncmp(path, group, group_length) == 0 &&
	       (length == group_length || path[group_length] == '/' || group_length == 1);
}

/*
 * Whose limit it is when group was out of memory and killed in path. -1: the kernel does not do that, a group kills only in
 * itself. A user who may make groups may choose their names, "x,task_memcg=" among them, but not where they are.
 */
static int owner_of(const char *group, size_t length, const char *path)
{
	size_t of_path = strlen(path), of_user = (size_t)(strrchr(path, '/') - path);

	if (is_within(group, length, path, of_path))
		return length == of_path ? LIMIT_OF_SANDBOX : LIMIT_OF_PART;
	if (!is_within(path, of_path, group, length))
		return -1;
	return length == of_user ? LIMIT_OF_USER : LIMIT_OF_MACHINE;
}

/* Finds the killed process' group in a line, and whose limit it was. Returns what follows path in it, or NULL. */
static const char *find_group(const char *text, const char *path, enum limit_owner *ret_limit)
{
	static const char of_group[] = ",oom_memcg=", of_machine[] = ",global_oom", of_task[] = ",task_memcg=";
	/* Of what stands before, only the name of the cpuset is anybody's choice, and no name has a '/'. */
	const char *group = strstr(text, ",oom_memcg=/"), *machine = strstr(text, ",global_oom,task_memcg=/"), *task;
	int limit = LIMIT_OF_MACHINE;

	if (group && (!machine || group < machine)) {
		group += strlen(of_group);
		task = strstr(group, of_task);
		limit = task ? owner_of(group, (size_t)(task - group), path) : -1;
	} else {
		task = machine ? machine + strlen(of_machine) : NULL;
	}
	if (!task || limit < 0)
		return NULL;
	task += strlen(of_task);
	if (strncmp(task, path, strlen(path)) != 0)
		return NULL;
	*ret_limit = (enum limit_owner)limit;
	return task + strlen(path);
}

/* The place of key when it and a number are what comes last between start and end, or NULL. */
static const char *before_number(const char *start, const char *end, const char *key)
{
	size_t length = strlen(key);
	const char *number = end;

	while (number > start && number[-1] >= '0' && number[-1] <= '9')
		number--;
	if (number == end || (size_t)(number - start) < length || memcmp(number - length, key, length) != 0)
		return NULL;
	return number - length;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *place = c ? strchr(digits, c) : NULL;

	return place ? (int)(place - digits) : -1;
}

/* Takes what the log holds between start and end, where \xNN is one byte. */
static void copy_name(const char *start, const char *end, char name[16])
{
	size_t n = 0;

	while (start < end && n < 15) {
		int c = (unsigned char)*start;

		if (c == '\\' && end - start >= 4 && start[1] == 'x' && hex_digit(start[2]) >= 0 && hex_digit(start[3]) >= 0) {
			c = hex_digit(start[2]) * 16 + hex_digit(start[3]);
			start += 3;
		}
		name[n++] = c >= ' ' && c <= '~' ? (char)c : '?';
		start++;
	}
	name[n] = '\0';
}

static bool parse_kill(const char *text, const char *path, struct oom_victim *victim)
{
	static const char begin[] = "oom-kill:constraint=", of_name[] = ",task=";
	const char *end = text + strlen(text), *name, *pid, *uid;

	if (strncmp(text, begin, strlen(begin)) != 0)
		return false;
	name = find_group(text, path, &victim->limit);
	if (!name || (*name != '/' && *name != ','))
		return false;
	name = strstr(name, of_name);
	if (!name)
		return false;
	name += strlen(of_name);
	/* Hostile bytes from here on, but for what the kernel has put behind them. */
	uid = before_number(name, end, ",uid=");
	pid = uid ? before_number(name, uid, ",pid=") : NULL;
	if (!pid)
		return false;
	victim->pid = (pid_t)strtol(pid + strlen(",pid="), NULL, 10);
	copy_name(name, pid, victim->name);
	return true;
}

int oom_find_in(int fd, const char *path, uint64_t *sequence, struct oom_victim *ret_victim)
{
	struct oom_victim victim = { .pid = 0 }, last = { .pid = 0 };
	struct record record = { .microseconds = 0 }, found = { .microseconds = 0 };
	char line[RECORD_SIZE];
	bool any = false;

	for (int i = 0; i < RECORDS_MAX; i++) {
		ssize_t n = read(fd, line, sizeof(line) - 1);

		/* Overwritten before it was read (EPIPE), or too long (EINVAL): the next read is of the next record. */
		if (n < 0 && (errno == EPIPE || errno == EINVAL || errno == EINTR))
			continue;
		if (n == 0 || (n < 0 && errno == EAGAIN))
			break;
		if (n < 0)
			return -errno;
		line[n] = '\0';
		if (parse_record(line, &record) && record.sequence >= *sequence && parse_kill(record.text, path, &victim)) {
			found = record;
			last = victim;
			any = true;
		}
	}
	if (!any || record.microseconds > found.microseconds + STALE_MICROSECONDS)
		return 0;
	*sequence = found.sequence + 1;
	*ret_victim = last;
	return 1;
}

int oom_find(const char *file, const char *path, uint64_t *sequence, struct oom_victim *ret_victim)
{
	AUTO_CLOSE int fd = open(file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	return fd < 0 ? -errno : oom_find_in(fd, path, sequence, ret_victim);
}
