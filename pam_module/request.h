/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_PAM_MODULE_REQUEST_H
#define ISOLATE_PAM_MODULE_REQUEST_H

#include "helper/protocol.h"
#include "lib/error.h"

#include <pwd.h>
#include <security/pam_modules.h>

/* The user of the session, in NSS. -ENOENT with step "user": there is none. *ret_entry belongs to pamh. */
int request_find_user(pam_handle_t *pamh, const struct passwd **ret_entry, struct error *err);

/*
 * Makes the request for a login of the user of entry: NSS is asked here, in the leader, once. policy is NULL or another policy
 * file. *ret_request is the caller's to free, *ret_size its size.
 */
int request_make(pam_handle_t *pamh, const struct passwd *entry, const char *policy, struct request **ret_request,
	size_t *ret_size, struct error *err);

#endif
