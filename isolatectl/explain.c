/* SPDX-License-Identifier: BSD-3-Clause */

/* isolatectl explain: what the policy comes to for a user, as NSS knows him. */
#include "isolatectl/isolatectl.h"

#include "helper/identity.h"
#include "helper/login_policy.h"
#include "lib/cleanup.h"

#include <string.h>

static void cleanup_policy(struct policy **policy)
{
	policy_free(*policy);
}

static void print_head(const struct request *request)
{
	const struct request_group *groups = request_groups(request);

	printf("# %s: uid %u, groups", request->user, request->uid);
	for (size_t i = 0; i < request->n_groups; i++)
		if (groups[i].name[0])
			printf("%s %s", i == 0 ? "" : ",", groups[i].name);
		else
			printf("%s %u", i == 0 ? "" : ",", groups[i].gid);
	putchar('\n');
}

static int explain(const struct request *request)
{
	__attribute__((cleanup(cleanup_policy))) struct policy *policy = NULL;
	struct policy_effective effective;
	struct error err;

	print_head(request);
	fflush(stdout);
	if (login_policy(request, &policy, &effective, &err) < 0)
		return complain(&err);
	policy_explain(&effective, stdout);
	if (policy_check_built(&effective, &err) == 0)
		return STATUS_OK;
	fflush(stdout);
	complain(&err);
	fprintf(stderr, "%s cannot log in as long as the policy says so\n", request->user);
	return STATUS_FAILED;
}

/* As a login would ask: what a login could not be made for is refused here with the same words. */
int command_explain(int argc, char *argv[])
{
	AUTO_FREE struct request *request = NULL;
	const struct passwd *user;
	struct error err;
	size_t size;

	if (argc != 2 || argv[1][0] == '-')
		return misused(argv[0]);
	errno = 0;
	user = getpwnam(argv[1]);
	if (!user) {
		fprintf(stderr, "isolatectl: %s: %s\n", argv[1],
			errno == 0 || errno == ENOENT ? "no such user" : strerror(errno));
		return STATUS_FAILED;
	}
	return identity_request(user, &request, &size, &err) < 0 ? complain(&err) : explain(request);
}
