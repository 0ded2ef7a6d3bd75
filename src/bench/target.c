/* SPDX-License-Identifier: ISC */
#include "bench/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/url.h"
#include "bench/poller.h"
#include "proc/control_client.h"
#include "proc/control_proto.h"

enum { ASK_TIMEOUT_MS = 5000, ANSWER_MAX_BYTES = 1024 * 1024 };

/* The master's status, the caller's to put back; NULL with err. */
static struct json_object *
ask_status(const struct target *target, struct err *err)
{
	struct json_object *status = NULL;
	struct buf answer;
	bool absent;

	buf_init(&answer, ANSWER_MAX_BYTES);
	if (control_ask(target->control_socket, 0, CONTROL_STATUS,
		ASK_TIMEOUT_MS, &answer, &absent, err) == 0) {
		buf_append_char(&answer, '\0');
		if (!answer.failed)
			status = json_tokener_parse(answer.p);
		if (status == NULL)
			err_set(err, "%s: the answer is not JSON",
			    target->control_socket);
	}
	buf_free(&answer);
	return status;
}

/* 0, or -1 when it is too long or no host and port. */
static int
set_address(struct target *target, const struct url *url)
{
	unsigned port = url->port.p == NULL ? 80 : url_port(url->port);

	if (url->user.p != NULL || port == 0 || !url_has_host(url) ||
	    url->host.len >= sizeof(target->host))
		return -1;
	(void)snprintf(target->host, sizeof(target->host), "%.*s",
	    (int)url->host.len, url->host.p);
	(void)snprintf(target->port, sizeof(target->port), "%u", port);
	return 0;
}

static int
take_address(struct target *target, struct err *err)
{
	struct json_object *status = ask_status(target, err), *list;
	struct url url;
	int result = -1;

	if (status == NULL)
		return -1;
	if (json_object_object_get_ex(status, "listening", &list) &&
	    json_object_array_length(list) > 0) {
		url_split_authority(slice_from_string(json_object_get_string(
					json_object_array_get_idx(list, 0))),
		    &url);
		result = set_address(target, &url);
	}
	if (result == -1)
		err_set(err, "%s: the daemon has no service",
		    target->control_socket);
	json_object_put(status);
	return result;
}

int
target_init(struct target *target, const char *url, const char *control_socket,
    struct err *err)
{
	struct url parsed;

	*target = (struct target){.control_socket = control_socket};
	if (url == NULL)
		return take_address(target, err);
	if (access(control_socket, F_OK) == -1)
		target->control_socket = NULL;
	if (url_split(slice_from_string(url), URL_WITH_FRAGMENT, &parsed) ==
		-1 ||
	    !slice_eq(parsed.scheme, SLICE_LITERAL("http")) ||
	    set_address(target, &parsed) == -1)
		return err_set(err, "\"%s\": not http://host[:port]", url);
	return 0;
}

static struct target_group *
group_of(struct target_sample *sample, const char *name)
{
	struct target_group *group;

	for (unsigned i = 0; i < sample->n_groups; i++)
		if (strcmp(sample->groups[i].name, name) == 0)
			return &sample->groups[i];
	if (sample->n_groups == TARGET_GROUPS_MAX)
		return NULL;
	group = &sample->groups[sample->n_groups++];
	*group = (struct target_group){0};
	(void)snprintf(group->name, sizeof(group->name), "%s", name);
	return group;
}

const struct target_group *
target_group_find(const struct target_sample *sample, const char *name)
{
	for (unsigned i = 0; i < sample->n_groups; i++)
		if (strcmp(sample->groups[i].name, name) == 0)
			return &sample->groups[i];
	return NULL;
}

/* User and system time of all its threads; 0 for a process that is gone. */
static int64_t
cpu_us(pid_t pid)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 ||
	    clock_gettime(clock, &ts) == -1)
		return 0;
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t
pss_kib(pid_t pid)
{
	char path[64], line[256];
	long long kib = 0;
	FILE *f;

	(void)snprintf(
	    path, sizeof(path), "/proc/%lld/smaps_rollup", (long long)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "Pss:", 4) == 0)
			kib = strtoll(line + 4, NULL, 10);
	(void)fclose(f);
	return kib;
}

static void
add_process(
    struct target_sample *sample, const char *name, pid_t pid, bool with_pss)
{
	struct target_group *group = group_of(sample, name);

	if (group == NULL)
		return;
	group->cpu_us += cpu_us(pid);
	if (with_pss)
		group->pss_kib += pss_kib(pid);
}

/* The name that the kernel keeps for a process: "mariadbd". */
static void
add_other(struct target_sample *sample, pid_t pid, bool with_pss)
{
	char path[64], name[32] = "";
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%lld/comm", (long long)pid);
	f = fopen(path, "re");
	if (f != NULL) {
		if (fgets(name, sizeof(name), f) != NULL)
			name[strcspn(name, "\n")] = '\0';
		(void)fclose(f);
	}
	if (name[0] != '\0')
		add_process(sample, name, pid, with_pss);
}

static int64_t
member_int(struct json_object *object, const char *name)
{
	struct json_object *value;

	return json_object_object_get_ex(object, name, &value)
		   ? json_object_get_int64(value)
		   : 0;
}

static void
add_children(
    struct target_sample *sample, struct json_object *list, bool with_pss)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *child = json_object_array_get_idx(list, i);
		struct json_object *role;
		char name[32];

		if (!json_object_object_get_ex(child, "role", &role))
			continue;
		(void)snprintf(name, sizeof(name), "cassatad-%s",
		    json_object_get_string(role));
		add_process(
		    sample, name, (pid_t)member_int(child, "pid"), with_pss);
	}
}

static void
add_counters(struct target_sample *sample, struct json_object *metrics)
{
	sample->service_commits =
	    member_int(metrics, "cassata_commits_total{role=\"service\"}");
	sample->worker_commits =
	    member_int(metrics, "cassata_commits_total{role=\"worker\"}");
	sample->attempts =
	    member_int(
		metrics, "cassata_attempts_total{outcome=\"delivered\"}") +
	    member_int(metrics, "cassata_attempts_total{outcome=\"retry\"}") +
	    member_int(metrics, "cassata_attempts_total{outcome=\"failed\"}");
}

static int
sample_daemon(const struct target *target, bool with_pss,
    struct target_sample *sample, struct err *err)
{
	struct json_object *status = ask_status(target, err), *part;

	if (status == NULL)
		return -1;
	add_process(sample, "cassatad-master", (pid_t)member_int(status, "pid"),
	    with_pss);
	if (json_object_object_get_ex(status, "children", &part))
		add_children(sample, part, with_pss);
	if (json_object_object_get_ex(status, "metrics", &part))
		add_counters(sample, part);
	json_object_put(status);
	return 0;
}

int
target_sample(const struct target *target, bool with_pss,
    struct target_sample *sample, struct err *err)
{
	struct target_group *own;

	*sample = (struct target_sample){0};
	if (target->control_socket != NULL &&
	    sample_daemon(target, with_pss, sample, err) == -1)
		return -1;
	for (unsigned i = 0; i < target->n_pids; i++)
		add_other(sample, target->pids[i], with_pss);
	sample->mono_us = mono_us();
	own = group_of(sample, "cassata-bench");
	if (own != NULL) {
		own->ours = true;
		own->cpu_us = cpu_us(getpid());
		own->pss_kib = with_pss ? pss_kib(getpid()) : 0;
	}
	return 0;
}
