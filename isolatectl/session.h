/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_ISOLATECTL_SESSION_H
#define ISOLATE_ISOLATECTL_SESSION_H

/* A running session as isolatectl sees it: its record (helper/record.h), and what its cgroup says. */

#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SESSION_TEXT_SIZE 256

struct session {
	char id[SESSION_TEXT_SIZE];
	char user[SESSION_TEXT_SIZE];
	char service[SESSION_TEXT_SIZE];
	char tty[SESSION_TEXT_SIZE];     /* may be empty */
	char cgroup[SESSION_TEXT_SIZE];  /* below the root of each hierarchy, "/isolate/1000/..." */
	char backend[SESSION_TEXT_SIZE]; /* "v1" or "v2" */
	uint64_t uid;
	uint64_t leader, supervisor, init; /* PIDs */
	uint64_t since;                    /* seconds since the epoch */
	uint64_t pidns;                    /* 1: it has a PID namespace */
	uint64_t owner;                    /* who made the cgroup: enum cgroup_owner of helper/cgroup.h */
};

/*
 * Reads the record of the session id below directory, strictly: each key once, no other, each value of its kind.
 * 0; -ENOENT when there is none; -ESTALE when its supervisor has ended; or another negative errno with *err (step "record"),
 * -EBADMSG for a record that is not one.
 */
int session_read(int directory, const char *id, struct session *ret_session, struct error *err);

#define USAGE_UNKNOWN UINT64_MAX        /* there is no such file */
#define USAGE_INFINITY (UINT64_MAX - 1) /* no limit */

struct usage {
	uint64_t memory, memory_max; /* bytes */
	uint64_t tasks, tasks_max;
};

/* What the session uses, as the hierarchies below root (/sys/fs/cgroup) tell. */
void session_usage(const struct session *session, const char *root, struct usage *ret_usage);

#define AMOUNT_SIZE 64

/* Write "12.3M/512M", "5/128", "5/infinity", "-" to text (AMOUNT_SIZE bytes). Return text. */
const char *format_memory(const struct usage *usage, char *text);
const char *format_tasks(const struct usage *usage, char *text);

#endif
