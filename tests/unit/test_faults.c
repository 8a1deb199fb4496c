/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A kernel that lacks what a sandbox needs, or refuses it: each system call of the mounts is made to fail in turn (ld --wrap),
 * and each failure must come out as an error that names step and object, with no fd left open.
 */
#include "helper/gatens.h"
#include "helper/mountns.h"
#include "helper/pidns.h"
#include "lib/syscalls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* The call that fails, counted from 1 over all wrapped calls; 0: none does. */
static int failing_call, calls, failing_errno;

static bool fails(void)
{
	if (++calls != failing_call)
		return false;
	errno = failing_errno;
	return true;
}

/* A call that does not fail gives an fd to count, or 0. */
static int some_fd(void)
{
	return fails() ? -1 : open("/dev/null", O_RDWR | O_CLOEXEC);
}

int __wrap_sys_fsopen(const char *type, unsigned int flags);
int __wrap_sys_fsconfig(int fd, unsigned int command, const char *key, const char *value, int aux);
int __wrap_sys_fsmount(int fd, unsigned int flags, unsigned int attributes);
int __wrap_sys_open_tree(int dirfd, const char *path, unsigned int flags);
int __wrap_sys_mount_setattr(int dirfd, const char *path, unsigned int flags, const struct mount_attr *attributes);
int __wrap_sys_move_mount(int from_dirfd, const char *from_path, int to_dirfd, const char *to_path, unsigned int flags);
int __wrap_sys_openat2(int dirfd, const char *path, const struct open_how *how);
int __wrap_mkdirat(int dirfd, const char *path, mode_t mode);
int __wrap_fchownat(int dirfd, const char *path, uid_t uid, gid_t gid, int flags);

int __wrap_sys_fsopen(const char *type, unsigned int flags)
{
	(void)type, (void)flags;
	return some_fd();
}

int __wrap_sys_fsconfig(int fd, unsigned int command, const char *key, const char *value, int aux)
{
	(void)fd, (void)command, (void)key, (void)value, (void)aux;
	return fails() ? -1 : 0;
}

int __wrap_sys_fsmount(int fd, unsigned int flags, unsigned int attributes)
{
	(void)fd, (void)flags, (void)attributes;
	return some_fd();
}

int __wrap_sys_open_tree(int dirfd, const char *path, unsigned int flags)
{
	(void)dirfd, (void)path, (void)flags;
	return some_fd();
}

int __wrap_sys_mount_setattr(int dirfd, const char *path, unsigned int flags, const struct mount_attr *attributes)
{
	(void)dirfd, (void)path, (void)flags, (void)attributes;
	return fails() ? -1 : 0;
}

int __wrap_sys_move_mount(int from_dirfd, const char *from_path, int to_dirfd, const char *to_path, unsigned int flags)
{
	(void)from_dirfd, (void)from_path, (void)to_dirfd, (void)to_path, (void)flags;
	return fails() ? -1 : 0;
}

int __wrap_sys_openat2(int dirfd, const char *path, const struct open_how *how)
{
	(void)dirfd, (void)path, (void)how;
	return some_fd();
}

int __wrap_mkdirat(int dirfd, const char *path, mode_t mode)
{
	(void)dirfd, (void)path, (void)mode;
	return fails() ? -1 : 0;
}

int __wrap_fchownat(int dirfd, const char *path, uid_t uid, gid_t gid, int flags)
{
	(void)dirfd, (void)path, (void)uid, (void)gid, (void)flags;
	return fails() ? -1 : 0;
}

static int count_fds(void)
{
	DIR *fds = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(fds))
		n++;
	closedir(fds);
	return n;
}

static const struct mountns_options all = {
	.userns = true,
	.private_pids = true,
	.private_ipc = true,
	.private_tmp = true,
	.cgroup2 = true,
	.uid = 1000,
	.gid = 1000,
};

static int prepare(struct error *err)
{
	struct mountns_prepared prepared;
	int r = mountns_prepare(&all, &prepared, err);

	if (r >= 0)
		mountns_release(&prepared);
	return r;
}

static int build(struct error *err)
{
	struct mountns_prepared prepared;

	memset(&prepared, -1, sizeof(prepared));
	return mountns_build(&all, &prepared, err);
}

/* Runs work with its first call failing, then its second, ... until it makes fewer calls than that. Returns how many it made. */
static int fail_each_call(int (*work)(struct error *err), int errnum, const char *step)
{
	int fds = count_fds();

	for (int n = 1;; n++) {
		struct error err = { 0 };
		int r;

		failing_call = n;
		failing_errno = errnum;
		calls = 0;
		r = work(&err);
		assert_int_equal(count_fds(), fds);
		if (calls < n) {
			assert_int_equal(r, 0);
			return n - 1;
		}
		assert_int_equal(r, -errnum);
		assert_int_equal(err.errnum, errnum);
		assert_string_equal(err.step, step);
		assert_true(strlen(err.text) > 0);
	}
}

static void each_call_that_prepares_the_mounts_may_fail(void **state)
{
	(void)state;
	/* Four file systems of four calls each, five where screen is installed; the runtime directory's two. */
	assert_int_equal(fail_each_call(prepare, ENOSYS, "mount"), access("/run/screen", F_OK) == 0 ? 22 : 18);
}

static void each_call_that_builds_the_view_may_fail(void **state)
{
	(void)state;
	/* All mounts' attributes; proc and cgroup2 of five calls each; mqueue's where the machine has /dev/mqueue. */
	assert_true(fail_each_call(build, EPERM, "mount") >= 11);
}

static void a_kernel_without_the_mount_calls_is_named_with_its_object(void **state)
{
	struct error err;
	char line[ERROR_LINE_MAX];

	(void)state;
	calls = 0;
	failing_call = 1;
	failing_errno = ENOSYS;
	assert_int_equal(prepare(&err), -ENOSYS);
	assert_string_equal(error_line(&err, line, sizeof(line)), "mount: tmpfs for /tmp: Function not implemented");
	calls = 0;
	assert_int_equal(build(&err), -ENOSYS);
	assert_string_equal(
		error_line(&err, line, sizeof(line)), "mount: change all mounts of the sandbox: Function not implemented");
}

static void a_gate_that_is_not_installed_refuses_the_login(void **state)
{
	struct gatens_prepared prepared;
	struct error err;

	(void)state;
	calls = 0;
	failing_call = 1;
	failing_errno = ENOENT;
	assert_int_equal(gatens_prepare("/bin/bash", &prepared, &err), -ENOENT);
	assert_string_equal(err.step, "gate");
	assert_non_null(strstr(err.text, "/isolate-shell"));
}

/* The wrapped open_tree opens /dev/null: a character device, no setuid file of root's. */
static void a_gate_that_is_not_setuid_root_refuses_the_login(void **state)
{
	struct gatens_prepared prepared;
	struct error err;
	int fds = count_fds();

	(void)state;
	calls = failing_call = 0;
	assert_int_equal(gatens_prepare("/bin/bash", &prepared, &err), -EPERM);
	assert_non_null(strstr(err.text, "is not root's with mode 4755"));
	assert_int_equal(count_fds(), fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_call_that_prepares_the_mounts_may_fail),
		cmocka_unit_test(each_call_that_builds_the_view_may_fail),
		cmocka_unit_test(a_kernel_without_the_mount_calls_is_named_with_its_object),
		cmocka_unit_test(a_gate_that_is_not_installed_refuses_the_login),
		cmocka_unit_test(a_gate_that_is_not_setuid_root_refuses_the_login),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
