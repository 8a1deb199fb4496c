/* SPDX-License-Identifier: BSD-3-Clause */
/* What a limit of the policy becomes in a file of each cgroup version. That the kernel then keeps it is the login tests' part. */
#include "helper/cgroup_backend.h"

#include <errno.h>
#include <string.h>
#include <sys/sysinfo.h>

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static struct policy *policy;
static struct policy_effective effective;

static void resolve(const char *settings)
{
	char text[512];
	const struct policy_subject subject = { .user = "alice", .uid = 1000 };

	snprintf(text, sizeof(text), "[default]\n%s", settings);
	policy_free(policy);
	policy = NULL;
	assert_int_equal(policy_parse("test", text, strlen(text), &policy, NULL), 0);
	assert_int_equal(policy_resolve(policy, &subject, &effective, NULL), 0);
}

static int tear_down(void **state)
{
	(void)state;
	policy_free(policy);
	policy = NULL;
	return 0;
}

/* What the n-th setting of the backend that writes file makes of key. */
static int format(const struct cgroup_backend *backend, const char *file, enum policy_key key, char text[CGROUP_VALUE_MAX])
{
	int r = -ENOENT;

	/* The last one counts: memory.memsw.limit_in_bytes is lifted first. */
	for (size_t i = 0; i < backend->n_settings; i++) {
		const struct cgroup_setting *setting = &backend->settings[i];

		if (strcmp(setting->files[0], file) == 0 && (setting->session == key || setting->user == key))
			r = setting->format(&effective, key, text);
	}
	return r;
}

static void assert_writes(const struct cgroup_backend *backend, const char *file, enum policy_key key, const char *expected)
{
	char text[CGROUP_VALUE_MAX];

	assert_int_equal(format(backend, file, key, text), 0);
	assert_string_equal(text, expected);
}

static void memory_is_written_in_bytes(void **state)
{
	(void)state;
	resolve("MemoryMax=512M\nMemorySwapMax=0\n");
	assert_writes(&cgroup_backend_v2, "memory.max", POLICY_MEMORY_MAX, "536870912");
	assert_writes(&cgroup_backend_v2, "memory.max", POLICY_USER_MEMORY_MAX, "536870912");
	assert_writes(&cgroup_backend_v2, "memory.swap.max", POLICY_MEMORY_SWAP_MAX, "0");
	assert_writes(&cgroup_backend_v1, "memory.limit_in_bytes", POLICY_MEMORY_MAX, "536870912");
	assert_writes(&cgroup_backend_v1, "memory.memsw.limit_in_bytes", POLICY_MEMORY_SWAP_MAX, "536870912");
}

static void no_limit_is_written_in_each_versions_word(void **state)
{
	(void)state;
	resolve("MemoryMax=infinity\nTasksMax=infinity\n");
	assert_writes(&cgroup_backend_v2, "memory.max", POLICY_MEMORY_MAX, "max");
	assert_writes(&cgroup_backend_v1, "memory.limit_in_bytes", POLICY_MEMORY_MAX, "-1");
	assert_writes(&cgroup_backend_v1, "pids.max", POLICY_TASKS_MAX, "max");
}

static void a_percentage_of_memory_is_of_the_machines(void **state)
{
	struct sysinfo info;
	char expected[32];

	(void)state;
	assert_int_equal(sysinfo(&info), 0);
	snprintf(expected, sizeof(expected), "%llu", (unsigned long long)info.totalram * info.mem_unit / 100 * 25);
	resolve("MemoryMax=25%\n");
	assert_writes(&cgroup_backend_v2, "memory.max", POLICY_MEMORY_MAX, expected);
}

static void v1_cannot_limit_swap_without_memory(void **state)
{
	char text[CGROUP_VALUE_MAX];

	(void)state;
	resolve("MemorySwapMax=1G\n");
	assert_int_equal(format(&cgroup_backend_v1, "memory.memsw.limit_in_bytes", POLICY_MEMORY_SWAP_MAX, text), -ENOTSUP);
}

static void v1_has_no_memory_high_and_says_so(void **state)
{
	char text[CGROUP_VALUE_MAX];

	(void)state;
	resolve("MemoryHigh=1G\n");
	assert_int_equal(format(&cgroup_backend_v1, "memory.high", POLICY_MEMORY_HIGH, text), -ENOTSUP);
	assert_writes(&cgroup_backend_v2, "memory.high", POLICY_MEMORY_HIGH, "1073741824");
}

static void a_quota_is_microseconds_of_a_period(void **state)
{
	(void)state;
	resolve("CPUQuota=50%\n");
	assert_writes(&cgroup_backend_v2, "cpu.max", POLICY_CPU_QUOTA, "50000 100000");
	assert_writes(&cgroup_backend_v1, "cpu.cfs_quota_us", POLICY_CPU_QUOTA, "50000");
	resolve("CPUQuota=1%\n");
	assert_writes(&cgroup_backend_v1, "cpu.cfs_quota_us", POLICY_CPU_QUOTA, "1000");
}

/* The kernel refuses a v1 group a larger quota than its parent's; v2 takes both and keeps the smaller. */
static void on_v1_a_session_gets_no_more_than_its_user(void **state)
{
	(void)state;
	resolve("CPUQuota=200%\nUserCPUQuota=50%\n");
	assert_writes(&cgroup_backend_v1, "cpu.cfs_quota_us", POLICY_CPU_QUOTA, "50000");
	assert_writes(&cgroup_backend_v1, "cpu.cfs_quota_us", POLICY_USER_CPU_QUOTA, "50000");
	assert_writes(&cgroup_backend_v2, "cpu.max", POLICY_CPU_QUOTA, "200000 100000");
}

static void weights_have_each_versions_scale(void **state)
{
	char text[CGROUP_VALUE_MAX];

	(void)state;
	resolve("CPUWeight=100\nIOWeight=500\n");
	assert_writes(&cgroup_backend_v2, "cpu.weight", POLICY_CPU_WEIGHT, "100");
	assert_writes(&cgroup_backend_v1, "cpu.shares", POLICY_CPU_WEIGHT, "1024");
	assert_writes(&cgroup_backend_v1, "blkio.weight", POLICY_IO_WEIGHT, "500");
	resolve("CPUWeight=1\nIOWeight=5000\n");
	assert_writes(&cgroup_backend_v1, "cpu.shares", POLICY_CPU_WEIGHT, "10");
	assert_int_equal(format(&cgroup_backend_v1, "blkio.weight", POLICY_IO_WEIGHT, text), -ENOTSUP);
}

static void assert_device(const struct cgroup_backend *backend, enum policy_key key, uint64_t number, const char *expected)
{
	const struct cgroup_device_limit limit = { .path = "/dev/sda", .major = 8, .minor = 16, .number = number };
	char text[CGROUP_VALUE_MAX];

	for (size_t i = 0; i < backend->n_settings; i++)
		if (backend->settings[i].session == key) {
			backend->format_device(&backend->settings[i], &limit, text);
			assert_string_equal(text, expected);
			return;
		}
	fail();
}

static void limits_of_devices_have_each_versions_form(void **state)
{
	(void)state;
	assert_device(&cgroup_backend_v2, POLICY_IO_READ_BANDWIDTH_MAX, 10000000, "8:16 rbps=10000000");
	assert_device(&cgroup_backend_v2, POLICY_IO_WRITE_IOPS_MAX, UINT64_MAX, "8:16 wiops=max");
	assert_device(&cgroup_backend_v1, POLICY_IO_WRITE_BANDWIDTH_MAX, 10000000, "8:16 10000000");
	assert_device(&cgroup_backend_v1, POLICY_IO_READ_IOPS_MAX, UINT64_MAX, "8:16 0");
}

static void the_limit_of_a_device_is_found_in_its_line(void **state)
{
	const struct cgroup_device_limit limit = { .major = 8, .minor = 16, .number = 5 },
					 none = { .major = 8, .minor = 16, .number = UINT64_MAX };
	const struct cgroup_setting setting = { .word = "rbps", .format = NULL };
	char text[] = "8:1 rbps=1 wbps=max\n8:16 rbps=5 wbps=15\n8:160 rbps=7";
	const char *line = cgroup_device_line(&limit, text);

	(void)state;
	assert_string_equal(line, "8:16 rbps=5 wbps=15");
	assert_true(cgroup_backend_v2.has_device(&setting, &limit, line));
	assert_false(cgroup_backend_v2.has_device(&setting, &limit, "8:16 rbps=55 wbps=5"));
	assert_false(cgroup_backend_v2.has_device(&setting, &limit, ""));
	assert_true(cgroup_backend_v2.has_device(&setting, &none, ""));
	assert_true(cgroup_backend_v1.has_device(&setting, &limit, "8:16 5"));
	assert_false(cgroup_backend_v1.has_device(&setting, &limit, "8:16 50"));
}

static void only_a_block_device_has_such_limits(void **state)
{
	struct cgroup_device_limit limit;
	struct error err;

	(void)state;
	assert_int_equal(cgroup_device_resolve("IOReadBandwidthMax", "/dev/null 10M", &limit, &err), -ENOTBLK);
	assert_string_equal(err.text, "IOReadBandwidthMax=/dev/null 10M");
	assert_int_equal(cgroup_device_resolve("IOReadBandwidthMax", "/dev/no such 10M", &limit, &err), -ENOENT);
}

static void a_controller_is_wanted_where_a_limit_needs_it(void **state)
{
	(void)state;
	resolve("TasksMax=5\n");
	assert_true(cgroup_wants(&cgroup_backend_v1, &effective, "pids"));
	assert_false(cgroup_wants(&cgroup_backend_v1, &effective, "cpuset"));
	resolve("AllowedCPUs=0\n");
	assert_true(cgroup_wants(&cgroup_backend_v2, &effective, "cpuset"));
	assert_false(cgroup_wants(&cgroup_backend_v2, &effective, "pids"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(memory_is_written_in_bytes, tear_down),
		cmocka_unit_test_teardown(no_limit_is_written_in_each_versions_word, tear_down),
		cmocka_unit_test_teardown(a_percentage_of_memory_is_of_the_machines, tear_down),
		cmocka_unit_test_teardown(v1_cannot_limit_swap_without_memory, tear_down),
		cmocka_unit_test_teardown(v1_has_no_memory_high_and_says_so, tear_down),
		cmocka_unit_test_teardown(a_quota_is_microseconds_of_a_period, tear_down),
		cmocka_unit_test_teardown(on_v1_a_session_gets_no_more_than_its_user, tear_down),
		cmocka_unit_test_teardown(weights_have_each_versions_scale, tear_down),
		cmocka_unit_test_teardown(limits_of_devices_have_each_versions_form, tear_down),
		cmocka_unit_test_teardown(the_limit_of_a_device_is_found_in_its_line, tear_down),
		cmocka_unit_test_teardown(only_a_block_device_has_such_limits, tear_down),
		cmocka_unit_test_teardown(a_controller_is_wanted_where_a_limit_needs_it, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
