/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A login without a network: a leader that opens a session, runs one program of the user's in it, and closes it.
 *
 *   login PROCS SERVICE USER PROGRAM [ARGUMENT ...]
 *
 * It writes itself to the cgroup.procs file PROCS first, as a machine would have its leaders somewhere else than its tests. It
 * says what happens on stdout, one line each: "told TEXT" what the user was told, "open CODE" and "close CODE" what PAM returned,
 * "child PID", "end STATUS" of the program, and "home" or "abroad": whether it is in all the namespaces and cgroups again that it
 * came from. The program has the same stdin and stdout. Who is refused stays until it gets a line.
 */
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "tests/fault/mark.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const char *const namespace_names[] = { "user", "pid", "pid_for_children", "mnt", "uts", "ipc", "cgroup", "net" };

struct place {
	ino_t namespaces[ARRAY_SIZE(namespace_names)];
	char groups[4096];
};

static _Noreturn void die(const char *what)
{
	printf("failed %s: %s\n", what, strerror(errno));
	exit(99);
}

static void mark(enum phase phase)
{
	prctl(MARK, phase, 0, 0, 0);
}

static void find_place(struct place *place)
{
	memset(place, 0, sizeof(*place));
	for (size_t i = 0; i < ARRAY_SIZE(namespace_names); i++) {
		char path[64];
		struct stat st;

		snprintf(path, sizeof(path), "/proc/self/ns/%s", namespace_names[i]);
		if (stat(path, &st) == 0)
			place->namespaces[i] = st.st_ino;
	}
	read_file_at(AT_FDCWD, "/proc/self/cgroup", place->groups, sizeof(place->groups));
}

static void say_where(const struct place *before)
{
	struct place now;

	find_place(&now);
	for (size_t i = 0; i < ARRAY_SIZE(namespace_names); i++)
		if (now.namespaces[i] != before->namespaces[i]) {
			printf("abroad %s\n", namespace_names[i]);
			return;
		}
	puts(strcmp(now.groups, before->groups) == 0 ? "home" : "abroad cgroup");
}

static int converse(int n, const struct pam_message **messages, struct pam_response **responses, void *data)
{
	(void)data;
	for (int i = 0; i < n; i++)
		printf("told %s\n", messages[i]->msg);
	*responses = calloc((size_t)n, sizeof(**responses));
	return *responses ? PAM_SUCCESS : PAM_BUF_ERR;
}

static _Noreturn void become_user(pam_handle_t *pamh, const struct passwd *entry, char **argv)
{
	if (initgroups(entry->pw_name, entry->pw_gid) == 0 && setgid(entry->pw_gid) == 0 && setuid(entry->pw_uid) == 0)
		execve(argv[0], argv, pam_getenvlist(pamh));
	_exit(98);
}

static void run_program(pam_handle_t *pamh, const struct passwd *entry, char **argv)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		become_user(pamh, entry, argv);
	if (pid < 0) {
		printf("end fork: %s\n", strerror(errno));
		return;
	}
	printf("child %d\n", pid);
	if (waitpid(pid, &status, 0) == pid)
		printf("end %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(int argc, char **argv)
{
	const struct pam_conv conversation = { .conv = converse };
	const struct passwd *entry;
	pam_handle_t *pamh = NULL;
	struct place before;
	bool opened;
	int r;

	if (argc < 5)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (write_file_at(AT_FDCWD, argv[1], "0") < 0)
		die(argv[1]);
	find_place(&before);
	entry = getpwnam(argv[3]);
	if (!entry || pam_start(argv[2], argv[3], &conversation, &pamh) != PAM_SUCCESS)
		die("pam_start");
	mark(PHASE_OPEN);
	r = pam_open_session(pamh, 0);
	mark(PHASE_NONE);
	printf("open %d\n", r);
	opened = r == PAM_SUCCESS;
	if (opened) {
		run_program(pamh, entry, argv + 4);
		mark(PHASE_CLOSE);
		r = pam_close_session(pamh, 0);
		mark(PHASE_NONE);
		printf("close %d\n", r);
	}
	say_where(&before);
	if (!opened)
		getchar();
	pam_end(pamh, r);
	return 0;
}
