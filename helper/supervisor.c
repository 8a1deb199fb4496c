/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/supervisor.h"

#include "lib/cleanup.h"
#include "lib/fd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

/* How long a peer on the control socket may keep the supervisor waiting: it is root, and one of ours. */
#define PEER_MILLISECONDS 1000
#define STACK_USED_MAX (256 * 1024)

static void complain(const struct sandbox *sandbox, const struct error *err)
{
	char line[ERROR_LINE_MAX];

	syslog(LOG_ERR, "session %s: %s", sandbox->record.id, error_line(err, line, sizeof(line)));
}

/* One request of root's. True: the session is to end; *ret_peer then waits for the answer. */
static bool asks_to_close(int control, int *ret_peer)
{
	AUTO_CLOSE int peer = accept4(control, NULL, NULL, SOCK_CLOEXEC);
	struct control_request request;
	int fds[MESSAGE_FDS_MAX] = { -1, -1, -1, -1 };
	size_t n_fds = 0;
	bool ok;

	/* The socket lies in a directory of root's: whoever can connect is root. */
	ok = peer >= 0 && wait_readable(peer, PEER_MILLISECONDS) >= 0 &&
	     receive_message(peer, &request, sizeof(request), fds, &n_fds) == sizeof(request) &&
	     request.magic == PROTOCOL_MAGIC && request.kind == CONTROL_CLOSE;
	for (size_t i = 0; i < n_fds; i++)
		cleanup_close(&fds[i]);
	if (ok)
		*ret_peer = take_fd(&peer);
	return ok;
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

enum { LEADER, INIT, CONTROL, WATCHED };

/* Blocks until the session is to end. *ret_peer: who asked for it, or -1. */
static void watch(const struct sandbox *sandbox, int *ret_peer)
{
	struct pollfd watched[WATCHED] = {
		[LEADER] = { .fd = sandbox->leader_pidfd, .events = POLLIN },
		[INIT] = { .fd = sandbox->init_pidfd, .events = POLLIN },
		[CONTROL] = { .fd = sandbox->record.control, .events = POLLIN },
	};

	do {
		if (poll(watched, WATCHED, -1) < 0)
			continue;
		if (watched[CONTROL].revents && asks_to_close(sandbox->record.control, ret_peer))
			return;
	} while (!watched[LEADER].revents && !watched[INIT].revents);
}

static void answer(int *peer, const struct control_reply *reply)
{
	if (*peer >= 0)
		send_message(*peer, reply, sizeof(*reply), NULL, 0);
	cleanup_close(peer);
}

int supervise(struct sandbox *sandbox)
{
	struct control_reply reply = { .magic = PROTOCOL_MAGIC };
	struct error err;
	AUTO_CLOSE int peer = -1;
	bool closed;
	int ended, cleared;

	forget_stack();
	watch(sandbox, &peer);
	closed = peer >= 0;
	ended = sandbox_end(sandbox, &reply.err);
	if (ended < 0)
		complain(sandbox, &reply.err);
	/* The leader is home. It need not wait for the rest, and the rest may have to wait for it: see reap(). */
	answer(&peer, &reply);
	cleared = sandbox_clear(sandbox, &err);
	if (cleared < 0)
		complain(sandbox, &err);
	/* When PID 1 was killed, the leader still stands in its namespaces, and finds the way out by ours. */
	if (!closed)
		watch(sandbox, &peer);
	answer(&peer, &reply);
	sandbox_release(sandbox);
	return ended < 0 || cleared < 0;
}
