/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_CGROUP_DEVICE_H
#define ISOLATE_HELPER_CGROUP_DEVICE_H

/* Limits of block devices, IOReadBandwidthMax= and its like: a list of them is one key of the policy. */

#include "lib/error.h"

#include <stdint.h>

struct cgroup_device_limit {
	char path[256];
	unsigned int major, minor;
	uint64_t number; /* a second; UINT64_MAX: no limit */
};

/* Resolves an item of the policy's list for key (its name, for the error). -ENOTBLK when the path is no block device. */
int cgroup_device_resolve(const char *key, const char *item, struct cgroup_device_limit *ret_limit, struct error *err);

/* The line of "MAJOR:MINOR ..." in text, a file of such lines, that is about limit's device; "" if there is none. */
const char *cgroup_device_line(const struct cgroup_device_limit *limit, char *text);

#endif
