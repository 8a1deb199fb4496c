/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_ISOLATECTL_ISOLATECTL_H
#define ISOLATE_ISOLATECTL_ISOLATECTL_H

/* The commands of isolatectl(8). Each gets its arguments, argv[0] being its own name, and returns the exit status. */

#include "lib/error.h"

#define POLICY_FILE SYSCONFDIR "/security/isolate.conf"
#define POLICY_DIRECTORY SYSCONFDIR "/security/isolate.d"

enum { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

int command_check(int argc, char *argv[]);
int command_explain(int argc, char *argv[]);
int command_gc(int argc, char *argv[]);
int command_list(int argc, char *argv[]);

/* Says on standard error what is wrong with a policy: FILE:LINE: text. Returns STATUS_FAILED. */
int complain(const struct error *err);

/* Says on standard error how the command is used. Returns STATUS_USAGE. */
int misused(const char *command);

#endif
