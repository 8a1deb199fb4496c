/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * isolate-names UID: writes the request for that user to its socket. isolate-login, which is static and must not load NSS modules
 * into a setuid program, starts it as root with an empty environment. It has no privilege of its own.
 */
#include "helper/identity.h"

#include "lib/cleanup.h"
#include "lib/fd.h"

#include <errno.h>

int main(int argc, char **argv)
{
	AUTO_FREE struct request *request = NULL;
	const struct passwd *entry;
	char *end = NULL;
	unsigned long uid;
	size_t size;

	if (argc != 2)
		return 2;
	uid = strtoul(argv[1], &end, 10);
	if (*end || uid > 0xfffffffeul)
		return 2;
	entry = getpwuid((uid_t)uid);
	if (!entry || identity_request(entry, &request, &size, NULL) < 0)
		return 1;
	if (identity_copy(request->service, sizeof(request->service), "isolate-shell", "service", NULL) < 0)
		return 1;
	return send_message(HELPER_SOCKET_FD, request, size, NULL, 0) < 0;
}
