/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_UTSNS_H
#define ISOLATE_HELPER_UTSNS_H

#include "lib/error.h"

#include <stddef.h>
#include <sys/types.h>

/* What stands for the letters of Hostname=. */
struct hostname_words {
	const char *user;  /* %u */
	uid_t uid;         /* %U */
	const char *group; /* %g: the primary group */
	const char *host;  /* %H */
	const char *id;    /* %i: the first eight characters of the session's id */
};

/* Expands template (checked by the policy's parser) to name, size bytes. Characters that no host name has become '-'.
 * -ENAMETOOLONG over 64 characters, the most that sethostname(2) takes. */
int utsns_expand(const char *template, const struct hostname_words *words, char *name, size_t size, struct error *err);

#endif
