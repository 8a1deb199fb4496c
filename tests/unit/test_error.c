/* SPDX-License-Identifier: BSD-3-Clause */

/* lib/error.h holds what it says. */
#include "lib/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void set_fills_all_of_the_error(void **state)
{
	struct error err;

	(void)state;
	memset(&err, 0x5a, sizeof(err));
	assert_int_equal(error_set(&err, ENOENT, "cgroup", "%s/%d", "/sys", 7), -ENOENT);
	assert_int_equal(err.errnum, ENOENT);
	assert_string_equal(err.step, "cgroup");
	assert_string_equal(err.text, "/sys/7");
	/* It is sent over a socket as it lies in memory: nothing of the stack may go along. */
	assert_int_equal(err.text[sizeof(err.text) - 1], 0);
	assert_int_equal(err.step[sizeof(err.step) - 1], 0);
}

static void set_without_an_error_to_fill_gives_the_errno(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, EPERM, "mount", "x"), -EPERM);
	assert_int_equal(error_set(NULL, 0, "mount", "x"), -EIO);
}

static void an_error_is_never_taken_for_success(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(error_set(&err, 0, "mount", "x"), -EIO);
	assert_int_equal(err.errnum, EIO);
	assert_int_equal(error_set(&err, -ENOENT, "mount", "x"), -EIO);
	assert_int_equal(err.errnum, EIO);
}

static void set_cuts_what_does_not_fit(void **state)
{
	struct error err;
	char text[1000];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	error_set(&err, EIO, text, "%s", text);
	assert_int_equal(strlen(err.step), sizeof(err.step) - 1);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static void set_replaces_control_characters(void **state)
{
	struct error err;

	(void)state;
	error_set(&err, EIO, "a\nb", "%s",
		"line\n\tnext\x1b[2J\x7f"
		"caf\xc3\xa9");
	assert_string_equal(err.step, "a?b");
	assert_string_equal(err.text, "line??next?[2J?caf\xc3\xa9");
}

static void prefix_puts_context_before(void **state)
{
	struct error err;

	(void)state;
	error_set(&err, ENOENT, "policy", "no such thing");
	assert_int_equal(error_prefix(&err, "line %d", 3), -ENOENT);
	assert_int_equal(error_prefix(&err, "file"), -ENOENT);
	assert_string_equal(err.text, "file: line 3: no such thing");
	assert_string_equal(err.step, "policy");
	assert_int_equal(err.errnum, ENOENT);
}

static void prefix_cuts_the_end_and_not_itself(void **state)
{
	struct error err;
	char text[400];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	error_set(&err, EIO, "s", "%s", text);
	memset(text, 'y', sizeof(text) - 1);
	error_prefix(&err, "%s", text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_memory_equal(err.text, text, 399);
	assert_memory_equal(err.text + 399, ": xxx", 5);
}

static void prefix_longer_than_the_room_is_cut(void **state)
{
	struct error err;
	char text[1000];

	(void)state;
	memset(text, 'y', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	error_set(&err, EIO, "s", "lost");
	error_prefix(&err, "%s", text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_memory_equal(err.text, text, sizeof(err.text) - 1);
}

static void prefix_may_leave_no_room_for_more_than_a_colon(void **state)
{
	static const char *const rest[] = { "", ":", ": ", ": z" };
	struct error err;

	(void)state;
	for (size_t left = 0; left < 4; left++) {
		char text[sizeof(err.text)];
		size_t length = sizeof(text) - 1 - left;

		memset(text, 'y', length);
		text[length] = '\0';
		error_set(&err, EIO, "s", "z");
		error_prefix(&err, "%s", text);
		assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
		assert_string_equal(err.text + length, rest[left]);
	}
}

static void prefix_replaces_control_characters(void **state)
{
	struct error err;

	(void)state;
	error_set(&err, EIO, "s", "b");
	error_prefix(&err, "%s", "a\r\n");
	assert_string_equal(err.text, "a??: b");
}

static void a_line_is_step_text_and_reason(void **state)
{
	struct error err;
	char line[ERROR_LINE_MAX];

	(void)state;
	error_set(&err, ENOENT, "cgroup", "/sys/fs/cgroup");
	assert_ptr_equal(error_line(&err, line, sizeof(line)), line);
	assert_string_equal(line, "cgroup: /sys/fs/cgroup: No such file or directory");
}

static void the_longest_error_fits_in_a_line(void **state)
{
	struct error err;
	char text[1000], line[ERROR_LINE_MAX];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	for (int errnum = 1; errnum < 200; errnum++) {
		char reason[128];

		snprintf(reason, sizeof(reason), "%s", strerror(errnum));
		error_set(&err, errnum, text, "%s", text);
		error_line(&err, line, sizeof(line));
		assert_string_equal(line + strlen(line) - strlen(reason), reason);
	}
}

static void a_line_is_always_terminated(void **state)
{
	struct error err;
	char line[8];

	(void)state;
	error_set(&err, ENOENT, "cgroup", "x");
	error_line(&err, line, sizeof(line));
	assert_string_equal(line, "cgroup:");
}

static void control_characters_are_those_below_blank_and_del(void **state)
{
	char text[256];

	(void)state;
	for (int c = 1; c < 256; c++)
		text[c - 1] = (char)c;
	text[255] = '\0';
	replace_control_characters(text);
	for (int c = 1; c < 256; c++)
		assert_int_equal((unsigned char)text[c - 1], c < 0x20 || c == 0x7f ? '?' : c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_fills_all_of_the_error),
		cmocka_unit_test(set_without_an_error_to_fill_gives_the_errno),
		cmocka_unit_test(an_error_is_never_taken_for_success),
		cmocka_unit_test(set_cuts_what_does_not_fit),
		cmocka_unit_test(set_replaces_control_characters),
		cmocka_unit_test(prefix_puts_context_before),
		cmocka_unit_test(prefix_cuts_the_end_and_not_itself),
		cmocka_unit_test(prefix_longer_than_the_room_is_cut),
		cmocka_unit_test(prefix_may_leave_no_room_for_more_than_a_colon),
		cmocka_unit_test(prefix_replaces_control_characters),
		cmocka_unit_test(a_line_is_step_text_and_reason),
		cmocka_unit_test(the_longest_error_fits_in_a_line),
		cmocka_unit_test(a_line_is_always_terminated),
		cmocka_unit_test(control_characters_are_those_below_blank_and_del),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
