/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/protocol.h"

#include <errno.h>
#include <string.h>

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static union {
	struct request request;
	char room[REQUEST_SIZE_MAX];
} message;

static struct request_group *groups(void)
{
	return (struct request_group *)(void *)(&message.request + 1);
}

static size_t size_of(unsigned int n_groups)
{
	return sizeof(struct request) + n_groups * sizeof(struct request_group);
}

static int set_up(void **state)
{
	(void)state;
	memset(&message, 0, sizeof(message));
	message.request = (struct request){
		.magic = PROTOCOL_MAGIC,
		.kind = REQUEST_OPEN,
		.uid = 1000,
		.gid = 1000,
		.n_groups = 1,
		.id = "0c606776-6c96-4ef6-a13b-55cb7d2b05b7",
		.user = "alice",
		.service = "sshd",
		.tty = "ssh",
		.shell = "/bin/bash",
	};
	groups()[0] = (struct request_group){ .gid = 1000, .name = "alice" };
	return 0;
}

static void assert_refused(size_t size, const char *text)
{
	struct error err;

	assert_int_equal(request_check(&message.request, size, &err), -EPROTO);
	assert_string_equal(err.step, "request");
	assert_string_equal(err.text, text);
}

static void a_login_is_accepted(void **state)
{
	(void)state;
	assert_int_equal(request_check(&message.request, size_of(1), NULL), 0);
}

static void a_message_of_another_version_is_refused(void **state)
{
	(void)state;
	message.request.magic++;
	assert_refused(size_of(1), "not from a pam_isolate of this version");
}

static void a_short_message_is_refused(void **state)
{
	(void)state;
	assert_refused(sizeof(struct request) - 1, "not from a pam_isolate of this version");
	assert_refused(size_of(1) - 1, "wrong size");
	assert_refused(size_of(2), "wrong size");
}

static void an_unknown_kind_is_refused(void **state)
{
	(void)state;
	message.request.kind = 7;
	assert_refused(size_of(1), "unknown kind 7");
}

static void more_groups_than_a_map_has_lines_are_refused(void **state)
{
	(void)state;
	message.request.n_groups = REQUEST_GROUPS_MAX + 1;
	assert_refused(size_of(REQUEST_GROUPS_MAX + 1), "wrong size");
	/* A number whose product with the size of a group would overflow 32 bits. */
	message.request.n_groups = 0x80000001u;
	assert_refused(size_of(1), "wrong size");
}

static void an_id_that_is_no_uuid_is_refused(void **state)
{
	static const char *const ids[] = { "", "../../../../../../etc/passwd", "0c606776-6c96-4ef6-a13b-55cb7d2b05bG",
		"0c606776x6c96-4ef6-a13b-55cb7d2b05b7", "0C606776-6C96-4EF6-A13B-55CB7D2B05B7" };

	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		memset(message.request.id, 0, sizeof(message.request.id));
		strncpy(message.request.id, ids[i], sizeof(message.request.id) - 1);
		assert_refused(size_of(1), "the session's id is not a UUID");
	}
}

static void a_name_that_would_break_a_path_or_a_log_line_is_refused(void **state)
{
	static const char *const names[] = { "", "../root", ".", "a/b", "a\nb", "a\x1b[2Jb", "a\x7f" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		memset(message.request.user, 0, sizeof(message.request.user));
		strncpy(message.request.user, names[i], sizeof(message.request.user) - 1);
		assert_refused(size_of(1), "a user name that cannot be used");
	}
}

static void a_string_without_end_is_refused(void **state)
{
	(void)state;
	memset(message.request.user, 'a', sizeof(message.request.user));
	assert_refused(size_of(1), "a user name that cannot be used");
	set_up(NULL);
	memset(message.request.tty, 'a', sizeof(message.request.tty));
	assert_refused(size_of(1), "a service, terminal, shell or policy name that cannot be used");
	set_up(NULL);
	memset(groups()[0].name, 'a', sizeof(groups()[0].name));
	assert_refused(size_of(1), "group 0 cannot be used");
}

static void a_relative_path_is_refused(void **state)
{
	(void)state;
	strcpy(message.request.shell, "bash");
	assert_refused(size_of(1), "a shell or policy path that is not absolute");
}

static void the_id_minus_one_is_refused(void **state)
{
	(void)state;
	message.request.uid = (uint32_t)-1;
	assert_refused(size_of(1), "uid or gid -1");
	set_up(NULL);
	groups()[0].gid = (uint32_t)-1;
	assert_refused(size_of(1), "group 0 cannot be used");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_login_is_accepted, set_up),
		cmocka_unit_test_setup(a_message_of_another_version_is_refused, set_up),
		cmocka_unit_test_setup(a_short_message_is_refused, set_up),
		cmocka_unit_test_setup(an_unknown_kind_is_refused, set_up),
		cmocka_unit_test_setup(more_groups_than_a_map_has_lines_are_refused, set_up),
		cmocka_unit_test_setup(an_id_that_is_no_uuid_is_refused, set_up),
		cmocka_unit_test_setup(a_name_that_would_break_a_path_or_a_log_line_is_refused, set_up),
		cmocka_unit_test_setup(a_string_without_end_is_refused, set_up),
		cmocka_unit_test_setup(a_relative_path_is_refused, set_up),
		cmocka_unit_test_setup(the_id_minus_one_is_refused, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
