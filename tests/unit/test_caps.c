/* SPDX-License-Identifier: BSD-3-Clause */
/* Privileges are dropped for good: each case runs in a child of its own, and libcap-ng, which caps.c is not made with, reads the
 * result. As root all of it is tried; otherwise that the attempt fails, and how. */
#include "helper/caps.h"

#include <cap-ng.h>
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

/* Returns the exit status of test() in a child. */
static int in_child(int (*test)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(test());
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int drop_all(void)
{
	struct error err;

	if (caps_drop_all(&err) < 0)
		return 1;
	capng_clear(CAPNG_SELECT_ALL);
	if (capng_get_caps_process() < 0)
		return 2;
	if (capng_have_capabilities(CAPNG_SELECT_CAPS) != CAPNG_NONE ||
		capng_have_capabilities(CAPNG_SELECT_BOUNDS) != CAPNG_NONE)
		return 3;
	return 0;
}

static int become_and_verify(void)
{
	struct error err;

	if (caps_become_keeping(4242, 4343, &err) < 0)
		return 1;
	capng_clear(CAPNG_SELECT_ALL);
	if (capng_get_caps_process() < 0 || !capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN) || getgroups(0, NULL) != 0)
		return 2;
	/* With CAP_SETUID kept, root could be had again: that is not to pass. */
	if (caps_verify_ids(4242, 4343, &err) != -EPERM || strcmp(err.text, "uid 0 could be had again") != 0)
		return 3;
	return 0;
}

static int become_drop_and_verify(void)
{
	if (caps_become_keeping(4242, 4343, NULL) < 0 || caps_drop_all(NULL) < 0)
		return 1;
	return caps_verify_ids(4242, 4343, NULL) < 0 ? 2 : 0;
}

static int verify_other_ids(void)
{
	struct error err;

	if (caps_verify_ids(getuid() + 1, getgid(), &err) != -EPERM)
		return 1;
	return strcmp(err.text, "the ids are not those that were set") != 0;
}

static int drop_without_privilege(void)
{
	struct error err;

	if (getuid() == 0 && setresuid(4242, 4242, 4242) < 0)
		return 1;
	if (caps_drop_all(&err) != -EPERM)
		return 2;
	return strcmp(err.text, "drop capability 0 from the bounding set") != 0;
}

static int become_without_privilege(void)
{
	struct error err;

	if (getuid() == 0 && setresuid(4242, 4242, 4242) < 0)
		return 1;
	return caps_become_keeping(1, 1, &err) != -EPERM || strcmp(err.step, "privileges") != 0;
}

static void nothing_is_left_when_all_is_dropped(void **state)
{
	(void)state;
	if (getuid() == 0)
		assert_int_equal(in_child(drop_all), 0);
	assert_int_equal(in_child(drop_without_privilege), 0);
}

static void ids_change_and_capabilities_stay_until_dropped(void **state)
{
	(void)state;
	if (getuid() == 0) {
		assert_int_equal(in_child(become_and_verify), 0);
		assert_int_equal(in_child(become_drop_and_verify), 0);
	}
	assert_int_equal(in_child(become_without_privilege), 0);
}

static void ids_that_are_not_the_wanted_ones_are_noticed(void **state)
{
	(void)state;
	assert_int_equal(in_child(verify_other_ids), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_left_when_all_is_dropped),
		cmocka_unit_test(ids_change_and_capabilities_stay_until_dropped),
		cmocka_unit_test(ids_that_are_not_the_wanted_ones_are_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
