/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_LIB_WORDS_H
#define ISOLATE_LIB_WORDS_H

#include <stdbool.h>
#include <string.h>

/* Whether word is one of words, which have blanks between them. */
static inline bool has_word(const char *words, const char *word)
{
	size_t length = strlen(word);

	for (; *words; words += strcspn(words, " "), words += strspn(words, " "))
		if (strcspn(words, " ") == length && strncmp(words, word, length) == 0)
			return true;
	return false;
}

#endif
