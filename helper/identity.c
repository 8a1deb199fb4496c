/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/identity.h"

#include "lib/cleanup.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <uuid/uuid.h>

int identity_copy(char *field, size_t size, const char *text, const char *what, struct error *err)
{
	size_t length = strlen(text);

	if (length >= size)
		return error_set(err, ENAMETOOLONG, "request", "the %s is longer than %zu bytes", what, size - 1);
	memcpy(field, text, length + 1);
	return 0;
}

/* Sets name, empty for a gid without one. Returns whether there is one, or a negative errno. */
static int look_up(gid_t gid, struct request_group *group, struct error *err)
{
	char room[65536]; /* the group's members, which nobody here wants, come along */
	struct group entry, *found = NULL;
	int r = getgrgid_r(gid, &entry, room, sizeof(room), &found);

	/* Too many members for the room: the name would be lost, and with it a section of the policy. */
	if (r != 0 && r != ENOENT && r != ESRCH)
		return error_set(err, r, "user", "look up group %u", gid);
	if (!found)
		return 0;
	r = identity_copy(group->name, sizeof(group->name), found->gr_name, "name of a group", err);
	return r < 0 ? r : 1;
}

/*
 * NSS says "there is none" also when it could not look (nsswitch.conf(5) goes on to the next source), and a group that is missed
 * may be one that limits him. So what is not there is looked for twice, and gid 0, which always is, must be.
 */
static int fill_group(gid_t gid, struct request_group *group, struct error *err)
{
	struct request_group root = { .gid = 0 };
	int r = look_up(gid, group, err);

	group->gid = gid;
	if (r == 0)
		r = look_up(gid, group, err);
	if (r != 0)
		return r;
	r = look_up(root.gid, &root, err);
	/* A gid without a name is mapped, and matches no [group] section. */
	return r != 0 ? r : error_set(err, EIO, "user", "look up group %u: not even gid 0 is known", gid);
}

/* Twice, for the same reason. */
static int list_groups(const struct passwd *entry, gid_t gids[REQUEST_GROUPS_MAX], struct error *err)
{
	gid_t again[REQUEST_GROUPS_MAX];
	struct request_group root;
	int n = REQUEST_GROUPS_MAX, m = REQUEST_GROUPS_MAX, r;

	if (getgrouplist(entry->pw_name, entry->pw_gid, gids, &n) < 0 ||
		getgrouplist(entry->pw_name, entry->pw_gid, again, &m) < 0)
		return error_set(err, E2BIG, "user", "%s is in more than %d groups", entry->pw_name, REQUEST_GROUPS_MAX);
	if (n != m || memcmp(gids, again, (size_t)n * sizeof(*gids)) != 0)
		return error_set(err, EIO, "user", "the groups of %s are not the same when asked for again", entry->pw_name);
	r = look_up(0, &root, err);
	if (r == 0)
		r = error_set(err, EIO, "user", "the groups of %s: not even gid 0 is known", entry->pw_name);
	return r < 0 ? r : n;
}

static int fill_groups(const struct passwd *entry, struct request *request, struct error *err)
{
	struct request_group *groups = (struct request_group *)(void *)(request + 1);
	gid_t gids[REQUEST_GROUPS_MAX];
	int n = list_groups(entry, gids, err);

	if (n < 0)
		return n;
	for (int i = 0; i < n; i++) {
		int r = fill_group(gids[i], &groups[i], err);

		if (r < 0)
			return r;
	}
	request->n_groups = (uint32_t)n;
	return 0;
}

int identity_request(const struct passwd *entry, struct request **ret_request, size_t *ret_size, struct error *err)
{
	AUTO_FREE struct request *request = calloc(1, REQUEST_SIZE_MAX);
	uuid_t id;
	int r;

	if (!request)
		return error_set(err, ENOMEM, "request", "memory");
	uuid_generate_random(id);
	uuid_unparse_lower(id, request->id);
	request->magic = PROTOCOL_MAGIC;
	request->kind = REQUEST_OPEN;
	request->uid = entry->pw_uid;
	request->gid = entry->pw_gid;
	r = identity_copy(request->user, sizeof(request->user), entry->pw_name, "user's name", err);
	if (r >= 0)
		r = identity_copy(request->shell, sizeof(request->shell), entry->pw_shell, "user's shell", err);
	if (r >= 0)
		r = fill_groups(entry, request, err);
	if (r < 0)
		return r;
	*ret_size = sizeof(*request) + request->n_groups * sizeof(struct request_group);
	*ret_request = take_ptr(request);
	return 0;
}
