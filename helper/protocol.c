/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/protocol.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct request request_to_collect(const char *id)
{
	struct request request = { .magic = PROTOCOL_MAGIC, .kind = id ? REQUEST_COLLECT : REQUEST_COLLECT_ALL, .user = "-" };

	snprintf(request.id, sizeof(request.id), "%s", id ? id : "00000000-0000-0000-0000-000000000000");
	return request;
}

/* Terminated, and nothing in it that could break a path, a record or a log line. */
static bool is_plain(const char *text, size_t size, bool slash)
{
	if (!memchr(text, '\0', size))
		return false;
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f || (*text == '/' && !slash))
			return false;
	return true;
}

static bool is_uuid(const char *id)
{
	for (size_t i = 0; i < SESSION_ID_SIZE - 1; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? id[i] != '-' : !id[i] || !strchr("0123456789abcdef", id[i]))
			return false;
	}
	return id[SESSION_ID_SIZE - 1] == '\0';
}

static bool is_absolute_or_empty(const char *path)
{
	return path[0] == '\0' || path[0] == '/';
}

int request_check(const struct request *request, size_t size, struct error *err)
{
	const struct request_group *groups = request_groups(request);

	if (size < sizeof(*request) || request->magic != PROTOCOL_MAGIC)
		return error_set(err, EPROTO, "request", "not from a pam_isolate of this version");
	if (request->kind < REQUEST_OPEN || request->kind > REQUEST_COLLECT_ALL)
		return error_set(err, EPROTO, "request", "unknown kind %u", request->kind);
	if (request->n_groups > REQUEST_GROUPS_MAX || size != sizeof(*request) + request->n_groups * sizeof(*groups))
		return error_set(err, EPROTO, "request", "wrong size");
	if (!is_uuid(request->id))
		return error_set(err, EPROTO, "request", "the session's id is not a UUID");
	if (!is_plain(request->user, sizeof(request->user), false) || request->user[0] == '\0' || request->user[0] == '.')
		return error_set(err, EPROTO, "request", "a user name that cannot be used");
	if (!is_plain(request->service, sizeof(request->service), false) || !is_plain(request->tty, sizeof(request->tty), true) ||
		!is_plain(request->shell, sizeof(request->shell), true) ||
		!is_plain(request->policy, sizeof(request->policy), true))
		return error_set(err, EPROTO, "request", "a service, terminal, shell or policy name that cannot be used");
	if (!is_absolute_or_empty(request->shell) || !is_absolute_or_empty(request->policy))
		return error_set(err, EPROTO, "request", "a shell or policy path that is not absolute");
	if (request->uid == (uint32_t)-1 || request->gid == (uint32_t)-1)
		return error_set(err, EPROTO, "request", "uid or gid -1");
	for (size_t i = 0; i < request->n_groups; i++)
		if (!is_plain(groups[i].name, sizeof(groups[i].name), true) || groups[i].gid == (uint32_t)-1)
			return error_set(err, EPROTO, "request", "group %zu cannot be used", i);
	return 0;
}
