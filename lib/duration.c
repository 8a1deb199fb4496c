/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/duration.h"

#include "lib/cleanup.h"
#include "lib/number.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define BLANKS " \t"

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

/* The seconds of a unit; 0: there is no such unit. */
static uint64_t unit_seconds(const char *name, size_t length)
{
	static const struct {
		const char *name;
		uint64_t seconds;
	} units[] = {
		{ "", 1 },
		{ "s", 1 },
		{ "sec", 1 },
		{ "second", 1 },
		{ "seconds", 1 },
		{ "m", 60 },
		{ "min", 60 },
		{ "minute", 60 },
		{ "minutes", 60 },
		{ "h", 3600 },
		{ "hr", 3600 },
		{ "hour", 3600 },
		{ "hours", 3600 },
		{ "d", 86400 },
		{ "day", 86400 },
		{ "days", 86400 },
		{ "w", 604800 },
		{ "week", 604800 },
		{ "weeks", 604800 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strlen(units[i].name) == length && memcmp(units[i].name, name, length) == 0)
			return units[i].seconds;
	return 0;
}

/* "30min" at *text, which is moved behind it and the blanks that follow. */
static int take_part(const char **text, uint64_t *seconds)
{
	const char *unit = *text;
	uint64_t number, factor;
	size_t letters;
	int r = take_number(&unit, &number);

	if (r < 0)
		return r;
	unit += strspn(unit, BLANKS);
	letters = strcspn(unit, BLANKS "0123456789");
	factor = unit_seconds(unit, letters);
	if (factor == 0)
		return -EINVAL;
	if (__builtin_mul_overflow(number, factor, &number) || __builtin_add_overflow(*seconds, number, seconds))
		return -ERANGE;
	*text = unit + letters + strspn(unit + letters, BLANKS);
	return 0;
}

int parse_duration(const char *text, uint64_t *ret_seconds)
{
	uint64_t seconds = 0;
	int r;

	do
		r = take_part(&text, &seconds);
	while (r == 0 && *text);
	if (r == 0)
		*ret_seconds = seconds;
	return r;
}
