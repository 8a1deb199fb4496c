/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/client.h"

#include "helper/spawn.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/syscalls.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HELPER LIBEXECDIR "/isolate-helper"

void client_release(struct client *client)
{
	cleanup_close(&client->socket);
	cleanup_close(&client->pidfd);
}

int client_start(struct client *ret_client, struct error *err)
{
	int r = spawn_program(HELPER, NULL, &ret_client->socket, &ret_client->pidfd);

	return r < 0 ? error_set(err, -r, "helper", "start " HELPER) : 0;
}

void client_answer_release(struct client_answer *answer)
{
	cleanup_close(&answer->init);
	cleanup_close(&answer->mountns);
	cleanup_close(&answer->supervisor);
	cleanup_close(&answer->cgroupns);
}

static void close_all(int fds[MESSAGE_FDS_MAX])
{
	for (size_t i = 0; i < MESSAGE_FDS_MAX; i++)
		cleanup_close(&fds[i]);
}

static int take_reply(int socket, struct client_answer *answer, struct error *err)
{
	struct reply reply;
	int fds[MESSAGE_FDS_MAX] = { -1, -1, -1, -1 };
	size_t n_fds = 0;
	ssize_t n = receive_message(socket, &reply, sizeof(reply), fds, &n_fds);

	if (n == sizeof(reply) && reply.magic == PROTOCOL_MAGIC) {
		answer->kind = (enum reply_kind)reply.kind;
		answer->collected = reply.collected;
		if (reply.kind == REPLY_SANDBOX && n_fds > REPLY_FD_SUPERVISOR) {
			answer->namespaces = reply.namespaces;
			answer->userns = reply.userns;
			answer->init = fds[REPLY_FD_INIT];
			answer->mountns = fds[REPLY_FD_MOUNTNS];
			answer->supervisor = fds[REPLY_FD_SUPERVISOR];
			answer->cgroupns = fds[REPLY_FD_CGROUPNS];
			snprintf(answer->banner, sizeof(answer->banner), "%.*s", (int)sizeof(reply.banner) - 1, reply.banner);
			return 0;
		}
		if (reply.kind == REPLY_DONE && n_fds == 0)
			return 0;
		if (reply.kind == REPLY_ERROR && n_fds == 0 && reply.err.errnum > 0) {
			if (err)
				*err = reply.err;
			return -reply.err.errnum;
		}
	}
	close_all(fds);
	if (n < 0)
		return error_set(err, (int)-n, "helper", "receive the answer of " HELPER);
	if (n == 0)
		return error_set(err, EPIPE, "helper", HELPER " ended without an answer");
	return error_set(err, EPROTO, "helper", HELPER " is not of this version");
}

int client_ask(
	struct client *client, const struct request *request, size_t size, struct client_answer *ret_answer, struct error *err)
{
	struct client_answer answer = CLIENT_ANSWER_NONE;
	int r = send_message(client->socket, request, size, NULL, 0);

	/* EPIPE: it has ended; if it left word, that says why. */
	if (r < 0 && r != -EPIPE)
		return error_set(err, -r, "helper", "send the request");
	r = wait_readable(client->socket, CLIENT_OPEN_MILLISECONDS);
	if (r < 0) {
		sys_pidfd_send_signal(client->pidfd, SIGKILL);
		return error_set(err, -r, "helper", HELPER " does not answer");
	}
	r = take_reply(client->socket, &answer, err);
	client->answered = answer.kind != 0;
	*ret_answer = answer;
	return r;
}

int client_collect(const char *id, uint32_t *ret_collected, struct error *err)
{
	const struct request request = request_to_collect(id);
	struct client_answer answer = CLIENT_ANSWER_NONE;
	struct client helper = CLIENT_NONE;
	int r = client_start(&helper, err);

	if (r >= 0)
		r = client_ask(&helper, &request, sizeof(request), &answer, err);
	client_release(&helper);
	client_answer_release(&answer);
	if (ret_collected)
		*ret_collected = answer.collected;
	return r;
}

/* By its path: in the sandbox's view there is no /proc/self for a leader, whose pid is the host's. record_make() has seen to its
 * length. */
static int connect_supervisor(const char *id, int *ret_socket)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int n = snprintf(address.sun_path, sizeof(address.sun_path), RUNSTATEDIR "/pam_isolate/%s/control", id);

	if (n < 0 || (size_t)n >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	*ret_socket = take_fd(&fd);
	return 0;
}

int client_reach(const char *id, struct client *ret_client, struct error *err)
{
	AUTO_CLOSE int socket = -1;
	int r = connect_supervisor(id, &socket);
	pid_t pid;

	if (r >= 0)
		r = open_peer(socket, &pid);
	if (r == -ECONNREFUSED || r == -ENOENT || r == -ESRCH)
		return error_set(err, ESRCH, "close", "session %s has no supervisor", id);
	if (r < 0)
		return error_set(err, -r, "close", "reach the supervisor of session %s", id);
	*ret_client = (struct client){ .socket = take_fd(&socket), .pidfd = r };
	return 0;
}

int client_close(struct client *client, struct error *err)
{
	struct control_request request = { .magic = PROTOCOL_MAGIC, .kind = CONTROL_CLOSE };
	struct control_reply reply;
	ssize_t n = send_message(client->socket, &request, sizeof(request), NULL, 0);

	if (n >= 0)
		n = wait_readable(client->socket, CLIENT_CLOSE_MILLISECONDS);
	if (n >= 0)
		n = receive_message(client->socket, &reply, sizeof(reply), NULL, NULL);
	if (n == 0 || n == -EPIPE || n == -ECONNRESET)
		return error_set(err, ESRCH, "close", "the supervisor has ended");
	if (n < 0)
		return error_set(err, (int)-n, "close", "the supervisor does not answer");
	if (n != sizeof(reply) || reply.magic != PROTOCOL_MAGIC)
		return error_set(err, EPROTO, "close", "the supervisor is not of this version");
	client->answered = true;
	if (reply.err.errnum > 0) {
		if (err)
			*err = reply.err;
		return -reply.err.errnum;
	}
	return 0;
}
