/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_TESTS_FAKE_CGROUP_H
#define ISOLATE_TESTS_FAKE_CGROUP_H

/* The groups of a session as directories below /tmp, with such files as a test writes. After cmocka.h. */

#include "helper/cgroup_backend.h"
#include "lib/cleanup.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAKE_PATH "/isolate/1000/0123"

static char fake_root[64];
static struct cgroup fake_cgroup;

static inline void fake_hierarchy(const char *controller)
{
	struct cgroup_hierarchy *hierarchy = &fake_cgroup.hierarchies[fake_cgroup.n_hierarchies++];
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", fake_root, controller);
	mkdir(path, 0755);
	hierarchy->controller = controller;
	hierarchy->session = -1;
	hierarchy->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(hierarchy->root >= 0);
	assert_int_equal(mkdirat(hierarchy->root, "isolate", 0755), 0);
	assert_int_equal(mkdirat(hierarchy->root, "isolate/1000", 0755), 0);
	assert_int_equal(mkdirat(hierarchy->root, "isolate/1000/0123", 0755), 0);
}

static inline void fake_make(const struct cgroup_backend *backend)
{
	snprintf(fake_root, sizeof(fake_root), "/tmp/pam_isolate-test.XXXXXX");
	assert_non_null(mkdtemp(fake_root));
	memset(&fake_cgroup, 0, sizeof(fake_cgroup));
	fake_cgroup.backend = backend;
	snprintf(fake_cgroup.path, sizeof(fake_cgroup.path), FAKE_PATH);
	if (backend == &cgroup_backend_v2) {
		fake_hierarchy("");
	} else {
		fake_hierarchy("memory");
		fake_hierarchy("pids");
	}
}

/* Writes a file of a group, in place, as the kernel changes it: what has it open reads the new text. */
static inline void fake_write(enum cgroup_level level, const char *controller, const char *file, const char *text)
{
	char path[96];
	AUTO_CLOSE int fd = -1;

	snprintf(path, sizeof(path), "isolate/1000/%s%s", level == CGROUP_SANDBOX ? "0123/" : "", file);
	fd = openat(cgroup_hierarchy_of(&fake_cgroup, controller)->root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static inline int fake_unlink(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path);
}

static inline void fake_remove(void)
{
	for (size_t i = 0; i < fake_cgroup.n_hierarchies; i++)
		cleanup_close(&fake_cgroup.hierarchies[i].root);
	nftw(fake_root, fake_unlink, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
