/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/session.h"

#include "lib/cleanup.h"
#include "lib/clock.h"

#include <poll.h>
#include <string.h>

struct session *session_new(const struct request *request, pid_t leader, int leader_pidfd)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	*session = (struct session){
		.service = strdup(request->service),
		.tty = strdup(request->tty),
		.leader = leader,
		.leader_pidfd = -1,
		.record = RECORD_NONE,
		.since = clock_boottime(),
		.started = time(NULL),
	};
	memcpy(session->id, request->id, sizeof(session->id));
	if (!session->service || !session->tty) {
		session_free(session, NULL);
		return NULL;
	}
	session->leader_pidfd = leader_pidfd;
	return session;
}

void session_forget_leader(struct session *session)
{
	session->leader = 0;
	cleanup_close(&session->leader_pidfd);
	cleanup_close(&session->record.control);
}

void session_free(struct session *session, const struct record_store *store)
{
	session_forget_leader(session);
	if (store)
		record_remove(store, &session->record);
	else
		record_abandon(&session->record);
	free(session->stay.home);
	free(session->service);
	free(session->tty);
	free(session);
}

bool session_leader_lives(const struct session *session)
{
	struct pollfd ended = { .fd = session->leader_pidfd, .events = POLLIN };

	/* In doubt he does: sent home he may come to no harm. */
	return session->leader_pidfd >= 0 && poll(&ended, 1, 0) <= 0;
}
