/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_GATENS_H
#define ISOLATE_HELPER_GATENS_H

/*
 * M′, where a process may stand that has not passed the gate: a private copy of M in which nothing can be executed but
 * isolate-shell, mounted over every login shell.
 */

#include "lib/error.h"

#include <stddef.h>

#define GATENS_SHELLS_MAX 64

struct gatens_prepared {
	int gate;                        /* detached mount of isolate-shell, setuid in force */
	char *shells[GATENS_SHELLS_MAX]; /* what it covers: the user's shell, /bin/sh, and those of /etc/shells */
	size_t n_shells;
};

/* In the helper. shell is the user's own, "" for none. The result is the caller's, for gatens_release(). */
int gatens_prepare(const char *shell, struct gatens_prepared *ret_prepared, struct error *err);
void gatens_release(struct gatens_prepared *prepared);

/* In PID 1, in M, with /proc mounted. Makes M′ and goes back to M. *ret_mountns is an fd of M′, the caller's. */
int gatens_build(const struct gatens_prepared *prepared, int *ret_mountns, struct error *err);

#endif
