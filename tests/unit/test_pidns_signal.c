/* SPDX-License-Identifier: BSD-3-Clause */
/* A signal for all of a sandbox: the processes, and the kernel's part, are made up here. */
#include "helper/pidns_signal.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/syscalls.h"
#include "lib/vfork.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define HOST 1
#define SANDBOX 2
#define INIT 100
#define STRANGER 101
#define FIRST 200
#define INIT_PIDFD 42

static struct process {
	pid_t pid;
	ino_t pidns;
	char state;
	int told[128]; /* signals, in their order */
	size_t n_told;
} processes[64];

static size_t n_processes;
static pid_t pid_of_fd[1024];
static ino_t own_pidns, children_pidns;
static struct cgroup cgroup;
static bool full;        /* no process can be made */
static bool setns_works; /* as it should */
static bool never_stops;
static int forks;      /* still to come, one while each list of processes is gone through */
static int shouted[4]; /* to pid -1 */
static size_t n_shouted, n_lists, n_tried;
static char order[1024]; /* of all signals: S stop, t the signal, c continue */

static void add(pid_t pid, ino_t pidns, char state)
{
	processes[n_processes++] = (struct process){ .pid = pid, .pidns = pidns, .state = state };
}

static struct process *find(pid_t pid)
{
	for (size_t i = 0; i < n_processes; i++)
		if (processes[i].pid == pid)
			return &processes[i];
	return NULL;
}

static struct process *process_of(pid_t pid)
{
	struct process *process = find(pid);

	assert_non_null(process);
	return process ? process : processes;
}

static int set_up(void **state)
{
	(void)state;
	n_processes = n_shouted = n_lists = n_tried = 0;
	own_pidns = children_pidns = HOST;
	cgroup.owner = CGROUP_OURS;
	full = setns_works = true;
	never_stops = false;
	forks = 0;
	order[0] = '\0';
	add(INIT, SANDBOX, 'S');
	add(STRANGER, HOST, 'S');
	add(FIRST, SANDBOX, 'R');
	add(FIRST + 1, SANDBOX, 'T');
	add(FIRST + 2, SANDBOX, 'S');
	return 0;
}

/* ---- the kernel's part ---- */

int __wrap_stat(const char *path, struct stat *st);
int __wrap_setns(int fd, int type);
int __wrap_kill(pid_t pid, int signal);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout);
int __wrap_sys_pidfd_open(pid_t pid);
int __wrap_sys_pidfd_send_signal(int pidfd, int signal);
pid_t __wrap_vfork_call(int (*function)(void *data), void *data, int flags);
void __wrap_vfork_reap(pid_t pid);
ssize_t __wrap_read_file_at(int dirfd, const char *path, char *buffer, size_t size);
int __wrap_cgroup_each_process(const struct cgroup *of, void (*function)(pid_t pid, void *data), void *data);
bool __wrap_cgroup_has_room(const struct cgroup *of, unsigned int n);

int __wrap_stat(const char *path, struct stat *st)
{
	int pid = 0;
	const struct process *process = sscanf(path, "/proc/%d/ns/pid", &pid) == 1 ? find(pid) : NULL;

	if (!process && strcmp(path, "/proc/self/ns/pid") != 0) {
		errno = ENOENT;
		return -1;
	}
	*st = (struct stat){ .st_dev = 4, .st_ino = process ? process->pidns : own_pidns };
	return 0;
}

int __wrap_setns(int fd, int type)
{
	assert_int_equal(fd, INIT_PIDFD);
	assert_int_equal(type, CLONE_NEWPID);
	children_pidns = setns_works ? SANDBOX : HOST;
	return 0;
}

int __wrap_kill(pid_t pid, int signal)
{
	assert_int_equal(pid, -1);
	assert_int_equal(own_pidns, SANDBOX);
	assert_true(n_shouted < ARRAY_SIZE(shouted));
	shouted[n_shouted++] = signal;
	return 0;
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	(void)fds, (void)n;
	assert_in_range(timeout, 0, 10);
	return 0;
}

int __wrap_sys_pidfd_open(pid_t pid)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_in_range(fd, 0, ARRAY_SIZE(pid_of_fd) - 1);
	pid_of_fd[fd] = pid;
	return fd;
}

int __wrap_sys_pidfd_send_signal(int pidfd, int signal)
{
	struct process *process = process_of(pid_of_fd[pidfd]);

	assert_true(process->n_told < ARRAY_SIZE(process->told));
	process->told[process->n_told++] = signal;
	if (signal == SIGSTOP && process->state != 'D' && !never_stops)
		process->state = 'T';
	assert_true(strlen(order) < sizeof(order) - 1);
	strcat(order, signal == SIGSTOP ? "S" : signal == SIGCONT ? "c" : "t");
	return 0;
}

/* A process has its parent's namespaces, but for that of PIDs, which is what the parent has for its children. */
pid_t __wrap_vfork_call(int (*function)(void *data), void *data, int flags)
{
	ino_t own = own_pidns, children = children_pidns;

	assert_int_equal(flags, 0);
	n_tried++;
	if (full)
		return -EAGAIN;
	own_pidns = children_pidns;
	function(data);
	own_pidns = own;
	children_pidns = children;
	return 1;
}

void __wrap_vfork_reap(pid_t pid)
{
	assert_int_equal(pid, 1);
}

/* With the worst of names. */
ssize_t __wrap_read_file_at(int dirfd, const char *path, char *buffer, size_t size)
{
	int pid = 0;
	const struct process *process = sscanf(path, "/proc/%d/stat", &pid) == 1 ? find(pid) : NULL;

	(void)dirfd;
	return process ? snprintf(buffer, size, "%d (a) T 1) %c 1 1 1 0", pid, process->state) : -ENOENT;
}

bool __wrap_cgroup_has_room(const struct cgroup *of, unsigned int n)
{
	assert_ptr_equal(of, &cgroup);
	assert_int_equal(n, 2);
	return !full;
}

int __wrap_cgroup_each_process(const struct cgroup *of, void (*function)(pid_t pid, void *data), void *data)
{
	size_t n = n_processes;

	assert_ptr_equal(of, &cgroup);
	n_lists++;
	for (size_t i = 0; i < n; i++)
		function(processes[i].pid, data);
	if (forks > 0)
		add(FIRST + 100 + forks--, SANDBOX, 'R');
	function(0, data);
	return (int)n;
}

/* ---- what holds ---- */

static void send_to_all(int signal)
{
	pidns_signal(&cgroup, INIT, INIT_PIDFD, signal);
}

static void assert_told(pid_t pid, const int *signals, size_t n)
{
	const struct process *process = process_of(pid);

	assert_int_equal(process->n_told, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(process->told[i], signals[i]);
}

static void all_are_told_at_once_by_one_of_them(void **state)
{
	(void)state;
	full = false;
	send_to_all(SIGTERM);
	assert_int_equal(n_shouted, 2);
	assert_int_equal(shouted[0], SIGTERM);
	assert_int_equal(shouted[1], SIGCONT);
	assert_int_equal(n_lists, 0);
}

static void nobody_shouts_who_is_not_among_them(void **state)
{
	(void)state;
	full = setns_works = false;
	send_to_all(SIGTERM);
	assert_int_equal(n_shouted, 0);
}

static void nobody_is_told_without_a_namespace_of_theirs(void **state)
{
	(void)state;
	full = false;
	process_of(INIT)->pidns = HOST;
	send_to_all(SIGKILL);
	full = true;
	send_to_all(SIGKILL);
	assert_int_equal(n_shouted, 0);
	assert_string_equal(order, "");
}

static void nobody_is_told_when_pid_1_has_gone(void **state)
{
	(void)state;
	process_of(INIT)->pid = 1;
	send_to_all(SIGTERM);
	assert_string_equal(order, "");
}

static void each_is_told_where_no_process_can_be_made(void **state)
{
	static const int running[] = { SIGSTOP, SIGHUP, SIGCONT }, stopped[] = { SIGHUP, SIGCONT };

	(void)state;
	send_to_all(SIGHUP);
	assert_told(INIT, NULL, 0);
	assert_told(STRANGER, NULL, 0);
	assert_told(FIRST, running, ARRAY_SIZE(running));
	assert_told(FIRST + 1, stopped, ARRAY_SIZE(stopped));
	assert_told(FIRST + 2, running, ARRAY_SIZE(running));
	assert_string_equal(order, "SStctctc");
}

/* A fork that is refused would be counted as the user's. */
static void none_is_tried_to_be_made_in_a_full_group_of_our_own(void **state)
{
	(void)state;
	send_to_all(SIGTERM);
	assert_int_equal(n_tried, 1);
	cgroup.owner = CGROUP_SYSTEMDS;
	send_to_all(SIGTERM);
	assert_int_equal(n_tried, 1);
	assert_int_equal(process_of(FIRST)->n_told, 5);
	full = false;
	send_to_all(SIGTERM);
	assert_int_equal(n_shouted, 2);
}

static void who_has_ended_is_not_stopped(void **state)
{
	static const int signals[] = { SIGTERM, SIGCONT };

	(void)state;
	process_of(FIRST)->state = 'Z';
	send_to_all(SIGTERM);
	assert_told(FIRST, signals, ARRAY_SIZE(signals));
}

/* A child of one that was about to fork is in the next list. */
static void children_of_the_last_moment_are_told_too(void **state)
{
	static const int signals[] = { SIGSTOP, SIGTERM, SIGCONT };

	(void)state;
	forks = 3;
	send_to_all(SIGTERM);
	for (int i = 1; i <= 3; i++)
		assert_told(FIRST + 100 + i, signals, ARRAY_SIZE(signals));
	assert_string_equal(order, "SSSSStctctctctctc");
}

/* On a file system that does not answer. */
static void who_cannot_be_stopped_is_not_waited_for(void **state)
{
	static const int signals[] = { SIGSTOP, SIGSTOP, SIGTERM, SIGCONT };

	(void)state;
	process_of(FIRST)->state = 'D';
	send_to_all(SIGTERM);
	assert_told(FIRST, signals, ARRAY_SIZE(signals));
}

static void who_never_stops_is_not_waited_for_long(void **state)
{
	(void)state;
	never_stops = true;
	send_to_all(SIGTERM);
	assert_in_range(n_lists, 10, 110);
	assert_int_equal(process_of(FIRST)->told[n_lists - 1], SIGTERM);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(all_are_told_at_once_by_one_of_them, set_up),
		cmocka_unit_test_setup(nobody_shouts_who_is_not_among_them, set_up),
		cmocka_unit_test_setup(nobody_is_told_without_a_namespace_of_theirs, set_up),
		cmocka_unit_test_setup(nobody_is_told_when_pid_1_has_gone, set_up),
		cmocka_unit_test_setup(each_is_told_where_no_process_can_be_made, set_up),
		cmocka_unit_test_setup(none_is_tried_to_be_made_in_a_full_group_of_our_own, set_up),
		cmocka_unit_test_setup(who_has_ended_is_not_stopped, set_up),
		cmocka_unit_test_setup(children_of_the_last_moment_are_told_too, set_up),
		cmocka_unit_test_setup(who_cannot_be_stopped_is_not_waited_for, set_up),
		cmocka_unit_test_setup(who_never_stops_is_not_waited_for_long, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
