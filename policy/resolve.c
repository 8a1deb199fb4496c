/* SPDX-License-Identifier: BSD-3-Clause */

/* What a policy comes to for one user, and how that is told. */
#include "policy/internal.h"

#include "lib/cleanup.h"
#include "lib/hash.h"
#include "lib/words.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

/* A group without a name is in no section, not even in [group *]. */
static bool group_matches(const char *pattern, const struct policy_subject *subject)
{
	for (size_t i = 0; i < subject->n_groups; i++)
		if (*subject->groups[i] && fnmatch(pattern, subject->groups[i], 0) == 0)
			return true;
	return false;
}

static bool section_matches(const struct policy_section *section, const struct policy_subject *subject)
{
	switch (section->kind) {
	case SECTION_USER:
		return strcmp(section->name, subject->user) == 0;
	case SECTION_GROUP:
		return group_matches(section->name, subject);
	case SECTION_DEFAULT:
	case SECTION_KINDS:
		break;
	}
	return section->kind == SECTION_DEFAULT;
}

/* Takes over what no section before has set. */
static void apply_section(const struct policy_section *section, struct policy_effective *effective)
{
	for (const struct policy_entry *entry = section->entries; entry; entry = entry->next)
		if (!effective->values[entry->key].set)
			effective->values[entry->key] = entry->value;
}

static void apply_sections(const struct policy *policy, const struct policy_subject *subject, struct policy_effective *effective)
{
	static const enum section_kind most_specific_first[] = { SECTION_USER, SECTION_GROUP, SECTION_DEFAULT };

	for (size_t i = 0; i < ARRAY_SIZE(most_specific_first); i++)
		for (const struct policy_section *section = policy->first; section; section = section->next)
			if (section->kind == most_specific_first[i] && section_matches(section, subject))
				apply_section(section, effective);
}

static unsigned int choice_index(const struct policy_key_row *row, const char *word)
{
	unsigned int i = 0;

	while (row->choices[i] && strcmp(row->choices[i], word) != 0)
		i++;
	return i;
}

/* All defaults are choices: a limit has none. A test holds the table to that. */
static void apply_defaults(struct policy_effective *effective)
{
	for (size_t key = 0; key < POLICY_KEYS; key++) {
		const struct policy_key_row *row = &policy_keys[key];

		if (effective->values[key].set || !row->default_value)
			continue;
		effective->values[key] = (struct policy_value){
			.set = true,
			.number = choice_index(row, row->default_value),
			.text = row->default_value,
		};
	}
}

static void apply_fallbacks(struct policy_effective *effective)
{
	for (size_t key = 0; key < POLICY_KEYS; key++)
		if (!effective->values[key].set && policy_keys[key].falls_back_to)
			effective->values[key] = effective->values[policy_find_key(policy_keys[key].falls_back_to)];
}

static bool is_choice(const struct policy_effective *effective, enum policy_key key, unsigned int choice)
{
	return effective->values[key].set && effective->values[key].number == choice;
}

/* "FILE:LINE: " for the head of a message; of a default its key stands for the place. */
static int at_place(const struct policy_value *value, struct error *err)
{
	return value->file ? error_prefix(err, "%s:%u", value->file, value->line) : error_prefix(err, "default");
}

/* What PrivatePIDs=no cannot go with: the gate finds U through P, and P's first process knows when the last one ends. */
static const struct {
	enum policy_key key;
	unsigned int needed;
} without_pidns[] = {
	{ POLICY_PRIVATE_USERS, POLICY_PRIVATE_USERS_NO },
	{ POLICY_SCOPE, POLICY_SCOPE_SESSION },
	{ POLICY_KILL_ON_LOGOUT, POLICY_YES },
};

static int check_whole(const struct policy_effective *effective, struct error *err)
{
	if (!is_choice(effective, POLICY_PRIVATE_PIDS, POLICY_NO))
		return 0;
	for (size_t i = 0; i < sizeof(without_pidns) / sizeof(without_pidns[0]); i++) {
		const struct policy_key_row *row = &policy_keys[without_pidns[i].key];

		if (is_choice(effective, without_pidns[i].key, without_pidns[i].needed))
			continue;
		error_set(err, EINVAL, POLICY_STEP, "PrivatePIDs=no asks for %s=%s, not %s=%s", row->name,
			row->choices[without_pidns[i].needed], row->name, effective->values[without_pidns[i].key].text);
		return at_place(&effective->values[POLICY_PRIVATE_PIDS], err);
	}
	return 0;
}

int policy_resolve(const struct policy *policy, const struct policy_subject *subject, struct policy_effective *ret_effective,
	struct error *err)
{
	struct policy_effective effective = { 0 };
	struct error unwanted;
	int r = 0;

	apply_sections(policy, subject, &effective);
	/* A policy must not lock root out, nor put him where he cannot mend it. */
	if (subject->uid == 0)
		effective.values[POLICY_ISOLATE] = (struct policy_value){
			.set = true,
			.number = POLICY_NO,
			.text = "no",
			.section = "root",
		};
	apply_defaults(&effective);
	apply_fallbacks(&effective);
	if (is_choice(&effective, POLICY_ISOLATE, POLICY_YES))
		r = check_whole(&effective, err ? err : &unwanted);
	if (r >= 0)
		*ret_effective = effective;
	return r;
}

static int not_built(const struct policy_key_row *row, const struct policy_value *value, struct error *err)
{
	struct error unwanted;

	if (!err)
		err = &unwanted;
	if (*row->built)
		error_set(err, ENOTSUP, POLICY_STEP, "%s=%s is not in force in this version", row->name, value->text);
	else
		error_set(err, ENOTSUP, POLICY_STEP, "%s is not in force in this version", row->name);
	return at_place(value, err);
}

static bool is_built(const struct policy_key_row *row, const struct policy_value *value)
{
	return !value->set || !row->built || has_word(row->built, value->text);
}

int policy_check_built(const struct policy_effective *effective, struct error *err)
{
	if (is_choice(effective, POLICY_ISOLATE, POLICY_NO))
		return 0;
	for (size_t key = 0; key < POLICY_KEYS; key++) {
		const struct policy_key_row *row = &policy_keys[key];
		const struct policy_value *value = &effective->values[key];

		if (!is_built(row, value))
			return not_built(row, value, err);
	}
	return 0;
}

int policy_check_all_built(const struct policy *policy, struct error *err)
{
	for (const struct policy_section *section = policy->first; section; section = section->next)
		for (const struct policy_entry *entry = section->entries; entry; entry = entry->next)
			if (!is_built(&policy_keys[entry->key], &entry->value))
				return not_built(&policy_keys[entry->key], &entry->value, err);
	return 0;
}

bool policy_is_limit(enum policy_key key)
{
	switch (policy_keys[key].type) {
	case POLICY_TYPE_BYTES:
	case POLICY_TYPE_COUNT:
	case POLICY_TYPE_QUOTA:
	case POLICY_TYPE_WEIGHT:
	case POLICY_TYPE_CPUS:
	case POLICY_TYPE_DEVICE_LIMITS:
		return true;
	default:
		return false;
	}
}

uint32_t policy_digest(const struct policy_value *value)
{
	uint32_t digest = HASH_START;

	if (!value->set)
		return 0;
	for (const char *text = value->text; *text; text++)
		digest = hash_byte(digest, (unsigned char)*text);
	return digest;
}

static bool falls_back(const struct policy_effective *effective, size_t key)
{
	const struct policy_value *value = &effective->values[key], *other;

	if (!policy_keys[key].falls_back_to)
		return false;
	other = &effective->values[policy_find_key(policy_keys[key].falls_back_to)];
	return value->file == other->file && value->line == other->line;
}

static void explain_value(const struct policy_effective *effective, size_t key, FILE *out)
{
	const struct policy_key_row *row = &policy_keys[key];
	const struct policy_value *value = &effective->values[key];
	int width = fprintf(out, "%s=%s", row->name, value->text);

	fprintf(out, "%*s# ", width < 31 ? 32 - width : 1, "");
	if (falls_back(effective, key))
		fprintf(out, "as %s, ", row->falls_back_to);
	if (value->file)
		fprintf(out, "%s:%u [%s]\n", value->file, value->line, value->section);
	else
		fprintf(out, "%s\n", value->section ? "root is never isolated" : "default");
}

void policy_explain(const struct policy_effective *effective, FILE *out)
{
	if (is_choice(effective, POLICY_ISOLATE, POLICY_NO)) {
		explain_value(effective, POLICY_ISOLATE, out);
		return;
	}
	for (size_t key = 0; key < POLICY_KEYS; key++)
		if (effective->values[key].set)
			explain_value(effective, key, out);
}
