/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/record.h"

#include "helper/cgroup_backend.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* In the order in which they are removed: what has a session file still is collected. */
static const char *const files[] = { "session.new", "home", "control", "session" };

int record_store_open(struct record_store *ret_store, struct error *err)
{
	AUTO_CLOSE int directory = -1;
	AUTO_CLOSE int lock = -1;
	struct stat st;

	if (mkdir(RECORD_DIR, 0700) < 0 && errno != EEXIST)
		return error_set(err, errno, "record", RECORD_DIR);
	directory = open(RECORD_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (directory < 0 || fstat(directory, &st) < 0)
		return error_set(err, errno, "record", RECORD_DIR);
	if (st.st_uid != 0 || (st.st_mode & 077) != 0)
		return error_set(err, EPERM, "record", RECORD_DIR " is not root's alone");
	lock = openat(directory, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (lock < 0)
		return error_set(err, errno, "record", RECORD_DIR "/lock");
	ret_store->directory = take_fd(&directory);
	ret_store->lock = take_fd(&lock);
	return 0;
}

void record_store_close(struct record_store *store)
{
	cleanup_close(&store->directory);
	cleanup_close(&store->lock);
}

static int write_all(int fd, const char *text)
{
	size_t length = strlen(text);

	while (length > 0) {
		ssize_t n = write(fd, text, length);

		if (n < 0)
			return -errno;
		text += n;
		length -= (size_t)n;
	}
	return 0;
}

/* At no time is a file empty that was not: a collector would take it that nobody has to go home, or nothing is to be removed. */
static int replace_text(int fd, const char *text)
{
	int r = lseek(fd, 0, SEEK_SET) < 0 ? -errno : write_all(fd, text);

	return r >= 0 && ftruncate(fd, (off_t)strlen(text)) < 0 ? -errno : r;
}

/* Returns the fd of the new file, or a negative errno. */
static int new_file(int directory, const char *name)
{
	int fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

static int write_session(const struct record *record, const struct record_content *content, int fd)
{
	const char *id = record->name + (record->name[0] == '.');
	const struct cgroup *cgroup = content->cgroup;
	char text[1024];
	int n = snprintf(text, sizeof(text),
		"ID=%s\nUSER=%s\nUID=%u\nSERVICE=%s\nTTY=%s\nLEADER=%d\nSUPERVISOR=%d\nINIT=%d\nSINCE=%lld\nCGROUP=%s\nBACKEND=%"
		"s\nOWNER=%d\nPIDNS=%d\n",
		id, content->user, content->uid, content->service, content->tty, content->leader, getpid(), content->init,
		(long long)content->since, content->group, cgroup ? cgroup->backend->name : "",
		cgroup ? cgroup->owner : CGROUP_OURS, content->pidns);

	if (n < 0 || (size_t)n >= sizeof(text))
		return -ENAMETOOLONG;
	return replace_text(fd, text);
}

static int write_home(int directory, const char *home)
{
	AUTO_CLOSE int fd = openat(directory, "home", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : replace_text(fd, home ? home : "");
}

/* Bound while the directory has another name than the leader will connect by: by its fd. But that path, too, has to fit
 * (unix(7)). */
static int listen_at(int directory, const char *name, int *ret_socket)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(RECORD_DIR "//") + SESSION_ID_SIZE + strlen(name) > sizeof(address.sun_path))
		return -ENAMETOOLONG;
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", directory, name);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 4) < 0)
		return -errno;
	*ret_socket = take_fd(&fd);
	return 0;
}

/* Without an fd: the want of one may be why. */
static void remove_directory(const struct record_store *store, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char path[SESSION_ID_SIZE + 16];

		snprintf(path, sizeof(path), "%s/%s", name, files[i]);
		unlinkat(store->directory, path, 0);
	}
	unlinkat(store->directory, name, AT_REMOVEDIR);
}

static int open_directory(const struct record_store *store, const char *name)
{
	int fd = openat(store->directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Under the store's lock: a collector would take a file that is not locked yet for left over. */
static int claim(const struct record_store *store, const char *name, int *ret_directory)
{
	AUTO_CLOSE int directory = -1;
	int fd;

	if (mkdirat(store->directory, name, 0700) < 0)
		return -errno;
	directory = open_directory(store, name);
	fd = directory < 0 ? directory : new_file(directory, "session");
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int saved = -errno;

		close(fd);
		fd = saved;
	}
	if (fd < 0)
		remove_directory(store, name);
	else
		*ret_directory = take_fd(&directory);
	return fd;
}

int record_claim(const struct record_store *store, const char *id, const struct record_content *content,
	struct record *ret_record, struct error *err)
{
	struct record record = RECORD_NONE;
	AUTO_CLOSE int directory = -1;
	int r;

	snprintf(record.name, sizeof(record.name), ".%s", id);
	flock(store->lock, LOCK_EX);
	r = record.session = claim(store, record.name, &directory);
	flock(store->lock, LOCK_UN);
	if (r >= 0)
		r = write_home(directory, content->home);
	if (r >= 0)
		r = write_session(&record, content, record.session);
	if (r < 0) {
		record_remove(store, &record);
		return error_set(err, -r, "record", RECORD_DIR "/%s", id);
	}
	*ret_record = record;
	return 0;
}

static int publish(const struct record_store *store, const struct record_content *content, struct record *record)
{
	AUTO_CLOSE int directory = open_directory(store, record->name);
	int r = directory < 0 ? directory : write_home(directory, content->home);

	if (r >= 0)
		r = write_session(record, content, record->session);
	if (r >= 0)
		r = listen_at(directory, "control", &record->control);
	if (r >= 0 && renameat(store->directory, record->name, store->directory, record->name + 1) < 0)
		r = -errno;
	return r;
}

int record_publish(
	const struct record_store *store, const struct record_content *content, struct record *record, struct error *err)
{
	int r = publish(store, content, record);

	if (r < 0)
		return error_set(err, -r, "record", RECORD_DIR "/%s", record->name + 1);
	memmove(record->name, record->name + 1, strlen(record->name));
	return 0;
}

static int rewrite(const struct record_store *store, const struct record_content *content, struct record *record)
{
	AUTO_CLOSE int directory = open_directory(store, record->name);
	AUTO_CLOSE int fd = directory < 0 ? directory : new_file(directory, "session.new");
	int r = fd < 0 ? fd : write_session(record, content, fd);

	/* Whoever opens it by its name finds a file whose lock is held, at any time. */
	if (r >= 0 && (flock(fd, LOCK_EX | LOCK_NB) < 0 || renameat(directory, "session.new", directory, "session") < 0))
		r = -errno;
	if (r < 0) {
		if (directory >= 0)
			unlinkat(directory, "session.new", 0);
		return r;
	}
	cleanup_close(&record->session);
	record->session = take_fd(&fd);
	return 0;
}

int record_rewrite(
	const struct record_store *store, const struct record_content *content, struct record *record, struct error *err)
{
	int r = rewrite(store, content, record);

	return r < 0 ? error_set(err, -r, "record", RECORD_DIR "/%s", record->name) : 0;
}

void record_remove(const struct record_store *store, struct record *record)
{
	if (record->session < 0)
		return;
	/* Or record_clean() would take a directory that has no file any more for one that was left. */
	flock(store->lock, LOCK_EX);
	remove_directory(store, record->name);
	flock(store->lock, LOCK_UN);
	record_abandon(record);
}

bool record_clean(const struct record_store *store, const char *name)
{
	char session[SESSION_ID_SIZE + 16];
	bool cleaned = false;

	snprintf(session, sizeof(session), "%s/session", name);
	/* A new claim has none for a moment: claim(). */
	flock(store->lock, LOCK_EX);
	if (faccessat(store->directory, session, F_OK, 0) < 0 && errno == ENOENT &&
		faccessat(store->directory, name, F_OK, 0) == 0) {
		remove_directory(store, name);
		cleaned = faccessat(store->directory, name, F_OK, 0) < 0;
	}
	flock(store->lock, LOCK_UN);
	return cleaned;
}

void record_abandon(struct record *record)
{
	cleanup_close(&record->session);
	cleanup_close(&record->control);
}

/* The value of the line "KEY=value", whose key is given as "\nKEY=". NULL: no such line, or it does not fit. */
static const char *find_line(const char *text, const char *key, char *value, size_t size)
{
	const char *line = strstr(text, key);
	size_t length;

	if (!line)
		return NULL;
	line += strlen(key);
	length = strcspn(line, "\n");
	if (length >= size)
		return NULL;
	memcpy(value, line, length);
	value[length] = '\0';
	return value;
}

static int read_session(int directory, struct record_remains *remains)
{
	char text[1024], number[16];
	ssize_t n = read_file_at(directory, "session", text, sizeof(text));

	if (n <= 0)
		return (int)n;
	if (!find_line(text, "\nCGROUP=", remains->cgroup, sizeof(remains->cgroup)) || remains->cgroup[0] != '/' ||
		!find_line(text, "\nOWNER=", number, sizeof(number)))
		return -EBADMSG;
	remains->owner = (enum cgroup_owner)atoi(number);
	if (remains->owner == CGROUP_OURS && !cgroup_is_ours(remains->cgroup))
		return -EBADMSG;
	if (!find_line(text, "\nLEADER=", number, sizeof(number)))
		return -EBADMSG;
	remains->leader = atoi(number);
	if (!find_line(text, "\nPIDNS=", number, sizeof(number)))
		return -EBADMSG;
	remains->pidns = atoi(number) != 0;
	return 0;
}

static int read_home(int directory, struct record_remains *remains)
{
	char text[4096];
	ssize_t n = read_file_at(directory, "home", text, sizeof(text));

	if (n <= 0)
		return n == -ENOENT ? 0 : (int)n;
	remains->home = strdup(text);
	return remains->home ? 0 : -ENOMEM;
}

/* Under the store's lock, like claim(): what has no lock then has nobody. Returns the fd of the session's file. */
static int take_lock(const struct record_store *store, int directory)
{
	AUTO_CLOSE int session = -1;
	int r = 0;

	flock(store->lock, LOCK_EX);
	session = openat(directory, "session", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (session < 0 || flock(session, LOCK_EX | LOCK_NB) < 0)
		r = errno == EWOULDBLOCK ? -EBUSY : -errno;
	flock(store->lock, LOCK_UN);
	return r < 0 ? r : take_fd(&session);
}

int record_take_over(const struct record_store *store, const char *name, struct record *ret_record,
	struct record_remains *ret_remains, struct error *err)
{
	AUTO_CLOSE int directory = open_directory(store, name);
	AUTO_CLOSE int session = directory < 0 ? directory : take_lock(store, directory);
	struct record_remains remains = { .leader = 0 };
	int r;

	if (session == -EBUSY)
		return error_set(err, EBUSY, "record", "session %s has a supervisor", name);
	if (session < 0)
		return error_set(err, -session, "record", RECORD_DIR "/%s", name);
	r = read_session(directory, &remains);
	if (r >= 0)
		r = read_home(directory, &remains);
	if (r < 0)
		return error_set(err, -r, "record", RECORD_DIR "/%s", name);
	*ret_record = RECORD_NONE;
	ret_record->session = take_fd(&session);
	snprintf(ret_record->name, sizeof(ret_record->name), "%s", name);
	*ret_remains = remains;
	return 0;
}
