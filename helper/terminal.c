/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/terminal.h"

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/fd.h"
#include "lib/proc.h"
#include "lib/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define TERMINALS_MAX 16
/* Thousands of processes, when there is no end to them, share a few terminals; the shells are the oldest. */
#define PROCESSES_MAX 4096
#define TEXT_SIZE 512
/* To write a line takes a moment. */
#define TELLER_MILLISECONDS 1000

/* Documentation/admin-guide/devices.txt of the kernel */
#define MAJOR_TTY 4
#define FIRST_SERIAL 64
#define MAJOR_PTS_FIRST 136
#define MAJOR_PTS_LAST 143

struct search {
	uid_t uid;
	dev_t seen[TERMINALS_MAX];
	size_t n_seen;
	struct stat found[TERMINALS_MAX]; /* to be told */
	size_t n_found;
	size_t n_processes;
};

/* Who writes: a process of its own, for a user can have open(2), write(2) and close(2) of his terminal wait in the kernel,
 * O_NONBLOCK or not. 0: none. There is never more than one. */
static pid_t teller;
static int64_t teller_since; /* clock_milliseconds() */

dev_t terminal_in_stat(const char *text)
{
	const char *rest = stat_behind_name(text);
	unsigned int number;
	int tty;

	if (!rest || sscanf(rest, "%*c %*d %*d %*d %d", &tty) != 1)
		return 0;
	number = (unsigned int)tty;
	return makedev(number >> 8 & 0xfff, (number & 0xff) | (number >> 12 & 0xfff00));
}

bool terminal_path(dev_t terminal, char path[TERMINAL_PATH_SIZE])
{
	unsigned int major_number = major(terminal), minor_number = minor(terminal);

	if (major_number >= MAJOR_PTS_FIRST && major_number <= MAJOR_PTS_LAST)
		snprintf(path, TERMINAL_PATH_SIZE, "/dev/pts/%u", (major_number - MAJOR_PTS_FIRST) * 256 + minor_number);
	else if (major_number == MAJOR_TTY && minor_number >= FIRST_SERIAL)
		snprintf(path, TERMINAL_PATH_SIZE, "/dev/ttyS%u", minor_number - FIRST_SERIAL);
	else if (major_number == MAJOR_TTY && minor_number > 0)
		snprintf(path, TERMINAL_PATH_SIZE, "/dev/tty%u", minor_number);
	else
		return false;
	return true;
}

static dev_t terminal_of(pid_t pid)
{
	char path[32], text[1024];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	return read_file_at(AT_FDCWD, path, text, sizeof(text)) < 0 ? 0 : terminal_in_stat(text);
}

/* Whether the process has this very terminal open, and not one that only has its number: each devpts has a number 0. */
static bool holds(pid_t pid, const struct stat *terminal)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		char path[32];
		struct stat st;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
		if (stat(path, &st) == 0 && st.st_dev == terminal->st_dev && st.st_ino == terminal->st_ino)
			return true;
	}
	return false;
}

/* Opens the file that st is of, if it is a terminal that a line can be written to. Returns an fd or -1. */
static int open_terminal(const char *path, const struct stat *st)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	struct stat opened;
	int discipline;

	if (fd < 0 || fstat(fd, &opened) < 0 || !S_ISCHR(opened.st_mode) || opened.st_dev != st->st_dev ||
		opened.st_ino != st->st_ino || opened.st_rdev != st->st_rdev || opened.st_uid != st->st_uid || !isatty(fd))
		return -1;
	/* Another one takes bytes for what they are not: packets of a network, say. */
	if (ioctl(fd, TIOCGETD, &discipline) < 0 || discipline != N_TTY)
		return -1;
	return take_fd(&fd);
}

/* True for the first time only, and never once there are too many. */
static bool is_new(struct search *search, dev_t terminal)
{
	for (size_t i = 0; i < search->n_seen; i++)
		if (search->seen[i] == terminal)
			return false;
	if (search->n_seen == TERMINALS_MAX)
		return false;
	search->seen[search->n_seen++] = terminal;
	return true;
}

static void tell_terminal_of(struct search *search, pid_t pid, bool is_leader)
{
	dev_t terminal = terminal_of(pid);
	char path[TERMINAL_PATH_SIZE];
	struct stat st;

	if (terminal == 0 || !is_new(search, terminal) || !terminal_path(terminal, path))
		return;
	/* Looked at before it is opened: to open and close the terminal of somebody else can be a hangup to him. */
	if (lstat(path, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != terminal ||
		(st.st_uid != search->uid && !(is_leader && holds(pid, &st))))
		return;
	search->found[search->n_found++] = st;
}

static void tell_terminal_of_process(pid_t pid, void *data)
{
	struct search *search = data;

	if (pid > 0 && search->n_processes++ < PROCESSES_MAX)
		tell_terminal_of(search, pid, false);
}

static size_t put_line(const char *line, char text[TEXT_SIZE])
{
	size_t n = 0;

	text[n++] = '\r';
	text[n++] = '\n';
	for (; *line && n < TEXT_SIZE - 2; line++)
		text[n++] = *line >= ' ' && *line <= '~' ? *line : '?';
	text[n++] = '\r';
	text[n++] = '\n';
	return n;
}

static void tell(const struct search *search, const char *line)
{
	char text[TEXT_SIZE], path[TERMINAL_PATH_SIZE];
	size_t length = put_line(line, text);

	for (size_t i = 0; i < search->n_found; i++) {
		AUTO_CLOSE int fd = -1;

		if (terminal_path(search->found[i].st_rdev, path))
			fd = open_terminal(path, &search->found[i]);
		/* Once, and come what may. */
		if (fd < 0 || write(fd, text, length) < 0)
			continue;
	}
}

/* One that has not come back is ended, if the kernel lets it; until then there is no other. */
static bool teller_is_busy(void)
{
	siginfo_t info = { .si_pid = 0 };

	if (teller == 0)
		return false;
	if (waitid(P_PID, (id_t)teller, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0) {
		if (clock_milliseconds() - teller_since >= TELLER_MILLISECONDS)
			kill(teller, SIGKILL);
		return true;
	}
	teller = 0;
	return false;
}

int terminals_tell(const struct cgroup *cgroup, uid_t uid, const pid_t *leaders, size_t n_leaders, const char *line)
{
	struct search search = { .uid = uid };
	pid_t pid;

	if (teller_is_busy())
		return -EBUSY;
	for (size_t i = 0; i < n_leaders; i++)
		tell_terminal_of(&search, leaders[i], true);
	cgroup_each_process(cgroup, tell_terminal_of_process, &search);
	if (search.n_found == 0)
		return 0;
	if (!cgroup_lets_us_fork(cgroup, 1))
		return -EAGAIN;
	pid = fork();
	if (pid == 0) {
		/* None of the supervisor's locks and sockets outlives it in here. */
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		sys_close_range(STDERR_FILENO + 1, ~0U, 0);
		tell(&search, line);
		_exit(0);
	}
	if (pid < 0)
		return -EAGAIN;
	teller = pid;
	teller_since = clock_milliseconds();
	return 0;
}
