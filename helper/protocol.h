/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_PROTOCOL_H
#define ISOLATE_HELPER_PROTOCOL_H

/*
 * What the module and the helper say to each other: fixed messages over a SOCK_SEQPACKET socket, both ends root on one machine.
 *
 *   module -> helper      struct request + n_groups x struct request_group      who logs in; nothing of what he gets
 *   helper -> module      struct reply, with fds when it is REPLY_SANDBOX       the namespaces to join
 *   module -> supervisor  struct control_request                                over RUNSTATEDIR/pam_isolate/<id>/control
 *   supervisor -> module  struct control_reply
 *
 * An unknown, short, long or second message ends the conversation.
 */

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROTOCOL_MAGIC 0x69736f32u /* "iso2": the helper and the module are of one build, or the login is refused */

/* The helper's end of the socket, placed there by client.c. */
#define HELPER_SOCKET_FD 3

/* A gid map has 340 lines at most (user_namespaces(7)): nobody with more groups can be mapped. */
#define REQUEST_GROUPS_MAX 340

#define SESSION_ID_SIZE 37 /* a UUID in its text form, with NUL */

struct request_group {
	uint32_t gid;
	char name[124];
};

enum request_kind {
	REQUEST_OPEN = 1,    /* a login: all fields; answered, then supervised */
	REQUEST_COLLECT,     /* finish the work of session id's supervisor, which is gone: id alone counts; answered when done */
	REQUEST_COLLECT_ALL, /* the same for whatever any supervisor or helper has left; answered when done */
};

struct request {
	uint32_t magic;
	uint32_t kind;
	uint32_t uid;
	uint32_t gid;
	uint32_t n_groups; /* the primary group too */
	char id[SESSION_ID_SIZE];
	char user[256];
	char service[64];
	char tty[64];     /* may be empty */
	char shell[256];  /* of the passwd entry; may be empty */
	char policy[256]; /* another policy file than the default; empty: the default */
};

/* What collects session id (REQUEST_COLLECT), or all (NULL). Its size is sizeof(struct request). */
struct request request_to_collect(const char *id);

#define REQUEST_SIZE_MAX (sizeof(struct request) + REQUEST_GROUPS_MAX * sizeof(struct request_group))

enum reply_kind {
	REPLY_ERROR = 1, /* err says why; the login is refused */
	REPLY_DONE,      /* nothing to join: the policy says Isolate=no, or what is asked for is collected */
	REPLY_SANDBOX,   /* join what the fds name */
};

/* The fds of REPLY_SANDBOX, in their order. The last is there only for a login whose cgroup is not that of the sandbox's PID 1.
 */
enum { REPLY_FD_INIT, REPLY_FD_MOUNTNS, REPLY_FD_SUPERVISOR, REPLY_FD_CGROUPNS, REPLY_FDS_MAX };

struct reply {
	uint32_t magic;
	uint32_t kind;
	struct error err;
	/* The CLONE_NEW... flags of the namespaces that the leader joins by setns(pidfd of isolate-init). The mount namespace is
	 * not among them: it is the second fd. */
	uint64_t namespaces;
	uint32_t userns;    /* 1: there is a user namespace too, for the gate to enter */
	uint32_t collected; /* how many sessions were, though another could not be */
	char banner[256];   /* a line for the user, or empty */
};

enum control_kind {
	CONTROL_CLOSE = 1, /* the session ends: bring the leader home, answer, and end what is left */
};

struct control_request {
	uint32_t magic;
	uint32_t kind;
};

struct control_reply {
	uint32_t magic;
	struct error err; /* errnum 0: done */
};

/*
 * Checks a received request of size bytes: magic, size, terminated strings, a name that may stand in a path and a log line, an
 * id that is a UUID. 0, or -EPROTO with *err (step "request").
 */
int request_check(const struct request *request, size_t size, struct error *err);

/* The groups that follow the request. */
static inline const struct request_group *request_groups(const struct request *request)
{
	return (const struct request_group *)(const void *)(request + 1);
}

#endif
