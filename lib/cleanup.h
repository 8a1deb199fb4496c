/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_LIB_CLEANUP_H
#define ISOLATE_LIB_CLEANUP_H

/*
 * Scope-bound resources: declare with one of these and every return path releases it. Initialise always: a pointer to NULL,
 * an fd to -1. Hand a resource out with take_fd() or take_ptr(), which leave the variable empty.
 */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Closes *fd if it is open and makes it -1. Keeps errno. */
static inline void cleanup_close(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;

		close(*fd);
		*fd = -1;
		errno = saved;
	}
}

static inline void cleanup_free(void *memory)
{
	free(*(void **)memory);
}

static inline void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static inline void cleanup_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

#define AUTO_CLOSE __attribute__((cleanup(cleanup_close)))
#define AUTO_FREE __attribute__((cleanup(cleanup_free)))
#define AUTO_CLOSEDIR __attribute__((cleanup(cleanup_dir)))
#define AUTO_FCLOSE __attribute__((cleanup(cleanup_file)))

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define take_ptr(pointer)                               \
	({                                              \
		__typeof__(pointer) taken_ = (pointer); \
		(pointer) = NULL;                       \
		taken_;                                 \
	})

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#endif
