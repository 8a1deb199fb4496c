/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_SYSTEMD_PROTOCOL_H
#define ISOLATE_HELPER_SYSTEMD_PROTOCOL_H

/*
 * What isolate-helper, which is static, and isolate-systemd, which speaks D-Bus, say to each other: one message there, one back,
 * over a SOCK_SEQPACKET socket. Both are root's.
 */

#include "lib/error.h"

#include <stdint.h>

#define SYSTEMD_MAGIC 0x73797331u /* "sys1" */
#define SYSTEMD_PROPERTIES_MAX 32
#define SYSTEMD_MASK_SIZE 128 /* bytes: 1,024 CPUs */

/* A property of a unit, org.freedesktop.systemd1(5): a 64-bit number ("t"); or that number for a device, where path is not empty
 * ("a(st)"); or a CPU mask, where mask_size is not 0 ("ay"). */
struct systemd_property {
	char name[32];
	char path[256];
	uint64_t number;
	uint32_t mask_size;
	uint8_t mask[SYSTEMD_MASK_SIZE];
};

struct systemd_request {
	uint32_t magic;
	int32_t leader;  /* pids as the host has them */
	int32_t helper;  /* goes with the leader when he is given a scope; 0: does not */
	uint32_t shared; /* 1: one sandbox for all logins of the user: a scope for the helper, whatever the leader is in */
	uint32_t uid;
	char id[40];
	uint32_t stop_user_manager; /* 1: UserManager=no */
	uint32_t n_session;         /* properties[0] to [n_session - 1] are the session's, the rest the user's */
	uint32_t n_properties;
	struct systemd_property properties[2 * SYSTEMD_PROPERTIES_MAX];
};

struct systemd_reply {
	uint32_t magic;
	struct error err;
	uint32_t adopted; /* 1: the leader is in the login's own session scope still; 0: in one that was made */
	char cgroup[96];  /* of the scope that the leader is in, below the root of each hierarchy */
};

/* How long isolate-systemd may take, D-Bus included. Beyond it the login is refused. */
#define SYSTEMD_MILLISECONDS 10000

#endif
