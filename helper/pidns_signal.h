/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_PIDNS_SIGNAL_H
#define ISOLATE_HELPER_PIDNS_SIGNAL_H

#include "helper/cgroup.h"

#include <sys/types.h>

/*
 * Sends a signal, and then SIGCONT, to all processes in the PID namespace of init but init itself. By a process in there the
 * kernel finds them: none is missed, and no pid is mistaken (kill(2), pid -1). Where none can be made, as in a full cgroup, those
 * of cgroup are told one by one.
 */
void pidns_signal(const struct cgroup *cgroup, pid_t init, int init_pidfd, int signal);

#endif
