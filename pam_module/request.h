/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_PAM_MODULE_REQUEST_H
#define ISOLATE_PAM_MODULE_REQUEST_H

#include "helper/protocol.h"
#include "lib/error.h"

#include <security/pam_modules.h>

/*
 * Makes the request for a login of user: NSS is asked here, in the leader, once. policy is NULL or another policy file. *ret_request is the
 * caller's to free, *ret_size its size. -ENOENT with step "user": no such user.
 */
int request_make(pam_handle_t *pamh, const char *user, const char *policy, struct request **ret_request, size_t *ret_size,
	struct error *err);

#endif
