/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * isolate-init: PID 1 of a sandbox. It waits for the children that fall to it, and does nothing else. When its parent, the
 * supervisor, ends, it ends, and the kernel kills every process of the PID namespace with it (pid_namespaces(7)).
 *
 * It starts with no capability, ids of its own, and one fd, INIT_REPORT_FD, on which it says that it is ready.
 */

#include "helper/isolate-init.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	sigset_t all;
	char ready = INIT_READY;

	/* PID 1 gets no signal from inside its namespace that it has no handler for. It has none, and blocks what root might
	 * send from outside: only SIGKILL ends it. */
	sigfillset(&all);
	if (sigprocmask(SIG_BLOCK, &all, NULL) < 0 || signal(SIGCHLD, SIG_DFL) == SIG_ERR)
		return 1;
	if (prctl(PR_SET_NAME, "isolate-init", 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return 1;
	/* After the last change of credentials, which would undo it (fs.suid_dumpable); nobody else is in the namespace yet. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 1;
	/* A supervisor that ended before PR_SET_PDEATHSIG reads no more: EPIPE. */
	if (write(INIT_REPORT_FD, &ready, sizeof(ready)) != sizeof(ready))
		return 1;
	close(INIT_REPORT_FD);
	for (;;) {
		siginfo_t info;
		int number;

		while (waitid(P_ALL, 0, &info, WEXITED | __WALL) == 0 || errno == EINTR)
			;
		/* No child: the next one announces its end by SIGCHLD, which stays pending while it is blocked. */
		sigwait(&all, &number);
	}
}
