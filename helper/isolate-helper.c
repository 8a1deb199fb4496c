/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * isolate-helper: makes the sandbox of one login and stays as its supervisor. Started as root by the leader, with one socket
 * (client.c). Who logs in comes over that socket; what he gets comes from the policy; nothing comes from argv or the environment.
 */

#include "helper/collect.h"
#include "helper/protocol.h"
#include "helper/sandbox.h"
#include "helper/supervisor.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#define FILES_WANTED 65536

static union {
	struct request request;
	char room[REQUEST_SIZE_MAX];
} message;

/* The state of a process that root started may still be anybody's: make it ours. */
static int settle(struct error *err)
{
	sigset_t all;

	if (ensure_standard_fds() < 0 || chdir("/") < 0)
		return error_set(err, errno, "helper", "standard fds and working directory");
	umask(022);
	setsid();
	/* Terminals and users of the leader's process group have nothing to say here. SIGKILL has. */
	sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
		return error_set(err, errno, "helper", "sigprocmask");
	return 0;
}

/*
 * When memory runs out the kernel may pick anything of the user's, but not what the sandbox hangs on: this process, and PID 1,
 * which inherits it. A root without CAP_SYS_RESOURCE (a container's) cannot ask for that: then both are safe by being the
 * smallest only.
 */
static int protect_from_oom(struct error *err)
{
	int r = write_file_at(AT_FDCWD, "/proc/self/oom_score_adj", "-1000");

	return r < 0 && r != -EACCES ? error_set(err, -r, "helper", "/proc/self/oom_score_adj") : 0;
}

/*
 * The leader has the user's limits already (pam_limits), which are not meant for this process and PID 1: with a limit on CPU time
 * they would be killed one day, with one on processes no more than that many sessions could have a PID 1, for all of those are
 * one user's; and what this process has when it makes the user namespace is the most that all in there have together. Without
 * CAP_SYS_RESOURCE the hard limit is the most that can be had.
 */
static void lift_limits(void)
{
	const struct rlimit files = { .rlim_cur = FILES_WANTED, .rlim_max = FILES_WANTED };
	struct rlimit now;

	static const int limits[] = { RLIMIT_AS, RLIMIT_CPU, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE,
		RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_RTTIME, RLIMIT_SIGPENDING };

	/* Of a shared sandbox it is the supervisor of all later logins, too, with three fds for each. */
	if (getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_max < FILES_WANTED)
		setrlimit(RLIMIT_NOFILE, &files);
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		struct rlimit limit = { .rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY };

		/* Files: no process can have more than fs.nr_open, and "infinity" is refused. */
		if ((limits[i] == RLIMIT_NOFILE || setrlimit(limits[i], &limit) < 0) && getrlimit(limits[i], &limit) == 0) {
			limit.rlim_cur = limit.rlim_max;
			setrlimit(limits[i], &limit);
		}
	}
}

/* The leader is who made our socket. */
static int find_leader(pid_t *ret_pid, int *ret_pidfd, struct error *err)
{
	int pidfd = open_peer(HELPER_SOCKET_FD, ret_pid);

	if (pidfd == -ESRCH)
		return error_set(err, ESRCH, "helper", "the leader has ended");
	if (pidfd == -EXDEV)
		return error_set(err, EPERM, "helper", "the leader is in a PID namespace that is not below ours");
	if (pidfd < 0)
		return error_set(err, -pidfd, "helper", "who is asking");
	*ret_pidfd = pidfd;
	return 0;
}

static int receive_request(struct error *err)
{
	ssize_t n = receive_message(HELPER_SOCKET_FD, &message, sizeof(message), NULL, NULL);

	if (n < 0)
		return error_set(err, (int)-n, "helper", "receive the request");
	return request_check(&message.request, (size_t)n, err);
}

static int send_reply(struct reply *reply, const int *fds, size_t n_fds)
{
	reply->magic = PROTOCOL_MAGIC;
	return send_message(HELPER_SOCKET_FD, reply, sizeof(*reply), fds, n_fds);
}

/* The fds of a way in, in the protocol's order. Returns how many there are. */
static size_t list_fds(const struct way_in *way, int fds[REPLY_FDS_MAX])
{
	fds[REPLY_FD_INIT] = way->init;
	fds[REPLY_FD_MOUNTNS] = way->mountns;
	fds[REPLY_FD_SUPERVISOR] = way->supervisor;
	fds[REPLY_FD_CGROUPNS] = way->cgroupns;
	return way->cgroupns < 0 ? REPLY_FD_CGROUPNS : REPLY_FDS_MAX;
}

/* Answers, and returns enum sandbox_result or a negative errno. A leader that does not listen any more has ended: the supervisor
 * will see it. */
static int serve_open(pid_t leader, int leader_pidfd, struct sandbox *sandbox, struct reply *reply)
{
	struct way_in way = WAY_IN_NONE;
	int fds[REPLY_FDS_MAX];
	int r = sandbox_open(&message.request, leader, leader_pidfd, sandbox, &way, &reply->err);

	if (r <= SANDBOX_UNWANTED) {
		reply->kind = r < 0 ? REPLY_ERROR : REPLY_DONE;
		send_reply(reply, NULL, 0);
		if (r < 0)
			sandbox_abandon(sandbox);
		return r;
	}
	reply->kind = REPLY_SANDBOX;
	reply->namespaces = way.namespaces;
	reply->userns = way.userns;
	memcpy(reply->banner, way.banner, sizeof(reply->banner));
	send_reply(reply, fds, list_fds(&way, fds));
	way_in_release(&way);
	return r;
}

static int serve_collect(struct reply *reply)
{
	bool all = message.request.kind == REQUEST_COLLECT_ALL;
	int r = all ? collect_all(&reply->collected, &reply->err) : collect_session(message.request.id, &reply->err);
	char line[ERROR_LINE_MAX];

	reply->kind = r < 0 ? REPLY_ERROR : REPLY_DONE;
	/* Nobody listens when a login has asked for it. */
	if (all && r < 0)
		syslog(LOG_ERR, "collect: %s", error_line(&reply->err, line, sizeof(line)));
	if (reply->collected > 0)
		syslog(LOG_NOTICE, "collect: removed what was left of %u sessions", reply->collected);
	send_reply(reply, NULL, 0);
	return r < 0;
}

static int serve(pid_t leader, int leader_pidfd, struct reply *reply)
{
	static struct sandbox sandbox;
	int r;

	if (message.request.kind != REQUEST_OPEN)
		return serve_collect(reply);
	r = serve_open(leader, leader_pidfd, &sandbox, reply);
	close(leader_pidfd);
	close(HELPER_SOCKET_FD);
	if (r < 0)
		return 1;
	if (r != SANDBOX_MADE)
		return 0;
	collect_if_due(&sandbox.store);
	/* Made by clone and credentials on the way, this would not have lasted. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return supervise(&sandbox);
}

int main(int argc, char **argv)
{
	struct reply reply = { .kind = REPLY_ERROR };
	int leader_pidfd = -1;
	pid_t leader = 0;
	int r;

	(void)argv;
	if (argc != 1 || getuid() != 0 || geteuid() != 0)
		return 2;
	/* First: an end that has not read what was sent to it loses what it sends (ECONNRESET). */
	r = receive_request(&reply.err);
	if (r >= 0)
		r = settle(&reply.err);
	if (r >= 0)
		r = protect_from_oom(&reply.err);
	lift_limits();
	if (r >= 0 && message.request.kind == REQUEST_OPEN)
		r = find_leader(&leader, &leader_pidfd, &reply.err);
	if (r < 0) {
		send_reply(&reply, NULL, 0);
		return 1;
	}
	openlog("pam_isolate", LOG_PID, LOG_AUTHPRIV);
	return serve(leader, leader_pidfd, &reply);
}
