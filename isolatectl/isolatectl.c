/* SPDX-License-Identifier: BSD-3-Clause */

/* The administrator's tool: looks at the policy and at the sessions, and clears away what is left of dead ones. */
#include "config.h"

#include "isolatectl/isolatectl.h"

#include "lib/cleanup.h"

#include <locale.h>
#include <stdbool.h>
#include <string.h>

struct command {
	const char *name, *arguments, *help;
	int (*run)(int argc, char *argv[]);
};

static const struct command commands[] = {
	{ "check", "[FILE...]", "read the policy, or each FILE alone, and say what is wrong with it", command_check },
	{ "explain", "USER", "print what the policy says for USER, and where it says so", command_explain },
	{ "gc", "", "remove what is left of sessions whose supervisor was killed", command_gc },
	{ "list", "[--json]", "print the sessions that are running", command_list },
};

static void print_usage(FILE *out)
{
	fputs("usage:\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  isolatectl %-8s%-10s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
	fputs("  isolatectl --help\n  isolatectl --version\n", out);
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

int misused(const char *name)
{
	const struct command *command = find_command(name);

	if (command)
		fprintf(stderr, "usage: isolatectl %s %s\n", command->name, command->arguments);
	else
		print_usage(stderr);
	return STATUS_USAGE;
}

/* What policy/ says of a file's text, kind, owner or size is a whole sentence; any other errno is the system's and is named. */
static bool says_it_all(int errnum)
{
	static const int own[] = { EINVAL, EPERM, EISDIR, ENODEV, EFBIG, ENOTSUP, ENOMEM };

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (own[i] == errnum)
			return true;
	return false;
}

int complain(const struct error *err)
{
	if (says_it_all(err->errnum))
		fprintf(stderr, "%s\n", err->text);
	else
		fprintf(stderr, "%s: %s\n", err->text, strerror(err->errnum));
	return STATUS_FAILED;
}

/* What was printed has to have arrived: a full disk is no success. */
static int finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	perror("isolatectl: standard output");
	return STATUS_FAILED;
}

int main(int argc, char *argv[])
{
	const struct command *command;

	/* For the width of names in a table; numbers and messages stay those of the C locale. */
	setlocale(LC_CTYPE, "");
	if (argc < 2)
		return misused("");
	if (strcmp(argv[1], "--help") == 0) {
		print_usage(stdout);
		return finish(STATUS_OK);
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("isolatectl (pam_isolate) " PACKAGE_VERSION);
		return finish(STATUS_OK);
	}
	command = find_command(argv[1]);
	return command ? finish(command->run(argc - 1, argv + 1)) : misused("");
}
