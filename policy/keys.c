/* SPDX-License-Identifier: BSD-3-Clause */
#include "policy/internal.h"

#include <string.h>

static const char *const no_yes[] = { "no", "yes", NULL };
static const char *const scopes[] = { "session", "user", NULL };
static const char *const private_users[] = { "self", "root", "no", NULL };
static const char *const private_tmp[] = { "no", "yes", "user", NULL };

const struct policy_key_row policy_keys[POLICY_KEYS] = {
	[POLICY_ISOLATE] = {
		.name = "Isolate", .type = POLICY_TYPE_CHOICE, .choices = no_yes, .default_value = "yes",
		.help = "whether the login is put into a sandbox",
	},
	[POLICY_SCOPE] = {
		.name = "Scope", .type = POLICY_TYPE_CHOICE, .choices = scopes, .default_value = "session",
		.help = "one sandbox per login, or one for all of a user's logins",
	},
	[POLICY_PRIVATE_USERS] = {
		.name = "PrivateUsers", .type = POLICY_TYPE_CHOICE, .choices = private_users, .default_value = "self",
		.built = "self no",
		.help = "user namespace: the user as himself, as root of his sandbox, or none",
	},
	[POLICY_PRIVATE_PIDS] = {
		.name = "PrivatePIDs", .type = POLICY_TYPE_CHOICE, .choices = no_yes, .default_value = "yes",
		.help = "PID namespace: the user sees only his own processes",
	},
	[POLICY_PRIVATE_IPC] = {
		.name = "PrivateIPC", .type = POLICY_TYPE_CHOICE, .choices = no_yes, .default_value = "yes",
		.help = "IPC namespace: System V IPC and POSIX message queues of his own",
	},
	[POLICY_HOSTNAME] = {
		.name = "Hostname", .type = POLICY_TYPE_HOSTNAME,
		.help = "host name in the sandbox, with %u %U %g %H %i",
	},
	[POLICY_PRIVATE_NETWORK] = {
		.name = "PrivateNetwork", .type = POLICY_TYPE_CHOICE, .choices = no_yes, .default_value = "no", .built = "no",
		.help = "network namespace with nothing but a loopback device",
	},
	[POLICY_NETWORK_BRIDGE] = {
		.name = "NetworkBridge", .type = POLICY_TYPE_WORD, .built = "",
		.help = "bridge that the sandbox's network is connected to",
	},
	[POLICY_NETWORK_ADDRESS] = {
		.name = "NetworkAddress", .type = POLICY_TYPE_WORD, .built = "",
		.help = "address of the sandbox on the bridge",
	},
	[POLICY_PRIVATE_CLOCK] = {
		.name = "PrivateClock", .type = POLICY_TYPE_CHOICE, .choices = no_yes, .default_value = "no", .built = "no",
		.help = "time namespace: uptime starts at the login",
	},
	[POLICY_PRIVATE_TMP] = {
		.name = "PrivateTmp", .type = POLICY_TYPE_CHOICE, .choices = private_tmp, .default_value = "yes",
		.help = "/tmp, /var/tmp and /dev/shm per sandbox, or per user",
	},
	[POLICY_READ_ONLY_PATHS] = {
		.name = "ReadOnlyPaths", .type = POLICY_TYPE_PATHS, .built = "",
		.help = "paths that cannot be written to",
	},
	[POLICY_INACCESSIBLE_PATHS] = {
		.name = "InaccessiblePaths", .type = POLICY_TYPE_PATHS, .built = "",
		.help = "paths that cannot be reached",
	},
	[POLICY_BIND_PATHS] = {
		.name = "BindPaths", .type = POLICY_TYPE_BINDS, .built = "",
		.help = "paths of the host that appear at another place",
	},
	[POLICY_BIND_READ_ONLY_PATHS] = {
		.name = "BindReadOnlyPaths", .type = POLICY_TYPE_BINDS, .built = "",
		.help = "the same, not writable",
	},
	[POLICY_TEMPORARY_FILE_SYSTEM] = {
		.name = "TemporaryFileSystem", .type = POLICY_TYPE_MOUNTS, .built = "",
		.help = "paths where an empty tmpfs is mounted",
	},
	[POLICY_ROOT_DIRECTORY] = {
		.name = "RootDirectory", .type = POLICY_TYPE_PATH, .built = "",
		.help = "root tree that the sandbox lives in",
	},
	[POLICY_ROOT_EPHEMERAL] = {
		.name = "RootEphemeral", .type = POLICY_TYPE_CHOICE, .choices = no_yes, .default_value = "no", .built = "no",
		.help = "throw away at logout what was written to RootDirectory",
	},
	[POLICY_MEMORY_MAX] = {
		.name = "MemoryMax", .type = POLICY_TYPE_BYTES,
		.help = "memory that one login may use",
	},
	[POLICY_MEMORY_HIGH] = {
		.name = "MemoryHigh", .type = POLICY_TYPE_BYTES,
		.help = "memory above which one login is slowed down",
	},
	[POLICY_MEMORY_SWAP_MAX] = {
		.name = "MemorySwapMax", .type = POLICY_TYPE_BYTES, .may_be_zero = true,
		.help = "swap that one login may use",
	},
	[POLICY_CPU_QUOTA] = {
		.name = "CPUQuota", .type = POLICY_TYPE_QUOTA,
		.help = "CPU time that one login may use, in percent of one CPU",
	},
	[POLICY_CPU_WEIGHT] = {
		.name = "CPUWeight", .type = POLICY_TYPE_WEIGHT,
		.help = "share of the CPU time when there is not enough for all",
	},
	[POLICY_ALLOWED_CPUS] = {
		.name = "AllowedCPUs", .type = POLICY_TYPE_CPUS,
		.help = "CPUs that the login may run on",
	},
	[POLICY_TASKS_MAX] = {
		.name = "TasksMax", .type = POLICY_TYPE_COUNT,
		.help = "processes and threads that one login may have",
	},
	[POLICY_IO_WEIGHT] = {
		.name = "IOWeight", .type = POLICY_TYPE_WEIGHT,
		.help = "share of the disk time when there is not enough for all",
	},
	[POLICY_IO_READ_BANDWIDTH_MAX] = {
		.name = "IOReadBandwidthMax", .type = POLICY_TYPE_DEVICE_LIMITS,
		.help = "bytes per second that may be read from a device",
	},
	[POLICY_IO_WRITE_BANDWIDTH_MAX] = {
		.name = "IOWriteBandwidthMax", .type = POLICY_TYPE_DEVICE_LIMITS,
		.help = "bytes per second that may be written to a device",
	},
	[POLICY_IO_READ_IOPS_MAX] = {
		.name = "IOReadIOPSMax", .type = POLICY_TYPE_DEVICE_LIMITS,
		.help = "reads per second from a device",
	},
	[POLICY_IO_WRITE_IOPS_MAX] = {
		.name = "IOWriteIOPSMax", .type = POLICY_TYPE_DEVICE_LIMITS,
		.help = "writes per second to a device",
	},
	[POLICY_USER_MEMORY_MAX] = {
		.name = "UserMemoryMax", .type = POLICY_TYPE_BYTES, .falls_back_to = "MemoryMax",
		.help = "memory that all of a user's logins may use together",
	},
	[POLICY_USER_MEMORY_HIGH] = {
		.name = "UserMemoryHigh", .type = POLICY_TYPE_BYTES, .falls_back_to = "MemoryHigh",
		.help = "memory above which all of a user's logins are slowed down",
	},
	[POLICY_USER_MEMORY_SWAP_MAX] = {
		.name = "UserMemorySwapMax", .type = POLICY_TYPE_BYTES, .may_be_zero = true, .falls_back_to = "MemorySwapMax",
		.help = "swap that all of a user's logins may use together",
	},
	[POLICY_USER_CPU_QUOTA] = {
		.name = "UserCPUQuota", .type = POLICY_TYPE_QUOTA, .falls_back_to = "CPUQuota",
		.help = "CPU time that all of a user's logins may use together",
	},
	[POLICY_USER_TASKS_MAX] = {
		.name = "UserTasksMax", .type = POLICY_TYPE_COUNT, .falls_back_to = "TasksMax",
		.help = "processes and threads that all of a user's logins may have together",
	},
	[POLICY_USER_MANAGER] = {
		.name = "UserManager", .type = POLICY_TYPE_CHOICE, .choices = no_yes, .default_value = "no",
		.help = "whether systemd --user may run for the user, outside of any sandbox",
	},
	[POLICY_KILL_ON_LOGOUT] = {
		.name = "KillOnLogout", .type = POLICY_TYPE_CHOICE, .choices = no_yes, .default_value = "yes",
		.help = "end the sandbox at logout, or keep it while a process lives in it",
	},
	[POLICY_RUNTIME_MAX_SEC] = {
		.name = "RuntimeMaxSec", .type = POLICY_TYPE_SECONDS,
		.help = "how long a sandbox may live",
	},
	[POLICY_BANNER] = {
		.name = "Banner", .type = POLICY_TYPE_CHOICE, .choices = no_yes, .default_value = "no",
		.help = "tell the user his limits after login, in one line",
	},
	[POLICY_NO_NEW_PRIVILEGES] = {
		.name = "NoNewPrivileges", .type = POLICY_TYPE_CHOICE, .choices = no_yes, .default_value = "no", .built = "no",
		.help = "no program gains privileges by execve(2)",
	},
	[POLICY_CAPABILITY_BOUNDING_SET] = {
		.name = "CapabilityBoundingSet", .type = POLICY_TYPE_WORDS, .built = "",
		.help = "capabilities that can be had in the sandbox",
	},
	[POLICY_SYSTEM_CALL_FILTER] = {
		.name = "SystemCallFilter", .type = POLICY_TYPE_WORDS, .built = "",
		.help = "system calls that are allowed, or after ~ refused",
	},
	[POLICY_RESTRICT_NAMESPACES] = {
		.name = "RestrictNamespaces", .type = POLICY_TYPE_WORDS, .built = "",
		.help = "namespaces that the user may make himself",
	},
	[POLICY_APP_ARMOR_PROFILE] = {
		.name = "AppArmorProfile", .type = POLICY_TYPE_WORD, .built = "",
		.help = "AppArmor profile of the sandbox",
	},
};

enum policy_key policy_find_key(const char *name)
{
	unsigned int key = 0;

	while (key < POLICY_KEYS && strcmp(policy_keys[key].name, name) != 0)
		key++;
	return (enum policy_key)key;
}
