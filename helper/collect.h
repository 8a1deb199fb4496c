/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_COLLECT_H
#define ISOLATE_HELPER_COLLECT_H

/*
 * What a supervisor or a helper that was killed has left: with it PID 1 has gone, and all processes of the sandbox; its record
 * and its groups stay, and a leader may still be in those. A record tells by its lock that nobody looks after it (record.h); it
 * is there before the groups are, and goes after them.
 */

#include "helper/record.h"
#include "lib/error.h"

/* Finishes the work of session id's supervisor for its leader, who asks for it: he is brought home. 0, or a negative errno. */
int collect_session(const char *id, struct error *err);

/* The same for all that is left over. *ret_collected is how many sessions were removed, also where it fails: with the error of
 * the last that could not be. */
int collect_all(uint32_t *ret_collected, struct error *err);

/* Has another helper do it, unless one has just now. Does not wait. */
void collect_if_due(const struct record_store *store);

#endif
