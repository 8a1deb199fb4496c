/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_LIB_HASH_H
#define ISOLATE_LIB_HASH_H

#include <stdint.h>

/* FNV-1a, to tell texts apart that nobody chooses to collide. Begin with HASH_START. */
#define HASH_START 2166136261u

static inline uint32_t hash_byte(uint32_t hash, unsigned char byte)
{
	return (hash ^ byte) * 16777619u;
}

#endif
