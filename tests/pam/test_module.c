/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The module in the real libpam, without a sandbox: what it says and returns when it cannot or need not do anything. Runs as any
 * user; what takes root is tried only as root. The lines for syslog are caught by a syslog(3) of our own, which libpam finds
 * first.
 */
#include <dlfcn.h>
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static char module_path[4096], confdir[] = "/tmp/pam_isolate-test-XXXXXX", logged[4096], told[512];
static int n_logged;

/* libpam has lines of its own, about a directory without an "other" service. */
static void record_line(const char *format, va_list arguments)
{
	char line[sizeof(logged)];

	vsnprintf(line, sizeof(line), format, arguments);
	if (!strstr(line, "pam_isolate("))
		return;
	memcpy(logged, line, sizeof(logged));
	n_logged++;
}

/* Ours, not hidden: libpam calls these. */
#pragma GCC visibility push(default)

void syslog(int priority, const char *format, ...)
{
	va_list arguments;

	(void)priority;
	va_start(arguments, format);
	record_line(format, arguments);
	va_end(arguments);
}

/* What syslog(3) is called with _FORTIFY_SOURCE. */
void __syslog_chk(int priority, int flag, const char *format, ...);
void __syslog_chk(int priority, int flag, const char *format, ...)
{
	va_list arguments;

	(void)priority, (void)flag;
	va_start(arguments, format);
	record_line(format, arguments);
	va_end(arguments);
}

#pragma GCC visibility pop

static int converse(int n, const struct pam_message **messages, struct pam_response **responses, void *data)
{
	(void)data;
	for (int i = 0; i < n; i++)
		snprintf(told, sizeof(told), "%s", messages[i]->msg);
	*responses = calloc((size_t)n, sizeof(**responses));
	return *responses ? PAM_SUCCESS : PAM_BUF_ERR;
}

/* Opens and, if that went well, closes a session of user through a service that has the module with these arguments. */
static int session(const char *user, const char *arguments)
{
	const struct pam_conv conversation = { .conv = converse };
	char name[32], path[128];
	pam_handle_t *pamh = NULL;
	FILE *file;
	int r;

	logged[0] = told[0] = '\0';
	n_logged = 0;
	snprintf(name, sizeof(name), "isolate-%d", getpid());
	snprintf(path, sizeof(path), "%s/%s", confdir, name);
	file = fopen(path, "w");
	if (!file)
		return -1;
	fprintf(file, "session required %s %s\n", module_path, arguments);
	/* pam_open_session fails where no module says yes, and ours may say "ignore". */
	fprintf(file, "session optional pam_permit.so\n");
	fclose(file);
	r = pam_start_confdir(name, user, &conversation, confdir, &pamh);
	if (r == PAM_SUCCESS)
		r = pam_open_session(pamh, 0);
	if (r == PAM_SUCCESS)
		r = pam_close_session(pamh, 0);
	pam_end(pamh, r);
	unlink(path);
	return r;
}

/* Some user who is not root, that every machine has. */
static const char *anybody(void)
{
	const struct passwd *entry;

	setpwent();
	while ((entry = getpwent()) && entry->pw_uid == 0)
		;
	return entry ? entry->pw_name : "nobody";
}

static void the_module_has_no_unresolved_symbol(void **state)
{
	void *module = dlopen(module_path, RTLD_NOW | RTLD_LOCAL);

	(void)state;
	if (!module)
		print_error("%s\n", dlerror());
	assert_non_null(module);
	assert_non_null(dlsym(module, "pam_sm_open_session"));
	assert_non_null(dlsym(module, "pam_sm_close_session"));
	/* Nothing else of ours may meet the symbols of the program that loads it. */
	assert_null(dlsym(module, "error_set"));
	assert_null(dlsym(module, "client_ask"));
	dlclose(module);
}

static void root_passes_untouched_and_unlogged(void **state)
{
	(void)state;
	assert_int_equal(session("root", ""), PAM_SUCCESS);
	assert_int_equal(n_logged, 0);
}

static void an_unknown_user_is_refused_by_name(void **state)
{
	(void)state;
	assert_int_equal(session("nosuchuser7", ""), PAM_USER_UNKNOWN);
	assert_int_equal(n_logged, 1);
	assert_non_null(
		strstr(logged, "login of nosuchuser7 refused: user: nosuchuser7 is not known: No such file or directory"));
}

static void an_unknown_argument_is_refused(void **state)
{
	(void)state;
	assert_int_equal(session("root", "onerror=ignore"), PAM_SERVICE_ERR);
	assert_int_equal(n_logged, 1);
	assert_non_null(strstr(logged, "unknown argument \"onerror=ignore\""));
	assert_int_equal(session("root", "open close"), PAM_SERVICE_ERR);
	assert_non_null(strstr(logged, "\"open\" and \"close\" are for two lines, not for one"));
	assert_int_equal(session("root", "policy=relative"), PAM_SERVICE_ERR);
	assert_non_null(strstr(logged, "unknown argument \"policy=relative\""));
}

static int closing_line_does_not_open(void)
{
	return session(anybody(), "close") != PAM_SUCCESS || n_logged != 0;
}

/* Runs test() in a child that is not root. */
static void without_root(int (*test)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(getuid() == 0 && (setgroups(0, NULL) < 0 || setresuid(65534, 65534, 65534) < 0) ? 99 : test());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int refused_without_root(void)
{
	if (session(anybody(), "") != PAM_SESSION_ERR || n_logged != 1)
		return 1;
	if (!strstr(logged, "refused: leader: the service does not run as root (effective uid "))
		return 2;
	/* The user is told that it is not his fault, and nothing of the machine. */
	return !strstr(told, "Tell its administrator") || strchr(told, '/');
}

static void a_service_that_is_not_root_is_refused(void **state)
{
	(void)state;
	chmod(confdir, 0777);
	without_root(refused_without_root);
}

static void a_line_for_the_close_does_nothing_at_open(void **state)
{
	(void)state;
	without_root(closing_line_does_not_open);
}

static int ignored_without_root(void)
{
	return session(anybody(), "onerr=ignore") != PAM_SUCCESS || n_logged != 1 ||
	       !strstr(logged, "goes on without a sandbox (onerr=ignore): leader: ");
}

static void the_administrator_may_choose_to_go_on(void **state)
{
	(void)state;
	without_root(ignored_without_root);
}

static void *wait_for_end(void *mutex)
{
	pthread_mutex_lock(mutex);
	pthread_mutex_unlock(mutex);
	return NULL;
}

static void a_service_with_threads_is_refused(void **state)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_t thread;

	(void)state;
	if (geteuid() != 0)
		skip();
	pthread_mutex_lock(&mutex);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_end, &mutex), 0);
	assert_int_equal(session(anybody(), ""), PAM_SESSION_ERR);
	pthread_mutex_unlock(&mutex);
	pthread_join(thread, NULL);
	assert_non_null(strstr(logged, "leader: the service has 2 threads, and a leader may have one: Device or resource busy"));
}

/* Loaded once and for all: the cases that are not root's any more need not reach the build directory. */
static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(confdir) || !realpath(MODULE, module_path))
		return -1;
	dlopen(module_path, RTLD_NOW | RTLD_LOCAL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return rmdir(confdir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_module_has_no_unresolved_symbol),
		cmocka_unit_test(root_passes_untouched_and_unlogged),
		cmocka_unit_test(an_unknown_user_is_refused_by_name),
		cmocka_unit_test(an_unknown_argument_is_refused),
		cmocka_unit_test(a_service_that_is_not_root_is_refused),
		cmocka_unit_test(a_line_for_the_close_does_nothing_at_open),
		cmocka_unit_test(the_administrator_may_choose_to_go_on),
		cmocka_unit_test(a_service_with_threads_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
