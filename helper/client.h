/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_CLIENT_H
#define ISOLATE_HELPER_CLIENT_H

/* The leader's side of protocol.h: starts the helper, asks, and closes. Used in other people's processes: no global state, no
 * signal handler, no child, no fd left open. A helper that cannot join closes by it, too: join.c. */

#include "helper/protocol.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* How long the helper may take to answer. Beyond it the login is refused. */
#define CLIENT_OPEN_MILLISECONDS 30000
#define CLIENT_CLOSE_MILLISECONDS 10000

/* A way to the helper, or to the supervisor that it has become. */
struct client {
	int socket;
	int pidfd;
	bool answered; /* be it with an error: unless client_ask() was answered there may be a sandbox all the same */
};

#define CLIENT_NONE ((struct client){ .socket = -1, .pidfd = -1 })

/* Closes both fds. */
void client_release(struct client *client);

/* Starts the helper, which waits for a request. *ret_client is the caller's, for client_release(): then a helper that was not
 * asked ends. */
int client_start(struct client *ret_client, struct error *err);

struct client_answer {
	enum reply_kind kind; /* 0: there was no answer */
	uint64_t namespaces;
	bool userns;        /* the sandbox has a user namespace of its own, which a leader must not enter */
	uint32_t collected; /* sessions whose remains were removed */
	/* fds, the caller's for client_answer_release(); -1 without REPLY_SANDBOX */
	int init;         /* pidfd of isolate-init */
	int mountns;      /* of the mount namespace to enter */
	int supervisor;   /* pidfd of the sandbox's supervisor */
	int cgroupns;     /* -1: isolate-init's */
	char banner[256]; /* a line for the user, or empty */
};

#define CLIENT_ANSWER_NONE ((struct client_answer){ .init = -1, .mountns = -1, .supervisor = -1, .cgroupns = -1 })

/* Closes the fds. */
void client_answer_release(struct client_answer *answer);

/*
 * Sends request (request_check()'s size). The caller owns *ret_answer, which tells of what was collected also when this fails.
 * An error of the helper's comes back as it is; -ETIMEDOUT when it does not answer, and then it is killed.
 */
int client_ask(
	struct client *client, const struct request *request, size_t size, struct client_answer *ret_answer, struct error *err);

/* Starts a helper that finishes the work of session id's supervisor, which is gone, or of all that are (NULL), and waits for it.
 * *ret_collected (may be NULL) counts the sessions, of all, that were removed, also where another could not be. */
int client_collect(const char *id, uint32_t *ret_collected, struct error *err);

/*
 * Finds the supervisor of session id: ret_client->pidfd is of no other process. Works in the sandbox's mount namespace, where
 * RUNSTATEDIR is the host's. -ESRCH: there is no supervisor any more.
 */
int client_reach(const char *id, struct client *ret_client, struct error *err);

/* Tells the supervisor that the session ends, and waits until the leader is back in its cgroups. What is left of the session the
 * supervisor ends, and removes, meanwhile. */
int client_close(struct client *client, struct error *err);

#endif
