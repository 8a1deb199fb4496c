/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/sandbox.h"

#include "helper/cgroup_backend.h"
#include "helper/caps.h"
#include "helper/gatens.h"
#include "helper/isolate-init.h"
#include "helper/login_policy.h"
#include "helper/mountns.h"
#include "helper/pidns.h"
#include "helper/userns.h"
#include "helper/utsns.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define INIT_PROGRAM LIBEXECDIR "/isolate-init"

/* What the first process needs to know; it has a copy of all memory, but shares no fd table. */
struct plan {
	const struct request *request;
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
	const struct passwd *entry = getpwnam(INIT_USER);

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
		.private_tmp = value(plan, POLICY_PRIVATE_TMP)->number == POLICY_PRIVATE_TMP_YES,
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

	if (dup2(plan->report, INIT_REPORT_FD) < 0 || sys_close_range(INIT_REPORT_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
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

static int write_record(const struct plan *plan, struct sandbox *sandbox, struct error *err)
{
	struct record_content content = {
		.request = plan->request,
		.leader = sandbox->leader,
		.init = sandbox->init,
		.backend = sandbox->cgroup.backend->name,
		.cgroup = sandbox->cgroup.path,
		.owner = sandbox->cgroup.owner,
		.home = sandbox->cgroup.home,
	};

	return record_make(&sandbox->store, &content, &sandbox->record, err);
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
		.leader = sandbox->leader,
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
	AUTO_CLOSE int ours = pair[0];
	AUTO_CLOSE int theirs = pair[1];

	spawn.report = plan->report = theirs;
	r = pidns_spawn(&spawn, &sandbox->init, &sandbox->init_pidfd, err);
	if (r < 0)
		return r;
	cleanup_close(&theirs);
	r = hear(ours, &sandbox->mountns, err);
	/* While it drops its privileges and becomes isolate-init. */
	if (r > 0)
		r = write_record(plan, sandbox, err);
	if (r == 0)
		r = hear(ours, &sandbox->mountns, err);
	if (r > 0)
		r = error_set(err, EPROTO, "pidns", "the first process does not keep to the order");
	/* The leader joins what it has to by the pidfd; the mount namespace it gets as an fd. */
	sandbox->userns = plan->view.userns;
	sandbox->namespaces = (spawn.namespaces & ~(uint64_t)CLONE_NEWNS) | CLONE_NEWCGROUP;
	return r;
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

/* The way of a login from top to bottom. */
static int make(struct plan *plan, struct sandbox *sandbox, struct error *err)
{
	const struct request *request = plan->request;
	int r = choose(plan, err);

	if (r >= 0)
		r = record_store_open(&sandbox->store, err);
	if (r >= 0) {
		r = cgroup_make(
			&plan->effective, request->uid, request->id, sandbox->leader, sandbox->store.lock, &sandbox->cgroup, err);
		sandbox->has_cgroup = r >= 0;
	}
	if (r >= 0 && plan->view.userns)
		r = make_userns(plan, err);
	if (r >= 0)
		r = mountns_prepare(&plan->view, &plan->mounts, err);
	if (r >= 0 && plan->view.userns)
		r = gatens_prepare(request->shell, &plan->gate, err);
	if (r >= 0) {
		plan->init_program = open(INIT_PROGRAM, O_PATH | O_CLOEXEC);
		if (plan->init_program < 0)
			r = error_set(err, errno, "pidns", INIT_PROGRAM);
	}
	if (r >= 0)
		r = start_init(plan, sandbox, err);
	return r;
}

int sandbox_open(const struct request *request, pid_t leader, int leader_pidfd, struct sandbox *ret_sandbox, struct error *err)
{
	struct plan plan = { .request = request, .gate.gate = -1, .userns = -1, .init_program = -1, .report = -1 };
	struct sandbox sandbox = {
		.leader = leader,
		.leader_pidfd = leader_pidfd,
		.store = { -1, -1 },
		.init_pidfd = -1,
		.mountns = -1,
		.record = { .session = -1, .control = -1 },
	};
	struct policy *policy = NULL;
	int r;

	memset(&plan.mounts, -1, sizeof(plan.mounts));
	r = login_policy(request, &policy, &plan.effective, err);
	if (r > 0 && policy_check_built(&plan.effective, err) < 0)
		r = -ENOTSUP;
	if (r > 0) {
		r = make(&plan, &sandbox, err);
		mountns_release(&plan.mounts);
		gatens_release(&plan.gate);
		cleanup_close(&plan.userns);
		cleanup_close(&plan.init_program);
		if (r < 0) {
			sandbox_end(&sandbox, NULL);
			sandbox_clear(&sandbox, NULL);
			sandbox_release(&sandbox);
		} else {
			*ret_sandbox = sandbox;
			r = 1;
		}
	}
	policy_free(policy);
	return r;
}

/* A leader that has ended may have left its pid to another process by now. */
static bool leader_lives(const struct sandbox *sandbox)
{
	struct pollfd ended = { .fd = sandbox->leader_pidfd, .events = POLLIN };

	return poll(&ended, 1, 0) == 0;
}

int sandbox_end(struct sandbox *sandbox, struct error *err)
{
	int r = 0;

	if (!sandbox->has_cgroup)
		return 0;
	if (leader_lives(sandbox))
		r = cgroup_send_home(&sandbox->cgroup, sandbox->leader, err);
	if (sandbox->init_pidfd >= 0)
		sys_pidfd_send_signal(sandbox->init_pidfd, SIGKILL);
	/* With a PID namespace its init took all with it. */
	if (!(sandbox->namespaces & CLONE_NEWPID)) {
		int killed = cgroup_kill(&sandbox->cgroup, sandbox->leader, err);

		r = r < 0 ? r : killed;
	}
	return r;
}

/* PID 1 ends when all of its namespace are reaped, also those whose parent is outside of it: the leader may take its time. */
static bool reap(struct sandbox *sandbox, int milliseconds)
{
	struct pollfd ended = { .fd = sandbox->init_pidfd, .events = POLLIN };
	siginfo_t info;

	if (poll(&ended, 1, milliseconds) <= 0)
		return false;
	if (sandbox->init_pidfd >= 0) {
		waitid(P_PID, (id_t)sandbox->init, &info, WEXITED | __WALL);
		cleanup_close(&sandbox->init_pidfd);
	}
	return true;
}

int sandbox_clear(struct sandbox *sandbox, struct error *err)
{
	int r = 0;

	/*
	 * The groups go as soon as they are empty, which may be long before init can end, and v1 has no event for it. Killed
	 * processes take milliseconds; a leader that could not be brought home keeps its group as long as it lives.
	 */
	for (int pause = 1; sandbox->has_cgroup; pause = pause < 100 ? 2 * pause : 100) {
		if (sandbox->init_pidfd >= 0)
			reap(sandbox, pause);
		else
			poll(NULL, 0, pause);
		r = cgroup_remove(&sandbox->cgroup, sandbox->store.lock, err);
		if (r == -EBUSY)
			continue;
		cgroup_release(&sandbox->cgroup);
		sandbox->has_cgroup = false;
	}
	if (sandbox->init_pidfd >= 0)
		reap(sandbox, -1);
	return r;
}

void sandbox_release(struct sandbox *sandbox)
{
	record_remove(&sandbox->store, &sandbox->record);
	cleanup_close(&sandbox->mountns);
	cleanup_close(&sandbox->store.directory);
	cleanup_close(&sandbox->store.lock);
}

int sandbox_collect(const char *id, pid_t leader, int leader_pidfd, struct error *err)
{
	struct sandbox sandbox = { .leader = leader, .leader_pidfd = leader_pidfd, .init_pidfd = -1, .mountns = -1 };
	char path[sizeof(sandbox.cgroup.path)], home[sizeof(sandbox.cgroup.home)];
	enum cgroup_owner owner;
	int r = record_store_open(&sandbox.store, err);

	if (r >= 0)
		r = record_take_over(&sandbox.store, id, &sandbox.record, path, sizeof(path), home, sizeof(home), &owner, err);
	if (r >= 0)
		r = cgroup_find(path, home, owner, &sandbox.cgroup, err);
	if (r < 0)
		return r;
	sandbox.has_cgroup = true;
	/* Forked by a leader that is in the session's groups still, we are too, and would be frozen and killed with what they
	 * hold. */
	r = cgroup_send_home(&sandbox.cgroup, getpid(), err);
	if (r < 0)
		return r;
	r = sandbox_end(&sandbox, err);
	sandbox_clear(&sandbox, err);
	sandbox_release(&sandbox);
	return r;
}
