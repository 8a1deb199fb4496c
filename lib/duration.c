/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/duration.h"

#include "lib/cleanup.h"

#include <inttypes.h>

void format_duration(uint64_t seconds, char text[DURATION_SIZE])
{
	static const struct {
		uint64_t seconds;
		const char *name;
	} units[] = { { 86400, "day" }, { 3600, "hour" }, { 60, "minute" }, { 1, "second" } };
	size_t i = 0;
	uint64_t number;

	while (i < ARRAY_SIZE(units) - 1 && (seconds < units[i].seconds || seconds % units[i].seconds != 0))
		i++;
	number = seconds / units[i].seconds;
	snprintf(text, DURATION_SIZE, "%" PRIu64 " %s%s", number, units[i].name, number == 1 ? "" : "s");
}
