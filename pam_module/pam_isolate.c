/* SPDX-License-Identifier: BSD-3-Clause */
/* pam_isolate.so: pam_isolate(8). The module asks the helper, joins what it gets, and goes home at the end. */

#include "pam_module/leader.h"
#include "pam_module/request.h"

#include "helper/client.h"
#include "lib/cleanup.h"
#include "lib/syscalls.h"

#include <errno.h>
#include <pwd.h>
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <signal.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

/* All other symbols are hidden (pam_isolate.sym, -fvisibility=hidden). */
#define ENTRY_POINT __attribute__((visibility("default")))

#define DATA_NAME "pam_isolate_session"

/* How often the end of a session is tried. */
#define CLOSE_TRIES 3

struct options {
	bool ignore_errors;
	bool debug;
	bool opens, closes; /* this line does the one, the other, or both */
	const char *policy; /* NULL: the default */
};

/* What close_session has to know; lives in the PAM handle. */
struct session {
	pid_t opener;
	struct leader_home home;
	char id[SESSION_ID_SIZE];
};

static bool parse_option(const char *text, struct options *options)
{
	if (strcmp(text, "onerr=ignore") == 0)
		options->ignore_errors = true;
	else if (strcmp(text, "onerr=fail") == 0)
		options->ignore_errors = false;
	else if (strcmp(text, "debug") == 0)
		options->debug = true;
	else if (strcmp(text, "open") == 0)
		options->closes = false;
	else if (strcmp(text, "close") == 0)
		options->opens = false;
	else if (strncmp(text, "policy=/", 8) == 0)
		options->policy = text + 7;
	else
		return false;
	return true;
}

static int parse_options(pam_handle_t *pamh, int argc, const char **argv, struct options *options)
{
	*options = (struct options){ .opens = true, .closes = true };
	for (int i = 0; i < argc; i++)
		if (!parse_option(argv[i], options)) {
			pam_syslog(pamh, LOG_ERR, "unknown argument \"%s\"", argv[i]);
			return PAM_SERVICE_ERR;
		}
	if (!options->opens && !options->closes) {
		pam_syslog(pamh, LOG_ERR, "\"open\" and \"close\" are for two lines, not for one");
		return PAM_SERVICE_ERR;
	}
	return PAM_SUCCESS;
}

static void free_session(pam_handle_t *pamh, void *data, int status)
{
	(void)pamh, (void)status;
	free(data);
}

/* What he can do about it. Nothing of the machine, and no path. */
static const char *advise(const struct error *err)
{
	if (err->errnum == EAGAIN && strcmp(err->step, "pidns") == 0)
		return "You have as many processes as you may have. End some of them in your other logins, and try again.";
	return "Your login cannot be isolated on this machine. Tell its administrator; the reason is in the system log.";
}

/* One line for the administrator, one sentence for the user, and the code for the stack. */
static int refuse(pam_handle_t *pamh, const struct options *options, const struct error *err)
{
	char line[ERROR_LINE_MAX];
	const char *user = NULL;

	pam_get_user(pamh, &user, NULL);
	pam_syslog(pamh, LOG_ERR, "login of %s %s: %s", user ? user : "nobody",
		options->ignore_errors ? "goes on without a sandbox (onerr=ignore)" : "refused",
		error_line(err, line, sizeof(line)));
	/* Not PAM_IGNORE: a stack that has no other session module would refuse the login. */
	if (options->ignore_errors)
		return PAM_SUCCESS;
	pam_error(pamh, "%s", advise(err));
	return PAM_SESSION_ERR;
}

static int set_environment(pam_handle_t *pamh, uid_t uid, struct error *err)
{
	char text[64];

	snprintf(text, sizeof(text), "XDG_RUNTIME_DIR=/run/user/%u", uid);
	return pam_putenv(pamh, text) == PAM_SUCCESS ? 0 : error_set(err, ENOMEM, "environment", "XDG_RUNTIME_DIR");
}

static int remember(pam_handle_t *pamh, const char *id, const struct leader_home *home, struct error *err)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session)
		return error_set(err, ENOMEM, "leader", "memory");
	session->opener = getpid();
	session->home = *home;
	memcpy(session->id, id, sizeof(session->id));
	if (pam_set_data(pamh, DATA_NAME, session, free_session) != PAM_SUCCESS) {
		free(session);
		return error_set(err, ENOMEM, "leader", "pam_set_data");
	}
	return 0;
}

/* Through the supervisor, or where there is none without him. What fails for a moment's want of something is tried again, but
 * not what he has answered: he has forgotten the session. */
static int end_session(const char *id, struct client *supervisor, struct error *err)
{
	int r = -EIO;

	for (int tries = 0; r < 0 && !supervisor->answered && tries < CLOSE_TRIES; tries++) {
		r = supervisor->pidfd >= 0 ? 0 : client_reach(id, supervisor, err);
		if (r >= 0)
			r = client_close(supervisor, err);
		if (r == -ESRCH)
			r = client_collect(id, NULL, err);
		client_release(supervisor);
	}
	return r;
}

/* Everything after the helper has made the sandbox. */
static int join(pam_handle_t *pamh, const struct request *request, const struct leader_home *home,
	const struct client_answer *answer, struct error *err)
{
	struct client supervisor = CLIENT_NONE;
	int r = remember(pamh, request->id, home, err);

	if (r >= 0)
		r = set_environment(pamh, request->uid, err);
	if (r >= 0)
		r = leader_join(home, answer, err);
	if (r >= 0)
		return 0;
	/* We are outside again, or at least not going on. */
	end_session(request->id, &supervisor, NULL);
	client_release(&supervisor);
	pam_set_data(pamh, DATA_NAME, NULL, NULL);
	return r;
}

/* Home first, and then what a process at home may do: nothing is executed in the sandbox's view. */
static int leave(const struct session *session, struct error *err)
{
	struct client supervisor = CLIENT_NONE;
	struct error closing;
	int r;

	client_reach(session->id, &supervisor, &closing);
	r = leader_go_home(&session->home, supervisor.pidfd, err);
	/* From PID 1's namespaces, if they are not quite ours, the rest is done all the same; the error stays. */
	if (r >= 0 || r == -ESTALE) {
		int closed = end_session(session->id, &supervisor, &closing);

		if (r >= 0 && closed < 0) {
			*err = closing;
			r = closed;
		}
	}
	client_release(&supervisor);
	return r;
}

/* The helper's answer is lost: he is killed if he is not at work as the supervisor yet, and what he has made goes. */
static void give_up(const char *id, const struct client *helper)
{
	struct client supervisor = CLIENT_NONE;

	if (client_reach(id, &supervisor, NULL) < 0)
		sys_pidfd_send_signal(helper->pidfd, SIGKILL);
	end_session(id, &supervisor, NULL);
	client_release(&supervisor);
}

/* sshd shows it after login, and only on a terminal. Others print it at once, where it must not get into what a command prints.
 */
static void show_banner(pam_handle_t *pamh, const char *banner)
{
	const void *tty = NULL;
	bool is_ssh = pam_get_item(pamh, PAM_TTY, &tty) == PAM_SUCCESS && tty && strcmp(tty, "ssh") == 0;

	if (banner[0] && (is_ssh || isatty(STDOUT_FILENO)))
		pam_info(pamh, "%s", banner);
}

/* Asks for a sandbox and enters it. */
static int enter(pam_handle_t *pamh, const struct options *options, const struct request *request, size_t size,
	const struct leader_home *home, struct client *helper, struct error *err)
{
	struct client_answer answer = CLIENT_ANSWER_NONE;
	int r = client_ask(helper, request, size, &answer, err);

	if (r < 0) {
		if (!helper->answered)
			give_up(request->id, helper);
		return r;
	}
	if (answer.kind == REPLY_DONE) {
		if (options->debug)
			pam_syslog(pamh, LOG_DEBUG, "%s is not isolated: the policy says so", request->user);
		return 0;
	}
	r = join(pamh, request, home, &answer, err);
	if (r >= 0)
		show_banner(pamh, answer.banner);
	client_answer_release(&answer);
	if (r >= 0 && options->debug)
		pam_syslog(pamh, LOG_DEBUG, "%s is in sandbox %s", request->user, request->id);
	return r;
}

static int open_isolated(pam_handle_t *pamh, const struct options *options, const struct passwd *entry, struct error *err)
{
	AUTO_FREE struct request *request = NULL;
	struct client helper = CLIENT_NONE;
	struct leader_home home;
	const void *data = NULL;
	size_t size;
	int r;

	if (pam_get_data(pamh, DATA_NAME, &data) == PAM_SUCCESS && data)
		return error_set(err, EALREADY, "leader", "the session is open already: is pam_isolate.so twice in the stack?");
	r = leader_check(&home, err);
	/* It starts while we look up the names. */
	if (r >= 0)
		r = client_start(&helper, err);
	if (r >= 0)
		r = request_make(pamh, entry, options->policy, &request, &size, err);
	if (r >= 0)
		r = enter(pamh, options, request, size, &home, &helper, err);
	client_release(&helper);
	return r;
}

ENTRY_POINT int pam_sm_open_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	const struct passwd *entry = NULL;
	struct options options;
	struct error err;
	bool unknown;
	int r = parse_options(pamh, argc, argv, &options);

	(void)flags;
	if (r != PAM_SUCCESS)
		return r;
	if (!options.opens)
		return PAM_SUCCESS;
	r = request_find_user(pamh, &entry, &err);
	/* Whatever is wrong with the policy or the machine, root can log in and mend it. */
	if (r >= 0 && entry->pw_uid != 0)
		r = open_isolated(pamh, &options, entry, &err);
	if (r >= 0)
		return PAM_SUCCESS;
	unknown = strcmp(err.step, "user") == 0 && err.errnum == ENOENT;
	r = refuse(pamh, &options, &err);
	return unknown && r == PAM_SESSION_ERR ? PAM_USER_UNKNOWN : r;
}

ENTRY_POINT int pam_sm_close_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	struct options options;
	const struct session *session;
	const void *data = NULL;
	struct error err;
	char line[ERROR_LINE_MAX];
	int r = parse_options(pamh, argc, argv, &options);

	(void)flags;
	if (r != PAM_SUCCESS)
		return r;
	if (!options.closes)
		return PAM_SUCCESS;
	/* Not isolated; or a process forked since, whose sandbox is not its to end. */
	if (pam_get_data(pamh, DATA_NAME, &data) != PAM_SUCCESS || !data)
		return PAM_SUCCESS;
	session = data;
	if (session->opener != getpid())
		return PAM_SUCCESS;
	r = leave(session, &err);
	if (r < 0)
		pam_syslog(pamh, LOG_ERR, "session %s: %s", session->id, error_line(&err, line, sizeof(line)));
	pam_set_data(pamh, DATA_NAME, NULL, NULL);
	return r < 0 && !options.ignore_errors ? PAM_SESSION_ERR : PAM_SUCCESS;
}
