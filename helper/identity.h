/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_IDENTITY_H
#define ISOLATE_HELPER_IDENTITY_H

/* Who logs in, as NSS knows him: for the module and isolate-names, which are linked with glibc. The helper asks no name service.
 */

#include "helper/protocol.h"
#include "lib/error.h"

#include <pwd.h>

/*
 * Makes the request for a login of the user of entry, with a new random id; service and terminal are left empty. *ret_request is
 * the caller's to free, *ret_size what to send of it. -E2BIG: in more groups than a map has lines. -ENAMETOOLONG: a name that
 * does not fit.
 */
int identity_request(const struct passwd *entry, struct request **ret_request, size_t *ret_size, struct error *err);

/* Copies a string to a field of the request; what names it in the error. */
int identity_copy(char *field, size_t size, const char *text, const char *what, struct error *err);

#endif
