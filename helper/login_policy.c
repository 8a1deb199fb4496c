/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/login_policy.h"

int login_policy(
	const struct request *request, struct policy **ret_policy, struct policy_effective *ret_effective, struct error *err)
{
	const char *names[REQUEST_GROUPS_MAX];
	const struct request_group *groups = request_groups(request);
	struct policy_source source = { .file = SYSCONFDIR "/security/isolate.conf",
		.directory = SYSCONFDIR "/security/isolate.d" };
	struct policy_subject subject = {
		.user = request->user,
		.uid = request->uid,
		.groups = names,
		.n_groups = request->n_groups,
	};
	struct policy *policy = NULL;
	int r;

	if (request->policy[0])
		source = (struct policy_source){ .file = request->policy };
	for (size_t i = 0; i < request->n_groups; i++)
		names[i] = groups[i].name;
	r = policy_load(&source, &policy, err);
	if (r >= 0)
		r = policy_resolve(policy, &subject, ret_effective, err);
	if (r < 0) {
		policy_free(policy);
		return r;
	}
	*ret_policy = policy;
	return ret_effective->values[POLICY_ISOLATE].number == POLICY_YES;
}
