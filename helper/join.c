/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/join.h"

#include "helper/cgroup_systemd.h"
#include "helper/cgroupns.h"
#include "helper/client.h"
#include "helper/sandbox.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>

/* ---- the helper ---- */

/* One message of the supervisor's. The end of the stream is JOIN_ENDED. */
static int hear(int socket, void *message, size_t size, int fds[MESSAGE_FDS_MAX], size_t *n_fds, struct error *err)
{
	int r = wait_readable(socket, JOIN_MILLISECONDS);
	ssize_t n = r < 0 ? r : receive_message(socket, message, size, fds, n_fds);

	if (n == 0 || n == -ECONNRESET || n == -EPIPE)
		return JOIN_ENDED;
	if (n < 0)
		return error_set(err, (int)-n, "join", "the supervisor of the user's sandbox does not answer");
	return (size_t)n == size ? 0 : error_set(err, EPROTO, "join", "the user's sandbox is of another version");
}

static int hear_offer(int socket, struct join_offer *offer, struct error *err)
{
	int fds[MESSAGE_FDS_MAX];
	size_t n_fds = 0;
	int r = hear(socket, offer, sizeof(*offer), fds, &n_fds, err);

	if (r >= 0 && (offer->magic != JOIN_MAGIC || offer->version != PROTOCOL_MAGIC))
		r = error_set(err, EPROTO, "join", "the user's sandbox is of another version: it has to end first");
	return r;
}

/* The limits for a sandbox that stands: one that the policy has no more is lifted, where the kernel knows "none". */
static struct policy_effective lift(const struct policy_effective *effective, const struct join_offer *offer)
{
	static const struct policy_value infinity = { .set = true, .unit = POLICY_INFINITY, .text = "infinity" };
	struct policy_effective lifted = *effective;

	for (size_t key = 0; key < POLICY_KEYS; key++) {
		enum policy_type type = policy_keys[key].type;

		if (offer->digests[key] != 0 && !effective->values[key].set &&
			(type == POLICY_TYPE_BYTES || type == POLICY_TYPE_COUNT))
			lifted.values[key] = infinity;
	}
	return lifted;
}

/* What holds for the next sandbox only: everything that is no limit, and limits that cannot be lifted. */
static bool stays(const struct policy_effective *lifted, const struct join_offer *offer, size_t key)
{
	const struct policy_value *value = &lifted->values[key];

	if (policy_digest(value) == offer->digests[key])
		return false;
	return !policy_is_limit((enum policy_key)key) || !value->set;
}

static void tell_what_stays(const struct request *request, const struct policy_effective *lifted, const struct join_offer *offer)
{
	char keys[512] = "", since[32];
	struct tm local;
	time_t when = (time_t)offer->since;

	for (size_t key = 0; key < POLICY_KEYS; key++)
		if (stays(lifted, offer, key)) {
			size_t length = strlen(keys);

			snprintf(keys + length, sizeof(keys) - length, " %s", policy_keys[key].name);
		}
	if (!keys[0] || !localtime_r(&when, &local) || strftime(since, sizeof(since), "%Y-%m-%d %H:%M", &local) == 0)
		return;
	syslog(LOG_NOTICE, "session %s: the policy has changed since the sandbox of %s was made (%s), which keeps its own:%s",
		request->id, request->user, since, keys);
}

/* Never a reason to refuse the login: the sandbox has the limits that it was made with. */
static void update_limits(const struct request *request, const struct policy_effective *lifted, const struct join_offer *offer)
{
	char line[ERROR_LINE_MAX];
	struct error err;

	if (cgroup_update(lifted, offer->cgroup, &err) < 0)
		syslog(LOG_WARNING, "session %s: the sandbox of %s keeps a limit: %s", request->id, request->user,
			error_line(&err, line, sizeof(line)));
}

static int send_request(int socket, const struct request *request, const struct policy_effective *effective,
	const struct join_offer *offer, const struct cgroup_stay *stay, pid_t leader, int leader_pidfd, struct error *err)
{
	static struct join_request join;
	int r;

	join = (struct join_request){
		.magic = JOIN_MAGIC,
		.leader = leader,
		.request = *request,
		.moved = stay->home != NULL,
	};
	join.request.n_groups = 0;
	for (size_t key = 0; key < POLICY_KEYS; key++)
		join.digests[key] = stays(effective, offer, key) ? offer->digests[key] : policy_digest(&effective->values[key]);
	memcpy(join.cgroup, stay->path, sizeof(join.cgroup));
	snprintf(join.home, sizeof(join.home), "%s", stay->home ? stay->home : "");
	r = send_message(socket, &join, sizeof(join), &leader_pidfd, 1);
	if (r == -EPIPE || r == -ECONNRESET)
		return JOIN_ENDED;
	return r < 0 ? error_set(err, -r, "join", "ask for a place in the user's sandbox") : 0;
}

static int hear_reply(int socket, struct way_in *way, struct error *err)
{
	int fds[MESSAGE_FDS_MAX] = { -1, -1, -1, -1 };
	size_t n_fds = 0;
	struct join_reply reply;
	int r = hear(socket, &reply, sizeof(reply), fds, &n_fds, err);

	if (r < 0)
		return r;
	if (reply.err.errnum > 0) {
		*err = reply.err;
		return -err->errnum;
	}
	if (n_fds != JOIN_FDS)
		return error_set(err, EPROTO, "join", "the user's sandbox is of another version");
	way->namespaces = reply.namespaces;
	way->userns = reply.userns;
	way->init = fds[JOIN_FD_INIT];
	way->mountns = fds[JOIN_FD_MOUNTNS];
	return 0;
}

/*
 * A supervisor that was not heard has taken him in, and is told that he leaves; or is about to, and finds that nobody listens any
 * more. One that was killed half-way may have moved him already.
 */
static void bring_back(int socket, const struct request *request, const char *path, const struct cgroup_stay *stay, pid_t leader)
{
	struct client supervisor = CLIENT_NONE;
	struct cgroup cgroup;

	shutdown(socket, SHUT_RDWR);
	if (client_reach(request->id, &supervisor, NULL) >= 0)
		client_close(&supervisor, NULL);
	client_release(&supervisor);
	if (!stay->home || cgroup_find(path, CGROUP_OURS, &cgroup, NULL) < 0)
		return;
	cgroup_send_home(&cgroup, stay->home, leader, NULL);
	cgroup_release(&cgroup);
}

/* The leader is in the scope that systemd has made for him, and not where we are. On v1 PID 1's namespace has to do: a scope is
 * not in all hierarchies. */
static int make_cgroupns(const struct cgroup_stay *stay, int *cgroupns, struct error *err)
{
	struct cgroup scope;
	int r;

	cleanup_close(cgroupns);
	r = cgroup_is_v2(err);
	if (r <= 0 || !cgroup_systemd_runs())
		return r;
	r = cgroup_find(stay->path, CGROUP_OURS, &scope, err);
	if (r < 0)
		return r;
	r = cgroupns_make(&scope, cgroupns, err);
	cgroup_release(&scope);
	return r;
}

int join_ask(int socket, const struct request *request, const struct policy_effective *effective, pid_t leader, int leader_pidfd,
	struct way_in *ret_way, struct error *err)
{
	const struct cgroup_login login = { .uid = request->uid, .id = request->id, .leader = leader, .shared = true };
	struct cgroup_stay stay = { .home = NULL };
	struct policy_effective lifted;
	struct join_offer offer;
	pid_t supervisor;
	int r = hear_offer(socket, &offer, err);

	if (r < 0)
		return r;
	/* He is at the other end until he has answered. */
	cleanup_close(&ret_way->supervisor);
	ret_way->supervisor = open_peer(socket, &supervisor);
	if (ret_way->supervisor == -EXDEV)
		return error_set(err, EALREADY, "join", "this process is in a sandbox already");
	if (ret_way->supervisor == -ESRCH)
		return JOIN_ENDED;
	if (ret_way->supervisor < 0)
		return error_set(err, -ret_way->supervisor, "join", "the supervisor of the user's sandbox");
	lifted = lift(effective, &offer);
	r = cgroup_read_home(leader, &stay.home, err);
	if (r >= 0)
		r = cgroup_join(&lifted, &login, offer.cgroup, &stay, err);
	if (r >= 0 && stay.home)
		r = make_cgroupns(&stay, &ret_way->cgroupns, err);
	if (r >= 0) {
		update_limits(request, &lifted, &offer);
		tell_what_stays(request, &lifted, &offer);
		r = send_request(socket, request, &lifted, &offer, &stay, leader, leader_pidfd, err);
	}
	if (r >= 0)
		r = hear_reply(socket, ret_way, err);
	if (r < 0)
		bring_back(socket, request, offer.cgroup, &stay, leader);
	free(stay.home);
	return r;
}

/* ---- the supervisor ---- */

int join_offer(const struct sandbox *sandbox, int socket)
{
	struct join_offer offer = { .magic = JOIN_MAGIC, .version = PROTOCOL_MAGIC };

	offer.since = time(NULL) - (int64_t)((clock_boottime() - sandbox->since) / 1000000);
	memcpy(offer.id, sandbox->id, sizeof(offer.id));
	memcpy(offer.cgroup, sandbox->cgroup.path, sizeof(offer.cgroup));
	memcpy(offer.digests, sandbox->digests, sizeof(offer.digests));
	return send_message(socket, &offer, sizeof(offer), NULL, 0);
}

/* What a helper of this build says of a leader who lives. */
static bool is_in_order(const struct join_request *join, ssize_t size, const struct sandbox *sandbox)
{
	return size == sizeof(*join) && join->magic == JOIN_MAGIC && join->leader > 0 &&
	       request_check(&join->request, sizeof(join->request), NULL) >= 0 && join->request.uid == sandbox->uid &&
	       memchr(join->home, '\0', sizeof(join->home)) && memchr(join->cgroup, '\0', sizeof(join->cgroup));
}

static struct session *hear_session(int socket, struct sandbox *sandbox, struct error *err)
{
	int fds[MESSAGE_FDS_MAX] = { -1, -1, -1, -1 };
	struct session *session = NULL;
	struct join_request join;
	size_t n_fds = 0;
	ssize_t n = receive_message(socket, &join, sizeof(join), fds, &n_fds);

	if (n < 0)
		error_set(err, (int)-n, "join", "hear who comes");
	else if (n_fds != 1 || !is_in_order(&join, n, sandbox))
		error_set(err, EPROTO, "join", "not asked by isolate-helper");
	else
		session = session_new(&join.request, join.leader, fds[0]);
	if (!session) {
		for (size_t i = 0; i < n_fds; i++)
			cleanup_close(&fds[i]);
		return NULL;
	}
	memcpy(session->stay.path, join.cgroup, sizeof(session->stay.path));
	session->stay.home = join.moved ? strdup(join.home) : NULL;
	for (size_t key = 0; key < POLICY_KEYS; key++)
		if (policy_is_limit((enum policy_key)key))
			sandbox->digests[key] = join.digests[key];
	return session;
}

void join_admit(struct sandbox *sandbox, int socket)
{
	struct join_reply reply = { .magic = JOIN_MAGIC, .namespaces = sandbox->namespaces, .userns = sandbox->userns };
	const int fds[JOIN_FDS] = { [JOIN_FD_INIT] = sandbox->init_pidfd, [JOIN_FD_MOUNTNS] = sandbox->mountns };
	struct session *session;

	error_set(&reply.err, ENOMEM, "join", "memory");
	session = hear_session(socket, sandbox, &reply.err);
	if (session && sandbox_admit(sandbox, session, &reply.err) < 0) {
		session_free(session, &sandbox->store);
		session = NULL;
	}
	if (session)
		reply.err = (struct error){ .errnum = 0 };
	/* Who cannot be told is not in: his helper tries again, or has given up. */
	if (send_message(socket, &reply, sizeof(reply), session ? fds : NULL, session ? JOIN_FDS : 0) < 0 && session)
		sandbox_dismiss(sandbox);
}
