/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_ISOLATE_INIT_H
#define ISOLATE_HELPER_ISOLATE_INIT_H

/* What the helper and isolate-init agree on: a socket at this fd, on which one byte means that PID 1 is ready. */

#define INIT_REPORT_FD 3
#define INIT_READY 'R'

#endif
