/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * isolate-login: isolate-shell as a login shell or ForceCommand, without PAM. Executed by the gate with effective uid 0 and the
 * real ids of the caller, who gets nothing but his own sandbox: there is no option, and who he is is the kernel's word. This
 * process is the sandbox's leader; a child in it becomes the user's shell.
 *
 * Static like the gate, and for the same reason: the environment is the caller's.
 */

#include "helper/caller.h"
#include "helper/client.h"
#include "helper/spawn.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define GATE LIBEXECDIR "/isolate-shell"
#define NAMES LIBEXECDIR "/isolate-names"
#define NAMES_MILLISECONDS 20000

static union {
	struct request request;
	char room[REQUEST_SIZE_MAX];
} message;

static int receive_request(int socket, size_t *ret_size, struct error *err)
{
	int r = wait_readable(socket, NAMES_MILLISECONDS);
	ssize_t n = r < 0 ? r : receive_message(socket, &message, sizeof(message), NULL, NULL);

	if (n < 0)
		return error_set(err, (int)-n, "login", NAMES " does not answer");
	if (n == 0)
		return error_set(err, ENOENT, "login", "you are not known to this machine");
	*ret_size = (size_t)n;
	return request_check(&message.request, (size_t)n, err);
}

/* Names are NSS's, and NSS loads libraries: in a process of its own. */
static int ask_names(uid_t uid, size_t *ret_size, struct error *err)
{
	char argument[16];
	AUTO_CLOSE int socket = -1;
	AUTO_CLOSE int pidfd = -1;
	int r;

	snprintf(argument, sizeof(argument), "%u", uid);
	r = spawn_program(NAMES, argument, &socket, &pidfd);
	if (r < 0)
		return error_set(err, -r, "login", "start " NAMES);
	r = receive_request(socket, ret_size, err);
	if (r < 0)
		sys_pidfd_send_signal(pidfd, SIGKILL);
	if (r >= 0 && message.request.uid != uid)
		r = error_set(err, EPERM, "login", "the answer is about somebody else");
	return r;
}

/* The shell of the passwd entry, unless that is the gate. */
static const char *choose_shell(void)
{
	const char *shell = message.request.shell;

	return shell[0] == '\0' || strcmp(shell, GATE) == 0 ? "/bin/sh" : shell;
}

/* What a ForceCommand replaced is what the user asked for. sshd_config(5) */
static char *original_command(char **envp)
{
	static const char name[] = "SSH_ORIGINAL_COMMAND=";

	for (; *envp; envp++)
		if (strncmp(*envp, name, sizeof(name) - 1) == 0)
			return *envp + sizeof(name) - 1;
	return NULL;
}

/* Our arguments are the shell's. Called without any we are a login shell, or the wrapper of another command. */
static int exec_shell(int argc, char **argv, char **envp, struct error *err)
{
	const char *shell = choose_shell();
	char *command = argc == 1 && argv[0][0] != '-' ? original_command(envp) : NULL;
	char name[sizeof(message.request.shell) + 1];
	char *with_command[] = { name, (char[]){ "-c" }, command, NULL };

	snprintf(name, sizeof(name), "%s%s", command || argc > 1 ? "" : "-", strrchr(shell, '/') + 1);
	argv[0] = name;
	execve(shell, command ? with_command : argv, envp);
	return error_set(err, errno, "login", "%s", shell);
}

/* In the child, which is in the PID namespace already. */
static int enter(const struct client_answer *answer, const struct caller *caller, struct error *err)
{
	int flags = (int)answer->namespaces | CLONE_NEWNS | (answer->userns ? CLONE_NEWUSER : 0);

	/* A cgroup namespace that is the login's own is not entered with PID 1's others. */
	if (answer->cgroupns >= 0)
		flags &= ~CLONE_NEWCGROUP;
	if ((answer->cgroupns >= 0 && setns(answer->cgroupns, CLONE_NEWCGROUP) < 0) || setns(answer->init, flags) < 0)
		return error_set(err, errno, "login", "enter the sandbox");
	return answer->userns ? caller_surrender(caller, err) : caller_become(caller, err);
}

static volatile sig_atomic_t hung_up;

static void note_signal(int signal)
{
	hung_up |= signal != SIGCHLD;
}

/* The terminal's keys are for the shell; its loss, and the end of the login, are for us. Those signals arrive only in ppoll(2),
 * with the mask that is returned. */
static sigset_t set_signals(void)
{
	static const int ignored[] = { SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE },
			 noted[] = { SIGCHLD, SIGHUP, SIGTERM };
	struct sigaction ignore = { .sa_handler = SIG_IGN }, note = { .sa_handler = note_signal };
	sigset_t block, before;

	sigemptyset(&block);
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		sigaction(ignored[i], &ignore, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(noted); i++) {
		sigaction(noted[i], &note, NULL);
		sigaddset(&block, noted[i]);
	}
	sigprocmask(SIG_BLOCK, &block, &before);
	for (size_t i = 0; i < ARRAY_SIZE(noted); i++)
		sigdelset(&before, noted[i]);
	return before;
}

/* Who started us: a connection without a terminal drops in silence, when sshd's process ends. (PR_SET_PDEATHSIG would be a signal
 * of the user's to root.) -1: it has ended already. */
static int open_starter(void)
{
	pid_t starter = getppid();
	AUTO_CLOSE int pidfd = sys_pidfd_open(starter);

	return getppid() == starter ? take_fd(&pidfd) : -1;
}

/*
 * The shell has a process group of its own: ours is outside of its PID namespace, where it could not name it. If we have the
 * terminal, its group gets it. tcsetpgrp(3)
 */
static void give_terminal(int terminal, pid_t group)
{
	if (terminal >= 0)
		tcsetpgrp(terminal, group);
}

/* The terminal, if we are in its foreground; else -1. */
static int foreground_terminal(void)
{
	AUTO_CLOSE int terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	return terminal >= 0 && tcgetpgrp(terminal) == getpgrp() ? take_fd(&terminal) : -1;
}

/* Whoever started us sees a shell that stops and goes on. */
static void stop_with(pid_t pid, int terminal)
{
	give_terminal(terminal, getpgrp());
	kill(getpid(), SIGSTOP);
	give_terminal(terminal, pid);
	kill(-pid, SIGCONT);
}

/* Returns the status of waitpid(2) when the shell has ended, -1 when the login has. */
static int await_shell(pid_t pid, int terminal, int starter, const sigset_t *mask)
{
	struct pollfd ended = { .fd = starter, .events = POLLIN };
	int status;

	while (!hung_up && starter >= 0) {
		pid_t changed = waitpid(pid, &status, WUNTRACED | WNOHANG);

		if (changed < 0 || (changed == pid && !WIFSTOPPED(status)))
			return changed < 0 ? -1 : status;
		if (changed == pid)
			stop_with(pid, terminal);
		else if (ppoll(&ended, 1, NULL, mask) > 0)
			return -1;
	}
	return -1;
}

static void end_like(int status)
{
	if (status >= 0 && WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	if (status >= 0) {
		signal(WTERMSIG(status), SIG_DFL);
		raise(WTERMSIG(status));
	}
	_exit(status < 0 ? 128 + SIGHUP : 128 + WTERMSIG(status));
}

/* The child. Returns only when it fails. */
static int become_shell(const struct client_answer *answer, const struct caller *caller, int terminal, int argc, char **argv,
	char **envp, struct error *err)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
	int r;

	if (setpgid(0, 0) < 0)
		return error_set(err, errno, "login", "setpgid");
	/* Not in the foreground yet, we would be stopped for taking it. */
	sigaction(SIGTTOU, &ignore, &before);
	give_terminal(terminal, getpid());
	sigaction(SIGTTOU, &before, NULL);
	r = enter(answer, caller, err);
	if (r >= 0)
		r = caller_restore(caller, err);
	return r < 0 ? r : exec_shell(argc, argv, envp, err);
}

/* The leader: makes the shell in the sandbox, waits for it, ends the sandbox. */
static int lead(
	const struct client_answer *answer, const struct caller *caller, int argc, char **argv, char **envp, struct error *err)
{
	AUTO_CLOSE int terminal = foreground_terminal();
	AUTO_CLOSE int starter = open_starter();
	struct client supervisor = CLIENT_NONE;
	sigset_t mask;
	int status, r;
	pid_t pid;

	if (answer->banner[0] && terminal >= 0)
		dprintf(terminal, "%s\n", answer->banner);
	if ((answer->namespaces & CLONE_NEWPID) && setns(answer->init, CLONE_NEWPID) < 0)
		return error_set(err, errno, "login", "enter the PID namespace");
	pid = fork();
	if (pid < 0)
		return error_set(err, errno, "login", "fork");
	if (pid == 0)
		return become_shell(answer, caller, terminal, argc, argv, envp, err);
	mask = set_signals();
	status = await_shell(pid, terminal, starter, &mask);
	give_terminal(terminal, getpgrp());
	r = client_reach(message.request.id, &supervisor, err);
	if (r >= 0)
		r = client_close(&supervisor, err);
	/* ESRCH: the sandbox has ended without us. */
	if (r < 0 && r != -ESRCH)
		caller_refuse("isolate-shell", err);
	end_like(status);
	return 0;
}

/* Isolate=no. */
static int exec_untouched(const struct caller *caller, int argc, char **argv, char **envp, struct error *err)
{
	int r = caller_become(caller, err);

	if (r >= 0)
		r = caller_restore(caller, err);
	return r < 0 ? r : exec_shell(argc, argv, envp, err);
}

int main(int argc, char **argv, char **envp)
{
	static struct caller caller;
	struct client_answer answer = CLIENT_ANSWER_NONE;
	struct client helper = CLIENT_NONE;
	struct error err;
	size_t size = 0;
	int r = caller_take_over(&caller, &err);

	if (r >= 0 && argc < 1)
		r = error_set(&err, EINVAL, "login", "started without a name");
	if (r >= 0)
		r = ask_names(caller.uid, &size, &err);
	if (r >= 0)
		r = client_start(&helper, &err);
	if (r >= 0)
		r = client_ask(&helper, &message.request, size, &answer, &err);
	client_release(&helper);
	if (r >= 0)
		r = answer.kind == REPLY_SANDBOX ? lead(&answer, &caller, argc, argv, envp, &err)
						 : exec_untouched(&caller, argc, argv, envp, &err);
	caller_refuse("isolate-shell", &err);
}
