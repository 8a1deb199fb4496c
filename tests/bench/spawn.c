/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Times a command from vfork to its end: for the peers of pam_isolate, which are commands, and for the tiny program alone.
 *
 *   spawn [-m warm|lone] [-n RUNS] -l LABEL COMMAND [ARGUMENT...]
 *
 * "spawn label=… mode=warm median_us=… p95_us=… n=…"
 */
#include "tests/bench/timing.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the command prints is not of interest. */
static void run_once(char **command, const posix_spawn_file_actions_t *silence, struct series *series)
{
	uint64_t start = now_ns();
	int status;
	pid_t pid;

	errno = posix_spawnp(&pid, command[0], silence, NULL, command, environ);
	if (errno != 0)
		die(command[0]);
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	if (status != 0) {
		errno = ECANCELED;
		die(command[0]);
	}
	series_add(series, now_ns() - start);
}

int main(int argc, char **argv)
{
	posix_spawn_file_actions_t silence;
	struct series series = { 0 };
	const char *mode = "warm", *label = "command";
	char prefix[128];
	int runs = 100, option;

	while ((option = getopt(argc, argv, "+m:n:l:")) >= 0) {
		switch (option) {
		case 'm':
			mode = optarg;
			break;
		case 'n':
			runs = atoi(optarg);
			break;
		case 'l':
			label = optarg;
			break;
		default:
			return 2;
		}
	}
	if (optind == argc || runs < 1)
		return 2;
	errno = posix_spawn_file_actions_init(&silence);
	if (errno == 0)
		errno = posix_spawn_file_actions_addopen(&silence, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	if (errno != 0)
		die("posix_spawn_file_actions");
	for (int i = 0; i < runs; i++) {
		if (strcmp(mode, "lone") == 0)
			lone_pause();
		run_once(argv + optind, &silence, &series);
	}
	snprintf(prefix, sizeof(prefix), "spawn label=%s mode=%s", label, mode);
	series_print(&series, prefix);
	return 0;
}
