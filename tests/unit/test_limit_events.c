/* SPDX-License-Identifier: BSD-3-Clause */
/* What the counters of both cgroup versions say, with directories for groups and a clock of our own. */
#include "helper/limit_events.h"
#include "lib/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <time.h>

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_cgroup.h"

static struct limit_events events;
static struct limit_news news;
static int64_t now;
static struct error err;

int __wrap_clock_gettime(clockid_t clock, struct timespec *time);

int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
	(void)clock;
	*time = (struct timespec){ .tv_sec = now / 1000, .tv_nsec = now % 1000 * 1000000 };
	return 0;
}

static void write_memory(enum cgroup_level level, int oom, int kills)
{
	char text[128];

	if (fake_cgroup.backend == &cgroup_backend_v2)
		snprintf(text, sizeof(text), "low 0\nhigh 5\nmax 77\noom %d\noom_kill %d\noom_group_kill 0\n", oom, kills);
	else
		snprintf(text, sizeof(text), "oom_kill_disable 0\nunder_oom 0\noom_kill %d\n", kills);
	fake_write(level, "memory", fake_cgroup.backend == &cgroup_backend_v2 ? "memory.events" : "memory.oom_control", text);
}

static void write_tasks(enum cgroup_level level, const char *file, int refused, const char *max, const char *current)
{
	char text[32];

	snprintf(text, sizeof(text), "max %d\n", refused);
	fake_write(level, "pids", file, text);
	fake_write(level, "pids", "pids.max", max);
	fake_write(level, "pids", "pids.current", current);
}

static void start(const struct cgroup_backend *backend)
{
	now = 1000000;
	fake_make(backend);
	for (enum cgroup_level level = CGROUP_SANDBOX; level <= CGROUP_USER; level++) {
		write_memory(level, 3, 2);
		write_tasks(level, "pids.events", 4, "max\n", "1\n");
		if (backend == &cgroup_backend_v1)
			fake_write(level, "memory", "cgroup.event_control", "");
	}
	assert_int_equal(limit_events_open(&fake_cgroup, &events, &err), 0);
}

static int tear_down(void **state)
{
	(void)state;
	limit_events_release(&events);
	fake_remove();
	return 0;
}

/* As if poll(2) had said something of one fd, or (-1) had waited in vain, milliseconds later. */
static bool step(int heard, int milliseconds)
{
	struct pollfd pollfds[LIMIT_EVENTS_FDS];

	limit_events_watch(&events, pollfds);
	now += milliseconds;
	if (heard >= 0 && pollfds[heard].fd >= 0)
		pollfds[heard].revents = POLLPRI;
	return limit_events_read(&events, &fake_cgroup, pollfds, &news);
}

static bool hear(void)
{
	memset(&news, 0xee, sizeof(news));
	if (step(0, 0))
		return false;
	return step(-1, 100);
}

static void assert_memory(uint64_t kills, enum limit_owner limit)
{
	assert_int_equal(news.memory_kills, kills);
	assert_int_equal(news.memory_limit, limit);
	assert_int_equal(news.tasks_refused, 0);
}

static void assert_tasks(uint64_t refused, enum limit_owner limit)
{
	assert_int_equal(news.memory_kills, 0);
	assert_int_equal(news.tasks_refused, refused);
	assert_int_equal(news.tasks_limit, limit);
}

/* ---- the loop ---- */

static void what_was_before_is_no_news(void **state)
{
	(void)state;
	start(&cgroup_backend_v2);
	assert_false(hear());
}

static void what_is_heard_is_read_a_little_later(void **state)
{
	struct pollfd pollfds[LIMIT_EVENTS_FDS];

	(void)state;
	start(&cgroup_backend_v2);
	assert_int_equal(limit_events_watch(&events, pollfds), -1);
	for (size_t i = 0; i < LIMIT_EVENTS_FDS; i++) {
		assert_true(pollfds[i].fd >= 0);
		assert_int_equal(pollfds[i].events, POLLPRI);
	}
	write_memory(CGROUP_SANDBOX, 4, 3);
	assert_false(step(2, 0));
	/* Poll would return at once. */
	assert_int_equal(limit_events_watch(&events, pollfds), 100);
	for (size_t i = 0; i < LIMIT_EVENTS_FDS; i++)
		assert_int_equal(pollfds[i].fd, -1);
	assert_false(step(-1, 99));
	assert_int_equal(limit_events_watch(&events, pollfds), 1);
	write_memory(CGROUP_SANDBOX, 5, 4);
	assert_true(step(-1, 1));
	assert_memory(2, LIMIT_OF_SANDBOX);
	assert_int_equal(limit_events_watch(&events, pollfds), -1);
	assert_true(pollfds[0].fd >= 0);
	assert_false(step(-1, 100000));
}

static void v1_is_looked_at_without_a_word(void **state)
{
	struct pollfd pollfds[LIMIT_EVENTS_FDS];

	(void)state;
	start(&cgroup_backend_v1);
	assert_int_equal(limit_events_watch(&events, pollfds), 5000);
	assert_int_equal(pollfds[0].events, POLLIN);
	assert_int_equal(pollfds[2].events, POLLPRI);
	write_tasks(CGROUP_SANDBOX, "pids.events", 5, "10\n", "10\n");
	assert_false(step(-1, 4999));
	assert_true(step(-1, 1));
	assert_tasks(1, LIMIT_OF_SANDBOX);
	assert_int_equal(limit_events_watch(&events, pollfds), 5000);
}

/* ---- memory ---- */

static void v2_counts_upwards(void **state)
{
	(void)state;
	start(&cgroup_backend_v2);
	write_memory(CGROUP_SANDBOX, 4, 3);
	write_memory(CGROUP_USER, 4, 3);
	assert_true(hear());
	assert_memory(1, LIMIT_OF_SANDBOX);
	write_memory(CGROUP_SANDBOX, 4, 5);
	write_memory(CGROUP_USER, 5, 6);
	assert_true(hear());
	assert_memory(2, LIMIT_OF_USER);
	write_memory(CGROUP_SANDBOX, 4, 6);
	write_memory(CGROUP_USER, 5, 7);
	assert_true(hear());
	assert_memory(1, LIMIT_OF_MACHINE);
	/* Another login of the user's. */
	write_memory(CGROUP_USER, 6, 8);
	assert_false(hear());
}

static void notify(enum cgroup_level level)
{
	uint64_t once = 1;

	assert_int_equal(write(events.fds[level], &once, sizeof(once)), sizeof(once));
}

static void v1_notifies_downwards(void **state)
{
	(void)state;
	start(&cgroup_backend_v1);
	notify(CGROUP_SANDBOX);
	write_memory(CGROUP_SANDBOX, 0, 3);
	assert_true(hear());
	assert_memory(1, LIMIT_OF_SANDBOX);
	notify(CGROUP_SANDBOX);
	notify(CGROUP_USER);
	write_memory(CGROUP_SANDBOX, 0, 4);
	assert_true(hear());
	assert_memory(1, LIMIT_OF_USER);
	/* No word of it. */
	write_memory(CGROUP_SANDBOX, 0, 5);
	assert_true(step(-1, 5000));
	assert_memory(1, LIMIT_OF_MACHINE);
}

static void a_kill_that_is_late_keeps_its_reason(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		start(i ? &cgroup_backend_v1 : &cgroup_backend_v2);
		if (i)
			notify(CGROUP_SANDBOX);
		write_memory(CGROUP_SANDBOX, 4, 2);
		assert_false(hear());
		write_memory(CGROUP_SANDBOX, 4, 3);
		assert_false(step(-1, 1999));
		assert_true(step(-1, 1));
		assert_memory(1, LIMIT_OF_SANDBOX);
		if (!i)
			tear_down(NULL);
	}
}

static void a_reason_without_a_kill_is_forgotten(void **state)
{
	(void)state;
	start(&cgroup_backend_v2);
	write_memory(CGROUP_USER, 4, 3);
	assert_false(hear());
	assert_false(step(-1, 2000));
	write_memory(CGROUP_SANDBOX, 3, 3);
	assert_true(hear());
	assert_memory(1, LIMIT_OF_MACHINE);
}

/* ---- tasks ---- */

static void the_limit_is_the_one_with_the_least_room(void **state)
{
	static const struct {
		const char *of_sandbox, *of_user;
		enum limit_owner limit;
	} cases[] = {
		{ "8\n", "max\n", LIMIT_OF_SANDBOX },
		{ "max\n", "12\n", LIMIT_OF_USER },
		{ "9\n", "12\n", LIMIT_OF_USER },
		{ "8\n", "12\n", LIMIT_OF_SANDBOX },
		/* Some have ended since. */
		{ "10\n", "40\n", LIMIT_OF_SANDBOX },
		{ "max\n", "max\n", LIMIT_OF_MACHINE },
	};

	(void)state;
	start(&cgroup_backend_v1);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		write_tasks(CGROUP_SANDBOX, "pids.events", 10 + (int)i * 3, cases[i].of_sandbox, "8\n");
		write_tasks(CGROUP_USER, "pids.events", 4, cases[i].of_user, "12\n");
		assert_true(hear());
		assert_tasks(i ? 3 : 6, cases[i].limit);
	}
}

static void since_6_12_it_is_the_group_that_counts(void **state)
{
	(void)state;
	start(&cgroup_backend_v2);
	limit_events_release(&events);
	write_tasks(CGROUP_SANDBOX, "pids.events.local", 0, "8\n", "8\n");
	write_tasks(CGROUP_USER, "pids.events.local", 0, "12\n", "12\n");
	assert_int_equal(limit_events_open(&fake_cgroup, &events, &err), 0);
	/* What happens to another login is counted here, too, but not in the local file. */
	write_tasks(CGROUP_USER, "pids.events", 9, "12\n", "12\n");
	assert_false(hear());
	write_tasks(CGROUP_USER, "pids.events.local", 2, "12\n", "12\n");
	assert_true(hear());
	assert_tasks(2, LIMIT_OF_USER);
	write_tasks(CGROUP_SANDBOX, "pids.events.local", 1, "8\n", "8\n");
	assert_true(hear());
	assert_tasks(1, LIMIT_OF_SANDBOX);
}

/* ---- what is not there ---- */

static void no_files_are_no_error(void **state)
{
	struct pollfd pollfds[LIMIT_EVENTS_FDS];

	(void)state;
	fake_make(&cgroup_backend_v2);
	assert_int_equal(limit_events_open(&fake_cgroup, &events, &err), 0);
	assert_int_equal(limit_events_watch(&events, pollfds), -1);
	for (size_t i = 0; i < LIMIT_EVENTS_FDS; i++)
		assert_int_equal(pollfds[i].fd, -1);
	assert_false(hear());
}

static void without_a_users_group_the_sandboxs_is_watched(void **state)
{
	(void)state;
	fake_make(&cgroup_backend_v2);
	write_memory(CGROUP_SANDBOX, 0, 0);
	write_tasks(CGROUP_SANDBOX, "pids.events", 0, "8\n", "8\n");
	assert_int_equal(limit_events_open(&fake_cgroup, &events, &err), 0);
	assert_int_equal(events.fds[1], -1);
	assert_int_equal(events.fds[3], -1);
	write_memory(CGROUP_SANDBOX, 1, 1);
	assert_true(hear());
	assert_memory(1, LIMIT_OF_SANDBOX);
	write_tasks(CGROUP_SANDBOX, "pids.events", 1, "8\n", "8\n");
	assert_true(hear());
	assert_tasks(1, LIMIT_OF_SANDBOX);
}

static int count_fds(void)
{
	AUTO_CLOSEDIR DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	return n;
}

static void another_failure_is_an_error_and_leaves_nothing(void **state)
{
	int before;

	(void)state;
	fake_make(&cgroup_backend_v2);
	write_memory(CGROUP_SANDBOX, 0, 0);
	assert_int_equal(symlinkat("nowhere", fake_cgroup.hierarchies[0].root, "isolate/1000/memory.events"), 0);
	events = LIMIT_EVENTS_NONE;
	before = count_fds();
	assert_int_equal(limit_events_open(&fake_cgroup, &events, &err), -ELOOP);
	assert_int_equal(count_fds(), before);
	assert_string_equal(err.step, "limit events");
	assert_string_equal(err.text, "memory.events of " FAKE_PATH);
}

static void a_file_that_cannot_be_read_is_closed(void **state)
{
	(void)state;
	start(&cgroup_backend_v2);
	/* A removed group: POLLERR for ever, ENODEV from read(2). Here a directory. */
	cleanup_close(&events.fds[0]);
	events.fds[0] = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_false(hear());
	assert_int_equal(events.fds[0], -1);
	assert_true(events.fds[1] >= 0);
}

#define TEST(function) cmocka_unit_test_teardown(function, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_before_is_no_news),
		TEST(what_is_heard_is_read_a_little_later),
		TEST(v1_is_looked_at_without_a_word),
		TEST(v2_counts_upwards),
		TEST(v1_notifies_downwards),
		TEST(a_kill_that_is_late_keeps_its_reason),
		TEST(a_reason_without_a_kill_is_forgotten),
		TEST(the_limit_is_the_one_with_the_least_room),
		TEST(since_6_12_it_is_the_group_that_counts),
		TEST(no_files_are_no_error),
		TEST(without_a_users_group_the_sandboxs_is_watched),
		TEST(another_failure_is_an_error_and_leaves_nothing),
		TEST(a_file_that_cannot_be_read_is_closed),
	};

	events = LIMIT_EVENTS_NONE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
