/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The values: one small function per type. Each takes the whole text of a value and says either what it means or why it does
 * not. Digits and letters are ASCII's, whatever the locale: isolatectl may have set one.
 */
#include "policy/internal.h"

#include "lib/cleanup.h"
#include "lib/duration.h"
#include "lib/number.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#define QUOTA_MAX 100000   /* percent: a thousand CPUs */
#define TASKS_MAX 4194304  /* PID_MAX_LIMIT: the pids controller refuses a larger number */
#define CPU_MAX 8191       /* the kernel's largest NR_CPUS, less one */
#define HOSTNAME_LENGTH 64 /* HOST_NAME_MAX */
#define WORD_LENGTH 255
#define SECONDS_MAX (UINT64_C(100) * 365 * 24 * 3600)

/* What a parser knows and fills. */
struct value_context {
	struct policy *policy;
	const struct policy_key_row *row;
	struct policy_entry *entry;
};

typedef int (*value_parser)(const struct value_context *context, char *text, struct error *err);

struct shown shown(const char *text)
{
	struct shown result;
	size_t room = sizeof(result.text) - sizeof("...");
	size_t length = strnlen(text, sizeof(result.text));

	if (length < sizeof(result.text)) {
		memcpy(result.text, text, length + 1);
		return result;
	}
	/* Not in the middle of a UTF-8 character. */
	while (room > 0 && ((unsigned char)text[room] & 0xc0) == 0x80)
		room--;
	memcpy(result.text, text, room);
	memcpy(result.text + room, "...", sizeof("..."));
	return result;
}

static int refuse(struct error *err, const char *text, const char *reason)
{
	return error_set(err, EINVAL, POLICY_STEP, "\"%s\": %s", shown(text).text, reason);
}

static bool is_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* take_number() with the reason why not. form: how such a value is written, for the message. */
static int take_number_or_say(const char *whole, const char **text, const char *form, uint64_t *ret_number, struct error *err)
{
	int r = take_number(text, ret_number);

	if (r == -ERANGE)
		return refuse(err, whole, "too large");
	if (r < 0)
		return error_set(err, EINVAL, POLICY_STEP, "\"%s\": not %s", shown(whole).text, form);
	if (**text == '.')
		return refuse(err, whole, "not a whole number");
	return 0;
}

static int set_number(struct policy_value *value, enum policy_unit unit, uint64_t number, const char *text)
{
	value->unit = unit;
	value->number = number;
	value->text = text;
	return 0;
}

/* The words of systemd.syntax(7) for yes and no; any other text stays what it is. */
static const char *canonical_boolean(const char *text)
{
	static const struct {
		const char *word, *meaning;
	} booleans[] = {
		{ "yes", "yes" },
		{ "true", "yes" },
		{ "on", "yes" },
		{ "1", "yes" },
		{ "no", "no" },
		{ "false", "no" },
		{ "off", "no" },
		{ "0", "no" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(booleans); i++)
		if (strcasecmp(text, booleans[i].word) == 0)
			return booleans[i].meaning;
	return text;
}

static int refuse_choice(const char *text, const char *const *choices, struct error *err)
{
	char list[80] = "";

	for (size_t i = 0; choices[i]; i++) {
		const char *separator = i == 0 ? "" : choices[i + 1] ? ", " : " or ";

		strncat(list, separator, sizeof(list) - strlen(list) - 1);
		strncat(list, choices[i], sizeof(list) - strlen(list) - 1);
	}
	return error_set(err, EINVAL, POLICY_STEP, "\"%s\": use %s", shown(text).text, list);
}

static int parse_choice(const struct value_context *context, char *text, struct error *err)
{
	const char *const *choices = context->row->choices;
	const char *word = canonical_boolean(text);

	for (size_t i = 0; choices[i]; i++)
		if (strcmp(word, choices[i]) == 0)
			return set_number(&context->entry->value, POLICY_PLAIN, i, choices[i]);
	return refuse_choice(text, choices, err);
}

static int set_percent(struct policy_value *value, uint64_t number, const char *text, struct error *err)
{
	if (number < 1 || number > 100)
		return refuse(err, text, "a percentage is 1% to 100%");
	return set_number(value, POLICY_PERCENT, number, text);
}

/* The factor of a unit that stands at text and ends it, to the base of 1024 or 1000; 0: there is no such unit. */
static uint64_t unit_factor(const char *text, uint64_t base)
{
	static const char units[] = "KMGT";
	uint64_t factor = 1;

	if (!*text)
		return 1;
	if (text[1])
		return 0;
	for (const char *unit = units; *unit; unit++) {
		factor *= base;
		if (*unit == *text)
			return factor;
	}
	return 0;
}

/* "512", "512M": the number that text stands for. */
static int parse_scaled(const char *text, uint64_t base, uint64_t *ret_number, struct error *err)
{
	const char *rest = text;
	uint64_t number, factor;
	int r = take_number_or_say(text, &rest, "a number", &number, err);

	if (r < 0)
		return r;
	factor = unit_factor(rest, base);
	if (factor == 0)
		return refuse(err, text, "unknown unit, use K, M, G or T");
	if (number > INT64_MAX / factor)
		return refuse(err, text, "too large");
	*ret_number = number * factor;
	return 0;
}

static int parse_bytes(const struct value_context *context, char *text, struct error *err)
{
	struct policy_value *value = &context->entry->value;
	const char *rest = text;
	uint64_t number;
	int r;

	if (strcmp(text, "infinity") == 0)
		return set_number(value, POLICY_INFINITY, 0, text);
	r = take_number_or_say(text, &rest, "a number of bytes, a percentage or infinity", &number, err);
	if (r < 0)
		return r;
	if (strcmp(rest, "%") == 0)
		return set_percent(value, number, text, err);
	r = parse_scaled(text, 1024, &number, err);
	if (r < 0)
		return r;
	if (number == 0 && !context->row->may_be_zero)
		return refuse(err, text, "must not be 0");
	return set_number(value, POLICY_PLAIN, number, text);
}

static int parse_count(const struct value_context *context, char *text, struct error *err)
{
	struct policy_value *value = &context->entry->value;
	const char *rest = text;
	uint64_t number;
	int r;

	if (strcmp(text, "infinity") == 0)
		return set_number(value, POLICY_INFINITY, 0, text);
	r = take_number_or_say(text, &rest, "a number, a percentage or infinity", &number, err);
	if (r < 0)
		return r;
	if (strcmp(rest, "%") == 0)
		return set_percent(value, number, text, err);
	if (*rest)
		return refuse(err, text, "a number without a unit, a percentage or infinity is wanted");
	if (number == 0)
		return refuse(err, text, "must not be 0");
	if (number > TASKS_MAX)
		return refuse(err, text, "more than 4194304, the most that the kernel takes; use infinity");
	return set_number(value, POLICY_PLAIN, number, text);
}

static int parse_quota(const struct value_context *context, char *text, struct error *err)
{
	const char *rest = text;
	uint64_t number;
	int r = take_number_or_say(text, &rest, "a percentage", &number, err);

	if (r < 0)
		return r;
	if (strcmp(rest, "%") != 0)
		return refuse(err, text, "a percentage of one CPU is wanted, such as 50% or 200%");
	if (number < 1 || number > QUOTA_MAX)
		return refuse(err, text, "out of range, 1% to 100000%");
	return set_number(&context->entry->value, POLICY_PLAIN, number, text);
}

static int parse_weight(const struct value_context *context, char *text, struct error *err)
{
	const char *rest = text;
	uint64_t number;
	int r = take_number_or_say(text, &rest, "a number", &number, err);

	if (r < 0)
		return r;
	if (*rest || number < 1 || number > 10000)
		return refuse(err, text, "a weight is a number from 1 to 10000");
	return set_number(&context->entry->value, POLICY_PLAIN, number, text);
}

static int parse_seconds(const struct value_context *context, char *text, struct error *err)
{
	struct policy_value *value = &context->entry->value;
	uint64_t seconds;
	int r;

	if (strcmp(text, "infinity") == 0)
		return set_number(value, POLICY_INFINITY, 0, text);
	r = parse_duration(text, &seconds);
	if (r == -ERANGE || (r >= 0 && seconds > SECONDS_MAX))
		return refuse(err, text, "too large");
	if (r < 0)
		return refuse(err, text, "a time is wanted, such as 90min, 8h or 1d 12h, or infinity");
	if (seconds == 0)
		return refuse(err, text, "must not be 0");
	return set_number(value, POLICY_PLAIN, seconds, text);
}

/* "3" or "0-3" at *text, which is moved behind it. */
static bool take_cpu_range(const char **text)
{
	uint64_t first, last;

	if (take_number(text, &first) < 0 || first > CPU_MAX)
		return false;
	if (**text != '-')
		return true;
	(*text)++;
	return take_number(text, &last) == 0 && last <= CPU_MAX && first <= last;
}

static int parse_cpus(const struct value_context *context, char *text, struct error *err)
{
	const char *rest = text;

	for (;;) {
		if (!take_cpu_range(&rest) || (*rest && *rest != ','))
			return refuse(err, text, "a list of CPUs is wanted, such as 0-3,5");
		if (!*rest)
			return set_number(&context->entry->value, POLICY_PLAIN, 0, text);
		rest++;
	}
}

/* Whether text is labels of letters, digits and inner hyphens with dots between, each %X counting as a letter. */
static bool is_hostname(const char *text)
{
	char before = '.';

	for (; *text; text++) {
		char c = *text;

		if (c == '%') {
			if (!*++text || !strchr("uUgHi", *text))
				return false;
			c = 'x';
		}
		if (!is_alnum(c) && !((c == '-' || c == '.') && before != '.'))
			return false;
		if (c == '.' && before == '-')
			return false;
		before = c;
	}
	return before != '.' && before != '-';
}

static int parse_hostname(const struct value_context *context, char *text, struct error *err)
{
	if (strlen(text) > HOSTNAME_LENGTH)
		return refuse(err, text, "longer than 64 characters");
	if (!is_hostname(text))
		return refuse(err, text, "a host name has letters, digits, \"-\" and \".\", and here %u %U %g %H %i");
	return set_number(&context->entry->value, POLICY_PLAIN, 0, text);
}

/* Why the length bytes at text are not an absolute path without "//", "/./", "/../" and a final "/"; NULL: they are. */
static const char *path_mistake(const char *text, size_t length)
{
	const char *end = text + length;

	if (length == 0 || *text != '/')
		return "not an absolute path";
	if (length >= PATH_MAX)
		return "too long for a path";
	if (length == 1)
		return NULL;
	while (text < end) {
		const char *name = text + 1, *slash = memchr(name, '/', (size_t)(end - name));

		text = slash ? slash : end;
		if (text == name)
			return "a path without \"//\" and without \"/\" at its end is wanted";
		if ((text - name == 1 && *name == '.') || (text - name == 2 && memcmp(name, "..", 2) == 0))
			return "a path without \".\" and \"..\" is wanted";
	}
	return NULL;
}

static int parse_path(const struct value_context *context, char *text, struct error *err)
{
	const char *mistake = strpbrk(text, " \t") ? "one path without blanks is wanted" : path_mistake(text, strlen(text));

	if (mistake)
		return refuse(err, text, mistake);
	return set_number(&context->entry->value, POLICY_PLAIN, 0, text);
}

static const char *word_mistake(const char *text)
{
	if (strlen(text) > WORD_LENGTH)
		return "longer than 255 characters";
	for (; *text; text++)
		if (!is_alnum(*text) && !strchr("_-+.:@~/", *text))
			return "a name of letters, digits and _-+.:@~/ is wanted";
	return NULL;
}

static int parse_word(const struct value_context *context, char *text, struct error *err)
{
	const char *mistake = word_mistake(text);

	return mistake ? refuse(err, text, mistake) : set_number(&context->entry->value, POLICY_PLAIN, 0, text);
}

static int append_item(const struct value_context *context, char *text, struct error *err)
{
	struct policy_entry *entry = context->entry;
	struct policy_item *item = policy_allocate(context->policy, sizeof(*item));

	if (!item)
		return error_set(err, ENOMEM, POLICY_STEP, "out of memory");
	item->text = text;
	if (entry->last_item)
		entry->last_item->next = item;
	else
		entry->first_item = item;
	entry->last_item = item;
	return 0;
}

/* Cuts the first of the blank-separated items off *text; NULL: there is none left. */
static char *next_item(char **text)
{
	char *item = *text + strspn(*text, " \t");
	size_t length = strcspn(item, " \t");

	if (length == 0)
		return NULL;
	*text = item + length;
	if (**text)
		*(*text)++ = '\0';
	return item;
}

typedef const char *(*item_check)(const char *item);

static int parse_items(const struct value_context *context, char *text, item_check mistake_in, struct error *err)
{
	for (char *item; (item = next_item(&text));) {
		const char *mistake = mistake_in(item);
		int r = mistake ? refuse(err, item, mistake) : append_item(context, item, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static const char *item_path_mistake(const char *item)
{
	return path_mistake(item, strlen(item));
}

static const char *bind_mistake(const char *item)
{
	const char *colon = strchr(item, ':');
	const char *mistake = path_mistake(item, strcspn(item, ":"));

	if (mistake || !colon)
		return mistake;
	if (strchr(colon + 1, ':'))
		return "SOURCE or SOURCE:TARGET is wanted";
	return item_path_mistake(colon + 1);
}

static const char *mount_mistake(const char *item)
{
	const char *colon = strchr(item, ':');
	const char *mistake = path_mistake(item, strcspn(item, ":"));

	if (mistake || !colon)
		return mistake;
	for (const char *option = colon + 1; *option; option++)
		if (!is_alnum(*option) && !strchr("_-+.,=%", *option))
			return "mount options are wanted after \":\"";
	return colon[1] ? NULL : "mount options are wanted after \":\"";
}

static int parse_paths(const struct value_context *context, char *text, struct error *err)
{
	return parse_items(context, text, item_path_mistake, err);
}

static int parse_binds(const struct value_context *context, char *text, struct error *err)
{
	return parse_items(context, text, bind_mistake, err);
}

static int parse_mounts(const struct value_context *context, char *text, struct error *err)
{
	return parse_items(context, text, mount_mistake, err);
}

static int parse_words(const struct value_context *context, char *text, struct error *err)
{
	return parse_items(context, text, word_mistake, err);
}

/* "/dev/sda 10M": one device and its limit a line, as in systemd, where these units are powers of 1000. */
static int parse_device_limit(const struct value_context *context, char *text, struct error *err)
{
	char *rest = text, *device = next_item(&rest), *limit = next_item(&rest);
	const char *mistake = device ? item_path_mistake(device) : NULL;
	uint64_t number = 1;
	int r = 0;

	if (mistake)
		return refuse(err, device, mistake);
	if (!device || !limit || next_item(&rest))
		return refuse(err, text, "a device and one limit are wanted, such as /dev/sda 10M");
	if (strcmp(limit, "infinity") != 0)
		r = parse_scaled(limit, 1000, &number, err);
	if (r < 0)
		return r;
	if (number == 0)
		return refuse(err, limit, "must not be 0");
	/* One blank between the two: the limit is never to the left of where it goes. */
	device[strlen(device)] = ' ';
	memmove(strchr(device, ' ') + 1, limit, strlen(limit) + 1);
	return append_item(context, device, err);
}

void policy_split_device_limit(const char *item, size_t *ret_path_length, uint64_t *ret_number)
{
	const char *blank = strrchr(item, ' ');

	*ret_path_length = (size_t)(blank - item);
	*ret_number = UINT64_MAX;
	if (strcmp(blank + 1, "infinity") != 0)
		parse_scaled(blank + 1, 1000, ret_number, NULL);
}

static const struct {
	value_parser parse;
	bool list;
} types[] = {
	[POLICY_TYPE_CHOICE] = { parse_choice, false },
	[POLICY_TYPE_BYTES] = { parse_bytes, false },
	[POLICY_TYPE_COUNT] = { parse_count, false },
	[POLICY_TYPE_QUOTA] = { parse_quota, false },
	[POLICY_TYPE_WEIGHT] = { parse_weight, false },
	[POLICY_TYPE_SECONDS] = { parse_seconds, false },
	[POLICY_TYPE_CPUS] = { parse_cpus, false },
	[POLICY_TYPE_HOSTNAME] = { parse_hostname, false },
	[POLICY_TYPE_PATH] = { parse_path, false },
	[POLICY_TYPE_PATHS] = { parse_paths, true },
	[POLICY_TYPE_BINDS] = { parse_binds, true },
	[POLICY_TYPE_MOUNTS] = { parse_mounts, true },
	[POLICY_TYPE_WORD] = { parse_word, false },
	[POLICY_TYPE_WORDS] = { parse_words, true },
	[POLICY_TYPE_DEVICE_LIMITS] = { parse_device_limit, true },
};

bool policy_type_is_list(enum policy_type type)
{
	return types[type].list;
}

int policy_parse_value(struct policy *policy, enum policy_key key, char *text, struct policy_entry *entry, struct error *err)
{
	const struct value_context context = { .policy = policy, .row = &policy_keys[key], .entry = entry };

	return types[context.row->type].parse(&context, text, err);
}
