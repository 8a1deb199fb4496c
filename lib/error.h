/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_LIB_ERROR_H
#define ISOLATE_LIB_ERROR_H

#include <stddef.h>
#include <stdint.h>

/*
 * What went wrong, as one value that fits on the caller's stack and in one message over a socket.
 *
 * The contract of every function here that takes a `struct error *`: it returns 0 or a positive result when it worked and
 * leaves *err alone; else it returns a negative errno, and *err holds that errno, the step that failed and a text that names
 * the object. err may be NULL for a caller that does not care. Outputs (ret_...) are touched only on success. No function of
 * lib/, policy/ or helper/ logs: the program at the edge does, once.
 */
struct error {
	int32_t errnum; /* positive errno(3); 0: no error */
	char step[24];  /* what was being done: "cgroup", "mount" */
	char text[484]; /* the object and the reason: one line, printable ASCII or UTF-8, control characters replaced by '?' */
};

/* Room for a line made by error_line(), its final NUL included. */
#define ERROR_LINE_MAX 640

/* Fills *err. The text is cut where it does not fit. Returns -errnum; an errnum <= 0 counts as EIO, so that an error is never
 * taken for success. */
int error_set(struct error *err, int errnum, const char *step, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Puts "PREFIX: " before the text of an error that is on its way up. Returns -err->errnum. err must not be NULL. */
int error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes "step: text: strerror(errnum)" to line (size bytes, always terminated). Returns line. */
const char *error_line(const struct error *err, char *line, size_t size);

/* Replaces each control character of text by '?': nothing that comes from a file, a name or a peer may break a log line. */
void replace_control_characters(char *text);

#endif
