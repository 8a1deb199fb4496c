/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_LIB_DURATION_H
#define ISOLATE_LIB_DURATION_H

#include <stdint.h>

/* Room for what format_duration() writes. */
#define DURATION_SIZE 40

/* "90 minutes", "1 hour", "61 seconds": in the largest unit that comes out even. */
void format_duration(uint64_t seconds, char text[DURATION_SIZE]);

/*
 * Reads a time span as systemd.time(7) has it, in whole seconds: "90", "8h", "1d 12h", "2 hours 30min". Units are s, min (m), h,
 * d and w and their longer names; a number without one is seconds; what is written is added up. 0 or a negative errno: -EINVAL
 * for anything else, -ERANGE for what does not fit.
 */
int parse_duration(const char *text, uint64_t *ret_seconds);

#endif
