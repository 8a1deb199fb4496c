/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/cgroup_systemd.h"

#include "lib/cleanup.h"
#include "lib/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>

#define KILL_PASSES 1000

static int open_dir_at(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int cgroup_is_v2(struct error *err)
{
	struct statfs fs;

	if (statfs(CGROUP_ROOT, &fs) < 0)
		return error_set(err, errno, "cgroup", CGROUP_ROOT);
	if ((unsigned long)fs.f_type == CGROUP2_SUPER_MAGIC)
		return 1;
	if ((unsigned long)fs.f_type == TMPFS_MAGIC)
		return 0;
	return error_set(err, ENOTSUP, "cgroup", CGROUP_ROOT " is not a cgroup mount");
}

const struct cgroup_hierarchy *cgroup_hierarchy_of(const struct cgroup *cgroup, const char *controller)
{
	for (size_t i = 0; i < cgroup->n_hierarchies; i++) {
		const struct cgroup_hierarchy *hierarchy = &cgroup->hierarchies[i];

		if (hierarchy->controller[0] == '\0' || strcmp(hierarchy->controller, controller) == 0)
			return hierarchy;
	}
	return NULL;
}

bool cgroup_wants(const struct cgroup_backend *backend, const struct policy_effective *effective, const char *controller)
{
	for (size_t i = 0; i < backend->n_settings; i++) {
		const struct cgroup_setting *setting = &backend->settings[i];

		if (strcmp(setting->controller, controller) == 0 &&
			((setting->session != POLICY_KEYS && effective->values[setting->session].set) ||
				(setting->user != POLICY_KEYS && effective->values[setting->user].set)))
			return true;
	}
	return false;
}

uint64_t cgroup_bytes(const struct policy_value *value)
{
	struct sysinfo info;

	switch (value->unit) {
	case POLICY_INFINITY:
		return UINT64_MAX;
	case POLICY_PERCENT:
		sysinfo(&info);
		return (uint64_t)info.totalram * info.mem_unit / 100 * value->number;
	default:
		return value->number;
	}
}

int cgroup_format_bytes(const struct policy_value *value, const char *infinity, char text[CGROUP_VALUE_MAX])
{
	if (value->unit == POLICY_INFINITY)
		snprintf(text, CGROUP_VALUE_MAX, "%s", infinity);
	else
		snprintf(text, CGROUP_VALUE_MAX, "%" PRIu64, cgroup_bytes(value));
	return 0;
}

/* How many tasks the machine can have at all: the smaller of the two limits. proc(5) */
static uint64_t tasks_of_machine(void)
{
	static const char *const files[] = { "/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max" };
	uint64_t smallest = UINT64_MAX;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char text[32];
		uint64_t number;

		if (read_file_at(AT_FDCWD, files[i], text, sizeof(text)) < 0)
			continue;
		number = strtoull(text, NULL, 10);
		if (number < smallest)
			smallest = number;
	}
	return smallest;
}

uint64_t cgroup_count(const struct policy_value *value)
{
	switch (value->unit) {
	case POLICY_INFINITY:
		return UINT64_MAX;
	case POLICY_PERCENT:
		return tasks_of_machine() / 100 * value->number;
	default:
		return value->number;
	}
}

int cgroup_format_count(const struct policy_effective *effective, enum policy_key key, char text[CGROUP_VALUE_MAX])
{
	if (effective->values[key].unit == POLICY_INFINITY)
		snprintf(text, CGROUP_VALUE_MAX, "max");
	else
		snprintf(text, CGROUP_VALUE_MAX, "%" PRIu64, cgroup_count(&effective->values[key]));
	return 0;
}

int cgroup_format_text(const struct policy_effective *effective, enum policy_key key, char text[CGROUP_VALUE_MAX])
{
	int n = snprintf(text, CGROUP_VALUE_MAX, "%s", effective->values[key].text);

	return n < CGROUP_VALUE_MAX ? 0 : -ENAMETOOLONG;
}

static int write_value(const struct cgroup *cgroup, const struct cgroup_setting *setting, int group, const char *name,
	const char *text, struct error *err)
{
	int r = -ENOENT;

	for (size_t i = 0; setting->files[i] && r == -ENOENT; i++)
		r = write_file_at(group, setting->files[i], text);
	if (r == -ENOENT)
		return error_set(err, ENOTSUP, "cgroup", "%s: this kernel has no %s", name, setting->files[0]);
	if (r < 0)
		return error_set(err, -r, "cgroup", "%s: write %s to %s of %s", name, text, setting->files[0], cgroup->path);
	return 0;
}

static int write_device_setting(const struct cgroup *cgroup, const struct cgroup_setting *setting, int group, const char *name,
	const char *const *list, struct error *err)
{
	int r = 0;

	for (; *list && r >= 0; list++) {
		struct cgroup_device_limit limit;
		char text[CGROUP_VALUE_MAX];

		r = cgroup_device_resolve(name, *list, &limit, err);
		if (r < 0)
			return r;
		cgroup->backend->format_device(setting, &limit, text);
		r = write_value(cgroup, setting, group, name, text, err);
	}
	return r;
}

static int write_setting(const struct cgroup *cgroup, const struct cgroup_setting *setting, int group,
	const struct policy_effective *effective, enum policy_key key, struct error *err)
{
	const char *name = policy_keys[key].name;
	char text[CGROUP_VALUE_MAX];
	int r;

	if (!setting->format)
		return write_device_setting(cgroup, setting, group, name, effective->values[key].list, err);
	r = setting->format(effective, key, text);
	if (r == -ENODATA)
		return 0;
	if (r < 0)
		return error_set(err, -r, "cgroup", "%s=%s cannot be had on cgroup %s", name, effective->values[key].text,
			cgroup->backend->name);
	return write_value(cgroup, setting, group, name, text, err);
}

/* Writes the limits that hierarchy is in charge of to group. */
static int write_limits(const struct cgroup *cgroup, const struct cgroup_hierarchy *hierarchy, int group, bool of_user,
	const struct policy_effective *effective, struct error *err)
{
	if (of_user && cgroup->backend->make_way)
		cgroup->backend->make_way(effective, group);
	for (size_t i = 0; i < cgroup->backend->n_settings; i++) {
		const struct cgroup_setting *setting = &cgroup->backend->settings[i];
		enum policy_key key = of_user ? setting->user : setting->session;
		int r;

		if (key == POLICY_KEYS || !effective->values[key].set ||
			cgroup_hierarchy_of(cgroup, setting->controller) != hierarchy)
			continue;
		r = write_setting(cgroup, setting, group, effective, key, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Opens the group name below parent, made first if need be (must_be_new: it may not exist). Returns its fd. */
static int make_group(const struct cgroup *cgroup, const struct policy_effective *effective, int parent, const char *name,
	bool must_be_new, struct error *err)
{
	AUTO_CLOSE int group = -1;
	int r;

	if (mkdirat(parent, name, 0755) < 0 && (errno != EEXIST || must_be_new))
		return error_set(err, errno, "cgroup", "mkdir %s of %s", name, cgroup->path);
	group = open_dir_at(parent, name);
	if (group < 0)
		return error_set(err, -group, "cgroup", "open %s of %s", name, cgroup->path);
	r = cgroup->backend->prepare_group(cgroup, effective, group, parent, err);
	return r < 0 ? r : take_fd(&group);
}

static int make_in_hierarchy(const struct cgroup *cgroup, struct cgroup_hierarchy *hierarchy,
	const struct policy_effective *effective, const char *uid, const char *id, struct error *err)
{
	AUTO_CLOSE int top = make_group(cgroup, effective, hierarchy->root, CGROUP_TOP, false, err);
	AUTO_CLOSE int user = top < 0 ? top : make_group(cgroup, effective, top, uid, false, err);
	int r = user < 0 ? user : write_limits(cgroup, hierarchy, user, true, effective, err);

	if (r < 0)
		return r;
	r = make_group(cgroup, effective, user, id, true, err);
	if (r < 0)
		return error_prefix(err, "%s", hierarchy->controller);
	hierarchy->session = r;
	return write_limits(cgroup, hierarchy, hierarchy->session, false, effective, err);
}

/* A limit whose controller has no hierarchy here is not silently dropped. */
static int check_controllers(const struct cgroup *cgroup, const struct policy_effective *effective, struct error *err)
{
	for (size_t i = 0; i < cgroup->backend->n_settings; i++) {
		const char *controller = cgroup->backend->settings[i].controller;

		if (!cgroup_hierarchy_of(cgroup, controller) && cgroup_wants(cgroup->backend, effective, controller))
			return error_set(err, ENOTSUP, "cgroup", "the policy needs the %s controller, and this machine has none",
				controller);
	}
	return 0;
}

static void start(struct cgroup *cgroup, bool is_v2)
{
	*cgroup = (struct cgroup){ .backend = is_v2 ? &cgroup_backend_v2 : &cgroup_backend_v1 };
	for (size_t i = 0; i < CGROUP_HIERARCHIES_MAX; i++)
		cgroup->hierarchies[i].root = cgroup->hierarchies[i].session = -1;
}

int cgroup_read_home(pid_t leader, char **ret_home, struct error *err)
{
	char path[32], text[4096], *home;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", leader);
	n = read_file_at(AT_FDCWD, path, text, sizeof(text));
	if (n < 0)
		return error_set(err, (int)-n, "cgroup", "%s", path);
	home = strdup(text);
	if (!home)
		return error_set(err, ENOMEM, "cgroup", "%s", path);
	*ret_home = home;
	return 0;
}

void cgroup_guess_path(const struct cgroup_login *login, char path[CGROUP_PATH_MAX])
{
	snprintf(path, CGROUP_PATH_MAX, "/" CGROUP_TOP "/%u/%s", login->uid, login->id);
}

static int make_all(struct cgroup *cgroup, const struct policy_effective *effective, uid_t uid, const char *id, struct error *err)
{
	char uid_text[16];
	int r = check_controllers(cgroup, effective, err);

	snprintf(uid_text, sizeof(uid_text), "%u", uid);
	for (size_t i = 0; i < cgroup->n_hierarchies && r >= 0; i++)
		r = make_in_hierarchy(cgroup, &cgroup->hierarchies[i], effective, uid_text, id, err);
	return r;
}

static int make_ours(const struct policy_effective *effective, const struct cgroup_login *login, int lock, struct cgroup *cgroup,
	struct error *err)
{
	int r;

	cgroup_guess_path(login, cgroup->path);
	r = cgroup->backend->open_hierarchies(effective, cgroup, err);
	if (r < 0)
		return r;
	/* Another login of the user may be ending: its helper must not remove his group between our two mkdirs. */
	flock(lock, LOCK_EX);
	r = make_all(cgroup, effective, login->uid, login->id, err);
	flock(lock, LOCK_UN);
	return r;
}

int cgroup_make(const struct policy_effective *effective, const struct cgroup_login *login, int lock, struct cgroup *ret_cgroup,
	struct cgroup_stay *stay, struct error *err)
{
	struct cgroup cgroup;
	int r = cgroup_is_v2(err);

	if (r < 0)
		return r;
	start(&cgroup, r > 0);
	if (cgroup_systemd_runs())
		r = cgroup_systemd_make(effective, login, &cgroup, stay, err);
	else {
		r = make_ours(effective, login, lock, &cgroup, err);
		memcpy(stay->path, cgroup.path, sizeof(stay->path));
	}
	if (r < 0) {
		cgroup_send_home(&cgroup, stay->home, login->leader, NULL);
		cgroup_remove(&cgroup, lock, NULL);
		cgroup_release(&cgroup);
		return r;
	}
	*ret_cgroup = cgroup;
	return 0;
}

/* effective: for the hierarchies that it needs; NULL: all. */
static int find(const char *path, enum cgroup_owner owner, const struct policy_effective *effective, struct cgroup *ret_cgroup,
	struct error *err)
{
	struct cgroup cgroup;
	int r = cgroup_is_v2(err);

	if (r < 0)
		return r;
	start(&cgroup, r > 0);
	cgroup.owner = owner;
	snprintf(cgroup.path, sizeof(cgroup.path), "%s", path);
	r = cgroup.backend->open_hierarchies(effective, &cgroup, err);
	for (size_t i = 0; i < cgroup.n_hierarchies && r >= 0; i++) {
		cgroup.hierarchies[i].session = open_dir_at(cgroup.hierarchies[i].root, path + 1);
		if (cgroup.hierarchies[i].session < 0 && cgroup.hierarchies[i].session != -ENOENT)
			r = error_set(err, -cgroup.hierarchies[i].session, "cgroup", "%s", path);
	}
	if (r < 0) {
		cgroup_release(&cgroup);
		return r;
	}
	*ret_cgroup = cgroup;
	return 0;
}

int cgroup_find(const char *path, enum cgroup_owner owner, struct cgroup *ret_cgroup, struct error *err)
{
	return find(path, owner, NULL, ret_cgroup, err);
}

/* Both groups exist, and are in use. */
static int write_both(const struct cgroup *cgroup, const struct cgroup_hierarchy *hierarchy,
	const struct policy_effective *effective, struct error *err)
{
	AUTO_CLOSE int user = hierarchy->session < 0 ? -1 : open_dir_at(hierarchy->session, "..");
	AUTO_CLOSE int top = user < 0 ? user : open_dir_at(user, "..");
	int r;

	/* The running sandbox is not in the hierarchies that only the new policy needs. */
	if (hierarchy->session < 0)
		return error_set(err, ENOTSUP, "cgroup", "the running sandbox is not in the %s hierarchy", hierarchy->controller);
	if (top < 0)
		return error_set(err, -top, "cgroup", "open the groups above %s of %s", cgroup->path, hierarchy->controller);
	r = cgroup->backend->prepare_group(cgroup, effective, user, top, err);
	if (r >= 0)
		r = cgroup->backend->prepare_group(cgroup, effective, hierarchy->session, user, err);
	if (r >= 0)
		r = write_limits(cgroup, hierarchy, user, true, effective, err);
	return r < 0 ? r : write_limits(cgroup, hierarchy, hierarchy->session, false, effective, err);
}

/* One that cannot be had does not keep the others from being in force. */
static int write_all_limits(const struct cgroup *cgroup, const struct policy_effective *effective, struct error *err)
{
	int result = check_controllers(cgroup, effective, err);

	for (size_t i = 0; i < cgroup->n_hierarchies; i++) {
		int r = write_both(cgroup, &cgroup->hierarchies[i], effective, err);

		result = r < 0 ? r : result;
	}
	return result;
}

bool cgroup_is_ours(const char *path)
{
	return strncmp(path, "/" CGROUP_TOP "/", strlen("/" CGROUP_TOP "/")) == 0;
}

int cgroup_update(const struct policy_effective *effective, const char *path, struct error *err)
{
	struct cgroup cgroup;
	int r;

	/* By the path, which is never in doubt: cgroup_systemd_runs() may be. */
	if (!cgroup_is_ours(path))
		return 0;
	r = find(path, CGROUP_OURS, effective, &cgroup, err);
	if (r < 0)
		return r;
	r = write_all_limits(&cgroup, effective, err);
	cgroup_release(&cgroup);
	return r;
}

int cgroup_join(const struct policy_effective *effective, const struct cgroup_login *login, const char *path,
	struct cgroup_stay *stay, struct error *err)
{
	snprintf(stay->path, sizeof(stay->path), "%s", path);
	return cgroup_systemd_runs() ? cgroup_systemd_join(effective, login, path, stay, err) : 0;
}

static int move_to(int group, const char *name, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	return write_file_at(group, name, text);
}

int cgroup_enter(const struct cgroup *cgroup, pid_t pid, struct error *err)
{
	/* systemd has moved the leader and the helper, whose children are in the scope, too. */
	if (cgroup->owner != CGROUP_OURS)
		return 0;
	for (size_t i = 0; i < cgroup->n_hierarchies; i++) {
		int r = move_to(cgroup->hierarchies[i].session, "cgroup.procs", pid);

		if (r < 0)
			return error_set(err, -r, "cgroup", "move the login into %s of %s", cgroup->path,
				cgroup->hierarchies[i].controller);
	}
	return 0;
}

static bool lists(const char *names, size_t length, const char *name)
{
	size_t wanted = strlen(name);

	if (wanted == 0)
		return length == 0;
	while (length >= wanted) {
		const char *comma = memchr(names, ',', length);
		size_t this = comma ? (size_t)(comma - names) : length;

		if (this == wanted && memcmp(names, name, wanted) == 0)
			return true;
		if (!comma)
			return false;
		names += this + 1;
		length -= this + 1;
	}
	return false;
}

/* The path in a text like /proc/<pid>/cgroup ("4:cpu,cpuacct:/path" lines) for one hierarchy. */
static int home_path(const char *home, const char *controller, char *path, size_t size)
{
	for (const char *line = home; line; line = strchr(line, '\n')) {
		const char *names, *where;
		size_t length;

		line += *line == '\n';
		names = strchr(line, ':');
		where = names ? strchr(names + 1, ':') : NULL;
		if (!where || !lists(names + 1, (size_t)(where - names - 1), controller))
			continue;
		length = strcspn(where + 1, "\n");
		if (length < 1 || length >= size)
			return -ENAMETOOLONG;
		/* Relative to the hierarchy's root: "/" is ".". */
		snprintf(path, size, ".%.*s", (int)length, where + 1);
		return 0;
	}
	return -ENOENT;
}

int cgroup_send_home(const struct cgroup *cgroup, const char *home, pid_t pid, struct error *err)
{
	int result = 0;

	for (size_t i = 0; home && i < cgroup->n_hierarchies; i++) {
		const struct cgroup_hierarchy *hierarchy = &cgroup->hierarchies[i];
		char path[4096] = "";
		AUTO_CLOSE int group = -1;
		int r = home_path(home, hierarchy->controller, path, sizeof(path));

		if (r >= 0)
			r = group = open_dir_at(hierarchy->root, path);
		if (r >= 0)
			r = move_to(group, "cgroup.procs", pid);
		/* Go on with the others: a leader that is half home is better off than one that is not. */
		if (r < 0 && r != -ESRCH)
			result = error_set(err, -r, "cgroup", "bring the login back to %s of %s", path, hierarchy->controller);
	}
	return result;
}

int cgroup_open_file(const struct cgroup *cgroup, enum cgroup_level level, const char *controller, const char *file, int flags)
{
	const struct cgroup_hierarchy *hierarchy = cgroup_hierarchy_of(cgroup, controller);
	int length = (int)strlen(cgroup->path), fd;
	char name[sizeof(cgroup->path) + 64];

	if (!hierarchy)
		return -ENOENT;
	if (level == CGROUP_USER && cgroup->is_users)
		return -ENOENT;
	/* The user's group is the one above. */
	if (level == CGROUP_USER)
		length = (int)(strrchr(cgroup->path, '/') - cgroup->path);
	snprintf(name, sizeof(name), ".%.*s/%s", length, cgroup->path, file);
	fd = openat(hierarchy->root, name, flags | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

ssize_t cgroup_read_file(
	const struct cgroup *cgroup, enum cgroup_level level, const char *controller, const char *file, char *buffer, size_t size)
{
	AUTO_CLOSE int fd = cgroup_open_file(cgroup, level, controller, file, O_RDONLY);

	return fd < 0 ? fd : read_fd(fd, buffer, size);
}

static bool group_has_room(const struct cgroup *cgroup, enum cgroup_level level, unsigned int n)
{
	char current[32], most[32];

	if (cgroup_read_file(cgroup, level, "pids", "pids.current", current, sizeof(current)) < 0 ||
		cgroup_read_file(cgroup, level, "pids", "pids.max", most, sizeof(most)) < 0)
		return true;
	return strcmp(most, "max") == 0 || strtoull(current, NULL, 10) + n <= strtoull(most, NULL, 10);
}

bool cgroup_has_room(const struct cgroup *cgroup, unsigned int n)
{
	return group_has_room(cgroup, CGROUP_SANDBOX, n) && group_has_room(cgroup, CGROUP_USER, n);
}

int cgroup_each_group(const struct cgroup *cgroup, const char *controller, void (*function)(int group, void *data), void *data)
{
	AUTO_CLOSE int group = cgroup_open_file(cgroup, CGROUP_SANDBOX, controller, ".", O_RDONLY | O_DIRECTORY);
	AUTO_CLOSEDIR DIR *scopes = NULL;
	const struct dirent *entry;

	if (group < 0)
		return group;
	if (!cgroup->is_users) {
		function(group, data);
		return 0;
	}
	scopes = fdopendir(fcntl(group, F_DUPFD_CLOEXEC, 0));
	if (!scopes)
		return -errno;
	while ((entry = readdir(scopes))) {
		AUTO_CLOSE int scope =
			entry->d_name[0] == '.' || entry->d_type != DT_DIR ? -1 : open_dir_at(group, entry->d_name);

		if (scope >= 0)
			function(scope, data);
	}
	return 0;
}

struct visit {
	void (*function)(pid_t pid, void *data);
	void *data;
	int n;     /* processes */
	int error; /* a negative errno, or 0 */
};

static void visit_processes(int group, void *data)
{
	struct visit *visit = data;
	AUTO_CLOSE int fd = openat(group, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	AUTO_FCLOSE FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	int pid;

	if (!file) {
		/* A group that has gone meanwhile has none. */
		if (errno != ENOENT && errno != ENODEV)
			visit->error = -errno;
		return;
	}
	fd = -1;
	for (; fscanf(file, "%d", &pid) == 1; visit->n++)
		visit->function(pid, visit->data);
}

int cgroup_each_process(const struct cgroup *cgroup, void (*function)(pid_t pid, void *data), void *data)
{
	struct visit visit = { .function = function, .data = data };
	int r = cgroup_each_group(cgroup, "pids", visit_processes, &visit);

	r = r < 0 ? r : visit.error;
	return r < 0 ? r : visit.n;
}

struct others {
	pid_t leader, init;
	int signal, n;
};

static void signal_other(pid_t pid, void *data)
{
	struct others *others = data;

	if (pid <= 0 || pid == others->leader || pid == others->init || pid == getpid())
		return;
	kill(pid, others->signal);
	others->n++;
}

void cgroup_signal(const struct cgroup *cgroup, int signal, pid_t leader, pid_t init)
{
	struct others others = { .leader = leader, .init = init, .signal = signal };

	cgroup_each_process(cgroup, signal_other, &others);
}

/* In a group of systemd's the leader stays, and so do we: neither cgroup.kill nor the freezer can be used. A pass kills all that
 * there are; what was forked meanwhile is found by the next. */
static int kill_others(const struct cgroup *cgroup, pid_t leader)
{
	struct others others = { .leader = leader, .signal = SIGKILL, .n = 1 };

	for (int passes = 0; others.n > 0 && passes < KILL_PASSES; passes++) {
		int r;

		others.n = 0;
		r = cgroup_each_process(cgroup, signal_other, &others);
		if (r < 0)
			return r;
		if (others.n > 0)
			poll(NULL, 0, 1);
	}
	return others.n > 0 ? -EBUSY : 0;
}

int cgroup_kill(const struct cgroup *cgroup, pid_t leader, struct error *err)
{
	int r;

	if (cgroup->owner == CGROUP_OURS)
		return cgroup->backend->kill(cgroup, err);
	r = kill_others(cgroup, leader);
	return r < 0 ? error_set(err, -r, "cgroup", "kill what is in %s", cgroup->path) : 0;
}

static int remove_group(int root, const char *path)
{
	if (unlinkat(root, path, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return -errno;
}

static int remove_in_hierarchy(struct cgroup_hierarchy *hierarchy, const char *path)
{
	char user[sizeof(((struct cgroup *)0)->path)];
	int r = remove_group(hierarchy->root, path + 1);

	if (r < 0)
		return r;
	cleanup_close(&hierarchy->session);
	snprintf(user, sizeof(user), "%s", path);
	*strrchr(user, '/') = '\0';
	r = remove_group(hierarchy->root, user + 1);
	/* Not empty: the user has other sessions. */
	return r == -EBUSY || r == -ENOTEMPTY ? 0 : r;
}

int cgroup_remove(struct cgroup *cgroup, int lock, struct error *err)
{
	int result = 0;

	/* systemd removes its own when they are empty. */
	if (cgroup->owner != CGROUP_OURS)
		return 0;
	flock(lock, LOCK_EX);
	for (size_t i = 0; i < cgroup->n_hierarchies; i++) {
		int r = remove_in_hierarchy(&cgroup->hierarchies[i], cgroup->path);

		if (r < 0)
			result = error_set(err, -r, "cgroup", "remove %s of %s", cgroup->path, cgroup->hierarchies[i].controller);
	}
	flock(lock, LOCK_UN);
	return result;
}

void cgroup_release(struct cgroup *cgroup)
{
	for (size_t i = 0; i < CGROUP_HIERARCHIES_MAX; i++) {
		cleanup_close(&cgroup->hierarchies[i].root);
		cleanup_close(&cgroup->hierarchies[i].session);
	}
}
