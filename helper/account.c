/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/account.h"

#include "helper/cgroup_backend.h"
#include "helper/journal.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <syslog.h>

/* The files have some hundred bytes, those with a line for each device excepted. */
#define FILE_MAX 4096

/* ---- what the groups have counted ---- */

/* Decimal digits up to a blank or the end of the line. */
static uint64_t parse_number(const char *text)
{
	size_t length = strspn(text, "0123456789");
	uint64_t number = 0;

	if (length == 0 || (text[length] != ' ' && text[length] != '\n' && text[length] != '\0'))
		return ACCOUNT_UNKNOWN;
	for (size_t i = 0; i < length; i++)
		if (__builtin_mul_overflow(number, 10, &number) ||
			__builtin_add_overflow(number, (uint64_t)(text[i] - '0'), &number))
			return ACCOUNT_UNKNOWN;
	return number;
}

static const char *next_line(const char *line)
{
	const char *end = strchr(line, '\n');

	return end ? end + 1 : NULL;
}

static uint64_t parse_keyed(const char *text, const char *key)
{
	size_t length = strlen(key);

	for (const char *line = text; line; line = next_line(line))
		if (strncmp(line, key, length) == 0 && line[length] == ' ')
			return parse_number(line + length + 1);
	return ACCOUNT_UNKNOWN;
}

/* Whether each line is about a device ("8:16 ..."), or v1's sum of them. */
static bool is_of_devices(const char *text)
{
	for (const char *line = text; line && *line; line = next_line(line))
		if ((line[0] < '0' || line[0] > '9') && strncmp(line, "Total ", strlen("Total ")) != 0)
			return false;
	return true;
}

/* Not line by line: there were kernels that forgot to end one. No device at all, an empty file, is a known 0. */
static uint64_t parse_devices(const char *text, const char *key)
{
	size_t length = strlen(key);
	uint64_t sum = 0;

	if (!is_of_devices(text))
		return ACCOUNT_UNKNOWN;
	for (const char *at = strstr(text, key); at; at = strstr(at + length, key)) {
		uint64_t number = parse_number(at + length);

		if (number == ACCOUNT_UNKNOWN || __builtin_add_overflow(sum, number, &sum))
			return ACCOUNT_UNKNOWN;
	}
	return sum;
}

static uint64_t read_counter(const struct cgroup *cgroup, const struct cgroup_counter *counter)
{
	char text[FILE_MAX];
	uint64_t number = ACCOUNT_UNKNOWN;

	/* A file that does not fit is an error, too: half of the devices would be a wrong number. */
	if (cgroup_read_file(cgroup, CGROUP_SANDBOX, counter->controller, counter->file, text, sizeof(text)) < 0)
		return ACCOUNT_UNKNOWN;
	switch (counter->form) {
	case CGROUP_NUMBER:
		number = strpbrk(text, " \n") ? ACCOUNT_UNKNOWN : parse_number(text);
		break;
	case CGROUP_KEYED:
		number = parse_keyed(text, counter->key);
		break;
	case CGROUP_DEVICES:
		number = parse_devices(text, counter->key);
		break;
	}
	return number == ACCOUNT_UNKNOWN ? ACCOUNT_UNKNOWN : number / counter->divisor;
}

void account_read(const struct cgroup *cgroup, struct account *ret_account)
{
	/* Each number's bits are all ones: ACCOUNT_UNKNOWN. */
	memset(ret_account, 0xff, sizeof(*ret_account));
	for (size_t i = 0; i < cgroup->backend->n_counters; i++) {
		const struct cgroup_counter *counter = &cgroup->backend->counters[i];
		uint64_t *number = (void *)((char *)ret_account + counter->offset);

		if (*number == ACCOUNT_UNKNOWN)
			*number = read_counter(cgroup, counter);
	}
}

/* ---- the line ---- */

/* What stands before a field's name, and not in the line. */
#define FIELD_PREFIX "ISOLATE_"

static const struct {
	const char *name;
	size_t offset; /* in struct account */
	bool is_time;
} numbers[] = {
	{ FIELD_PREFIX "CPU_USER", offsetof(struct account, cpu_user_us), true },
	{ FIELD_PREFIX "CPU_SYSTEM", offsetof(struct account, cpu_system_us), true },
	{ FIELD_PREFIX "CPU_THROTTLED", offsetof(struct account, cpu_throttled_us), true },
	{ FIELD_PREFIX "MEMORY_PEAK", offsetof(struct account, memory_peak), false },
	{ FIELD_PREFIX "TASKS_PEAK", offsetof(struct account, tasks_peak), false },
	{ FIELD_PREFIX "IO_READ", offsetof(struct account, io_read), false },
	{ FIELD_PREFIX "IO_WRITTEN", offsetof(struct account, io_written), false },
	{ FIELD_PREFIX "OOM_KILLS", offsetof(struct account, oom_kills), false },
};

#define OF_SESSION 7 /* fields that are there without an account */

struct fields {
	struct journal_field field[OF_SESSION + ARRAY_SIZE(numbers)];
	size_t n;
};

static void __attribute__((format(printf, 3, 4))) add(struct fields *fields, const char *name, const char *format, ...)
{
	struct journal_field *field = &fields->field[fields->n++];
	va_list arguments;

	field->name = name;
	va_start(arguments, format);
	vsnprintf(field->value, sizeof(field->value), format, arguments);
	va_end(arguments);
	replace_control_characters(field->value);
}

static void add_session(struct fields *fields, const struct account_session *session)
{
	uint64_t milliseconds = session->duration_us / 1000;

	if (session->id)
		add(fields, FIELD_PREFIX "SESSION", "%s", session->id);
	add(fields, FIELD_PREFIX "SANDBOX", "%s", session->sandbox);
	add(fields, FIELD_PREFIX "USER", "%s", session->user);
	add(fields, FIELD_PREFIX "UID", "%u", session->uid);
	if (session->id) {
		add(fields, FIELD_PREFIX "SERVICE", "%s", session->service);
		add(fields, FIELD_PREFIX "TTY", "%s", session->tty);
	}
	add(fields, FIELD_PREFIX "DURATION", "%" PRIu64 ".%03" PRIu64, milliseconds / 1000, milliseconds % 1000);
}

static void add_account(struct fields *fields, const struct account *account)
{
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		uint64_t number = *(const uint64_t *)(const void *)((const char *)account + numbers[i].offset);

		if (number == ACCOUNT_UNKNOWN)
			continue;
		if (numbers[i].is_time)
			add(fields, numbers[i].name, "%" PRIu64 ".%06" PRIu64, number / 1000000, number % 1000000);
		else
			add(fields, numbers[i].name, "%" PRIu64, number);
	}
}

/* Room for it all: at worst each of the five texts has a '\\' before every byte. */
struct line {
	char text[4096];
	size_t length;
};

static void put(struct line *line, char c)
{
	if (line->length < sizeof(line->text) - 1)
		line->text[line->length++] = c;
	line->text[line->length] = '\0';
}

static void put_key(struct line *line, const char *name)
{
	for (name += strlen(FIELD_PREFIX); *name; name++)
		put(line, (char)tolower((unsigned char)*name));
	put(line, '=');
}

static bool needs_quotes(const char *value)
{
	if (!*value)
		return true;
	for (; *value; value++)
		if (*value <= ' ' || *value > '~' || strchr("=\"'\\", *value))
			return true;
	return false;
}

static void put_value(struct line *line, const char *value)
{
	bool quotes = needs_quotes(value);

	if (quotes)
		put(line, '"');
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			put(line, '\\');
		put(line, *value);
	}
	if (quotes)
		put(line, '"');
}

static void put_all(struct line *line, const char *words, const struct fields *fields)
{
	for (; *words; words++)
		put(line, *words);
	for (size_t i = 0; i < fields->n; i++) {
		put(line, ' ');
		put_key(line, fields->field[i].name);
		put_value(line, fields->field[i].value);
	}
}

void account_log(const struct account_session *session, const struct account *account)
{
	struct fields fields = { .n = 0 };
	struct line line = { .length = 0 };

	add_session(&fields, session);
	if (account)
		add_account(&fields, account);
	put_all(&line, session->id ? "session ended:" : "sandbox ended:", &fields);
	journal_log(LOG_INFO, line.text, fields.field, fields.n);
}
