/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_LOGIN_POLICY_H
#define ISOLATE_HELPER_LOGIN_POLICY_H

#include "helper/protocol.h"
#include "policy/policy.h"

/*
 * What the policy says for the login of request: the policy that it names, or the machine's. *ret_policy is the caller's, for
 * policy_free(), and *ret_effective lives as long. Returns 1 when he is to be isolated, 0 with Isolate=no, or the error of
 * policy_load() or policy_resolve(). Whether all of it is in force is policy_check_built()'s to say.
 */
int login_policy(
	const struct request *request, struct policy **ret_policy, struct policy_effective *ret_effective, struct error *err);

#endif
