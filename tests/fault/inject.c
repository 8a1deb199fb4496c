/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a program, sees each system call of it and of all that it forks, writes them down, and lets one of them fail.
 *
 *   inject ORDERS PROGRAM [ARGUMENT ...]
 *
 * or, installed as DIRECTORY/NAME in the place of a program that gets no argument (the helper), which is DIRECTORY/real/NAME
 * then; the orders are in DIRECTORY/NAME.orders. They are for one run, which removes them: without, that program is executed and
 * no more. Lines of the orders:
 *
 *   record PATH     a line for each call: phase, process, number, its name, system call, errno, first argument, an object
 *   marks 1         see MARK below; else all is counted
 *   process N       the call that fails: which process, in the order in which they show up; which system call; of which object,
 *   call NAME       its numbers aside; the how many-th of these there. All are counted from 0. So neither what others do at
 *   object TEXT     the same time matters, nor how often something else had to be tried.
 *   number N
 *   onwards 1       and all later ones of this name, of all processes
 *   errno N         0: it is not made, for its process is killed
 *
 * How it gets between: a seccomp filter that asks a listener (SECCOMP_RET_USER_NOTIF, seccomp_unotify(2)), which forks and execs
 * inherit. Nothing is traced: no ptrace, no signal, no other parent; setuid programs stay what they are. The program is executed
 * by the process that was started; the listener is an orphan, which ends with the last process that has the filter. Where the
 * listener is killed all calls fail with ENOSYS.
 */
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/syscalls.h"
#include "tests/fault/mark.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* The listener's fd is sent over a socket of this number, by a call that the filter lets pass. */
#define HANDOVER_FD 100
#define PROCESSES_MAX 64
#define KINDS_MAX 2048
#define OBJECT_MAX 128
/* How much of what is written; not more, because where a longer text would be cut off differs by the numbers in it. */
#define TEXT_MAX 32

extern char **environ;

/*
 * What is not shown, and cannot be made to fail: calls that have no error, those that fail for a wrong argument only, those by
 * which a process ends, and futex(2), where libc takes an error that it does not know for the end of the world. All the others
 * are shown.
 */
static const int left_out[] = { SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall),
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
	SCMP_SYS(getegid), SCMP_SYS(getresuid), SCMP_SYS(getresgid), SCMP_SYS(getpgrp), SCMP_SYS(umask), SCMP_SYS(uname),
	SCMP_SYS(sysinfo), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction), SCMP_SYS(futex), SCMP_SYS(set_tid_address),
	SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_yield), SCMP_SYS(time), SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday) };

/* The argument that names the object. */
static const struct {
	int call;
	int argument;
} named[] = {
	{ SCMP_SYS(open), 0 },
	{ SCMP_SYS(openat), 1 },
	{ SCMP_SYS(openat2), 1 },
	{ SCMP_SYS(open_tree), 1 },
	{ SCMP_SYS(stat), 0 },
	{ SCMP_SYS(lstat), 0 },
	{ SCMP_SYS(newfstatat), 1 },
	{ SCMP_SYS(statfs), 0 },
	{ SCMP_SYS(access), 0 },
	{ SCMP_SYS(faccessat), 1 },
	{ SCMP_SYS(faccessat2), 1 },
	{ SCMP_SYS(mkdir), 0 },
	{ SCMP_SYS(mkdirat), 1 },
	{ SCMP_SYS(unlinkat), 1 },
	{ SCMP_SYS(readlink), 0 },
	{ SCMP_SYS(renameat), 1 },
	{ SCMP_SYS(fchownat), 1 },
	{ SCMP_SYS(chdir), 0 },
	{ SCMP_SYS(fsopen), 0 },
	{ SCMP_SYS(fsconfig), 2 },
	{ SCMP_SYS(execve), 0 },
	{ SCMP_SYS(execveat), 1 },
	{ SCMP_SYS(sethostname), 0 },
	{ SCMP_SYS(write), 1 },
};

/* Those whose first argument is an fd of a file. */
static const int of_fd[] = { SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(fstat), SCMP_SYS(fstatfs), SCMP_SYS(lseek),
	SCMP_SYS(getdents64), SCMP_SYS(ftruncate), SCMP_SYS(flock), SCMP_SYS(fchdir), SCMP_SYS(close) };

struct orders {
	char record[PATH_MAX], object[OBJECT_MAX];
	int marks, process, call, number, onwards, errnum;
};

/* Calls that are alike: how many there were. */
struct kind {
	int call, n;
	char object[OBJECT_MAX];
};

struct process {
	pid_t pid;
	char name[16];
	struct kind *kinds;
	int n_kinds;
};

struct listener {
	struct orders orders;
	FILE *record;
	int fd;
	int phase;     /* of the last mark */
	bool executed; /* the call that executes the program itself is none of its own */
	bool failing;  /* all that are meant, from now on */
	char name[16]; /* with marks: of the program; what executes another is not looked at any more */
	struct process processes[PROCESSES_MAX];
	int n_processes;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
	_exit(99);
}

/* ---- what is wanted ---- */

/* False: there are none. */
static bool read_orders(const char *path, struct orders *orders)
{
	AUTO_FCLOSE FILE *file = fopen(path, "re");
	char key[32], value[PATH_MAX];

	*orders = (struct orders){ .process = -1, .call = -1 };
	if (!file)
		return false;
	unlink(path);
	while (fscanf(file, "%31s %4095s", key, value) == 2) {
		if (strcmp(key, "record") == 0)
			snprintf(orders->record, sizeof(orders->record), "%s", value);
		else if (strcmp(key, "marks") == 0)
			orders->marks = atoi(value);
		else if (strcmp(key, "process") == 0)
			orders->process = atoi(value);
		else if (strcmp(key, "call") == 0)
			orders->call = seccomp_syscall_resolve_name(value);
		else if (strcmp(key, "object") == 0)
			snprintf(orders->object, sizeof(orders->object), "%.*s", OBJECT_MAX - 1, value);
		else if (strcmp(key, "number") == 0)
			orders->number = atoi(value);
		else if (strcmp(key, "onwards") == 0)
			orders->onwards = atoi(value);
		else if (strcmp(key, "errno") == 0)
			orders->errnum = atoi(value);
	}
	return true;
}

/* ---- the listener ---- */

/* Up to the page's end, beyond which there may be nothing. Returns how much there was. */
static size_t read_page(pid_t pid, uint64_t address, char *text, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), rest = page - address % page;
	struct iovec to = { .iov_base = text, .iov_len = rest < size ? rest : size };
	struct iovec from = { .iov_base = (void *)(uintptr_t)address, .iov_len = to.iov_len };
	ssize_t n = process_vm_readv(pid, &to, 1, &from, 1, 0);

	return n > 0 ? (size_t)n : 0;
}

/* What is not there to be read is empty. */
static void read_memory(pid_t pid, uint64_t address, char *text, size_t size)
{
	size_t n = read_page(pid, address, text, size - 1);

	if (n > 0 && n < size - 1 && !memchr(text, '\0', n))
		n += read_page(pid, address + n, text + n, size - 1 - n);
	text[n] = '\0';
}

static void read_fd_link(const struct seccomp_notif *call, char object[OBJECT_MAX])
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)call->pid, (int)call->data.args[0]);
	n = readlink(path, object, OBJECT_MAX - 1);
	object[n < 0 ? 0 : n] = '\0';
}

static void read_object(const struct seccomp_notif *call, char object[OBJECT_MAX])
{
	object[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(of_fd); i++)
		if (call->data.nr == of_fd[i])
			read_fd_link(call, object);
	for (size_t i = 0; i < ARRAY_SIZE(named); i++)
		if (call->data.nr == named[i].call)
			read_memory((pid_t)call->pid, call->data.args[named[i].argument], object, OBJECT_MAX);
	if (call->data.nr == SCMP_SYS(write))
		object[call->data.args[2] < TEXT_MAX ? call->data.args[2] : TEXT_MAX] = '\0';
	for (char *c = object; *c; c++)
		if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
			*c = '_';
}

/* What differs from run to run: each word of hexadecimal digits and hyphens that has a digit is a single 0. */
static void plain_object(const char *object, char plain[OBJECT_MAX])
{
	while (*object) {
		size_t length = strspn(object, "0123456789abcdef-");
		bool has_digit = strcspn(object, "0123456789") < length;

		if (length == 0)
			*plain++ = *object++;
		else if (has_digit)
			*plain++ = '0';
		else {
			memcpy(plain, object, length);
			plain += length;
		}
		object += length;
	}
	*plain = '\0';
}

static void read_name(pid_t pid, char name[16])
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	if (read_file_at(AT_FDCWD, path, name, 16) < 0)
		name[0] = '\0';
}

/* NULL: not to be counted. */
static struct process *find_process(struct listener *listener, pid_t pid)
{
	struct process *process;
	char name[16];

	read_name(pid, name);
	if (listener->orders.marks && strcmp(name, listener->name) != 0)
		return NULL;
	for (int i = 0; i < listener->n_processes; i++)
		if (listener->processes[i].pid == pid) {
			memcpy(listener->processes[i].name, name, sizeof(name));
			return &listener->processes[i];
		}
	if (listener->n_processes == PROCESSES_MAX)
		return NULL;
	process = &listener->processes[listener->n_processes++];
	*process = (struct process){ .pid = pid, .kinds = calloc(KINDS_MAX, sizeof(*process->kinds)) };
	memcpy(process->name, name, sizeof(name));
	return process->kinds ? process : NULL;
}

/* NULL: there are too many. */
static struct kind *find_kind(struct process *process, int call, const char *object)
{
	char plain[OBJECT_MAX];
	struct kind *kind;

	plain_object(object[0] ? object : "-", plain);
	for (int i = 0; i < process->n_kinds; i++)
		if (process->kinds[i].call == call && strcmp(process->kinds[i].object, plain) == 0)
			return &process->kinds[i];
	if (process->n_kinds == KINDS_MAX)
		return NULL;
	kind = &process->kinds[process->n_kinds++];
	kind->call = call;
	memcpy(kind->object, plain, sizeof(plain));
	return kind;
}

static void write_down(const struct listener *listener, const struct process *process, const struct kind *kind,
	const struct seccomp_notif *call, const char *object, bool fails)
{
	char *name;

	if (!listener->record)
		return;
	name = seccomp_syscall_resolve_num_arch(call->data.arch, call->data.nr);
	fprintf(listener->record, "%d %d %d %s %s %d %llu %s %s\n", listener->phase, (int)(process - listener->processes),
		kind->n, process->name[0] ? process->name : "-", name ? name : "?", fails, (unsigned long long)call->data.args[0],
		kind->object, object);
	free(name);
}

static bool is_meant(const struct listener *listener, const struct process *process, const struct kind *kind)
{
	const struct orders *orders = &listener->orders;

	if (kind->call != orders->call)
		return false;
	return listener->failing || (process - listener->processes == orders->process && kind->n == orders->number &&
					    strcmp(kind->object, orders->object) == 0);
}

/* A call of a process that counts: whether it is to fail. */
static bool judge_counted(struct listener *listener, struct process *process, const struct seccomp_notif *call)
{
	char object[OBJECT_MAX];
	struct kind *kind;
	bool fails;

	read_object(call, object);
	kind = find_kind(process, call->data.nr, object);
	if (!kind)
		return false;
	fails = is_meant(listener, process, kind);
	if (fails)
		listener->failing = listener->orders.onwards;
	write_down(listener, process, kind, call, object, fails);
	kind->n++;
	return fails;
}

/* What call is to get: 0, its own way, or an errno. */
static int judge(struct listener *listener, const struct seccomp_notif *call)
{
	struct process *process;

	if (!listener->executed) {
		listener->executed = call->data.nr == SCMP_SYS(execve);
		return 0;
	}
	if (call->data.nr == SCMP_SYS(prctl) && call->data.args[0] == MARK) {
		listener->phase = (int)call->data.args[1];
		read_name((pid_t)call->pid, listener->name);
		return EINVAL;
	}
	if (listener->orders.marks && listener->phase == 0)
		return 0;
	process = find_process(listener, (pid_t)call->pid);
	if (!process || !judge_counted(listener, process, call))
		return 0;
	if (listener->orders.errnum == 0) {
		kill((pid_t)call->pid, SIGKILL);
		return EINTR;
	}
	return listener->orders.errnum;
}

static void answer(struct listener *listener, const struct seccomp_notif *call, struct seccomp_notif_resp *response)
{
	int errnum = judge(listener, call);

	*response = (struct seccomp_notif_resp){
		.id = call->id,
		.error = -errnum,
		.flags = errnum ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE,
	};
	/* ENOENT: it was killed meanwhile. */
	seccomp_notify_respond(listener->fd, response);
}

/* Until no process has the filter any more. */
static void listen_to_all(struct listener *listener)
{
	struct pollfd calls = { .fd = listener->fd, .events = POLLIN };
	struct seccomp_notif *call;
	struct seccomp_notif_resp *response;

	if (seccomp_notify_alloc(&call, &response) < 0)
		return;
	while (poll(&calls, 1, -1) >= 0 || errno == EINTR) {
		if (calls.revents & POLLIN) {
			/* The kernel takes no used one. */
			memset(call, 0, sizeof(*call));
			if (seccomp_notify_receive(listener->fd, call) == 0)
				answer(listener, call, response);
			else if (errno != EINTR && errno != ENOENT)
				break;
		} else if (calls.revents)
			break;
	}
}

/* In a process that has nothing of the program's: no fd, no terminal, no signal. */
static _Noreturn void be_listener(struct listener *listener, int socket)
{
	int fds[MESSAGE_FDS_MAX];
	size_t n_fds = 0;
	sigset_t all;
	char byte;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setsid();
	if (dup2(socket, STDIN_FILENO) < 0 || close_from(STDIN_FILENO + 1) < 0)
		_exit(1);
	if (listener->orders.record[0]) {
		listener->record = fopen(listener->orders.record, "we");
		if (!listener->record)
			_exit(1);
		/* What was the last call of a run that hangs? */
		setvbuf(listener->record, NULL, _IOLBF, 0);
	}
	if (receive_message(STDIN_FILENO, &byte, sizeof(byte), fds, &n_fds) != sizeof(byte) || n_fds != 1)
		_exit(1);
	listener->fd = fds[0];
	close(STDIN_FILENO);
	listen_to_all(listener);
	_exit(0);
}

/* Forked twice: the program's process must not find a child that it knows nothing of. */
static void start_listener(struct listener *listener, int socket)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		if (fork() == 0)
			be_listener(listener, socket);
		_exit(0);
	}
	if (waitpid(pid, NULL, 0) != pid)
		die("waitpid");
}

/* ---- the program's process ---- */

static scmp_filter_ctx make_filter(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_NOTIFY);
	int r = filter ? seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0) : -ENOMEM;

	for (size_t i = 0; i < ARRAY_SIZE(left_out) && r >= 0; i++)
		/* Those that this architecture has not are negative. */
		if (left_out[i] >= 0)
			r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, left_out[i], 0);
	if (r >= 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sendmsg), 1, SCMP_A0(SCMP_CMP_EQ, HANDOVER_FD));
	if (r < 0) {
		errno = -r;
		die("seccomp");
	}
	return filter;
}

static void submit(struct listener *listener)
{
	/* Before the listener is forked: libseccomp finds out here what the kernel can. */
	scmp_filter_ctx filter = make_filter();
	int pair[2], fd;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 || dup3(pair[0], HANDOVER_FD, O_CLOEXEC) < 0)
		die("socketpair");
	start_listener(listener, pair[1]);
	close(pair[0]);
	close(pair[1]);
	/* From here on each call waits for the listener, but the one that sends it its fd. */
	if (seccomp_load(filter) < 0)
		_exit(99);
	fd = seccomp_notify_fd(filter);
	if (send_message(HANDOVER_FD, "", 1, &fd, 1) < 0)
		_exit(99);
}

/* Whose place this is. */
static void find_real(char *real, char *orders)
{
	char path[PATH_MAX], *name;
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (length < 0)
		die("/proc/self/exe");
	path[length] = '\0';
	name = strrchr(path, '/') + 1;
	snprintf(orders, PATH_MAX + 8, "%s.orders", path);
	snprintf(real, PATH_MAX + 8, "%.*sreal/%s", (int)(name - path), path, name);
}

int main(int argc, char **argv)
{
	static struct listener listener;
	char real[PATH_MAX + 8], orders[PATH_MAX + 8];

	if (argc == 2)
		return 2;
	if (argc == 1)
		find_real(real, orders);
	if (read_orders(argc == 1 ? orders : argv[1], &listener.orders))
		submit(&listener);
	if (argc == 1)
		execve(real, argv, environ);
	else
		execve(argv[2], argv + 2, environ);
	_exit(99);
}
