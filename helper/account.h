/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_ACCOUNT_H
#define ISOLATE_HELPER_ACCOUNT_H

/*
 * Accounting: what a sandbox has used in all, as its control groups counted it, and the line about it when a session ends.
 */

#include <stdint.h>
#include <sys/types.h>

struct cgroup;

/* A number that this kernel, or this group, does not tell. */
#define ACCOUNT_UNKNOWN UINT64_MAX

struct account {
	uint64_t cpu_user_us;
	uint64_t cpu_system_us;
	uint64_t cpu_throttled_us; /* by the sandbox's own limit, not by its user's */
	uint64_t memory_peak;      /* bytes, page cache and kernel memory included */
	uint64_t tasks_peak;
	uint64_t io_read; /* bytes, summed over all devices: what passes through two of them (a volume on a disk) counts twice */
	uint64_t io_written;
	uint64_t oom_kills;
};

/* Who was there, and for how long. Nothing is required of the texts: see account_log(). */
struct account_session {
	const char *id; /* NULL: it is about the sandbox that several sessions shared; then there is no service and tty either */
	const char *sandbox, *user, *service, *tty;
	uid_t uid;
	uint64_t duration_us;
};

/* Reads what the sandbox's groups have counted so far. What cannot be read or understood is ACCOUNT_UNKNOWN. To be done before
 * the groups are removed, and after the last process has gone, for its last milliseconds to be counted. */
void account_read(const struct cgroup *cgroup, struct account *ret_account);

/*
 * Logs the end of a session, at LOG_INFO, as journal.h says:
 *
 *   session ended: session=ID sandbox=ID user=NAME uid=N service=NAME tty=NAME duration=SECONDS cpu_user=SECONDS
 *   cpu_system=SECONDS cpu_throttled=SECONDS memory_peak=BYTES tasks_peak=N io_read=BYTES io_written=BYTES oom_kills=N
 *
 * as one line and in this order, with the fields ISOLATE_SESSION to ISOLATE_OOM_KILLS. Seconds have three decimals in duration,
 * six elsewhere. An unknown number is left out, of the line and of the fields. account is NULL for a session whose sandbox other
 * sessions share: then duration is the last, and in the end a line "sandbox ended: sandbox=ID user=..." has the numbers.
 *
 * In all texts control characters become '?', and after 255 bytes they are cut. In the line a text stands as it is when it is
 * one or more of the visible characters of ASCII but '=', '"', '\'' and '\\'. Any other, an empty one and one that is not ASCII
 * too, stands between two '"', and in there a '\\' comes before each '"' and '\\'. So a blank outside of '"' always ends a
 * value, and a '=' outside of them a key, whatever a name is. The fields have the texts without '"'.
 */
void account_log(const struct account_session *session, const struct account *account);

#endif
