/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/collect.h"

#include "helper/cgroup.h"
#include "helper/protocol.h"
#include "helper/record.h"
#include "helper/shared.h"
#include "helper/spawn.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#define HELPER LIBEXECDIR "/isolate-helper"
/* A look at all records costs some microseconds for each. */
#define COLLECT_MILLISECONDS 1000
/* How long the groups may take to become empty, and a killed supervisor to end. */
#define TRIES 200
#define PAUSE_MILLISECONDS 5

/* ---- one session ---- */

/* Killed processes take a moment. 1: somebody is in them still. */
static int remove_groups(struct cgroup *cgroup, int lock, struct error *err)
{
	int r = cgroup_remove(cgroup, lock, err);

	for (int tries = 0; r == -EBUSY && tries < TRIES; tries++) {
		poll(NULL, 0, PAUSE_MILLISECONDS);
		r = cgroup_remove(cgroup, lock, err);
	}
	return r == -EBUSY ? 1 : r;
}

/* Whether a process is in the group of any hierarchy, or below it: who was on his way out when the supervisor was killed is still
 * in some. A leader whose pid is another's by now is in none. */
static int is_in(const struct cgroup *cgroup, pid_t pid, struct error *err)
{
	size_t length = strlen(cgroup->path);
	AUTO_FREE char *groups = NULL;
	int r = cgroup_read_home(pid, &groups, err);

	if (r < 0)
		return r == -ENOENT || r == -ESRCH ? 0 : r;
	for (const char *line = groups; line; line = strchr(line, '\n')) {
		const char *path = strchr(line, '/');

		line += *line == '\n';
		if (path && strncmp(path, cgroup->path, length) == 0 && strchr("/\n", path[length]))
			return 1;
	}
	return 0;
}

static int clear_groups(
	const struct record_store *store, const struct record_remains *remains, struct cgroup *cgroup, struct error *err)
{
	int has_leader = is_in(cgroup, remains->leader, err);
	int sent = 0, killed = 0, removed;

	if (has_leader < 0)
		return has_leader;
	/* Started by him, we are where he is. */
	if (is_in(cgroup, getpid(), NULL) > 0)
		cgroup_send_home(cgroup, remains->home, getpid(), NULL);
	if (has_leader)
		sent = cgroup_send_home(cgroup, remains->home, remains->leader, err);
	if (!remains->pidns)
		killed = cgroup_kill(cgroup, remains->leader, err);
	removed = remove_groups(cgroup, store->lock, err);
	if (removed <= 0)
		return removed;
	if (sent < 0 || killed < 0)
		return sent < 0 ? sent : killed;
	/* Groups that another leader of a shared sandbox is still in are left to his record. */
	if (is_in(cgroup, remains->leader, NULL) != 0)
		return error_set(err, EBUSY, "cgroup", "process %d is still in %s", remains->leader, cgroup->path);
	return 0;
}

/* name: of the record's directory. 1: done; -EBUSY: it is looked after; -ENOENT: it is gone. A record stays when what it tells of
 * stays.
 */
static int collect_record(const struct record_store *store, const char *name, struct error *err)
{
	struct record_remains remains = { .home = NULL };
	struct record record = RECORD_NONE;
	struct cgroup cgroup;
	int r = record_take_over(store, name, &record, &remains, err);

	if (r >= 0 && remains.cgroup[0]) {
		r = cgroup_find(remains.cgroup, remains.owner, &cgroup, err);
		if (r >= 0) {
			r = clear_groups(store, &remains, &cgroup, err);
			cgroup_release(&cgroup);
		}
	}
	free(remains.home);
	if (r >= 0)
		record_remove(store, &record);
	cleanup_close(&record.session);
	return r < 0 ? r : 1;
}

/* ---- all of them ---- */

struct collection {
	const struct record_store *store;
	uint32_t collected;
	int result; /* 0, or a negative errno: the last, and its error */
	struct error err;
};

/* One that cannot be removed does not keep the others. */
static void count(struct collection *collection, int r, const struct error *err)
{
	if (r >= 0) {
		collection->collected += (uint32_t)r;
		return;
	}
	collection->result = r;
	collection->err = *err;
}

/* function gets each name in directory that does not start with a dot, or does. */
static void for_each_name(struct collection *collection, int directory, bool hidden,
	int (*function)(const struct record_store *store, const char *name, struct error *err))
{
	AUTO_CLOSE int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSEDIR DIR *names = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	struct error err;

	if (!names) {
		count(collection, error_set(&err, errno, "collect", "directory"), &err);
		return;
	}
	fd = -1;
	while ((entry = readdir(names)))
		if ((entry->d_name[0] == '.') == hidden && strlen(entry->d_name) <= SESSION_ID_SIZE)
			count(collection, function(collection->store, entry->d_name, &err), &err);
}

/* "<id>", or ".<id>": a claim. */
static int collect_one(const struct record_store *store, const char *name, struct error *err)
{
	int r = 0;

	if (strlen(name) == SESSION_ID_SIZE - (name[0] != '.'))
		r = collect_record(store, name, err);
	if (r == -ENOENT)
		r = record_clean(store, name);
	return r == -EBUSY ? 0 : r;
}

/* "<name>" or "<name>.lock". */
static int collect_shared(const struct record_store *store, const char *file, struct error *err)
{
	static const char suffix[] = ".lock";
	size_t length = strlen(file), cut = sizeof(suffix) - 1;
	char name[SHARED_NAME_MAX];

	(void)err;
	if (length > cut && strcmp(file + length - cut, suffix) == 0)
		length -= cut;
	if (length >= sizeof(name) || file[0] < '0' || file[0] > '9')
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)length, file);
	shared_clean(store, name);
	return 0;
}

static void collect_users(struct collection *collection)
{
	AUTO_CLOSE int directory =
		openat(collection->store->directory, SHARED_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (directory >= 0)
		for_each_name(collection, directory, false, collect_shared);
}

/* One whose supervisor does not listen any more, but may take a moment still until he has ended. */
static int collect_ending(const struct record_store *store, const char *name, struct error *err)
{
	int r = collect_record(store, name, err);

	for (int tries = 0; r == -EBUSY && tries < TRIES; tries++) {
		poll(NULL, 0, PAUSE_MILLISECONDS);
		r = collect_record(store, name, err);
	}
	return r;
}

int collect_session(const char *id, struct error *err)
{
	char claim[SESSION_ID_SIZE + 1];
	struct record_store store;
	struct collection users = { .store = &store };
	int r = record_store_open(&store, err);

	if (r < 0)
		return r;
	r = collect_ending(&store, id, err);
	if (r == -ENOENT) {
		/* The helper was killed before it could publish it. */
		snprintf(claim, sizeof(claim), ".%s", id);
		r = collect_ending(&store, claim, err);
	}
	collect_users(&users);
	record_store_close(&store);
	return r < 0 && r != -ENOENT ? r : 0;
}

int collect_all(uint32_t *ret_collected, struct error *err)
{
	struct record_store store;
	struct collection collection = { .store = &store };
	int r = record_store_open(&store, err);

	if (r < 0)
		return r;
	for_each_name(&collection, store.directory, false, collect_one);
	for_each_name(&collection, store.directory, true, collect_one);
	collect_users(&collection);
	record_store_close(&store);
	*ret_collected = collection.collected;
	if (collection.result < 0)
		*err = collection.err;
	return collection.result;
}

static int64_t milliseconds(const struct timespec *time)
{
	return (int64_t)time->tv_sec * 1000 + time->tv_nsec / 1000000;
}

/* The lock file is never written to: its time is when somebody last collected. One in the future means nothing. */
static bool is_due(const struct record_store *store)
{
	struct timespec now;
	struct stat st;
	int64_t age;

	clock_gettime(CLOCK_REALTIME, &now);
	if (fstat(store->lock, &st) < 0)
		return false;
	age = milliseconds(&now) - milliseconds(&st.st_mtim);
	return (age < 0 || age >= COLLECT_MILLISECONDS) && futimens(store->lock, NULL) == 0;
}

void collect_if_due(const struct record_store *store)
{
	const struct request request = request_to_collect(NULL);
	AUTO_CLOSE int socket = -1;
	AUTO_CLOSE int pidfd = -1;

	if (is_due(store) && spawn_program(HELPER, NULL, &socket, &pidfd) >= 0)
		send_message(socket, &request, sizeof(request), NULL, 0);
}
