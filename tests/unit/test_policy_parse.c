/* SPDX-License-Identifier: BSD-3-Clause */

/* Files, sections and lines: what policy/policy.c takes and what it refuses, word for word. */
#include "policy/policy.h"

#include "lib/cleanup.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

static void accepts_bytes(const char *text, size_t length)
{
	struct error err = { 0 };
	struct policy *policy = NULL;

	if (policy_parse("p.conf", text, length, &policy, &err) != 0)
		fail_msg("refused: %s", err.text);
	assert_non_null(policy);
	assert_int_equal(err.errnum, 0);
	policy_free(policy);
}

static void accepts(const char *text)
{
	accepts_bytes(text, strlen(text));
}

static void refuses_bytes(const char *text, size_t length, const char *message)
{
	struct error err = { 0 };
	struct policy *untouched = (struct policy *)&err, *policy = untouched;

	assert_int_equal(policy_parse("p.conf", text, length, &policy, &err), -EINVAL);
	assert_string_equal(err.text, message);
	assert_string_equal(err.step, "policy");
	assert_int_equal(err.errnum, EINVAL);
	assert_ptr_equal(policy, untouched);
	assert_int_equal(policy_parse("p.conf", text, length, &policy, NULL), -EINVAL);
}

static void refuses(const char *text, const char *message)
{
	refuses_bytes(text, strlen(text), message);
}

/* The text that the policy gives the key for alice of staff; NULL: not set. Lasts until the next call. */
static const char *text_of(const char *policy_text, enum policy_key key)
{
	static char result[256];
	static const char *const groups[] = { "staff" };
	const struct policy_subject alice = { .user = "alice", .uid = 1000, .groups = groups, .n_groups = 1 };
	struct policy_effective effective;
	struct error err = { 0 };
	struct policy *policy;

	if (policy_parse("p.conf", policy_text, strlen(policy_text), &policy, &err) != 0)
		fail_msg("refused: %s", err.text);
	assert_int_equal(policy_resolve(policy, &alice, &effective, &err), 0);
	snprintf(result, sizeof(result), "%s", effective.values[key].set ? effective.values[key].text : "");
	policy_free(policy);
	return effective.values[key].set ? result : NULL;
}

/* --- lines ----------------------------------------------------------------- */

static void an_empty_text_is_a_policy(void **state)
{
	(void)state;
	accepts("");
	accepts("\n\n");
	accepts(" \t \n");
	accepts_bytes(NULL, 0);
}

static void a_last_line_needs_no_newline(void **state)
{
	(void)state;
	assert_string_equal(text_of("[default]\nTasksMax=7", POLICY_TASKS_MAX), "7");
	accepts("[default]");
	accepts("# end");
}

static void blanks_around_a_key_and_its_value_are_dropped(void **state)
{
	(void)state;
	assert_string_equal(text_of("  [default]\t\n \t TasksMax \t=\t 7 \t\n", POLICY_TASKS_MAX), "7");
}

static void blanks_in_a_head_are_dropped(void **state)
{
	(void)state;
	assert_string_equal(text_of("[ user \t alice ]\nTasksMax=7\n", POLICY_TASKS_MAX), "7");
	assert_string_equal(text_of("[\tdefault ]\nTasksMax=7\n", POLICY_TASKS_MAX), "7");
}

static void a_comment_starts_a_line(void **state)
{
	(void)state;
	accepts("# a\n; b\n  # c\n\t; d\n#\n;\n# MemoryMax=oops\n; [oops\n");
}

static void a_comment_follows_a_value_or_a_head_after_a_blank(void **state)
{
	(void)state;
	assert_string_equal(text_of("[default]   # everyone\nTasksMax=7 # few\n", POLICY_TASKS_MAX), "7");
	assert_string_equal(text_of("[default]\t#everyone\nTasksMax=7\t#few\n", POLICY_TASKS_MAX), "7");
}

static void a_number_sign_inside_a_value_belongs_to_it(void **state)
{
	(void)state;
	assert_string_equal(text_of("[default]\nRootDirectory=/srv/a#b # c\n", POLICY_ROOT_DIRECTORY), "/srv/a#b");
	refuses("[default]\nTasksMax=7#few\n",
		"p.conf:2: TasksMax: \"7#few\": a number without a unit, a percentage or infinity is wanted");
}

static void a_semicolon_after_a_value_is_no_comment(void **state)
{
	(void)state;
	refuses("[default]\nIsolate=yes ; always\n", "p.conf:2: Isolate: \"yes ; always\": use no or yes");
	refuses("[default] ; everyone\n", "p.conf:1: text after \"]\"");
}

static void a_value_may_have_equals_signs(void **state)
{
	(void)state;
	assert_string_equal(text_of("[default]\nRootDirectory=/srv/a=b\n", POLICY_ROOT_DIRECTORY), "/srv/a=b");
}

static void a_line_is_not_continued(void **state)
{
	static const char message[] = "p.conf:2: a backslash at the end: a line is not continued on the next";

	(void)state;
	refuses("[default]\nReadOnlyPaths=/a \\\n /b\n", message);
	refuses("[default]\nReadOnlyPaths=/a\\", message);
	refuses("[default]\nReadOnlyPaths=/a \\ # b\n", message);
	refuses("[default]\n\\\n", message);
	accepts("# a comment may end so \\\n");
}

static void an_indented_line_does_not_continue_the_one_before(void **state)
{
	(void)state;
	refuses("[default]\nReadOnlyPaths=/a\n  /b\n", "p.conf:3: \"/b\": neither Key=value nor a [section]");
}

static void a_line_without_equals_sign_is_refused(void **state)
{
	(void)state;
	refuses("[default]\nIsolate\n", "p.conf:2: \"Isolate\": neither Key=value nor a [section]");
	refuses("[default]\nIsolate: yes\n", "p.conf:2: \"Isolate: yes\": neither Key=value nor a [section]");
}

static void a_nul_byte_is_refused(void **state)
{
	(void)state;
	refuses_bytes("[default]\nIso\0late=no\n", 22, "p.conf:2: a NUL byte");
	refuses_bytes("# a\0b\n", 6, "p.conf:1: a NUL byte");
}

static void a_control_character_is_refused(void **state)
{
	(void)state;
	refuses("[default]\nIsolate=\x1b[2Jno\n", "p.conf:2: a control character (0x1b)");
	refuses("# \x7f\n", "p.conf:1: a control character (0x7f)");
	refuses("\n\f\n", "p.conf:2: a control character (0x0c)");
	refuses("[default]\nIsolate=\rno\n", "p.conf:2: a control character (0x0d)");
}

static void a_dos_line_ending_is_refused_by_name(void **state)
{
	static const char message[] = "p.conf:1: a DOS line ending (CR LF), a line ends with LF alone";

	(void)state;
	refuses("[default]\r\nIsolate=no\r\n", message);
	refuses("\r\n", message);
	refuses("# last\r", message);
}

static void a_byte_order_mark_is_refused_by_name(void **state)
{
	(void)state;
	refuses("\xef\xbb\xbf[default]\n", "p.conf:1: the file begins with a byte order mark, remove it");
	refuses("\xef\xbb\xbf", "p.conf:1: the file begins with a byte order mark, remove it");
}

static void letters_beyond_ascii_are_taken(void **state)
{
	(void)state;
	accepts("# caf\xc3\xa9\n[user ren\xc3\xa9]\nRootDirectory=/srv/\xc3\xa9\n");
}

static void a_line_has_4096_bytes_at_most(void **state)
{
	char text[4200];

	(void)state;
	memset(text, '#', sizeof(text));
	text[4096] = '\n';
	accepts_bytes(text, 4097);
	accepts_bytes(text, 4096);
	text[4096] = '#';
	text[4097] = '\n';
	refuses_bytes(text, 4098, "p.conf:1: a line longer than 4096 bytes");
	refuses_bytes(text, 4097, "p.conf:1: a line longer than 4096 bytes");
}

static void a_text_has_one_mebibyte_at_most(void **state)
{
	const size_t size = 1024 * 1024;
	AUTO_FREE char *text = malloc(size + 1);
	struct error err = { 0 };
	struct policy *policy;

	(void)state;
	assert_non_null(text);
	memset(text, '\n', size + 1);
	accepts_bytes(text, size);
	assert_int_equal(policy_parse("p.conf", text, size + 1, &policy, &err), -EFBIG);
	assert_string_equal(err.text, "p.conf: larger than 1 MiB");
}

/* --- heads ----------------------------------------------------------------- */

static void a_head_without_its_end_is_refused(void **state)
{
	(void)state;
	refuses("[default\n", "p.conf:1: \"[\" without \"]\"");
	refuses("[", "p.conf:1: \"[\" without \"]\"");
	refuses("[user #1]\n", "p.conf:1: \"[\" without \"]\"");
	refuses("[group [a-c]\n", "p.conf:1: \"[\" without \"]\" in the pattern");
}

static void text_after_a_head_is_refused(void **state)
{
	(void)state;
	refuses("[default] Isolate=no\n", "p.conf:1: text after \"]\"");
	refuses("[default]# no blank\n", "p.conf:1: text after \"]\"");
	refuses("[default] [user bob]\n", "p.conf:1: text after \"]\"");
	refuses("[default]]\n", "p.conf:1: text after \"]\"");
	refuses("[group a] [group b]\n", "p.conf:1: text after \"]\"");
}

static void a_head_without_a_name_is_refused(void **state)
{
	(void)state;
	refuses("[]\n", "p.conf:1: a section without a name");
	refuses("[ \t]\n", "p.conf:1: a section without a name");
	refuses("[user]\n", "p.conf:1: [user NAME] without a name");
	refuses("[group ]\n", "p.conf:1: [group PATTERN] without a name");
}

static void default_takes_no_name(void **state)
{
	(void)state;
	refuses("[default users]\n", "p.conf:1: [default] takes no name, not \"users\"");
}

static void an_unknown_section_is_refused_with_the_closest(void **state)
{
	(void)state;
	refuses("[Default]\n", "p.conf:1: unknown section \"Default\", did you mean [default]?");
	refuses("[defaults]\n", "p.conf:1: unknown section \"defaults\", did you mean [default]?");
	refuses("[users bob]\n", "p.conf:1: unknown section \"users\", did you mean [user NAME]?");
	refuses("[GROUP wheel]\n", "p.conf:1: unknown section \"GROUP\", did you mean [group PATTERN]?");
}

static void an_unknown_section_like_none_is_refused_with_all(void **state)
{
	static const char tail[] = ", there are [default], [group PATTERN] and [user NAME]";
	char message[256];

	(void)state;
	snprintf(message, sizeof(message), "p.conf:2: unknown section \"host\"%s", tail);
	refuses("\n[host lab1]\n", message);
	snprintf(message, sizeof(message), "p.conf:1: unknown section \"%.68s...\"%s",
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", tail);
	refuses("[xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx]\n", message);
}

static void a_section_has_one_name(void **state)
{
	(void)state;
	refuses("[user alice bob]\n", "p.conf:1: \"alice bob\": one name a section");
	refuses("[group domain users]\n",
		"p.conf:1: \"domain users\": one name a section; \"?\" in a pattern stands for a blank");
}

static void a_user_is_no_pattern(void **state)
{
	(void)state;
	refuses("[user al*]\n", "p.conf:1: \"al*\": [user NAME] takes no pattern");
	refuses("[user al?ce]\n", "p.conf:1: \"al?ce\": [user NAME] takes no pattern");
	refuses("[user [a]lice]\n", "p.conf:1: \"[a]lice\": [user NAME] takes no pattern");
}

static void a_group_pattern_may_have_brackets(void **state)
{
	(void)state;
	assert_string_equal(text_of("[group [r-t]taff]\nTasksMax=7\n", POLICY_TASKS_MAX), "7");
	assert_string_equal(text_of("[group staf[[:alpha:]]]\nTasksMax=7\n", POLICY_TASKS_MAX), "7");
	assert_string_equal(text_of("[group staf[]f]]\nTasksMax=7\n", POLICY_TASKS_MAX), "7");
	assert_string_equal(text_of("[group staf[!]]]\nTasksMax=7\n", POLICY_TASKS_MAX), "7");
	assert_string_equal(text_of("[group sta\\ff]\nTasksMax=7\n", POLICY_TASKS_MAX), "7");
	refuses("[group a\\]\n", "p.conf:1: \"a\\\": the pattern ends with a backslash");
}

static void an_unused_section_needs_no_keys(void **state)
{
	(void)state;
	accepts("[user alice]\n[user bob]\n[default]\n[group x]\n");
}

static void a_long_section_name_is_not_cut(void **state)
{
	(void)state;
	/* The first 60 letters are the same. */
	accepts("[user aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1]\nTasksMax=1\n"
		"[user aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff2]\nTasksMax=1\n");
}

/* --- keys ------------------------------------------------------------------ */

static void an_unknown_key_is_refused_with_the_closest_name(void **state)
{
	(void)state;
	refuses("[default]\nMemoryMx=1G\n", "p.conf:2: unknown key \"MemoryMx\", did you mean MemoryMax?");
	refuses("[default]\n\nTaskMax=1\n", "p.conf:3: unknown key \"TaskMax\", did you mean TasksMax?");
	refuses("[default]\nUserMemoryMaxx=1G\n", "p.conf:2: unknown key \"UserMemoryMaxx\", did you mean UserMemoryMax?");
	refuses("[default]\nIsolated=no\n", "p.conf:2: unknown key \"Isolated\", did you mean Isolate?");
}

static void a_key_in_other_letters_is_refused_with_its_name(void **state)
{
	(void)state;
	refuses("[default]\nmemorymax=1G\n", "p.conf:2: unknown key \"memorymax\", did you mean MemoryMax?");
	refuses("[default]\nCPUQUOTA=1%\n", "p.conf:2: unknown key \"CPUQUOTA\", did you mean CPUQuota?");
}

static void an_unknown_key_like_none_is_refused(void **state)
{
	(void)state;
	refuses("[default]\nColour=blue\n", "p.conf:2: unknown key \"Colour\"");
	refuses("[default]\nMemory Max=1G\n", "p.conf:2: unknown key \"Memory Max\", did you mean MemoryMax?");
	refuses("[default]\nx=1\n", "p.conf:2: unknown key \"x\"");
}

static void a_key_before_any_section_is_refused(void **state)
{
	(void)state;
	refuses("# policy\nTasksMax=7\n[default]\n", "p.conf:2: TasksMax stands before the first section");
}

static void a_line_without_a_key_is_refused(void **state)
{
	(void)state;
	refuses("[default]\n=7\n", "p.conf:2: no key before \"=\"");
	refuses("[default]\n = 7\n", "p.conf:2: no key before \"=\"");
}

static void an_empty_value_is_refused(void **state)
{
	(void)state;
	refuses("[default]\nTasksMax=\n", "p.conf:2: TasksMax has no value");
	refuses("[default]\nReadOnlyPaths= \t\n", "p.conf:2: ReadOnlyPaths has no value");
	refuses("[default]\nTasksMax= # later\n", "p.conf:2: TasksMax has no value");
}

static void a_scalar_stands_once_in_a_section(void **state)
{
	(void)state;
	refuses("[default]\nTasksMax=7\nIsolate=yes\nTasksMax=8\n",
		"p.conf:4: TasksMax is set in [default] already, at p.conf:2");
	refuses("[default]\nTasksMax=7\nTasksMax=7\n", "p.conf:3: TasksMax is set in [default] already, at p.conf:2");
}

static void a_section_that_comes_again_is_the_same_section(void **state)
{
	(void)state;
	refuses("[user bob]\nTasksMax=7\n[default]\nTasksMax=9\n[ user  bob ]\nTasksMax=8\n",
		"p.conf:6: TasksMax is set in [user bob] already, at p.conf:2");
	accepts("[user bob]\nTasksMax=7\n[group bob]\nTasksMax=7\n[default]\nTasksMax=7\n[user bobby]\nTasksMax=7\n");
}

static void a_list_adds_up_within_a_section(void **state)
{
	(void)state;
	assert_string_equal(text_of("[default]\nReadOnlyPaths=/a  \t /b\nReadOnlyPaths=/c\n[user alice]\nTasksMax=1\n[default]\n"
				    "ReadOnlyPaths=/d # e\n",
				    POLICY_READ_ONLY_PATHS),
		"/a /b /c /d");
}

static void a_list_of_the_more_specific_section_replaces(void **state)
{
	(void)state;
	assert_string_equal(
		text_of("[default]\nReadOnlyPaths=/a /b\n[user alice]\nReadOnlyPaths=/c\n", POLICY_READ_ONLY_PATHS), "/c");
}

static void many_sections_are_kept_apart(void **state)
{
	const size_t room = 512 * 1024;
	AUTO_FREE char *text = malloc(room);
	size_t length = 0;

	(void)state;
	assert_non_null(text);
	for (int i = 0; i < 10000; i++)
		length += (size_t)snprintf(text + length, room - length, "[user u%d]\nTasksMax=%d\n", i, i + 1);
	snprintf(text + length, room - length, "[user alice]\nTasksMax=77\n");
	assert_string_equal(text_of(text, POLICY_TASKS_MAX), "77");
	snprintf(text + length, room - length, "[user u1234]\nTasksMax=77\n");
	refuses(text, "p.conf:20002: TasksMax is set in [user u1234] already, at p.conf:2470");
}

static void a_user_and_a_group_of_one_name_are_two_sections(void **state)
{
	const size_t room = 512 * 1024;
	AUTO_FREE char *text = malloc(room);
	size_t length = 0;

	(void)state;
	assert_non_null(text);
	for (int i = 0; i < 5000; i++)
		length +=
			(size_t)snprintf(text + length, room - length, "[user u%d]\nTasksMax=1\n[group u%d]\nTasksMax=1\n", i, i);
	accepts(text);
}

/* --- files ----------------------------------------------------------------- */

struct tree {
	char root[32], file[64], directory[64];
};

static void write_at(const char *path, const char *text, mode_t mode)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
}

static const char *in(const char *directory, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static int make_tree(void **state)
{
	struct tree *tree = calloc(1, sizeof(*tree));

	if (!tree)
		return -1;
	strcpy(tree->root, "/tmp/isolate-policy-XXXXXX");
	if (!mkdtemp(tree->root)) {
		free(tree);
		return -1;
	}
	snprintf(tree->file, sizeof(tree->file), "%s/main.conf", tree->root);
	snprintf(tree->directory, sizeof(tree->directory), "%s/d", tree->root);
	write_at(tree->file, "[default]\nTasksMax=7\n", 0644);
	*state = tree;
	return mkdir(tree->directory, 0755);
}

static void remove_all(const char *directory)
{
	AUTO_CLOSEDIR DIR *dir = opendir(directory);
	const struct dirent *item;

	while (dir && (item = readdir(dir))) {
		char path[512];

		snprintf(path, sizeof(path), "%s/%s", directory, item->d_name);
		if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0 && unlink(path) < 0)
			remove_all(path);
	}
	rmdir(directory);
}

static int remove_tree(void **state)
{
	struct tree *tree = *state;

	remove_all(tree->root);
	free(tree);
	return 0;
}

/* As root the owner is asked for too: then the tests see the strict way. */
static struct policy_source source_of(const struct tree *tree)
{
	return (struct policy_source){ .file = tree->file, .directory = tree->directory, .trust_owner = geteuid() != 0 };
}

static void loads(const struct policy_source *source)
{
	struct error err = { 0 };
	struct policy *policy = NULL;

	if (policy_load(source, &policy, &err) != 0)
		fail_msg("refused: %s", err.text);
	policy_free(policy);
}

static void does_not_load(const struct policy_source *source, int errnum, const char *path, const char *message)
{
	struct error err = { 0 };
	struct policy *policy = NULL;
	char whole[512];

	snprintf(whole, sizeof(whole), "%s%s", path, message);
	assert_int_equal(policy_load(source, &policy, &err), -errnum);
	assert_string_equal(err.text, whole);
	assert_string_equal(err.step, "policy");
	assert_int_equal(err.errnum, errnum);
	assert_null(policy);
	assert_int_equal(policy_load(source, &policy, NULL), -errnum);
}

static void a_missing_file_is_refused(void **state)
{
	struct tree *tree = *state;
	struct policy_source source = source_of(tree);

	unlink(tree->file);
	does_not_load(&source, ENOENT, tree->file, "");
}

static void a_missing_directory_is_fine(void **state)
{
	struct tree *tree = *state;
	struct policy_source source = source_of(tree);

	rmdir(tree->directory);
	loads(&source);
	source.directory = NULL;
	loads(&source);
}

static void a_file_in_place_of_the_directory_is_refused(void **state)
{
	struct tree *tree = *state;
	struct policy_source source = source_of(tree);

	rmdir(tree->directory);
	write_at(tree->directory, "", 0644);
	does_not_load(&source, ENOTDIR, tree->directory, "");
}

static void a_directory_in_place_of_a_file_is_refused(void **state)
{
	struct tree *tree = *state;
	struct policy_source source = source_of(tree);

	assert_int_equal(mkdir(in(tree->directory, "a.conf"), 0755), 0);
	does_not_load(&source, EISDIR, in(tree->directory, "a.conf"), ": is a directory");
	source.file = tree->directory;
	does_not_load(&source, EISDIR, tree->directory, ": is a directory");
}

static void a_fifo_is_refused_without_waiting(void **state)
{
	struct tree *tree = *state;
	struct policy_source source = source_of(tree);

	unlink(tree->file);
	assert_int_equal(mkfifo(tree->file, 0644), 0);
	alarm(5);
	does_not_load(&source, ENODEV, tree->file, ": not a regular file");
	alarm(0);
}

static void a_socket_is_refused(void **state)
{
	struct tree *tree = *state;
	struct policy_source source = source_of(tree);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	unlink(tree->file);
	strcpy(address.sun_path, tree->file);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	does_not_load(&source, ENODEV, tree->file, ": not a regular file");
}

static void a_device_is_refused(void **state)
{
	struct tree *tree = *state;
	struct policy_source source = source_of(tree);

	source.file = "/dev/null";
	does_not_load(&source, ENODEV, "/dev/null", ": not a regular file");
}

static void a_file_of_one_mebibyte_is_taken_and_no_larger(void **state)
{
	struct tree *tree = *state;
	struct policy_source source = source_of(tree);
	const size_t size = 1024 * 1024;
	AUTO_FREE char *text = malloc(size + 1);

	assert_non_null(text);
	memset(text, '\n', size);
	text[size] = '\0';
	write_at(tree->file, text, 0644);
	loads(&source);
	assert_int_equal(truncate(tree->file, (off_t)size + 1), 0);
	does_not_load(&source, EFBIG, tree->file, ": larger than 1 MiB");
}

static void a_file_that_others_may_write_is_refused(void **state)
{
	struct tree *tree = *state;
	struct policy_source source = source_of(tree);

	chmod(tree->file, 0664);
	does_not_load(&source, EPERM, tree->file, ": can be written by its group or by others (mode 0664)");
	chmod(tree->file, 0646);
	source.trust_owner = true;
	does_not_load(&source, EPERM, tree->file, ": can be written by its group or by others (mode 0646)");
}

static void a_file_of_another_owner_is_refused(void **state)
{
	struct tree *tree = *state;
	struct policy_source source = source_of(tree);

	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(tree->file, 1234, 0), 0);
	does_not_load(&source, EPERM, tree->file, ": belongs to uid 1234, not to root");
	source.trust_owner = true;
	loads(&source);
}

static void a_directory_of_another_owner_or_open_to_others_is_refused(void **state)
{
	struct tree *tree = *state;
	struct policy_source source = source_of(tree);

	chmod(tree->directory, 01777);
	does_not_load(&source, EPERM, tree->directory, ": can be written by its group or by others (mode 1777)");
	chmod(tree->directory, 0755);
	loads(&source);
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(tree->directory, 1234, 0), 0);
	does_not_load(&source, EPERM, tree->directory, ": belongs to uid 1234, not to root");
}

static void a_file_of_the_directory_is_held_to_the_same_rules(void **state)
{
	struct tree *tree = *state;
	struct policy_source source = source_of(tree);

	write_at(in(tree->directory, "a.conf"), "", 0666);
	does_not_load(&source, EPERM, in(tree->directory, "a.conf"), ": can be written by its group or by others (mode 0666)");
}

static void only_conf_files_of_the_directory_are_read(void **state)
{
	struct tree *tree = *state;
	struct policy_source source = source_of(tree);

	write_at(in(tree->directory, "README"), "oops\n", 0666);
	write_at(in(tree->directory, "a.conf~"), "oops\n", 0644);
	write_at(in(tree->directory, "a.conf.dpkg-old"), "oops\n", 0644);
	write_at(in(tree->directory, ".hidden.conf"), "oops\n", 0644);
	write_at(in(tree->directory, ".conf"), "oops\n", 0644);
	loads(&source);
	write_at(in(tree->directory, "b.conf"), "\noops\n", 0644);
	does_not_load(&source, EINVAL, in(tree->directory, "b.conf"), ":2: \"oops\": neither Key=value nor a [section]");
}

/* Whatever order the file system has: of 31 files that set the same key, the first two by name are the ones that are told. */
static void the_directory_is_read_in_the_order_of_strcmp(void **state)
{
	struct tree *tree = *state;
	struct policy_source source = source_of(tree);
	char first[256];

	for (int i = 0; i < 31; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%d.conf", 10 + i * 7 % 31);
		write_at(in(tree->directory, name), "[user bob]\nTasksMax=8\n", 0644);
	}
	snprintf(first, sizeof(first), ":2: TasksMax is set in [user bob] already, at %s/10.conf:2", tree->directory);
	does_not_load(&source, EINVAL, in(tree->directory, "11.conf"), first);
	write_at(in(tree->directory, "1.conf"), "[user bob]\nTasksMax=8\n", 0644);
	snprintf(first, sizeof(first), ":2: TasksMax is set in [user bob] already, at %s/1.conf:2", tree->directory);
	does_not_load(&source, EINVAL, in(tree->directory, "10.conf"), first);
}

static void capital_letters_come_first_in_the_directory(void **state)
{
	struct tree *tree = *state;
	struct policy_source source = source_of(tree);
	char first[256];

	write_at(in(tree->directory, "Z.conf"), "[user bob]\nTasksMax=8\n", 0644);
	write_at(in(tree->directory, "a.conf"), "[user bob]\nTasksMax=9\n", 0644);
	snprintf(first, sizeof(first), ":2: TasksMax is set in [user bob] already, at %s/Z.conf:2", tree->directory);
	does_not_load(&source, EINVAL, in(tree->directory, "a.conf"), first);
}

static void a_scalar_stands_once_in_all_files(void **state)
{
	struct tree *tree = *state;
	struct policy_source source = source_of(tree);
	char first[256];

	write_at(in(tree->directory, "a.conf"), "\n[default]\nTasksMax=8\n", 0644);
	snprintf(first, sizeof(first), ":3: TasksMax is set in [default] already, at %s:2", tree->file);
	does_not_load(&source, EINVAL, in(tree->directory, "a.conf"), first);
}

static void a_file_starts_outside_of_any_section(void **state)
{
	struct tree *tree = *state;
	struct policy_source source = source_of(tree);

	write_at(in(tree->directory, "a.conf"), "CPUWeight=8\n", 0644);
	does_not_load(&source, EINVAL, in(tree->directory, "a.conf"), ":1: CPUWeight stands before the first section");
}

static void a_dangling_link_in_the_directory_is_refused(void **state)
{
	struct tree *tree = *state;
	struct policy_source source = source_of(tree);

	assert_int_equal(symlink("nowhere", in(tree->directory, "a.conf")), 0);
	does_not_load(&source, ENOENT, in(tree->directory, "a.conf"), "");
}

#define with_tree(test) cmocka_unit_test_setup_teardown(test, make_tree, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_text_is_a_policy),
		cmocka_unit_test(a_last_line_needs_no_newline),
		cmocka_unit_test(blanks_around_a_key_and_its_value_are_dropped),
		cmocka_unit_test(blanks_in_a_head_are_dropped),
		cmocka_unit_test(a_comment_starts_a_line),
		cmocka_unit_test(a_comment_follows_a_value_or_a_head_after_a_blank),
		cmocka_unit_test(a_number_sign_inside_a_value_belongs_to_it),
		cmocka_unit_test(a_semicolon_after_a_value_is_no_comment),
		cmocka_unit_test(a_value_may_have_equals_signs),
		cmocka_unit_test(a_line_is_not_continued),
		cmocka_unit_test(an_indented_line_does_not_continue_the_one_before),
		cmocka_unit_test(a_line_without_equals_sign_is_refused),
		cmocka_unit_test(a_nul_byte_is_refused),
		cmocka_unit_test(a_control_character_is_refused),
		cmocka_unit_test(a_dos_line_ending_is_refused_by_name),
		cmocka_unit_test(a_byte_order_mark_is_refused_by_name),
		cmocka_unit_test(letters_beyond_ascii_are_taken),
		cmocka_unit_test(a_line_has_4096_bytes_at_most),
		cmocka_unit_test(a_text_has_one_mebibyte_at_most),
		cmocka_unit_test(a_head_without_its_end_is_refused),
		cmocka_unit_test(text_after_a_head_is_refused),
		cmocka_unit_test(a_head_without_a_name_is_refused),
		cmocka_unit_test(default_takes_no_name),
		cmocka_unit_test(an_unknown_section_is_refused_with_the_closest),
		cmocka_unit_test(an_unknown_section_like_none_is_refused_with_all),
		cmocka_unit_test(a_section_has_one_name),
		cmocka_unit_test(a_user_is_no_pattern),
		cmocka_unit_test(a_group_pattern_may_have_brackets),
		cmocka_unit_test(an_unused_section_needs_no_keys),
		cmocka_unit_test(a_long_section_name_is_not_cut),
		cmocka_unit_test(an_unknown_key_is_refused_with_the_closest_name),
		cmocka_unit_test(a_key_in_other_letters_is_refused_with_its_name),
		cmocka_unit_test(an_unknown_key_like_none_is_refused),
		cmocka_unit_test(a_key_before_any_section_is_refused),
		cmocka_unit_test(a_line_without_a_key_is_refused),
		cmocka_unit_test(an_empty_value_is_refused),
		cmocka_unit_test(a_scalar_stands_once_in_a_section),
		cmocka_unit_test(a_section_that_comes_again_is_the_same_section),
		cmocka_unit_test(a_list_adds_up_within_a_section),
		cmocka_unit_test(a_list_of_the_more_specific_section_replaces),
		cmocka_unit_test(many_sections_are_kept_apart),
		cmocka_unit_test(a_user_and_a_group_of_one_name_are_two_sections),
		with_tree(a_missing_file_is_refused),
		with_tree(a_missing_directory_is_fine),
		with_tree(a_file_in_place_of_the_directory_is_refused),
		with_tree(a_directory_in_place_of_a_file_is_refused),
		with_tree(a_fifo_is_refused_without_waiting),
		with_tree(a_socket_is_refused),
		with_tree(a_device_is_refused),
		with_tree(a_file_of_one_mebibyte_is_taken_and_no_larger),
		with_tree(a_file_that_others_may_write_is_refused),
		with_tree(a_file_of_another_owner_is_refused),
		with_tree(a_directory_of_another_owner_or_open_to_others_is_refused),
		with_tree(a_file_of_the_directory_is_held_to_the_same_rules),
		with_tree(only_conf_files_of_the_directory_are_read),
		with_tree(the_directory_is_read_in_the_order_of_strcmp),
		with_tree(capital_letters_come_first_in_the_directory),
		with_tree(a_scalar_stands_once_in_all_files),
		with_tree(a_file_starts_outside_of_any_section),
		with_tree(a_dangling_link_in_the_directory_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
