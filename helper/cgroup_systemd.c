/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/cgroup_systemd.h"

#include "helper/protocol.h"
#include "helper/spawn.h"
#include "helper/systemd_protocol.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#define PROGRAM LIBEXECDIR "/isolate-systemd"
#define PAGE_SIZE_MIN 4096
#define USER_SLICE "/user.slice/user-%u.slice"

bool cgroup_systemd_runs(void)
{
	/* In doubt it does: where it does not, it does not answer, and the login is refused. */
	return access("/run/systemd/system", F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

/* ---- what systemd is asked for: systemd.resource-control(5), org.freedesktop.systemd1(5) ---- */

static int fill_bytes(const struct policy_value *value, struct systemd_property *property)
{
	property->number = cgroup_bytes(value);
	return 0;
}

static int fill_count(const struct policy_value *value, struct systemd_property *property)
{
	property->number = cgroup_count(value);
	return 0;
}

/* CPUQuotaPerSecUSec: microseconds a second. */
static int fill_quota(const struct policy_value *value, struct systemd_property *property)
{
	property->number = value->number * 10000;
	return 0;
}

static int fill_number(const struct policy_value *value, struct systemd_property *property)
{
	property->number = value->number;
	return 0;
}

/* "0-3,5" as bits, the lowest CPU first. */
static int fill_cpus(const struct policy_value *value, struct systemd_property *property)
{
	for (const char *text = value->text; *text;) {
		char *end;
		unsigned long first = strtoul(text, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		if (end == text || last < first || last >= 8 * SYSTEMD_MASK_SIZE || (*end && *end != ','))
			return -EINVAL;
		for (unsigned long cpu = first; cpu <= last; cpu++)
			property->mask[cpu / 8] |= (uint8_t)(1u << cpu % 8);
		if (property->mask_size < last / 8 + 1)
			property->mask_size = (uint32_t)(last / 8 + 1);
		text = *end ? end + 1 : end;
	}
	return 0;
}

static const struct {
	enum policy_key session, user; /* POLICY_KEYS: none */
	const char *name;
	int (*fill)(const struct policy_value *value, struct systemd_property *property);
} properties[] = {
	{ POLICY_MEMORY_MAX, POLICY_USER_MEMORY_MAX, "MemoryMax", fill_bytes },
	{ POLICY_MEMORY_HIGH, POLICY_USER_MEMORY_HIGH, "MemoryHigh", fill_bytes },
	{ POLICY_MEMORY_SWAP_MAX, POLICY_USER_MEMORY_SWAP_MAX, "MemorySwapMax", fill_bytes },
	{ POLICY_CPU_QUOTA, POLICY_USER_CPU_QUOTA, "CPUQuotaPerSecUSec", fill_quota },
	{ POLICY_CPU_WEIGHT, POLICY_KEYS, "CPUWeight", fill_number },
	{ POLICY_TASKS_MAX, POLICY_USER_TASKS_MAX, "TasksMax", fill_count },
	{ POLICY_ALLOWED_CPUS, POLICY_KEYS, "AllowedCPUs", fill_cpus },
	{ POLICY_IO_WEIGHT, POLICY_KEYS, "IOWeight", fill_number },
	/* One for each device. */
	{ POLICY_IO_READ_BANDWIDTH_MAX, POLICY_KEYS, "IOReadBandwidthMax", NULL },
	{ POLICY_IO_WRITE_BANDWIDTH_MAX, POLICY_KEYS, "IOWriteBandwidthMax", NULL },
	{ POLICY_IO_READ_IOPS_MAX, POLICY_KEYS, "IOReadIOPSMax", NULL },
	{ POLICY_IO_WRITE_IOPS_MAX, POLICY_KEYS, "IOWriteIOPSMax", NULL },
};

/* The next free property of the request, named; NULL when it is full. */
static struct systemd_property *next_property(struct systemd_request *request, const char *name)
{
	struct systemd_property *property;

	if (request->n_properties == ARRAY_SIZE(request->properties))
		return NULL;
	property = &request->properties[request->n_properties++];
	snprintf(property->name, sizeof(property->name), "%s", name);
	return property;
}

static int add_devices(const char *name, const char *const *list, struct systemd_request *request, struct error *err)
{
	for (; *list; list++) {
		struct systemd_property *property = next_property(request, name);
		struct cgroup_device_limit limit;
		int r = property ? cgroup_device_resolve(name, *list, &limit, err)
				 : error_set(err, E2BIG, "cgroup", "too many limits of devices");

		if (r < 0)
			return r;
		snprintf(property->path, sizeof(property->path), "%s", limit.path);
		property->number = limit.number;
	}
	return 0;
}

static int add_property(const struct policy_value *value, size_t i, struct systemd_request *request, struct error *err)
{
	struct systemd_property *property;
	int r;

	if (!properties[i].fill)
		return add_devices(properties[i].name, value->list, request, err);
	property = next_property(request, properties[i].name);
	r = property ? properties[i].fill(value, property) : -E2BIG;
	return r < 0 ? error_set(err, -r, "cgroup", "%s=%s", properties[i].name, value->text) : 0;
}

static int add_properties(
	const struct policy_effective *effective, bool of_user, struct systemd_request *request, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(properties); i++) {
		enum policy_key key = of_user ? properties[i].user : properties[i].session;
		int r = key == POLICY_KEYS || !effective->values[key].set
				? 0
				: add_property(&effective->values[key], i, request, err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- asking ---- */

static int exchange(int socket, const struct systemd_request *request, struct systemd_reply *reply, struct error *err)
{
	ssize_t n = send_message(socket, request, sizeof(*request), NULL, 0);

	if (n >= 0)
		n = wait_readable(socket, SYSTEMD_MILLISECONDS);
	if (n >= 0)
		n = receive_message(socket, reply, sizeof(*reply), NULL, NULL);
	if (n < 0)
		return error_set(err, (int)-n, "cgroup", "systemd, or the system bus, does not answer within %d s",
			SYSTEMD_MILLISECONDS / 1000);
	if (n == 0)
		return error_set(err, EPIPE, "cgroup", PROGRAM " ended without an answer");
	if (n != sizeof(*reply) || reply->magic != SYSTEMD_MAGIC)
		return error_set(err, EPROTO, "cgroup", PROGRAM " is not of this version");
	if (reply->err.errnum > 0) {
		*err = reply->err;
		return -err->errnum;
	}
	return 0;
}

static int ask(const struct systemd_request *request, struct systemd_reply *reply, struct error *err)
{
	AUTO_CLOSE int socket = -1;
	AUTO_CLOSE int pidfd = -1;
	int r = spawn_program(PROGRAM, NULL, &socket, &pidfd);

	if (r == -ENOENT)
		return error_set(err, ENOTSUP, "cgroup", "no " PROGRAM ": this pam_isolate was built without libsystemd");
	if (r < 0)
		return error_set(err, -r, "cgroup", "start " PROGRAM);
	r = exchange(socket, request, reply, err);
	/* It might still have its way with systemd. */
	if (r < 0)
		sys_pidfd_send_signal(pidfd, SIGKILL);
	return r;
}

/* ---- reading back ---- */

static bool is_unlimited(const char *text)
{
	return strcmp(text, "max") == 0 || strcmp(text, "-1") == 0 || strtoull(text, NULL, 10) >= UINT64_C(1) << 62;
}

/* Bytes are rounded down to pages. */
static bool same_bytes(const char *asked, const char *found)
{
	uint64_t a, b;

	if (is_unlimited(asked) || is_unlimited(found))
		return is_unlimited(asked) && is_unlimited(found);
	a = strtoull(asked, NULL, 10);
	b = strtoull(found, NULL, 10);
	return b <= a && a - b < PAGE_SIZE_MIN;
}

/* "quota period", of which the period may be another (a v1 file holds the quota alone). */
static bool same_quota(const char *asked, const char *found)
{
	char *end;
	uint64_t quota = strtoull(asked, NULL, 10), found_quota = strtoull(found, &end, 10);
	uint64_t period = *end == ' ' ? strtoull(end + 1, NULL, 10) : CGROUP_CPU_PERIOD_US;

	return found_quota > 0 && quota * period == found_quota * CGROUP_CPU_PERIOD_US;
}

static bool same_cpus(const char *asked, const char *found)
{
	struct systemd_property a = { .mask_size = 0 }, b = { .mask_size = 0 };
	const struct policy_value asked_value = { .text = asked }, found_value = { .text = found };

	return fill_cpus(&asked_value, &a) >= 0 && fill_cpus(&found_value, &b) >= 0 &&
	       memcmp(a.mask, b.mask, sizeof(a.mask)) == 0;
}

/* io.weight has a "default " before the number. */
static bool same_number(const char *asked, const char *found)
{
	static const char word[] = "default ";

	if (strncmp(found, word, sizeof(word) - 1) == 0)
		found += sizeof(word) - 1;
	return strcmp(asked, found) == 0;
}

static bool is_in_force(enum policy_key key, const char *asked, const char *found)
{
	switch (policy_keys[key].type) {
	case POLICY_TYPE_BYTES:
		return same_bytes(asked, found);
	case POLICY_TYPE_QUOTA:
		return same_quota(asked, found);
	case POLICY_TYPE_CPUS:
		return same_cpus(asked, found);
	default:
		return same_number(asked, found);
	}
}

/* The first of the setting's files that path has. Returns its length, or a negative errno. */
static ssize_t read_setting(
	const struct cgroup *cgroup, const struct cgroup_setting *setting, const char *path, char *text, size_t size)
{
	const struct cgroup_hierarchy *hierarchy = cgroup_hierarchy_of(cgroup, setting->controller);
	ssize_t n = -ENOENT;

	for (size_t i = 0; hierarchy && setting->files[i] && n == -ENOENT; i++) {
		char file[160];

		snprintf(file, sizeof(file), "%s/%s", path + 1, setting->files[i]);
		n = read_file_at(hierarchy->root, file, text, size);
	}
	return n;
}

static int verify_devices(const struct cgroup *cgroup, const struct cgroup_setting *setting, const char *path, const char *name,
	const char *const *list, struct error *err)
{
	for (; *list; list++) {
		struct cgroup_device_limit limit;
		char found[4096];
		ssize_t n = read_setting(cgroup, setting, path, found, sizeof(found));
		int r = cgroup_device_resolve(name, *list, &limit, err);

		if (r < 0)
			return r;
		if (n < 0 || !cgroup->backend->has_device(setting, &limit, cgroup_device_line(&limit, found)))
			return error_set(err, ENOTSUP, "cgroup", "%s=%s is not in force: see %s of %s", name, *list,
				setting->files[0], path);
	}
	return 0;
}

static int verify_setting(const struct cgroup *cgroup, const struct cgroup_setting *setting, const char *path,
	const struct policy_effective *effective, enum policy_key key, struct error *err)
{
	const char *name = policy_keys[key].name, *asked_for = effective->values[key].text;
	char asked[CGROUP_VALUE_MAX], found[CGROUP_VALUE_MAX];
	int r;

	if (!setting->format)
		return verify_devices(cgroup, setting, path, name, effective->values[key].list, err);
	r = setting->format(effective, key, asked);
	if (r == -ENODATA)
		return 0;
	if (r < 0 || read_setting(cgroup, setting, path, found, sizeof(found)) < 0)
		return error_set(err, ENOTSUP, "cgroup", "%s=%s: %s has no %s", name, asked_for, path, setting->files[0]);
	if (!is_in_force(key, asked, found))
		return error_set(err, ENOTSUP, "cgroup", "%s=%s is not in force: %s of %s is %s", name, asked_for,
			setting->files[0], path, found);
	return 0;
}

static int verify_group(
	const struct cgroup *cgroup, const char *path, bool of_user, const struct policy_effective *effective, struct error *err)
{
	for (size_t i = 0; i < cgroup->backend->n_settings; i++) {
		const struct cgroup_setting *setting = &cgroup->backend->settings[i];
		enum policy_key key = of_user ? setting->user : setting->session;
		int r;

		if (key == POLICY_KEYS || !effective->values[key].set)
			continue;
		r = verify_setting(cgroup, setting, path, effective, key, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int verify(const struct cgroup *cgroup, const struct cgroup_login *login, const struct policy_effective *effective,
	struct error *err)
{
	char slice[64];
	int r = verify_group(cgroup, cgroup->path, false, effective, err);

	snprintf(slice, sizeof(slice), USER_SLICE, login->uid);
	return r < 0 || cgroup->is_users ? r : verify_group(cgroup, slice, true, effective, err);
}

/* The leader is where systemd says it is, or the limits are somebody else's. */
static int verify_place(pid_t leader, const char *cgroup, struct error *err)
{
	char file[32], text[4096], *line;
	ssize_t n;

	snprintf(file, sizeof(file), "/proc/%d/cgroup", leader);
	n = read_file_at(AT_FDCWD, file, text, sizeof(text));
	if (n < 0)
		return error_set(err, (int)-n, "cgroup", "%s", file);
	for (char *rest = text; (line = strsep(&rest, "\n"));) {
		const char *path = strrchr(line, ':');

		/* On v1 only the controllers of limits have a group; where there is one, it is this one: read_group() looks
		 * there. */
		if (path && strcmp(path + 1, cgroup) == 0)
			return 0;
	}
	return error_set(err, ESRCH, "cgroup", "the login is not in %s", cgroup);
}

/* ---- one sandbox for all logins ---- */

static uint64_t amount(enum policy_key key, const struct policy_value *value)
{
	switch (policy_keys[key].type) {
	case POLICY_TYPE_BYTES:
		return cgroup_bytes(value);
	case POLICY_TYPE_COUNT:
		return cgroup_count(value);
	default:
		return value->number;
	}
}

/* The slice is the sandbox's group and the user's: of two limits the smaller holds. */
static struct policy_effective for_slice(const struct policy_effective *effective)
{
	struct policy_effective both = *effective;

	for (size_t i = 0; i < ARRAY_SIZE(properties); i++) {
		enum policy_key session = properties[i].session, user = properties[i].user;
		const struct policy_value *of_user = user == POLICY_KEYS ? NULL : &effective->values[user];

		if (!of_user || !of_user->set)
			continue;
		if (!both.values[session].set || amount(user, of_user) < amount(session, &both.values[session]))
			both.values[session] = *of_user;
	}
	return both;
}

/* ---- the whole ---- */

static int fill_request(const struct policy_effective *effective, const struct cgroup_login *login, pid_t helper,
	struct systemd_request *request, struct error *err)
{
	int r;

	*request = (struct systemd_request){
		.magic = SYSTEMD_MAGIC,
		.leader = login->leader,
		.helper = helper,
		.shared = login->shared,
		.uid = login->uid,
		.stop_user_manager = effective->values[POLICY_USER_MANAGER].number == POLICY_NO,
	};
	snprintf(request->id, sizeof(request->id), "%s", login->id);
	/* The scopes of a shared sandbox have no limits of their own: its limits are the slice's. */
	r = login->shared ? 0 : add_properties(effective, false, request, err);
	request->n_session = request->n_properties;
	return r < 0 ? r : add_properties(effective, !login->shared, request, err);
}

static int make_in(const struct policy_effective *effective, const struct cgroup_login *login, pid_t helper,
	struct cgroup *cgroup, struct cgroup_stay *stay, struct error *err)
{
	static struct systemd_request request;
	struct systemd_reply reply = { .adopted = 0 };
	int r = fill_request(effective, login, helper, &request, err);

	if (r >= 0)
		r = ask(&request, &reply, err);
	if (r < 0)
		return r;
	if (reply.adopted) {
		free(stay->home);
		stay->home = NULL;
	}
	snprintf(stay->path, sizeof(stay->path), "%.*s", (int)sizeof(reply.cgroup) - 1, reply.cgroup);
	cgroup->owner = CGROUP_SYSTEMDS;
	cgroup->is_users = login->shared;
	memcpy(cgroup->path, stay->path, sizeof(cgroup->path));
	if (login->shared)
		snprintf(cgroup->path, sizeof(cgroup->path), USER_SLICE, login->uid);
	r = cgroup->backend->open_hierarchies(NULL, cgroup, err);
	if (r >= 0)
		r = verify_place(login->leader, stay->path, err);
	return r < 0 ? r : verify(cgroup, login, effective, err);
}

int cgroup_systemd_make(const struct policy_effective *effective, const struct cgroup_login *login, struct cgroup *cgroup,
	struct cgroup_stay *stay, struct error *err)
{
	struct policy_effective both;

	if (!login->shared)
		return make_in(effective, login, getpid(), cgroup, stay, err);
	both = for_slice(effective);
	return make_in(&both, login, getpid(), cgroup, stay, err);
}

int cgroup_systemd_join(const struct policy_effective *effective, const struct cgroup_login *login, const char *path,
	struct cgroup_stay *stay, struct error *err)
{
	struct policy_effective both = for_slice(effective);
	struct cgroup cgroup = { .n_hierarchies = 0 };
	int r = cgroup_is_v2(err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < CGROUP_HIERARCHIES_MAX; i++)
		cgroup.hierarchies[i].root = cgroup.hierarchies[i].session = -1;
	cgroup.backend = r > 0 ? &cgroup_backend_v2 : &cgroup_backend_v1;
	r = make_in(&both, login, 0, &cgroup, stay, err);
	if (r >= 0 && strcmp(cgroup.path, path) != 0)
		r = error_set(err, ESTALE, "cgroup", "the user's slice is %s, and the sandbox is in %s", cgroup.path, path);
	cgroup_release(&cgroup);
	return r;
}
