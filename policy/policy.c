/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Reading: files, sections, lines.
 *
 * The reader is our own because libinih cannot be made strict: it cuts section names at 50 bytes, never tells of a section
 * without keys, ignores text after "]" and takes ":" for "="; what a line means depends on how a distribution built it; and
 * the helper that reads the policy is a static musl program.
 *
 * A file is read at once, cut into strings in place, and stays in memory as long as the policy: values point into it.
 */
#include "policy/internal.h"

#include "lib/cleanup.h"
#include "lib/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define FILE_SIZE_MAX (1024 * 1024)
#define LINE_LENGTH_MAX 4096
#define SPELLING_LENGTH_MAX 32 /* nothing longer is like one of our words */

struct allocation {
	struct allocation *next;
	_Alignas(max_align_t) char memory[];
};

/* Where the reader stands. */
struct reader {
	struct policy *policy;
	const char *file;
	unsigned int line;
	struct policy_section *section; /* NULL: before the first head */
};

void *policy_allocate(struct policy *policy, size_t size)
{
	struct allocation *allocation = calloc(1, sizeof(*allocation) + size);

	if (!allocation)
		return NULL;
	allocation->next = policy->allocations;
	policy->allocations = allocation;
	return allocation->memory;
}

void policy_free(struct policy *policy)
{
	if (!policy)
		return;
	while (policy->allocations) {
		struct allocation *next = policy->allocations->next;

		free(policy->allocations);
		policy->allocations = next;
	}
	free(policy);
}

static void cleanup_policy(struct policy **policy)
{
	policy_free(*policy);
}

#define AUTO_POLICY __attribute__((cleanup(cleanup_policy)))

static int out_of_memory(struct error *err)
{
	return error_set(err, ENOMEM, POLICY_STEP, "out of memory");
}

#define mistake(err, ...) error_set(err, EINVAL, POLICY_STEP, __VA_ARGS__)

/* --- "did you mean" -------------------------------------------------------- */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/* How many letters have to be put in, left out or changed to make a of b, upper and lower case being one. Both are at most
 * SPELLING_LENGTH_MAX long. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int row[SPELLING_LENGTH_MAX + 1], length = (unsigned int)strlen(b);

	for (unsigned int j = 0; j <= length; j++)
		row[j] = j;
	for (unsigned int i = 0; a[i]; i++) {
		unsigned int diagonal = row[0];

		row[0] = i + 1;
		for (unsigned int j = 0; j < length; j++) {
			unsigned int changed = diagonal + (lower(a[i]) != lower(b[j]));

			diagonal = row[j + 1];
			row[j + 1] = least(changed, least(row[j], row[j + 1]) + 1);
		}
	}
	return row[length];
}

/* The best of the candidates so far. */
struct guess {
	const char *word;
	unsigned int distance;
};

static void guess_try(struct guess *guess, const char *written, const char *candidate)
{
	unsigned int away, bearable = (unsigned int)strlen(candidate) / 6 + 1;

	if (strlen(written) > SPELLING_LENGTH_MAX)
		return;
	away = distance(written, candidate);
	if (away <= bearable && (!guess->word || away < guess->distance))
		*guess = (struct guess){ candidate, away };
}

static int unknown_key(const char *name, struct error *err)
{
	struct guess guess = { NULL, 0 };

	for (size_t i = 0; i < POLICY_KEYS; i++)
		guess_try(&guess, name, policy_keys[i].name);
	if (guess.word)
		return mistake(err, "unknown key \"%s\", did you mean %s?", shown(name).text, guess.word);
	return mistake(err, "unknown key \"%s\"", shown(name).text);
}

/* --- sections -------------------------------------------------------------- */

static const struct {
	const char *word, *form;
} heads[SECTION_KINDS] = {
	[SECTION_DEFAULT] = { "default", "[default]" },
	[SECTION_GROUP] = { "group", "[group PATTERN]" },
	[SECTION_USER] = { "user", "[user NAME]" },
};

static int unknown_section(const char *word, struct error *err)
{
	struct guess guess = { NULL, 0 };

	for (size_t i = 0; i < SECTION_KINDS; i++)
		guess_try(&guess, word, heads[i].word);
	for (size_t i = 0; i < SECTION_KINDS; i++)
		if (guess.word == heads[i].word)
			return mistake(err, "unknown section \"%s\", did you mean %s?", shown(word).text, heads[i].form);
	return mistake(err, "unknown section \"%s\", there are [default], [group PATTERN] and [user NAME]", shown(word).text);
}

/* The "]" that ends the bracket expression of fnmatch(3) at text; NULL: nothing does. "]" as its first member does not. */
static const char *bracket_end(const char *text)
{
	text++;
	if (*text == '!' || *text == '^')
		text++;
	if (*text == ']')
		text++;
	for (; *text && *text != ']'; text++)
		if (text[0] == '[' && text[1] == ':') {
			const char *end = strstr(text + 2, ":]");

			if (end)
				text = end + 1;
		}
	return *text ? text : NULL;
}

/* What lies between the outer brackets of a head may have brackets only as a pattern has them. */
static int check_brackets(const char *text, struct error *err)
{
	for (; *text; text++) {
		if (*text == ']')
			return mistake(err, "text after \"]\"");
		if (*text == '\\' && text[1])
			text++;
		if (*text != '[')
			continue;
		text = bracket_end(text);
		if (!text)
			return mistake(err, "\"[\" without \"]\" in the pattern");
	}
	return 0;
}

static int check_name(enum section_kind kind, const char *name, struct error *err)
{
	if (kind == SECTION_DEFAULT)
		return *name ? mistake(err, "[default] takes no name, not \"%s\"", shown(name).text) : 0;
	if (!*name)
		return mistake(err, "%s without a name", heads[kind].form);
	if (strpbrk(name, " \t"))
		return mistake(err, "\"%s\": one name a section%s", shown(name).text,
			kind == SECTION_GROUP ? "; \"?\" in a pattern stands for a blank" : "");
	if (kind == SECTION_USER && strpbrk(name, "*?[]"))
		return mistake(err, "\"%s\": [user NAME] takes no pattern", shown(name).text);
	if (kind == SECTION_GROUP && name[strlen(name) - 1] == '\\')
		return mistake(err, "\"%s\": the pattern ends with a backslash", shown(name).text);
	return 0;
}

static struct policy_section **bucket_of(struct policy *policy, enum section_kind kind, const char *name)
{
	uint32_t hash = HASH_START + (uint32_t)kind;

	for (; *name; name++)
		hash = hash_byte(hash, (unsigned char)*name);
	return &policy->buckets[(hash ^ hash >> 16) % POLICY_BUCKETS];
}

static const char *make_title(struct policy *policy, enum section_kind kind, const char *name)
{
	size_t size = strlen(heads[kind].word) + 1 + strlen(name) + 1;
	char *title;

	if (kind == SECTION_DEFAULT)
		return heads[kind].word;
	title = policy_allocate(policy, size);
	if (title)
		snprintf(title, size, "%s %s", heads[kind].word, name);
	return title;
}

static struct policy_section *add_section(struct policy *policy, enum section_kind kind, const char *name)
{
	struct policy_section **bucket = bucket_of(policy, kind, name);
	struct policy_section *section = policy_allocate(policy, sizeof(*section));
	const char *title = make_title(policy, kind, name);

	if (!section || !title)
		return NULL;
	*section = (struct policy_section){ .next_in_bucket = *bucket, .kind = kind, .name = name, .title = title };
	*bucket = section;
	if (policy->last)
		policy->last->next = section;
	else
		policy->first = section;
	policy->last = section;
	return section;
}

static int enter_section(struct reader *reader, enum section_kind kind, const char *name, struct error *err)
{
	struct policy_section *section = *bucket_of(reader->policy, kind, name);

	while (section && (section->kind != kind || strcmp(section->name, name) != 0))
		section = section->next_in_bucket;
	reader->section = section ? section : add_section(reader->policy, kind, name);
	return reader->section ? 0 : out_of_memory(err);
}

/* Drops the blanks at both ends of text, in place. */
static char *trim(char *text)
{
	size_t length;

	text += strspn(text, " \t");
	length = strlen(text);
	while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t'))
		length--;
	text[length] = '\0';
	return text;
}

/* text: "[...", without blanks at its ends. */
static int read_head(struct reader *reader, char *text, struct error *err)
{
	size_t length = strlen(text);
	char *name;
	int r;

	if (text[length - 1] != ']')
		return strchr(text, ']') ? mistake(err, "text after \"]\"") : mistake(err, "\"[\" without \"]\"");
	text[length - 1] = '\0';
	text = trim(text + 1);
	if (!*text)
		return mistake(err, "a section without a name");
	r = check_brackets(text, err);
	if (r < 0)
		return r;
	name = text + strcspn(text, " \t");
	if (*name)
		*name++ = '\0';
	name = trim(name);
	for (unsigned int kind = 0; kind < SECTION_KINDS; kind++) {
		if (strcmp(text, heads[kind].word) != 0)
			continue;
		r = check_name((enum section_kind)kind, name, err);
		return r < 0 ? r : enter_section(reader, (enum section_kind)kind, name, err);
	}
	return unknown_section(text, err);
}

/* --- keys ------------------------------------------------------------------ */

static int add_entry(struct reader *reader, enum policy_key key, struct policy_entry **ret_entry, struct error *err)
{
	struct policy_entry *entry = policy_allocate(reader->policy, sizeof(*entry));

	if (!entry)
		return out_of_memory(err);
	entry->key = key;
	entry->value.set = true;
	entry->value.file = reader->file;
	entry->value.line = reader->line;
	entry->value.section = reader->section->title;
	entry->next = reader->section->entries;
	reader->section->entries = entry;
	*ret_entry = entry;
	return 0;
}

static int set_key(struct reader *reader, enum policy_key key, char *text, struct error *err)
{
	struct policy_entry *entry = reader->section->entries;

	while (entry && entry->key != key)
		entry = entry->next;
	if (entry && !policy_type_is_list(policy_keys[key].type))
		return mistake(err, "%s is set in [%.64s] already, at %s:%u", policy_keys[key].name, reader->section->title,
			entry->value.file, entry->value.line);
	if (!entry) {
		int r = add_entry(reader, key, &entry, err);

		if (r < 0)
			return r;
	}
	if (policy_parse_value(reader->policy, key, text, entry, err) < 0)
		return error_prefix(err, "%s", policy_keys[key].name);
	return 0;
}

/* text: "Key=value", without blanks at its ends. */
static int read_assignment(struct reader *reader, char *text, struct error *err)
{
	char *equals = strchr(text, '='), *name, *value;
	enum policy_key key;

	if (!equals)
		return mistake(err, "\"%s\": neither Key=value nor a [section]", shown(text).text);
	*equals = '\0';
	name = trim(text);
	value = trim(equals + 1);
	if (!*name)
		return mistake(err, "no key before \"=\"");
	key = policy_find_key(name);
	if (key == POLICY_KEYS)
		return unknown_key(name, err);
	if (!reader->section)
		return mistake(err, "%s stands before the first section", name);
	if (!*value)
		return mistake(err, "%s has no value", name);
	return set_key(reader, key, value, err);
}

/* --- lines ----------------------------------------------------------------- */

static int check_bytes(const char *text, size_t length, struct error *err)
{
	if (length > LINE_LENGTH_MAX)
		return mistake(err, "a line longer than %d bytes", LINE_LENGTH_MAX);
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '\r' && i + 1 == length)
			return mistake(err, "a DOS line ending (CR LF), a line ends with LF alone");
		if (c == '\0')
			return mistake(err, "a NUL byte");
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return mistake(err, "a control character (0x%02x)", c);
	}
	return 0;
}

/* Ends text before the first "#" with a blank to its left. */
static void cut_comment(char *text)
{
	for (char *at = strchr(text, '#'); at; at = strchr(at + 1, '#'))
		if (at > text && (at[-1] == ' ' || at[-1] == '\t')) {
			*at = '\0';
			return;
		}
}

static int read_line(struct reader *reader, char *text, size_t length, struct error *err)
{
	int r = check_bytes(text, length, err);

	if (r < 0)
		return r;
	text = trim(text);
	if (!*text || *text == '#' || *text == ';')
		return 0;
	cut_comment(text);
	text = trim(text);
	if (text[strlen(text) - 1] == '\\')
		return mistake(err, "a backslash at the end: a line is not continued on the next");
	return *text == '[' ? read_head(reader, text, err) : read_assignment(reader, text, err);
}

/* text: length bytes and one more, which is written to. Lives as long as the policy. */
static int read_text(struct policy *policy, const char *name, char *text, size_t length, struct error *err)
{
	struct reader reader = { .policy = policy, .file = name };
	char *end = text + length;

	if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		return mistake(err, "%s:1: the file begins with a byte order mark, remove it", name);
	while (text < end) {
		char *line = text, *newline = memchr(text, '\n', (size_t)(end - text));
		char *line_end = newline ? newline : end;

		*line_end = '\0';
		text = line_end + 1;
		reader.line++;
		if (read_line(&reader, line, (size_t)(line_end - line), err) < 0)
			return error_prefix(err, "%s:%u", name, reader.line);
	}
	return 0;
}

/* --- lists ----------------------------------------------------------------- */

static int finish_list(struct policy *policy, struct policy_entry *entry, struct error *err)
{
	size_t items = 0, size = 0;
	const char **list;
	char *text;

	for (struct policy_item *item = entry->first_item; item; item = item->next) {
		items++;
		size += strlen(item->text) + 1;
	}
	list = policy_allocate(policy, (items + 1) * sizeof(*list));
	text = policy_allocate(policy, size + 1);
	if (!list || !text)
		return out_of_memory(err);
	entry->value.list = list;
	entry->value.text = text;
	for (struct policy_item *item = entry->first_item; item; item = item->next) {
		*list++ = item->text;
		text = stpcpy(text, item->text);
		if (item->next)
			*text++ = ' ';
	}
	return 0;
}

static int finish_lists(struct policy *policy, struct error *err)
{
	for (struct policy_section *section = policy->first; section; section = section->next)
		for (struct policy_entry *entry = section->entries; entry; entry = entry->next) {
			int r = entry->first_item ? finish_list(policy, entry, err) : 0;

			if (r < 0)
				return r;
		}
	return 0;
}

/* --- files ----------------------------------------------------------------- */

static int check_owner(const struct policy_source *source, const char *path, const struct stat *status, struct error *err)
{
	if (!source->trust_owner && status->st_uid != 0)
		return error_set(err, EPERM, POLICY_STEP, "%s: belongs to uid %u, not to root", path, status->st_uid);
	if (status->st_mode & (S_IWGRP | S_IWOTH))
		return error_set(err, EPERM, POLICY_STEP, "%s: can be written by its group or by others (mode %04o)", path,
			(unsigned int)(status->st_mode & 07777));
	return 0;
}

static int check_file(const struct policy_source *source, const char *path, const struct stat *status, struct error *err)
{
	if (S_ISDIR(status->st_mode))
		return error_set(err, EISDIR, POLICY_STEP, "%s: is a directory", path);
	if (!S_ISREG(status->st_mode))
		return error_set(err, ENODEV, POLICY_STEP, "%s: not a regular file", path);
	if (status->st_size > FILE_SIZE_MAX)
		return error_set(err, EFBIG, POLICY_STEP, "%s: larger than 1 MiB", path);
	return check_owner(source, path, status, err);
}

/* Opens path as something that is to be read, without waiting for anybody. */
static int open_to_read(int dirfd, const char *name, const char *path, int flags, struct error *err)
{
	int fd = openat(dirfd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | flags);

	if (fd >= 0)
		return fd;
	if (errno == ENXIO) /* a socket */
		return error_set(err, ENODEV, POLICY_STEP, "%s: not a regular file", path);
	return error_set(err, errno, POLICY_STEP, "%s", path);
}

/* Reads size bytes, or less where the file ends before. Returns how many, or a negative errno. */
static ssize_t read_all(int fd, char *buffer, size_t size)
{
	size_t length = 0;

	while (length < size) {
		ssize_t n = read(fd, buffer + length, size - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		length += (size_t)n;
	}
	return (ssize_t)length;
}

static const char *keep_string(struct policy *policy, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = policy_allocate(policy, size);

	return copy ? memcpy(copy, text, size) : NULL;
}

/* Reads the file name below dirfd; path is how messages call it. */
static int read_file(struct policy *policy, const struct policy_source *source, int dirfd, const char *name, const char *path,
	struct error *err)
{
	AUTO_CLOSE int fd = open_to_read(dirfd, name, path, 0, err);
	const char *kept_path;
	struct stat status;
	ssize_t length;
	char *text;
	int r;

	if (fd < 0)
		return fd;
	if (fstat(fd, &status) < 0)
		return error_set(err, errno, POLICY_STEP, "%s", path);
	r = check_file(source, path, &status, err);
	if (r < 0)
		return r;
	kept_path = keep_string(policy, path);
	text = policy_allocate(policy, (size_t)status.st_size + 1);
	if (!kept_path || !text)
		return out_of_memory(err);
	length = read_all(fd, text, (size_t)status.st_size);
	if (length < 0)
		return error_set(err, (int)-length, POLICY_STEP, "%s", path);
	return read_text(policy, kept_path, text, (size_t)length, err);
}

static bool is_policy_name(const char *name)
{
	size_t length = strlen(name);

	return name[0] != '.' && length > 5 && strcmp(name + length - 5, ".conf") == 0;
}

/* The names of a directory's files, sorted. */
struct names {
	char **names;
	size_t n, room;
};

static void cleanup_names(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->names[i]);
	free(names->names);
}

static int names_add(struct names *names, const char *name)
{
	if (names->n == names->room) {
		size_t room = names->room ? names->room * 2 : 16;
		char **larger = reallocarray(names->names, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		names->names = larger;
		names->room = room;
	}
	names->names[names->n] = strdup(name);
	if (!names->names[names->n])
		return -ENOMEM;
	names->n++;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int collect_names(DIR *dir, struct names *names)
{
	for (;;) {
		const struct dirent *item;
		int r;

		errno = 0;
		item = readdir(dir);
		if (!item)
			break;
		r = is_policy_name(item->d_name) ? names_add(names, item->d_name) : 0;
		if (r < 0)
			return r;
	}
	if (errno != 0)
		return -errno;
	if (names->n > 1)
		qsort(names->names, names->n, sizeof(*names->names), compare_names);
	return 0;
}

static int read_files(
	struct policy *policy, const struct policy_source *source, DIR *dir, const struct names *names, struct error *err)
{
	for (size_t i = 0; i < names->n; i++) {
		size_t size = strlen(source->directory) + 1 + strlen(names->names[i]) + 1;
		AUTO_FREE char *path = malloc(size);
		int r;

		if (!path)
			return out_of_memory(err);
		snprintf(path, size, "%s/%s", source->directory, names->names[i]);
		r = read_file(policy, source, dirfd(dir), names->names[i], path, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_directory(struct policy *policy, const struct policy_source *source, struct error *err)
{
	__attribute__((cleanup(cleanup_names))) struct names names = { NULL, 0, 0 };
	struct error reason = { 0 };
	AUTO_CLOSE int fd = open_to_read(AT_FDCWD, source->directory, source->directory, O_DIRECTORY, &reason);
	AUTO_CLOSEDIR DIR *dir = NULL;
	struct stat status;
	int r;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0) {
		*err = reason;
		return fd;
	}
	if (fstat(fd, &status) < 0)
		return error_set(err, errno, POLICY_STEP, "%s", source->directory);
	r = check_owner(source, source->directory, &status, err);
	if (r < 0)
		return r;
	dir = fdopendir(fd);
	if (!dir)
		return error_set(err, errno, POLICY_STEP, "%s", source->directory);
	take_fd(&fd);
	r = collect_names(dir, &names);
	if (r < 0)
		return error_set(err, -r, POLICY_STEP, "%s", source->directory);
	return read_files(policy, source, dir, &names, err);
}

/* --- the two entrances ----------------------------------------------------- */

static int load(const struct policy_source *source, struct policy **ret_policy, struct error *err)
{
	AUTO_POLICY struct policy *policy = calloc(1, sizeof(*policy));
	int r;

	if (!policy)
		return out_of_memory(err);
	r = read_file(policy, source, AT_FDCWD, source->file, source->file, err);
	if (r >= 0 && source->directory)
		r = read_directory(policy, source, err);
	if (r >= 0)
		r = finish_lists(policy, err);
	if (r < 0)
		return r;
	*ret_policy = take_ptr(policy);
	return 0;
}

static int parse(const char *name, const char *text, size_t length, struct policy **ret_policy, struct error *err)
{
	AUTO_POLICY struct policy *policy = calloc(1, sizeof(*policy));
	const char *kept_name;
	char *kept_text;
	int r;

	if (!policy)
		return out_of_memory(err);
	if (length > FILE_SIZE_MAX)
		return error_set(err, EFBIG, POLICY_STEP, "%s: larger than 1 MiB", name);
	kept_name = keep_string(policy, name);
	kept_text = policy_allocate(policy, length + 1);
	if (!kept_name || !kept_text)
		return out_of_memory(err);
	if (length > 0)
		memcpy(kept_text, text, length);
	r = read_text(policy, kept_name, kept_text, length, err);
	if (r >= 0)
		r = finish_lists(policy, err);
	if (r < 0)
		return r;
	*ret_policy = take_ptr(policy);
	return 0;
}

/* Inside, err is never NULL: error_prefix() wants it so. */
int policy_load(const struct policy_source *source, struct policy **ret_policy, struct error *err)
{
	struct error unwanted;

	return load(source, ret_policy, err ? err : &unwanted);
}

int policy_parse(const char *name, const char *text, size_t length, struct policy **ret_policy, struct error *err)
{
	struct error unwanted;

	return parse(name, text, length, ret_policy, err ? err : &unwanted);
}
