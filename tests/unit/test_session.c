/* SPDX-License-Identifier: BSD-3-Clause */

/* isolatectl/session.h: records are read strictly, and what a session uses is read from either cgroup version. */
#include "isolatectl/session.h"

#include "lib/cleanup.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cmocka.h>

#define ID "0f0f0f0f-1111-2222-3333-444444444444"
#define RECORD_HEAD "ID=" ID "\nUSER=alice\nUID=1000\nSERVICE=sshd\n"
#define RECORD_TAIL "LEADER=12\nSUPERVISOR=13\nINIT=14\nSINCE=1700000000\nCGROUP=/isolate/1000/x\nBACKEND=v1\nOWNER=0\nPIDNS=1\n"
#define RECORD RECORD_HEAD "TTY=\n" RECORD_TAIL

struct fixture {
	char root[32];
	int directory;
	int held; /* the record, locked as its supervisor does */
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture)
		return -1;
	*state = fixture;
	fixture->held = -1;
	strcpy(fixture->root, "/tmp/isolate-list-XXXXXX");
	if (!mkdtemp(fixture->root))
		return -1;
	fixture->directory = open(fixture->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fixture->directory < 0 ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	cleanup_close(&fixture->held);
	cleanup_close(&fixture->directory);
	nftw(fixture->root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(fixture);
	return 0;
}

/* Makes a file below the root with the directories above it. Returns an fd to it. */
static int put(const struct fixture *fixture, const char *path, const char *text, size_t length)
{
	char copy[256];
	int fd;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *slash = strchr(copy, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdirat(fixture->directory, copy, 0700);
		*slash = '/';
	}
	fd = openat(fixture->directory, path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, length), length);
	return fd;
}

static void put_text(const struct fixture *fixture, const char *path, const char *text)
{
	close(put(fixture, path, text, strlen(text)));
}

/* A record with a living supervisor. */
static void put_record(struct fixture *fixture, const char *text, size_t length)
{
	cleanup_close(&fixture->held);
	fixture->held = put(fixture, ID "/session", text, length);
	assert_int_equal(flock(fixture->held, LOCK_EX | LOCK_NB), 0);
}

static void refuses_bytes(struct fixture *fixture, const char *text, size_t length, const char *message)
{
	struct session session = { .uid = 77 };
	struct error err = { 0 };

	put_record(fixture, text, length);
	assert_int_equal(session_read(fixture->directory, ID, &session, &err), -EBADMSG);
	assert_string_equal(err.step, "record");
	assert_string_equal(err.text, message);
	assert_int_equal(session.uid, 77);
}

static void refuses(struct fixture *fixture, const char *text, const char *message)
{
	refuses_bytes(fixture, text, strlen(text), message);
}

/* --- the record ------------------------------------------------------------ */

static void a_record_is_read_whole(void **state)
{
	struct fixture *fixture = *state;
	struct session session;
	struct error err = { 0 };

	put_record(fixture, RECORD, strlen(RECORD));
	assert_int_equal(session_read(fixture->directory, ID, &session, &err), 0);
	assert_string_equal(session.id, ID);
	assert_string_equal(session.user, "alice");
	assert_int_equal(session.uid, 1000);
	assert_string_equal(session.service, "sshd");
	assert_string_equal(session.tty, "");
	assert_int_equal(session.leader, 12);
	assert_int_equal(session.supervisor, 13);
	assert_int_equal(session.init, 14);
	assert_int_equal(session.since, 1700000000);
	assert_string_equal(session.cgroup, "/isolate/1000/x");
	assert_string_equal(session.backend, "v1");
}

static void a_record_without_a_living_supervisor_is_stale(void **state)
{
	struct fixture *fixture = *state;
	struct session session;
	struct error err = { 0 };

	put_record(fixture, RECORD, strlen(RECORD));
	cleanup_close(&fixture->held);
	assert_int_equal(session_read(fixture->directory, ID, &session, &err), -ESTALE);
	/* Nor does the question leave a lock. */
	fixture->held = openat(fixture->directory, ID "/session", O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fixture->held, LOCK_EX | LOCK_NB), 0);
}

static void a_missing_record_is_told_apart(void **state)
{
	struct fixture *fixture = *state;
	struct session session;
	struct error err = { 0 };

	assert_int_equal(session_read(fixture->directory, ID, &session, &err), -ENOENT);
	put_text(fixture, "lock", "");
	assert_int_equal(session_read(fixture->directory, "lock", &session, &err), -ENOTDIR);
	assert_int_equal(mkdirat(fixture->directory, ID, 0700), 0);
	assert_int_equal(session_read(fixture->directory, ID, &session, &err), -ENOENT);
}

static void a_record_is_no_link(void **state)
{
	struct fixture *fixture = *state;
	struct session session;
	struct error err = { 0 };

	put_text(fixture, "elsewhere", RECORD);
	assert_int_equal(mkdirat(fixture->directory, ID, 0700), 0);
	assert_int_equal(symlinkat("../elsewhere", fixture->directory, ID "/session"), 0);
	assert_int_equal(session_read(fixture->directory, ID, &session, &err), -ELOOP);
}

static void each_key_is_there_once(void **state)
{
	refuses(*state, RECORD_HEAD RECORD_TAIL, ID ": TTY is missing");
	refuses(*state, RECORD "TTY=x\n", ID ": TTY");
	refuses(*state, "ID=" ID "\n", ID ": USER is missing");
}

static void there_is_no_other_key(void **state)
{
	refuses(*state, "", ID ": unknown line \"\"");
	refuses(*state, RECORD "\n", ID ": unknown line \"\"");
	refuses(*state, RECORD "HOME=/\n", ID ": unknown line \"HOME=/\"");
	refuses(*state, RECORD "UI=1\n", ID ": unknown line \"UI=1\"");
	refuses(*state, RECORD "UID\n", ID ": unknown line \"UID\"");
	refuses(*state, RECORD " UID=1\n", ID ": unknown line \" UID=1\"");
}

static void each_value_is_of_its_kind(void **state)
{
	refuses(*state, "USER=\n", ID ": USER");
	refuses(*state, "USER=a\033b\n", ID ": USER");
	refuses(*state, "UID=\n", ID ": UID");
	refuses(*state, "UID=-1\n", ID ": UID");
	refuses(*state, "UID=1 \n", ID ": UID");
	refuses(*state, "LEADER=99999999999999999999\n", ID ": LEADER");
	refuses_bytes(*state, "USER=a\0b\n", 9, ID ": a NUL byte");
}

static void a_record_is_that_of_its_directory(void **state)
{
	refuses(*state, "ID=x\nUSER=alice\nUID=1000\nSERVICE=sshd\nTTY=pts/0\n" RECORD_TAIL, ID ": ID");
}

static void a_cgroup_is_a_path_that_goes_down(void **state)
{
	static const char head[] = RECORD_HEAD "TTY=\nLEADER=12\nSUPERVISOR=13\nINIT=14\nSINCE=1\n";
	char text[512];

	snprintf(text, sizeof(text), "%sCGROUP=/a/../b\nBACKEND=v1\nOWNER=0\nPIDNS=1\n", head);
	refuses(*state, text, ID ": CGROUP");
	snprintf(text, sizeof(text), "%sCGROUP=a\nBACKEND=v1\nOWNER=0\nPIDNS=1\n", head);
	refuses(*state, text, ID ": CGROUP");
	snprintf(text, sizeof(text), "%sCGROUP=/a\nBACKEND=v3\nOWNER=0\nPIDNS=1\n", head);
	refuses(*state, text, ID ": BACKEND");
}

static void a_record_that_is_too_long_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct session session;
	struct error err = { 0 };
	char text[5000];

	memset(text, 'x', sizeof(text));
	put_record(fixture, text, sizeof(text));
	assert_int_equal(session_read(fixture->directory, ID, &session, &err), -E2BIG);
	memcpy(text, "USER=", 5);
	text[5 + SESSION_TEXT_SIZE] = '\0';
	refuses(fixture, text, ID ": USER");
}

/* --- what it uses ---------------------------------------------------------- */

static void shows(const struct fixture *fixture, const char *backend, const char *memory, const char *tasks)
{
	struct session session = { .cgroup = "/isolate/1000/x" };
	char text[AMOUNT_SIZE];
	struct usage usage;

	strcpy(session.backend, backend);
	session_usage(&session, fixture->root, &usage);
	assert_string_equal(format_memory(&usage, text), memory);
	assert_string_equal(format_tasks(&usage, text), tasks);
}

static void the_use_is_read_from_v1(void **state)
{
	const struct fixture *fixture = *state;

	put_text(fixture, "memory/isolate/1000/x/memory.usage_in_bytes", "12910592\n");
	put_text(fixture, "memory/isolate/1000/x/memory.limit_in_bytes", "536870912\n");
	put_text(fixture, "pids/isolate/1000/x/pids.current", "5\n");
	put_text(fixture, "pids/isolate/1000/x/pids.max", "128\n");
	shows(fixture, "v1", "12.3M/512M", "5/128");
	shows(fixture, "v2", "-", "-");
}

static void the_use_is_read_from_v2(void **state)
{
	const struct fixture *fixture = *state;

	put_text(fixture, "isolate/1000/x/memory.current", "1536\n");
	put_text(fixture, "isolate/1000/x/memory.max", "1073741824\n");
	put_text(fixture, "isolate/1000/x/pids.current", "5\n");
	put_text(fixture, "isolate/1000/x/pids.max", "128\n");
	shows(fixture, "v2", "1.5K/1G", "5/128");
	shows(fixture, "v1", "-", "-");
}

static void no_limit_is_infinity(void **state)
{
	const struct fixture *fixture = *state;

	put_text(fixture, "memory/isolate/1000/x/memory.usage_in_bytes", "0\n");
	put_text(fixture, "memory/isolate/1000/x/memory.limit_in_bytes", "9223372036854771712\n");
	put_text(fixture, "pids/isolate/1000/x/pids.current", "1\n");
	put_text(fixture, "pids/isolate/1000/x/pids.max", "max\n");
	shows(fixture, "v1", "0B/infinity", "1/infinity");
	put_text(fixture, "isolate/1000/x/memory.current", "4096\n");
	put_text(fixture, "isolate/1000/x/memory.max", "max\n");
	shows(fixture, "v2", "4K/infinity", "-");
}

static void what_is_not_there_is_a_hyphen(void **state)
{
	const struct fixture *fixture = *state;

	put_text(fixture, "isolate/1000/x/memory.current", "4096\n");
	put_text(fixture, "isolate/1000/x/pids.current", "five\n");
	shows(fixture, "v2", "4K/-", "-");
}

static void bytes_are_shown_with_one_decimal_or_none(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} amounts[] = {
		{ 0, "0B/-" },
		{ 1, "1B/-" },
		{ 1023, "1023B/-" },
		{ 1024, "1K/-" },
		{ 1025, "1.0K/-" },
		{ 2047, "1.9K/-" },
		{ 1048575, "1023.9K/-" },
		{ 1048576, "1M/-" },
		{ UINT64_C(5) << 40, "5T/-" },
		{ INT64_MAX, "7.9E/-" },
	};
	char text[AMOUNT_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(amounts); i++) {
		const struct usage usage = { .memory = amounts[i].bytes, .memory_max = USAGE_UNKNOWN };

		assert_string_equal(format_memory(&usage, text), amounts[i].text);
	}
}

#define session_test(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		session_test(a_record_is_read_whole),
		session_test(a_record_without_a_living_supervisor_is_stale),
		session_test(a_missing_record_is_told_apart),
		session_test(a_record_is_no_link),
		session_test(each_key_is_there_once),
		session_test(there_is_no_other_key),
		session_test(each_value_is_of_its_kind),
		session_test(a_record_is_that_of_its_directory),
		session_test(a_cgroup_is_a_path_that_goes_down),
		session_test(a_record_that_is_too_long_is_refused),
		session_test(the_use_is_read_from_v1),
		session_test(the_use_is_read_from_v2),
		session_test(no_limit_is_infinity),
		session_test(what_is_not_there_is_a_hyphen),
		cmocka_unit_test(bytes_are_shown_with_one_decimal_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
