/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's log as /dev/kmsg gives it, one record with each read: here over a socket. Names in it are the enemy's. */
#include "helper/oom.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define PATH "/isolate/1000/0123"
#define BEGIN "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0-1"

static int kernel, log_fd;
static uint64_t sequence, microseconds;
static struct oom_victim victim;

static int set_up(void **state)
{
	int pair[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	kernel = pair[0];
	log_fd = pair[1];
	sequence = microseconds = 0;
	memset(&victim, 0, sizeof(victim));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	cleanup_close(&kernel);
	cleanup_close(&log_fd);
	return 0;
}

static void put(const char *record)
{
	assert_int_equal(send(kernel, record, strlen(record), 0), strlen(record));
}

/* A record of the kernel's, of what happens a second after the one before. */
static void put_text(uint64_t number, const char *text)
{
	char record[1024];

	microseconds += 1000000;
	snprintf(
		record, sizeof(record), "6,%llu,%llu,-;%s\n", (unsigned long long)number, (unsigned long long)microseconds, text);
	put(record);
}

static void put_kill(uint64_t number, const char *groups, const char *name, int pid)
{
	char text[768];

	snprintf(text, sizeof(text), BEGIN "%s,task=%s,pid=%d,uid=1000", groups, name, pid);
	put_text(number, text);
}

static int find(void)
{
	return oom_find_in(log_fd, PATH, &sequence, &victim);
}

static void assert_name(const char *in_log, const char *expected)
{
	memset(&victim, 0, sizeof(victim));
	sequence = 0;
	put_kill(1, ",oom_memcg=" PATH ",task_memcg=" PATH, in_log, 4242);
	assert_int_equal(find(), 1);
	assert_string_equal(victim.name, expected);
	assert_int_equal(victim.pid, 4242);
}

static void the_last_kill_of_the_sandbox_is_found(void **state)
{
	(void)state;
	put_text(7, "eth0: link becomes ready");
	put_kill(8, ",oom_memcg=" PATH ",task_memcg=" PATH, "first", 10);
	put_kill(9, ",oom_memcg=" PATH ",task_memcg=" PATH "/below", "python3", 11);
	put_kill(10, ",oom_memcg=/isolate/1000/9999,task_memcg=/isolate/1000/9999", "other", 12);
	put_text(11, "Memory cgroup out of memory: Killed process 11 (python3) total-vm:66340kB");
	assert_int_equal(find(), 1);
	assert_string_equal(victim.name, "python3");
	assert_int_equal(victim.pid, 11);
	assert_int_equal(victim.limit, LIMIT_OF_SANDBOX);
	assert_int_equal(sequence, 10);
}

static void a_kill_is_found_once(void **state)
{
	(void)state;
	sequence = 9;
	put_kill(8, ",oom_memcg=" PATH ",task_memcg=" PATH, "python3", 11);
	assert_int_equal(find(), 0);
	assert_int_equal(sequence, 9);
	assert_string_equal(victim.name, "");
}

static void an_old_line_is_not_of_a_new_kill(void **state)
{
	(void)state;
	put_kill(1, ",oom_memcg=" PATH ",task_memcg=" PATH, "python3", 11);
	microseconds += 61000000;
	put_text(2, "eth0: link becomes ready");
	assert_int_equal(find(), 0);
}

static void an_empty_log_has_no_kill(void **state)
{
	(void)state;
	assert_int_equal(find(), 0);
	cleanup_close(&kernel);
	assert_int_equal(find(), 0);
}

static void the_limit_is_that_of_the_group_that_was_full(void **state)
{
	static const struct {
		const char *groups;
		enum limit_owner limit;
	} cases[] = {
		{ ",oom_memcg=" PATH ",task_memcg=" PATH, LIMIT_OF_SANDBOX },
		{ ",oom_memcg=/isolate/1000,task_memcg=" PATH, LIMIT_OF_USER },
		{ ",oom_memcg=/isolate,task_memcg=" PATH, LIMIT_OF_MACHINE },
		{ ",oom_memcg=/,task_memcg=" PATH, LIMIT_OF_MACHINE },
		{ ",global_oom,task_memcg=" PATH "/a", LIMIT_OF_MACHINE },
		{ ",oom_memcg=" PATH "/a,task_memcg=" PATH "/a/b", LIMIT_OF_PART },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		sequence = 0;
		put_kill(1, cases[i].groups, "python3", 11);
		assert_int_equal(find(), 1);
		assert_int_equal(victim.limit, cases[i].limit);
	}
}

static void other_groups_are_not_ours(void **state)
{
	static const char *const groups[] = {
		",oom_memcg=/isolate/1000,task_memcg=/isolate/1000/01234",
		",oom_memcg=/isolate/1000,task_memcg=/isolate/1000",
		",oom_memcg=/isolate/1000,task_memcg=/x" PATH,
		",global_oom,task_memcg=/",
		/* Groups of a user who gives them names like these. */
		",oom_memcg=/user/x,task_memcg=" PATH ",task_memcg=/user/x,task_memcg=" PATH,
		",global_oom,task_memcg=/user/x,task_memcg=" PATH,
		",global_oom,task_memcg=/user/x,oom_memcg=" PATH ",task_memcg=" PATH,
		",oom_memcg=,task_memcg=" PATH,
		",task_memcg=" PATH,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		put_kill(1, groups[i], "python3", 11);
		assert_int_equal(find(), 0);
	}
}

static void a_hostile_name_comes_out_harmless(void **state)
{
	(void)state;
	assert_name("python3", "python3");
	assert_name("tmux: server", "tmux: server");
	assert_name("\\x1b[31mred\\x0a", "?[31mred?");
	assert_name("a)b\\x5c \"\\xc3\\xa9", "a)b\\ \"??");
	assert_name(",pid=1,uid=0", ",pid=1,uid=0");
	assert_name("x,pid=1", "x,pid=1");
	assert_name(",task=sshd", ",task=sshd");
	assert_name("\\x7f\\x00", "??");
	assert_name("\\x5cx41", "\\x41");
	assert_name("\\xz\\x4", "\\xz\\x4");
	assert_name("", "");
	/* Raw, as no kernel writes them. */
	assert_name("\x1b]0;x\x07\xff\t\r", "?]0;x????");
	assert_name("longer than any name", "longer than any");
}

static void only_the_kernel_says_so(void **state)
{
	const char *groups = ",oom_memcg=" PATH ",task_memcg=" PATH ",task=x,pid=1,uid=0\n";
	char record[512];

	(void)state;
	/* 12: a user-space program's, facility 1. */
	snprintf(record, sizeof(record), "12,1,1,-;" BEGIN "%s", groups);
	put(record);
	snprintf(record, sizeof(record), "6,2,2,-;sshd: " BEGIN "%s", groups);
	put(record);
	/* A second line of a record is its dictionary. */
	snprintf(record, sizeof(record), "6,3,3,-;x\n" BEGIN "%s", groups);
	put(record);
	assert_int_equal(find(), 0);
	snprintf(record, sizeof(record), "6,4,4,-,caller=T1;" BEGIN "%s SUBSYSTEM=x\n", groups);
	put(record);
	assert_int_equal(find(), 1);
}

static void what_is_cut_short_is_nothing(void **state)
{
	static const char line[] = "6,1,1,-;" BEGIN ",oom_memcg=" PATH ",task_memcg=" PATH ",task=x,pid=1,uid=1";
	char part[sizeof(line)];

	(void)state;
	for (size_t length = 1; length < sizeof(line) - 1; length++) {
		memcpy(part, line, length);
		part[length] = '\0';
		put(part);
		assert_int_equal(find(), 0);
	}
	put(line);
	assert_int_equal(find(), 1);
	put("no record at all");
	put(";");
	put("6,x,1,-;text");
	assert_int_equal(find(), 0);
}

static void a_missing_log_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(oom_find("/no/such/file", PATH, &sequence, &victim), -ENOENT);
	assert_int_equal(oom_find("/dev/null", PATH, &sequence, &victim), 0);
	assert_int_equal(oom_find("/tmp", PATH, &sequence, &victim), -EISDIR);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_last_kill_of_the_sandbox_is_found),
		TEST(a_kill_is_found_once),
		TEST(an_old_line_is_not_of_a_new_kill),
		TEST(an_empty_log_has_no_kill),
		TEST(the_limit_is_that_of_the_group_that_was_full),
		TEST(other_groups_are_not_ours),
		TEST(a_hostile_name_comes_out_harmless),
		TEST(only_the_kernel_says_so),
		TEST(what_is_cut_short_is_nothing),
		TEST(a_missing_log_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
