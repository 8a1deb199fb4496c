/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/utsns.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HOST_NAME_LENGTH_MAX 64 /* __NEW_UTS_LEN */

static const char *word_for(char letter, const struct hostname_words *words, char *number, size_t size)
{
	switch (letter) {
	case 'u':
		return words->user;
	case 'g':
		return words->group;
	case 'H':
		return words->host;
	case 'U':
		snprintf(number, size, "%u", words->uid);
		return number;
	case 'i':
		snprintf(number, size, "%.8s", words->id);
		return number;
	case '%':
		return "%";
	default:
		return NULL;
	}
}

int utsns_expand(const char *template, const struct hostname_words *words, char *name, size_t size, struct error *err)
{
	char expanded[HOST_NAME_LENGTH_MAX + 1] = "";
	size_t length = 0;

	for (const char *from = template; *from; from++) {
		char number[16], plain[2] = { *from, '\0' };
		const char *word = *from == '%' ? word_for(*++from, words, number, sizeof(number)) : plain;

		if (!word)
			return error_set(err, EINVAL, "hostname", "Hostname=%s: a %% that stands for nothing", template);
		if (strlen(word) > HOST_NAME_LENGTH_MAX - length)
			return error_set(err, ENAMETOOLONG, "hostname", "Hostname=%s: more than %d characters", template,
				HOST_NAME_LENGTH_MAX);
		for (; *word; word++)
			expanded[length++] = isalnum((unsigned char)*word) || *word == '-' || *word == '.' ? *word : '-';
	}
	if (length >= size)
		return error_set(err, ENAMETOOLONG, "hostname", "Hostname=%s", template);
	memcpy(name, expanded, length + 1);
	return 0;
}
