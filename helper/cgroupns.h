/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_CGROUPNS_H
#define ISOLATE_HELPER_CGROUPNS_H

/* cgroup_namespaces(7) */

#include "lib/error.h"

struct cgroup;

/* A cgroup namespace whose root is group, or where that is NULL the group that the calling process is in, without entering it.
 * The fd is the caller's. */
int cgroupns_make(const struct cgroup *group, int *ret_fd, struct error *err);

#endif
