/* SPDX-License-Identifier: BSD-3-Clause */

/* What a policy comes to for one user, what is refused in the whole, and how it is explained; and the table of keys itself. */
#include "policy/policy.h"

#include "lib/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* The policy of the running test. */
static struct policy *current;

static int forget(void **state)
{
	(void)state;
	policy_free(current);
	current = NULL;
	return 0;
}

static void parse(const char *text)
{
	struct error err = { 0 };

	forget(NULL);
	if (policy_parse("p", text, strlen(text), &current, &err) != 0)
		fail_msg("refused: %s", err.text);
}

static const char *const alices_groups[] = { "alice", "staff", "students" };
static const struct policy_subject alice = { .user = "alice", .uid = 1000, .groups = alices_groups, .n_groups = 3 };
static const struct policy_subject nobody = { .user = "nobody", .uid = 65534 };
static const struct policy_subject root = { .user = "root", .uid = 0 };

static struct policy_effective resolve(const struct policy_subject *subject)
{
	struct policy_effective effective;
	struct error err = { 0 };

	if (policy_resolve(current, subject, &effective, &err) != 0)
		fail_msg("not resolved: %s", err.text);
	return effective;
}

static void has(
	const struct policy_effective *effective, enum policy_key key, const char *text, const char *section, unsigned int line)
{
	const struct policy_value *value = &effective->values[key];

	assert_true(value->set);
	assert_string_equal(value->text, text);
	assert_string_equal(value->section, section);
	assert_string_equal(value->file, "p");
	assert_int_equal(value->line, line);
}

/* --- who wins -------------------------------------------------------------- */

static void the_user_wins_over_groups_and_these_over_default(void **state)
{
	struct policy_effective effective;

	(void)state;
	parse("[default]\nTasksMax=1\nCPUWeight=11\nIOWeight=21\n"
	      "[group staff]\nTasksMax=2\nCPUWeight=12\n"
	      "[user alice]\nTasksMax=3\n");
	effective = resolve(&alice);
	has(&effective, POLICY_TASKS_MAX, "3", "user alice", 9);
	has(&effective, POLICY_CPU_WEIGHT, "12", "group staff", 7);
	has(&effective, POLICY_IO_WEIGHT, "21", "default", 4);
}

static void the_order_of_kinds_does_not_depend_on_where_they_stand(void **state)
{
	struct policy_effective effective;

	(void)state;
	parse("[user alice]\nTasksMax=3\n[group staff]\nTasksMax=2\nCPUWeight=12\n[default]\nTasksMax=1\nCPUWeight=11\n");
	effective = resolve(&alice);
	has(&effective, POLICY_TASKS_MAX, "3", "user alice", 2);
	has(&effective, POLICY_CPU_WEIGHT, "12", "group staff", 5);
}

static void of_groups_the_first_in_the_policy_wins(void **state)
{
	struct policy_effective effective;

	(void)state;
	parse("[group wheel]\nTasksMax=1\n[group students]\nTasksMax=2\n[group staff]\nTasksMax=3\nCPUWeight=13\n[group "
	      "*]\nCPUWeight=14\n");
	effective = resolve(&alice);
	has(&effective, POLICY_TASKS_MAX, "2", "group students", 4);
	has(&effective, POLICY_CPU_WEIGHT, "13", "group staff", 7);
}

static void a_section_that_comes_again_stands_where_it_came_first(void **state)
{
	struct policy_effective effective;

	(void)state;
	parse("[group students]\n[group staff]\nTasksMax=3\n[group students]\nTasksMax=2\n");
	effective = resolve(&alice);
	has(&effective, POLICY_TASKS_MAX, "2", "group students", 5);
}

static void a_group_section_takes_patterns(void **state)
{
	struct policy_effective effective;

	(void)state;
	parse("[group st?f]\nTasksMax=1\n[group [!a-z]*]\nTasksMax=2\n[group stud*]\nTasksMax=3\n");
	effective = resolve(&alice);
	has(&effective, POLICY_TASKS_MAX, "3", "group stud*", 6);
	effective = resolve(&nobody);
	assert_false(effective.values[POLICY_TASKS_MAX].set);
}

static void a_group_without_a_name_is_in_no_section(void **state)
{
	static const char *const groups[] = { "", "" };
	static const struct policy_subject subject = { .user = "alice", .uid = 1000, .groups = groups, .n_groups = 2 };
	struct policy_effective effective;

	(void)state;
	parse("[group *]\nTasksMax=1\n");
	effective = resolve(&subject);
	assert_false(effective.values[POLICY_TASKS_MAX].set);
}

static void a_user_section_is_of_that_name_alone(void **state)
{
	struct policy_effective effective;

	(void)state;
	parse("[user alic]\nTasksMax=1\n[user alicea]\nTasksMax=2\n[user Alice]\nTasksMax=3\n[user staff]\nTasksMax=4\n[group "
	      "bob]\nTasksMax=5\n");
	effective = resolve(&alice);
	assert_false(effective.values[POLICY_TASKS_MAX].set);
}

static void a_user_name_may_have_a_backslash(void **state)
{
	static const struct policy_subject domain_user = { .user = "LAB\\alice", .uid = 1000 };
	struct policy_effective effective;

	(void)state;
	parse("[user LAB\\alice]\nTasksMax=1\n");
	effective = resolve(&domain_user);
	has(&effective, POLICY_TASKS_MAX, "1", "user LAB\\alice", 2);
}

static void without_a_policy_the_defaults_hold(void **state)
{
	static const struct {
		enum policy_key key;
		uint64_t number;
	} defaults[] = {
		{ POLICY_ISOLATE, POLICY_YES },
		{ POLICY_SCOPE, POLICY_SCOPE_SESSION },
		{ POLICY_PRIVATE_USERS, POLICY_PRIVATE_USERS_SELF },
		{ POLICY_PRIVATE_PIDS, POLICY_YES },
		{ POLICY_PRIVATE_IPC, POLICY_YES },
		{ POLICY_PRIVATE_NETWORK, POLICY_NO },
		{ POLICY_PRIVATE_CLOCK, POLICY_NO },
		{ POLICY_PRIVATE_TMP, POLICY_PRIVATE_TMP_YES },
		{ POLICY_ROOT_EPHEMERAL, POLICY_NO },
		{ POLICY_USER_MANAGER, POLICY_NO },
		{ POLICY_KILL_ON_LOGOUT, POLICY_YES },
		{ POLICY_BANNER, POLICY_NO },
		{ POLICY_NO_NEW_PRIVILEGES, POLICY_NO },
	};
	struct policy_effective effective;
	size_t n_set = 0;

	(void)state;
	parse("");
	effective = resolve(&nobody);
	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++) {
		const struct policy_value *value = &effective.values[defaults[i].key];

		assert_true(value->set);
		assert_int_equal(value->number, defaults[i].number);
		assert_string_equal(value->text, policy_keys[defaults[i].key].choices[value->number]);
		assert_null(value->file);
		assert_null(value->section);
	}
	for (size_t key = 0; key < POLICY_KEYS; key++)
		n_set += effective.values[key].set;
	assert_int_equal(n_set, ARRAY_SIZE(defaults));
}

static void root_is_never_isolated(void **state)
{
	struct policy_effective effective;

	(void)state;
	parse("[default]\nIsolate=yes\nPrivatePIDs=no\nPrivateClock=yes\n[user root]\nIsolate=yes\n");
	effective = resolve(&root);
	assert_true(effective.values[POLICY_ISOLATE].set);
	assert_int_equal(effective.values[POLICY_ISOLATE].number, POLICY_NO);
	assert_string_equal(effective.values[POLICY_ISOLATE].text, "no");
	assert_null(effective.values[POLICY_ISOLATE].file);
	assert_string_equal(effective.values[POLICY_ISOLATE].section, "root");
	assert_int_equal(policy_check_built(&effective, NULL), 0);
}

static void root_is_a_uid_and_not_a_name(void **state)
{
	static const struct policy_subject toor = { .user = "toor", .uid = 0 }, other = { .user = "root", .uid = 1000 };
	struct policy_effective effective;

	(void)state;
	parse("");
	effective = resolve(&toor);
	assert_int_equal(effective.values[POLICY_ISOLATE].number, POLICY_NO);
	effective = resolve(&other);
	assert_int_equal(effective.values[POLICY_ISOLATE].number, POLICY_YES);
}

static void a_user_key_falls_back_to_the_sessions(void **state)
{
	static const struct {
		enum policy_key user, session;
		const char *text;
	} pairs[] = {
		{ POLICY_USER_MEMORY_MAX, POLICY_MEMORY_MAX, "512M" },
		{ POLICY_USER_MEMORY_HIGH, POLICY_MEMORY_HIGH, "50%" },
		{ POLICY_USER_MEMORY_SWAP_MAX, POLICY_MEMORY_SWAP_MAX, "0" },
		{ POLICY_USER_CPU_QUOTA, POLICY_CPU_QUOTA, "50%" },
		{ POLICY_USER_TASKS_MAX, POLICY_TASKS_MAX, "infinity" },
	};
	struct policy_effective effective;

	(void)state;
	parse("[default]\nMemoryMax=512M\nMemoryHigh=50%\nMemorySwapMax=0\nCPUQuota=50%\nTasksMax=infinity\n");
	effective = resolve(&alice);
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		has(&effective, pairs[i].user, pairs[i].text, "default", (unsigned int)i + 2);
		assert_memory_equal(
			&effective.values[pairs[i].user], &effective.values[pairs[i].session], sizeof(struct policy_value));
	}
}

static void a_user_key_that_is_set_anywhere_does_not_fall_back(void **state)
{
	struct policy_effective effective;

	(void)state;
	parse("[default]\nUserMemoryMax=1G\n[user alice]\nMemoryMax=512M\n");
	effective = resolve(&alice);
	has(&effective, POLICY_USER_MEMORY_MAX, "1G", "default", 2);
	has(&effective, POLICY_MEMORY_MAX, "512M", "user alice", 4);
}

static void a_session_key_does_not_fall_back_to_the_users(void **state)
{
	struct policy_effective effective;

	(void)state;
	parse("[default]\nUserMemoryMax=1G\n");
	effective = resolve(&alice);
	assert_false(effective.values[POLICY_MEMORY_MAX].set);
}

/* --- the whole ------------------------------------------------------------- */

static void does_not_resolve(const char *text, const char *message)
{
	struct policy_effective effective;
	struct error err = { 0 };

	parse(text);
	memset(&effective, 0x5a, sizeof(effective));
	assert_int_equal(policy_resolve(current, &alice, &effective, &err), -EINVAL);
	assert_string_equal(err.text, message);
	assert_string_equal(err.step, "policy");
	assert_int_equal(effective.values[0].line, 0x5a5a5a5a);
	assert_int_equal(policy_resolve(current, &alice, &effective, NULL), -EINVAL);
}

static void private_pids_no_asks_for_private_users_no(void **state)
{
	struct policy_effective effective;

	(void)state;
	does_not_resolve("[default]\n\nPrivatePIDs=no\n", "p:3: PrivatePIDs=no asks for PrivateUsers=no, not PrivateUsers=self");
	does_not_resolve("[user alice]\nPrivatePIDs=no\n[default]\nPrivateUsers=root\n",
		"p:2: PrivatePIDs=no asks for PrivateUsers=no, not PrivateUsers=root");
	parse("[default]\nPrivatePIDs=no\nPrivateUsers=no\n");
	effective = resolve(&alice);
	assert_int_equal(effective.values[POLICY_PRIVATE_PIDS].number, POLICY_NO);
}

static void private_pids_no_is_for_one_login_that_ends(void **state)
{
	struct policy_effective effective;

	(void)state;
	does_not_resolve("[default]\nPrivateUsers=no\nPrivatePIDs=no\nScope=user\n",
		"p:3: PrivatePIDs=no asks for Scope=session, not Scope=user");
	does_not_resolve("[user alice]\nPrivatePIDs=no\n[default]\nPrivateUsers=no\nKillOnLogout=off\n",
		"p:2: PrivatePIDs=no asks for KillOnLogout=yes, not KillOnLogout=no");
	parse("[default]\nPrivatePIDs=no\nPrivateUsers=no\nScope=session\nKillOnLogout=yes\n");
	effective = resolve(&alice);
	assert_int_equal(effective.values[POLICY_PRIVATE_PIDS].number, POLICY_NO);
	parse("[default]\nPrivateUsers=no\nScope=user\nKillOnLogout=no\n");
	effective = resolve(&alice);
	assert_int_equal(effective.values[POLICY_SCOPE].number, POLICY_SCOPE_USER);
	assert_int_equal(effective.values[POLICY_KILL_ON_LOGOUT].number, POLICY_NO);
}

static void what_is_not_isolated_need_not_fit_together(void **state)
{
	(void)state;
	parse("[default]\nIsolate=no\nPrivatePIDs=no\nScope=user\nKillOnLogout=no\n");
	resolve(&alice);
}

/* --- what is built --------------------------------------------------------- */

static void is_not_built(const char *line, const char *message)
{
	struct policy_effective effective;
	struct error err = { 0 };
	char text[256];

	snprintf(text, sizeof(text), "[default]\n%s\n", line);
	parse(text);
	effective = resolve(&alice);
	assert_int_equal(policy_check_built(&effective, &err), -ENOTSUP);
	assert_string_equal(err.text, message);
	assert_string_equal(err.step, "policy");
	assert_int_equal(policy_check_built(&effective, NULL), -ENOTSUP);
	/* What a login would be refused for, the check of the whole policy tells before. */
	err.text[0] = '\0';
	assert_int_equal(policy_check_all_built(current, &err), -ENOTSUP);
	assert_string_equal(err.text, message);
}

static void is_built(const char *line)
{
	struct policy_effective effective;
	struct error err = { 0 };
	char text[256];

	snprintf(text, sizeof(text), "[default]\n%s\n", line);
	parse(text);
	effective = resolve(&alice);
	if (policy_check_built(&effective, &err) != 0)
		fail_msg("%s", err.text);
}

static void a_value_that_is_not_in_force_is_named_with_its_place(void **state)
{
	(void)state;
	is_not_built("PrivateUsers=root", "p:2: PrivateUsers=root is not in force in this version");
	is_not_built("PrivateNetwork=on", "p:2: PrivateNetwork=yes is not in force in this version");
	is_not_built("PrivateClock=yes", "p:2: PrivateClock=yes is not in force in this version");
	is_not_built("RootEphemeral=yes", "p:2: RootEphemeral=yes is not in force in this version");
	is_not_built("NoNewPrivileges=yes", "p:2: NoNewPrivileges=yes is not in force in this version");
}

static void a_key_that_is_not_in_force_is_named_with_its_place(void **state)
{
	(void)state;
	is_not_built("NetworkBridge=br0", "p:2: NetworkBridge is not in force in this version");
	is_not_built("NetworkAddress=10.0.0.2/24", "p:2: NetworkAddress is not in force in this version");
	is_not_built("ReadOnlyPaths=/a", "p:2: ReadOnlyPaths is not in force in this version");
	is_not_built("InaccessiblePaths=/a", "p:2: InaccessiblePaths is not in force in this version");
	is_not_built("BindPaths=/a", "p:2: BindPaths is not in force in this version");
	is_not_built("BindReadOnlyPaths=/a", "p:2: BindReadOnlyPaths is not in force in this version");
	is_not_built("TemporaryFileSystem=/a", "p:2: TemporaryFileSystem is not in force in this version");
	is_not_built("RootDirectory=/a", "p:2: RootDirectory is not in force in this version");
	is_not_built("CapabilityBoundingSet=CAP_KILL", "p:2: CapabilityBoundingSet is not in force in this version");
	is_not_built("SystemCallFilter=~@mount", "p:2: SystemCallFilter is not in force in this version");
	is_not_built("RestrictNamespaces=user", "p:2: RestrictNamespaces is not in force in this version");
	is_not_built("AppArmorProfile=a", "p:2: AppArmorProfile is not in force in this version");
}

static void what_is_in_force_is_let_through(void **state)
{
	static const char *const lines[] = { "Isolate=yes", "Scope=session", "Scope=user", "PrivateUsers=self", "PrivateUsers=no",
		"PrivateUsers=no\nPrivatePIDs=no", "PrivateIPC=no", "Hostname=lab-%u", "PrivateTmp=yes", "PrivateTmp=no",
		"PrivateTmp=user", "MemoryMax=1G", "MemoryHigh=1G", "MemorySwapMax=0", "CPUQuota=50%", "CPUWeight=100",
		"AllowedCPUs=0", "TasksMax=10", "IOWeight=100", "UserMemoryMax=1G", "UserMemoryHigh=1G", "UserMemorySwapMax=1G",
		"UserCPUQuota=50%", "UserTasksMax=infinity", "PrivateNetwork=no", "PrivateClock=no", "UserManager=yes",
		"KillOnLogout=yes", "KillOnLogout=no", "RuntimeMaxSec=60", "RuntimeMaxSec=infinity", "Banner=yes", "Banner=no",
		"NoNewPrivileges=no", "RootEphemeral=no" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		is_built(lines[i]);
	is_built("");
}

static void who_is_not_isolated_is_let_through(void **state)
{
	(void)state;
	is_built("Isolate=no\nPrivateClock=yes\nReadOnlyPaths=/a");
}

/* --- a sandbox that stands ------------------------------------------------- */

static uint32_t digest(const char *line, enum policy_key key)
{
	struct policy_effective effective;
	char text[256];

	snprintf(text, sizeof(text), "[default]\n%s\n", line);
	parse(text);
	effective = resolve(&alice);
	return policy_digest(&effective.values[key]);
}

static void a_digest_tells_values_apart(void **state)
{
	(void)state;
	assert_int_equal(digest("", POLICY_MEMORY_MAX), 0);
	assert_int_not_equal(digest("MemoryMax=1G", POLICY_MEMORY_MAX), 0);
	assert_int_not_equal(digest("MemoryMax=1G", POLICY_MEMORY_MAX), digest("MemoryMax=2G", POLICY_MEMORY_MAX));
	assert_int_not_equal(digest("MemoryMax=1G", POLICY_MEMORY_MAX), digest("MemoryMax=infinity", POLICY_MEMORY_MAX));
	assert_int_not_equal(digest("Scope=user", POLICY_SCOPE), digest("Scope=session", POLICY_SCOPE));
}

/* Two loads of a policy, and a default that is now written down. */
static void a_digest_is_of_the_value_alone(void **state)
{
	(void)state;
	assert_int_equal(digest("MemoryMax=1G", POLICY_MEMORY_MAX), digest("TasksMax=5\nMemoryMax=1G", POLICY_MEMORY_MAX));
	assert_int_equal(digest("", POLICY_PRIVATE_TMP), digest("PrivateTmp=yes", POLICY_PRIVATE_TMP));
	assert_int_equal(digest("KillOnLogout=no", POLICY_KILL_ON_LOGOUT), digest("KillOnLogout=off", POLICY_KILL_ON_LOGOUT));
}

/* As the manual has them. */
static void limits_are_what_a_group_can_be_told_anew(void **state)
{
	static const enum policy_key limits[] = { POLICY_MEMORY_MAX, POLICY_MEMORY_HIGH, POLICY_MEMORY_SWAP_MAX, POLICY_CPU_QUOTA,
		POLICY_CPU_WEIGHT, POLICY_ALLOWED_CPUS, POLICY_TASKS_MAX, POLICY_IO_WEIGHT, POLICY_IO_READ_BANDWIDTH_MAX,
		POLICY_IO_WRITE_BANDWIDTH_MAX, POLICY_IO_READ_IOPS_MAX, POLICY_IO_WRITE_IOPS_MAX, POLICY_USER_MEMORY_MAX,
		POLICY_USER_MEMORY_HIGH, POLICY_USER_MEMORY_SWAP_MAX, POLICY_USER_CPU_QUOTA, POLICY_USER_TASKS_MAX };
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		assert_true(policy_is_limit(limits[i]));
	for (size_t key = 0; key < POLICY_KEYS; key++)
		n += policy_is_limit((enum policy_key)key);
	assert_int_equal(n, ARRAY_SIZE(limits));
}

/* --- explain --------------------------------------------------------------- */

static void explains(const struct policy_subject *subject, const char *expected)
{
	struct policy_effective effective = resolve(subject);
	AUTO_FREE char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	policy_explain(&effective, out);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, expected);
}

static void explain_names_the_place_of_each_value(void **state)
{
	(void)state;
	parse("[default]\nMemoryMax=2G\nUserTasksMax=9\nTasksMax=5\n[group "
	      "stud*]\nIsolate=on\nReadOnlyPaths=/a\nReadOnlyPaths=/b\n"
	      "[user alice]\nHostname=a-very-long-name-for-a-host.lab\n");
	explains(&alice, "Isolate=yes                     # p:6 [group stud*]\n"
			 "Scope=session                   # default\n"
			 "PrivateUsers=self               # default\n"
			 "PrivatePIDs=yes                 # default\n"
			 "PrivateIPC=yes                  # default\n"
			 "Hostname=a-very-long-name-for-a-host.lab # p:10 [user alice]\n"
			 "PrivateNetwork=no               # default\n"
			 "PrivateClock=no                 # default\n"
			 "PrivateTmp=yes                  # default\n"
			 "ReadOnlyPaths=/a /b             # p:7 [group stud*]\n"
			 "RootEphemeral=no                # default\n"
			 "MemoryMax=2G                    # p:2 [default]\n"
			 "TasksMax=5                      # p:4 [default]\n"
			 "UserMemoryMax=2G                # as MemoryMax, p:2 [default]\n"
			 "UserTasksMax=9                  # p:3 [default]\n"
			 "UserManager=no                  # default\n"
			 "KillOnLogout=yes                # default\n"
			 "Banner=no                       # default\n"
			 "NoNewPrivileges=no              # default\n");
}

static void explain_says_only_that_a_user_is_not_isolated(void **state)
{
	(void)state;
	parse("[default]\nMemoryMax=2G\n[group staff]\nIsolate=no\n");
	explains(&alice, "Isolate=no                      # p:4 [group staff]\n");
	explains(&root, "Isolate=no                      # root is never isolated\n");
}

/* --- the table ------------------------------------------------------------- */

static void each_key_has_a_row_with_a_name_and_help(void **state)
{
	(void)state;
	for (size_t key = 0; key < POLICY_KEYS; key++) {
		const struct policy_key_row *row = &policy_keys[key];

		assert_non_null(row->name);
		assert_non_null(row->help);
		assert_true(strlen(row->name) <= 32);
		assert_int_not_equal(row->help[strlen(row->help) - 1], '.');
		assert_null(strchr(row->help, '\n'));
		for (size_t other = 0; other < key; other++)
			assert_string_not_equal(policy_keys[other].name, row->name);
	}
}

static size_t index_of(const char *const *choices, const char *word)
{
	size_t i = 0;

	while (choices[i] && strcmp(choices[i], word) != 0)
		i++;
	return i;
}

static void a_default_is_a_choice_that_is_in_force(void **state)
{
	(void)state;
	for (size_t key = 0; key < POLICY_KEYS; key++) {
		const struct policy_key_row *row = &policy_keys[key];

		assert_int_equal(row->type == POLICY_TYPE_CHOICE, row->choices != NULL);
		assert_int_equal(row->type == POLICY_TYPE_CHOICE, row->default_value != NULL);
		if (!row->default_value)
			continue;
		assert_non_null(row->choices[index_of(row->choices, row->default_value)]);
		if (row->built)
			assert_non_null(strstr(row->built, row->default_value));
	}
}

static void a_key_falls_back_to_one_of_its_type(void **state)
{
	(void)state;
	for (size_t key = 0; key < POLICY_KEYS; key++) {
		const char *name = policy_keys[key].falls_back_to;
		size_t other = 0;

		if (!name)
			continue;
		while (other < POLICY_KEYS && strcmp(policy_keys[other].name, name) != 0)
			other++;
		assert_true(other < POLICY_KEYS);
		assert_int_equal(policy_keys[other].type, policy_keys[key].type);
		assert_int_equal(policy_keys[other].may_be_zero, policy_keys[key].may_be_zero);
		assert_null(policy_keys[other].falls_back_to);
	}
}

#define resolve_test(test) cmocka_unit_test_teardown(test, forget)

int main(void)
{
	const struct CMUnitTest tests[] = {
		resolve_test(the_user_wins_over_groups_and_these_over_default),
		resolve_test(the_order_of_kinds_does_not_depend_on_where_they_stand),
		resolve_test(of_groups_the_first_in_the_policy_wins),
		resolve_test(a_section_that_comes_again_stands_where_it_came_first),
		resolve_test(a_group_section_takes_patterns),
		resolve_test(a_group_without_a_name_is_in_no_section),
		resolve_test(a_user_section_is_of_that_name_alone),
		resolve_test(a_user_name_may_have_a_backslash),
		resolve_test(without_a_policy_the_defaults_hold),
		resolve_test(root_is_never_isolated),
		resolve_test(root_is_a_uid_and_not_a_name),
		resolve_test(a_user_key_falls_back_to_the_sessions),
		resolve_test(a_user_key_that_is_set_anywhere_does_not_fall_back),
		resolve_test(a_session_key_does_not_fall_back_to_the_users),
		resolve_test(private_pids_no_asks_for_private_users_no),
		resolve_test(private_pids_no_is_for_one_login_that_ends),
		resolve_test(what_is_not_isolated_need_not_fit_together),
		resolve_test(a_value_that_is_not_in_force_is_named_with_its_place),
		resolve_test(a_key_that_is_not_in_force_is_named_with_its_place),
		resolve_test(what_is_in_force_is_let_through),
		resolve_test(who_is_not_isolated_is_let_through),
		resolve_test(a_digest_tells_values_apart),
		resolve_test(a_digest_is_of_the_value_alone),
		cmocka_unit_test(limits_are_what_a_group_can_be_told_anew),
		resolve_test(explain_names_the_place_of_each_value),
		resolve_test(explain_says_only_that_a_user_is_not_isolated),
		cmocka_unit_test(each_key_has_a_row_with_a_name_and_help),
		cmocka_unit_test(a_default_is_a_choice_that_is_in_force),
		cmocka_unit_test(a_key_falls_back_to_one_of_its_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
