/* SPDX-License-Identifier: BSD-3-Clause */

/* lib/fd.h holds what it says, with the kernel's own pipes, sockets and files. */
#include "lib/fd.h"

#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

struct fixture {
	char directory[32];
	int dirfd;
	int pair[2];
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture)
		return -1;
	*state = fixture;
	strcpy(fixture->directory, "/tmp/isolate-fd-XXXXXX");
	if (!mkdtemp(fixture->directory))
		return -1;
	fixture->dirfd = open(fixture->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fixture->dirfd < 0)
		return -1;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fixture->pair);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	unlinkat(fixture->dirfd, "file", 0);
	unlinkat(fixture->dirfd, "link", 0);
	cleanup_close(&fixture->dirfd);
	cleanup_close(&fixture->pair[0]);
	cleanup_close(&fixture->pair[1]);
	rmdir(fixture->directory);
	free(fixture);
	return 0;
}

static void make_file(const struct fixture *fixture, const char *text, size_t length)
{
	AUTO_CLOSE int fd = openat(fixture->dirfd, "file", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, length), length);
}

/* How many fds this process has open. */
static size_t count_fds(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* --- files ----------------------------------------------------------------- */

static void reading_drops_one_newline_at_the_end(void **state)
{
	char buffer[16];

	make_file(*state, "abc\n", 4);
	assert_int_equal(read_file_at(((struct fixture *)*state)->dirfd, "file", buffer, sizeof(buffer)), 3);
	assert_string_equal(buffer, "abc");
	make_file(*state, "a\nb\n\n", 5);
	assert_int_equal(read_file_at(((struct fixture *)*state)->dirfd, "file", buffer, sizeof(buffer)), 4);
	assert_string_equal(buffer, "a\nb\n");
	make_file(*state, "abc", 3);
	assert_int_equal(read_file_at(((struct fixture *)*state)->dirfd, "file", buffer, sizeof(buffer)), 3);
	assert_string_equal(buffer, "abc");
}

static void reading_an_empty_file_gives_an_empty_text(void **state)
{
	char buffer[2] = "x";

	make_file(*state, "", 0);
	assert_int_equal(read_file_at(((struct fixture *)*state)->dirfd, "file", buffer, sizeof(buffer)), 0);
	assert_string_equal(buffer, "");
	make_file(*state, "\n", 1);
	assert_int_equal(read_file_at(((struct fixture *)*state)->dirfd, "file", buffer, sizeof(buffer)), 0);
	assert_string_equal(buffer, "");
}

static void reading_needs_room_for_the_file_and_a_nul(void **state)
{
	AUTO_FREE char *buffer = malloc(5); /* on the heap: a byte too many is seen there */

	assert_non_null(buffer);
	make_file(*state, "abcd", 4);
	assert_int_equal(read_file_at(((struct fixture *)*state)->dirfd, "file", buffer, 5), 4);
	assert_string_equal(buffer, "abcd");
	make_file(*state, "abcde", 5);
	assert_int_equal(read_file_at(((struct fixture *)*state)->dirfd, "file", buffer, 5), -E2BIG);
	make_file(*state, "abcdefghij", 10);
	assert_int_equal(read_file_at(((struct fixture *)*state)->dirfd, "file", buffer, 5), -E2BIG);
}

static void reading_to_no_room_at_all_writes_nothing(void **state)
{
	char buffer[1] = "x";

	make_file(*state, "", 0);
	assert_int_equal(read_file_at(((struct fixture *)*state)->dirfd, "file", buffer, 0), -E2BIG);
	assert_int_equal(buffer[0], 'x');
}

static void reading_says_why_it_failed(void **state)
{
	const struct fixture *fixture = *state;
	char buffer[16];

	assert_int_equal(read_file_at(fixture->dirfd, "missing", buffer, sizeof(buffer)), -ENOENT);
	assert_int_equal(read_file_at(fixture->dirfd, ".", buffer, sizeof(buffer)), -EISDIR);
}

static void writing_is_one_write_to_a_file_that_exists(void **state)
{
	const struct fixture *fixture = *state;
	char buffer[16];

	make_file(fixture, "", 0);
	assert_int_equal(write_file_at(fixture->dirfd, "file", "42"), 0);
	assert_int_equal(read_file_at(fixture->dirfd, "file", buffer, sizeof(buffer)), 2);
	assert_string_equal(buffer, "42");
	assert_int_equal(write_file_at(fixture->dirfd, "missing", "42"), -ENOENT);
	assert_int_equal(faccessat(fixture->dirfd, "missing", F_OK, 0), -1);
	assert_int_equal(write_file_at(AT_FDCWD, "/dev/full", "42"), -ENOSPC);
}

static void opening_is_close_on_exec(void **state)
{
	const struct fixture *fixture = *state;
	AUTO_CLOSE int fd = -1;

	make_file(fixture, "x", 1);
	fd = open_resolved(fixture->dirfd, "file", O_RDONLY, 0, RESOLVE_BENEATH);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

static void opening_keeps_to_what_it_may_resolve(void **state)
{
	const struct fixture *fixture = *state;

	assert_int_equal(symlinkat("/etc/passwd", fixture->dirfd, "link"), 0);
	assert_int_equal(open_resolved(fixture->dirfd, "link", O_RDONLY, 0, RESOLVE_NO_SYMLINKS), -ELOOP);
	assert_int_equal(open_resolved(fixture->dirfd, "link", O_RDONLY, 0, RESOLVE_BENEATH), -EXDEV);
	assert_int_equal(open_resolved(fixture->dirfd, "../x", O_RDONLY, 0, RESOLVE_BENEATH), -EXDEV);
	assert_int_equal(open_resolved(fixture->dirfd, "missing", O_RDONLY, 0, 0), -ENOENT);
	assert_int_equal(open_resolved(AT_FDCWD, "/proc/self/exe", O_RDONLY, 0, 0), -ELOOP);
}

/* --- fds ------------------------------------------------------------------- */

/* Runs check in a child that may do to its fds what it likes. */
static void in_a_child(int (*check)(void))
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		_exit(check());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int closed_standard_fds_are_opened(void)
{
	struct stat null, status;

	close(0);
	close(1);
	close(2);
	if (ensure_standard_fds() != 0 || stat("/dev/null", &null) < 0)
		return 1;
	for (int fd = 0; fd <= 2; fd++)
		if (fstat(fd, &status) < 0 || status.st_rdev != null.st_rdev || fcntl(fd, F_GETFD) != 0)
			return 2;
	return 0;
}

static int open_standard_fds_are_left(void)
{
	size_t n;
	struct stat before, after;
	int fds[2];

	if (pipe(fds) < 0 || dup2(fds[0], 0) < 0 || dup2(fds[1], 2) < 0)
		return 1;
	close(1);
	n = count_fds();
	fstat(2, &before);
	if (ensure_standard_fds() != 0 || fstat(2, &after) < 0)
		return 2;
	return before.st_ino == after.st_ino && count_fds() == n + 1 ? 0 : 3;
}

static int closing_starts_at_first(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fcntl(fd, F_DUPFD, 200) < 0)
		return 1;
	if (close_from(fd) != 0 || fcntl(fd, F_GETFD) >= 0 || fcntl(200, F_GETFD) >= 0)
		return 2;
	return fcntl(0, F_GETFD) >= 0 ? 0 : 3;
}

static void standard_fds_that_are_closed_become_dev_null(void **state)
{
	(void)state;
	in_a_child(closed_standard_fds_are_opened);
}

static void standard_fds_that_are_open_stay(void **state)
{
	(void)state;
	in_a_child(open_standard_fds_are_left);
}

static void close_from_closes_the_first_and_all_after(void **state)
{
	(void)state;
	in_a_child(closing_starts_at_first);
}

/* --- messages -------------------------------------------------------------- */

static void a_message_arrives_whole(void **state)
{
	const struct fixture *fixture = *state;
	int fds[MESSAGE_FDS_MAX] = { 7, 7, 7, 7 };
	char buffer[16];
	size_t n = 9;

	assert_int_equal(send_message(fixture->pair[0], "hello", 5, NULL, 0), 0);
	assert_int_equal(send_message(fixture->pair[0], "you", 3, NULL, 0), 0);
	assert_int_equal(receive_message(fixture->pair[1], buffer, sizeof(buffer), fds, &n), 5);
	assert_memory_equal(buffer, "hello", 5);
	assert_int_equal(n, 0);
	for (size_t i = 0; i < MESSAGE_FDS_MAX; i++)
		assert_int_equal(fds[i], -1);
	assert_int_equal(receive_message(fixture->pair[1], buffer, sizeof(buffer), fds, &n), 3);
}

static void a_message_may_fill_the_room(void **state)
{
	const struct fixture *fixture = *state;
	int fds[MESSAGE_FDS_MAX];
	char buffer[5];
	size_t n;

	assert_int_equal(send_message(fixture->pair[0], "hello", 5, NULL, 0), 0);
	assert_int_equal(receive_message(fixture->pair[1], buffer, sizeof(buffer), fds, &n), 5);
}

static void a_message_carries_fds_in_order_and_close_on_exec(void **state)
{
	const struct fixture *fixture = *state;

	for (size_t sent = 1; sent <= MESSAGE_FDS_MAX; sent++) {
		int fds[MESSAGE_FDS_MAX], pipes[2];
		char buffer[4];
		size_t n;

		assert_int_equal(pipe(pipes), 0);
		assert_int_equal(
			send_message(fixture->pair[0], "x", 1, (int[]){ pipes[1], pipes[0], pipes[1], pipes[0] }, sent), 0);
		assert_int_equal(receive_message(fixture->pair[1], buffer, sizeof(buffer), fds, &n), 1);
		assert_int_equal(n, sent);
		for (size_t i = 0; i < MESSAGE_FDS_MAX; i++) {
			if (i >= sent) {
				assert_int_equal(fds[i], -1);
				continue;
			}
			assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
			assert_int_equal(fcntl(fds[i], F_GETFL) & O_ACCMODE, i % 2 == 0 ? O_WRONLY : O_RDONLY);
			close(fds[i]);
		}
		close(pipes[0]);
		close(pipes[1]);
	}
}

static void no_more_fds_are_sent_than_a_message_carries(void **state)
{
	const struct fixture *fixture = *state;

	assert_int_equal(send_message(fixture->pair[0], "x", 1, (int[]){ 0, 0, 0, 0, 0 }, 5), -EINVAL);
}

/* As a peer might that does not keep to MESSAGE_FDS_MAX. */
static void send_many_fds(int socket, size_t n_fds)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int) * 16)];
	} control = { .room = { 0 } };
	char data = 'x';
	struct iovec iov = { .iov_base = &data, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(sizeof(int) * n_fds)
	};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
	assert_int_equal(sendmsg(socket, &message, 0), 1);
}

static void a_message_with_too_many_fds_is_refused_and_none_is_kept(void **state)
{
	const struct fixture *fixture = *state;

	for (size_t sent = MESSAGE_FDS_MAX + 1; sent <= 16; sent++) {
		int fds[MESSAGE_FDS_MAX] = { 7, 7, 7, 7 };
		size_t n = 9, before = count_fds();
		char buffer[4];

		send_many_fds(fixture->pair[0], sent);
		assert_int_equal(receive_message(fixture->pair[1], buffer, sizeof(buffer), fds, &n), -EMSGSIZE);
		assert_int_equal(count_fds(), before);
		assert_int_equal(fds[0], 7);
		assert_int_equal(n, 9);
	}
}

static void a_message_that_is_too_long_is_refused_and_no_fd_is_kept(void **state)
{
	const struct fixture *fixture = *state;
	int fds[MESSAGE_FDS_MAX] = { 7, 7, 7, 7 };
	size_t n = 9, before = count_fds();
	char buffer[4];

	assert_int_equal(send_message(fixture->pair[0], "hello", 5, (int[]){ 0 }, 1), 0);
	assert_int_equal(receive_message(fixture->pair[1], buffer, sizeof(buffer), fds, &n), -EMSGSIZE);
	assert_int_equal(count_fds(), before);
	assert_int_equal(fds[0], 7);
	assert_int_equal(n, 9);
}

static void the_end_of_the_stream_is_no_message(void **state)
{
	struct fixture *fixture = *state;
	int fds[MESSAGE_FDS_MAX];
	char buffer[4];
	size_t n;

	cleanup_close(&fixture->pair[0]);
	assert_int_equal(receive_message(fixture->pair[1], buffer, sizeof(buffer), fds, &n), 0);
}

static void sending_to_nobody_raises_no_signal(void **state)
{
	struct fixture *fixture = *state;

	cleanup_close(&fixture->pair[1]);
	assert_int_equal(send_message(fixture->pair[0], "x", 1, NULL, 0), -EPIPE);
}

static void receiving_says_why_it_failed(void **state)
{
	const struct fixture *fixture = *state;
	int fds[MESSAGE_FDS_MAX];
	char buffer[4];
	size_t n;

	assert_int_equal(receive_message(-1, buffer, sizeof(buffer), fds, &n), -EBADF);
	assert_int_equal(send_message(-1, "x", 1, NULL, 0), -EBADF);
	assert_int_equal(send_message(fixture->pair[0], "x", 1, (int[]){ -1 }, 1), -EBADF);
}

/* --- waiting --------------------------------------------------------------- */

static int64_t milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void waiting_ends_with_data_or_with_the_other_end(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(wait_readable(fixture->pair[1], 0), -ETIMEDOUT);
	assert_int_equal(send_message(fixture->pair[0], "x", 1, NULL, 0), 0);
	assert_int_equal(wait_readable(fixture->pair[1], 0), 0);
	assert_int_equal(wait_readable(fixture->pair[1], -1), 0);
	cleanup_close(&fixture->pair[0]);
	assert_int_equal(wait_readable(fixture->pair[1], -1), 0);
}

/* The kernel reports an error then as well; but what the other end said last is still to be read. */
static void waiting_ends_well_when_the_other_end_left_without_reading(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(send_message(fixture->pair[1], "unread", 6, NULL, 0), 0);
	assert_int_equal(send_message(fixture->pair[0], "last", 4, NULL, 0), 0);
	cleanup_close(&fixture->pair[0]);
	assert_int_equal(wait_readable(fixture->pair[1], -1), 0);
}

static void waiting_for_a_closed_fd_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(wait_readable(999, 1000), -EIO);
}

static void on_signal(int signal)
{
	(void)signal;
}

static void waiting_goes_on_through_signals_until_its_time_is_over(void **state)
{
	const struct fixture *fixture = *state;
	const struct itimerval every_10ms = { { 0, 10000 }, { 0, 10000 } }, never = { { 0, 0 }, { 0, 0 } };
	const struct sigaction interrupt = { .sa_handler = on_signal };
	int64_t start = milliseconds(), passed;

	assert_int_equal(sigaction(SIGALRM, &interrupt, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &every_10ms, NULL), 0);
	assert_int_equal(wait_readable(fixture->pair[1], 100), -ETIMEDOUT);
	setitimer(ITIMER_REAL, &never, NULL);
	passed = milliseconds() - start;
	assert_true(passed >= 99 && passed < 5000);
}

#define fd_test(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static void the_process_at_the_other_end_is_found_while_it_has_that_end(void **state)
{
	struct fixture *fixture = *state;
	pid_t pid = 0;
	AUTO_CLOSE int pidfd = open_peer(fixture->pair[0], &pid);

	assert_true(pidfd >= 0);
	assert_int_equal(pid, getpid());
	cleanup_close(&fixture->pair[1]);
	pid = 0;
	assert_int_equal(open_peer(fixture->pair[0], &pid), -ESRCH);
	assert_int_equal(pid, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fd_test(reading_drops_one_newline_at_the_end),
		fd_test(reading_an_empty_file_gives_an_empty_text),
		fd_test(reading_needs_room_for_the_file_and_a_nul),
		fd_test(reading_to_no_room_at_all_writes_nothing),
		fd_test(reading_says_why_it_failed),
		fd_test(writing_is_one_write_to_a_file_that_exists),
		fd_test(opening_is_close_on_exec),
		fd_test(opening_keeps_to_what_it_may_resolve),
		cmocka_unit_test(standard_fds_that_are_closed_become_dev_null),
		cmocka_unit_test(standard_fds_that_are_open_stay),
		cmocka_unit_test(close_from_closes_the_first_and_all_after),
		fd_test(a_message_arrives_whole),
		fd_test(a_message_may_fill_the_room),
		fd_test(a_message_carries_fds_in_order_and_close_on_exec),
		fd_test(no_more_fds_are_sent_than_a_message_carries),
		fd_test(a_message_with_too_many_fds_is_refused_and_none_is_kept),
		fd_test(a_message_that_is_too_long_is_refused_and_no_fd_is_kept),
		fd_test(the_end_of_the_stream_is_no_message),
		fd_test(sending_to_nobody_raises_no_signal),
		fd_test(receiving_says_why_it_failed),
		fd_test(waiting_ends_with_data_or_with_the_other_end),
		fd_test(the_process_at_the_other_end_is_found_while_it_has_that_end),
		fd_test(waiting_ends_well_when_the_other_end_left_without_reading),
		cmocka_unit_test(waiting_for_a_closed_fd_is_an_error),
		fd_test(waiting_goes_on_through_signals_until_its_time_is_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
