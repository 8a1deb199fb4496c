/* SPDX-License-Identifier: BSD-3-Clause */
/* cgroup v2 without systemd: the groups are ours to make. Documentation/admin-guide/cgroup-v2.rst of the kernel. */
#include "helper/cgroup_backend.h"

#include "helper/account.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/words.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

static int format_bytes(const struct policy_effective *effective, enum policy_key key, char text[CGROUP_VALUE_MAX])
{
	return cgroup_format_bytes(&effective->values[key], "max", text);
}

static int format_quota(const struct policy_effective *effective, enum policy_key key, char text[CGROUP_VALUE_MAX])
{
	snprintf(text, CGROUP_VALUE_MAX, "%" PRIu64 " %d", effective->values[key].number * (CGROUP_CPU_PERIOD_US / 100),
		CGROUP_CPU_PERIOD_US);
	return 0;
}

static int format_number(const struct policy_effective *effective, enum policy_key key, char text[CGROUP_VALUE_MAX])
{
	snprintf(text, CGROUP_VALUE_MAX, "%" PRIu64, effective->values[key].number);
	return 0;
}

#define FILES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static const struct cgroup_setting settings[] = {
	{ POLICY_MEMORY_MAX, POLICY_USER_MEMORY_MAX, "memory", FILES("memory.max"), .format = format_bytes },
	{ POLICY_MEMORY_HIGH, POLICY_USER_MEMORY_HIGH, "memory", FILES("memory.high"), .format = format_bytes },
	{ POLICY_MEMORY_SWAP_MAX, POLICY_USER_MEMORY_SWAP_MAX, "memory", FILES("memory.swap.max"), .format = format_bytes },
	{ POLICY_CPU_QUOTA, POLICY_USER_CPU_QUOTA, "cpu", FILES("cpu.max"), .format = format_quota },
	{ POLICY_CPU_WEIGHT, POLICY_KEYS, "cpu", FILES("cpu.weight"), .format = format_number },
	{ POLICY_TASKS_MAX, POLICY_USER_TASKS_MAX, "pids", FILES("pids.max"), .format = cgroup_format_count },
	{ POLICY_ALLOWED_CPUS, POLICY_KEYS, "cpuset", FILES("cpuset.cpus"), .format = cgroup_format_text },
	{ POLICY_IO_WEIGHT, POLICY_KEYS, "io", FILES("io.weight", "io.bfq.weight"), .format = format_number },
	{ POLICY_IO_READ_BANDWIDTH_MAX, POLICY_KEYS, "io", FILES("io.max"), .word = "rbps" },
	{ POLICY_IO_WRITE_BANDWIDTH_MAX, POLICY_KEYS, "io", FILES("io.max"), .word = "wbps" },
	{ POLICY_IO_READ_IOPS_MAX, POLICY_KEYS, "io", FILES("io.max"), .word = "riops" },
	{ POLICY_IO_WRITE_IOPS_MAX, POLICY_KEYS, "io", FILES("io.max"), .word = "wiops" },
};

#define NUMBER(member) offsetof(struct account, member)

static const struct cgroup_counter counters[] = {
	{ NUMBER(cpu_user_us), "cpu", "cpu.stat", CGROUP_KEYED, "user_usec", 1 },
	{ NUMBER(cpu_system_us), "cpu", "cpu.stat", CGROUP_KEYED, "system_usec", 1 },
	{ NUMBER(cpu_throttled_us), "cpu", "cpu.stat", CGROUP_KEYED, "throttled_usec", 1 },
	{ NUMBER(memory_peak), "memory", "memory.peak", CGROUP_NUMBER, NULL, 1 },
	{ NUMBER(tasks_peak), "pids", "pids.peak", CGROUP_NUMBER, NULL, 1 },
	{ NUMBER(io_read), "io", "io.stat", CGROUP_DEVICES, " rbytes=", 1 },
	{ NUMBER(io_written), "io", "io.stat", CGROUP_DEVICES, " wbytes=", 1 },
	{ NUMBER(oom_kills), "memory", "memory.events", CGROUP_KEYED, "oom_kill", 1 },
};

static void format_device_word(
	const struct cgroup_setting *setting, const struct cgroup_device_limit *limit, char *text, size_t size)
{
	if (limit->number == UINT64_MAX)
		snprintf(text, size, "%s=max", setting->word);
	else
		snprintf(text, size, "%s=%" PRIu64, setting->word, limit->number);
}

static void format_device(
	const struct cgroup_setting *setting, const struct cgroup_device_limit *limit, char text[CGROUP_VALUE_MAX])
{
	char word[48];

	format_device_word(setting, limit, word, sizeof(word));
	snprintf(text, CGROUP_VALUE_MAX, "%u:%u %s", limit->major, limit->minor, word);
}

/* A device without any limit has no line. */
static bool has_device(const struct cgroup_setting *setting, const struct cgroup_device_limit *limit, const char *line)
{
	char word[48];

	if (line[0] == '\0')
		return limit->number == UINT64_MAX;
	format_device_word(setting, limit, word, sizeof(word));
	return has_word(line, word);
}

static const struct {
	const char *name;
	bool always; /* isolatectl shows what it counts, also where the policy sets no limit */
} controllers[] = {
	{ "memory", true },
	{ "cpu", true },
	{ "pids", true },
	{ "cpuset", false },
	{ "io", false },
};

static int open_hierarchies(const struct policy_effective *effective, struct cgroup *cgroup, struct error *err)
{
	int root = open(CGROUP_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)effective;
	if (root < 0)
		return error_set(err, errno, "cgroup", CGROUP_ROOT);
	cgroup->hierarchies[0].controller = "";
	cgroup->hierarchies[0].root = root;
	cgroup->n_hierarchies = 1;
	return 0;
}

/* A controller is handed down by the group above: parent enables for group what the policy needs. */
static int prepare_group(
	const struct cgroup *cgroup, const struct policy_effective *effective, int group, int parent, struct error *err)
{
	char enabled[256];
	ssize_t n = read_file_at(parent, "cgroup.subtree_control", enabled, sizeof(enabled));

	(void)group;
	if (n < 0)
		return error_set(err, (int)-n, "cgroup", "cgroup.subtree_control above %s", cgroup->path);
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
		char text[16];
		int r;

		if (has_word(enabled, controllers[i].name) ||
			!(controllers[i].always || cgroup_wants(cgroup->backend, effective, controllers[i].name)))
			continue;
		snprintf(text, sizeof(text), "+%s", controllers[i].name);
		r = write_file_at(parent, "cgroup.subtree_control", text);
		if (r < 0)
			return error_set(err, r == -EINVAL || r == -ENOENT ? ENOTSUP : -r, "cgroup",
				"enable the %s controller for %s", controllers[i].name, cgroup->path);
	}
	return 0;
}

static int kill_all(const struct cgroup *cgroup, struct error *err)
{
	int r = write_file_at(cgroup->hierarchies[0].session, "cgroup.kill", "1");

	return r < 0 ? error_set(err, -r, "cgroup", "cgroup.kill of %s", cgroup->path) : 0;
}

const struct cgroup_backend cgroup_backend_v2 = {
	.name = "v2",
	.settings = settings,
	.n_settings = ARRAY_SIZE(settings),
	.counters = counters,
	.n_counters = ARRAY_SIZE(counters),
	.format_device = format_device,
	.has_device = has_device,
	.open_hierarchies = open_hierarchies,
	.prepare_group = prepare_group,
	.kill = kill_all,
};
