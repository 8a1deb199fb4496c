/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_OOM_H
#define ISOLATE_HELPER_OOM_H

/*
 * Who was killed for want of memory, and for whose limit: the groups' counters do not say it, the kernel's log does
 * (Documentation/ABI/testing/dev-kmsg of the kernel), in one line "oom-kill:constraint=...,oom_memcg=GROUP,task_memcg=GROUP,
 * task=NAME,pid=N,uid=N". It is rate-limited there, and may be missing.
 */

#include "helper/limit_events.h"

#include <stdint.h>
#include <sys/types.h>

#define OOM_LOG "/dev/kmsg"

struct oom_victim {
	char name[16]; /* printable ASCII: whatever else was in it is a '?' now. Still the user's choice */
	pid_t pid;     /* in the first PID namespace: not for the user's eyes */
	enum limit_owner limit;
};

/*
 * Finds the last process that was killed in the group path ("/isolate/1000/<id>") or below it, in the log that the file holds:
 * from record *sequence on (0 at first), which becomes the one after it. A line that is a minute older than the end of the log is
 * not of a kill that has just been counted, and is none. Returns 1, 0 when there is no such line, or a negative errno when the
 * log cannot be opened or read. Never waits; reads a bounded number of records.
 */
int oom_find(const char *file, const char *path, uint64_t *sequence, struct oom_victim *ret_victim);

/* The same for an open fd, non-blocking, that gives a record with each read(2). */
int oom_find_in(int fd, const char *path, uint64_t *sequence, struct oom_victim *ret_victim);

#endif
