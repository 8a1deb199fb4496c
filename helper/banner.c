/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/banner.h"

#include "lib/duration.h"

#include <stdio.h>
#include <string.h>

/* A limit of all logins that is only what one login has is not worth a word: see same. */
static const struct {
	enum policy_key key, same; /* POLICY_KEYS: none */
	const char *before, *after;
} words[] = {
	{ POLICY_MEMORY_MAX, POLICY_KEYS, "", " of memory" },
	{ POLICY_CPU_QUOTA, POLICY_KEYS, "", " of a CPU" },
	{ POLICY_TASKS_MAX, POLICY_KEYS, "", " processes and threads" },
	{ POLICY_USER_MEMORY_MAX, POLICY_MEMORY_MAX, "all your logins together ", " of memory" },
	{ POLICY_USER_CPU_QUOTA, POLICY_CPU_QUOTA, "all your logins together ", " of a CPU" },
	{ POLICY_USER_TASKS_MAX, POLICY_TASKS_MAX, "all your logins together ", " processes and threads" },
};

static void append(char *text, size_t size, const char *more)
{
	size_t length = strlen(text);

	snprintf(text + length, size - length, "%s", more);
}

static bool is_limited(const struct policy_value *value)
{
	return value->set && value->unit != POLICY_INFINITY;
}

static bool is_worth_telling(const struct policy_effective *effective, size_t i)
{
	const struct policy_value *value = &effective->values[words[i].key];
	const struct policy_value *same = words[i].same == POLICY_KEYS ? NULL : &effective->values[words[i].same];

	return is_limited(value) && !(same && is_limited(same) && strcmp(same->text, value->text) == 0);
}

static void append_runtime(const struct policy_effective *effective, char *text, size_t size)
{
	const struct policy_value *value = &effective->values[POLICY_RUNTIME_MAX_SEC];
	char duration[DURATION_SIZE];

	if (!is_limited(value))
		return;
	format_duration(value->number, duration);
	append(text, size, " It ends after ");
	append(text, size, duration);
	append(text, size, ".");
}

void banner_make(const struct policy_effective *effective, char *text, size_t size)
{
	const char *separator = "";

	text[0] = '\0';
	if (effective->values[POLICY_BANNER].number != POLICY_YES)
		return;
	append(text, size, "This login may use ");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!is_worth_telling(effective, i))
			continue;
		append(text, size, separator);
		append(text, size, words[i].before);
		append(text, size, effective->values[words[i].key].text);
		append(text, size, words[i].after);
		separator = ", ";
	}
	append(text, size, *separator ? "." : "all that this machine has.");
	append_runtime(effective, text, size);
}
