/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_CLIENT_H
#define ISOLATE_HELPER_CLIENT_H

/* The leader's side of protocol.h: starts the helper, asks, and closes. Used in other people's processes: no global state, no
 * signal handler, no SIGCHLD for the host, no fd left open. */

#include "helper/protocol.h"
#include "lib/error.h"

#include <stdint.h>
#include <sys/types.h>

/* How long the helper may take to answer. Beyond it the login is refused. */
#define CLIENT_OPEN_MILLISECONDS 30000
#define CLIENT_CLOSE_MILLISECONDS 10000

struct client_answer {
	enum reply_kind kind; /* REPLY_DONE or REPLY_SANDBOX */
	uint64_t namespaces;
	bool userns;	      /* the sandbox has a user namespace of its own, which a leader must not enter */
	int init;	      /* pidfd of isolate-init, -1 with REPLY_DONE; the caller's */
	int mountns;	      /* likewise */
	pid_t supervisor;     /* our child with exit signal 0, not to be seen by a plain wait(2); 0: it has ended and is reaped */
};

/*
 * Starts the helper and sends request (request_check()'s size). On success the caller owns *ret_answer. An error of the helper's
 * comes back as it is; -ETIMEDOUT when it does not answer, and then it is killed.
 */
int client_ask(const struct request *request, size_t size, struct client_answer *ret_answer, struct error *err);

/*
 * Tells the supervisor of session id that the session ends, waits until the leader is back in its cgroups, and, where nothing keeps
 * it, until the supervisor is gone and reaped. To be called in the supervisor's mount namespace. -ESRCH: there is no supervisor any more.
 */
int client_close(const char *id, pid_t supervisor, struct error *err);

#endif
