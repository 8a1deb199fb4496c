/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_CGROUP_BACKEND_H
#define ISOLATE_HELPER_CGROUP_BACKEND_H

/* What differs between the cgroup versions: between cgroup.c, account.c and cgroup_v1.c, cgroup_v2.c only. */

#include "helper/cgroup.h"
#include "helper/cgroup_device.h"

#define CGROUP_VALUE_MAX 256

/* One limit: a key of the policy and the file it is written to. */
struct cgroup_setting {
	enum policy_key session; /* POLICY_KEYS: the session's group has none */
	enum policy_key user;    /* POLICY_KEYS: the user's group has none */
	const char *controller;
	const char *const *files; /* NULL-terminated; the first that the kernel has */
	/* Writes what goes into the file for the value of key to text. 0; -ENODATA: nothing to write; or a negative errno. */
	int (*format)(const struct policy_effective *effective, enum policy_key key, char text[CGROUP_VALUE_MAX]);
	/* Keys of POLICY_TYPE_DEVICE_LIMITS: word is what io.max calls the limit; NULL where a file has only one. */
	const char *word;
};

/* How a number stands in its file. */
enum cgroup_counter_form {
	CGROUP_NUMBER,  /* alone */
	CGROUP_KEYED,   /* in the line "key number" */
	CGROUP_DEVICES, /* in lines for each device, after key wherever that is: their sum */
};

/* A number of struct account, and where it is counted. Of several rows for one member the first that tells counts. */
struct cgroup_counter {
	size_t offset; /* in struct account */
	const char *controller;
	const char *file;
	enum cgroup_counter_form form;
	const char *key;  /* NULL: CGROUP_NUMBER has none */
	uint64_t divisor; /* how many of the file's unit are one of ours */
};

struct cgroup_backend {
	const char *name; /* as `isolatectl list` and the record have it */
	const struct cgroup_setting *settings;
	size_t n_settings;
	const struct cgroup_counter *counters;
	size_t n_counters;
	/* What is written for the limit of one device, and whether line, of the file, says the same. */
	void (*format_device)(
		const struct cgroup_setting *setting, const struct cgroup_device_limit *limit, char text[CGROUP_VALUE_MAX]);
	bool (*has_device)(const struct cgroup_setting *setting, const struct cgroup_device_limit *limit, const char *line);
	/* Opens the hierarchies that a session of this policy is in; effective is NULL for all that there may be. */
	int (*open_hierarchies)(const struct policy_effective *effective, struct cgroup *cgroup, struct error *err);
	/* Before the limits of a user's group are written. NULL: nothing to do. */
	void (*make_way)(const struct policy_effective *effective, int user);
	/* Makes what the policy needs work in group, an open directory below parent. Done again for a group that exists. */
	int (*prepare_group)(
		const struct cgroup *cgroup, const struct policy_effective *effective, int group, int parent, struct error *err);
	/* Kills every process in the session's group, which neither we nor the leader are in. */
	int (*kill)(const struct cgroup *cgroup, struct error *err);
};

extern const struct cgroup_backend cgroup_backend_v1, cgroup_backend_v2;

/* The hierarchy of a controller, NULL when there is none. In v2 there is only one. */
const struct cgroup_hierarchy *cgroup_hierarchy_of(const struct cgroup *cgroup, const char *controller);

/* Whether the policy sets a limit that needs controller. */
bool cgroup_wants(const struct cgroup_backend *backend, const struct policy_effective *effective, const char *controller);

/* Formats that both versions share, for struct cgroup_setting; the first is for functions of theirs. */
int cgroup_format_bytes(const struct policy_value *value, const char *infinity, char text[CGROUP_VALUE_MAX]);
int cgroup_format_count(const struct policy_effective *effective, enum policy_key key, char text[CGROUP_VALUE_MAX]);
int cgroup_format_text(const struct policy_effective *effective, enum policy_key key, char text[CGROUP_VALUE_MAX]);

/* Bytes of a MemoryMax-like value, number of a TasksMax-like one: percent resolved, UINT64_MAX for infinity. */
uint64_t cgroup_bytes(const struct policy_value *value);
uint64_t cgroup_count(const struct policy_value *value);

#define CGROUP_CPU_PERIOD_US 100000

#endif
