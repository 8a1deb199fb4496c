/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_JOURNAL_H
#define ISOLATE_HELPER_JOURNAL_H

/*
 * One message for the administrator: to systemd's journal with fields that can be searched for (journalctl ISOLATE_USER=alice),
 * or where that does not run to syslog.
 */

#include <stddef.h>

#define JOURNAL_VALUE_SIZE 256

struct journal_field {
	const char *name; /* A to Z, 0 to 9 and '_', which is not the first: the journal drops any other */
	char value[JOURNAL_VALUE_SIZE];
};

/* Where the journal listens. A variable for the tests only. */
extern const char *journal_socket;

/*
 * Sends message and its fields to the journal, or, where there is none or it does not take them at once, message alone to
 * syslog(3), whose openlog() was the program's. Never to both. Control characters in message and in the values become '?', there
 * and here: a value ends with its line. priority is one of LOG_EMERG to LOG_DEBUG; the facility is LOG_AUTHPRIV.
 *
 * It does not wait for the journal. musl's syslog(3) may wait for its daemon, and cuts the message at some 1000 bytes.
 */
void journal_log(int priority, char *message, struct journal_field *fields, size_t n_fields);

#endif
