/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_USERTMP_H
#define ISOLATE_HELPER_USERTMP_H

/*
 * PrivateTmp=user: /tmp and /var/tmp that all sandboxes of a user have in common, also one after the other. They are directories
 * on disk, LOCALSTATEDIR/lib/pam_isolate/tmp/<uid>/tmp and .../var-tmp: in memory they would be charged to nobody once the
 * sandbox that wrote them is gone. Nobody but root gets there by a path; tmpfiles.d(5) ages them.
 */

#include "lib/error.h"

#include <sys/types.h>

#define USERTMP_DIR LOCALSTATEDIR "/lib/pam_isolate"

/* A detached mount of one of them: which is "tmp" or "var-tmp". Returns its fd, the caller's, or a negative errno: -EPERM when a
 * directory is not root's. */
int usertmp_open(uid_t uid, const char *which, struct error *err);

#endif
