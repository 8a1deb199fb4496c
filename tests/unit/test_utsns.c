/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/utsns.h"

#include <errno.h>
#include <string.h>

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static const struct hostname_words words = {
	.user = "alice",
	.uid = 1000,
	.group = "students",
	.host = "big",
	.id = "0c606776-6c96-4ef6-a13b-55cb7d2b05b7",
};

static void assert_expands(const char *template, const char *expected)
{
	char name[65];

	assert_int_equal(utsns_expand(template, &words, name, sizeof(name), NULL), 0);
	assert_string_equal(name, expected);
}

static void each_letter_stands_for_its_word(void **state)
{
	(void)state;
	assert_expands("lab", "lab");
	assert_expands("%u", "alice");
	assert_expands("%U.%g.%H.%i", "1000.students.big.0c606776");
}

static void what_no_host_name_has_becomes_a_dash(void **state)
{
	struct hostname_words strange = words;
	char name[65];

	(void)state;
	strange.user = "DOM\\al ice\n";
	assert_int_equal(utsns_expand("%u%%", &strange, name, sizeof(name), NULL), 0);
	assert_string_equal(name, "DOM-al-ice--");
}

static void sixty_four_characters_are_the_most(void **state)
{
	char template[66], name[65];
	struct error err;

	(void)state;
	memset(template, 'a', 64);
	template[64] = '\0';
	assert_expands(template, template);
	strcpy(template + 64, "a");
	assert_int_equal(utsns_expand(template, &words, name, sizeof(name), &err), -ENAMETOOLONG);
	assert_string_equal(err.step, "hostname");
}

static void a_letter_that_stands_for_nothing_is_refused(void **state)
{
	char name[65];
	struct error err;

	(void)state;
	assert_int_equal(utsns_expand("a%x", &words, name, sizeof(name), &err), -EINVAL);
	assert_int_equal(utsns_expand("a%", &words, name, sizeof(name), &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_letter_stands_for_its_word),
		cmocka_unit_test(what_no_host_name_has_becomes_a_dash),
		cmocka_unit_test(sixty_four_characters_are_the_most),
		cmocka_unit_test(a_letter_that_stands_for_nothing_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
