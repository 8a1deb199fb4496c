/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * isolate-systemd: finds or makes the scope of a login and gives it, and the user's slice, their limits, through systemd, which
 * is the single writer of its cgroups. Started by isolate-helper as root, only where systemd runs; the one program here that is
 * linked with libsystemd. org.freedesktop.systemd1(5), org.freedesktop.login1(5)
 */

#include "helper/protocol.h"
#include "helper/systemd_protocol.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-login.h>

#define SYSTEMD_NAME "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define MANAGER "org.freedesktop.systemd1.Manager"
#define CALL_MICROSECONDS 5000000

static void cleanup_bus(sd_bus **bus)
{
	sd_bus_flush_close_unref(*bus);
}

static void cleanup_message(sd_bus_message **message)
{
	sd_bus_message_unref(*message);
}

static void cleanup_bus_error(sd_bus_error *error)
{
	sd_bus_error_free(error);
}

static void cleanup_slot(sd_bus_slot **slot)
{
	sd_bus_slot_unref(*slot);
}

#define AUTO_BUS __attribute__((cleanup(cleanup_bus)))
#define AUTO_MESSAGE __attribute__((cleanup(cleanup_message)))
#define AUTO_BUS_ERROR __attribute__((cleanup(cleanup_bus_error)))
#define AUTO_SLOT __attribute__((cleanup(cleanup_slot)))

/* The bus's own words are worth more than the errno that they come with. */
static int failed(int r, const sd_bus_error *error, const char *what, struct error *err)
{
	return error_set(err, r < 0 ? -r : EIO, "systemd", "%s%s%s", what, error && error->message ? ": " : "",
		error && error->message ? error->message : "");
}

/* ---- properties ---- */

static int append_value(sd_bus_message *message, const struct systemd_property *property)
{
	if (property->mask_size)
		return sd_bus_message_append_array(message, 'y', property->mask, property->mask_size);
	if (property->path[0])
		return sd_bus_message_append(message, "a(st)", 1, property->path, property->number);
	return sd_bus_message_append(message, "t", property->number);
}

static int append_property(sd_bus_message *message, const struct systemd_property *property)
{
	int r = sd_bus_message_open_container(message, 'r', "sv");

	if (r >= 0)
		r = sd_bus_message_append(message, "s", property->name);
	if (r >= 0)
		r = sd_bus_message_open_container(message, 'v', property->mask_size ? "ay" : property->path[0] ? "a(st)" : "t");
	if (r >= 0)
		r = append_value(message, property);
	if (r >= 0)
		r = sd_bus_message_close_container(message);
	return r < 0 ? r : sd_bus_message_close_container(message);
}

/* What is counted for the line about the session. Limits of memory and tasks are that anyway, and CPU time always is. */
static int append_accounting(sd_bus_message *message)
{
	return sd_bus_message_append(
		message, "(sv)(sv)(sv)", "MemoryAccounting", "b", 1, "TasksAccounting", "b", 1, "IOAccounting", "b", 1);
}

static int append_properties(sd_bus_message *message, const struct systemd_property *properties, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r >= 0; i++)
		r = append_property(message, &properties[i]);
	return r;
}

/* Every property that a slice can have of ours, and the file that systemd keeps it in until the next boot, also when the slice
 * has gone. systemctl(1), set-property --runtime */
static const struct {
	const char *name, *file, *type;
} kept[] = {
	{ "MemoryMax", "MemoryMax", "t" },
	{ "MemoryHigh", "MemoryHigh", "t" },
	{ "MemorySwapMax", "MemorySwapMax", "t" },
	{ "CPUQuotaPerSecUSec", "CPUQuota", "t" },
	{ "CPUWeight", "CPUWeight", "t" },
	{ "TasksMax", "TasksMax", "t" },
	{ "AllowedCPUs", "AllowedCPUs", "ay" },
	{ "IOWeight", "IOWeight", "t" },
	{ "IOReadBandwidthMax", "IOReadBandwidthMax", "a(st)" },
	{ "IOWriteBandwidthMax", "IOWriteBandwidthMax", "a(st)" },
	{ "IOReadIOPSMax", "IOReadIOPSMax", "a(st)" },
	{ "IOWriteIOPSMax", "IOWriteIOPSMax", "a(st)" },
};

static bool is_kept(const char *unit, const char *file)
{
	char path[160];

	snprintf(path, sizeof(path), "/run/systemd/system.control/%s.d/50-%s.conf", unit, file);
	return access(path, F_OK) == 0;
}

/* None, or an empty list: in systemd's words there is no such limit then. */
static int append_none(sd_bus_message *message, const char *name, const char *type)
{
	int r;

	if (type[0] == 't')
		return sd_bus_message_append(message, "(sv)", name, "t", UINT64_MAX);
	r = sd_bus_message_open_container(message, 'r', "sv");
	if (r >= 0)
		r = sd_bus_message_append(message, "s", name);
	if (r >= 0)
		r = sd_bus_message_open_container(message, 'v', type);
	if (r >= 0)
		r = sd_bus_message_append(message, type, 0);
	if (r >= 0)
		r = sd_bus_message_close_container(message);
	return r < 0 ? r : sd_bus_message_close_container(message);
}

/* What an older policy has said of the unit, and this one does not say, is taken back; of devices all. */
static int append_resets(sd_bus_message *message, const char *unit, const struct systemd_property *properties, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kept) && r >= 0; i++) {
		bool is_set = false;

		for (size_t j = 0; j < n && kept[i].type[1] != '('; j++)
			is_set |= strcmp(properties[j].name, kept[i].name) == 0;
		if (!is_set && is_kept(unit, kept[i].file))
			r = append_none(message, kept[i].name, kept[i].type);
	}
	return r;
}

/* At run time only: gone with the next boot, but not with a daemon-reload. */
static int set_properties(sd_bus *bus, const char *unit, const struct systemd_property *properties, size_t n, struct error *err)
{
	AUTO_MESSAGE sd_bus_message *message = NULL;
	AUTO_BUS_ERROR sd_bus_error error = SD_BUS_ERROR_NULL;
	int r;

	r = sd_bus_message_new_method_call(bus, &message, SYSTEMD_NAME, SYSTEMD_PATH, MANAGER, "SetUnitProperties");
	if (r >= 0)
		r = sd_bus_message_append(message, "sb", unit, 1);
	if (r >= 0)
		r = sd_bus_message_open_container(message, 'a', "(sv)");
	if (r >= 0)
		r = append_accounting(message);
	if (r >= 0)
		r = append_resets(message, unit, properties, n);
	if (r >= 0)
		r = append_properties(message, properties, n);
	if (r >= 0)
		r = sd_bus_message_close_container(message);
	if (r >= 0)
		r = sd_bus_call(bus, message, 0, &error, NULL);
	if (r < 0) {
		failed(r, &error, "limits", err);
		return error_prefix(err, "%s", unit);
	}
	return 0;
}

/* ---- jobs ---- */

struct job {
	char path[128];
	char result[32]; /* empty until it is done */
};

static int note_job(sd_bus_message *message, void *data, sd_bus_error *error)
{
	struct job *job = data;
	const char *path, *unit, *result;
	uint32_t id;

	(void)error;
	if (sd_bus_message_read(message, "uoss", &id, &path, &unit, &result) >= 0 && strcmp(path, job->path) == 0)
		snprintf(job->result, sizeof(job->result), "%s", result);
	return 0;
}

/* Sends message, whose answer is the path of a job, and waits for that job. The whole program has a time limit: the helper's. */
static int call_and_await(sd_bus *bus, sd_bus_message *message, const char *what, struct error *err)
{
	AUTO_SLOT sd_bus_slot *slot = NULL;
	AUTO_MESSAGE sd_bus_message *answer = NULL;
	AUTO_BUS_ERROR sd_bus_error error = SD_BUS_ERROR_NULL;
	struct job job = { .path = "" };
	const char *path;
	int r = sd_bus_match_signal(bus, &slot, SYSTEMD_NAME, SYSTEMD_PATH, MANAGER, "JobRemoved", note_job, &job);

	/* Signals are sent to those who subscribe. */
	if (r >= 0)
		r = sd_bus_call_method(bus, SYSTEMD_NAME, SYSTEMD_PATH, MANAGER, "Subscribe", &error, NULL, "");
	if (r >= 0)
		r = sd_bus_call(bus, message, 0, &error, &answer);
	if (r >= 0)
		r = sd_bus_message_read(answer, "o", &path);
	if (r < 0)
		return failed(r, &error, what, err);
	snprintf(job.path, sizeof(job.path), "%s", path);
	while (!job.result[0] && r >= 0) {
		r = sd_bus_process(bus, NULL);
		if (r == 0)
			r = sd_bus_wait(bus, UINT64_MAX);
	}
	if (r < 0)
		return failed(r, NULL, what, err);
	return strcmp(job.result, "done") == 0 ? 0 : error_set(err, EIO, "systemd", "%s: job %s", what, job.result);
}

/* ---- the scope ---- */

/* Whether leader is the leader of a session of logind's, of this user: then that session is his alone. 1 and its unit, 0, or an
 * error. */
static int find_session(sd_bus *bus, const struct systemd_request *request, char **ret_unit, struct error *err)
{
	AUTO_BUS_ERROR sd_bus_error error = SD_BUS_ERROR_NULL;
	AUTO_MESSAGE sd_bus_message *answer = NULL;
	AUTO_FREE char *session = NULL;
	const char *path;
	uint32_t leader;
	uid_t uid;
	int r;

	if (sd_pid_get_session(request->leader, &session) < 0 || sd_session_get_uid(session, &uid) < 0 || uid != request->uid)
		return 0;
	r = sd_bus_call_method(bus, "org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager",
		"GetSession", &error, &answer, "s", session);
	if (r >= 0)
		r = sd_bus_message_read(answer, "o", &path);
	if (r >= 0)
		r = sd_bus_get_property_trivial(
			bus, "org.freedesktop.login1", path, "org.freedesktop.login1.Session", "Leader", &error, 'u', &leader);
	if (r < 0)
		return failed(r, &error, "ask logind for the session's leader", err);
	if ((pid_t)leader != request->leader)
		return 0;
	r = sd_pid_get_unit(request->leader, ret_unit);
	return r < 0 ? failed(r, NULL, "the unit of the session", err) : 1;
}

/* The processes that a scope starts with: at least one. */
static int append_pids(sd_bus_message *message, const uint32_t *pids, size_t n)
{
	int r = sd_bus_message_open_container(message, 'r', "sv");

	if (r >= 0)
		r = sd_bus_message_append(message, "s", "PIDs");
	if (r >= 0)
		r = sd_bus_message_open_container(message, 'v', "au");
	if (r >= 0)
		r = sd_bus_message_append_array(message, 'u', pids, n * sizeof(*pids));
	if (r >= 0)
		r = sd_bus_message_close_container(message);
	return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_scope(sd_bus_message *message, const struct systemd_request *request, bool with_leader)
{
	char slice[32], description[320];
	uint32_t pids[2];
	size_t n = 0;
	int r;

	snprintf(slice, sizeof(slice), "user-%u.slice", request->uid);
	snprintf(description, sizeof(description), "pam_isolate sandbox of user %u", request->uid);
	if (with_leader)
		pids[n++] = (uint32_t)request->leader;
	if (request->helper)
		pids[n++] = (uint32_t)request->helper;
	r = append_pids(message, pids, n);
	if (r >= 0)
		r = sd_bus_message_append(message, "(sv)(sv)(sv)(sv)", "Slice", "s", slice, "Description", "s", description,
			"Delegate", "b", 1, "CollectMode", "s", "inactive-or-failed");
	if (r >= 0)
		r = append_accounting(message);
	return r < 0 ? r : append_properties(message, request->properties, request->n_session);
}

/* A login without a session of its own (su, cron without pam_systemd): it gets a scope, limits and all before anything is in it.
 * What a shared sandbox hangs on gets one as well: it may outlive the session that began it. */
static int start_scope(sd_bus *bus, const struct systemd_request *request, const char *unit, bool with_leader, struct error *err)
{
	AUTO_MESSAGE sd_bus_message *message = NULL;
	int r = sd_bus_message_new_method_call(bus, &message, SYSTEMD_NAME, SYSTEMD_PATH, MANAGER, "StartTransientUnit");

	if (r >= 0)
		r = sd_bus_message_append(message, "ss", unit, "fail");
	if (r >= 0)
		r = sd_bus_message_open_container(message, 'a', "(sv)");
	if (r >= 0)
		r = append_scope(message, request, with_leader);
	if (r >= 0)
		r = sd_bus_message_close_container(message);
	if (r >= 0)
		r = sd_bus_message_append(message, "a(sa(sv))", 0);
	if (r < 0)
		return failed(r, NULL, unit, err);
	return call_and_await(bus, message, unit, err);
}

static int read_cgroup(sd_bus *bus, const char *unit, struct systemd_reply *reply, struct error *err)
{
	AUTO_BUS_ERROR sd_bus_error error = SD_BUS_ERROR_NULL;
	AUTO_FREE char *path = NULL;
	AUTO_FREE char *cgroup = NULL;
	int r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path);

	if (r >= 0)
		r = sd_bus_get_property_string(
			bus, SYSTEMD_NAME, path, "org.freedesktop.systemd1.Scope", "ControlGroup", &error, &cgroup);
	if (r < 0)
		return failed(r, &error, unit, err);
	if (strlen(cgroup) >= sizeof(reply->cgroup) || cgroup[0] != '/')
		return error_set(err, ENAMETOOLONG, "systemd", "the cgroup of %s: %s", unit, cgroup);
	strcpy(reply->cgroup, cgroup);
	return 0;
}

/* ---- the user's own manager ---- */

/* A manager that runs already runs units out of the user's home outside of every sandbox. */
static int stop_user_manager(sd_bus *bus, uid_t uid, struct error *err)
{
	AUTO_MESSAGE sd_bus_message *message = NULL;
	AUTO_BUS_ERROR sd_bus_error error = SD_BUS_ERROR_NULL;
	AUTO_FREE char *path = NULL;
	AUTO_FREE char *state = NULL;
	char unit[40];
	int r;

	snprintf(unit, sizeof(unit), "user@%u.service", uid);
	r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path);
	if (r >= 0)
		r = sd_bus_get_property_string(
			bus, SYSTEMD_NAME, path, "org.freedesktop.systemd1.Unit", "ActiveState", &error, &state);
	if (r < 0)
		return failed(r, &error, unit, err);
	if (strcmp(state, "inactive") == 0 || strcmp(state, "failed") == 0)
		return 0;
	r = sd_bus_message_new_method_call(bus, &message, SYSTEMD_NAME, SYSTEMD_PATH, MANAGER, "StopUnit");
	if (r >= 0)
		r = sd_bus_message_append(message, "ss", unit, "replace");
	if (r < 0)
		return failed(r, NULL, unit, err);
	return call_and_await(bus, message, unit, err);
}

static int serve(sd_bus *bus, const struct systemd_request *request, struct systemd_reply *reply, struct error *err)
{
	const struct systemd_property *of_user = request->properties + request->n_session;
	AUTO_FREE char *session_unit = NULL;
	char unit[80], slice[32];
	int r = request->stop_user_manager ? stop_user_manager(bus, request->uid, err) : 0;

	snprintf(slice, sizeof(slice), "user-%u.slice", request->uid);
	snprintf(unit, sizeof(unit), "isolate-%s.scope", request->id);
	if (r >= 0)
		r = set_properties(bus, slice, of_user, request->n_properties - request->n_session, err);
	if (r >= 0)
		r = find_session(bus, request, &session_unit, err);
	if (r < 0)
		return r;
	reply->adopted = r > 0;
	r = 0;
	if (reply->adopted && !request->shared)
		r = set_properties(bus, session_unit, request->properties, request->n_session, err);
	else if (!reply->adopted || request->helper)
		r = start_scope(bus, request, unit, !reply->adopted, err);
	return r < 0 ? r : read_cgroup(bus, reply->adopted ? session_unit : unit, reply, err);
}

static int receive_request(struct systemd_request *request, struct error *err)
{
	ssize_t n = receive_message(HELPER_SOCKET_FD, request, sizeof(*request), NULL, NULL);

	if (n != sizeof(*request) || request->magic != SYSTEMD_MAGIC || request->n_session > request->n_properties ||
		request->n_properties > 2 * SYSTEMD_PROPERTIES_MAX)
		return error_set(err, EPROTO, "systemd", "not asked by isolate-helper");
	return 0;
}

int main(void)
{
	static struct systemd_request request;
	struct systemd_reply reply = { .magic = SYSTEMD_MAGIC };
	AUTO_BUS sd_bus *bus = NULL;
	int r = receive_request(&request, &reply.err);

	if (r >= 0) {
		r = sd_bus_open_system(&bus);
		if (r >= 0)
			r = sd_bus_set_method_call_timeout(bus, CALL_MICROSECONDS);
		r = r < 0 ? failed(r, NULL, "the system bus", &reply.err) : serve(bus, &request, &reply, &reply.err);
	}
	return send_message(HELPER_SOCKET_FD, &reply, sizeof(reply), NULL, 0) < 0 || r < 0;
}
