/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_CALLER_H
#define ISOLATE_HELPER_CALLER_H

/*
 * Who executed the gate: what of his state has to survive its privileges, and how they are given up for him. Shared by
 * isolate-shell and isolate-login, both attacked with everything that their caller can set.
 */

#include "lib/error.h"

#include <limits.h>
#include <sys/resource.h>
#include <sys/types.h>

#define CALLER_REFUSED 126 /* exit status of a shell that cannot execute */

struct caller {
	uid_t uid;
	gid_t gid;
	char cwd[PATH_MAX];
	struct rlimit stack;
};

/*
 * First of all: notes the real ids, becomes real root too, so that the caller can neither signal, stop nor trace this process any
 * more, and notes the rest of his state. -EPERM unless set-user-ID root is in force and the caller is not root himself.
 */
int caller_take_over(struct caller *caller, struct error *err);

/* Last of all, in the sandbox's user namespace: forbids typing into the terminal (TIOCSTI, TIOCLINUX), and becomes the caller,
 * with no capability and an empty bounding set, verified. */
int caller_surrender(const struct caller *caller, struct error *err);

/* Becomes the caller and nothing else: where the policy gives him no user namespace, setuid programs go on working. */
int caller_become(const struct caller *caller, struct error *err);

/* As the caller again: his stack limit and working directory, "/" if he has none here. */
int caller_restore(const struct caller *caller, struct error *err);

/* One sentence on fd 2, which is the caller's, and exit status CALLER_REFUSED. name is the program's. */
_Noreturn void caller_refuse(const char *name, const struct error *err);

#endif
