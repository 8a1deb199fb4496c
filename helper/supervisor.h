/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_SUPERVISOR_H
#define ISOLATE_HELPER_SUPERVISOR_H

#include "helper/sandbox.h"

/* Watches over a sandbox until its leader closes the session or is gone, or its PID 1 is; then ends and clears it. Returns an
 * exit status for the helper: 0 when all was removed. */
int supervise(struct sandbox *sandbox);

#endif
