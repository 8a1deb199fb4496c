/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_LIB_PROC_H
#define ISOLATE_LIB_PROC_H

#include <string.h>

/* In a text like /proc/<pid>/stat what follows the name, from the state on; NULL: it is no such text. The name may hold any byte,
 * ')' too; nothing after it does. proc_pid_stat(5) */
static inline const char *stat_behind_name(const char *text)
{
	const char *end = strrchr(text, ')');

	return end && end[1] == ' ' ? end + 2 : NULL;
}

#endif
