/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * isolate-init: PID 1 of a sandbox. It waits for the children that fall to it, and says when it is asked whether any process is
 * left. When its parent, the supervisor, ends, it ends, and the kernel kills every process of the PID namespace with it
 * (pid_namespaces(7)).
 *
 * It starts with no capability, ids of its own, and one fd, INIT_SOCKET_FD.
 */

#include "helper/isolate-init.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A handler, for SIGCHLD to interrupt ppoll(2). */
static void wake_up(int signal)
{
	(void)signal;
}

/* PID 1 gets no signal from inside its namespace that it has no handler for. All are blocked, for what root might send from
 * outside, and SIGCHLD outside of ppoll(2): only SIGKILL ends it. */
static int set_signals(sigset_t *ret_waiting)
{
	struct sigaction action = { .sa_handler = wake_up };
	sigset_t all;

	sigfillset(&all);
	*ret_waiting = all;
	sigdelset(ret_waiting, SIGCHLD);
	return sigprocmask(SIG_SETMASK, &all, NULL) < 0 || sigaction(SIGCHLD, &action, NULL) < 0 ? -errno : 0;
}

static int set_up(sigset_t *ret_waiting)
{
	char ready = INIT_READY;

	if (set_signals(ret_waiting) < 0)
		return -errno;
	if (prctl(PR_SET_NAME, "isolate-init", 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	/* After the last change of credentials, which would undo it (fs.suid_dumpable); nobody else is in the namespace yet. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return -EPERM;
	/* A supervisor that ended before PR_SET_PDEATHSIG reads no more: EPIPE. */
	return write(INIT_SOCKET_FD, &ready, sizeof(ready)) == sizeof(ready) ? 0 : -EPIPE;
}

/* Waits for those that have ended. Returns whether there are children still. */
static bool reap(void)
{
	for (;;) {
		siginfo_t info = { .si_pid = 0 };

		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | __WALL) < 0)
			return errno != ECHILD;
		if (info.si_pid == 0)
			return true;
	}
}

/* kill(2) to all that there are: it counts those, too, that it may not send a signal to. */
static bool is_alone(void)
{
	return kill(-1, 0) < 0 && errno == ESRCH;
}

int main(void)
{
	/* Processes whose parent is not in this namespace end unseen: sshd's, when sshd itself was killed. */
	const struct timespec second = { .tv_sec = 1 };
	struct pollfd supervisor = { .fd = INIT_SOCKET_FD, .events = POLLIN };
	sigset_t waiting;
	bool asked = false;
	char question;

	if (set_up(&waiting) < 0)
		return 1;
	for (;;) {
		bool children = reap();

		if (asked && is_alone()) {
			asked = false;
			send(INIT_SOCKET_FD, &question, sizeof(question), MSG_NOSIGNAL | MSG_DONTWAIT);
		}
		if (ppoll(&supervisor, 1, asked && !children ? &second : NULL, &waiting) > 0) {
			if (recv(INIT_SOCKET_FD, &question, sizeof(question), MSG_DONTWAIT) <= 0)
				return 1;
			asked = true;
		}
	}
}
