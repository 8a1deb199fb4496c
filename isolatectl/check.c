/* SPDX-License-Identifier: BSD-3-Clause */

/* isolatectl check: is the policy one? */
#include "isolatectl/isolatectl.h"

#include "policy/policy.h"

static int check(const struct policy_source *source)
{
	struct policy *policy;
	struct error err;
	int r;

	if (policy_load(source, &policy, &err) < 0)
		return complain(&err);
	r = policy_check_all_built(policy, &err);
	policy_free(policy);
	if (r < 0)
		return complain(&err);
	printf("%s: ok\n", source->file);
	return STATUS_OK;
}

int command_check(int argc, char *argv[])
{
	int status = STATUS_OK;

	for (int i = 1; i < argc; i++)
		if (argv[i][0] == '-')
			return misused(argv[0]);
	if (argc == 1)
		return check(&(struct policy_source){ .file = POLICY_FILE, .directory = POLICY_DIRECTORY });
	for (int i = 1; i < argc; i++)
		if (check(&(struct policy_source){ .file = argv[i], .trust_owner = true }) != STATUS_OK)
			status = STATUS_FAILED;
	return status;
}
