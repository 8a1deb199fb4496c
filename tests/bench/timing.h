/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_BENCH_TIMING_H
#define ISOLATE_BENCH_TIMING_H

/* What the bench programs share: a clock, a pause, medians. */

#include <stddef.h>
#include <stdint.h>

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t now_ns(void);

/* Before each run of a lone series: 30 to 100 ms, so that caches, CPU clocks and RCU are as they are at one login now and then.
 */
void lone_pause(void);

/* One measured thing: its samples in nanoseconds. */
struct series {
	uint64_t *samples;
	size_t n, room;
};

void series_add(struct series *series, uint64_t ns);

/* The value that percent of the samples do not exceed, in microseconds. Sorts the samples. */
double series_percentile(struct series *series, unsigned int percent);

/* "<prefix> median_us=… p95_us=… n=…" */
void series_print(struct series *series, const char *prefix);

/* Prints what with errno and exits: a bench whose system call failed has measured nothing. */
_Noreturn void die(const char *what);

#endif
