/* SPDX-License-Identifier: BSD-3-Clause */
/* cgroup v1, or the v1 half of a hybrid machine: one hierarchy for each controller. Documentation/admin-guide/cgroup-v1/ of the
 * kernel. */
#include "helper/cgroup_backend.h"

#include "helper/account.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>

static int format_memory(const struct policy_effective *effective, enum policy_key key, char text[CGROUP_VALUE_MAX])
{
	return cgroup_format_bytes(&effective->values[key], "-1", text);
}

/* Memory and swap are one limit here, which may never be below that of memory alone: it is lifted while that one changes. */
static int format_lift_memsw(const struct policy_effective *effective, enum policy_key key, char text[CGROUP_VALUE_MAX])
{
	(void)effective, (void)key;
	snprintf(text, CGROUP_VALUE_MAX, "-1");
	return 0;
}

static int format_memsw(const struct policy_effective *effective, enum policy_key key, char text[CGROUP_VALUE_MAX])
{
	const struct policy_value *swap = &effective->values[key];
	const struct policy_value *memory =
		&effective->values[key == POLICY_MEMORY_SWAP_MAX ? POLICY_MEMORY_MAX : POLICY_USER_MEMORY_MAX];

	if (swap->unit == POLICY_INFINITY)
		return -ENODATA;
	/* Swap alone cannot be limited. */
	if (!memory->set || memory->unit == POLICY_INFINITY)
		return -ENOTSUP;
	snprintf(text, CGROUP_VALUE_MAX, "%" PRIu64, cgroup_bytes(memory) + cgroup_bytes(swap));
	return 0;
}

static int format_high(const struct policy_effective *effective, enum policy_key key, char text[CGROUP_VALUE_MAX])
{
	(void)text;
	/* memory.soft_limit_in_bytes is only a hint for reclaim under global pressure: not the same thing. */
	return effective->values[key].unit == POLICY_INFINITY ? -ENODATA : -ENOTSUP;
}

/* A group's quota may not be above its parent's here: the smaller of the two is what v2 would enforce as well. */
static int format_quota(const struct policy_effective *effective, enum policy_key key, char text[CGROUP_VALUE_MAX])
{
	const struct policy_value *of_user = &effective->values[POLICY_USER_CPU_QUOTA];
	uint64_t percent = effective->values[key].number;

	if (of_user->set && of_user->number < percent)
		percent = of_user->number;
	snprintf(text, CGROUP_VALUE_MAX, "%" PRIu64, percent * (CGROUP_CPU_PERIOD_US / 100));
	return 0;
}

/* Weight 100, the default, is 1024 shares. */
static int format_shares(const struct policy_effective *effective, enum policy_key key, char text[CGROUP_VALUE_MAX])
{
	uint64_t shares = effective->values[key].number * 1024 / 100;

	snprintf(text, CGROUP_VALUE_MAX, "%" PRIu64, shares < 2 ? 2 : shares);
	return 0;
}

/* The scale of v2 goes to 10000, that of v1 to 1000. Both have 100 as their middle. */
static int format_io_weight(const struct policy_effective *effective, enum policy_key key, char text[CGROUP_VALUE_MAX])
{
	uint64_t weight = effective->values[key].number;

	if (weight > 1000)
		return -ENOTSUP;
	snprintf(text, CGROUP_VALUE_MAX, "%" PRIu64, weight);
	return 0;
}

#define FILES(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Written in this order. */
static const struct cgroup_setting settings[] = {
	{ POLICY_MEMORY_SWAP_MAX, POLICY_USER_MEMORY_SWAP_MAX, "memory", FILES("memory.memsw.limit_in_bytes"),
		.format = format_lift_memsw },
	{ POLICY_MEMORY_MAX, POLICY_USER_MEMORY_MAX, "memory", FILES("memory.limit_in_bytes"), .format = format_memory },
	{ POLICY_MEMORY_SWAP_MAX, POLICY_USER_MEMORY_SWAP_MAX, "memory", FILES("memory.memsw.limit_in_bytes"),
		.format = format_memsw },
	{ POLICY_MEMORY_HIGH, POLICY_USER_MEMORY_HIGH, "memory", FILES("memory.high"), .format = format_high },
	{ POLICY_CPU_QUOTA, POLICY_USER_CPU_QUOTA, "cpu", FILES("cpu.cfs_quota_us"), .format = format_quota },
	{ POLICY_CPU_WEIGHT, POLICY_KEYS, "cpu", FILES("cpu.shares"), .format = format_shares },
	{ POLICY_TASKS_MAX, POLICY_USER_TASKS_MAX, "pids", FILES("pids.max"), .format = cgroup_format_count },
	{ POLICY_ALLOWED_CPUS, POLICY_KEYS, "cpuset", FILES("cpuset.cpus"), .format = cgroup_format_text },
	{ POLICY_IO_WEIGHT, POLICY_KEYS, "blkio", FILES("blkio.weight", "blkio.bfq.weight"), .format = format_io_weight },
	{ POLICY_IO_READ_BANDWIDTH_MAX, POLICY_KEYS, "blkio", FILES("blkio.throttle.read_bps_device"), .format = NULL },
	{ POLICY_IO_WRITE_BANDWIDTH_MAX, POLICY_KEYS, "blkio", FILES("blkio.throttle.write_bps_device"), .format = NULL },
	{ POLICY_IO_READ_IOPS_MAX, POLICY_KEYS, "blkio", FILES("blkio.throttle.read_iops_device"), .format = NULL },
	{ POLICY_IO_WRITE_IOPS_MAX, POLICY_KEYS, "blkio", FILES("blkio.throttle.write_iops_device"), .format = NULL },
};

#define NUMBER(member) offsetof(struct account, member)

/* Times are nanoseconds. cpuacct may be mounted together with cpu, and goes by that name then: see is_open(). */
static const struct cgroup_counter counters[] = {
	{ NUMBER(cpu_user_us), "cpuacct", "cpuacct.usage_user", CGROUP_NUMBER, NULL, 1000 },
	{ NUMBER(cpu_user_us), "cpu", "cpuacct.usage_user", CGROUP_NUMBER, NULL, 1000 },
	{ NUMBER(cpu_system_us), "cpuacct", "cpuacct.usage_sys", CGROUP_NUMBER, NULL, 1000 },
	{ NUMBER(cpu_system_us), "cpu", "cpuacct.usage_sys", CGROUP_NUMBER, NULL, 1000 },
	{ NUMBER(cpu_throttled_us), "cpu", "cpu.stat", CGROUP_KEYED, "throttled_time", 1000 },
	{ NUMBER(memory_peak), "memory", "memory.max_usage_in_bytes", CGROUP_NUMBER, NULL, 1 },
	{ NUMBER(tasks_peak), "pids", "pids.peak", CGROUP_NUMBER, NULL, 1 },
	{ NUMBER(io_read), "blkio", "blkio.throttle.io_service_bytes_recursive", CGROUP_DEVICES, " Read ", 1 },
	{ NUMBER(io_written), "blkio", "blkio.throttle.io_service_bytes_recursive", CGROUP_DEVICES, " Write ", 1 },
	{ NUMBER(oom_kills), "memory", "memory.oom_control", CGROUP_KEYED, "oom_kill", 1 },
};

/* 0 takes a limit away. */
static void format_device(
	const struct cgroup_setting *setting, const struct cgroup_device_limit *limit, char text[CGROUP_VALUE_MAX])
{
	(void)setting;
	snprintf(text, CGROUP_VALUE_MAX, "%u:%u %" PRIu64, limit->major, limit->minor,
		limit->number == UINT64_MAX ? 0 : limit->number);
}

static bool has_device(const struct cgroup_setting *setting, const struct cgroup_device_limit *limit, const char *line)
{
	char text[CGROUP_VALUE_MAX];

	if (limit->number == UINT64_MAX)
		return line[0] == '\0';
	format_device(setting, limit, text);
	return strcmp(line, text) == 0;
}

static const struct {
	const char *name;
	bool always; /* to count what is used; else only where it is needed */
} controllers[] = {
	{ "memory", true },
	{ "pids", true },
	{ "cpu", true },
	{ "cpuacct", true },
	{ "freezer", false },
	{ "cpuset", false },
	{ "blkio", false },
};

/* The freezer ends a session that has no PID namespace to end by. */
static bool is_needed(const struct cgroup_backend *backend, const struct policy_effective *effective, const char *controller)
{
	if (strcmp(controller, "freezer") == 0)
		return effective->values[POLICY_PRIVATE_PIDS].number == POLICY_NO;
	return cgroup_wants(backend, effective, controller);
}

/* Whether the hierarchy is there already under another controller's name ("cpu,cpuacct"). */
static bool is_open(const struct cgroup *cgroup, int root)
{
	struct stat st, other;

	if (fstat(root, &st) < 0)
		return false;
	for (size_t i = 0; i < cgroup->n_hierarchies; i++)
		if (fstat(cgroup->hierarchies[i].root, &other) == 0 && other.st_dev == st.st_dev)
			return true;
	return false;
}

static int open_hierarchies(const struct policy_effective *effective, struct cgroup *cgroup, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
		char path[64];
		struct statfs fs;
		AUTO_CLOSE int root = -1;

		if (effective && !controllers[i].always && !is_needed(cgroup->backend, effective, controllers[i].name))
			continue;
		snprintf(path, sizeof(path), CGROUP_ROOT "/%s", controllers[i].name);
		root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (root < 0 && errno == ENOENT)
			continue;
		if (root < 0 || fstatfs(root, &fs) < 0)
			return error_set(err, errno, "cgroup", "%s", path);
		if ((unsigned long)fs.f_type != CGROUP_SUPER_MAGIC || is_open(cgroup, root))
			continue;
		cgroup->hierarchies[cgroup->n_hierarchies].controller = controllers[i].name;
		cgroup->hierarchies[cgroup->n_hierarchies++].root = take_fd(&root);
	}
	return cgroup->n_hierarchies ? 0 : error_set(err, ENOTSUP, "cgroup", "no controller is mounted below " CGROUP_ROOT);
}

/* A cpuset takes no process before it has both, and starts with neither. cpusets.rst */
static int inherit_cpuset(const char *file, int group, int parent)
{
	char text[CGROUP_VALUE_MAX];
	ssize_t n = read_file_at(group, file, text, sizeof(text));

	if (n != 0)
		return n == -ENOENT || n > 0 ? 0 : (int)n;
	n = read_file_at(parent, file, text, sizeof(text));
	return n < 0 ? (int)n : write_file_at(group, file, text);
}

static int prepare_group(
	const struct cgroup *cgroup, const struct policy_effective *effective, int group, int parent, struct error *err)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };

	if (!cgroup_wants(cgroup->backend, effective, "cpuset"))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int r = inherit_cpuset(files[i], group, parent);

		if (r < 0)
			return error_set(err, -r, "cgroup", "%s of %s", files[i], cgroup->path);
	}
	return 0;
}

/* The kernel refuses a user's quota that is below one of his sessions': those that run already get as much as he has in all,
 * which is what he can use anyway. */
static void lower_quotas(const struct policy_effective *effective, int user)
{
	const struct policy_value *of_user = &effective->values[POLICY_USER_CPU_QUOTA];
	AUTO_CLOSEDIR DIR *sessions = of_user->set ? fdopendir(openat(user, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) : NULL;
	const struct dirent *entry;
	char most[CGROUP_VALUE_MAX];

	snprintf(most, sizeof(most), "%" PRIu64, of_user->number * (CGROUP_CPU_PERIOD_US / 100));
	while (sessions && (entry = readdir(sessions))) {
		char text[CGROUP_VALUE_MAX];
		AUTO_CLOSE int session = -1;

		if (entry->d_name[0] == '.' || entry->d_type != DT_DIR)
			continue;
		session = openat(user, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (session >= 0 && read_file_at(session, "cpu.cfs_quota_us", text, sizeof(text)) > 0 && text[0] != '-' &&
			strtoull(text, NULL, 10) > strtoull(most, NULL, 10))
			write_file_at(session, "cpu.cfs_quota_us", most);
	}
}

/* Signals each process of the group once. Returns how many there were, or a negative errno. */
static int kill_each(int group)
{
	AUTO_CLOSE int fd = openat(group, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	AUTO_FCLOSE FILE *file = fd < 0 ? NULL : fdopen(fd, "re");
	int n = 0, pid;

	if (!file)
		return -errno;
	fd = -1;
	for (; fscanf(file, "%d", &pid) == 1; n++)
		kill(pid, SIGKILL);
	return n;
}

/*
 * v1 has no cgroup.kill: frozen processes cannot fork, so that one pass finds them all, and they die when thawed. A frozen
 * process cannot end either, and its pid cannot become another's.
 */
static int kill_all(const struct cgroup *cgroup, struct error *err)
{
	const struct cgroup_hierarchy *freezer = cgroup_hierarchy_of(cgroup, "freezer");
	int r;

	if (!freezer)
		return error_set(err, ENOTSUP, "cgroup", "the freezer controller is needed to end %s", cgroup->path);
	/* Collected: that session had a PID namespace, and all of it is gone. */
	if (freezer->session < 0)
		return 0;
	r = write_file_at(freezer->session, "freezer.state", "FROZEN");
	for (int tries = 0; r >= 0 && tries < 1000; tries++) {
		char state[16];

		if (read_file_at(freezer->session, "freezer.state", state, sizeof(state)) >= 0 && strcmp(state, "FROZEN") == 0)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	if (r >= 0)
		r = kill_each(freezer->session);
	if (write_file_at(freezer->session, "freezer.state", "THAWED") < 0 && r >= 0)
		r = -EIO;
	return r < 0 ? error_set(err, -r, "cgroup", "kill what is in %s", cgroup->path) : 0;
}

const struct cgroup_backend cgroup_backend_v1 = {
	.name = "v1",
	.settings = settings,
	.n_settings = ARRAY_SIZE(settings),
	.counters = counters,
	.n_counters = ARRAY_SIZE(counters),
	.format_device = format_device,
	.has_device = has_device,
	.open_hierarchies = open_hierarchies,
	.make_way = lower_quotas,
	.prepare_group = prepare_group,
	.kill = kill_all,
};
