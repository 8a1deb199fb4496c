/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/userns.h"

#include <errno.h>
#include <string.h>

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static void groups_are_mapped_onto_themselves(void **state)
{
	gid_t gids[] = { 1000, 27, 100 };
	char map[256];

	(void)state;
	assert_int_equal(userns_format_gid_map(gids, 3, map, sizeof(map)), 0);
	assert_string_equal(map, "27 27 1\n100 100 1\n1000 1000 1\n");
}

static void neighbours_share_a_line_and_doubles_are_one(void **state)
{
	gid_t gids[] = { 7, 5, 6, 5, 7, 1000, 1000 };
	char map[256];

	(void)state;
	assert_int_equal(userns_format_gid_map(gids, 7, map, sizeof(map)), 0);
	assert_string_equal(map, "5 5 3\n1000 1000 1\n");
}

static void the_highest_gid_starts_no_run_that_wraps(void **state)
{
	gid_t gids[] = { 0xfffffffe, 0xfffffffd, 0 };
	char map[256];

	(void)state;
	assert_int_equal(userns_format_gid_map(gids, 3, map, sizeof(map)), 0);
	assert_string_equal(map, "0 0 1\n4294967293 4294967293 2\n");
}

static void as_many_lines_as_the_kernel_takes_and_no_more(void **state)
{
	static gid_t gids[341];
	static char map[341 * 34];

	(void)state;
	for (size_t i = 0; i < 341; i++)
		gids[i] = (gid_t)(4000000000u + 2 * i);
	assert_int_equal(userns_format_gid_map(gids, 340, map, sizeof(map)), 0);
	assert_int_equal(userns_format_gid_map(gids, 341, map, sizeof(map)), -E2BIG);
}

static void a_map_that_does_not_fit_is_refused_not_cut(void **state)
{
	gid_t gids[] = { 100, 200 };
	char map[12];

	(void)state;
	assert_int_equal(userns_format_gid_map(gids, 2, map, sizeof(map)), -E2BIG);
}

static void a_uid_that_is_an_owner_of_sandboxes_has_none(void **state)
{
	gid_t gid = 1000;
	struct error err;
	int fd = -1;

	(void)state;
	assert_int_equal(userns_owner(1000), 2147484648u);
	assert_int_equal(userns_make(2147484648u, &gid, 1, &fd, &err), -ENOTSUP);
	assert_string_equal(err.text, "uid 2147484648: uids from 2147483648 on are used for the owners of sandboxes");
	assert_int_equal(fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_are_mapped_onto_themselves),
		cmocka_unit_test(neighbours_share_a_line_and_doubles_are_one),
		cmocka_unit_test(the_highest_gid_starts_no_run_that_wraps),
		cmocka_unit_test(as_many_lines_as_the_kernel_takes_and_no_more),
		cmocka_unit_test(a_map_that_does_not_fit_is_refused_not_cut),
		cmocka_unit_test(a_uid_that_is_an_owner_of_sandboxes_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
