/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void replace_control_characters(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

int error_set(struct error *err, int errnum, const char *step, const char *format, ...)
{
	va_list arguments;

	if (errnum <= 0)
		errnum = EIO;
	if (!err)
		return -errnum;
	*err = (struct error){ .errnum = errnum };
	snprintf(err->step, sizeof(err->step), "%s", step);
	va_start(arguments, format);
	vsnprintf(err->text, sizeof(err->text), format, arguments);
	va_end(arguments);
	replace_control_characters(err->step);
	replace_control_characters(err->text);
	return -errnum;
}

/* Copies what fits of from to the end of text, which is length long. Returns the new length. */
static size_t append(char *text, size_t size, size_t length, const char *from)
{
	size_t more = strlen(from);

	if (more > size - length - 1)
		more = size - length - 1;
	memcpy(text + length, from, more);
	text[length + more] = '\0';
	return length + more;
}

int error_prefix(struct error *err, const char *format, ...)
{
	char old[sizeof(err->text)];
	va_list arguments;
	size_t length;

	memcpy(old, err->text, sizeof(old));
	va_start(arguments, format);
	vsnprintf(err->text, sizeof(err->text), format, arguments);
	va_end(arguments);
	length = append(err->text, sizeof(err->text), strlen(err->text), ": ");
	append(err->text, sizeof(err->text), length, old);
	replace_control_characters(err->text);
	return -err->errnum;
}

const char *error_line(const struct error *err, char *line, size_t size)
{
	snprintf(line, size, "%s: %s: %s", err->step, err->text, strerror(err->errnum));
	return line;
}
