/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_JOIN_H
#define ISOLATE_HELPER_JOIN_H

/*
 * One more login for a sandbox that stands (Scope=user): what its helper and the sandbox's supervisor say to each other, over the
 * socket of shared.h. Both are root's, of one build or of two.
 *
 *   supervisor -> helper   struct join_offer                          what the sandbox is
 *   helper -> supervisor   struct join_request, leader's pidfd        who comes, his scope made
 *   supervisor -> helper   struct join_reply, pidfd of init, M′       he is in
 *
 * When the sandbox ends meanwhile the helper sees the end of the stream; when the helper gives up so does the supervisor, and
 * takes nobody in.
 */

#include "helper/cgroup.h"
#include "helper/protocol.h"
#include "policy/policy.h"

#include <errno.h>
#include <stdint.h>
#include <time.h>

#define JOIN_MAGIC 0x6a6f696eu /* "join" */

struct join_offer {
	uint32_t magic;
	uint32_t version; /* PROTOCOL_MAGIC */
	char id[SESSION_ID_SIZE];
	char cgroup[CGROUP_PATH_MAX];
	int64_t since;
	uint32_t digests[POLICY_KEYS]; /* policy_digest() of what it was made with, its limits as they were changed since */
};

struct join_request {
	uint32_t magic;
	int32_t leader;
	struct request request; /* without groups */
	uint32_t digests[POLICY_KEYS];
	char cgroup[CGROUP_PATH_MAX]; /* struct cgroup_stay */
	uint32_t moved;               /* 0: home says nothing */
	char home[4096];
};

struct join_reply {
	uint32_t magic;
	struct error err;
	uint64_t namespaces;
	uint32_t userns;
};

enum { JOIN_FD_INIT, JOIN_FD_MOUNTNS, JOIN_FDS };

/* How long the helper waits for the supervisor. */
#define JOIN_MILLISECONDS 10000

/* A negative errno that no refusal has: EAGAIN, for one, is that of a full TasksMax=. */
#define JOIN_ENDED (-ECONNRESET)

struct sandbox;
struct way_in;

/*
 * The helper's side: asks for a place in the sandbox whose supervisor is at the other end of socket. What of the policy has
 * changed since is put in force or said in the log. 0 and *ret_way, the caller's; JOIN_ENDED: the sandbox has ended meanwhile.
 */
int join_ask(int socket, const struct request *request, const struct policy_effective *effective, pid_t leader, int leader_pidfd,
	struct way_in *ret_way, struct error *err);

/* The supervisor's side: the first word to a helper that has connected. 0 or a negative errno. */
int join_offer(const struct sandbox *sandbox, int socket);

/* What it answers: hears who comes, takes him in or refuses him, and says so. */
void join_admit(struct sandbox *sandbox, int socket);

#endif
