/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_BANNER_H
#define ISOLATE_HELPER_BANNER_H

#include "policy/policy.h"

/* Banner=yes: the limits of a login as one line for the user, in text (size bytes). Empty with Banner=no. */
void banner_make(const struct policy_effective *effective, char *text, size_t size);

#endif
