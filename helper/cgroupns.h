/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_CGROUPNS_H
#define ISOLATE_HELPER_CGROUPNS_H

/* cgroup_namespaces(7) */

#include "lib/error.h"

/* A cgroup namespace whose root is the group that the calling process is in, without entering it. The fd is the caller's. */
int cgroupns_make(int *ret_fd, struct error *err);

#endif
