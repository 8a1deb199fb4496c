/* SPDX-License-Identifier: BSD-3-Clause */
#include "isolatectl/session.h"

#include "lib/cleanup.h"
#include "lib/fd.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>

#define RECORD_SIZE 4096
#define V1_MEMORY_INFINITY (UINT64_C(0x7fffffffffffffff) & ~UINT64_C(4095))

enum field_kind { FIELD_TEXT, FIELD_TEXT_OR_EMPTY, FIELD_NUMBER, FIELD_KINDS };

/* One line of a record. */
struct field {
	const char *key;
	enum field_kind kind;
	size_t offset; /* in struct session */
};

static const struct field fields[] = {
	{ "ID", FIELD_TEXT, offsetof(struct session, id) },
	{ "USER", FIELD_TEXT, offsetof(struct session, user) },
	{ "UID", FIELD_NUMBER, offsetof(struct session, uid) },
	{ "SERVICE", FIELD_TEXT, offsetof(struct session, service) },
	{ "TTY", FIELD_TEXT_OR_EMPTY, offsetof(struct session, tty) },
	{ "LEADER", FIELD_NUMBER, offsetof(struct session, leader) },
	{ "SUPERVISOR", FIELD_NUMBER, offsetof(struct session, supervisor) },
	{ "INIT", FIELD_NUMBER, offsetof(struct session, init) },
	{ "SINCE", FIELD_NUMBER, offsetof(struct session, since) },
	{ "CGROUP", FIELD_TEXT, offsetof(struct session, cgroup) },
	{ "BACKEND", FIELD_TEXT, offsetof(struct session, backend) },
	{ "OWNER", FIELD_NUMBER, offsetof(struct session, owner) },
	{ "PIDNS", FIELD_NUMBER, offsetof(struct session, pidns) },
};

/* --- the record ------------------------------------------------------------ */

/* Decimal digits and nothing else, below 2^63. */
static bool parse_number(const char *text, uint64_t *ret_number)
{
	uint64_t number = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || number > (INT64_MAX - 9) / 10)
			return false;
		number = number * 10 + (uint64_t)(*text - '0');
	}
	*ret_number = number;
	return true;
}

static bool parse_text(const char *text, bool may_be_empty, char *ret_text)
{
	size_t length = strlen(text);

	if (length >= SESSION_TEXT_SIZE || (length == 0 && !may_be_empty))
		return false;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	memcpy(ret_text, text, length + 1);
	return true;
}

static bool parse_field(const struct field *field, const char *text, struct session *session)
{
	void *target = (char *)session + field->offset;

	if (field->kind == FIELD_NUMBER)
		return parse_number(text, target);
	return parse_text(text, field->kind == FIELD_TEXT_OR_EMPTY, target);
}

/* The row of fields[] of a line "KEY=value"; ARRAY_SIZE(fields): there is none. */
static size_t find_field(const char *line)
{
	size_t i = 0, length = strcspn(line, "=");

	while (i < ARRAY_SIZE(fields) && (strlen(fields[i].key) != length || strncmp(fields[i].key, line, length) != 0))
		i++;
	return line[length] == '=' ? i : ARRAY_SIZE(fields);
}

/* What cannot be in a record that the helper made. */
static const char *session_mistake(const struct session *session, const char *id)
{
	if (strcmp(session->id, id) != 0)
		return "ID";
	if (session->cgroup[0] != '/' || strstr(session->cgroup, "/.."))
		return "CGROUP";
	if (strcmp(session->backend, "v1") != 0 && strcmp(session->backend, "v2") != 0)
		return "BACKEND";
	return NULL;
}

static int parse_record(char *text, const char *id, struct session *ret_session, struct error *err)
{
	struct session session = { .uid = 0 };
	bool seen[ARRAY_SIZE(fields)] = { false };
	const char *mistake;
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n"))) {
		size_t i = find_field(line);

		if (i == ARRAY_SIZE(fields))
			return error_set(err, EBADMSG, "record", "%s: unknown line \"%.40s\"", id, line);
		if (seen[i] || !parse_field(&fields[i], strchr(line, '=') + 1, &session))
			return error_set(err, EBADMSG, "record", "%s: %s", id, fields[i].key);
		seen[i] = true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (!seen[i])
			return error_set(err, EBADMSG, "record", "%s: %s is missing", id, fields[i].key);
	mistake = session_mistake(&session, id);
	if (mistake)
		return error_set(err, EBADMSG, "record", "%s: %s", id, mistake);
	*ret_session = session;
	return 0;
}

/* Whether a supervisor holds its lock on the record. The lock that shows that it does not is given back at close. */
static bool is_held(int fd)
{
	return flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

int session_read(int directory, const char *id, struct session *ret_session, struct error *err)
{
	AUTO_CLOSE int below = openat(directory, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO_CLOSE int record = below < 0 ? -1 : openat(below, "session", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char text[RECORD_SIZE];
	ssize_t length;

	if (record < 0)
		return error_set(err, errno, "record", "%s", id);
	if (!is_held(record))
		return error_set(err, ESTALE, "record", "%s", id);
	length = read_file_at(below, "session", text, sizeof(text));
	if (length < 0)
		return error_set(err, (int)-length, "record", "%s", id);
	if (strlen(text) != (size_t)length)
		return error_set(err, EBADMSG, "record", "%s: a NUL byte", id);
	return parse_record(text, id, ret_session, err);
}

/* --- what it uses ---------------------------------------------------------- */

/* Where each cgroup version keeps a number; %s: the session's group. */
struct usage_file {
	const char *v1_hierarchy, *v1_name, *v2_name;
	size_t offset; /* in struct usage */
};

static const struct usage_file usage_files[] = {
	{ "/memory", "memory.usage_in_bytes", "memory.current", offsetof(struct usage, memory) },
	{ "/memory", "memory.limit_in_bytes", "memory.max", offsetof(struct usage, memory_max) },
	{ "/pids", "pids.current", "pids.current", offsetof(struct usage, tasks) },
	{ "/pids", "pids.max", "pids.max", offsetof(struct usage, tasks_max) },
};

static uint64_t read_number(const char *path)
{
	uint64_t number;
	char text[32];

	if (read_file_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return USAGE_UNKNOWN;
	if (strcmp(text, "max") == 0)
		return USAGE_INFINITY;
	return parse_number(text, &number) ? number : USAGE_UNKNOWN;
}

void session_usage(const struct session *session, const char *root, struct usage *ret_usage)
{
	bool v1 = strcmp(session->backend, "v1") == 0;

	for (size_t i = 0; i < ARRAY_SIZE(usage_files); i++) {
		const struct usage_file *file = &usage_files[i];
		uint64_t *number = (uint64_t *)(void *)((char *)ret_usage + file->offset);
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "%s%s%s/%s", root, v1 ? file->v1_hierarchy : "", session->cgroup,
			v1 ? file->v1_name : file->v2_name);
		*number = read_number(path);
	}
	if (ret_usage->memory_max >= V1_MEMORY_INFINITY && ret_usage->memory_max != USAGE_UNKNOWN)
		ret_usage->memory_max = USAGE_INFINITY;
}

/* --- for people ------------------------------------------------------------ */

static void format_bytes(uint64_t bytes, char *text, size_t size)
{
	static const char units[] = "BKMGTPE";
	uint64_t unit = 1;
	size_t i = 0;

	while (bytes / unit >= 1024 && units[i + 1]) {
		unit *= 1024;
		i++;
	}
	if (bytes % unit == 0)
		snprintf(text, size, "%" PRIu64 "%c", bytes / unit, units[i]);
	else
		snprintf(text, size, "%" PRIu64 ".%" PRIu64 "%c", bytes / unit, bytes % unit / (unit / 1024) * 10 / 1024,
			units[i]);
}

static void format_count(uint64_t count, char *text, size_t size)
{
	snprintf(text, size, "%" PRIu64, count);
}

static const char *format_pair(uint64_t used, uint64_t limit, void (*format)(uint64_t, char *, size_t), char *text)
{
	char left[AMOUNT_SIZE / 2], right[AMOUNT_SIZE / 2] = "-";

	if (used == USAGE_UNKNOWN || used == USAGE_INFINITY)
		return strcpy(text, "-");
	format(used, left, sizeof(left));
	if (limit == USAGE_INFINITY)
		strcpy(right, "infinity");
	else if (limit != USAGE_UNKNOWN)
		format(limit, right, sizeof(right));
	snprintf(text, AMOUNT_SIZE, "%s/%s", left, right);
	return text;
}

const char *format_memory(const struct usage *usage, char *text)
{
	return format_pair(usage->memory, usage->memory_max, format_bytes, text);
}

const char *format_tasks(const struct usage *usage, char *text)
{
	return format_pair(usage->tasks, usage->tasks_max, format_count, text);
}
