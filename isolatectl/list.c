/* SPDX-License-Identifier: BSD-3-Clause */

/* isolatectl list: the sessions that are running, a line each. */
#include "isolatectl/isolatectl.h"
#include "isolatectl/session.h"

#include "lib/cleanup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include <libsmartcols.h>

#define RECORD_DIR RUNSTATEDIR "/pam_isolate"
#define CGROUP_ROOT "/sys/fs/cgroup"

enum column { COLUMN_ID, COLUMN_USER, COLUMN_SERVICE, COLUMN_LEADER, COLUMN_SINCE, COLUMN_MEMORY, COLUMN_TASKS, COLUMNS };

static const struct {
	const char *name;
	double width_hint;
	int flags, json_type;
} columns[COLUMNS] = {
	[COLUMN_ID] = { "ID", 36, 0, SCOLS_JSON_STRING },
	[COLUMN_USER] = { "USER", 8, 0, SCOLS_JSON_STRING },
	[COLUMN_SERVICE] = { "SERVICE", 7, 0, SCOLS_JSON_STRING },
	[COLUMN_LEADER] = { "LEADER", 6, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COLUMN_SINCE] = { "SINCE", 16, 0, SCOLS_JSON_STRING },
	[COLUMN_MEMORY] = { "MEMORY", 11, SCOLS_FL_RIGHT, SCOLS_JSON_STRING },
	[COLUMN_TASKS] = { "TASKS", 6, SCOLS_FL_RIGHT, SCOLS_JSON_STRING },
};

struct sessions {
	struct session *sessions;
	size_t n, room;
};

static void cleanup_sessions(struct sessions *sessions)
{
	free(sessions->sessions);
}

static void cleanup_table(struct libscols_table **table)
{
	scols_unref_table(*table);
}

static int failed(const char *what)
{
	fprintf(stderr, "isolatectl: %s: %s\n", what, strerror(errno));
	return STATUS_FAILED;
}

/* --- collecting ------------------------------------------------------------ */

static int add_session(struct sessions *sessions, const struct session *session)
{
	if (sessions->n == sessions->room) {
		size_t room = sessions->room ? sessions->room * 2 : 16;
		struct session *larger = reallocarray(sessions->sessions, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		sessions->sessions = larger;
		sessions->room = room;
	}
	sessions->sessions[sessions->n++] = *session;
	return 0;
}

/* Adds the session id unless it has ended, also just now. A record that is none is told of, and the others are listed. */
static int collect_one(int directory, const char *id, struct sessions *sessions)
{
	char line[ERROR_LINE_MAX];
	struct session session;
	struct error err;
	int r = session_read(directory, id, &session, &err);

	if (r == 0)
		return add_session(sessions, &session);
	if (r != -ENOENT && r != -ESTALE && r != -ENOTDIR)
		fprintf(stderr, "isolatectl: %s\n", error_line(&err, line, sizeof(line)));
	return 0;
}

static int collect(DIR *dir, struct sessions *sessions)
{
	for (;;) {
		const struct dirent *item;

		errno = 0;
		item = readdir(dir);
		if (!item)
			return -errno;
		/* A name with a dot is not a session yet. */
		if (item->d_name[0] != '.' && collect_one(dirfd(dir), item->d_name, sessions) < 0)
			return -ENOMEM;
	}
}

static int compare_sessions(const void *left, const void *right)
{
	const struct session *a = left, *b = right;

	if (a->since != b->since)
		return a->since < b->since ? -1 : 1;
	return strcmp(a->id, b->id);
}

/* --- printing -------------------------------------------------------------- */

static int add_columns(struct libscols_table *table)
{
	for (size_t i = 0; i < COLUMNS; i++) {
		struct libscols_column *column =
			scols_table_new_column(table, columns[i].name, columns[i].width_hint, columns[i].flags);

		if (!column || scols_column_set_json_type(column, columns[i].json_type) < 0)
			return -ENOMEM;
	}
	return 0;
}

static const char *format_since(uint64_t since, char *text, size_t size)
{
	time_t when = (time_t)since;
	struct tm local;

	if (!localtime_r(&when, &local) || strftime(text, size, "%Y-%m-%d %H:%M", &local) == 0)
		snprintf(text, size, "%" PRIu64, since);
	return text;
}

/* Where the texts of a line are that its session does not have as such. */
struct line_texts {
	char leader[24], since[32], memory[AMOUNT_SIZE], tasks[AMOUNT_SIZE];
};

static void fill_cells(const struct session *session, struct line_texts *texts, const char *cells[COLUMNS])
{
	struct usage usage;

	session_usage(session, CGROUP_ROOT, &usage);
	snprintf(texts->leader, sizeof(texts->leader), "%" PRIu64, session->leader);
	cells[COLUMN_ID] = session->id;
	cells[COLUMN_USER] = session->user;
	cells[COLUMN_SERVICE] = session->service;
	/* He has logged out, and left something running. */
	cells[COLUMN_LEADER] = session->leader ? texts->leader : NULL;
	cells[COLUMN_SINCE] = format_since(session->since, texts->since, sizeof(texts->since));
	cells[COLUMN_MEMORY] = format_memory(&usage, texts->memory);
	cells[COLUMN_TASKS] = format_tasks(&usage, texts->tasks);
}

static int add_line(struct libscols_table *table, const struct session *session)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	const char *cells[COLUMNS];
	struct line_texts texts;

	if (!line)
		return -ENOMEM;
	fill_cells(session, &texts, cells);
	for (size_t i = 0; i < COLUMNS; i++)
		if (cells[i] && scols_line_set_data(line, i, cells[i]) < 0)
			return -ENOMEM;
	return 0;
}

/* libsmartcols prints no header over an empty table. */
static int print_header(void)
{
	for (size_t i = 0; i < COLUMNS; i++)
		printf("%s%s", i == 0 ? "" : " ", columns[i].name);
	putchar('\n');
	return STATUS_OK;
}

static int print_sessions(const struct sessions *sessions, bool json)
{
	__attribute__((cleanup(cleanup_table))) struct libscols_table *table = scols_new_table();

	if (!table || add_columns(table) < 0 || scols_table_set_name(table, "sessions") < 0)
		return failed("table");
	scols_table_enable_json(table, json);
	for (size_t i = 0; i < sessions->n; i++)
		if (add_line(table, &sessions->sessions[i]) < 0)
			return failed("table");
	if (sessions->n == 0 && !json)
		return print_header();
	return scols_print_table(table) == 0 ? STATUS_OK : failed("table");
}

static int list(bool json)
{
	__attribute__((cleanup(cleanup_sessions))) struct sessions sessions = { NULL, 0, 0 };
	AUTO_CLOSEDIR DIR *dir = opendir(RECORD_DIR);

	/* Made by the first login. */
	if (!dir && errno != ENOENT)
		return failed(RECORD_DIR);
	if (dir && collect(dir, &sessions) < 0)
		return failed(RECORD_DIR);
	if (sessions.n > 1)
		qsort(sessions.sessions, sessions.n, sizeof(*sessions.sessions), compare_sessions);
	return print_sessions(&sessions, json);
}

int command_list(int argc, char *argv[])
{
	bool json = argc == 2 && strcmp(argv[1], "--json") == 0;

	if (argc > 2 || (argc == 2 && !json))
		return misused(argv[0]);
	if (geteuid() != 0) {
		fputs("isolatectl: only root may see the sessions: run \"isolatectl list\" as root, with sudo(8) for example\n",
			stderr);
		return STATUS_FAILED;
	}
	return list(json);
}
