/* SPDX-License-Identifier: BSD-3-Clause */

/* isolatectl gc: what killed supervisors and helpers have left. The helper does it. */
#include "isolatectl/isolatectl.h"

#include "helper/client.h"

#include <stdio.h>
#include <unistd.h>

static int ask(uint32_t *ret_collected, struct error *err)
{
	const struct request request = {
		.magic = PROTOCOL_MAGIC,
		.kind = REQUEST_COLLECT_ALL,
		.id = "00000000-0000-0000-0000-000000000000",
		.user = "-",
	};
	struct client_answer answer = CLIENT_ANSWER_NONE;
	struct client helper = CLIENT_NONE;
	int r = client_start(&helper, err);

	if (r >= 0)
		r = client_ask(&helper, &request, sizeof(request), &answer, err);
	client_release(&helper);
	client_answer_release(&answer);
	if (r >= 0)
		*ret_collected = answer.collected;
	return r;
}

int command_gc(int argc, char *argv[])
{
	char line[ERROR_LINE_MAX];
	uint32_t collected;
	struct error err;

	if (argc > 1)
		return misused(argv[0]);
	if (geteuid() != 0) {
		fputs("isolatectl: only root may clear away sessions: run \"isolatectl gc\" as root, with sudo(8) for example\n",
			stderr);
		return STATUS_FAILED;
	}
	if (ask(&collected, &err) < 0) {
		fprintf(stderr, "isolatectl: %s\n", error_line(&err, line, sizeof(line)));
		return STATUS_FAILED;
	}
	printf("removed what was left of %u sessions\n", collected);
	return STATUS_OK;
}
