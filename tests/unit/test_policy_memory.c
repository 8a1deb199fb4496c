/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Without memory, reading a policy is an error and leaks nothing, wherever it happens.
 * Linked with --wrap for calloc, malloc, reallocarray and strdup, of which one call fails here.
 */
#include "policy/policy.h"

#include "lib/cleanup.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

void *__real_calloc(size_t n, size_t size);
void *__real_malloc(size_t size);
void *__real_reallocarray(void *memory, size_t n, size_t size);
char *__real_strdup(const char *text);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_reallocarray(void *memory, size_t n, size_t size);
char *__wrap_strdup(const char *text);

/* How many calls go well before the one that fails; -1: none fails. */
static int calls_left = -1;

static bool fails(void)
{
	if (calls_left < 0)
		return false;
	return calls_left-- == 0;
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_reallocarray(void *memory, size_t n, size_t size)
{
	return fails() ? NULL : __real_reallocarray(memory, n, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

static const char text[] =
	"[default]\nTasksMax=1\nReadOnlyPaths=/a /b\n[group g]\nIOReadIOPSMax=/dev/sda 1\n[user u]\nCPUWeight=1\n";

static void check_failure(int r, const struct policy *policy, const struct error *err)
{
	assert_int_equal(r, -ENOMEM);
	assert_int_equal(err->errnum, ENOMEM);
	assert_string_equal(err->step, "policy");
	assert_null(policy);
}

static void parsing_fails_at_any_call_and_says_so(void **state)
{
	int n = 0;

	(void)state;
	for (;; n++) {
		struct policy *policy = NULL;
		struct error err = { 0 };
		int r;

		calls_left = n;
		r = policy_parse("p", text, strlen(text), &policy, &err);
		calls_left = -1;
		if (r == 0) {
			policy_free(policy);
			break;
		}
		check_failure(r, policy, &err);
	}
	/* The calls that were made to fail: fewer than this, and the wrapping has come undone. */
	assert_true(n >= 15);
}

static void write_at(const char *directory, const char *name)
{
	AUTO_CLOSE int fd = -1;
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
}

static void loading_fails_at_any_call_and_says_so(void **state)
{
	char directory[] = "/tmp/isolate-memory-XXXXXX", file[64], other[64];
	const struct policy_source source = { .file = file, .directory = directory, .trust_owner = true };
	int n = 0;

	(void)state;
	assert_non_null(mkdtemp(directory));
	write_at(directory, "a.conf");
	write_at(directory, "b.conf");
	snprintf(file, sizeof(file), "%s/a.conf", directory);
	snprintf(other, sizeof(other), "%s/b.conf", directory);
	for (;; n++) {
		struct policy *policy = NULL;
		struct error err = { 0 };
		int r;

		calls_left = n;
		r = policy_load(&source, &policy, &err);
		calls_left = -1;
		if (r == 0) {
			policy_free(policy);
			break;
		}
		check_failure(r, policy, &err);
	}
	unlink(file);
	unlink(other);
	rmdir(directory);
	assert_true(n >= 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parsing_fails_at_any_call_and_says_so),
		cmocka_unit_test(loading_fails_at_any_call_and_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
