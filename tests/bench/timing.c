/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/bench/timing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void lone_pause(void)
{
	struct timespec pause = { .tv_nsec = (30 + random() % 71) * 1000000L };

	nanosleep(&pause, NULL);
}

void series_add(struct series *series, uint64_t ns)
{
	if (series->n == series->room) {
		series->room = series->room ? 2 * series->room : 64;
		series->samples = reallocarray(series->samples, series->room, sizeof(*series->samples));
		if (!series->samples)
			die("memory");
	}
	series->samples[series->n++] = ns;
}

static int compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

double series_percentile(struct series *series, unsigned int percent)
{
	if (series->n == 0)
		return 0;
	qsort(series->samples, series->n, sizeof(*series->samples), compare);
	return (double)series->samples[(series->n - 1) * percent / 100] / 1000;
}

void series_print(struct series *series, const char *prefix)
{
	printf("%s median_us=%.1f p95_us=%.1f n=%zu\n", prefix, series_percentile(series, 50), series_percentile(series, 95),
		series->n);
}

void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}
