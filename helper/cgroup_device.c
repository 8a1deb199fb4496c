/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/cgroup_device.h"

#include "policy/policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

int cgroup_device_resolve(const char *key, const char *item, struct cgroup_device_limit *ret_limit, struct error *err)
{
	struct cgroup_device_limit limit;
	struct stat st;
	size_t length;

	policy_split_device_limit(item, &length, &limit.number);
	if (length >= sizeof(limit.path))
		return error_set(err, ENAMETOOLONG, "cgroup", "%s=%s", key, item);
	memcpy(limit.path, item, length);
	limit.path[length] = '\0';
	if (stat(limit.path, &st) < 0)
		return error_set(err, errno, "cgroup", "%s=%s", key, item);
	if (!S_ISBLK(st.st_mode))
		return error_set(err, ENOTBLK, "cgroup", "%s=%s", key, item);
	limit.major = major(st.st_rdev);
	limit.minor = minor(st.st_rdev);
	*ret_limit = limit;
	return 0;
}

const char *cgroup_device_line(const struct cgroup_device_limit *limit, char *text)
{
	char head[32], *line;
	int length = snprintf(head, sizeof(head), "%u:%u ", limit->major, limit->minor);

	for (char *rest = text; (line = strsep(&rest, "\n"));)
		if (strncmp(line, head, (size_t)length) == 0)
			return line;
	return "";
}
