/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/pidns_signal.h"

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/proc.h"
#include "lib/syscalls.h"
#include "lib/vfork.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The one that is among them, and the one that sends it there. */
#define HERALDS 2
/* A fork bomb of 64 tasks on one slow CPU stands still after a dozen. */
#define STOP_PASSES 100

static int stat_pidns(const char *process, struct stat *ret_st)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/ns/pid", process);
	return stat(path, ret_st) < 0 ? -errno : 0;
}

/* namespaces(7) */
static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool is_in(const char *process, const struct stat *pidns)
{
	struct stat st;

	return stat_pidns(process, &st) >= 0 && is_same(&st, pidns);
}

/* ---- by a process among them ---- */

struct herald {
	int signal;
	int init_pidfd;
	const struct stat *pidns;
	bool has_shouted;
};

/* A mistake here would end every process of the machine: so it looks where it is before it shouts. */
static int shout(void *data)
{
	struct herald *herald = data;

	if (!is_in("self", herald->pidns))
		return 1;
	kill(-1, herald->signal);
	/* The stopped would not hear it. */
	kill(-1, SIGCONT);
	herald->has_shouted = true;
	return 0;
}

/* Its children are in the namespace. */
static int send_herald(void *data)
{
	const struct herald *herald = data;
	pid_t pid;

	if (setns(herald->init_pidfd, CLONE_NEWPID) < 0)
		return 1;
	pid = vfork_call(shout, data, 0);
	if (pid > 0)
		vfork_reap(pid);
	return pid < 0;
}

static bool signal_at_once(const struct stat *pidns, int init_pidfd, int signal)
{
	struct herald herald = { .signal = signal, .init_pidfd = init_pidfd, .pidns = pidns };
	pid_t pid = vfork_call(send_herald, &herald, 0);

	if (pid > 0)
		vfork_reap(pid);
	return herald.has_shouted;
}

/* ---- one by one ---- */

struct call {
	pid_t init;
	const struct stat *pidns;
	int signal;
	size_t n_running; /* that SIGSTOP was sent to, and have not stopped yet */
};

/* The pidfd first: while that process lives its pid is no other's. Returns it, or -1 for one that is not to be told. */
static int open_inhabitant(const struct call *call, pid_t pid)
{
	AUTO_CLOSE int pidfd = pid > 0 && pid != call->init ? sys_pidfd_open(pid) : -1;
	char process[16];

	snprintf(process, sizeof(process), "%d", pid);
	return pidfd >= 0 && is_in(process, call->pidns) ? take_fd(&pidfd) : -1;
}

/* 0: it has gone. */
static char state_of(pid_t pid)
{
	char path[32], text[1024];
	const char *rest;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	rest = read_file_at(AT_FDCWD, path, text, sizeof(text)) < 0 ? NULL : stat_behind_name(text);
	return rest ? rest[0] : 0;
}

static void stop(pid_t pid, void *data)
{
	struct call *call = data;
	AUTO_CLOSE int pidfd = open_inhabitant(call, pid);
	char state = pidfd < 0 ? 0 : state_of(pid);

	if (!state || strchr("TtZX", state) || sys_pidfd_send_signal(pidfd, SIGSTOP) < 0)
		return;
	/* Uninterruptible, it stops when it wakes, before it can fork. */
	call->n_running += state != 'D';
}

static void signal_and_continue(pid_t pid, void *data)
{
	const struct call *call = data;
	AUTO_CLOSE int pidfd = open_inhabitant(call, pid);

	if (pidfd < 0)
		return;
	sys_pidfd_send_signal(pidfd, call->signal);
	sys_pidfd_send_signal(pidfd, SIGCONT);
}

/* Who forks meanwhile would have children that are not told, and those again: so all are stopped first. The group is full, and
 * who is stopped keeps his place in it: each pass leaves less room for others. */
static void signal_each(const struct cgroup *cgroup, struct call *call)
{
	for (int passes = 0; passes < STOP_PASSES; passes++) {
		call->n_running = 0;
		if (cgroup_each_process(cgroup, stop, call) < 0 || call->n_running == 0)
			break;
		poll(NULL, 0, 1);
	}
	cgroup_each_process(cgroup, signal_and_continue, call);
}

void pidns_signal(const struct cgroup *cgroup, pid_t init, int init_pidfd, int signal)
{
	struct stat own, pidns;
	char process[16];

	snprintf(process, sizeof(process), "%d", init);
	if (stat_pidns(process, &pidns) < 0 || stat_pidns("self", &own) < 0 || is_same(&pidns, &own))
		return;
	if (!cgroup_lets_us_fork(cgroup, HERALDS) || !signal_at_once(&pidns, init_pidfd, signal)) {
		struct call call = { .init = init, .pidns = &pidns, .signal = signal };

		signal_each(cgroup, &call);
	}
}
