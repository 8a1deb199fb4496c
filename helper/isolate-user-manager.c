/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * isolate-user-manager UID: the ExecCondition= of user@UID.service. Exit status 0: systemd --user may run for him; 1: it is
 * skipped, for it would run units out of his home directory outside of every sandbox. systemd.service(5)
 */
#include "helper/identity.h"
#include "helper/login_policy.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <stdio.h>

static int skip(const struct error *err)
{
	char line[ERROR_LINE_MAX];

	fprintf(stderr, "pam_isolate: user manager skipped: %s\n", error_line(err, line, sizeof(line)));
	return 1;
}

/* When in doubt he has none. */
static int ask_policy(const struct passwd *entry)
{
	AUTO_FREE struct request *request = NULL;
	struct policy *policy = NULL;
	struct policy_effective effective;
	struct error err;
	size_t size;
	bool may;
	int r = identity_request(entry, &request, &size, &err);

	if (r >= 0)
		r = login_policy(request, &policy, &effective, &err);
	if (r < 0)
		return skip(&err);
	may = r == 0 || effective.values[POLICY_USER_MANAGER].number == POLICY_YES;
	policy_free(policy);
	if (!may)
		fprintf(stderr, "pam_isolate: user manager of %s skipped: UserManager=no\n", entry->pw_name);
	return may ? 0 : 1;
}

int main(int argc, char **argv)
{
	const struct passwd *entry;
	unsigned long uid;
	struct error err;
	char *end = NULL;

	if (argc != 2) {
		fprintf(stderr, "usage: isolate-user-manager UID\n");
		return 1;
	}
	uid = strtoul(argv[1], &end, 10);
	entry = *argv[1] && !*end && uid < 0xffffffffUL ? getpwuid((uid_t)uid) : NULL;
	if (!entry) {
		error_set(&err, ENOENT, "user", "%s", argv[1]);
		return skip(&err);
	}
	/* Whatever is wrong with the policy, root's manager runs. */
	return entry->pw_uid == 0 ? 0 : ask_policy(entry);
}
