/* SPDX-License-Identifier: BSD-3-Clause */

/* Any bytes as a policy: read, resolved for some users and explained. Nothing may crash, leak, hang or contradict itself. */
#include "policy/policy.h"

#include "lib/cleanup.h"

#include <string.h>

static const char *const groups[] = { "alice", "students", "lab-1" };
static const struct policy_subject subjects[] = {
	{ .user = "alice", .uid = 1000, .groups = groups, .n_groups = ARRAY_SIZE(groups) },
	{ .user = "bob", .uid = 1001 },
	{ .user = "root", .uid = 0, .groups = groups, .n_groups = 1 },
};

static void must(bool condition)
{
	if (!condition)
		abort();
}

/* An error is what lib/error.h says that it is, and names the file. */
static void check_error(int r, const struct error *err)
{
	must(r < 0 && err->errnum == -r);
	must(strcmp(err->step, "policy") == 0);
	must(r == -ENOMEM || strncmp(err->text, "fuzz", 4) == 0 || strncmp(err->text, "default", 7) == 0);
	for (const char *c = err->text; *c; c++)
		must((unsigned char)*c >= 0x20 && *c != 0x7f);
}

static void check_value(size_t key, const struct policy_value *value)
{
	const struct policy_key_row *row = &policy_keys[key];

	if (!value->set)
		return;
	must(value->text && *value->text);
	must(!value->file == !value->line);
	if (row->type == POLICY_TYPE_CHOICE)
		must(strcmp(row->choices[value->number], value->text) == 0);
	for (size_t i = 0; value->list && value->list[i]; i++)
		must(*value->list[i] && strstr(value->text, value->list[i]));
}

static void use(const struct policy *policy, const struct policy_subject *subject, FILE *out)
{
	struct policy_effective effective;
	struct error err;
	int r = policy_resolve(policy, subject, &effective, &err);

	if (r < 0) {
		check_error(r, &err);
		return;
	}
	must(subject->uid != 0 || effective.values[POLICY_ISOLATE].number == POLICY_NO);
	for (size_t key = 0; key < POLICY_KEYS; key++)
		check_value(key, &effective.values[key]);
	r = policy_check_built(&effective, &err);
	if (r < 0)
		check_error(r, &err);
	policy_explain(&effective, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FCLOSE FILE *out = fopen("/dev/null", "we");
	struct policy *policy = NULL;
	struct error err;
	int r;

	must(out != NULL);
	r = policy_parse("fuzz", (const char *)data, size, &policy, &err);
	if (r < 0) {
		check_error(r, &err);
		must(policy == NULL);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(subjects); i++)
		use(policy, &subjects[i], out);
	policy_free(policy);
	return 0;
}
