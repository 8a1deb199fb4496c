/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_LIB_DURATION_H
#define ISOLATE_LIB_DURATION_H

#include <stdint.h>

/* Room for what format_duration() writes. */
#define DURATION_SIZE 40

/* "90 minutes", "1 hour", "61 seconds": in the largest unit that comes out even. */
void format_duration(uint64_t seconds, char text[DURATION_SIZE]);

#endif
