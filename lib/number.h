/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_LIB_NUMBER_H
#define ISOLATE_LIB_NUMBER_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

/* ASCII's, whatever the locale. */
static inline bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads the digits at *text, moves *text behind them. -EINVAL when there are none, -ERANGE above INT64_MAX. */
static inline int take_number(const char **text, uint64_t *ret_number)
{
	const char *at = *text;
	uint64_t number = 0;

	if (!is_digit(*at))
		return -EINVAL;
	for (; is_digit(*at); at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		if (number > (INT64_MAX - digit) / 10)
			return -ERANGE;
		number = number * 10 + digit;
	}
	*text = at;
	*ret_number = number;
	return 0;
}

#endif
