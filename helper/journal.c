/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The journal's native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/), as far as we need it: one datagram of
 * "NAME=value" lines. Spoken here and not by libsystemd, because the helper is a static program of musl's, and that library is
 * neither static nor of musl.
 */
#include "helper/journal.h"

#include "lib/cleanup.h"
#include "lib/error.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>

/* As openlog() was told. */
#define IDENTIFIER "pam_isolate"
#define FACILITY LOG_AUTHPRIV

const char *journal_socket = "/run/systemd/journal/socket";

struct datagram {
	char data[8192];
	size_t length;
	bool too_long;
};

static void add(struct datagram *datagram, const char *name, const char *value)
{
	size_t room = sizeof(datagram->data) - datagram->length;
	int n = snprintf(datagram->data + datagram->length, room, "%s=%s\n", name, value);

	if (n < 0 || (size_t)n >= room)
		datagram->too_long = true;
	else
		datagram->length += (size_t)n;
}

static void add_number(struct datagram *datagram, const char *name, int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", number);
	add(datagram, name, text);
}

/* The fields that syslog(3) would have sent, and those of the caller. */
static void fill(
	struct datagram *datagram, int priority, const char *message, const struct journal_field *fields, size_t n_fields)
{
	add(datagram, "MESSAGE", message);
	add_number(datagram, "PRIORITY", priority);
	add_number(datagram, "SYSLOG_FACILITY", LOG_FAC(FACILITY));
	add(datagram, "SYSLOG_IDENTIFIER", IDENTIFIER);
	add_number(datagram, "SYSLOG_PID", getpid());
	for (size_t i = 0; i < n_fields; i++)
		add(datagram, fields[i].name, fields[i].value);
}

/* A journal that is stopped or behind does not keep us: its queue is full then, and the datagram is refused. */
static int send_datagram(const struct datagram *datagram)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(journal_socket);

	if (fd < 0)
		return -errno;
	if (datagram->too_long || length >= sizeof(address.sun_path))
		return -EMSGSIZE;
	memcpy(address.sun_path, journal_socket, length);
	/* A datagram goes as a whole or not at all. */
	if (sendto(fd, datagram->data, datagram->length, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&address,
		    sizeof(address)) < 0)
		return -errno;
	return 0;
}

void journal_log(int priority, char *message, struct journal_field *fields, size_t n_fields)
{
	struct datagram datagram = { .length = 0 };

	replace_control_characters(message);
	for (size_t i = 0; i < n_fields; i++)
		replace_control_characters(fields[i].value);
	fill(&datagram, priority, message, fields, n_fields);
	if (send_datagram(&datagram) < 0)
		syslog(priority, "%s", message);
}
