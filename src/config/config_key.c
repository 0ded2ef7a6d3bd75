/* SPDX-License-Identifier: ISC */
#include "config/config_key.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/check.h"
#include "base/slice.h"
#include "base/url.h"
#include "base/words.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { NAME_MAX_LEN = 40 };

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit plain[] = {{"", 1}, {NULL, 0}};
static const struct unit percents[] = {{"", 1}, {"%", 1}, {NULL, 0}};
static const struct unit sizes[] = {{"", 1}, {"B", 1}, {"KiB", 1024},
    {"MiB", INT64_C(1) << 20}, {"GiB", INT64_C(1) << 30}, {NULL, 0}};
static const struct unit durations[] = {{"", 1000}, {"ms", 1}, {"s", 1000},
    {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0}};

static const struct {
	const char *form;         /* what a value "must be" */
	const struct unit *units; /* NULL: not a number */
	bool string;
} kinds[] = {
    [KIND_INT] = {"a whole number", plain, false},
    [KIND_UNSIGNED] = {"a whole number", plain, false},
    [KIND_PERCENT] = {"a percentage such as 20", percents, false},
    [KIND_SIZE] = {"a size such as 2000, 64KiB or 4MiB", sizes, false},
    [KIND_DURATION] = {"a duration such as 250ms, 10s, 5m, 1h or 7d", durations,
	false},
    [KIND_HOST] = {"a host's name or address without a port, or *", NULL, true},
    [KIND_HOST_NAME] = {"a host's name or address without a port", NULL, true},
    [KIND_RECORD] = {"keys with values", NULL, false},
    [KIND_BOOL] = {"true or false", NULL, false},
    [KIND_LEVEL] = {"error, warn, info or debug", NULL, false},
    [KIND_TLS] = {"off, require or verify", NULL, false},
    [KIND_ENDPOINT] = {"an address and a port such as 127.0.0.1:9085 or "
		       "[::1]:9085",
	NULL, true},
    [KIND_STRING] = {"plain text", NULL, true},
    [KIND_URL] = {"sqlite:PATH or "
		  "mysql://[user[:password]@]host[:port][,host...]/name",
	NULL, true},
    [KIND_PATH] = {"a path", NULL, true},
    [KIND_DESTINATION] = {"stderr, syslog or a path", NULL, true},
    [KIND_OUTCOME] = {"a status from 300 to 599, at most 16 of them, 3xx, 4xx, "
		      "5xx, connect, timeout or answer",
	NULL, false},
};

#define AT(field) offsetof(struct config, field)

#define LIST(field, counter, example, ...)                                     \
	(&(const struct config_list){AT(counter),                              \
	    sizeof(((struct config *)NULL)->field[0]),                         \
	    COUNT(((struct config *)NULL)->field), example, __VA_ARGS__})

#define FIELD(field) offsetof(struct config_host_limit, field)

static const struct config_key host_limit_fields[] = {
    {"hostLimits", "host", KIND_HOST_NAME, FIELD(host), NULL, NULL, NULL, NULL},
    {"hostLimits", "maxDeliveries", KIND_UNSIGNED, FIELD(max_deliveries), "1",
	"10000", NULL, NULL},
};

const struct config_key config_keys[] = {
    {"service", "port", KIND_INT, AT(service.port), "0", "65535", "8085", NULL},
    {"service", "listen", KIND_STRING, AT(service.listen), NULL, NULL,
	"127.0.0.1", NULL},
    {"service", "hosts", KIND_HOST, AT(service.hosts.list), NULL, NULL, NULL,
	LIST(service.hosts.list, service.hosts.n, "[cassata.example.net]", NULL,
	    0)},
    {"service", "publicUrl", KIND_STRING, AT(service.public_url), NULL, NULL,
	NULL, NULL},
    {"service", "processes", KIND_INT, AT(service.processes), "1", "32", "1",
	NULL},
    {"service", "createTablesIfNotExists", KIND_BOOL, AT(service.create_tables),
	NULL, NULL, "false", NULL},
    {"service", "commitBatch", KIND_INT, AT(service.commit_batch), "1", "10000",
	"2000", NULL},
    {"service", "maxConnections", KIND_INT, AT(service.max_connections), "1",
	"100000", "1024", NULL},
    {"service", "maxConnectionsPerAddress", KIND_INT,
	AT(service.max_per_address), "0", "100000", "0", NULL},
    {"service", "maxRequestMemory", KIND_SIZE,
	AT(service.max_request_memory_bytes), "1MiB", "64GiB", "128MiB", NULL},
    {"service", "maxRequestsPerConnection", KIND_INT, AT(service.max_requests),
	"0", "1000000000", "0", NULL},
    {"service", "maxRequestLineBytes", KIND_SIZE,
	AT(service.max_request_line_bytes), "256B", "1MiB", "8KiB", NULL},
    {"service", "maxHeaderBytes", KIND_SIZE, AT(service.max_header_bytes),
	"1KiB", "1MiB", "32KiB", NULL},
    {"service", "maxHeaders", KIND_INT, AT(service.max_headers), "1", "128",
	"64", NULL},
    {"service", "maxBodyBytes", KIND_SIZE, AT(service.max_body_bytes), "1KiB",
	"256MiB", "4MiB", NULL},
    {"service", "maxAtomicEvents", KIND_INT, AT(service.max_atomic_events),
	"1", "10000", "1000", NULL},
    {"service", "getDelete", KIND_BOOL, AT(service.get_delete), NULL, NULL,
	"true", NULL},
    {"service", "maxAttempts", KIND_UNSIGNED,
	AT(service.retry_limits.max_attempts), "1", "1001", "100", NULL},
    {"service", "minRetryDelay", KIND_DURATION,
	AT(service.retry_limits.min_delay_ms), "0", "1h", "0", NULL},
    {"service", "maxPauses", KIND_INT, AT(service.max_pauses), "1", "256",
	"64", NULL},
    {"service", "minSchedulePeriod", KIND_DURATION,
	AT(service.min_schedule_period_ms), "1s", "1d", "1s", NULL},
    {"service", "maxSchedules", KIND_INT, AT(service.max_schedules), "1",
	"100000", "1000", NULL},
    {"service", "maxLists", KIND_INT, AT(service.max_lists), "1", "1000", "8",
	NULL},
    {"service", "maxListPage", KIND_INT, AT(service.max_list_page), "1",
	"10000", "1000", NULL},
    {"service", "maxListScan", KIND_INT, AT(service.max_list_scan), "1",
	"1000000", "10000", NULL},
    {"service", "maxListBytes", KIND_SIZE, AT(service.max_list_bytes), "1KiB",
	"64MiB", "1MiB", NULL},
    {"service", "maxJobs", KIND_INT, AT(service.max_jobs), "1", "1000", "8",
	NULL},
    {"service", "jobRate", KIND_INT, AT(service.job_rate), "1", "100000",
	"100", NULL},
    {"service", "maxJobRate", KIND_INT, AT(service.max_job_rate), "1",
	"100000", "1000", NULL},
    {"service", "headerTimeout", KIND_DURATION, AT(service.header_timeout_ms),
	"100ms", "1h", "10s", NULL},
    {"service", "bodyTimeout", KIND_DURATION, AT(service.body_timeout_ms),
	"100ms", "1h", "30s", NULL},
    {"service", "minBodyRate", KIND_SIZE, AT(service.min_body_rate), "0",
	"1GiB", "500B", NULL},
    {"service", "idleTimeout", KIND_DURATION, AT(service.idle_timeout_ms),
	"100ms", "1h", "60s", NULL},
    {"service", "writeTimeout", KIND_DURATION, AT(service.write_timeout_ms),
	"100ms", "1h", "30s", NULL},

    {"worker", "numWorkerThreads", KIND_INT, AT(worker.processes), "1", "64",
	"5", NULL},
    {"worker", "workerThreadPollingInterval", KIND_DURATION,
	AT(worker.polling_interval_ms), "100ms", "1h", "10", NULL},
    {"worker", "newEventInterval", KIND_DURATION,
	AT(worker.new_event_interval_ms), "0", "10s", "25ms", NULL},
    {"worker", "numEventsProcessedPerTransaction", KIND_INT,
	AT(worker.claim_min), "1", "10000", "5", NULL},
    {"worker", "maxEventsProcessedPerTransaction", KIND_INT,
	AT(worker.claim_max), "1", "10000", "500", NULL},
    {"worker", "maxConcurrentDeliveries", KIND_INT, AT(worker.max_deliveries),
	"1", "10000", "320", NULL},
    {"worker", "maxShare", KIND_PERCENT, AT(worker.max_share_percent), "1",
	"100", "80", NULL},
    {"worker", "maxDeliveriesPerHost", KIND_INT,
	AT(worker.max_deliveries_per_host), "0", "10000", "128", NULL},
    {"worker", "hostLimits", KIND_RECORD, AT(worker.host_limits), NULL, NULL,
	NULL,
	LIST(worker.host_limits, worker.n_host_limits,
	    "[{host: api.example.net, maxDeliveries: 4}]", host_limit_fields,
	    COUNT(host_limit_fields))},
    {"worker", "maxDeliveriesPerAddress", KIND_INT,
	AT(worker.max_deliveries_per_address), "0", "10000", "0", NULL},
    {"worker", "maxLookups", KIND_INT, AT(worker.max_lookups), "1", "1000",
	"64", NULL},
    {"worker", "maxQueuedPerHost", KIND_INT, AT(worker.max_queued_per_host),
	"1", "10000", "512", NULL},
    {"worker", "maxEventMemory", KIND_SIZE, AT(worker.max_event_memory_bytes),
	"1MiB", "64GiB", "128MiB", NULL},
    {"worker", "httpRetryCount", KIND_UNSIGNED, AT(worker.retry.max_retries),
	"0", "1000", "5", NULL},
    {"worker", "retryDelays", KIND_DURATION, AT(worker.retry.delay_ms), "0",
	"30d", "30s 5m 1h 8h 24h",
	LIST(worker.retry.delay_ms, worker.retry.n_delays, "[10s, 1m, 1h]",
	    NULL, 0)},
    {"worker", "retryJitter", KIND_PERCENT, AT(worker.retry.jitter_percent),
	"0", "100", "20", NULL},
    {"worker", "retryOn", KIND_OUTCOME, AT(worker.retry.on), NULL, NULL, NULL,
	&(const struct config_list){AT(worker.retry.n_on), 0,
	    RETRY_ON_MAX, "[5xx, 429, connect]", NULL, 0}},
    {"worker", "maxRetryAfter", KIND_DURATION,
	AT(worker.retry.retry_after_max_ms), "0", "30d", "6h", NULL},
    {"worker", "connectTimeout", KIND_DURATION, AT(worker.connect_timeout_ms),
	"100ms", "1h", "5s", NULL},
    {"worker", "deliveryTimeout", KIND_DURATION, AT(worker.delivery_timeout_ms),
	"100ms", "1h", "30s", NULL},
    {"worker", "claimAhead", KIND_DURATION, AT(worker.claim_ahead_ms), "0",
	"10s", "50ms", NULL},
    {"worker", "lease", KIND_DURATION, AT(worker.lease_ms), "0", "1h", "0",
	NULL},
    {"worker", "maxResponseBytes", KIND_SIZE, AT(worker.max_response_bytes),
	"0", "1GiB", "64KiB", NULL},
    {"worker", "maxResponseHeaderBytes", KIND_SIZE,
	AT(worker.max_response_header_bytes), "1KiB", "1MiB", "64KiB", NULL},
    {"worker", "responseBytesKept", KIND_SIZE, AT(worker.response_bytes_kept),
	"0", "2000", "2000", NULL},
    {"worker", "logSuccess", KIND_BOOL, AT(worker.log_success), NULL, NULL,
	"false", NULL},
    {"worker", "callbackBytes", KIND_SIZE, AT(worker.callback_bytes), "0",
	"64KiB", "8KiB", NULL},
    {"worker", "retention", KIND_DURATION, AT(worker.retention_ms), "0",
	"3650d", "7d", NULL},
    {"worker", "caFile", KIND_PATH, AT(worker.ca_file), NULL, NULL, NULL, NULL},

    {"datastore", "url", KIND_URL, AT(datastore.url), NULL, NULL,
	"sqlite:cassata.db", NULL},
    {"datastore", "passwordFile", KIND_PATH, AT(datastore.password_file), NULL,
	NULL, NULL, NULL},
    {"datastore", "tls", KIND_TLS, AT(datastore.tls), NULL, NULL, NULL, NULL},
    {"datastore", "tlsCaFile", KIND_PATH, AT(datastore.tls_ca_file), NULL, NULL,
	NULL, NULL},
    {"datastore", "tlsCertificate", KIND_PATH, AT(datastore.tls_certificate),
	NULL, NULL, NULL, NULL},
    {"datastore", "tlsKey", KIND_PATH, AT(datastore.tls_key), NULL, NULL, NULL,
	NULL},
    {"datastore", "connectTimeout", KIND_DURATION,
	AT(datastore.connect_timeout_ms), "100ms", "1h", "3s", NULL},
    {"datastore", "returnAfter", KIND_DURATION, AT(datastore.return_after_ms),
	"0", "1d", "60s", NULL},
    {"datastore", "timeout", KIND_DURATION, AT(datastore.timeout_ms), "100ms",
	"1h", "10s", NULL},
    {"datastore", "minFree", KIND_SIZE, AT(datastore.min_free_bytes), "0",
	"64GiB", "64MiB", NULL},

    {"master", "stateDirectory", KIND_STRING, AT(master.state_dir), NULL, NULL,
	NULL, NULL},
    {"master", "pidFile", KIND_PATH, AT(master.pid_file), NULL, NULL, NULL,
	NULL},
    {"master", "controlSocket", KIND_PATH, AT(master.control_socket), NULL,
	NULL, NULL, NULL},
    {"master", "user", KIND_STRING, AT(master.user), NULL, NULL, NULL, NULL},
    {"master", "group", KIND_STRING, AT(master.group), NULL, NULL, NULL, NULL},
    {"master", "sandbox", KIND_BOOL, AT(master.sandbox), NULL, NULL, "true",
	NULL},
    {"master", "metrics", KIND_ENDPOINT, AT(master.metrics), NULL, NULL, NULL,
	NULL},
    {"master", "startTimeout", KIND_DURATION, AT(master.start_timeout_ms),
	"100ms", "1h", "30s", NULL},
    {"master", "shutdownTimeout", KIND_DURATION, AT(master.shutdown_timeout_ms),
	"100ms", "1h", "30s", NULL},

    {"log", "level", KIND_LEVEL, AT(log.level), NULL, NULL, "info", NULL},
    {"log", "destination", KIND_DESTINATION, AT(log.destination), NULL, NULL,
	"cassata.log", NULL},
    {"log", "maxFailuresPerSecond", KIND_INT, AT(log.max_failures_per_second),
	"0", "10000", "10", NULL},
    {"log", "maxLineBytes", KIND_SIZE, AT(log.max_line_bytes), "256B", "16KiB",
	"2KiB", NULL},
};

enum { N_KEYS = sizeof(config_keys) / sizeof(config_keys[0]) };

const size_t config_n_keys = N_KEYS;

static_assert((int)N_KEYS <= (int)CONFIG_KEYS_MAX, "there is room for each");

static const char *const levels[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

static const char *const tls_modes[] = {
    [SQL_TLS_OFF] = "off",
    [SQL_TLS_REQUIRE] = "require",
    [SQL_TLS_VERIFY] = "verify",
};

static size_t *
count_of(const struct config_key *key, void *base)
{
	return (size_t *)(void *)((char *)base + key->list->n_offset);
}

size_t
config_key_n_items(const struct config_key *key, const void *base)
{
	size_t n;

	memcpy(&n, (const char *)base + key->list->n_offset, sizeof(n));
	return n;
}

static void *
item_at(const struct config_key *key, void *base, size_t i)
{
	return (char *)base + key->offset + i * key->list->item_bytes;
}

void *
config_key_target(const struct config_key *key, void *base)
{
	size_t n;

	if (key->list == NULL)
		return (char *)base + key->offset;
	n = *count_of(key, base);
	check(n < key->list->max);
	return item_at(key, base, n);
}

static const char *
parse_digits(const char *p, int64_t *number, int64_t *scale, bool *beyond)
{
	for (; is_digit(*p); p++) {
		*beyond |= __builtin_mul_overflow(*number, 10, number);
		*beyond |= __builtin_add_overflow(*number, *p - '0', number);
		*beyond |= __builtin_mul_overflow(*scale, 10, scale);
	}
	return p;
}

/*
 * Digits, perhaps with a fraction, and a unit that makes a whole number of
 * them. Beyond 64 bits it is the largest number, which no range allows.
 */
static int
parse_number(const char *text, const struct unit *units, int64_t *value)
{
	bool negative = text[0] == '-', beyond = false;
	const char *start = negative ? text + 1 : text, *p;
	int64_t number = 0, scale = 1;

	p = parse_digits(start, &number, &scale, &beyond);
	if (p == start)
		return -1;
	scale = 1;
	if (p[0] == '.' && is_digit(p[1]))
		p = parse_digits(p + 1, &number, &scale, &beyond);
	while (units->name != NULL && strcmp(units->name, p) != 0)
		units++;
	if (units->name == NULL)
		return -1;
	beyond |= __builtin_mul_overflow(number, units->factor, &number);
	if (!beyond && number % scale != 0)
		return -1;
	number = beyond ? INT64_MAX : number / scale;
	*value = negative ? -number : number;
	return 0;
}

static int
parse_key_number(const struct config_key *key, const char *text, int64_t *value,
    struct err *err)
{
	const struct unit *units = kinds[key->kind].units;
	int64_t min = 0, max = 0;

	if (parse_number(text, units, value) == -1)
		return err_set(err, "must be %s, not '%.40s'",
		    kinds[key->kind].form, text);
	(void)parse_number(key->min, units, &min);
	(void)parse_number(key->max, units, &max);
	if (*value < min || *value > max)
		return err_set(err, "must be between %s and %s, not '%.40s'",
		    key->min, key->max, text);
	return 0;
}

static int
parse_bool(const char *text, bool *value)
{
	*value = strcmp(text, "true") == 0;
	return *value || strcmp(text, "false") == 0 ? 0 : -1;
}

/* The place of the text among the names, of which some may be NULL; or -1. */
static int
place(const char *text, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (names[i] != NULL && strcmp(text, names[i]) == 0)
			return (int)i;
	return -1;
}

static int
parse_level(const char *text, enum log_level *level)
{
	int i = place(text, levels, sizeof(levels) / sizeof(levels[0]));

	if (i != -1)
		*level = (enum log_level)i;
	return i == -1 ? -1 : 0;
}

static int
parse_tls(const char *text, enum sql_tls *tls)
{
	int i =
	    place(text, tls_modes, sizeof(tls_modes) / sizeof(tls_modes[0]));

	if (i != -1)
		*tls = (enum sql_tls)i;
	return i == -1 ? -1 : 0;
}

/* The form is not shown with the value: there may be a password in it. */
static int
check_datastore_url(const char *text, const char *form, struct err *err)
{
	struct sql_place place;
	struct err reason;

	if (sql_describe(text, NULL, &place, &reason) == -1)
		return err_set(err, "must be %s: %s", form, reason.text);
	sql_place_free(&place);
	return 0;
}

static int
set_string(char **target, const char *text, struct err *err)
{
	char *copy;

	if (*text == '\0')
		return err_set(err, "must not be empty");
	copy = strdup(text);
	if (copy == NULL)
		return err_set(err, "out of memory");
	free(*target);
	*target = copy;
	return 0;
}

/* A name or an address of a Host header, without its port; or "*". */
static bool
is_host(const char *text)
{
	static const char in_names[] = "abcdefghijklmnopqrstuvwxyz"
				       "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789-._";
	size_t len = strlen(text);

	if (strcmp(text, "*") == 0)
		return true;
	if (*text != '[')
		return len > 0 && text[strspn(text, in_names)] == '\0';
	return len > 2 && text[len - 1] == ']' &&
	       url_is_ipv6(slice_of(text + 1, len - 2));
}

static bool
is_ipv4(struct slice host)
{
	char text[INET_ADDRSTRLEN];
	struct in_addr address;

	if (host.len >= sizeof(text))
		return false;
	memcpy(text, host.p, host.len);
	text[host.len] = '\0';
	return inet_pton(AF_INET, text, &address) == 1;
}

static bool
is_endpoint(const char *text)
{
	struct url url = {0};

	url_split_authority(slice_from_string(text), &url);
	return url_has_host(&url) && url.user.p == NULL && url.port.p != NULL &&
	       (slice_eq(url.port, SLICE_LITERAL("0")) ||
		   url_port(url.port) != 0) &&
	       (url.host_is_literal ? url_is_ipv6(url.host)
				    : is_ipv4(url.host));
}

/* As a worker tells hosts apart: without the dot of the root. */
static bool
is_name(const char *host)
{
	return strcmp(host, "*") != 0 && host[strlen(host) - 1] != '.';
}

static int
set_key_number(const struct config_key *key, void *target, const char *text,
    struct err *err)
{
	int64_t number;

	if (parse_key_number(key, text, &number, err) == -1)
		return -1;
	if (key->kind == KIND_INT)
		*(int *)target = (int)number;
	else if (key->kind == KIND_UNSIGNED || key->kind == KIND_PERCENT)
		*(unsigned *)target = (unsigned)number;
	else
		*(int64_t *)target = number;
	return 0;
}

static int
set_value(const struct config_key *key, void *target, const char *text,
    struct err *err)
{
	const char *form = kinds[key->kind].form;

	switch (key->kind) {
	case KIND_INT:
	case KIND_UNSIGNED:
	case KIND_PERCENT:
	case KIND_SIZE:
	case KIND_DURATION:
		return set_key_number(key, target, text, err);
	case KIND_HOST:
	case KIND_HOST_NAME:
		if (is_host(text) && (key->kind == KIND_HOST || is_name(text)))
			return set_string(target, text, err);
		break;
	case KIND_BOOL:
		if (parse_bool(text, target) == 0)
			return 0;
		break;
	case KIND_LEVEL:
		if (parse_level(text, target) == 0)
			return 0;
		break;
	case KIND_TLS:
		if (parse_tls(text, target) == 0)
			return 0;
		break;
	case KIND_ENDPOINT:
		if (is_endpoint(text))
			return set_string(target, text, err);
		break;
	case KIND_URL:
		return check_datastore_url(text, form, err) == -1
			   ? -1
			   : set_string(target, text, err);
	case KIND_OUTCOME:
		if (outcome_rules_add(target, slice_from_string(text)))
			return 0;
		break;
	case KIND_STRING:
	case KIND_PATH:
	case KIND_DESTINATION:
		return set_string(target, text, err);
	case KIND_RECORD:
		check_never("a value");
	}
	return err_set(err, "must be %s, not '%.40s'", form, text);
}

int
config_key_set(
    const struct config_key *key, void *base, const char *text, struct err *err)
{
	void *target = config_key_target(key, base);

	if (set_value(key, target, text, err) == -1)
		return -1;
	if (key->list != NULL)
		++*count_of(key, base);
	return 0;
}

void *
config_key_add_record(const struct config_key *key, void *base)
{
	void *record = config_key_target(key, base);

	check(key->list->fields != NULL);
	memset(record, 0, key->list->item_bytes);
	++*count_of(key, base);
	return record;
}

static void
clear_item(const struct config_key *key, void *target)
{
	const struct config_list *list = key->list;

	if (kinds[key->kind].string) {
		free(*(char **)target);
		*(char **)target = NULL;
	}
	if (key->kind == KIND_OUTCOME)
		*(struct outcome_rules *)target = (struct outcome_rules){0};
	for (size_t i = 0; list != NULL && i < list->n_fields; i++)
		config_key_clear(&list->fields[i], target);
}

void
config_key_clear(const struct config_key *key, void *base)
{
	if (key->list == NULL) {
		clear_item(key, config_key_target(key, base));
		return;
	}
	for (size_t i = 0; i < *count_of(key, base); i++)
		clear_item(key, item_at(key, base, i));
	*count_of(key, base) = 0;
}

/* Entries of a list stand between blanks in the table of config_keys. */
int
config_key_set_default(
    const struct config_key *key, void *base, struct err *err)
{
	char text[NAME_MAX_LEN];

	for (const char *p = key->value; p != NULL && *p != '\0';) {
		size_t len = strcspn(p, " ");

		(void)snprintf(text, sizeof(text), "%.*s", (int)len, p);
		if (config_key_set(key, base, text, err) == -1)
			return -1;
		p += len + strspn(p + len, " ");
	}
	return 0;
}

const char *
config_key_nearest(const char *section, const char *name)
{
	struct words_guess guess;

	words_guess_init(&guess, slice_from_string(name));
	for (size_t i = 0; i < N_KEYS; i++) {
		const struct config_key *key = &config_keys[i];

		if (section == NULL)
			words_guess_offer(&guess, key->section);
		else if (strcmp(key->section, section) == 0)
			words_guess_offer(&guess, key->name);
	}
	return guess.meant;
}

const struct config_key *
config_field_find(const struct config_key *key, const char *name)
{
	for (size_t i = 0; i < key->list->n_fields; i++)
		if (strcmp(key->list->fields[i].name, name) == 0)
			return &key->list->fields[i];
	return NULL;
}

const char *
config_field_nearest(const struct config_key *key, const char *name)
{
	struct words_guess guess;

	words_guess_init(&guess, slice_from_string(name));
	for (size_t i = 0; i < key->list->n_fields; i++)
		words_guess_offer(&guess, key->list->fields[i].name);
	return guess.meant;
}

const struct config_key *
config_section_find(const char *section)
{
	for (size_t i = 0; i < N_KEYS; i++)
		if (strcmp(config_keys[i].section, section) == 0)
			return &config_keys[i];
	return NULL;
}

const struct config_key *
config_key_find(const char *section, const char *name)
{
	for (size_t i = 0; i < N_KEYS; i++) {
		const struct config_key *key = &config_keys[i];

		if ((section == NULL || strcmp(key->section, section) == 0) &&
		    strcmp(key->name, name) == 0)
			return key;
	}
	return NULL;
}

const char *
config_key_form(const struct config_key *key)
{
	return kinds[key->kind].form;
}
