/* SPDX-License-Identifier: BSD-3-Clause */

/* What each type of value takes, what it means, and the reason with which it refuses the rest. */
#include "policy/policy.h"

#include "lib/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define TIB (GIB * 1024)

/* The policy of the value under test; a value points into it. */
static struct policy *current;

static int forget(void **state)
{
	(void)state;
	policy_free(current);
	current = NULL;
	return 0;
}

static struct policy_value value_of(enum policy_key key, const char *text)
{
	const struct policy_subject alice = { .user = "alice", .uid = 1000 };
	struct policy_effective effective;
	struct error err = { 0 };
	char line[512];

	forget(NULL);
	snprintf(line, sizeof(line), "[default]\n%s=%s\n", policy_keys[key].name, text);
	if (policy_parse("v", line, strlen(line), &current, &err) != 0)
		fail_msg("refused: %s", err.text);
	if (policy_resolve(current, &alice, &effective, &err) != 0)
		fail_msg("not resolved: %s", err.text);
	assert_true(effective.values[key].set);
	return effective.values[key];
}

static void takes(enum policy_key key, const char *text, enum policy_unit unit, uint64_t number)
{
	struct policy_value value = value_of(key, text);

	assert_int_equal(value.unit, unit);
	assert_int_equal(value.number, number);
	assert_string_equal(value.text, text);
	assert_string_equal(value.file, "v");
	assert_int_equal(value.line, 2);
	assert_string_equal(value.section, "default");
}

static void takes_text(enum policy_key key, const char *text)
{
	takes(key, text, POLICY_PLAIN, 0);
}

static void refuses(enum policy_key key, const char *text, const char *reason)
{
	struct error err = { 0 };
	struct policy *policy = NULL;
	char line[512], message[512];

	snprintf(line, sizeof(line), "[default]\n%s=%s\n", policy_keys[key].name, text);
	snprintf(message, sizeof(message), "v:2: %s: \"%s\": %s", policy_keys[key].name, text, reason);
	assert_int_equal(policy_parse("v", line, strlen(line), &policy, &err), -EINVAL);
	assert_string_equal(err.text, message);
	assert_null(policy);
}

/* Refuses with a message that does not quote the whole value. */
static void refuses_item(enum policy_key key, const char *text, const char *reason)
{
	struct error err = { 0 };
	struct policy *policy = NULL;
	char line[512], message[512];

	snprintf(line, sizeof(line), "[default]\n%s=%s\n", policy_keys[key].name, text);
	snprintf(message, sizeof(message), "v:2: %s: %s", policy_keys[key].name, reason);
	assert_int_equal(policy_parse("v", line, strlen(line), &policy, &err), -EINVAL);
	assert_string_equal(err.text, message);
}

static void takes_list(enum policy_key key, const char *text, const char *joined, const char *const *items)
{
	struct policy_value value = value_of(key, text);
	size_t n = 0;

	assert_string_equal(value.text, joined);
	assert_non_null(value.list);
	for (; items[n]; n++)
		assert_string_equal(value.list[n], items[n]);
	assert_null(value.list[n]);
}

/* --- choices --------------------------------------------------------------- */

static void takes_choice(enum policy_key key, const char *text, uint64_t number, const char *canonical)
{
	struct policy_value value = value_of(key, text);

	assert_int_equal(value.number, number);
	assert_int_equal(value.unit, POLICY_PLAIN);
	assert_string_equal(value.text, canonical);
}

static void a_boolean_has_the_words_of_systemd(void **state)
{
	static const char *const yes[] = { "yes", "true", "on", "1", "YES", "True", "oN" };
	static const char *const no[] = { "no", "false", "off", "0", "NO", "False", "oFF" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		takes_choice(POLICY_PRIVATE_IPC, yes[i], POLICY_YES, "yes");
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		takes_choice(POLICY_PRIVATE_IPC, no[i], POLICY_NO, "no");
}

static void a_boolean_has_no_other_words(void **state)
{
	static const char *const others[] = { "y", "n", "t", "f", "yess", "2", "01", "enabled", "yes no", "\"yes\"" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		refuses(POLICY_PRIVATE_IPC, others[i], "use no or yes");
}

static void a_choice_is_one_of_its_words(void **state)
{
	(void)state;
	takes_choice(POLICY_SCOPE, "session", POLICY_SCOPE_SESSION, "session");
	takes_choice(POLICY_SCOPE, "user", POLICY_SCOPE_USER, "user");
	takes_choice(POLICY_PRIVATE_USERS, "self", POLICY_PRIVATE_USERS_SELF, "self");
	takes_choice(POLICY_PRIVATE_USERS, "root", POLICY_PRIVATE_USERS_ROOT, "root");
	takes_choice(POLICY_PRIVATE_USERS, "no", POLICY_PRIVATE_USERS_NO, "no");
	takes_choice(POLICY_PRIVATE_TMP, "no", POLICY_PRIVATE_TMP_NO, "no");
	takes_choice(POLICY_PRIVATE_TMP, "yes", POLICY_PRIVATE_TMP_YES, "yes");
	takes_choice(POLICY_PRIVATE_TMP, "user", POLICY_PRIVATE_TMP_USER, "user");
	refuses(POLICY_SCOPE, "login", "use session or user");
	refuses(POLICY_SCOPE, "Session", "use session or user");
	refuses(POLICY_SCOPE, "no", "use session or user");
}

static void a_choice_with_a_yes_or_a_no_takes_the_other_words_for_it(void **state)
{
	(void)state;
	takes_choice(POLICY_PRIVATE_TMP, "on", POLICY_PRIVATE_TMP_YES, "yes");
	takes_choice(POLICY_PRIVATE_USERS, "Off", POLICY_PRIVATE_USERS_NO, "no");
	refuses(POLICY_PRIVATE_USERS, "yes", "use self, root or no");
	refuses(POLICY_PRIVATE_TMP, "both", "use no, yes or user");
}

/* --- numbers --------------------------------------------------------------- */

static void bytes_have_units_of_1024(void **state)
{
	(void)state;
	takes(POLICY_MEMORY_MAX, "1", POLICY_PLAIN, 1);
	takes(POLICY_MEMORY_MAX, "4096", POLICY_PLAIN, 4096);
	takes(POLICY_MEMORY_MAX, "3K", POLICY_PLAIN, 3 * KIB);
	takes(POLICY_MEMORY_MAX, "512M", POLICY_PLAIN, 512 * MIB);
	takes(POLICY_MEMORY_MAX, "2G", POLICY_PLAIN, 2 * GIB);
	takes(POLICY_USER_MEMORY_MAX, "1T", POLICY_PLAIN, TIB);
	takes(POLICY_MEMORY_HIGH, "007M", POLICY_PLAIN, 7 * MIB);
}

static void bytes_may_be_a_percentage_or_infinity(void **state)
{
	(void)state;
	takes(POLICY_MEMORY_MAX, "1%", POLICY_PERCENT, 1);
	takes(POLICY_MEMORY_MAX, "100%", POLICY_PERCENT, 100);
	takes(POLICY_MEMORY_MAX, "infinity", POLICY_INFINITY, 0);
	takes(POLICY_USER_MEMORY_SWAP_MAX, "infinity", POLICY_INFINITY, 0);
}

static void a_percentage_is_1_to_100(void **state)
{
	(void)state;
	refuses(POLICY_MEMORY_MAX, "0%", "a percentage is 1% to 100%");
	refuses(POLICY_MEMORY_MAX, "101%", "a percentage is 1% to 100%");
	refuses(POLICY_MEMORY_SWAP_MAX, "0%", "a percentage is 1% to 100%");
	refuses(POLICY_TASKS_MAX, "200%", "a percentage is 1% to 100%");
	refuses(POLICY_MEMORY_MAX, "99999999999999999999%", "too large");
}

static void bytes_have_no_other_units(void **state)
{
	static const char *const others[] = { "2X", "2k", "2GB", "2GiB", "2 G", "2P", "2G%", "2%%", "0x10", "2e3", "1,5G", "2-",
		"2#" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		refuses(POLICY_MEMORY_MAX, others[i], "unknown unit, use K, M, G or T");
}

static void bytes_begin_with_a_digit(void **state)
{
	static const char *const others[] = { "G", "-1", "+1", "%", "max", "Infinity", "unlimited", ".5G", "\xc2\xbd" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		refuses(POLICY_MEMORY_MAX, others[i], "not a number of bytes, a percentage or infinity");
}

static void bytes_are_whole(void **state)
{
	(void)state;
	refuses(POLICY_MEMORY_MAX, "1.5G", "not a whole number");
	refuses(POLICY_MEMORY_MAX, "12.5%", "not a whole number");
}

static void bytes_stay_below_2_to_the_63(void **state)
{
	(void)state;
	takes(POLICY_MEMORY_MAX, "9223372036854775807", POLICY_PLAIN, INT64_MAX);
	refuses(POLICY_MEMORY_MAX, "9223372036854775808", "too large");
	refuses(POLICY_MEMORY_MAX, "18446744073709551616", "too large");
	refuses(POLICY_MEMORY_MAX, "18446744073709551617K", "too large");
	takes(POLICY_MEMORY_MAX, "8388607T", POLICY_PLAIN, 8388607 * TIB);
	refuses(POLICY_MEMORY_MAX, "8388608T", "too large");
	takes(POLICY_MEMORY_MAX, "9007199254740991K", POLICY_PLAIN, UINT64_C(9007199254740991) * KIB);
	refuses(POLICY_MEMORY_MAX, "9007199254740992K", "too large");
}

static void only_swap_may_be_limited_to_nothing(void **state)
{
	(void)state;
	takes(POLICY_MEMORY_SWAP_MAX, "0", POLICY_PLAIN, 0);
	takes(POLICY_MEMORY_SWAP_MAX, "0M", POLICY_PLAIN, 0);
	takes(POLICY_USER_MEMORY_SWAP_MAX, "0", POLICY_PLAIN, 0);
	refuses(POLICY_MEMORY_MAX, "0", "must not be 0");
	refuses(POLICY_MEMORY_MAX, "0G", "must not be 0");
	refuses(POLICY_MEMORY_HIGH, "0", "must not be 0");
	refuses(POLICY_USER_MEMORY_MAX, "0", "must not be 0");
	refuses(POLICY_USER_MEMORY_HIGH, "0", "must not be 0");
}

static void tasks_are_a_number_a_percentage_or_infinity(void **state)
{
	(void)state;
	takes(POLICY_TASKS_MAX, "1", POLICY_PLAIN, 1);
	takes(POLICY_TASKS_MAX, "128", POLICY_PLAIN, 128);
	takes(POLICY_TASKS_MAX, "4194304", POLICY_PLAIN, 4194304);
	takes(POLICY_TASKS_MAX, "20%", POLICY_PERCENT, 20);
	takes(POLICY_USER_TASKS_MAX, "infinity", POLICY_INFINITY, 0);
	refuses(POLICY_TASKS_MAX, "0", "must not be 0");
	refuses(POLICY_TASKS_MAX, "4194305", "more than 4194304, the most that the kernel takes; use infinity");
	refuses(POLICY_TASKS_MAX, "1K", "a number without a unit, a percentage or infinity is wanted");
	refuses(POLICY_TASKS_MAX, "many", "not a number, a percentage or infinity");
	refuses(POLICY_TASKS_MAX, "99999999999999999999", "too large");
	refuses(POLICY_TASKS_MAX, "1.5", "not a whole number");
}

static void a_quota_is_a_percentage_of_one_cpu(void **state)
{
	(void)state;
	takes(POLICY_CPU_QUOTA, "1%", POLICY_PLAIN, 1);
	takes(POLICY_CPU_QUOTA, "50%", POLICY_PLAIN, 50);
	takes(POLICY_CPU_QUOTA, "200%", POLICY_PLAIN, 200);
	takes(POLICY_USER_CPU_QUOTA, "100000%", POLICY_PLAIN, 100000);
	refuses(POLICY_CPU_QUOTA, "0%", "out of range, 1% to 100000%");
	refuses(POLICY_CPU_QUOTA, "100001%", "out of range, 1% to 100000%");
	refuses(POLICY_CPU_QUOTA, "50", "a percentage of one CPU is wanted, such as 50% or 200%");
	refuses(POLICY_CPU_QUOTA, "50%%", "a percentage of one CPU is wanted, such as 50% or 200%");
	refuses(POLICY_CPU_QUOTA, "50 %", "a percentage of one CPU is wanted, such as 50% or 200%");
	refuses(POLICY_CPU_QUOTA, "infinity", "not a percentage");
	refuses(POLICY_CPU_QUOTA, "-5%", "not a percentage");
	refuses(POLICY_CPU_QUOTA, "0.5%", "not a whole number");
	refuses(POLICY_CPU_QUOTA, "99999999999999999999%", "too large");
}

static void a_weight_is_1_to_10000(void **state)
{
	static const char *const others[] = { "0", "10001", "100%", "1K" };

	(void)state;
	takes(POLICY_CPU_WEIGHT, "1", POLICY_PLAIN, 1);
	takes(POLICY_CPU_WEIGHT, "100", POLICY_PLAIN, 100);
	takes(POLICY_IO_WEIGHT, "10000", POLICY_PLAIN, 10000);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		refuses(POLICY_IO_WEIGHT, others[i], "a weight is a number from 1 to 10000");
	refuses(POLICY_CPU_WEIGHT, "idle", "not a number");
	refuses(POLICY_CPU_WEIGHT, "1.5", "not a whole number");
}

static void a_time_is_a_span_of_seconds(void **state)
{
	static const struct {
		const char *text;
		uint64_t seconds;
	} spans[] = {
		{ "1", 1 },
		{ "3153600000", UINT64_C(3153600000) },
		{ "90s", 90 },
		{ "90 sec", 90 },
		{ "5m", 300 },
		{ "90min", 5400 },
		{ "8h", 28800 },
		{ "2 hours 30min", 9000 },
		{ "1h30", 3630 },
		{ "1d\t12h", 129600 },
		{ "1w 2days 1hr 1 minute 1second", 781261 },
		{ "0h 1", 1 },
	};
	static const char *const others[] = { "never", "h", "8 x", "8H", "5M", "1y", "-1", "1.5h", "8h,", "h8", "1h infinity" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(spans); i++)
		takes(POLICY_RUNTIME_MAX_SEC, spans[i].text, POLICY_PLAIN, spans[i].seconds);
	takes(POLICY_RUNTIME_MAX_SEC, "infinity", POLICY_INFINITY, 0);
	refuses(POLICY_RUNTIME_MAX_SEC, "0", "must not be 0");
	refuses(POLICY_RUNTIME_MAX_SEC, "0min", "must not be 0");
	refuses(POLICY_RUNTIME_MAX_SEC, "3153600001", "too large");
	refuses(POLICY_RUNTIME_MAX_SEC, "36500d 1s", "too large");
	refuses(POLICY_RUNTIME_MAX_SEC, "18446744073709551616", "too large");
	refuses(POLICY_RUNTIME_MAX_SEC, "18446744073709551615 1", "too large");
	refuses(POLICY_RUNTIME_MAX_SEC, "9223372036854775808w", "too large");
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		refuses(POLICY_RUNTIME_MAX_SEC, others[i], "a time is wanted, such as 90min, 8h or 1d 12h, or infinity");
}

/* --- texts ----------------------------------------------------------------- */

static void cpus_are_a_list_of_numbers_and_ranges(void **state)
{
	static const char *const others[] = { ",", "0,", ",0", "0,,1", "-1", "1-", "3-1", "0-1-2", "0 1", "0, 1", "8192",
		"0-8192", "all", "0-3:1/2", "99999999999999999999" };

	(void)state;
	takes_text(POLICY_ALLOWED_CPUS, "0");
	takes_text(POLICY_ALLOWED_CPUS, "0-3,5");
	takes_text(POLICY_ALLOWED_CPUS, "7,0-0,8191");
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		refuses(POLICY_ALLOWED_CPUS, others[i], "a list of CPUs is wanted, such as 0-3,5");
}

static void a_hostname_has_labels_and_specifiers(void **state)
{
	static const char *const good[] = { "lab", "lab-%u", "%u", "%u%U", "%g-%H.example.org", "a.b.c", "7up", "LAB", "s-%i",
		"a--b", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1234" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		takes_text(POLICY_HOSTNAME, good[i]);
}

static void a_hostname_has_nothing_else(void **state)
{
	static const char *const bad[] = { "-lab", "lab-", ".lab", "lab.", "a..b", "a-.b", "a.-b", "lab_1", "%", "lab-%", "%%",
		"%x", "%h", "a b", "a/b", "caf\xc3\xa9" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		refuses(POLICY_HOSTNAME, bad[i], "a host name has letters, digits, \"-\" and \".\", and here %u %U %g %H %i");
	refuses(POLICY_HOSTNAME, "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff12345",
		"longer than 64 characters");
}

static void a_path_is_absolute_and_normal(void **state)
{
	static const char no_slashes[] = "a path without \"//\" and without \"/\" at its end is wanted";
	static const char no_dots[] = "a path without \".\" and \"..\" is wanted";

	(void)state;
	takes_text(POLICY_ROOT_DIRECTORY, "/");
	takes_text(POLICY_ROOT_DIRECTORY, "/srv/root");
	takes_text(POLICY_ROOT_DIRECTORY, "/srv/.hidden/..x/x../...");
	refuses(POLICY_ROOT_DIRECTORY, "srv", "not an absolute path");
	refuses(POLICY_ROOT_DIRECTORY, "~/x", "not an absolute path");
	refuses(POLICY_ROOT_DIRECTORY, "\"/srv\"", "not an absolute path");
	refuses(POLICY_ROOT_DIRECTORY, "/srv/", no_slashes);
	refuses(POLICY_ROOT_DIRECTORY, "//", no_slashes);
	refuses(POLICY_ROOT_DIRECTORY, "/srv//root", no_slashes);
	refuses(POLICY_ROOT_DIRECTORY, "/.", no_dots);
	refuses(POLICY_ROOT_DIRECTORY, "/..", no_dots);
	refuses(POLICY_ROOT_DIRECTORY, "/srv/../etc", no_dots);
	refuses(POLICY_ROOT_DIRECTORY, "/srv/./root", no_dots);
	refuses(POLICY_ROOT_DIRECTORY, "/srv/..", no_dots);
	refuses(POLICY_ROOT_DIRECTORY, "/srv /root", "one path without blanks is wanted");
}

static void paths_are_a_list(void **state)
{
	(void)state;
	takes_list(POLICY_READ_ONLY_PATHS, "/usr", "/usr", (const char *const[]){ "/usr", NULL });
	takes_list(POLICY_INACCESSIBLE_PATHS, "/a \t /b  /", "/a /b /", (const char *const[]){ "/a", "/b", "/", NULL });
	refuses_item(POLICY_READ_ONLY_PATHS, "/a b /c", "\"b\": not an absolute path");
	refuses_item(POLICY_READ_ONLY_PATHS, "/a, /c/", "\"/c/\": a path without \"//\" and without \"/\" at its end is wanted");
	refuses_item(POLICY_READ_ONLY_PATHS, "-/a", "\"-/a\": not an absolute path");
}

static void a_bind_is_a_source_and_perhaps_a_target(void **state)
{
	(void)state;
	takes_list(POLICY_BIND_PATHS, "/a /b:/c", "/a /b:/c", (const char *const[]){ "/a", "/b:/c", NULL });
	takes_list(POLICY_BIND_READ_ONLY_PATHS, "/:/c", "/:/c", (const char *const[]){ "/:/c", NULL });
	refuses(POLICY_BIND_PATHS, "/a:", "not an absolute path");
	refuses(POLICY_BIND_PATHS, ":/a", "not an absolute path");
	refuses(POLICY_BIND_PATHS, "/a:b", "not an absolute path");
	refuses(POLICY_BIND_PATHS, "/a/..:/b", "a path without \".\" and \"..\" is wanted");
	refuses(POLICY_BIND_PATHS, "/a:/b/.", "a path without \".\" and \"..\" is wanted");
	refuses(POLICY_BIND_PATHS, "/a:/b:rbind", "SOURCE or SOURCE:TARGET is wanted");
}

static void a_tmpfs_is_a_path_and_perhaps_options(void **state)
{
	(void)state;
	takes_list(POLICY_TEMPORARY_FILE_SYSTEM, "/a /b:size=10%,mode=0700", "/a /b:size=10%,mode=0700",
		(const char *const[]){ "/a", "/b:size=10%,mode=0700", NULL });
	refuses(POLICY_TEMPORARY_FILE_SYSTEM, "/a:", "mount options are wanted after \":\"");
	refuses(POLICY_TEMPORARY_FILE_SYSTEM, "/a:ro:x", "mount options are wanted after \":\"");
	refuses(POLICY_TEMPORARY_FILE_SYSTEM, "a:ro", "not an absolute path");
}

static void a_word_is_a_name(void **state)
{
	(void)state;
	takes_text(POLICY_NETWORK_BRIDGE, "br0");
	takes_text(POLICY_NETWORK_ADDRESS, "10.1.0.2/24");
	takes_text(POLICY_NETWORK_ADDRESS, "fd00::2/64");
	takes_text(POLICY_APP_ARMOR_PROFILE, "isolate-login");
	refuses(POLICY_NETWORK_BRIDGE, "br0 br1", "a name of letters, digits and _-+.:@~/ is wanted");
	refuses(POLICY_APP_ARMOR_PROFILE, "a;b", "a name of letters, digits and _-+.:@~/ is wanted");
}

static void words_are_a_list(void **state)
{
	(void)state;
	takes_list(POLICY_SYSTEM_CALL_FILTER, "~@mount  ptrace:EPERM", "~@mount ptrace:EPERM",
		(const char *const[]){ "~@mount", "ptrace:EPERM", NULL });
	takes_list(POLICY_CAPABILITY_BOUNDING_SET, "CAP_NET_RAW", "CAP_NET_RAW", (const char *const[]){ "CAP_NET_RAW", NULL });
	takes_list(POLICY_RESTRICT_NAMESPACES, "user net", "user net", (const char *const[]){ "user", "net", NULL });
	refuses_item(POLICY_SYSTEM_CALL_FILTER, "read, write", "\"read,\": a name of letters, digits and _-+.:@~/ is wanted");
}

static void a_device_limit_is_a_device_and_a_limit(void **state)
{
	static const char wanted[] = "a device and one limit are wanted, such as /dev/sda 10M";

	(void)state;
	takes_list(
		POLICY_IO_READ_BANDWIDTH_MAX, "/dev/sda \t  10M", "/dev/sda 10M", (const char *const[]){ "/dev/sda 10M", NULL });
	takes_list(POLICY_IO_WRITE_IOPS_MAX, "/home infinity", "/home infinity", (const char *const[]){ "/home infinity", NULL });
	refuses(POLICY_IO_READ_IOPS_MAX, "/dev/sda", wanted);
	refuses_item(
		POLICY_IO_READ_IOPS_MAX, "/dev/sda 1 2", "\"/dev/sda\": a device and one limit are wanted, such as /dev/sda 10M");
	refuses_item(POLICY_IO_READ_IOPS_MAX, "sda 1", "\"sda\": not an absolute path");
	refuses_item(POLICY_IO_READ_IOPS_MAX, "/dev/sda 0", "\"0\": must not be 0");
	refuses_item(POLICY_IO_READ_IOPS_MAX, "/dev/sda 1X", "\"1X\": unknown unit, use K, M, G or T");
	refuses_item(POLICY_IO_READ_IOPS_MAX, "/dev/sda fast", "\"fast\": not a number");
	/* Units are of 1000: this would not fit with 1024. */
	takes_list(POLICY_IO_WRITE_BANDWIDTH_MAX, "/dev/sda 9223372T", "/dev/sda 9223372T",
		(const char *const[]){ "/dev/sda 9223372T", NULL });
	refuses_item(POLICY_IO_WRITE_BANDWIDTH_MAX, "/dev/sda 9223373T", "\"9223373T\": too large");
}

static void a_long_value_is_shown_with_an_ellipsis(void **state)
{
	char text[200], shown_part[128];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[199] = '\0';
	snprintf(shown_part, sizeof(shown_part), "\"%.68s...\": use no or yes", text);
	refuses_item(POLICY_ISOLATE, text, shown_part);
	/* Not in the middle of a letter. */
	memcpy(text + 67, "\xc3\xa9", 2);
	snprintf(shown_part, sizeof(shown_part), "\"%.67s...\": use no or yes", text);
	refuses_item(POLICY_ISOLATE, text, shown_part);
}

#define value_test(test) cmocka_unit_test_teardown(test, forget)

int main(void)
{
	const struct CMUnitTest tests[] = {
		value_test(a_boolean_has_the_words_of_systemd),
		value_test(a_boolean_has_no_other_words),
		value_test(a_choice_is_one_of_its_words),
		value_test(a_choice_with_a_yes_or_a_no_takes_the_other_words_for_it),
		value_test(bytes_have_units_of_1024),
		value_test(bytes_may_be_a_percentage_or_infinity),
		value_test(a_percentage_is_1_to_100),
		value_test(bytes_have_no_other_units),
		value_test(bytes_begin_with_a_digit),
		value_test(bytes_are_whole),
		value_test(bytes_stay_below_2_to_the_63),
		value_test(only_swap_may_be_limited_to_nothing),
		value_test(tasks_are_a_number_a_percentage_or_infinity),
		value_test(a_quota_is_a_percentage_of_one_cpu),
		value_test(a_weight_is_1_to_10000),
		value_test(a_time_is_a_span_of_seconds),
		value_test(cpus_are_a_list_of_numbers_and_ranges),
		value_test(a_hostname_has_labels_and_specifiers),
		value_test(a_hostname_has_nothing_else),
		value_test(a_path_is_absolute_and_normal),
		value_test(paths_are_a_list),
		value_test(a_bind_is_a_source_and_perhaps_a_target),
		value_test(a_tmpfs_is_a_path_and_perhaps_options),
		value_test(a_word_is_a_name),
		value_test(words_are_a_list),
		value_test(a_device_limit_is_a_device_and_a_limit),
		value_test(a_long_value_is_shown_with_an_ellipsis),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
