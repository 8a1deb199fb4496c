/* SPDX-License-Identifier: BSD-3-Clause */
#include "pam_module/request.h"

#include "helper/identity.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <security/pam_modutil.h>

/* An item that the service may leave out. */
static int copy_item(pam_handle_t *pamh, int item, char *field, size_t size, const char *what, struct error *err)
{
	const void *text = NULL;

	if (pam_get_item(pamh, item, &text) != PAM_SUCCESS || !text)
		return 0;
	return identity_copy(field, size, text, what, err);
}

int request_find_user(pam_handle_t *pamh, const struct passwd **ret_entry, struct error *err)
{
	const struct passwd *entry;
	const char *user = NULL;

	if (pam_get_user(pamh, &user, NULL) != PAM_SUCCESS || !user || !*user)
		return error_set(err, EINVAL, "user", "the service names no user");
	errno = 0;
	entry = pam_modutil_getpwnam(pamh, user);
	if (!entry)
		return error_set(err, errno ? errno : ENOENT, "user", "%s is not known", user);
	*ret_entry = entry;
	return 0;
}

int request_make(pam_handle_t *pamh, const struct passwd *entry, const char *policy, struct request **ret_request,
	size_t *ret_size, struct error *err)
{
	AUTO_FREE struct request *request = NULL;
	int r = identity_request(entry, &request, ret_size, err);

	if (r >= 0)
		r = copy_item(pamh, PAM_SERVICE, request->service, sizeof(request->service), "service", err);
	if (r >= 0)
		r = copy_item(pamh, PAM_TTY, request->tty, sizeof(request->tty), "terminal", err);
	if (r >= 0 && policy)
		r = identity_copy(request->policy, sizeof(request->policy), policy, "policy's path", err);
	if (r < 0)
		return r;
	*ret_request = take_ptr(request);
	return 0;
}
