/* SPDX-License-Identifier: BSD-3-Clause */

/* isolatectl gc: what killed supervisors and helpers have left. The helper does it. */
#include "isolatectl/isolatectl.h"

#include "helper/client.h"

#include <stdio.h>
#include <unistd.h>

int command_gc(int argc, char *argv[])
{
	char line[ERROR_LINE_MAX];
	uint32_t collected;
	struct error err;
	int r;

	if (argc > 1)
		return misused(argv[0]);
	if (geteuid() != 0) {
		fputs("isolatectl: only root may clear away sessions: run \"isolatectl gc\" as root, with sudo(8) for example\n",
			stderr);
		return STATUS_FAILED;
	}
	r = client_collect(NULL, &collected, &err);
	if (r >= 0 || collected > 0)
		printf("removed what was left of %u sessions\n", collected);
	if (r < 0)
		fprintf(stderr, "isolatectl: %s\n", error_line(&err, line, sizeof(line)));
	return r < 0 ? STATUS_FAILED : STATUS_OK;
}
