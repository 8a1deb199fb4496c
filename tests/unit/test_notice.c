/* SPDX-License-Identifier: BSD-3-Clause */
/* What is said, to whom, and how often. The terminals, syslog, the kernel's log and the clock are ours (ld --wrap). */
#include "helper/notice.h"
#include "helper/oom.h"
#include "helper/terminal.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_cgroup.h"

static int64_t now;
static struct notices notices;
static char told[512], logged[512];
static int n_told, n_tried, n_logged;
static bool nobody_writes;
/* What the kernel's log has. */
static struct oom_victim in_log;
static int log_result;

int __wrap_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_terminals_tell(const struct cgroup *cgroup, uid_t uid, const pid_t *leaders, size_t n_leaders, const char *line);
int __wrap_oom_find(const char *file, const char *path, uint64_t *sequence, struct oom_victim *ret_victim);
void __wrap_syslog(int priority, const char *format, ...);
void __wrap___syslog_chk(int priority, int flag, const char *format, ...);

int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
	(void)clock;
	*time = (struct timespec){ .tv_sec = now / 1000, .tv_nsec = now % 1000 * 1000000 };
	return 0;
}

static const pid_t leaders[] = { 11, 12 };
static const struct notice_sandbox sandbox = {
	.cgroup = &fake_cgroup,
	.uid = 1000,
	.id = "0123",
	.user = "alice",
	.leaders = leaders,
	.n_leaders = 2,
};

int __wrap_terminals_tell(const struct cgroup *cgroup, uid_t uid, const pid_t *of, size_t n, const char *line)
{
	assert_ptr_equal(cgroup, &fake_cgroup);
	assert_int_equal(uid, 1000);
	assert_ptr_equal(of, leaders);
	assert_int_equal(n, 2);
	n_tried++;
	if (nobody_writes)
		return -EAGAIN;
	snprintf(told, sizeof(told), "%s", line);
	n_told++;
	return 0;
}

int __wrap_oom_find(const char *file, const char *path, uint64_t *sequence, struct oom_victim *ret_victim)
{
	assert_string_equal(file, "/dev/kmsg");
	assert_string_equal(path, FAKE_PATH);
	if (log_result > 0) {
		*ret_victim = in_log;
		++*sequence;
	}
	return log_result;
}

static void note_log(int priority, const char *format, va_list arguments)
{
	assert_int_equal(priority, LOG_WARNING);
	vsnprintf(logged, sizeof(logged), format, arguments);
	n_logged++;
}

void __wrap_syslog(int priority, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	note_log(priority, format, arguments);
	va_end(arguments);
}

void __wrap___syslog_chk(int priority, int flag, const char *format, ...)
{
	va_list arguments;

	(void)flag;
	va_start(arguments, format);
	note_log(priority, format, arguments);
	va_end(arguments);
}

static void start(const struct cgroup_backend *backend)
{
	bool v2 = backend == &cgroup_backend_v2;

	fake_make(backend);
	fake_write(CGROUP_SANDBOX, "memory", v2 ? "memory.max" : "memory.limit_in_bytes", "536870912\n");
	fake_write(CGROUP_USER, "memory", v2 ? "memory.max" : "memory.limit_in_bytes", "1610612736\n");
	fake_write(CGROUP_SANDBOX, "pids", "pids.max", "128\n");
	fake_write(CGROUP_USER, "pids", "pids.max", "256\n");
	now = 1000;
	memset(&notices, 0, sizeof(notices));
	told[0] = logged[0] = '\0';
	n_told = n_tried = n_logged = 0;
	nobody_writes = false;
	log_result = 0;
}

static int set_up(void **state)
{
	(void)state;
	start(&cgroup_backend_v2);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_remove();
	return 0;
}

static void kills(uint64_t count, enum limit_owner limit)
{
	const struct limit_news news = { .memory_kills = count, .memory_limit = limit };

	notice_limits(&notices, &sandbox, &news);
}

static void refusals(uint64_t count, enum limit_owner limit)
{
	const struct limit_news news = { .tasks_refused = count, .tasks_limit = limit };

	notice_limits(&notices, &sandbox, &news);
}

static void log_has(const char *name, enum limit_owner limit)
{
	in_log = (struct oom_victim){ .pid = 4242, .limit = limit };
	snprintf(in_log.name, sizeof(in_log.name), "%s", name);
	log_result = 1;
}

/* What is told of a kill or a refusal that comes after a long time of peace. */
static void assert_told(const char *line)
{
	assert_string_equal(told, line);
	now += 3600000;
}

/* ---- the sentences ---- */

static void who_was_killed_and_for_which_limit(void **state)
{
	(void)state;
	log_has("python3", LIMIT_OF_SANDBOX);
	kills(1, LIMIT_OF_SANDBOX);
	assert_string_equal(logged, "session 0123 of alice: out of memory: killed python3 (pid 4242), limit MemoryMax=512M");
	assert_told("pam_isolate: out of memory: python3 was killed, because your login may use 512M (MemoryMax=). "
		    "Use less memory at a time, or ask your administrator for more.");
	/* The log knows better than the counters. */
	log_has("python3", LIMIT_OF_USER);
	kills(3, LIMIT_OF_SANDBOX);
	assert_string_equal(
		logged, "session 0123 of alice: out of memory: killed python3 (pid 4242) and 2 more, limit UserMemoryMax=1.5G");
	assert_told("pam_isolate: out of memory: python3 and 2 more were killed, because all your logins together may use 1.5G "
		    "(UserMemoryMax=). Use less memory at a time, or ask your administrator for more.");
	log_has("python3", LIMIT_OF_PART);
	kills(1, LIMIT_OF_SANDBOX);
	assert_string_equal(
		logged, "session 0123 of alice: out of memory: killed python3 (pid 4242), limit set within the session");
	assert_told("pam_isolate: out of memory: python3 was killed, because a limit that was set within your login was reached. "
		    "Use less memory at a time, or raise that limit.");
}

static void without_the_kernels_log_there_is_no_name(void **state)
{
	(void)state;
	log_result = -EPERM;
	kills(1, LIMIT_OF_MACHINE);
	assert_string_equal(logged, "session 0123 of alice: out of memory: killed a process, limit of the machine");
	assert_told("pam_isolate: out of memory: a process was killed, because this machine ran out of memory. "
		    "It was not for a limit of yours: try again later, or tell your administrator.");
	log_result = 0;
	kills(5, LIMIT_OF_SANDBOX);
	assert_string_equal(logged, "session 0123 of alice: out of memory: killed a process and 4 more, limit MemoryMax=512M");
	assert_told("pam_isolate: out of memory: 5 processes were killed, because your login may use 512M (MemoryMax=). "
		    "Use less memory at a time, or ask your administrator for more.");
}

static void whose_processes_are_too_many(void **state)
{
	(void)state;
	refusals(1, LIMIT_OF_SANDBOX);
	assert_string_equal(logged, "session 0123 of alice: no more processes: refused 1, limit TasksMax=128");
	assert_told("pam_isolate: no more processes: your login has as many as it may have, 128 (TasksMax=). End some of them.");
	refusals(20, LIMIT_OF_USER);
	assert_string_equal(logged, "session 0123 of alice: no more processes: refused 20, limit UserTasksMax=256");
	assert_told(
		"pam_isolate: no more processes (20 were refused): all your logins together have as many as they may have, 256 "
		"(UserTasksMax=). End some of them.");
	refusals(1, LIMIT_OF_MACHINE);
	assert_string_equal(logged, "session 0123 of alice: no more processes: refused 1, limit of the machine");
	assert_told("pam_isolate: no more processes: this machine has as many as it may have. "
		    "Try again later, or tell your administrator.");
}

static void a_limit_that_is_gone_has_no_number(void **state)
{
	(void)state;
	fake_write(CGROUP_SANDBOX, "memory", "memory.max", "max\n");
	fake_write(CGROUP_SANDBOX, "pids", "pids.max", "max\n");
	kills(1, LIMIT_OF_SANDBOX);
	assert_string_equal(logged, "session 0123 of alice: out of memory: killed a process, limit MemoryMax=?");
	assert_told("pam_isolate: out of memory: a process was killed, because your login may use no more (MemoryMax=). "
		    "Use less memory at a time, or ask your administrator for more.");
	refusals(1, LIMIT_OF_SANDBOX);
	assert_told("pam_isolate: no more processes: your login has as many as it may have (TasksMax=). End some of them.");
}

/* systemd, one sandbox for all of a user's logins: the group above is everybody's. */
static void without_a_users_group_the_limit_above_is_not_his(void **state)
{
	(void)state;
	assert_int_equal(unlinkat(fake_cgroup.hierarchies[0].root, "isolate/1000/memory.max", 0), 0);
	log_has("python3", LIMIT_OF_USER);
	kills(1, LIMIT_OF_USER);
	assert_told("pam_isolate: out of memory: python3 was killed, because this machine ran out of memory. "
		    "It was not for a limit of yours: try again later, or tell your administrator.");
}

static void limits_of_v1_have_their_own_file(void **state)
{
	(void)state;
	fake_remove();
	start(&cgroup_backend_v1);
	kills(1, LIMIT_OF_USER);
	assert_string_equal(logged, "session 0123 of alice: out of memory: killed a process, limit UserMemoryMax=1.5G");
	/* None. */
	fake_write(CGROUP_USER, "memory", "memory.limit_in_bytes", "9223372036854771712\n");
	now += 3600000;
	kills(1, LIMIT_OF_USER);
	assert_string_equal(logged, "session 0123 of alice: out of memory: killed a process, limit UserMemoryMax=?");
}

static void bytes_are_told_as_an_administrator_writes_them(void **state)
{
	static const struct {
		const char *bytes, *told;
	} cases[] = {
		{ "0", "0K" },
		{ "4096", "4K" },
		{ "1048576", "1M" },
		{ "1047552", "1023K" },
		{ "536870912", "512M" },
		{ "1073741824", "1G" },
		{ "1342177280", "1280M" },
		{ "12636393472", "11.7G" },
		{ "1649267441664", "1.5T" },
		{ "4611686018427387903", "4194303.9T" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_write(CGROUP_SANDBOX, "memory", "memory.max", cases[i].bytes);
		now += 3600000;
		kills(1, LIMIT_OF_SANDBOX);
		assert_string_equal(strrchr(logged, '=') + 1, cases[i].told);
	}
}

static void others_have_words_for_the_terminals_too(void **state)
{
	(void)state;
	notice_text(&notices, &sandbox, "pam_isolate: five minutes left");
	assert_string_equal(told, "pam_isolate: five minutes left");
	assert_int_equal(n_logged, 0);
}

/* The longest of everything. */
static void nothing_is_cut_off(void **state)
{
	(void)state;
	fake_write(CGROUP_USER, "memory", "memory.max", "4611686018427387903");
	fake_write(CGROUP_USER, "pids", "pids.max", "18446744073709551615");
	log_has("abcdefghijklmno", LIMIT_OF_USER);
	kills(UINT64_MAX, LIMIT_OF_USER);
	assert_string_equal(strrchr(told, '.') - 4, "more.");
	refusals(UINT64_MAX, LIMIT_OF_USER);
	assert_string_equal(strrchr(told, '.') - 4, "them.");
}

/* ---- when ---- */

static void what_comes_too_soon_is_counted_in_the_next(void **state)
{
	(void)state;
	assert_int_equal(notice_milliseconds(&notices), -1);
	log_has("python3", LIMIT_OF_SANDBOX);
	kills(1, LIMIT_OF_SANDBOX);
	assert_int_equal(n_told, 1);
	assert_int_equal(notice_milliseconds(&notices), -1);
	now += 4000;
	kills(1, LIMIT_OF_SANDBOX);
	now += 1000;
	kills(2, LIMIT_OF_SANDBOX);
	assert_int_equal(n_told, 1);
	assert_int_equal(notice_milliseconds(&notices), 5000);
	/* Poll was interrupted. */
	notice_limits(&notices, &sandbox, NULL);
	assert_int_equal(n_told, 1);
	now += 5000;
	assert_int_equal(notice_milliseconds(&notices), 0);
	notice_limits(&notices, &sandbox, NULL);
	assert_int_equal(n_told, 2);
	assert_int_equal(n_logged, 2);
	assert_non_null(strstr(told, "python3 and 2 more were killed"));
	assert_int_equal(notice_milliseconds(&notices), -1);
	notice_limits(&notices, &sandbox, NULL);
	assert_int_equal(n_told, 2);
}

static void kinds_do_not_wait_for_each_other(void **state)
{
	(void)state;
	kills(1, LIMIT_OF_SANDBOX);
	now += 1000;
	refusals(1, LIMIT_OF_SANDBOX);
	assert_int_equal(n_told, 2);
	kills(1, LIMIT_OF_SANDBOX);
	now += 1000;
	refusals(1, LIMIT_OF_SANDBOX);
	assert_int_equal(n_told, 2);
	assert_int_equal(notice_milliseconds(&notices), 8000);
}

/* As when all tasks are in use, and we are in that group, too. */
static void what_nobody_can_write_is_tried_again(void **state)
{
	(void)state;
	nobody_writes = true;
	refusals(3, LIMIT_OF_SANDBOX);
	assert_int_equal(n_tried, 1);
	assert_int_equal(n_logged, 1);
	assert_int_equal(notice_milliseconds(&notices), 250);
	now += 100;
	notice_limits(&notices, &sandbox, NULL);
	assert_int_equal(n_tried, 1);
	now += 150;
	assert_int_equal(notice_milliseconds(&notices), 0);
	notice_limits(&notices, &sandbox, NULL);
	assert_int_equal(n_tried, 2);
	nobody_writes = false;
	now += 250;
	notice_limits(&notices, &sandbox, NULL);
	assert_int_equal(n_told, 1);
	assert_non_null(strstr(told, "(3 were refused)"));
	assert_int_equal(n_logged, 1);
	assert_int_equal(notice_milliseconds(&notices), -1);
}

static void what_nobody_can_write_is_given_up(void **state)
{
	(void)state;
	nobody_writes = true;
	notice_text(&notices, &sandbox, "pam_isolate: five minutes left");
	while (notice_milliseconds(&notices) >= 0 && n_tried < 1000) {
		now += notice_milliseconds(&notices);
		notice_limits(&notices, &sandbox, NULL);
	}
	assert_in_range(n_tried, 30, 50);
	assert_int_equal(n_told, 0);
}

static void of_two_lines_that_nobody_can_write_the_newer_is_told(void **state)
{
	(void)state;
	nobody_writes = true;
	notice_text(&notices, &sandbox, "pam_isolate: old");
	notice_text(&notices, &sandbox, "pam_isolate: new");
	nobody_writes = false;
	now += 250;
	notice_limits(&notices, &sandbox, NULL);
	assert_string_equal(told, "pam_isolate: new");
	assert_int_equal(n_told, 1);
	assert_int_equal(notice_milliseconds(&notices), -1);
}

static void at_the_end_there_is_a_last_try(void **state)
{
	(void)state;
	nobody_writes = true;
	refusals(1, LIMIT_OF_SANDBOX);
	nobody_writes = false;
	notice_rest(&notices, &sandbox, NULL);
	assert_int_equal(n_told, 1);
	nobody_writes = true;
	kills(1, LIMIT_OF_SANDBOX);
	notice_rest(&notices, &sandbox, NULL);
	assert_int_equal(n_told, 1);
	assert_int_equal(notice_milliseconds(&notices), -1);
}

/* One event each second for an hour. */
static int lines_of_an_hour(void (*happen)(uint64_t count, enum limit_owner limit))
{
	n_told = 0;
	for (int i = 0; i < 3600; i++) {
		happen(1, LIMIT_OF_SANDBOX);
		now += 1000;
	}
	return n_told;
}

static void of_endless_trouble_there_is_no_endless_talk(void **state)
{
	(void)state;
	assert_int_equal(lines_of_an_hour(kills), 360);
	/* 10 seconds after the first, then 20, 40, ..., 320. */
	assert_in_range(lines_of_an_hour(refusals), 12, 18);
	now += 320000;
	notice_limits(&notices, &sandbox, NULL);
	now += 320000;
	/* Peace again: the next is told at once, and the one after it 10 seconds later. */
	n_told = 0;
	refusals(1, LIMIT_OF_SANDBOX);
	assert_int_equal(n_told, 1);
	refusals(1, LIMIT_OF_SANDBOX);
	assert_int_equal(notice_milliseconds(&notices), 10000);
}

static void no_news_is_no_notice(void **state)
{
	const struct limit_news none = { .memory_kills = 0 };

	(void)state;
	notice_limits(&notices, &sandbox, &none);
	notice_limits(&notices, &sandbox, NULL);
	assert_int_equal(n_told + n_logged, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_was_killed_and_for_which_limit),
		TEST(without_the_kernels_log_there_is_no_name),
		TEST(whose_processes_are_too_many),
		TEST(a_limit_that_is_gone_has_no_number),
		TEST(without_a_users_group_the_limit_above_is_not_his),
		TEST(limits_of_v1_have_their_own_file),
		TEST(bytes_are_told_as_an_administrator_writes_them),
		TEST(others_have_words_for_the_terminals_too),
		TEST(nothing_is_cut_off),
		TEST(what_comes_too_soon_is_counted_in_the_next),
		TEST(kinds_do_not_wait_for_each_other),
		TEST(what_nobody_can_write_is_tried_again),
		TEST(what_nobody_can_write_is_given_up),
		TEST(of_two_lines_that_nobody_can_write_the_newer_is_told),
		TEST(at_the_end_there_is_a_last_try),
		TEST(of_endless_trouble_there_is_no_endless_talk),
		TEST(no_news_is_no_notice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
