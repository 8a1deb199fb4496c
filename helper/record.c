/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/record.h"

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

static const char *const files[] = { "session", "home", "control" };

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

static int write_all(int directory, const char *name, const char *text, int *ret_fd)
{
	AUTO_CLOSE int fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	size_t length = strlen(text);

	if (fd < 0)
		return -errno;
	while (length > 0) {
		ssize_t n = write(fd, text, length);

		if (n < 0)
			return -errno;
		text += n;
		length -= (size_t)n;
	}
	if (ret_fd)
		*ret_fd = take_fd(&fd);
	return 0;
}

static int write_session(int directory, const struct record_content *content, int *ret_fd)
{
	const struct request *request = content->request;
	char text[1024];
	int n = snprintf(text, sizeof(text),
		"ID=%s\nUSER=%s\nUID=%u\nSERVICE=%s\nTTY=%s\nLEADER=%d\nSUPERVISOR=%d\nINIT=%d\nSINCE=%lld\nCGROUP=%s\nBACKEND=%"
		"s\nOWNER=%d\n",
		request->id, request->user, request->uid, request->service, request->tty, content->leader, getpid(),
		content->init, (long long)time(NULL), content->cgroup, content->backend, content->owner);
	AUTO_CLOSE int fd = -1;
	int r;

	if (n < 0 || (size_t)n >= sizeof(text))
		return -ENAMETOOLONG;
	r = write_all(directory, "session", text, &fd);
	if (r < 0)
		return r;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
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

static int fill(int directory, const struct record_content *content, struct record *record)
{
	int r = write_session(directory, content, &record->session);

	if (r >= 0)
		r = write_all(directory, "home", content->home, NULL);
	if (r >= 0)
		r = listen_at(directory, "control", &record->control);
	return r;
}

static void remove_directory(const struct record_store *store, const char *name)
{
	AUTO_CLOSE int directory = openat(store->directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (directory < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlinkat(directory, files[i], 0);
	unlinkat(store->directory, name, AT_REMOVEDIR);
}

int record_make(
	const struct record_store *store, const struct record_content *content, struct record *ret_record, struct error *err)
{
	struct record record = { .session = -1, .control = -1 };
	AUTO_CLOSE int directory = -1;
	char hidden[SESSION_ID_SIZE + 1];
	int r;

	memcpy(record.id, content->request->id, sizeof(record.id));
	snprintf(hidden, sizeof(hidden), ".%s", record.id);
	if (mkdirat(store->directory, hidden, 0700) < 0)
		return error_set(err, errno, "record", RECORD_DIR "/%s", record.id);
	directory = openat(store->directory, hidden, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = directory < 0 ? -errno : fill(directory, content, &record);
	if (r >= 0 && renameat(store->directory, hidden, store->directory, record.id) < 0)
		r = -errno;
	if (r < 0) {
		remove_directory(store, hidden);
		cleanup_close(&record.session);
		cleanup_close(&record.control);
		return error_set(err, -r, "record", RECORD_DIR "/%s", record.id);
	}
	*ret_record = record;
	return 0;
}

void record_remove(const struct record_store *store, struct record *record)
{
	if (record->session < 0)
		return;
	remove_directory(store, record->id);
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

static int read_session(int directory, char *cgroup, size_t size, enum cgroup_owner *ret_owner)
{
	char text[1024], owner[8];
	ssize_t n = read_file_at(directory, "session", text, sizeof(text));

	if (n < 0)
		return (int)n;
	if (!find_line(text, "\nCGROUP=", cgroup, size) || cgroup[0] != '/' || !find_line(text, "\nOWNER=", owner, sizeof(owner)))
		return -EBADMSG;
	*ret_owner = (enum cgroup_owner)atoi(owner);
	return 0;
}

int record_take_over(const struct record_store *store, const char *id, struct record *ret_record, char *cgroup,
	size_t cgroup_size, char *home, size_t home_size, enum cgroup_owner *ret_owner, struct error *err)
{
	AUTO_CLOSE int directory = openat(store->directory, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO_CLOSE int session = directory < 0 ? -1 : openat(directory, "session", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n;
	int r;

	if (session < 0)
		return error_set(err, errno, "record", RECORD_DIR "/%s", id);
	if (flock(session, LOCK_EX | LOCK_NB) < 0)
		return error_set(err, errno == EWOULDBLOCK ? EBUSY : errno, "record", "session %s has a supervisor", id);
	r = read_session(directory, cgroup, cgroup_size, ret_owner);
	if (r < 0)
		return error_set(err, -r, "record", RECORD_DIR "/%s/session", id);
	n = read_file_at(directory, "home", home, home_size);
	if (n < 0)
		return error_set(err, (int)-n, "record", RECORD_DIR "/%s/home", id);
	*ret_record = (struct record){ .session = take_fd(&session), .control = -1 };
	snprintf(ret_record->id, sizeof(ret_record->id), "%s", id);
	return 0;
}
