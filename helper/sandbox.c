/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/sandbox.h"

#include "helper/cgroup_systemd.h"
#include "helper/banner.h"
#include "helper/caps.h"
#include "helper/cgroupns.h"
#include "helper/gatens.h"
#include "helper/isolate-init.h"
#include "helper/join.h"
#include "helper/login_policy.h"
#include "helper/mountns.h"
#include "helper/pidns.h"
#include "helper/shared.h"
#include "helper/userns.h"
#include "helper/utsns.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/fd.h"
#include "lib/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#define INIT_PROGRAM LIBEXECDIR "/isolate-init"

/* How often a login finds the user's sandbox ending, and tries again, before it gives up. */
#define JOIN_TRIES 50
/* What is longer than a machine runs is as good as no limit, and would overflow in microseconds. */
#define RUNTIME_SECONDS_MAX (UINT64_C(1) << 40)
/* Some ten seconds. */
#define ABANDON_TRIES 1000

/* What the first process needs to know; it has a copy of all memory, but shares no fd table. */
struct plan {
	const struct request *request;
	pid_t leader;
	int leader_pidfd;
	struct policy_effective effective;
	struct mountns_options view;
	struct mountns_prepared mounts;
	struct gatens_prepared gate;
	char hostname[65]; /* empty: the host's */
	uid_t init_uid;
	gid_t init_gid;
	int userns;
	int init_program;
	int report; /* its end of the socket pair */
};

static const struct policy_value *value(const struct plan *plan, enum policy_key key)
{
	return &plan->effective.values[key];
}

static bool is_yes(const struct plan *plan, enum policy_key key)
{
	return value(plan, key)->number == POLICY_YES;
}

/* ---- what the policy says ---- */

static int find_init_user(struct plan *plan, struct error *err)
{
	const struct passwd *entry;

	errno = 0;
	entry = getpwnam(INIT_USER);
	if (!entry && errno != 0 && errno != ENOENT)
		return error_set(err, errno, "init user", "look up the system user " INIT_USER);
	if (!entry)
		return error_set(err, ENOENT, "init user", "no system user " INIT_USER " for PID 1 of a sandbox in /etc/passwd");
	if (entry->pw_uid == 0 || entry->pw_uid == plan->request->uid)
		return error_set(err, EPERM, "init user", INIT_USER " must not be root, nor the user who logs in");
	plan->init_uid = entry->pw_uid;
	plan->init_gid = entry->pw_gid;
	return 0;
}

static const char *primary_group(const struct request *request)
{
	const struct request_group *groups = request_groups(request);

	for (size_t i = 0; i < request->n_groups; i++)
		if (groups[i].gid == request->gid)
			return groups[i].name;
	return "";
}

static int choose_hostname(struct plan *plan, struct error *err)
{
	struct utsname uts;
	const struct hostname_words words = {
		.user = plan->request->user,
		.uid = plan->request->uid,
		.group = primary_group(plan->request),
		.host = uts.nodename,
		.id = plan->request->id,
	};

	if (!value(plan, POLICY_HOSTNAME)->set)
		return 0;
	uname(&uts);
	return utsns_expand(value(plan, POLICY_HOSTNAME)->text, &words, plan->hostname, sizeof(plan->hostname), err);
}

static int choose(struct plan *plan, struct error *err)
{
	int is_v2 = cgroup_is_v2(err);
	int r = is_v2 < 0 ? is_v2 : find_init_user(plan, err);

	if (r < 0)
		return r;
	plan->view = (struct mountns_options){
		.userns = value(plan, POLICY_PRIVATE_USERS)->number != POLICY_PRIVATE_USERS_NO,
		.private_pids = is_yes(plan, POLICY_PRIVATE_PIDS),
		.private_ipc = is_yes(plan, POLICY_PRIVATE_IPC),
		.private_tmp = value(plan, POLICY_PRIVATE_TMP)->number,
		.cgroup2 = is_v2 > 0,
		.uid = plan->request->uid,
		.gid = plan->request->gid,
	};
	return choose_hostname(plan, err);
}

/* ---- in the first process of the sandbox ---- */

static int tell_mountns(const struct plan *plan, struct error *err)
{
	struct error fine = { 0 };
	AUTO_CLOSE int mountns = -1;
	int r;

	if (plan->view.userns) {
		r = gatens_build(&plan->gate, &mountns, err);
		if (r < 0)
			return r;
	} else {
		mountns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
		if (mountns < 0)
			return error_set(err, errno, "mount", "/proc/self/ns/mnt");
	}
	r = send_message(plan->report, &fine, sizeof(fine), &mountns, 1);
	return r < 0 ? error_set(err, -r, "mount", "hand over the mount namespace") : 0;
}

static int exec_init(const struct plan *plan, struct error *err)
{
	char *argv[] = { (char[]){ "isolate-init" }, NULL }, *envp[] = { NULL };

	if (dup2(plan->report, INIT_SOCKET_FD) < 0 || sys_close_range(INIT_SOCKET_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return error_set(err, errno, "pidns", "arrange the fds of " INIT_PROGRAM);
	sys_execveat(plan->init_program, "", argv, envp, AT_EMPTY_PATH);
	return error_set(err, errno, "pidns", INIT_PROGRAM);
}

static int drop_privileges(const struct plan *plan, struct error *err)
{
	int r = plan->view.userns ? 0 : caps_become_keeping(plan->init_uid, plan->init_gid, err);

	if (r >= 0)
		r = caps_drop_all(err);
	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(err, errno, "privileges", "PR_SET_NO_NEW_PRIVS");
	return plan->view.userns ? 0 : caps_verify_ids(plan->init_uid, plan->init_gid, err);
}

static int inside(void *data, struct error *err)
{
	const struct plan *plan = data;
	int r;

	/* Rooted where its maker stands: in the session's groups, since the midwife went there. cgroup_namespaces(7) */
	if (unshare(CLONE_NEWCGROUP) < 0)
		return error_set(err, errno, "cgroup", "unshare a cgroup namespace");
	r = mountns_build(&plan->view, &plan->mounts, err);
	if (r >= 0 && plan->hostname[0] && sethostname(plan->hostname, strlen(plan->hostname)) < 0)
		r = error_set(err, errno, "hostname", "sethostname %s", plan->hostname);
	if (r >= 0)
		r = tell_mountns(plan, err);
	if (r >= 0)
		r = drop_privileges(plan, err);
	return r < 0 ? r : exec_init(plan, err);
}

/* ---- in the helper ---- */

/* What the first process has to say: an error, a namespace, or that it is ready. 1 for a namespace, 0 for ready. */
static int hear(int report, int *mountns, struct error *err)
{
	union {
		struct error err;
		char ready;
	} message;
	int fds[MESSAGE_FDS_MAX];
	size_t n_fds = 0;
	ssize_t n = receive_message(report, &message, sizeof(message), fds, &n_fds);

	if (n < 0)
		return error_set(err, (int)-n, "pidns", "hear from the first process");
	if (n == sizeof(message.ready) && message.ready == INIT_READY)
		return 0;
	if (n == sizeof(message.err) && n_fds == 1) {
		*mountns = fds[0];
		return 1;
	}
	if (n == sizeof(message.err) && message.err.errnum > 0) {
		*err = message.err;
		return -message.err.errnum;
	}
	return error_set(err, EPROTO, "pidns", "the first process ended before it was ready");
}

static uint64_t namespaces_to_make(const struct plan *plan)
{
	return CLONE_NEWNS | CLONE_NEWUTS | (plan->view.private_pids ? CLONE_NEWPID : 0) |
	       (plan->view.private_ipc ? CLONE_NEWIPC : 0);
}

static int start_init(struct plan *plan, struct sandbox *sandbox, struct error *err)
{
	int pair[2];
	struct pidns_plan spawn = {
		.cgroup = &sandbox->cgroup,
		.leader = plan->leader,
		.userns = plan->userns,
		.uid = plan->init_uid,
		.gid = plan->init_gid,
		.namespaces = namespaces_to_make(plan),
		.inside = inside,
		.data = plan,
	};
	int r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, errno, "pidns", "socketpair");
	sandbox->init_socket = pair[0];
	AUTO_CLOSE int theirs = pair[1];

	spawn.report = plan->report = theirs;
	/* The leader joins what it has to by the pidfd; the mount namespace it gets as an fd. */
	sandbox->userns = plan->view.userns;
	sandbox->namespaces = (spawn.namespaces & ~(uint64_t)CLONE_NEWNS) | CLONE_NEWCGROUP;
	r = pidns_spawn(&spawn, &sandbox->init, &sandbox->init_pidfd, err);
	if (r < 0)
		return r;
	cleanup_close(&theirs);
	r = hear(sandbox->init_socket, &sandbox->mountns, err);
	/* While it drops its privileges and becomes isolate-init. */
	if (r > 0)
		r = sandbox_publish(sandbox, sandbox->sessions, err);
	if (r == 0)
		r = hear(sandbox->init_socket, &sandbox->mountns, err);
	return r > 0 ? error_set(err, EPROTO, "pidns", "the first process does not keep to the order") : r;
}

static int make_userns(struct plan *plan, struct error *err)
{
	static gid_t gids[REQUEST_GROUPS_MAX + 1];
	const struct request_group *groups = request_groups(plan->request);
	size_t n = 0;

	gids[n++] = plan->request->gid;
	for (size_t i = 0; i < plan->request->n_groups; i++)
		gids[n++] = groups[i].gid;
	return userns_make(plan->request->uid, gids, n, &plan->userns, err);
}

static struct cgroup_login describe_login(const struct plan *plan, const struct sandbox *sandbox)
{
	return (struct cgroup_login){
		.uid = plan->request->uid,
		.id = plan->request->id,
		.leader = plan->leader,
		.shared = sandbox->shared,
	};
}

/* First of all, so that whatever happens to us the rest can be found. */
static int start_session(const struct plan *plan, struct sandbox *sandbox, struct error *err)
{
	const struct cgroup_login login = describe_login(plan, sandbox);
	int pidfd = fcntl(plan->leader_pidfd, F_DUPFD_CLOEXEC, 0), r;
	struct session *session = pidfd < 0 ? NULL : session_new(plan->request, plan->leader, pidfd);

	if (!session) {
		int saved = errno;

		cleanup_close(&pidfd);
		return error_set(err, saved, "session", "the leader's pidfd");
	}
	sandbox->sessions = session;
	cgroup_guess_path(&login, session->stay.path);
	/* As long as it is not known to be otherwise: no process is in there yet that would have to be killed. */
	sandbox->namespaces = CLONE_NEWPID;
	r = cgroup_read_home(plan->leader, &session->stay.home, err);
	return r < 0 ? r : sandbox_claim(sandbox, session, err);
}

static int make_groups(const struct plan *plan, struct sandbox *sandbox, struct error *err)
{
	const struct cgroup_login login = describe_login(plan, sandbox);
	int r = cgroup_make(&plan->effective, &login, sandbox->store.lock, &sandbox->cgroup, &sandbox->sessions->stay, err);

	sandbox->has_cgroup = r >= 0;
	return r;
}

/* The way of a login from top to bottom. */
static int make(struct plan *plan, struct sandbox *sandbox, struct error *err)
{
	int r = choose(plan, err);

	if (r >= 0)
		r = start_session(plan, sandbox, err);
	if (r >= 0)
		r = make_groups(plan, sandbox, err);
	if (r >= 0 && sandbox->cgroup.is_users)
		plan->view.cgroup = sandbox->cgroup.path;
	if (r >= 0 && plan->view.userns)
		r = make_userns(plan, err);
	if (r >= 0)
		r = mountns_prepare(&plan->view, &plan->mounts, err);
	if (r >= 0 && plan->view.userns)
		r = gatens_prepare(plan->request->shell, &plan->gate, err);
	if (r >= 0) {
		plan->init_program = open(INIT_PROGRAM, O_PATH | O_CLOEXEC);
		if (plan->init_program < 0)
			r = error_set(err, errno, "pidns", INIT_PROGRAM);
	}
	if (r >= 0)
		r = start_init(plan, sandbox, err);
	return r;
}

void way_in_release(struct way_in *way)
{
	cleanup_close(&way->init);
	cleanup_close(&way->mountns);
	cleanup_close(&way->supervisor);
	cleanup_close(&way->cgroupns);
}

static int find_way_in(const struct sandbox *sandbox, struct way_in *way, struct error *err)
{
	way->namespaces = sandbox->namespaces;
	way->userns = sandbox->userns;
	way->init = fcntl(sandbox->init_pidfd, F_DUPFD_CLOEXEC, 0);
	way->mountns = fcntl(sandbox->mountns, F_DUPFD_CLOEXEC, 0);
	way->supervisor = sys_pidfd_open(getpid());
	/* The leader is in PID 1's scope: systemd had none for him. */
	if (sandbox->sessions->stay.home)
		cleanup_close(&way->cgroupns);
	return way->init < 0 || way->mountns < 0 || way->supervisor < 0 ? error_set(err, errno, "leader", "fds for the leader")
									: 0;
}

/* When the making has failed: nothing may be left of it. The leader goes home now, the rest in sandbox_abandon(). */
static void undo(struct sandbox *sandbox)
{
	if (!sandbox->has_cgroup)
		return;
	sandbox_leave(sandbox, sandbox->sessions, NULL);
	sandbox_kill(sandbox, NULL);
}

void sandbox_abandon(struct sandbox *sandbox)
{
	int r = 0;

	for (int tries = 0; tries < ABANDON_TRIES && (r = sandbox_clear(sandbox, NULL)) == -EBUSY; tries++)
		poll(NULL, 0, tries < 10 ? tries : 10);
	sandbox->leaves_remains = r < 0;
	sandbox_release(sandbox);
}

static void release_plan(struct plan *plan)
{
	mountns_release(&plan->mounts);
	gatens_release(&plan->gate);
	cleanup_close(&plan->userns);
	cleanup_close(&plan->init_program);
}

/* sandbox is the caller's, with its store open; taken over when it works. */
static int make_or_undo(struct plan *plan, struct sandbox *sandbox, struct way_in *way, struct error *err)
{
	int r = make(plan, sandbox, err);

	if (r >= 0)
		r = find_way_in(sandbox, way, err);
	if (r >= 0 && sandbox->shared)
		r = shared_listen(&sandbox->store, sandbox->shared_name, &sandbox->joins, err);
	release_plan(plan);
	if (r < 0) {
		way_in_release(way);
		undo(sandbox);
		return r;
	}
	if (!sandbox->shared)
		cleanup_close(&sandbox->mountns);
	return SANDBOX_MADE;
}

/*
 * One login of the user's makes the sandbox, the others, be it in the same moment, join it. The lock is held until that is
 * decided, and the sandbox can be found.
 */
static int make_or_join(struct plan *plan, struct sandbox *sandbox, struct way_in *way, struct error *err)
{
	for (int tries = 0; tries < JOIN_TRIES; tries++) {
		AUTO_CLOSE int lock = -1;
		AUTO_CLOSE int socket = -1;
		int r = shared_lock(&sandbox->store, sandbox->shared_name, &lock, err);

		if (r < 0)
			return r;
		r = shared_connect(&sandbox->store, sandbox->shared_name, &socket, err);
		if (r == -ENOENT) {
			r = make_or_undo(plan, sandbox, way, err);
			if (r < 0)
				shared_give_up(&sandbox->store, sandbox->shared_name);
			return r;
		}
		cleanup_close(&lock);
		if (r >= 0)
			r = join_ask(socket, plan->request, &plan->effective, plan->leader, plan->leader_pidfd, way, err);
		else if (r == -EAGAIN)
			r = JOIN_ENDED;
		if (r >= 0) {
			/* How much is left of its time is not known here. */
			plan->effective.values[POLICY_RUNTIME_MAX_SEC].set = false;
			banner_make(&plan->effective, way->banner, sizeof(way->banner));
			sandbox_release(sandbox);
			return SANDBOX_JOINED;
		}
		if (r != JOIN_ENDED)
			return r;
		poll(NULL, 0, tries);
	}
	return error_set(err, EBUSY, "join", "the sandbox of %s is ending", sandbox->user);
}

static int start(struct plan *plan, struct sandbox *sandbox, struct error *err)
{
	const struct policy_value *runtime = value(plan, POLICY_RUNTIME_MAX_SEC);

	sandbox->user = strdup(plan->request->user);
	sandbox->uid = plan->request->uid;
	shared_name(plan->request, sandbox->shared_name);
	sandbox->shared = value(plan, POLICY_SCOPE)->number == POLICY_SCOPE_USER;
	sandbox->outlives_logout = value(plan, POLICY_KILL_ON_LOGOUT)->number == POLICY_NO;
	sandbox->since = clock_boottime();
	if (runtime->set && runtime->unit != POLICY_INFINITY && runtime->number < RUNTIME_SECONDS_MAX)
		sandbox->runtime_max = runtime->number * 1000000;
	memcpy(sandbox->id, plan->request->id, sizeof(sandbox->id));
	for (size_t key = 0; key < POLICY_KEYS; key++)
		sandbox->digests[key] = policy_digest(value(plan, (enum policy_key)key));
	if (!sandbox->user)
		return error_set(err, ENOMEM, "session", "memory");
	return record_store_open(&sandbox->store, err);
}

static int open_sandbox(struct plan *plan, struct sandbox *sandbox, struct way_in *way, struct error *err)
{
	int r = start(plan, sandbox, err);

	banner_make(&plan->effective, way->banner, sizeof(way->banner));
	/* Before anybody is moved: the cgroup namespace of a login that stays in a scope of its own. */
	if (r >= 0 && sandbox->shared && cgroup_systemd_runs())
		r = cgroupns_make(NULL, &way->cgroupns, err);
	if (r < 0)
		return r;
	return sandbox->shared ? make_or_join(plan, sandbox, way, err) : make_or_undo(plan, sandbox, way, err);
}

int sandbox_open(const struct request *request, pid_t leader, int leader_pidfd, struct sandbox *ret_sandbox,
	struct way_in *ret_way, struct error *err)
{
	struct plan plan = {
		.request = request,
		.leader = leader,
		.leader_pidfd = leader_pidfd,
		.gate.gate = -1,
		.userns = -1,
		.init_program = -1,
		.report = -1,
	};
	struct way_in way = WAY_IN_NONE;
	struct policy *policy = NULL;
	int r;

	memset(&plan.mounts, -1, sizeof(plan.mounts));
	*ret_sandbox = SANDBOX_NONE;
	r = login_policy(request, &policy, &plan.effective, err);
	if (r > 0 && policy_check_built(&plan.effective, err) < 0)
		r = -ENOTSUP;
	if (r > 0)
		r = open_sandbox(&plan, ret_sandbox, &way, err);
	policy_free(policy);
	if (r < 0)
		way_in_release(&way);
	else
		*ret_way = way;
	return r;
}
