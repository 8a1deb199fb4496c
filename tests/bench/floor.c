/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The floor: the least system calls that give what a login gets from pam_isolate: the same six namespaces, the same mounts
 * (helper/ mountns.c, helper/gatens.c), a group with the same limits in the same cgroup hierarchies (helper/cgroup_v1.c), and a
 * tiny program as its first process; and that take it away again. No policy, no checks, no record, no supervisor, and nobody
 * joins.
 *
 *   floor [-m warm|lone] [-n RUNS] -g GATE -t TINY
 *
 * One line per step and one for all: "floor mode=warm step=clone median_us=… p95_us=… n=…".
 */
#include "tests/bench/timing.h"

#include "lib/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define CGROUP_ROOT "/sys/fs/cgroup"
#define USER_ID 54321 /* of nobody; only the map is of interest */
#define SHELLS_MAX 64
#define MS_PRIVATE_ (1 << 18)

enum step { CGROUP, LIMITS, TMPFS, CLONE, MAPS, ENTER, WAKE, VIEW, PROC, HOSTNAME, GATE, END, RMDIR, TOTAL, STEPS };

static const char *const step_names[STEPS] = {
	[CGROUP] = "cgroup",
	[LIMITS] = "limits",
	[TMPFS] = "tmpfs",
	[CLONE] = "clone",
	[MAPS] = "maps",
	[ENTER] = "enter",
	[WAKE] = "wake",
	[VIEW] = "view",
	[PROC] = "proc",
	[HOSTNAME] = "hostname",
	[GATE] = "gate",
	[END] = "exec-exit-wait",
	[RMDIR] = "rmdir",
	[TOTAL] = "total",
};

struct limit {
	const char *file, *text;
};

struct hierarchy {
	const char *controller; /* "": v2 */
	struct limit limits[4];
	int root, group;
};

static struct hierarchy v1[] = {
	{ "memory", { { "memory.limit_in_bytes", "67108864" } }, -1, -1 },
	{ "pids", { { "pids.max", "64" } }, -1, -1 },
	{ "cpu", { { "cpu.cfs_quota_us", "50000" } }, -1, -1 },
	{ "cpuacct", { { NULL, NULL } }, -1, -1 },
	{ "freezer", { { NULL, NULL } }, -1, -1 },
};

static struct hierarchy v2[] = {
	{ "", { { "memory.max", "67108864" }, { "cpu.max", "50000 100000" }, { "pids.max", "64" } }, -1, -1 },
};

static const struct {
	const char *target, *mode;
	bool v1_only;
} tmpfs[] = {
	{ "/tmp", "1777", false },
	{ "/var/tmp", "1777", false },
	{ "/dev/shm", "1777", false },
	{ "/run/user", "0755", false },
	{ CGROUP_ROOT, "0555", true },
};

#define N_TMPFS (sizeof(tmpfs) / sizeof(tmpfs[0]))

static struct floor {
	const char *gate, *shells[SHELLS_MAX];
	size_t n_shells;
	int tiny;
	bool has_mqueue, is_v2;
	struct hierarchy *hierarchies;
	size_t n_hierarchies;
	char name[32]; /* of the groups */
	int mounts[N_TMPFS];
	int go[2];       /* the child waits here for its maps */
	uint64_t *times; /* shared with the child: the end of each step */
} plan;

/* ---- once, before the clock runs -------------------------------------------------------------------------------------- */

static void add_shell(const char *name)
{
	struct stat st, other;

	if (stat(name, &st) < 0 || plan.n_shells == SHELLS_MAX)
		return;
	for (size_t i = 0; i < plan.n_shells; i++)
		if (stat(plan.shells[i], &other) == 0 && other.st_dev == st.st_dev && other.st_ino == st.st_ino)
			return;
	plan.shells[plan.n_shells] = strdup(name);
	if (!plan.shells[plan.n_shells++])
		die("memory");
}

static void find_shells(void)
{
	FILE *file = fopen("/etc/shells", "re");
	char line[256];

	add_shell("/bin/sh");
	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "# \t\r\n")] = '\0';
		if (line[0] == '/')
			add_shell(line);
	}
	if (file)
		fclose(file);
}

static void open_hierarchies(void)
{
	struct statfs fs;

	if (statfs(CGROUP_ROOT, &fs) < 0)
		die(CGROUP_ROOT);
	plan.is_v2 = (unsigned long)fs.f_type == CGROUP2_SUPER_MAGIC;
	plan.hierarchies = plan.is_v2 ? v2 : v1;
	plan.n_hierarchies = plan.is_v2 ? 1 : sizeof(v1) / sizeof(v1[0]);
	for (size_t i = 0; i < plan.n_hierarchies; i++) {
		char path[64];

		snprintf(path, sizeof(path), CGROUP_ROOT "/%s", plan.hierarchies[i].controller);
		plan.hierarchies[i].root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (plan.hierarchies[i].root < 0)
			die(path);
	}
	snprintf(plan.name, sizeof(plan.name), "isolate-floor-%d", getpid());
}

static void prepare(const char *gate, const char *tiny)
{
	plan.gate = gate;
	plan.tiny = open(tiny, O_PATH | O_CLOEXEC);
	if (plan.tiny < 0)
		die(tiny);
	if (access(gate, F_OK) < 0)
		die(gate);
	plan.has_mqueue = access("/dev/mqueue", F_OK) == 0;
	mkdir("/run/user", 0755);
	find_shells();
	open_hierarchies();
	plan.times = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (plan.times == MAP_FAILED)
		die("mmap");
}

/* ---- one run ----------------------------------------------------------------------------------------------------------------
 */

static void done(enum step step)
{
	plan.times[step] = now_ns();
}

static void write_at(int directory, const char *name, const char *text)
{
	int fd = openat(directory, name, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(name);
	close(fd);
}

static void make_groups(void)
{
	for (size_t i = 0; i < plan.n_hierarchies; i++) {
		struct hierarchy *hierarchy = &plan.hierarchies[i];

		if (mkdirat(hierarchy->root, plan.name, 0755) < 0)
			die("mkdir of a cgroup");
		hierarchy->group = openat(hierarchy->root, plan.name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (hierarchy->group < 0)
			die("open of a cgroup");
	}
	done(CGROUP);
	for (size_t i = 0; i < plan.n_hierarchies; i++)
		for (const struct limit *limit = plan.hierarchies[i].limits; limit->file; limit++)
			write_at(plan.hierarchies[i].group, limit->file, limit->text);
	done(LIMITS);
}

static int new_mount(const char *type, const char *mode)
{
	int context = sys_fsopen(type, FSOPEN_CLOEXEC), mount;

	if (context < 0 || (mode && sys_fsconfig(context, FSCONFIG_SET_STRING, "mode", mode, 0) < 0) ||
		sys_fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		die(type);
	mount = sys_fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	if (mount < 0)
		die(type);
	close(context);
	return mount;
}

static void attach(int mount, const char *target)
{
	if (sys_move_mount(mount, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		die(target);
	close(mount);
}

/* By host root, so that they are his. */
static void make_tmpfs(void)
{
	for (size_t i = 0; i < N_TMPFS; i++)
		plan.mounts[i] = tmpfs[i].v1_only && plan.is_v2 ? -1 : new_mount("tmpfs", tmpfs[i].mode);
	done(TMPFS);
}

static void change_all(uint64_t attributes, uint64_t propagation)
{
	struct mount_attr attr = { .attr_set = attributes, .propagation = propagation };

	if (sys_mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr) < 0)
		die("mount_setattr");
}

/* M′: a second mount namespace, with the gate over each shell. */
static void make_gate_namespace(void)
{
	int view = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	if (view < 0 || unshare(CLONE_NEWNS) < 0)
		die("second mount namespace");
	change_all(MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, MS_PRIVATE_);
	for (size_t i = 0; i < plan.n_shells; i++) {
		int gate = sys_open_tree(AT_FDCWD, plan.gate, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

		if (gate < 0)
			die(plan.gate);
		attach(gate, plan.shells[i]);
	}
	if (setns(view, CLONE_NEWNS) < 0)
		die("back to the first mount namespace");
	close(view);
}

static void build_view(void)
{
	if (unshare(CLONE_NEWCGROUP) < 0)
		die("cgroup namespace");
	change_all(MOUNT_ATTR_NOSUID, 0);
	for (size_t i = 0; i < N_TMPFS; i++)
		if (plan.mounts[i] >= 0)
			attach(plan.mounts[i], tmpfs[i].target);
	if (plan.is_v2)
		attach(new_mount("cgroup2", NULL), CGROUP_ROOT);
	done(VIEW);
	attach(new_mount("proc", NULL), "/proc");
	if (plan.has_mqueue)
		attach(new_mount("mqueue", NULL), "/dev/mqueue");
	done(PROC);
	if (sethostname("floor", 5) < 0)
		die("sethostname");
	done(HOSTNAME);
	make_gate_namespace();
	done(GATE);
}

static _Noreturn void first_process(void)
{
	char *argv[] = { (char[]){ "tiny" }, NULL }, *envp[] = { NULL }, byte;

	if (read(plan.go[0], &byte, 1) != 1)
		die("wait for the maps");
	done(WAKE);
	build_view();
	sys_execveat(plan.tiny, "", argv, envp, AT_EMPTY_PATH);
	die("execveat");
}

static void write_maps(pid_t pid)
{
	char path[64], map[64];

	snprintf(map, sizeof(map), "%d %d 1\n", USER_ID, USER_ID);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	write_at(AT_FDCWD, path, map);
	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	write_at(AT_FDCWD, path, map);
	done(MAPS);
}

static void move_into_groups(pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	for (size_t i = 0; i < plan.n_hierarchies && !plan.is_v2; i++)
		write_at(plan.hierarchies[i].group, "cgroup.procs", text);
	done(ENTER);
}

static pid_t start_first_process(void)
{
	struct clone_args args = {
		.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC |
			 (plan.is_v2 ? CLONE_INTO_CGROUP : 0),
		.exit_signal = SIGCHLD,
		.cgroup = plan.is_v2 ? (uint64_t)plan.hierarchies[0].group : 0,
	};
	pid_t pid;

	if (pipe2(plan.go, O_CLOEXEC) < 0)
		die("pipe");
	pid = sys_clone3(&args);
	if (pid < 0)
		die("clone3");
	if (pid == 0)
		first_process();
	done(CLONE);
	return pid;
}

static void finish(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	done(END);
	for (size_t i = 0; i < plan.n_hierarchies; i++) {
		close(plan.hierarchies[i].group);
		if (unlinkat(plan.hierarchies[i].root, plan.name, AT_REMOVEDIR) < 0)
			die("rmdir of a cgroup");
	}
	done(RMDIR);
	close(plan.go[0]);
	close(plan.go[1]);
	if (status != 0) {
		errno = ECANCELED;
		die("the first process");
	}
}

static void run_once(struct series series[STEPS])
{
	uint64_t start = now_ns(), last = start;
	pid_t pid;

	make_groups();
	make_tmpfs();
	pid = start_first_process();
	write_maps(pid);
	move_into_groups(pid);
	if (write(plan.go[1], "", 1) != 1)
		die("pipe");
	for (size_t i = 0; i < N_TMPFS; i++)
		close(plan.mounts[i]);
	finish(pid);
	plan.times[TOTAL] = plan.times[RMDIR];
	for (int i = 0; i < TOTAL; last = plan.times[i++])
		series_add(&series[i], plan.times[i] - last);
	series_add(&series[TOTAL], plan.times[TOTAL] - start);
}

int main(int argc, char **argv)
{
	static struct series series[STEPS];
	const char *mode = "warm", *gate = NULL, *tiny = NULL;
	int runs = 100, option;

	while ((option = getopt(argc, argv, "m:n:g:t:")) >= 0) {
		switch (option) {
		case 'm':
			mode = optarg;
			break;
		case 'n':
			runs = atoi(optarg);
			break;
		case 'g':
			gate = optarg;
			break;
		case 't':
			tiny = optarg;
			break;
		default:
			return 2;
		}
	}
	if (!gate || !tiny || runs < 1)
		return 2;
	prepare(gate, tiny);
	for (int i = 0; i < runs; i++) {
		if (strcmp(mode, "lone") == 0)
			lone_pause();
		run_once(series);
	}
	for (int i = 0; i < STEPS; i++) {
		char prefix[64];

		snprintf(prefix, sizeof(prefix), "floor mode=%s step=%s", mode, step_names[i]);
		series_print(&series[i], prefix);
	}
	return 0;
}
