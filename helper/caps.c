/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct caps {
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
};

static int get(struct caps *caps)
{
	*caps = (struct caps){ .header.version = _LINUX_CAPABILITY_VERSION_3 };
	return (int)syscall(SYS_capget, &caps->header, caps->data);
}

static int set(struct caps *caps)
{
	return (int)syscall(SYS_capset, &caps->header, caps->data);
}

int caps_become_keeping(uid_t uid, gid_t gid, struct error *err)
{
	struct caps caps;

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return error_set(err, errno, "privileges", "PR_SET_KEEPCAPS");
	if (syscall(SYS_setgroups, 0, NULL) < 0)
		return error_set(err, errno, "privileges", "setgroups");
	if (syscall(SYS_setresgid, gid, gid, gid) < 0)
		return error_set(err, errno, "privileges", "setresgid %u", gid);
	if (syscall(SYS_setresuid, uid, uid, uid) < 0)
		return error_set(err, errno, "privileges", "setresuid %u", uid);
	if (get(&caps) < 0)
		return error_set(err, errno, "privileges", "capget");
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		caps.data[i].effective = caps.data[i].permitted;
	if (set(&caps) < 0)
		return error_set(err, errno, "privileges", "capset");
	return 0;
}

/* Until the kernel knows no such capability: EINVAL. */
static int drop_bounding_set(struct error *err)
{
	for (unsigned long cap = 0;; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return errno == EINVAL && cap > CAP_SETPCAP
				       ? 0
				       : error_set(err, errno, "privileges", "drop capability %lu from the bounding set", cap);
}

static int verify_empty(struct error *err)
{
	struct caps caps;

	for (unsigned long cap = 0;; cap++) {
		int r = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);

		if (r > 0)
			return error_set(err, EPERM, "privileges", "capability %lu is still in the bounding set", cap);
		/* Beyond the last that this kernel has. */
		if (r < 0 && errno == EINVAL && cap > CAP_SETPCAP)
			break;
		if (r < 0)
			return error_set(err, errno, "privileges", "read capability %lu of the bounding set", cap);
	}
	if (get(&caps) < 0)
		return error_set(err, errno, "privileges", "capget");
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		if (caps.data[i].effective | caps.data[i].permitted | caps.data[i].inheritable)
			return error_set(err, EPERM, "privileges", "capabilities are left");
	return 0;
}

int caps_drop_all(struct error *err)
{
	struct caps none = { .header.version = _LINUX_CAPABILITY_VERSION_3 };
	int r;

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return error_set(err, errno, "privileges", "clear the ambient set");
	r = drop_bounding_set(err);
	if (r < 0)
		return r;
	if (set(&none) < 0)
		return error_set(err, errno, "privileges", "capset");
	return verify_empty(err);
}

int caps_verify_ids(uid_t uid, gid_t gid, struct error *err)
{
	uid_t ruid, euid, suid;
	gid_t rgid, egid, sgid;

	if (syscall(SYS_getresuid, &ruid, &euid, &suid) < 0 || syscall(SYS_getresgid, &rgid, &egid, &sgid) < 0)
		return error_set(err, errno, "privileges", "read the ids back");
	if (ruid != uid || euid != uid || suid != uid || rgid != gid || egid != gid || sgid != gid)
		return error_set(err, EPERM, "privileges", "the ids are not those that were set");
	if (uid != 0 && (syscall(SYS_setresuid, -1, 0, -1) == 0 || syscall(SYS_setresuid, 0, -1, -1) == 0))
		return error_set(err, EPERM, "privileges", "uid 0 could be had again");
	if (gid != 0 && (syscall(SYS_setresgid, -1, 0, -1) == 0 || syscall(SYS_setresgid, 0, -1, -1) == 0))
		return error_set(err, EPERM, "privileges", "gid 0 could be had again");
	return 0;
}
