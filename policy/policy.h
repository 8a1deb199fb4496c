/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_POLICY_POLICY_H
#define ISOLATE_POLICY_POLICY_H

/*
 * The policy language of isolate.conf(5): read strictly, resolved for one user, each value with the place it came from.
 *
 * Nothing here asks NSS, the environment or the clock: who the user is comes in as a struct policy_subject.
 */

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* One key of the language; the order is that of policy_keys[] (keys.c). */
enum policy_key {
	POLICY_ISOLATE,
	POLICY_SCOPE,
	POLICY_PRIVATE_USERS,
	POLICY_PRIVATE_PIDS,
	POLICY_PRIVATE_IPC,
	POLICY_HOSTNAME,
	POLICY_PRIVATE_NETWORK,
	POLICY_NETWORK_BRIDGE,
	POLICY_NETWORK_ADDRESS,
	POLICY_PRIVATE_CLOCK,
	POLICY_PRIVATE_TMP,
	POLICY_READ_ONLY_PATHS,
	POLICY_INACCESSIBLE_PATHS,
	POLICY_BIND_PATHS,
	POLICY_BIND_READ_ONLY_PATHS,
	POLICY_TEMPORARY_FILE_SYSTEM,
	POLICY_ROOT_DIRECTORY,
	POLICY_ROOT_EPHEMERAL,
	POLICY_MEMORY_MAX,
	POLICY_MEMORY_HIGH,
	POLICY_MEMORY_SWAP_MAX,
	POLICY_CPU_QUOTA,
	POLICY_CPU_WEIGHT,
	POLICY_ALLOWED_CPUS,
	POLICY_TASKS_MAX,
	POLICY_IO_WEIGHT,
	POLICY_IO_READ_BANDWIDTH_MAX,
	POLICY_IO_WRITE_BANDWIDTH_MAX,
	POLICY_IO_READ_IOPS_MAX,
	POLICY_IO_WRITE_IOPS_MAX,
	POLICY_USER_MEMORY_MAX,
	POLICY_USER_MEMORY_HIGH,
	POLICY_USER_MEMORY_SWAP_MAX,
	POLICY_USER_CPU_QUOTA,
	POLICY_USER_TASKS_MAX,
	POLICY_USER_MANAGER,
	POLICY_KILL_ON_LOGOUT,
	POLICY_RUNTIME_MAX_SEC,
	POLICY_BANNER,
	POLICY_NO_NEW_PRIVILEGES,
	POLICY_CAPABILITY_BOUNDING_SET,
	POLICY_SYSTEM_CALL_FILTER,
	POLICY_RESTRICT_NAMESPACES,
	POLICY_APP_ARMOR_PROFILE,
	POLICY_KEYS, /* how many there are */
};

enum policy_type {
	POLICY_TYPE_CHOICE,        /* one of row->choices; number is its index. Booleans are the choices "no", "yes" */
	POLICY_TYPE_BYTES,         /* number of bytes, percent of RAM, or infinity: see unit */
	POLICY_TYPE_COUNT,         /* number, percent of the system's limit, or infinity: see unit */
	POLICY_TYPE_QUOTA,         /* number: percent of one CPU, 1 or more */
	POLICY_TYPE_WEIGHT,        /* number: 1 to 10000 */
	POLICY_TYPE_SECONDS,       /* number: seconds; or infinity: see unit */
	POLICY_TYPE_CPUS,          /* text: a list as cpuset(7) takes it, "0-3,5" */
	POLICY_TYPE_HOSTNAME,      /* text: a host name with %u %U %g %H %i */
	POLICY_TYPE_PATH,          /* text: an absolute, normal path */
	POLICY_TYPE_PATHS,         /* list: absolute, normal paths */
	POLICY_TYPE_BINDS,         /* list: SOURCE[:TARGET], both absolute, normal paths */
	POLICY_TYPE_MOUNTS,        /* list: PATH[:OPTIONS] */
	POLICY_TYPE_WORD,          /* text: a name without blanks */
	POLICY_TYPE_WORDS,         /* list: names without blanks */
	POLICY_TYPE_DEVICE_LIMITS, /* list: "DEVICE LIMIT" with one blank between, as in systemd's IOReadBandwidthMax= */
};

enum policy_unit { POLICY_PLAIN, POLICY_PERCENT, POLICY_INFINITY };

/* The choices of the keys whose value the code switches on, in the order of their rows' choices[]. */
enum { POLICY_NO, POLICY_YES };
enum { POLICY_SCOPE_SESSION, POLICY_SCOPE_USER };
enum { POLICY_PRIVATE_USERS_SELF, POLICY_PRIVATE_USERS_ROOT, POLICY_PRIVATE_USERS_NO };
enum { POLICY_PRIVATE_TMP_NO, POLICY_PRIVATE_TMP_YES, POLICY_PRIVATE_TMP_USER };

/* One row of the one table: parser, checker, explain, completion and the manual's table all come from it. */
struct policy_key_row {
	const char *name; /* as written in the file: "MemoryMax" */
	enum policy_type type;
	const char *const *choices; /* POLICY_TYPE_CHOICE: NULL-terminated */
	const char *default_value;  /* in the language's own words; NULL: not set */
	const char *built; /* NULL: every value is in force. Else the value(s) that are, blank-separated ("" for none but unset):
			    * a login that resolves to another value is refused by policy_check_built() */
	bool may_be_zero;  /* POLICY_TYPE_BYTES: 0 is a limit too (MemorySwapMax) */
	const char *falls_back_to; /* NULL, or the key whose effective value this takes where it is not set itself */
	const char *help;          /* one line, no final period */
};

extern const struct policy_key_row policy_keys[POLICY_KEYS];

/* A value and where it was written. */
struct policy_value {
	bool set;              /* false: neither the policy nor a default gives one */
	enum policy_unit unit; /* BYTES, COUNT, SECONDS */
	uint64_t number;
	const char *text; /* as written, blanks at the ends removed; of a choice its name in row->choices ("yes" for "on"); a
			   * list's items joined by one blank. Owned by the policy, as all that is pointed to here */
	const char *const *list; /* the types that are lists: NULL-terminated */
	const char *file;        /* NULL: the built-in default, or root's Isolate=no */
	unsigned int line;       /* a list: of its first item */
	const char *section; /* "default", "group students", "user bob"; NULL: the built-in default; "root": root's Isolate=no */
};

/* Who is to log in. The strings stay the caller's. */
struct policy_subject {
	const char *user;
	uid_t uid;
	const char *const *groups; /* names of all his groups, the primary one too; "": one without a name */
	size_t n_groups;
};

struct policy;

/* Where a policy is read from, and what is asked of its files. */
struct policy_source {
	const char *file;      /* the main file; must exist */
	const char *directory; /* its *.conf files are read after, in the order of strcmp(3); NULL or absent: none */
	bool trust_owner; /* true: do not ask that root owns the files (for `isolatectl check FILE` and tests); they may still
			   * not be writable by group or others */
};

/*
 * Reads a policy. *ret_policy is the caller's, for policy_free(). On error *err names file:line, step "policy", and
 * -EINVAL is a mistake in the text; -EPERM a file of the wrong owner or mode; -EISDIR, -ENODEV (not a regular file), -EFBIG
 * (more than 1 MiB), -ENOENT, ... what was there instead. Opening never blocks.
 */
int policy_load(const struct policy_source *source, struct policy **ret_policy, struct error *err);

/* The same from memory: text is length bytes, name stands for the file in messages. For tests and fuzzing. */
int policy_parse(const char *name, const char *text, size_t length, struct policy **ret_policy, struct error *err);

void policy_free(struct policy *policy);

/* What a policy says for one user: values[KEY]. Borrowed from the policy, which must outlive it; nothing to free. */
struct policy_effective {
	struct policy_value values[POLICY_KEYS];
};

/*
 * For each key the most specific section that sets it wins: [user NAME], then the [group PATTERN] sections in the order of the
 * policy (fnmatch(3) on the names of subject->groups; a section that comes again stands where it came first), then [default],
 * then the row's default; and where none sets it, the value of falls_back_to. uid 0 gets Isolate=no whatever the policy says.
 * Also checks what only shows in the whole: PrivatePIDs=no asks for PrivateUsers=no, and for Scope=session and KillOnLogout=yes
 * (not with Isolate=no).
 * 0, or -EINVAL with *err naming file:line.
 */
int policy_resolve(const struct policy *policy, const struct policy_subject *subject, struct policy_effective *ret_effective,
	struct error *err);

/* -ENOTSUP with *err naming file:line when a value asks for what this version does not do yet; else 0, and always 0 with
 * Isolate=no. */
int policy_check_built(const struct policy_effective *effective, struct error *err);

/* The same for every value of the policy, whoever it is for. */
int policy_check_all_built(const struct policy *policy, struct error *err);

/* Whether the key is a limit of a control group, which can be changed while a sandbox stands. */
bool policy_is_limit(enum policy_key key);

/* A number to tell one value from another by, across the loads of a policy. 0: not set. */
uint32_t policy_digest(const struct policy_value *value);

/* Takes an item of a POLICY_TYPE_DEVICE_LIMITS list apart: the device's path is its first *ret_path_length bytes; the number a
 * second, UINT64_MAX for infinity. */
void policy_split_device_limit(const char *item, size_t *ret_path_length, uint64_t *ret_number);

/* Prints "Key=value   # file:line [section]" or "# default", a line each, in the order of the table. Keys that are not set are
 * left out, and with Isolate=no all keys but that one. A value that is another key's says so: "# as MemoryMax, ...". */
void policy_explain(const struct policy_effective *effective, FILE *out);

#endif
