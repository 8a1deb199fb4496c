/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A PAM client that does nothing but open and close sessions, and times it.
 *
 *   session [-m warm|lone|apart] [-n RUNS] -u USER SERVICE...
 *
 * opens and closes one session after the other, the services taking turns, so that noise hits all of them. lone: after a pause;
 * apart: with a pause before the close too. The modules are loaded before the clock of "open" runs ("load": pam_start and
 * pam_acct_mgmt). One line per service and part: "session mode=warm service=… part=open median_us=… p95_us=… n=…".
 *
 *   session -k COUNT -x LIBEXECDIR -u USER SERVICE
 *
 * opens COUNT sessions, each in a process of its own as each login is, and holds them; adds up the memory (PSS) of the programs
 * below LIBEXECDIR; closes them.
 */
#include "tests/bench/timing.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <security/pam_appl.h>
#include <security/pam_misc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVICES_MAX 8
#define ENDS 20 /* how many of the first and the last sessions are compared */

enum part { LOAD, OPEN, CLOSE, BOTH, PARTS };

static const char *const part_names[PARTS] = { "load", "open", "close", "open+close" };

static const struct pam_conv conversation = { misc_conv, NULL };

static void must(pam_handle_t *pamh, int status, const char *what)
{
	if (status == PAM_SUCCESS)
		return;
	fprintf(stderr, "bench: %s: %s\n", what, pam_strerror(pamh, status));
	exit(1);
}

/* ---- one after the other -------------------------------------------------------------------------------------------------- */

static void run_once(const char *service, const char *user, const char *mode, struct series series[PARTS])
{
	pam_handle_t *pamh = NULL;
	uint64_t start, loaded, opened, closing, closed;

	if (strcmp(mode, "warm") != 0)
		lone_pause();
	start = now_ns();
	must(pamh, pam_start(service, user, &conversation, &pamh), "pam_start");
	must(pamh, pam_acct_mgmt(pamh, 0), "pam_acct_mgmt");
	loaded = now_ns();
	must(pamh, pam_open_session(pamh, 0), "pam_open_session");
	opened = now_ns();
	if (strcmp(mode, "apart") == 0)
		lone_pause();
	closing = now_ns();
	must(pamh, pam_close_session(pamh, 0), "pam_close_session");
	closed = now_ns();
	must(pamh, pam_end(pamh, PAM_SUCCESS), "pam_end");
	series_add(&series[LOAD], loaded - start);
	series_add(&series[OPEN], opened - loaded);
	series_add(&series[CLOSE], closed - closing);
	series_add(&series[BOTH], opened - loaded + closed - closing);
}

/* A closed session leaves its caller no child; those that it does leave have ended unwaited for. */
static void count_left_children(void)
{
	int n = 0;

	while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
		n++;
	if (n > 0)
		fprintf(stderr, "bench: pam_close_session has left %d zombies, and their sessions' end is not in \"close\"\n", n);
}

static void take_turns(char **services, int n_services, const char *user, const char *mode, int runs)
{
	static struct series series[SERVICES_MAX][PARTS];

	for (int i = 0; i < runs; i++)
		for (int j = 0; j < n_services; j++)
			run_once(services[j], user, mode, series[j]);
	count_left_children();
	for (int j = 0; j < n_services; j++)
		for (int part = 0; part < PARTS; part++) {
			char prefix[256];

			snprintf(prefix, sizeof(prefix), "session mode=%s service=%s part=%s", mode, services[j],
				part_names[part]);
			series_print(&series[j][part], prefix);
		}
}

/* ---- many at a time ---------------------------------------------------------------------------------------------------------
 */

struct holder {
	pid_t pid;
	int socket;
};

static uint64_t ask(int socket)
{
	uint64_t answer;

	if (send(socket, "", 1, MSG_NOSIGNAL) != 1 || recv(socket, &answer, sizeof(answer), 0) != sizeof(answer)) {
		fputs("bench: a session's process has ended\n", stderr);
		exit(1);
	}
	return answer;
}

/* Opens when asked, closes when asked again; answers with how long it took. */
static _Noreturn void hold(int socket, const char *service, const char *user)
{
	pam_handle_t *pamh = NULL;
	uint64_t start, took;
	char byte;

	must(pamh, pam_start(service, user, &conversation, &pamh), "pam_start");
	must(pamh, pam_acct_mgmt(pamh, 0), "pam_acct_mgmt");
	if (recv(socket, &byte, 1, 0) != 1)
		exit(0);
	start = now_ns();
	must(pamh, pam_open_session(pamh, 0), "pam_open_session");
	took = now_ns() - start;
	if (send(socket, &took, sizeof(took), MSG_NOSIGNAL) < 0 || recv(socket, &byte, 1, 0) != 1)
		exit(1);
	start = now_ns();
	must(pamh, pam_close_session(pamh, 0), "pam_close_session");
	took = now_ns() - start;
	pam_end(pamh, PAM_SUCCESS);
	send(socket, &took, sizeof(took), MSG_NOSIGNAL);
	exit(0);
}

static struct holder start_holder(const char *service, const char *user)
{
	struct holder holder;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		die("socketpair");
	holder.socket = pair[0];
	holder.pid = fork();
	if (holder.pid < 0)
		die("fork");
	if (holder.pid == 0) {
		close(pair[0]);
		hold(pair[1], service, user);
	}
	close(pair[1]);
	return holder;
}

/* PSS of a process in kB, 0 when it is gone. */
static long pss_of(const char *pid)
{
	char path[64], line[256];
	FILE *file;
	long kb = 0;

	snprintf(path, sizeof(path), "/proc/%.20s/smaps_rollup", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Pss: %ld", &kb) == 1)
			break;
	if (file)
		fclose(file);
	return kb;
}

static void print_memory(const char *libexecdir, const char *program, int sessions)
{
	char wanted[PATH_MAX], path[64], exe[PATH_MAX];
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	long pss = 0, n = 0;

	snprintf(wanted, sizeof(wanted), "%s/%s", libexecdir, program);
	while (proc && (entry = readdir(proc))) {
		ssize_t length;

		snprintf(path, sizeof(path), "/proc/%.20s/exe", entry->d_name);
		length = readlink(path, exe, sizeof(exe) - 1);
		if (length < 0)
			continue;
		exe[length] = '\0';
		if (strcmp(exe, wanted) == 0) {
			pss += pss_of(entry->d_name);
			n++;
		}
	}
	if (proc)
		closedir(proc);
	printf("memory program=%s processes=%ld pss_kb_per_session=%.1f\n", program, n, (double)pss / sessions);
}

static void print_ends(const char *part, const uint64_t *took, int n)
{
	static const char *const ends[] = { "first", "last" };
	int width = n < 2 * ENDS ? n / 2 : ENDS;

	for (int end = 0; end < 2; end++) {
		struct series series = { 0 };
		char prefix[64];

		for (int i = 0; i < width; i++)
			series_add(&series, took[end == 0 ? i : n - 1 - i]);
		snprintf(prefix, sizeof(prefix), "hold part=%s which=%s", part, ends[end]);
		series_print(&series, prefix);
		free(series.samples);
	}
}

static void hold_many(int n, const char *libexecdir, const char *service, const char *user)
{
	struct rlimit files = { .rlim_cur = (rlim_t)n + 64, .rlim_max = (rlim_t)n + 64 };
	struct holder *holders = calloc((size_t)n, sizeof(*holders));
	uint64_t *took = calloc((size_t)n, sizeof(*took));

	if (!holders || !took || setrlimit(RLIMIT_NOFILE, &files) < 0)
		die("memory, or RLIMIT_NOFILE");
	for (int i = 0; i < n; i++)
		holders[i] = start_holder(service, user);
	for (int i = 0; i < n; i++)
		took[i] = ask(holders[i].socket);
	print_ends("open", took, n);
	print_memory(libexecdir, "isolate-helper", n);
	print_memory(libexecdir, "isolate-init", n);
	for (int i = 0; i < n; i++) {
		took[i] = ask(holders[i].socket);
		waitpid(holders[i].pid, NULL, 0);
	}
	print_ends("close", took, n);
}

int main(int argc, char **argv)
{
	const char *mode = "warm", *user = NULL, *libexecdir = NULL;
	int runs = 100, held = 0, option;

	while ((option = getopt(argc, argv, "m:n:k:x:u:")) >= 0) {
		switch (option) {
		case 'm':
			mode = optarg;
			break;
		case 'n':
			runs = atoi(optarg);
			break;
		case 'k':
			held = atoi(optarg);
			break;
		case 'x':
			libexecdir = optarg;
			break;
		case 'u':
			user = optarg;
			break;
		default:
			return 2;
		}
	}
	if (!user || optind == argc || argc - optind > SERVICES_MAX || (held > 0 && !libexecdir))
		return 2;
	if (held > 0)
		hold_many(held, libexecdir, argv[optind], user);
	else
		take_turns(argv + optind, argc - optind, user, mode, runs);
	return 0;
}
