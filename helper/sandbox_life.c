/* SPDX-License-Identifier: BSD-3-Clause */
/* What is done with a sandbox that stands. Who does it, and when, is in supervisor.c. */
#include "helper/sandbox.h"

#include "helper/pidns_signal.h"
#include "helper/shared.h"
#include "lib/cleanup.h"
#include "lib/syscalls.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* A leader and his child. */
#define LEADER_TASKS 2

/* ---- sessions ---- */

static void describe(const struct sandbox *sandbox, const struct session *session, struct record_content *ret_content)
{
	*ret_content = (struct record_content){
		.user = sandbox->user,
		.uid = sandbox->uid,
		.service = session->service,
		.tty = session->tty,
		.leader = session->leader,
		.init = sandbox->init,
		.since = session->started,
		.cgroup = sandbox->has_cgroup ? &sandbox->cgroup : NULL,
		.group = sandbox->has_cgroup ? sandbox->cgroup.path : session->stay.path,
		.home = session->stay.home,
		.pidns = sandbox->namespaces & CLONE_NEWPID,
	};
}

int sandbox_publish(struct sandbox *sandbox, struct session *session, struct error *err)
{
	struct record_content content;

	describe(sandbox, session, &content);
	return record_publish(&sandbox->store, &content, &session->record, err);
}

int sandbox_claim(struct sandbox *sandbox, struct session *session, struct error *err)
{
	struct record_content content;

	describe(sandbox, session, &content);
	return record_claim(&sandbox->store, session->id, &content, &session->record, err);
}

int sandbox_admit(struct sandbox *sandbox, struct session *session, struct error *err)
{
	int r;

	/* His move into the group is not refused for the limit of tasks, but then he could not fork. */
	if (!cgroup_has_room(&sandbox->cgroup, LEADER_TASKS))
		return error_set(
			err, EAGAIN, "pidns", "no room for a leader and his child (TasksMax= or UserTasksMax= is reached)");
	r = sandbox_claim(sandbox, session, err);
	if (r >= 0)
		r = sandbox_publish(sandbox, session, err);
	if (r >= 0)
		r = cgroup_enter(&sandbox->cgroup, session->leader, err);
	/* Had he ended before, his pid may have been another's. */
	if (r >= 0 && !session_leader_lives(session))
		r = error_set(err, ESRCH, "join", "the leader has ended");
	if (r < 0) {
		cgroup_send_home(&sandbox->cgroup, session->stay.home, session->leader, NULL);
		return r;
	}
	session->next = sandbox->sessions;
	sandbox->sessions = session;
	return 0;
}

void sandbox_dismiss(struct sandbox *sandbox)
{
	struct session *session = sandbox->sessions;

	sandbox_leave(sandbox, session, NULL);
	sandbox->sessions = session->next;
	session_free(session, &sandbox->store);
}

size_t sandbox_count(const struct sandbox *sandbox)
{
	size_t n = 0;

	for (const struct session *session = sandbox->sessions; session; session = session->next)
		n += session->leader != 0;
	return n;
}

/* Once more, for what was missing for a moment only: nobody asks again for a session that is forgotten. */
static int send_home(const struct sandbox *sandbox, const struct session *session, struct error *err)
{
	if (cgroup_send_home(&sandbox->cgroup, session->stay.home, session->leader, NULL) >= 0)
		return 0;
	return cgroup_send_home(&sandbox->cgroup, session->stay.home, session->leader, err);
}

int sandbox_leave(struct sandbox *sandbox, struct session *session, struct error *err)
{
	int r = 0;

	/* Where the sandbox has ended before him he is home already: his group could not have gone with him in it. */
	if (sandbox->has_cgroup && session_leader_lives(session))
		r = send_home(sandbox, session, err);
	session_forget_leader(session);
	return r;
}

void sandbox_sweep(struct sandbox *sandbox)
{
	bool keeps_one = sandbox_count(sandbox) == 0;

	for (struct session **link = &sandbox->sessions; *link;) {
		struct session *session = *link;

		if (session->leader != 0 || keeps_one) {
			keeps_one = keeps_one && session->leader != 0;
			link = &session->next;
			continue;
		}
		*link = session->next;
		session_free(session, &sandbox->store);
	}
}

int sandbox_note_logout(struct sandbox *sandbox, struct error *err)
{
	struct record_content content;

	describe(sandbox, sandbox->sessions, &content);
	return record_rewrite(&sandbox->store, &content, &sandbox->sessions->record, err);
}

/* ---- the end ---- */

void sandbox_close(struct sandbox *sandbox)
{
	shared_forget(&sandbox->store, sandbox->shared_name, &sandbox->joins);
	cleanup_close(&sandbox->mountns);
}

void sandbox_ask(const struct sandbox *sandbox, char question)
{
	/* Without a PID namespace it could not know. */
	if (sandbox->namespaces & CLONE_NEWPID)
		send(sandbox->init_socket, &question, sizeof(question), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void sandbox_signal(const struct sandbox *sandbox, int signal)
{
	if (sandbox->namespaces & CLONE_NEWPID) {
		pidns_signal(&sandbox->cgroup, sandbox->init, sandbox->init_pidfd, signal);
		return;
	}
	cgroup_signal(&sandbox->cgroup, signal, sandbox->sessions->leader, sandbox->init);
	cgroup_signal(&sandbox->cgroup, SIGCONT, sandbox->sessions->leader, sandbox->init);
}

int sandbox_kill(struct sandbox *sandbox, struct error *err)
{
	int r = 0;

	/* Not waited for, its pid is its own: the other way to name it, should the one fail. */
	if (sandbox->init_pidfd >= 0 && sys_pidfd_send_signal(sandbox->init_pidfd, SIGKILL) < 0 && errno != ESRCH &&
		kill(sandbox->init, SIGKILL) < 0)
		r = error_set(err, errno, "end", "kill PID 1 of the sandbox");
	/* With a PID namespace its init took all with it. */
	if (r >= 0 && sandbox->init != 0 && sandbox->has_cgroup && !(sandbox->namespaces & CLONE_NEWPID))
		r = cgroup_kill(&sandbox->cgroup, sandbox->sessions->leader, err);
	return r;
}

struct strangers {
	const struct sandbox *sandbox;
	size_t n;
};

static void count_stranger(pid_t pid, void *data)
{
	struct strangers *strangers = data;
	bool is_known = pid == strangers->sandbox->init || pid == getpid();

	for (const struct session *session = strangers->sandbox->sessions; session && !is_known; session = session->next)
		is_known = pid == session->leader;
	strangers->n += !is_known;
}

bool sandbox_is_deserted(const struct sandbox *sandbox)
{
	struct strangers strangers = { .sandbox = sandbox };

	return cgroup_each_process(&sandbox->cgroup, count_stranger, &strangers) >= 0 && strangers.n == 0;
}

static void ignore_process(pid_t pid, void *data)
{
	(void)pid, (void)data;
}

/* PID 1 ends when all of its namespace are reaped, also those whose parent is outside of it: the leader may take its time. */
static void reap(struct sandbox *sandbox)
{
	siginfo_t info = { .si_pid = 0 };

	if (sandbox->init_pidfd >= 0 && waitid(P_PID, (id_t)sandbox->init, &info, WEXITED | WNOHANG | __WALL) == 0 &&
		info.si_pid != 0)
		cleanup_close(&sandbox->init_pidfd);
}

/* In a group of systemd's the leader stays, and so do we. */
bool sandbox_is_empty(struct sandbox *sandbox)
{
	reap(sandbox);
	if (sandbox->cgroup.owner != CGROUP_OURS)
		return sandbox->init_pidfd < 0;
	return cgroup_each_process(&sandbox->cgroup, ignore_process, NULL) <= 0;
}

/* The groups go as soon as they are empty, which may be long before PID 1 can end, and v1 has no event for it. A leader that
 * could not be brought home keeps its group as long as it lives. */
int sandbox_clear(struct sandbox *sandbox, struct error *err)
{
	int r = 0;

	reap(sandbox);
	if (sandbox->has_cgroup) {
		r = cgroup_remove(&sandbox->cgroup, sandbox->store.lock, err);
		if (r != -EBUSY) {
			cgroup_release(&sandbox->cgroup);
			sandbox->has_cgroup = false;
		}
	}
	return r == 0 && sandbox->init_pidfd >= 0 ? -EBUSY : r;
}

void sandbox_release(struct sandbox *sandbox)
{
	sandbox_close(sandbox);
	while (sandbox->sessions) {
		struct session *session = sandbox->sessions;

		sandbox->sessions = session->next;
		session_free(session, sandbox->leaves_remains ? NULL : &sandbox->store);
	}
	cleanup_close(&sandbox->init_socket);
	cleanup_close(&sandbox->init_pidfd);
	record_store_close(&sandbox->store);
	free(sandbox->user);
	sandbox->user = NULL;
}
