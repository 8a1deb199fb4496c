/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_POLICY_INTERNAL_H
#define ISOLATE_POLICY_INTERNAL_H

/* What the files of policy/ share and nobody else sees: how a policy lies in memory. */

#include "policy/policy.h"

#define POLICY_STEP "policy"

enum section_kind { SECTION_DEFAULT, SECTION_GROUP, SECTION_USER, SECTION_KINDS };

/* One item of a list, while the lines that make the list are still being read. */
struct policy_item {
	struct policy_item *next;
	char *text;
};

/* One key that a section sets. A list's value.text and value.list are made when all files are read. */
struct policy_entry {
	struct policy_entry *next;
	enum policy_key key;
	struct policy_value value;
	struct policy_item *first_item, *last_item;
};

/* All sections of the same head are one; it stands where the first of them stood. */
struct policy_section {
	struct policy_section *next; /* in the order of the policy */
	struct policy_section *next_in_bucket;
	enum section_kind kind;
	const char *name;  /* the user or the pattern; "" for [default] */
	const char *title; /* "group students" */
	struct policy_entry *entries;
};

#define POLICY_BUCKETS 256

struct policy {
	struct policy_section *first, *last;
	struct policy_section *buckets[POLICY_BUCKETS]; /* by the hash of kind and name: a site may have a section per user */
	struct allocation *allocations;                 /* all memory of the policy, freed at once */
};

/* size zeroed bytes that live as long as the policy, or NULL. */
void *policy_allocate(struct policy *policy, size_t size);

/* The row's key, or POLICY_KEYS when there is none of that name. */
enum policy_key policy_find_key(const char *name);

/* Whether the type's values add up to a list over several lines. */
bool policy_type_is_list(enum policy_type type);

/*
 * Checks text, which is not empty and has no blanks at its ends, as a value of the key, and fills entry->value's number, unit
 * and text, or appends to the entry's items. text must live as long as the policy; it is cut into items in place.
 * policy may be NULL for a type that is not a list. 0, -ENOMEM, or -EINVAL with the reason in *err, neither key nor place named.
 */
int policy_parse_value(struct policy *policy, enum policy_key key, char *text, struct policy_entry *entry, struct error *err);

/* A text for an error message: cut where it is long. As a struct, so that it lives until the end of the full expression. */
struct shown {
	char text[72];
};

struct shown shown(const char *text);

#endif
