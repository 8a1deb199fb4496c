/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_SUPERVISOR_H
#define ISOLATE_HELPER_SUPERVISOR_H

#include "helper/sandbox.h"

/*
 * Watches over a sandbox until its last leader closes his session or is gone, or as long as a process lives in it, as the policy
 * says; or until its PID 1 or its time is gone, or SIGTERM comes. Takes in who joins it, tells the user of limits, then ends and
 * clears it. Returns an exit status for the helper: 0 when all was removed.
 */
int supervise(struct sandbox *sandbox);

#endif
