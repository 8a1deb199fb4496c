/* SPDX-License-Identifier: BSD-3-Clause */
/* What is read of each cgroup version's files, from a tree of files of that form, and what goes to the journal, a socket of our
 * own here, or to syslog(3). That the kernel counts is the login tests' part. */
#include "helper/account.h"

#include "helper/cgroup_backend.h"
#include "helper/journal.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define GROUP "isolate/1000/x"
#define UNKNOWN ACCOUNT_UNKNOWN

struct fixture {
	char root[32];
	char path[64]; /* of the journal's socket */
	int journal;
	struct cgroup cgroup;
};

/* ---- what syslog(3) got ---- */

static struct {
	int n;
	int priority;
	char line[4096];
} logged;

void __wrap_syslog(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));
void __wrap___syslog_chk(int priority, int flag, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void __attribute__((format(printf, 2, 0))) take(int priority, const char *format, va_list arguments)
{
	logged.n++;
	logged.priority = priority;
	vsnprintf(logged.line, sizeof(logged.line), format, arguments);
}

void __wrap_syslog(int priority, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	take(priority, format, arguments);
	va_end(arguments);
}

void __wrap___syslog_chk(int priority, int flag, const char *format, ...)
{
	va_list arguments;

	(void)flag;
	va_start(arguments, format);
	take(priority, format, arguments);
	va_end(arguments);
}

/* ---- the tree and the socket ---- */

static void open_hierarchy(struct fixture *fixture, const char *controller)
{
	struct cgroup_hierarchy *hierarchy = &fixture->cgroup.hierarchies[fixture->cgroup.n_hierarchies++];
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", fixture->root, controller);
	if (*controller)
		assert_int_equal(mkdir(path, 0700), 0);
	hierarchy->controller = controller;
	hierarchy->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(hierarchy->root >= 0);
	assert_int_equal(mkdirat(hierarchy->root, "isolate", 0700), 0);
	assert_int_equal(mkdirat(hierarchy->root, "isolate/1000", 0700), 0);
	assert_int_equal(mkdirat(hierarchy->root, GROUP, 0700), 0);
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture)
		return -1;
	*state = fixture;
	fixture->journal = -1;
	for (size_t i = 0; i < CGROUP_HIERARCHIES_MAX; i++)
		fixture->cgroup.hierarchies[i].root = fixture->cgroup.hierarchies[i].session = -1;
	snprintf(fixture->cgroup.path, sizeof(fixture->cgroup.path), "/" GROUP);
	strcpy(fixture->root, "/tmp/isolate-account-XXXXXX");
	if (!mkdtemp(fixture->root))
		return -1;
	snprintf(fixture->path, sizeof(fixture->path), "%s/socket", fixture->root);
	journal_socket = fixture->path;
	memset(&logged, 0, sizeof(logged));
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	cleanup_close(&fixture->journal);
	cgroup_release(&fixture->cgroup);
	nftw(fixture->root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(fixture);
	return 0;
}

static void make_v1(struct fixture *fixture)
{
	fixture->cgroup.backend = &cgroup_backend_v1;
	for (size_t i = 0; i < 5; i++)
		open_hierarchy(fixture, (const char *const[]){ "memory", "pids", "cpu", "cpuacct", "blkio" }[i]);
}

static void make_v2(struct fixture *fixture)
{
	fixture->cgroup.backend = &cgroup_backend_v2;
	open_hierarchy(fixture, "");
}

static void put_file(struct fixture *fixture, const char *controller, const char *file, const char *text)
{
	char path[128];
	AUTO_CLOSE int fd = -1;

	snprintf(path, sizeof(path), GROUP "/%s", file);
	fd = openat(
		cgroup_hierarchy_of(&fixture->cgroup, controller)->root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static struct account read_account(const struct fixture *fixture)
{
	struct account account;

	memset(&account, 0, sizeof(account));
	account_read(&fixture->cgroup, &account);
	return account;
}

static void assert_all_unknown(const struct account *account)
{
	assert_true(account->cpu_user_us == UNKNOWN && account->cpu_system_us == UNKNOWN && account->cpu_throttled_us == UNKNOWN);
	assert_true(account->memory_peak == UNKNOWN && account->tasks_peak == UNKNOWN && account->oom_kills == UNKNOWN);
	assert_true(account->io_read == UNKNOWN && account->io_written == UNKNOWN);
}

/* ---- what the groups have counted ---- */

static void v2_has_its_numbers_in_five_files(void **state)
{
	struct fixture *fixture = *state;
	struct account account;

	make_v2(fixture);
	put_file(fixture, "cpu", "cpu.stat",
		"usage_usec 1500000\nuser_usec 1000001\nsystem_usec 499999\nnice_usec 7\nnr_periods 3\nnr_throttled 2\n"
		"throttled_usec 80000\nnr_bursts 0\nburst_usec 0\n");
	put_file(fixture, "memory", "memory.peak", "536870912\n");
	put_file(fixture, "memory", "memory.events", "low 0\nhigh 1\nmax 2\noom 4\noom_kill 3\noom_group_kill 9\n");
	put_file(fixture, "pids", "pids.peak", "17\n");
	put_file(fixture, "io", "io.stat",
		"8:16 rbytes=4096 wbytes=512 rios=1 wios=1 dbytes=77 dios=1\n253:0 rbytes=904 wbytes=0 rios=1 wios=0 dbytes=0 "
		"dios=0\n");
	account = read_account(fixture);
	assert_int_equal(account.cpu_user_us, 1000001);
	assert_int_equal(account.cpu_system_us, 499999);
	assert_int_equal(account.cpu_throttled_us, 80000);
	assert_int_equal(account.memory_peak, 536870912);
	assert_int_equal(account.tasks_peak, 17);
	assert_int_equal(account.io_read, 5000);
	assert_int_equal(account.io_written, 512);
	assert_int_equal(account.oom_kills, 3);
}

static void v1_has_nanoseconds_and_a_line_for_each_operation(void **state)
{
	struct fixture *fixture = *state;
	struct account account;

	make_v1(fixture);
	put_file(fixture, "cpuacct", "cpuacct.usage_user", "1000001999\n");
	put_file(fixture, "cpuacct", "cpuacct.usage_sys", "499999000\n");
	put_file(
		fixture, "cpu", "cpu.stat", "nr_periods 3\nnr_throttled 2\nthrottled_time 80000999\nnr_bursts 0\nburst_time 0\n");
	put_file(fixture, "memory", "memory.max_usage_in_bytes", "536870912\n");
	put_file(fixture, "memory", "memory.oom_control", "oom_kill_disable 0\nunder_oom 1\noom_kill 3\n");
	put_file(fixture, "pids", "pids.peak", "17\n");
	put_file(fixture, "blkio", "blkio.throttle.io_service_bytes_recursive",
		"8:16 Read 4096\n8:16 Write 512\n8:16 Sync 4608\n8:16 Async 0\n8:16 Discard 77\n8:16 Total 4608\n"
		"253:0 Read 904\n253:0 Write 0\n253:0 Total 904\nTotal 5512\n");
	account = read_account(fixture);
	assert_int_equal(account.cpu_user_us, 1000001);
	assert_int_equal(account.cpu_system_us, 499999);
	assert_int_equal(account.cpu_throttled_us, 80000);
	assert_int_equal(account.memory_peak, 536870912);
	assert_int_equal(account.tasks_peak, 17);
	assert_int_equal(account.io_read, 5000);
	assert_int_equal(account.io_written, 512);
	assert_int_equal(account.oom_kills, 3);
}

/* "cpu,cpuacct" is one hierarchy, which cgroup_v1.c opens as cpu. */
static void v1_finds_cpuacct_where_it_is_mounted_with_cpu(void **state)
{
	struct fixture *fixture = *state;
	struct account account;

	fixture->cgroup.backend = &cgroup_backend_v1;
	open_hierarchy(fixture, "cpu");
	put_file(fixture, "cpu", "cpuacct.usage_user", "5000\n");
	put_file(fixture, "cpu", "cpuacct.usage_sys", "6000\n");
	account = read_account(fixture);
	assert_int_equal(account.cpu_user_us, 5);
	assert_int_equal(account.cpu_system_us, 6);
}

static void what_is_not_there_is_unknown(void **state)
{
	struct fixture *fixture = *state;
	struct account account;

	make_v2(fixture);
	account = read_account(fixture);
	assert_all_unknown(&account);
	/* cpu.stat without the cpu controller: the kernel has the times of every group, but no limit. */
	put_file(fixture, "cpu", "cpu.stat", "usage_usec 3\nuser_usec 2\nsystem_usec 1\n");
	account = read_account(fixture);
	assert_int_equal(account.cpu_user_us, 2);
	assert_int_equal(account.cpu_system_us, 1);
	assert_true(account.cpu_throttled_us == UNKNOWN);
}

static void v1_without_a_hierarchy_or_a_file_knows_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct account account;

	fixture->cgroup.backend = &cgroup_backend_v1;
	account = read_account(fixture);
	assert_all_unknown(&account);
	make_v1(fixture);
	account = read_account(fixture);
	assert_all_unknown(&account);
}

static uint64_t peak_of(struct fixture *fixture, const char *text)
{
	put_file(fixture, "memory", "memory.peak", text);
	return read_account(fixture).memory_peak;
}

static uint64_t oom_kills_of(struct fixture *fixture, const char *text)
{
	put_file(fixture, "memory", "memory.events", text);
	return read_account(fixture).oom_kills;
}

static uint64_t io_read_of(struct fixture *fixture, const char *text)
{
	put_file(fixture, "io", "io.stat", text);
	return read_account(fixture).io_read;
}

static void garbage_is_unknown(void **state)
{
	static const char *const texts[] = { "", "\n", "max\n", "-1\n", "+1\n", " 1\n", "1k\n", "1 2\n", "1\n2\n", "0x10\n" };
	static const char *const io[] = { "garbage\n", "8:0 rbytes=\n", "8:0 rbytes=-1\n", "8:0 rbytes=1k wbytes=1\n",
		"8:0 rbytes=1\n(unknown) rbytes=1\n" };

	make_v2(*state);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_true(peak_of(*state, texts[i]) == UNKNOWN);
	assert_true(oom_kills_of(*state, "oom 1\noom_killer 2\nnot oom_kill 3\n") == UNKNOWN);
	assert_true(oom_kills_of(*state, "oom_kill\n") == UNKNOWN);
	assert_true(oom_kills_of(*state, "oom_kill none\n") == UNKNOWN);
	for (size_t i = 0; i < ARRAY_SIZE(io); i++)
		assert_true(io_read_of(*state, io[i]) == UNKNOWN);
}

static void a_number_or_sum_beyond_64_bits_is_unknown(void **state)
{
	make_v2(*state);
	assert_true(peak_of(*state, "18446744073709551614\n") == UINT64_MAX - 1);
	assert_true(peak_of(*state, "18446744073709551615\n") == UNKNOWN);
	assert_true(peak_of(*state, "18446744073709551616\n") == UNKNOWN);
	assert_true(peak_of(*state, "99999999999999999999999999999999\n") == UNKNOWN);
	assert_true(io_read_of(*state, "8:0 rbytes=18446744073709551613\n8:1 rbytes=1\n") == UINT64_MAX - 1);
	assert_true(io_read_of(*state, "8:0 rbytes=18446744073709551613\n8:1 rbytes=3\n") == UNKNOWN);
}

static void no_device_is_no_io(void **state)
{
	make_v2(*state);
	assert_int_equal(io_read_of(*state, ""), 0);
	/* Devices that did nothing, as some kernels list them. */
	assert_int_equal(io_read_of(*state, "8:0 \n8:16 8:32 rbytes=5 wbytes=1\n8:48 cost.usage=7\n"), 5);
}

static void v1_without_a_device_has_a_total_only(void **state)
{
	make_v1(*state);
	put_file(*state, "blkio", "blkio.throttle.io_service_bytes_recursive", "Total 0\n");
	assert_int_equal(read_account(*state).io_read, 0);
	assert_int_equal(read_account(*state).io_written, 0);
}

/* Half of the devices would be a wrong number. */
static void a_file_that_does_not_fit_is_unknown(void **state)
{
	static const char line[] = "8:0 rbytes=1 wbytes=1\n";
	char text[8192];
	size_t n;

	make_v2(*state);
	for (n = 0; (n + 1) * strlen(line) < 4095; n++)
		memcpy(text + n * strlen(line), line, strlen(line));
	/* 4095 bytes, of which the last line is a device that did nothing. */
	memset(text + n * strlen(line), '8', 4095 - n * strlen(line));
	text[4095] = '\0';
	assert_int_equal(io_read_of(*state, text), n);
	text[4095] = '\n';
	text[4096] = '\0';
	assert_true(io_read_of(*state, text) == UNKNOWN);
	memset(text, '1', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_true(peak_of(*state, text) == UNKNOWN);
}

/* ---- the line and the fields ---- */

static const struct account_session alice = {
	.id = "7f3a",
	.sandbox = "7f3b",
	.user = "alice",
	.service = "sshd",
	.tty = "pts/0",
	.uid = 1000,
	.duration_us = 3723004999,
};

static const struct account everything = {
	.cpu_user_us = 1000001,
	.cpu_system_us = 499999,
	.cpu_throttled_us = 0,
	.memory_peak = 536870912,
	.tasks_peak = 17,
	.io_read = 5000,
	.io_written = 512,
	.oom_kills = 3,
};

static void listen_at(struct fixture *fixture)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture->path);
	fixture->journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fixture->journal, (const struct sockaddr *)&address, sizeof(address)), 0);
}

static void assert_nothing_more(const struct fixture *fixture)
{
	char byte;

	assert_int_equal(recv(fixture->journal, &byte, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
}

/* The one datagram that is there. */
static const char *receive(const struct fixture *fixture)
{
	static char datagram[16384];
	ssize_t n = recv(fixture->journal, datagram, sizeof(datagram) - 1, 0);

	assert_true(n > 0);
	datagram[n] = '\0';
	assert_nothing_more(fixture);
	return datagram;
}

/* The value of a field of a datagram, "" when there is none. */
static const char *field(const char *datagram, const char *name)
{
	static char value[4096];
	char key[64];
	const char *at;

	snprintf(key, sizeof(key), "\n%s=", name);
	at = strncmp(datagram, key + 1, strlen(key + 1)) == 0 ? datagram - 1 : strstr(datagram, key);
	if (!at)
		return "";
	at += strlen(key);
	snprintf(value, sizeof(value), "%.*s", (int)strcspn(at, "\n"), at);
	return value;
}

static void the_journal_gets_line_and_fields_in_one_datagram(void **state)
{
	char expected[2048];

	listen_at(*state);
	account_log(&alice, &everything);
	snprintf(expected, sizeof(expected),
		"MESSAGE=session ended: session=7f3a sandbox=7f3b user=alice uid=1000 service=sshd tty=pts/0 duration=3723.004 "
		"cpu_user=1.000001 cpu_system=0.499999 cpu_throttled=0.000000 memory_peak=536870912 tasks_peak=17 io_read=5000 "
		"io_written=512 oom_kills=3\n"
		"PRIORITY=6\nSYSLOG_FACILITY=10\nSYSLOG_IDENTIFIER=pam_isolate\nSYSLOG_PID=%d\n"
		"ISOLATE_SESSION=7f3a\nISOLATE_SANDBOX=7f3b\nISOLATE_USER=alice\nISOLATE_UID=1000\nISOLATE_SERVICE=sshd\n"
		"ISOLATE_TTY=pts/0\nISOLATE_DURATION=3723.004\nISOLATE_CPU_USER=1.000001\nISOLATE_CPU_SYSTEM=0.499999\n"
		"ISOLATE_CPU_THROTTLED=0.000000\nISOLATE_MEMORY_PEAK=536870912\nISOLATE_TASKS_PEAK=17\nISOLATE_IO_READ=5000\n"
		"ISOLATE_IO_WRITTEN=512\nISOLATE_OOM_KILLS=3\n",
		getpid());
	assert_string_equal(receive(*state), expected);
	assert_int_equal(logged.n, 0);
}

static void names_are_such_that_the_journal_keeps_them(void **state)
{
	const char *datagram;

	listen_at(*state);
	account_log(&alice, &everything);
	datagram = receive(*state);
	for (const char *line = datagram; *line; line = strchr(line, '\n') + 1) {
		size_t length = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

		assert_true(length > 0 && length <= 64 && line[0] != '_' && line[length] == '=');
	}
}

static void an_unknown_number_is_left_out(void **state)
{
	struct account account = everything;
	const char *datagram;

	listen_at(*state);
	account.io_read = account.io_written = account.cpu_throttled_us = UNKNOWN;
	account_log(&alice, &account);
	datagram = receive(*state);
	assert_string_equal(field(datagram, "MESSAGE"),
		"session ended: session=7f3a sandbox=7f3b user=alice uid=1000 service=sshd tty=pts/0 duration=3723.004 "
		"cpu_user=1.000001 cpu_system=0.499999 memory_peak=536870912 tasks_peak=17 oom_kills=3");
	assert_null(strstr(datagram, "ISOLATE_IO"));
	assert_null(strstr(datagram, "THROTTLED"));
}

static void an_unknown_account_and_none_say_who_and_how_long(void **state)
{
	static const char expected[] =
		"session ended: session=7f3a sandbox=7f3b user=alice uid=1000 service=sshd tty=pts/0 duration=3723.004";
	struct account account;
	const char *datagram;

	listen_at(*state);
	memset(&account, 0xff, sizeof(account));
	assert_all_unknown(&account);
	account_log(&alice, &account);
	datagram = receive(*state);
	assert_string_equal(field(datagram, "MESSAGE"), expected);
	assert_non_null(strstr(datagram, "\nISOLATE_DURATION=3723.004\n"));
	assert_null(strstr(datagram, "ISOLATE_CPU"));
	account_log(&alice, NULL);
	assert_string_equal(field(receive(*state), "MESSAGE"), expected);
}

static void the_largest_numbers_are_written_whole(void **state)
{
	struct account_session session = alice;
	struct account account = everything;

	listen_at(*state);
	session.uid = (uid_t)-2;
	session.duration_us = UINT64_MAX;
	account.cpu_user_us = account.memory_peak = UINT64_MAX - 1;
	account_log(&session, &account);
	assert_non_null(strstr(field(receive(*state), "MESSAGE"),
		" uid=4294967294 service=sshd tty=pts/0 duration=18446744073709.551 cpu_user=18446744073709.551614 "
		"cpu_system=0.499999 cpu_throttled=0.000000 memory_peak=18446744073709551614 "));
}

/* What name becomes as the tty, in the line and as a field. */
static void assert_tty(const struct fixture *fixture, const char *name, const char *in_line, const char *as_field)
{
	struct account_session session = alice;
	char expected[1024];
	const char *datagram;

	session.tty = name;
	account_log(&session, NULL);
	datagram = receive(fixture);
	snprintf(expected, sizeof(expected),
		"session ended: session=7f3a sandbox=7f3b user=alice uid=1000 service=sshd tty=%s duration=3723.004", in_line);
	assert_string_equal(field(datagram, "MESSAGE"), expected);
	assert_string_equal(field(datagram, "ISOLATE_TTY"), as_field);
	assert_non_null(strstr(datagram, "\nISOLATE_TTY="));
}

static void no_name_adds_a_pair_or_a_line(void **state)
{
	listen_at(*state);
	assert_tty(*state, "/dev/pts/0", "/dev/pts/0", "/dev/pts/0");
	assert_tty(*state, "", "\"\"", "");
	assert_tty(*state, "a b", "\"a b\"", "a b");
	assert_tty(*state, "a=b", "\"a=b\"", "a=b");
	assert_tty(*state, "it's", "\"it's\"", "it's");
	assert_tty(*state, "x\" uid=0 \"", "\"x\\\" uid=0 \\\"\"", "x\" uid=0 \"");
	assert_tty(*state, "x\\\" uid=0", "\"x\\\\\\\" uid=0\"", "x\\\" uid=0");
	assert_tty(*state, "DOMAIN\\x", "\"DOMAIN\\\\x\"", "DOMAIN\\x");
	assert_tty(*state, "x\nISOLATE_UID=0\r\t\x1b[2J\x7f", "\"x?ISOLATE_UID=0???[2J?\"", "x?ISOLATE_UID=0???[2J?");
	/* U+00A0 is a blank to some. */
	assert_tty(*state, "x\xc2\xa0y", "\"x\xc2\xa0y\"", "x\xc2\xa0y");
	assert_tty(*state, "%s%n", "%s%n", "%s%n");
}

static void each_name_is_made_harmless(void **state)
{
	const struct account_session hostile = {
		.id = "i\n", .sandbox = "s =", .user = "u\"", .service = "\nPRIORITY=0\n", .tty = ""
	};
	const char *datagram;

	listen_at(*state);
	account_log(&hostile, NULL);
	datagram = receive(*state);
	assert_string_equal(field(datagram, "MESSAGE"), "session ended: session=i? sandbox=\"s =\" user=\"u\\\"\" uid=0 "
							"service=\"?PRIORITY=0?\" tty=\"\" duration=0.000");
	assert_string_equal(field(datagram, "PRIORITY"), "6");
	assert_string_equal(field(datagram, "ISOLATE_SERVICE"), "?PRIORITY=0?");
}

static void the_longest_names_lose_no_number(void **state)
{
	struct account_session session = { .uid = 1000, .duration_us = 1 };
	char name[600];
	const char *datagram;

	listen_at(*state);
	memset(name, '"', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	session.id = session.sandbox = session.user = session.service = session.tty = name;
	account_log(&session, &everything);
	datagram = receive(*state);
	assert_int_equal(strlen(field(datagram, "ISOLATE_USER")), JOURNAL_VALUE_SIZE - 1);
	assert_non_null(strstr(field(datagram, "MESSAGE"), "\\\"\" duration=0.000 cpu_user=1.000001 "));
	assert_non_null(strstr(datagram, "io_written=512 oom_kills=3\nPRIORITY="));
	assert_string_equal(field(datagram, "ISOLATE_OOM_KILLS"), "3");
}

static void a_message_of_two_lines_is_made_one(void **state)
{
	char message[] = "one\nPRIORITY=0";
	struct journal_field two = { .name = "ISOLATE_X", .value = "a\nb" };

	listen_at(*state);
	journal_log(LOG_WARNING, message, &two, 1);
	assert_int_equal(strncmp(receive(*state), "MESSAGE=one?PRIORITY=0\nPRIORITY=4\n", 34), 0);
	journal_socket = "/nonexistent/socket";
	strcpy(message, "one\ntwo");
	journal_log(LOG_WARNING, message, &two, 1);
	assert_string_equal(logged.line, "one?two");
}

/* ---- without a journal ---- */

static void assert_in_syslog(int n)
{
	assert_int_equal(logged.n, n);
	assert_int_equal(logged.priority, LOG_INFO);
	assert_string_equal(logged.line,
		"session ended: session=7f3a sandbox=7f3b user=alice uid=1000 service=sshd tty=%s duration=3723.004");
}

static void where_no_journal_is_syslog_gets_the_line(void **state)
{
	struct fixture *fixture = *state;
	struct account_session session = alice;
	char path[256];

	session.tty = "%s";
	account_log(&session, NULL);
	assert_in_syslog(1);
	/* Its socket is there still, but the journal is not. */
	listen_at(fixture);
	cleanup_close(&fixture->journal);
	account_log(&session, NULL);
	assert_in_syslog(2);
	/* Longer than an address can be. */
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	journal_socket = path;
	account_log(&session, NULL);
	assert_in_syslog(3);
}

static void a_full_journal_is_not_waited_for(void **state)
{
	struct fixture *fixture = *state;
	struct account_session session = alice;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	AUTO_CLOSE int other = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char byte;
	int n = 0;

	listen_at(fixture);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture->path);
	while (sendto(other, "x", 1, 0, (const struct sockaddr *)&address, sizeof(address)) == 1)
		n++;
	assert_int_equal(errno, EAGAIN);
	session.tty = "%s";
	/* Who waits is killed. */
	alarm(10);
	account_log(&session, NULL);
	alarm(0);
	assert_in_syslog(1);
	/* And nothing of it went to the journal. */
	for (; n > 0; n--)
		assert_int_equal(recv(fixture->journal, &byte, 1, 0), 1);
	assert_nothing_more(fixture);
}

static void what_does_not_fit_a_datagram_is_not_sent_in_part(void **state)
{
	static struct journal_field fields[64];
	char message[] = "much";

	listen_at(*state);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		fields[i].name = "ISOLATE_X";
		memset(fields[i].value, 'x', sizeof(fields[i].value) - 1);
	}
	journal_log(LOG_INFO, message, fields, ARRAY_SIZE(fields));
	assert_nothing_more(*state);
	assert_int_equal(logged.n, 1);
	assert_string_equal(logged.line, "much");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(v2_has_its_numbers_in_five_files),
		TEST(v1_has_nanoseconds_and_a_line_for_each_operation),
		TEST(v1_finds_cpuacct_where_it_is_mounted_with_cpu),
		TEST(what_is_not_there_is_unknown),
		TEST(v1_without_a_hierarchy_or_a_file_knows_nothing),
		TEST(garbage_is_unknown),
		TEST(a_number_or_sum_beyond_64_bits_is_unknown),
		TEST(no_device_is_no_io),
		TEST(v1_without_a_device_has_a_total_only),
		TEST(a_file_that_does_not_fit_is_unknown),
		TEST(the_journal_gets_line_and_fields_in_one_datagram),
		TEST(names_are_such_that_the_journal_keeps_them),
		TEST(an_unknown_number_is_left_out),
		TEST(an_unknown_account_and_none_say_who_and_how_long),
		TEST(the_largest_numbers_are_written_whole),
		TEST(no_name_adds_a_pair_or_a_line),
		TEST(each_name_is_made_harmless),
		TEST(the_longest_names_lose_no_number),
		TEST(a_message_of_two_lines_is_made_one),
		TEST(where_no_journal_is_syslog_gets_the_line),
		TEST(a_full_journal_is_not_waited_for),
		TEST(what_does_not_fit_a_datagram_is_not_sent_in_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
