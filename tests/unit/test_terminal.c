/* SPDX-License-Identifier: BSD-3-Clause */
/* Words to terminals, on real ones: a child sits at each with its session. */
#include "helper/terminal.h"
#include "lib/cleanup.h"
#include "lib/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_cgroup.h"

#define TERMINALS 2

static struct {
	int master, slave;
	pid_t pid;
} seats[TERMINALS];

/* A process at a terminal of its own, which holds it open as fd 0 only if asked to. */
static pid_t sit(int slave, bool as_stdin)
{
	int pair[2];
	char ready;
	pid_t pid;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		setsid();
		ioctl(slave, TIOCSCTTY, 0);
		for (int fd = 0; fd <= 2; fd++)
			dup2(as_stdin && fd == 0 ? slave : null, fd);
		if (write(pair[1], "x", 1) == 1)
			pause();
		_exit(0);
	}
	close(pair[1]);
	assert_int_equal(read(pair[0], &ready, 1), 1);
	close(pair[0]);
	return pid;
}

static int set_up(void **state)
{
	char text[64];

	(void)state;
	fake_make(&cgroup_backend_v2);
	for (int i = 0; i < TERMINALS; i++) {
		if (openpty(&seats[i].master, &seats[i].slave, NULL, NULL, NULL) < 0)
			return -1;
		seats[i].pid = sit(seats[i].slave, i == 0);
	}
	snprintf(text, sizeof(text), "0\n%d\n%d\n%d\n", seats[0].pid, seats[1].pid, seats[0].pid);
	fake_write(CGROUP_SANDBOX, "pids", "cgroup.procs", text);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (int i = 0; i < TERMINALS; i++) {
		kill(seats[i].pid, SIGKILL);
		waitpid(seats[i].pid, NULL, 0);
		cleanup_close(&seats[i].master);
		cleanup_close(&seats[i].slave);
	}
	fake_remove();
	return 0;
}

/* What has come to a terminal. */
static const char *seen(int i)
{
	static char text[2048];
	struct pollfd item = { .fd = seats[i].master, .events = POLLIN };
	size_t length = 0;

	while (length < sizeof(text) - 1 && poll(&item, 1, 0) > 0) {
		ssize_t n = read(seats[i].master, text + length, sizeof(text) - 1 - length);

		if (n <= 0)
			break;
		length += (size_t)n;
	}
	text[length] = '\0';
	return text;
}

/* The raw line: the terminal itself makes "\r\n" of "\n". */
#define SEEN(line) "\r\r\n" line "\r\r\n"

/* A process of its own writes; this one waits for it, and leaves it to be waited for again. */
static void wait_for_teller(void)
{
	for (int i = 0; i < 300; i++) {
		siginfo_t info = { .si_pid = 0 };

		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid != 0)
			return;
		poll(NULL, 0, 1);
	}
}

static void tell(const struct cgroup *cgroup, uid_t uid, const pid_t *leaders, size_t n_leaders, const char *line)
{
	terminals_tell(cgroup, uid, leaders, n_leaders, line);
	wait_for_teller();
}

static void each_terminal_is_told_once(void **state)
{
	(void)state;
	tell(&fake_cgroup, getuid(), NULL, 0, "hello");
	assert_string_equal(seen(0), SEEN("hello"));
	assert_string_equal(seen(1), SEEN("hello"));
}

static void another_users_terminal_is_not_told(void **state)
{
	(void)state;
	tell(&fake_cgroup, getuid() + 1, NULL, 0, "hello");
	assert_string_equal(seen(0), "");
	assert_string_equal(seen(1), "");
}

/* The other leader's terminal has the number of the one in /dev/pts, and that is all that is known of it. */
static void a_leader_that_has_it_open_is_told_whose_it_may_be(void **state)
{
	const pid_t leaders[] = { seats[0].pid, seats[1].pid };

	(void)state;
	tell(&fake_cgroup, getuid() + 1, leaders, 2, "hello");
	assert_string_equal(seen(0), SEEN("hello"));
	assert_string_equal(seen(1), "");
	tell(&fake_cgroup, getuid(), leaders, 2, "again");
	assert_string_equal(seen(0), SEEN("again"));
	assert_string_equal(seen(1), SEEN("again"));
}

static void nobody_at_a_terminal_is_no_trouble(void **state)
{
	const pid_t leaders[] = { 0, -1, 1 << 30 };

	(void)state;
	fake_write(CGROUP_SANDBOX, "pids", "cgroup.procs", "");
	tell(&fake_cgroup, getuid(), leaders, 3, "hello");
	assert_int_equal(unlinkat(fake_cgroup.hierarchies[0].root, "isolate/1000/0123/cgroup.procs", 0), 0);
	tell(&fake_cgroup, getuid(), leaders, 3, "hello");
	assert_string_equal(seen(0), "");
}

static void only_printable_characters_get_through(void **state)
{
	(void)state;
	tell(&fake_cgroup, getuid(), NULL, 0, "\x1b[31m\xc3\xa9\n\r\a\x7f\x9b ~");
	assert_string_equal(seen(0), SEEN("?[31m??????? ~"));
}

static void a_long_line_is_cut(void **state)
{
	char line[4096];
	size_t length;

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	tell(&fake_cgroup, getuid(), NULL, 0, line);
	length = strlen(seen(0));
	assert_in_range(length, 500, 520);
	assert_string_equal(seen(0), "");
}

/* Both would have write(2) wait without O_NONBLOCK. */
static void a_terminal_that_does_not_listen_is_not_waited_for(void **state)
{
	int64_t began = clock_milliseconds();

	(void)state;
	assert_int_equal(tcflow(seats[0].slave, TCOOFF), 0);
	for (int i = 0; i < 1000; i++)
		tell(&fake_cgroup, getuid(), NULL, 0, "hello");
	assert_in_range(clock_milliseconds() - began, 0, 5000);
	assert_string_equal(seen(0), "");
	assert_memory_equal(seen(1), SEEN("hello"), strlen(SEEN("hello")));
	assert_int_equal(tcflow(seats[0].slave, TCOON), 0);
	assert_string_equal(seen(0), "");
}

/* In a scope of systemd's. */
static void nobody_is_told_from_within_a_full_group(void **state)
{
	(void)state;
	fake_cgroup.owner = CGROUP_SYSTEMDS;
	fake_write(CGROUP_SANDBOX, "pids", "pids.max", "40\n");
	fake_write(CGROUP_SANDBOX, "pids", "pids.current", "40\n");
	assert_int_equal(terminals_tell(&fake_cgroup, getuid(), NULL, 0, "hello"), -EAGAIN);
	fake_write(CGROUP_SANDBOX, "pids", "pids.current", "39\n");
	tell(&fake_cgroup, getuid(), NULL, 0, "hello");
	assert_string_equal(seen(0), SEEN("hello"));
	/* From outside it does not matter. */
	fake_cgroup.owner = CGROUP_OURS;
	fake_write(CGROUP_SANDBOX, "pids", "pids.current", "40\n");
	tell(&fake_cgroup, getuid(), NULL, 0, "again");
	assert_string_equal(seen(0), SEEN("again"));
}

static void who_is_writing_is_not_interrupted(void **state)
{
	(void)state;
	assert_int_equal(terminals_tell(&fake_cgroup, getuid(), NULL, 0, "hello"), 0);
	while (terminals_tell(&fake_cgroup, getuid(), NULL, 0, "again") == -EBUSY)
		poll(NULL, 0, 1);
	wait_for_teller();
	assert_memory_equal(seen(0), SEEN("hello"), strlen(SEEN("hello")));
}

static void a_terminal_that_carries_something_else_is_left_alone(void **state)
{
	int null = 27; /* N_NULL */

	(void)state;
	if (ioctl(seats[0].slave, TIOCSETD, &null) < 0)
		skip();
	tell(&fake_cgroup, getuid(), NULL, 0, "hello");
	assert_string_equal(seen(0), "");
	assert_string_equal(seen(1), SEEN("hello"));
}

static void a_terminal_without_a_name_is_not_told(void **state)
{
	char name[64];

	(void)state;
	assert_int_equal(ttyname_r(seats[0].slave, name, sizeof(name)), 0);
	if (chmod(name, 0) < 0)
		fail();
	/* Without the right to open it, unless root. */
	tell(&fake_cgroup, getuid(), NULL, 0, "hello");
	assert_string_equal(seen(0), getuid() == 0 ? SEEN("hello") : "");
}

static void the_terminal_stands_behind_any_name(void **state)
{
	(void)state;
	assert_int_equal(terminal_in_stat("1 (bash) S 2 3 4 34816 5 6"), makedev(136, 0));
	assert_int_equal(terminal_in_stat("1 (a) S 1 1 1 34817) S 2 3 4 34818 5"), makedev(136, 2));
	assert_int_equal(terminal_in_stat("1 () \n(() S 2 3 4 1025 -1 6"), makedev(4, 1));
	/* Minor numbers above 255 stand in the upper half. */
	assert_int_equal(terminal_in_stat("1 (bash) S 2 3 4 1083436 5 6"), makedev(136, 300));
	assert_int_equal(terminal_in_stat("1 (bash) S 2 3 4 0 -1 6"), 0);
	assert_int_equal(terminal_in_stat("1 (bash) S 2 3"), 0);
	assert_int_equal(terminal_in_stat("1 (bash S 2 3 4 34816"), 0);
	assert_int_equal(terminal_in_stat(""), 0);
}

static void only_terminals_have_a_path(void **state)
{
	char path[TERMINAL_PATH_SIZE];

	(void)state;
	assert_true(terminal_path(makedev(136, 7), path));
	assert_string_equal(path, "/dev/pts/7");
	assert_true(terminal_path(makedev(136, 1000), path));
	assert_string_equal(path, "/dev/pts/1000");
	assert_true(terminal_path(makedev(4, 63), path));
	assert_string_equal(path, "/dev/tty63");
	assert_true(terminal_path(makedev(4, 64), path));
	assert_string_equal(path, "/dev/ttyS0");
	assert_false(terminal_path(makedev(4, 0), path));
	assert_false(terminal_path(makedev(5, 0), path));
	assert_false(terminal_path(makedev(1, 3), path));
	assert_false(terminal_path(makedev(8, 0), path));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_terminal_is_told_once),
		TEST(another_users_terminal_is_not_told),
		TEST(a_leader_that_has_it_open_is_told_whose_it_may_be),
		TEST(nobody_at_a_terminal_is_no_trouble),
		TEST(only_printable_characters_get_through),
		TEST(a_long_line_is_cut),
		TEST(a_terminal_that_does_not_listen_is_not_waited_for),
		TEST(nobody_is_told_from_within_a_full_group),
		TEST(who_is_writing_is_not_interrupted),
		TEST(a_terminal_that_carries_something_else_is_left_alone),
		TEST(a_terminal_without_a_name_is_not_told),
		cmocka_unit_test(the_terminal_stands_behind_any_name),
		cmocka_unit_test(only_terminals_have_a_path),
	};

	int master, slave;

	if (openpty(&master, &slave, NULL, NULL, NULL) < 0) {
		fprintf(stderr, "no terminal to be had: %s\n", strerror(errno));
		return 77;
	}
	close(slave);
	close(master);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
