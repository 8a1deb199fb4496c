/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/shared.h"

#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static void lock_name(uid_t uid, char name[32])
{
	snprintf(name, 32, SHARED_DIR "/%u.lock", uid);
}

static void socket_name(uid_t uid, char name[32])
{
	snprintf(name, 32, SHARED_DIR "/%u", uid);
}

/* The lock of the file that is there by its name now: shared_forget() removes it while it holds it. */
static int try_lock(const struct record_store *store, const char *name, int *ret_lock)
{
	AUTO_CLOSE int fd = openat(store->directory, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0 || flock(fd, LOCK_EX) < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_nlink == 0)
		return -EAGAIN;
	*ret_lock = take_fd(&fd);
	return 0;
}

int shared_lock(const struct record_store *store, uid_t uid, int *ret_lock, struct error *err)
{
	char name[32];
	int r;

	if (mkdirat(store->directory, SHARED_DIR, 0700) < 0 && errno != EEXIST)
		return error_set(err, errno, "record", RECORD_DIR "/" SHARED_DIR);
	lock_name(uid, name);
	do
		r = try_lock(store, name, ret_lock);
	while (r == -EAGAIN);
	return r < 0 ? error_set(err, -r, "record", RECORD_DIR "/%s", name) : 0;
}

/* By the directory's fd, for a path that fits (unix(7)). */
static int address_of(const struct record_store *store, uid_t uid, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/" SHARED_DIR "/%u", store->directory, uid);
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

int shared_connect(const struct record_store *store, uid_t uid, int *ret_socket, struct error *err)
{
	struct sockaddr_un address;
	AUTO_CLOSE int fd = address_of(store, uid, &address);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
		*ret_socket = take_fd(&fd);
		return 0;
	}
	if (fd >= 0 && (errno == ENOENT || errno == ECONNREFUSED))
		return -ENOENT;
	/* Too many at once. */
	if (fd >= 0 && errno == EAGAIN)
		return -EAGAIN;
	return error_set(err, errno, "join", RECORD_DIR "/" SHARED_DIR "/%u", uid);
}

int shared_listen(const struct record_store *store, uid_t uid, int *ret_listener, struct error *err)
{
	struct sockaddr_un address;
	AUTO_CLOSE int fd = address_of(store, uid, &address);
	char name[32];

	socket_name(uid, name);
	if (unlinkat(store->directory, name, 0) < 0 && errno != ENOENT)
		return error_set(err, errno, "join", RECORD_DIR "/%s", name);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, SOMAXCONN) < 0)
		return error_set(err, errno, "join", RECORD_DIR "/%s", name);
	*ret_listener = take_fd(&fd);
	return 0;
}

static void remove_names(const struct record_store *store, uid_t uid)
{
	char name[32];

	socket_name(uid, name);
	unlinkat(store->directory, name, 0);
	lock_name(uid, name);
	unlinkat(store->directory, name, 0);
}

void shared_forget(const struct record_store *store, uid_t uid, int *listener)
{
	AUTO_CLOSE int lock = -1;

	if (*listener < 0)
		return;
	/* Without the lock it may be another's by now; then it stays, and nobody listens there. */
	if (shared_lock(store, uid, &lock, NULL) >= 0)
		remove_names(store, uid);
	cleanup_close(listener);
}

void shared_clean(const struct record_store *store, uid_t uid)
{
	AUTO_CLOSE int lock = -1;
	AUTO_CLOSE int socket = -1;

	if (shared_lock(store, uid, &lock, NULL) >= 0 && shared_connect(store, uid, &socket, NULL) == -ENOENT)
		remove_names(store, uid);
}
