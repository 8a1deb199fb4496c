/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/fd.h"

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int open_resolved(int dirfd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.mode = mode,
		.resolve = resolve | RESOLVE_NO_MAGICLINKS,
	};
	int fd = sys_openat2(dirfd, path, &how);

	return fd < 0 ? -errno : fd;
}

int write_file_at(int dirfd, const char *path, const char *text)
{
	size_t length = strlen(text);
	AUTO_CLOSE int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC);
	ssize_t written;

	if (fd < 0)
		return -errno;
	written = write(fd, text, length);
	if (written < 0)
		return -errno;
	return (size_t)written == length ? 0 : -EIO;
}

ssize_t read_fd(int fd, char *buffer, size_t size)
{
	size_t length = 0;

	if (size == 0)
		return -E2BIG;
	for (;;) {
		ssize_t n = pread(fd, buffer + length, size - length, (off_t)length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		length += (size_t)n;
		if (length == size)
			return -E2BIG;
	}
	if (length > 0 && buffer[length - 1] == '\n')
		length--;
	buffer[length] = '\0';
	return (ssize_t)length;
}

ssize_t read_file_at(int dirfd, const char *path, char *buffer, size_t size)
{
	AUTO_CLOSE int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : read_fd(fd, buffer, size);
}

int ensure_standard_fds(void)
{
	for (;;) {
		int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

		if (fd < 0)
			return -errno;
		if (fd > STDERR_FILENO) {
			close(fd);
			return 0;
		}
		/* Lowest first: fd is the one that was closed. It is to stay over exec, as 0, 1 and 2 always do. */
		if (fcntl(fd, F_SETFD, 0) < 0)
			return -errno;
	}
}

int close_from(int first)
{
	return sys_close_range((unsigned int)first, UINT_MAX, 0) < 0 ? -errno : 0;
}

int send_message(int socket, const void *data, size_t size, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int) * MESSAGE_FDS_MAX)];
	} control;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = size };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t sent;

	if (n_fds > MESSAGE_FDS_MAX)
		return -EINVAL;
	if (n_fds > 0) {
		memset(&control, 0, sizeof(control));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * n_fds);
	}
	do
		sent = sendmsg(socket, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	return (size_t)sent == size ? 0 : -EIO;
}

/* Moves the fds of a received message to fds; what is too much is closed. Returns the number that came. */
static size_t collect_fds(struct msghdr *message, int fds[MESSAGE_FDS_MAX])
{
	size_t n = 0;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		const unsigned char *data = CMSG_DATA(header);

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t offset = 0; CMSG_LEN(offset + sizeof(int)) <= header->cmsg_len; offset += sizeof(int)) {
			int fd;

			memcpy(&fd, data + offset, sizeof(fd));
			if (n < MESSAGE_FDS_MAX)
				fds[n] = fd;
			else
				close(fd);
			n++;
		}
	}
	return n;
}

ssize_t receive_message(int socket, void *data, size_t size, int ret_fds[MESSAGE_FDS_MAX], size_t *ret_n_fds)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int) * MESSAGE_FDS_MAX)];
	} control;
	struct iovec iov = { .iov_base = data, .iov_len = size };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	int fds[MESSAGE_FDS_MAX] = { -1, -1, -1, -1 };
	size_t n_fds;
	ssize_t received;
	bool too_much;

	do
		received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (received < 0 && errno == EINTR);
	if (received < 0)
		return -errno;
	n_fds = collect_fds(&message, fds);
	too_much = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || n_fds > MESSAGE_FDS_MAX;
	/* An empty message cannot be told from the end of the stream: what came with it is nobody's. */
	if (received == 0 || too_much || !ret_fds) {
		for (size_t i = 0; i < MESSAGE_FDS_MAX; i++)
			cleanup_close(&fds[i]);
		n_fds = 0;
	}
	if (received != 0 && too_much)
		return -EMSGSIZE;
	if (ret_fds) {
		memcpy(ret_fds, fds, sizeof(fds));
		*ret_n_fds = n_fds;
	}
	return received;
}

int open_peer(int socket, pid_t *ret_pid)
{
	struct pollfd state = { .fd = socket };
	struct ucred peer;
	socklen_t size = sizeof(peer);
	AUTO_CLOSE int pidfd = -1;

	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	if (peer.pid <= 0)
		return -EXDEV;
	pidfd = sys_pidfd_open(peer.pid);
	if (pidfd < 0 || poll(&state, 1, 0) < 0)
		return -errno;
	if (state.revents & (POLLHUP | POLLERR))
		return -ESRCH;
	*ret_pid = peer.pid;
	return take_fd(&pidfd);
}

int wait_readable(int fd, int milliseconds)
{
	int64_t deadline = clock_milliseconds() + milliseconds;
	struct pollfd item = { .fd = fd, .events = POLLIN };

	for (;;) {
		int64_t left = milliseconds < 0 ? -1 : deadline - clock_milliseconds();
		int n;

		if (milliseconds >= 0 && left < 0)
			left = 0;
		n = poll(&item, 1, (int)left);
		if (n > 0)
			return item.revents & (POLLIN | POLLHUP) ? 0 : -EIO;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}
