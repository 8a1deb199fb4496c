/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/supervisor.h"

#include "helper/account.h"
#include "helper/join.h"
#include "helper/limit_events.h"
#include "helper/notice.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/duration.h"
#include "lib/fd.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

/* How long a peer on the control socket may keep the supervisor waiting: it is root, and one of ours. */
#define PEER_MILLISECONDS 1000
/* Before anybody is asked to end: most are about to, or have. */
#define LEAVE_MICROSECONDS 5000
/* Before that, where the user was told: his line goes through processes of the sandbox, sshd's or tmux's, to where he reads it.
 */
#define TOLD_MICROSECONDS 1000000
/* Between SIGTERM and SIGHUP, and between that and SIGKILL. */
#define GRACE_MICROSECONDS 2500000
/* Between two looks whether the groups are empty, at most: v1 has no event for it. */
#define PAUSE_MICROSECONDS_MAX 100000
#define STACK_USED_MAX (256 * 1024)
#define NEVER UINT64_MAX
/* Before RuntimeMaxSec is reached. */
#define WARN_MICROSECONDS (UINT64_C(300) * 1000000)
/* Whose terminals are looked for. The others' have processes of the user's. */
#define LEADERS_TOLD_MAX 64
/* Without memory. */
#define RETRY_MILLISECONDS 1000
/* Who calls and cannot be heard, for want of fds, calls on: not to be busy with that alone. */
#define FAILED_MILLISECONDS 100

enum state {
	RUNNING,
	LEAVING,    /* the processes are given a moment */
	TERMINATED, /* they were asked to end, by SIGTERM */
	HUNG_UP,    /* and once more, by SIGHUP: interactive shells do not mind the other */
	KILLED,     /* what is left is removed */
	CLEARED,    /* there is no sandbox any more; leaders may be in its namespaces still, and find the way out by ours */
};

/* A helper that has been told what the sandbox is, and makes its leader's scope. */
struct joiner {
	struct joiner *next;
	int socket;
};

struct supervisor {
	struct sandbox *sandbox;
	enum state state;
	uint64_t due;      /* when the state has its next step */
	uint64_t deadline; /* TERMINATED, HUNG_UP: when it is over */
	uint64_t pause;    /* KILLED: between two tries */
	uint64_t warn_at;  /* RuntimeMaxSec is near */
	uint64_t end_at;   /* RuntimeMaxSec is reached */
	struct limit_events events;
	struct notices notices;
	char question; /* the last that PID 1 was asked */
	struct joiner *joiners;
	bool failed;
};

/* One thing to wait for. object is a session or a joiner. */
struct watch {
	void (*ready)(struct supervisor *supervisor, void *object);
	void *object;
};

static void complain(struct supervisor *supervisor, const char *session, const struct error *err)
{
	char line[ERROR_LINE_MAX];

	syslog(LOG_ERR, "session %s: %s", session, error_line(err, line, sizeof(line)));
	supervisor->failed = true;
}

/* ---- what the user is told ---- */

/* leaders: room for sandbox_count() of them. */
static struct notice_sandbox notice_for(const struct sandbox *sandbox, pid_t *leaders)
{
	struct notice_sandbox who = {
		.cgroup = &sandbox->cgroup,
		.uid = sandbox->uid,
		.id = sandbox->id,
		.user = sandbox->user,
		.leaders = leaders,
	};

	for (const struct session *session = sandbox->sessions; session; session = session->next)
		if (session->leader != 0 && who.n_leaders < LEADERS_TOLD_MAX)
			leaders[who.n_leaders++] = session->leader;
	return who;
}

/* Who was killed for memory may have been the last there was: then this is the end, and the line is for the administrator. */
static void tell_the_rest(struct supervisor *supervisor)
{
	pid_t leaders[LEADERS_TOLD_MAX];
	struct notice_sandbox who = notice_for(supervisor->sandbox, leaders);
	struct limit_news news;
	bool is_news = limit_events_last(&supervisor->events, &supervisor->sandbox->cgroup, &news);

	notice_rest(&supervisor->notices, &who, is_news ? &news : NULL);
}

static void tell_of_limits(struct supervisor *supervisor, const struct pollfd *polled)
{
	pid_t leaders[LEADERS_TOLD_MAX];
	struct notice_sandbox who = notice_for(supervisor->sandbox, leaders);
	struct limit_news news;
	bool is_news = limit_events_read(&supervisor->events, &supervisor->sandbox->cgroup, polled, &news);

	notice_limits(&supervisor->notices, &who, is_news ? &news : NULL);
}

/* ---- the end of a sandbox ---- */

static void dismiss_joiners(struct supervisor *supervisor)
{
	while (supervisor->joiners) {
		struct joiner *joiner = supervisor->joiners;

		supervisor->joiners = joiner->next;
		close(joiner->socket);
		free(joiner);
	}
}

/* Each question another, so that an answer to an older one is not taken for one to this. */
static void ask_if_empty(struct supervisor *supervisor)
{
	supervisor->question++;
	sandbox_ask(supervisor->sandbox, supervisor->question);
}

static void kill_all(struct supervisor *supervisor)
{
	struct sandbox *sandbox = supervisor->sandbox;
	struct error err;

	sandbox_close(sandbox);
	dismiss_joiners(supervisor);
	tell_the_rest(supervisor);
	limit_events_release(&supervisor->events);
	/* Leaders that have not closed their session would be killed with what is in their group. */
	for (struct session *session = sandbox->sessions; session; session = session->next)
		if (session_leader_lives(session) &&
			cgroup_send_home(&sandbox->cgroup, session->stay.home, session->leader, &err) < 0)
			complain(supervisor, session->id, &err);
	if (sandbox_kill(sandbox, &err) < 0)
		complain(supervisor, sandbox->id, &err);
	supervisor->state = KILLED;
	supervisor->pause = 1000;
	supervisor->due = clock_boottime();
}

static void begin_end(struct supervisor *supervisor)
{
	if (supervisor->state != RUNNING)
		return;
	sandbox_close(supervisor->sandbox);
	dismiss_joiners(supervisor);
	ask_if_empty(supervisor);
	supervisor->state = LEAVING;
	supervisor->due = clock_boottime() + LEAVE_MICROSECONDS;
}

static void ask_to_end(struct supervisor *supervisor, enum state state, int signal)
{
	sandbox_signal(supervisor->sandbox, signal);
	supervisor->state = state;
	supervisor->deadline = clock_boottime() + GRACE_MICROSECONDS;
	supervisor->due = clock_boottime() + PAUSE_MICROSECONDS_MAX;
}

/* What comes next for those that have not ended. PID 1 says when no process is left, but to it one that has ended and was not
 * waited for is one: its parent, outside, may take his time. */
static void urge(struct supervisor *supervisor)
{
	if (sandbox_is_deserted(supervisor->sandbox))
		kill_all(supervisor);
	else if (supervisor->state == LEAVING)
		ask_to_end(supervisor, TERMINATED, SIGTERM);
	else if (clock_boottime() < supervisor->deadline)
		supervisor->due = clock_boottime() + PAUSE_MICROSECONDS_MAX;
	else if (supervisor->state == TERMINATED)
		ask_to_end(supervisor, HUNG_UP, SIGHUP);
	else
		kill_all(supervisor);
}

static void log_sandbox(const struct sandbox *sandbox, const struct account *account)
{
	const struct session *session = sandbox->sessions;
	const struct account_session end = {
		.id = sandbox->shared ? NULL : session->id,
		.sandbox = sandbox->id,
		.user = sandbox->user,
		.service = session->service,
		.tty = session->tty,
		.uid = sandbox->uid,
		.duration_us = clock_boottime() - sandbox->since,
	};

	account_log(&end, account);
}

/* In a group of systemd's it is PID 1 that is waited for, and init_ended() says when. */
static void try_again(struct supervisor *supervisor)
{
	if (!supervisor->sandbox->has_cgroup || supervisor->sandbox->cgroup.owner != CGROUP_OURS) {
		supervisor->due = NEVER;
		return;
	}
	supervisor->due = clock_boottime() + supervisor->pause;
	supervisor->pause = supervisor->pause < PAUSE_MICROSECONDS_MAX ? 2 * supervisor->pause : PAUSE_MICROSECONDS_MAX;
}

/* The groups are removed as soon as the last process has gone, and read before. */
static void clear(struct supervisor *supervisor)
{
	struct sandbox *sandbox = supervisor->sandbox;
	struct account account;
	struct error err;
	int r;

	/* Should it not have worked the first time; that was told. */
	sandbox_kill(sandbox, NULL);
	/* Not to be removed before it was read: the last process may end between the two. */
	if (!sandbox->is_accounted && !sandbox_is_empty(sandbox)) {
		try_again(supervisor);
		return;
	}
	if (!sandbox->is_accounted) {
		/* The user's slice has counted since it is there; his logins have their own numbers. */
		if (!sandbox->cgroup.is_users)
			account_read(&sandbox->cgroup, &account);
		log_sandbox(sandbox, sandbox->cgroup.is_users ? NULL : &account);
		sandbox->is_accounted = true;
	}
	r = sandbox_clear(sandbox, &err);
	if (r == -EBUSY) {
		try_again(supervisor);
		return;
	}
	if (r < 0)
		complain(supervisor, sandbox->id, &err);
	sandbox->leaves_remains = r < 0;
	supervisor->state = CLEARED;
	supervisor->due = NEVER;
}

/* ---- the time that a sandbox may last ---- */

static void tell_of_time(struct supervisor *supervisor, const char *line)
{
	const struct sandbox *sandbox = supervisor->sandbox;
	pid_t leaders[LEADERS_TOLD_MAX];
	struct notice_sandbox who = notice_for(sandbox, leaders);

	notice_text(&supervisor->notices, &who, line);
	syslog(LOG_NOTICE, "session %s of %s: %s", sandbox->id, sandbox->user, line + strlen("pam_isolate: "));
}

static void tell_time_is_near(struct supervisor *supervisor)
{
	const struct sandbox *sandbox = supervisor->sandbox;
	char all[DURATION_SIZE], left[DURATION_SIZE], line[256];

	supervisor->warn_at = NEVER;
	if (supervisor->state != RUNNING)
		return;
	format_duration(sandbox->runtime_max / 1000000, all);
	format_duration((supervisor->end_at - clock_boottime() + 500000) / 1000000, left);
	snprintf(line, sizeof(line), "pam_isolate: your session may last %s (RuntimeMaxSec=), and ends in %s. Save your work.",
		all, left);
	tell_of_time(supervisor, line);
}

static void end_for_time(struct supervisor *supervisor)
{
	char all[DURATION_SIZE], line[256];

	supervisor->end_at = NEVER;
	if (supervisor->state != RUNNING)
		return;
	format_duration(supervisor->sandbox->runtime_max / 1000000, all);
	snprintf(line, sizeof(line), "pam_isolate: your session has lasted %s (RuntimeMaxSec=), and ends now.", all);
	begin_end(supervisor);
	supervisor->due = clock_boottime() + TOLD_MICROSECONDS;
	tell_of_time(supervisor, line);
}

/* Five minutes before the end; of a short time when a quarter of it is left. */
static void set_alarms(struct supervisor *supervisor)
{
	uint64_t most = supervisor->sandbox->runtime_max;

	supervisor->warn_at = supervisor->end_at = NEVER;
	if (most == 0)
		return;
	supervisor->end_at = supervisor->sandbox->since + most;
	supervisor->warn_at = supervisor->end_at - (most / 4 < WARN_MICROSECONDS ? most / 4 : WARN_MICROSECONDS);
}

/* ---- sessions come and go ---- */

/* What a login of a shared sandbox has used itself is known where systemd has given it a group of its own; that is gone when the
 * leader goes on. */
static void read_account(const struct sandbox *sandbox, const struct session *session, struct account *ret_account)
{
	struct cgroup own = sandbox->cgroup;

	memset(ret_account, 0xff, sizeof(*ret_account)); /* ACCOUNT_UNKNOWN */
	if (!sandbox->cgroup.is_users)
		return;
	memcpy(own.path, session->stay.path, sizeof(own.path));
	own.is_users = false;
	account_read(&own, ret_account);
}

static void log_session(const struct sandbox *sandbox, const struct session *session, const struct account *account)
{
	const struct account_session end = {
		.id = session->id,
		.sandbox = sandbox->id,
		.user = sandbox->user,
		.service = session->service,
		.tty = session->tty,
		.uid = sandbox->uid,
		.duration_us = clock_boottime() - session->since,
	};

	account_log(&end, account);
}

/* The last one out ends it, or leaves it to what he has left running. */
static void after_leave(struct supervisor *supervisor, const struct session *session, const struct account *account)
{
	struct sandbox *sandbox = supervisor->sandbox;
	struct error err;

	if (sandbox->shared)
		log_session(sandbox, session, account);
	if (supervisor->state != RUNNING || sandbox_count(sandbox) > 0)
		return;
	if (!sandbox->outlives_logout) {
		begin_end(supervisor);
		return;
	}
	if (sandbox_note_logout(sandbox, &err) < 0)
		complain(supervisor, sandbox->id, &err);
	ask_if_empty(supervisor);
}

static int leave(struct supervisor *supervisor, struct session *session, struct error *err)
{
	int r = sandbox_leave(supervisor->sandbox, session, err);

	if (r < 0)
		complain(supervisor, session->id, err);
	return r;
}

static void leader_ended(struct supervisor *supervisor, void *object)
{
	struct session *session = object;
	struct account account;
	struct error err;

	if (session->leader == 0)
		return;
	read_account(supervisor->sandbox, session, &account);
	leave(supervisor, session, &err);
	after_leave(supervisor, session, &account);
}

/* One request of root's: the socket lies in a directory of root's, so that whoever can connect is root. */
static bool asks_to_close(int peer)
{
	struct control_request request;

	return wait_readable(peer, PEER_MILLISECONDS) >= 0 &&
	       receive_message(peer, &request, sizeof(request), NULL, NULL) == sizeof(request) &&
	       request.magic == PROTOCOL_MAGIC && request.kind == CONTROL_CLOSE;
}

/* The leader is answered when he is home. He need not wait for the rest, and the rest may have to wait for him: PID 1 cannot end
 * before he has waited for his children. */
static void control_called(struct supervisor *supervisor, void *object)
{
	struct control_reply reply = { .magic = PROTOCOL_MAGIC };
	struct session *session = object;
	struct account account;
	AUTO_CLOSE int peer = accept4(session->record.control, NULL, NULL, SOCK_CLOEXEC);

	if (peer < 0)
		poll(NULL, 0, FAILED_MILLISECONDS);
	if (peer < 0 || session->leader == 0 || !asks_to_close(peer))
		return;
	read_account(supervisor->sandbox, session, &account);
	leave(supervisor, session, &reply.err);
	send_message(peer, &reply, sizeof(reply), NULL, 0);
	after_leave(supervisor, session, &account);
}

static void joiner_calls(struct supervisor *supervisor, void *object)
{
	AUTO_CLOSE int socket = accept4(supervisor->sandbox->joins, NULL, NULL, SOCK_CLOEXEC);
	struct joiner *joiner = socket < 0 ? NULL : malloc(sizeof(*joiner));

	(void)object;
	if (!joiner)
		poll(NULL, 0, FAILED_MILLISECONDS);
	if (!joiner || join_offer(supervisor->sandbox, socket) < 0) {
		free(joiner);
		return;
	}
	*joiner = (struct joiner){ .next = supervisor->joiners, .socket = take_fd(&socket) };
	supervisor->joiners = joiner;
}

static void joiner_answers(struct supervisor *supervisor, void *object)
{
	struct joiner *joiner = object;

	for (struct joiner **link = &supervisor->joiners; *link; link = &(*link)->next)
		if (*link == joiner) {
			*link = joiner->next;
			join_admit(supervisor->sandbox, joiner->socket);
			close(joiner->socket);
			free(joiner);
			return;
		}
}

/* ---- PID 1 ---- */

static void init_ended(struct supervisor *supervisor, void *object)
{
	(void)object;
	if (supervisor->state < KILLED)
		kill_all(supervisor);
	else
		supervisor->due = clock_boottime();
}

/* No process is left. Unless somebody has come meanwhile. */
static void init_answers(struct supervisor *supervisor, void *object)
{
	char answer;

	(void)object;
	if (recv(supervisor->sandbox->init_socket, &answer, sizeof(answer), MSG_DONTWAIT) != sizeof(answer)) {
		cleanup_close(&supervisor->sandbox->init_socket);
		return;
	}
	if (answer != supervisor->question || supervisor->state >= KILLED)
		return;
	if (supervisor->state != RUNNING || sandbox_count(supervisor->sandbox) == 0)
		kill_all(supervisor);
}

/* ---- the loop ---- */

/* What a handler removes, others of the same round may still be called for: sessions are freed after it. A joiner is his own. The
 * fds of the limits stand behind the n others. */
struct round {
	struct pollfd *polled;
	struct watch *watches;
	size_t n, room;
};

/* Who finds no place for want of memory is looked after in a later round. */
static void add(struct round *round, int fd, void (*ready)(struct supervisor *, void *), void *object)
{
	if (fd < 0 || round->n == round->room)
		return;
	round->polled[round->n] = (struct pollfd){ .fd = fd, .events = POLLIN };
	round->watches[round->n++] = (struct watch){ .ready = ready, .object = object };
}

static void make_room(struct round *round, size_t needed)
{
	struct pollfd *polled;
	struct watch *watches;

	if (needed <= round->room)
		return;
	polled = reallocarray(round->polled, needed + LIMIT_EVENTS_FDS, sizeof(*polled));
	round->polled = polled ? polled : round->polled;
	watches = polled ? reallocarray(round->watches, needed, sizeof(*watches)) : NULL;
	round->watches = watches ? watches : round->watches;
	round->room = watches ? needed : round->room;
}

static size_t count_watches(const struct supervisor *supervisor)
{
	size_t n = 3;

	for (const struct session *session = supervisor->sandbox->sessions; session; session = session->next)
		n += 2;
	for (const struct joiner *joiner = supervisor->joiners; joiner; joiner = joiner->next)
		n++;
	return n;
}

/* Returns how many milliseconds it may take until the next round though nothing happens, or -1. */
static int arrange(struct supervisor *supervisor, struct round *round)
{
	struct sandbox *sandbox = supervisor->sandbox;

	make_room(round, count_watches(supervisor));
	round->n = 0;
	if (!round->polled)
		return RETRY_MILLISECONDS;
	add(round, sandbox->init_pidfd, init_ended, NULL);
	add(round, sandbox->init_socket, init_answers, NULL);
	add(round, sandbox->joins, joiner_calls, NULL);
	for (struct session *session = sandbox->sessions; session; session = session->next) {
		add(round, session->leader_pidfd, leader_ended, session);
		add(round, session->record.control, control_called, session);
	}
	for (struct joiner *joiner = supervisor->joiners; joiner; joiner = joiner->next)
		add(round, joiner->socket, joiner_answers, joiner);
	return limit_events_watch(&supervisor->events, round->polled + round->n);
}

/*
 * What the way here has left on the stack below us is of no use for the hours to come: a third of all the memory that a session
 * costs. ENOMEM is the answer where the stack does not reach as far down.
 */
static void forget_stack(void)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), end;
	char here;

	/* Room for the frames of the call itself. */
	end = ((uintptr_t)&here - 1024) & ~(page - 1);
	madvise((void *)(end - STACK_USED_MAX), STACK_USED_MAX, MADV_DONTNEED);
}

static volatile sig_atomic_t told_to_end;

static void note_signal(int signal)
{
	(void)signal;
	told_to_end = 1;
}

/* Of all signals that root could send SIGTERM alone means something, and arrives in ppoll(2) only: systemd stops a scope by it.
 */
static sigset_t set_signals(void)
{
	struct sigaction note = { .sa_handler = note_signal };
	sigset_t waiting;

	sigaction(SIGTERM, &note, NULL);
	sigfillset(&waiting);
	sigdelset(&waiting, SIGTERM);
	return waiting;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Milliseconds, -1 for never, as a time. */
static uint64_t in_milliseconds(uint64_t now, int milliseconds)
{
	return milliseconds < 0 ? NEVER : now + (uint64_t)milliseconds * 1000;
}

/* When something is due though nothing happens. */
static uint64_t next_time(const struct supervisor *supervisor, int limits)
{
	uint64_t now = clock_boottime(), due = sooner(supervisor->due, sooner(supervisor->warn_at, supervisor->end_at));

	due = sooner(due, in_milliseconds(now, limits));
	return sooner(due, in_milliseconds(now, notice_milliseconds(&supervisor->notices)));
}

static void wait_for_events(struct supervisor *supervisor, struct round *round, const sigset_t *waiting)
{
	uint64_t due = next_time(supervisor, arrange(supervisor, round)), now = clock_boottime(),
		 left = due > now ? due - now : 0;
	const struct timespec time = { .tv_sec = (time_t)(left / 1000000), .tv_nsec = (long)(left % 1000000 * 1000) };

	forget_stack();
	if (ppoll(round->polled, round->polled ? round->n + LIMIT_EVENTS_FDS : 0, due == NEVER ? NULL : &time, waiting) < 0)
		return;
	if (round->polled && supervisor->state < KILLED)
		tell_of_limits(supervisor, round->polled + round->n);
	for (size_t i = 0; i < round->n; i++)
		if (round->polled[i].revents)
			round->watches[i].ready(supervisor, round->watches[i].object);
}

/* What is to be done by now. */
static void step(struct supervisor *supervisor)
{
	uint64_t now = clock_boottime();

	if (told_to_end)
		begin_end(supervisor);
	if (now >= supervisor->end_at)
		end_for_time(supervisor);
	else if (now >= supervisor->warn_at)
		tell_time_is_near(supervisor);
	if (clock_boottime() < supervisor->due)
		return;
	switch (supervisor->state) {
	case LEAVING:
	case TERMINATED:
	case HUNG_UP:
		urge(supervisor);
		break;
	case KILLED:
		clear(supervisor);
		break;
	case RUNNING:
	case CLEARED:
		break;
	}
}

int supervise(struct sandbox *sandbox)
{
	struct supervisor supervisor = { .sandbox = sandbox, .due = NEVER, .events = LIMIT_EVENTS_NONE };
	struct round round = { .n = 0 };
	sigset_t waiting = set_signals();
	struct error err;

	/* In a scope of systemd's we share the CPU with all that the user runs: who does not let go of it would not be ended. */
	setpriority(PRIO_PROCESS, 0, PRIO_MIN);
	set_alarms(&supervisor);
	/* The user goes without notices then. */
	if (limit_events_open(&sandbox->cgroup, &supervisor.events, &err) < 0)
		complain(&supervisor, sandbox->id, &err);

	while (supervisor.state != CLEARED || sandbox_count(sandbox) > 0) {
		wait_for_events(&supervisor, &round, &waiting);
		step(&supervisor);
		sandbox_sweep(sandbox);
	}
	free(round.polled);
	free(round.watches);
	sandbox_release(sandbox);
	return supervisor.failed;
}
