/* SPDX-License-Identifier: BSD-3-Clause */

/* isolatectl explain: what the policy comes to for a user, as NSS knows him. */
#include "isolatectl/isolatectl.h"

#include "lib/cleanup.h"
#include "policy/policy.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>

#define GROUPS_MAX 65536 /* the kernel's NGROUPS_MAX */

static void cleanup_policy(struct policy **policy)
{
	policy_free(*policy);
}

/* All groups of a user, the primary one too. */
struct groups {
	gid_t *gids;
	char **names; /* "": the group has none */
	size_t n;
};

static void cleanup_groups(struct groups *groups)
{
	for (size_t i = 0; groups->names && i < groups->n; i++)
		free(groups->names[i]);
	free(groups->names);
	free(groups->gids);
}

static int list_gids(const struct passwd *user, struct groups *groups)
{
	for (int room = 64; room <= GROUPS_MAX; room *= 2) {
		gid_t *larger = reallocarray(groups->gids, (size_t)room, sizeof(*larger));
		int n = room;

		if (!larger)
			return -1;
		groups->gids = larger;
		if (getgrouplist(user->pw_name, user->pw_gid, larger, &n) < 0)
			continue;
		groups->n = (size_t)n;
		return 0;
	}
	return -1;
}

static int list_groups(const struct passwd *user, struct groups *groups)
{
	if (list_gids(user, groups) < 0)
		return -1;
	groups->names = calloc(groups->n + 1, sizeof(*groups->names));
	for (size_t i = 0; groups->names && i < groups->n; i++) {
		const struct group *group = getgrgid(groups->gids[i]);

		groups->names[i] = strdup(group ? group->gr_name : "");
		if (!groups->names[i])
			return -1;
	}
	return groups->names ? 0 : -1;
}

static void print_head(const struct passwd *user, const struct groups *groups)
{
	printf("# %s: uid %u, groups", user->pw_name, user->pw_uid);
	for (size_t i = 0; i < groups->n; i++)
		if (*groups->names[i])
			printf("%s %s", i == 0 ? "" : ",", groups->names[i]);
		else
			printf("%s %u", i == 0 ? "" : ",", groups->gids[i]);
	putchar('\n');
}

static int explain(const struct passwd *user, const struct groups *groups)
{
	const struct policy_subject subject = {
		.user = user->pw_name,
		.uid = user->pw_uid,
		.groups = (const char *const *)groups->names,
		.n_groups = groups->n,
	};
	static const struct policy_source source = { .file = POLICY_FILE, .directory = POLICY_DIRECTORY };
	__attribute__((cleanup(cleanup_policy))) struct policy *policy = NULL;
	struct policy_effective effective;
	struct error err;

	if (policy_load(&source, &policy, &err) < 0)
		return complain(&err);
	print_head(user, groups);
	if (policy_resolve(policy, &subject, &effective, &err) < 0)
		return complain(&err);
	policy_explain(&effective, stdout);
	if (policy_check_built(&effective, &err) == 0)
		return STATUS_OK;
	fflush(stdout);
	complain(&err);
	fprintf(stderr, "%s cannot log in as long as the policy says so\n", user->pw_name);
	return STATUS_FAILED;
}

int command_explain(int argc, char *argv[])
{
	__attribute__((cleanup(cleanup_groups))) struct groups groups = { NULL, NULL, 0 };
	const struct passwd *user;

	if (argc != 2 || argv[1][0] == '-')
		return misused(argv[0]);
	errno = 0;
	user = getpwnam(argv[1]);
	if (!user) {
		fprintf(stderr, "isolatectl: %s: %s\n", argv[1],
			errno == 0 || errno == ENOENT ? "no such user" : strerror(errno));
		return STATUS_FAILED;
	}
	/* Nothing after this asks for another user: *user stays what it is. */
	if (list_groups(user, &groups) < 0) {
		fprintf(stderr, "isolatectl: %s: cannot list the groups\n", argv[1]);
		return STATUS_FAILED;
	}
	return explain(user, &groups);
}
