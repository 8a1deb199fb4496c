/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/shared.h"

#include "lib/cleanup.h"
#include "lib/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define PATH_SIZE 48

static uint32_t add_text(uint32_t hash, const char *text)
{
	/* The final NUL too. */
	do
		hash = hash_byte(hash, (unsigned char)*text);
	while (*text++);
	return hash;
}

void shared_name(const struct request *request, char name[SHARED_NAME_MAX])
{
	snprintf(name, SHARED_NAME_MAX, "%u.%08x", request->uid, add_text(add_text(HASH_START, request->user), request->policy));
}

static void lock_path(const char *name, char path[PATH_SIZE])
{
	snprintf(path, PATH_SIZE, SHARED_DIR "/%s.lock", name);
}

static void socket_path(const char *name, char path[PATH_SIZE])
{
	snprintf(path, PATH_SIZE, SHARED_DIR "/%s", name);
}

/* The lock of the file that is there by its name now: shared_forget() removes it while it holds it. */
static int try_lock(const struct record_store *store, const char *path, int *ret_lock)
{
	AUTO_CLOSE int fd = openat(store->directory, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0 || flock(fd, LOCK_EX) < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_nlink == 0)
		return -EAGAIN;
	*ret_lock = take_fd(&fd);
	return 0;
}

int shared_lock(const struct record_store *store, const char *name, int *ret_lock, struct error *err)
{
	char path[PATH_SIZE];
	int r;

	if (mkdirat(store->directory, SHARED_DIR, 0700) < 0 && errno != EEXIST)
		return error_set(err, errno, "record", RECORD_DIR "/" SHARED_DIR);
	lock_path(name, path);
	do
		r = try_lock(store, path, ret_lock);
	while (r == -EAGAIN);
	return r < 0 ? error_set(err, -r, "record", RECORD_DIR "/%s", path) : 0;
}

/* By the directory's fd, for a path that fits (unix(7)). */
static int address_of(const struct record_store *store, const char *name, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/" SHARED_DIR "/%s", store->directory, name);
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

int shared_connect(const struct record_store *store, const char *name, int *ret_socket, struct error *err)
{
	struct sockaddr_un address;
	AUTO_CLOSE int fd = address_of(store, name, &address);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
		*ret_socket = take_fd(&fd);
		return 0;
	}
	if (fd >= 0 && (errno == ENOENT || errno == ECONNREFUSED))
		return -ENOENT;
	/* Too many at once. */
	if (fd >= 0 && errno == EAGAIN)
		return -EAGAIN;
	return error_set(err, errno, "join", RECORD_DIR "/" SHARED_DIR "/%s", name);
}

int shared_listen(const struct record_store *store, const char *name, int *ret_listener, struct error *err)
{
	struct sockaddr_un address;
	AUTO_CLOSE int fd = address_of(store, name, &address);
	char path[PATH_SIZE];

	socket_path(name, path);
	if (unlinkat(store->directory, path, 0) < 0 && errno != ENOENT)
		return error_set(err, errno, "join", RECORD_DIR "/%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, SOMAXCONN) < 0)
		return error_set(err, errno, "join", RECORD_DIR "/%s", path);
	*ret_listener = take_fd(&fd);
	return 0;
}

static void remove_names(const struct record_store *store, const char *name)
{
	char path[PATH_SIZE];

	socket_path(name, path);
	unlinkat(store->directory, path, 0);
	lock_path(name, path);
	unlinkat(store->directory, path, 0);
}

void shared_forget(const struct record_store *store, const char *name, int *listener)
{
	AUTO_CLOSE int lock = -1;

	if (*listener < 0)
		return;
	/* Without the lock it may be another's by now; then it stays, and nobody listens there. */
	if (shared_lock(store, name, &lock, NULL) >= 0)
		remove_names(store, name);
	cleanup_close(listener);
}

void shared_give_up(const struct record_store *store, const char *name)
{
	remove_names(store, name);
}

void shared_clean(const struct record_store *store, const char *name)
{
	AUTO_CLOSE int lock = -1;
	AUTO_CLOSE int socket = -1;

	if (shared_lock(store, name, &lock, NULL) >= 0 && shared_connect(store, name, &socket, NULL) == -ENOENT)
		remove_names(store, name);
}
