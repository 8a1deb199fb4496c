/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_SANDBOX_H
#define ISOLATE_HELPER_SANDBOX_H

/* A sandbox from its making to its end: only the order of things. What each thing is, is in the file named after it. */

#include "helper/cgroup.h"
#include "helper/protocol.h"
#include "helper/record.h"
#include "helper/session.h"
#include "helper/shared.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sandbox {
	char id[SESSION_ID_SIZE]; /* of its first session */
	char *user;
	uid_t uid;
	bool shared; /* Scope=user */
	char shared_name[SHARED_NAME_MAX];
	bool outlives_logout;          /* KillOnLogout=no */
	uint64_t since;                /* clock_boottime() */
	uint64_t runtime_max;          /* RuntimeMaxSec, in microseconds; 0: none */
	uint32_t digests[POLICY_KEYS]; /* of the policy that it was made with */
	struct record_store store;
	struct cgroup cgroup;
	bool has_cgroup;
	struct session *sessions; /* a list; one that has left stays until the sandbox is cleared, or another session comes */
	int joins;                /* listening socket, see shared.h; -1: nobody can join */
	pid_t init;
	int init_pidfd;      /* -1: none, or waited for */
	int init_socket;     /* see isolate-init.h; -1 */
	int mountns;         /* what a leader enters: M′, or M where there is no user namespace; -1: nobody can join */
	uint64_t namespaces; /* CLONE_NEW... flags of the others that a leader enters */
	bool userns;         /* U is not the host's */
	bool is_accounted;
	bool leaves_remains; /* something could not be removed: the records stay, for a collection */
};

#define SANDBOX_NONE ((struct sandbox){ .store = { -1, -1 }, .joins = -1, .init_pidfd = -1, .init_socket = -1, .mountns = -1 })

/* What a leader needs to join a sandbox. */
struct way_in {
	uint64_t namespaces;
	bool userns;
	int init, mountns, supervisor, cgroupns; /* as in struct reply; -1: none */
	char banner[sizeof(((struct reply *)0)->banner)];
};

#define WAY_IN_NONE ((struct way_in){ .init = -1, .mountns = -1, .supervisor = -1, .cgroupns = -1 })

/* Closes the fds. */
void way_in_release(struct way_in *way);

enum sandbox_result {
	SANDBOX_UNWANTED, /* the policy says Isolate=no */
	SANDBOX_MADE,     /* the caller is its supervisor from now on */
	SANDBOX_JOINED,   /* one that stood, of another supervisor */
};

/*
 * Makes the sandbox of a checked request, or finds that of the user's other logins, and moves the leader into its cgroup. Returns
 * an enum sandbox_result; with SANDBOX_MADE *ret_sandbox is the caller's, for sandbox_release() in the end, and with that and
 * SANDBOX_JOINED so is *ret_way. Or a negative errno: then the leader is home, and sandbox_abandon() removes the rest, which may
 * have to wait for him: he is to be told before. leader_pidfd stays the caller's.
 */
int sandbox_open(const struct request *request, pid_t leader, int leader_pidfd, struct sandbox *ret_sandbox,
	struct way_in *ret_way, struct error *err);

void sandbox_abandon(struct sandbox *sandbox);

/* Makes the record of a session: before its groups are made, and when they are. */
int sandbox_claim(struct sandbox *sandbox, struct session *session, struct error *err);
int sandbox_publish(struct sandbox *sandbox, struct session *session, struct error *err);

/* Takes a session in, whose leader is in his scope, if he has one of systemd's: moves him, and makes its record. */
int sandbox_admit(struct sandbox *sandbox, struct session *session, struct error *err);

/* Undoes the last sandbox_admit(). */
void sandbox_dismiss(struct sandbox *sandbox);

/* How many leaders are in. */
size_t sandbox_count(const struct sandbox *sandbox);

/* Brings the session's leader back to his cgroups, if he lives. The session stays in the list, without a leader. */
int sandbox_leave(struct sandbox *sandbox, struct session *session, struct error *err);

/* Frees the sessions that have left; but the record of one stays as long as there is a sandbox. */
void sandbox_sweep(struct sandbox *sandbox);

/* The record of the session that is left says that its leader has logged out. */
int sandbox_note_logout(struct sandbox *sandbox, struct error *err);

/* Nobody can join any more. */
void sandbox_close(struct sandbox *sandbox);

/* Has PID 1 answer question once no other process is left in the sandbox; isolate-init.h. Where it is not asked, nobody answers.
 */
void sandbox_ask(const struct sandbox *sandbox, char question);

/* Whether only PID 1, leaders and the supervisor are left in its group. Processes that have ended are not in there any more, also
 * when nobody has waited for them yet. */
bool sandbox_is_deserted(const struct sandbox *sandbox);

/* Sends a signal, and SIGCONT, to all processes of the sandbox. */
void sandbox_signal(const struct sandbox *sandbox, int signal);

/* Kills all processes of the sandbox. */
int sandbox_kill(struct sandbox *sandbox, struct error *err);

/* After sandbox_kill(): whether the last process has gone, and all that was used is counted. */
bool sandbox_is_empty(struct sandbox *sandbox);

/* After sandbox_kill(): waits for PID 1, and removes the groups when they are empty. -EBUSY: not yet, call it again; until when
 * there is no event for it but init_pidfd, and none at all while has_cgroup. */
int sandbox_clear(struct sandbox *sandbox, struct error *err);

/* The last of it: sessions, records, fds. */
void sandbox_release(struct sandbox *sandbox);

#endif
