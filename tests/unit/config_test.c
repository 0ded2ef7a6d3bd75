/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

#include "config/config_load.h"
#include "suite.h"

/* Each test runs in an empty directory; its file is c.yaml. */
static char example[PATH_MAX]; /* etc/cassata.yaml */
static char dir[PATH_MAX];
static struct config cfg;
static struct config_errors errors;

#define AT(field) offsetof(struct config, field)
#define N(table)  ((int)(sizeof(table) / sizeof((table)[0])))

#define NUMBER(s, name, type, field, value, min_text, min, max_text, max)      \
#s, name, type, AT(s.field), value, min_text, max_text, min, max, NULL
#define OTHER(s, name, type, field, value, string)                             \
#s, name, type, AT(s.field), value, NULL, NULL, 0, 0, string

enum type { INT, UNSIGNED, INT64, LIST, BOOL, LEVEL, TLS, STRING };

static const struct field {
	const char *section, *name;
	enum type type;
	size_t offset;
	int64_t value;
	const char *min_text, *max_text; /* numbers only */
	int64_t min, max;
	const char *string;
} fields[] = {
    {NUMBER(service, "port", INT, port, 8085, "0", 0, "65535", 65535)},
    {OTHER(service, "listen", STRING, listen, 0, "127.0.0.1")},
    {NUMBER(service, "processes", INT, processes, 1, "1", 1, "32", 32)},
    {OTHER(service, "createTablesIfNotExists", BOOL, create_tables, 0, NULL)},
    {NUMBER(service, "commitBatch", INT, commit_batch, 2000, "1", 1, "10000",
	10000)},
    {NUMBER(service, "maxRequestMemory", INT64, max_request_memory_bytes,
	134217728, "1MiB", 1048576, "64GiB", 68719476736)},
    {NUMBER(service, "maxRequestsPerConnection", INT, max_requests, 0, "0", 0,
	"1000000000", 1000000000)},
    {NUMBER(service, "maxConnections", INT, max_connections, 1024, "1", 1,
	"100000", 100000)},
    {NUMBER(service, "maxConnectionsPerAddress", INT, max_per_address, 0, "0",
	0, "100000", 100000)},
    {NUMBER(service, "maxRequestLineBytes", INT64, max_request_line_bytes, 8192,
	"256B", 256, "1MiB", 1048576)},
    {NUMBER(service, "maxHeaderBytes", INT64, max_header_bytes, 32768, "1KiB",
	1024, "1MiB", 1048576)},
    {NUMBER(service, "maxHeaders", INT, max_headers, 64, "1", 1, "128", 128)},
    {NUMBER(service, "maxBodyBytes", INT64, max_body_bytes, 4194304, "1KiB",
	1024, "256MiB", 268435456)},
    {NUMBER(service, "maxAtomicEvents", INT, max_atomic_events, 1000, "1", 1,
	"10000", 10000)},
    {OTHER(service, "getDelete", BOOL, get_delete, 1, NULL)},
    {NUMBER(service, "maxAttempts", UNSIGNED, retry_limits.max_attempts, 100,
	"1", 1, "1001", 1001)},
    {NUMBER(service, "minRetryDelay", INT64, retry_limits.min_delay_ms, 0, "0",
	0, "1h", 3600000)},
    {NUMBER(service, "maxPauses", INT, max_pauses, 64, "1", 1, "256", 256)},
    {NUMBER(service, "minSchedulePeriod", INT64, min_schedule_period_ms, 1000,
	"1s", 1000, "1d", 86400000)},
    {NUMBER(service, "maxSchedules", INT, max_schedules, 1000, "1", 1, "100000",
	100000)},
    {NUMBER(service, "maxLists", INT, max_lists, 8, "1", 1, "1000", 1000)},
    {NUMBER(service, "maxListPage", INT, max_list_page, 1000, "1", 1, "10000",
	10000)},
    {NUMBER(service, "maxListScan", INT, max_list_scan, 10000, "1", 1,
	"1000000", 1000000)},
    {NUMBER(service, "maxListBytes", INT64, max_list_bytes, 1048576, "1KiB",
	1024, "64MiB", 67108864)},
    {NUMBER(service, "maxJobs", INT, max_jobs, 8, "1", 1, "1000", 1000)},
    {NUMBER(service, "jobRate", INT, job_rate, 100, "1", 1, "100000", 100000)},
    {NUMBER(service, "maxJobRate", INT, max_job_rate, 1000, "1", 1, "100000",
	100000)},
    {NUMBER(service, "headerTimeout", INT64, header_timeout_ms, 10000, "100ms",
	100, "1h", 3600000)},
    {NUMBER(service, "bodyTimeout", INT64, body_timeout_ms, 30000, "100ms", 100,
	"1h", 3600000)},
    {NUMBER(service, "minBodyRate", INT64, min_body_rate, 500, "0", 0, "1GiB",
	1073741824)},
    {NUMBER(service, "idleTimeout", INT64, idle_timeout_ms, 60000, "100ms", 100,
	"1h", 3600000)},
    {NUMBER(service, "writeTimeout", INT64, write_timeout_ms, 30000, "100ms",
	100, "1h", 3600000)},
    {NUMBER(worker, "numWorkerThreads", INT, processes, 5, "1", 1, "64", 64)},
    {NUMBER(worker, "workerThreadPollingInterval", INT64, polling_interval_ms,
	10000, "100ms", 100, "1h", 3600000)},
    {NUMBER(worker, "numEventsProcessedPerTransaction", INT, claim_min, 5, "1",
	1, "10000", 10000)},
    {NUMBER(worker, "maxEventsProcessedPerTransaction", INT, claim_max, 500,
	"1", 1, "10000", 10000)},
    {NUMBER(worker, "maxConcurrentDeliveries", INT, max_deliveries, 320, "1", 1,
	"10000", 10000)},
    {NUMBER(worker, "maxLookups", INT, max_lookups, 64, "1", 1, "1000", 1000)},
    {NUMBER(worker, "maxQueuedPerHost", INT, max_queued_per_host, 512, "1", 1,
	"10000", 10000)},
    {NUMBER(worker, "maxEventMemory", INT64, max_event_memory_bytes, 134217728,
	"1MiB", 1048576, "64GiB", 68719476736)},
    {NUMBER(worker, "maxDeliveriesPerHost", INT, max_deliveries_per_host, 128,
	"0", 0, "10000", 10000)},
    {NUMBER(worker, "maxDeliveriesPerAddress", INT, max_deliveries_per_address,
	0, "0", 0, "10000", 10000)},
    {NUMBER(worker, "maxShare", UNSIGNED, max_share_percent, 80, "1", 1, "100",
	100)},
    {NUMBER(worker, "httpRetryCount", UNSIGNED, retry.max_retries, 5, "0", 0,
	"1000", 1000)},
    {NUMBER(worker, "retryDelays", LIST, retry.delay_ms[0], 30000, "0", 0,
	"30d", 2592000000)},
    {NUMBER(worker, "retryJitter", UNSIGNED, retry.jitter_percent, 20, "0", 0,
	"100", 100)},
    {NUMBER(worker, "maxRetryAfter", INT64, retry.retry_after_max_ms, 21600000,
	"0", 0, "30d", 2592000000)},
    {NUMBER(worker, "connectTimeout", INT64, connect_timeout_ms, 5000, "100ms",
	100, "1h", 3600000)},
    {NUMBER(worker, "deliveryTimeout", INT64, delivery_timeout_ms, 30000,
	"100ms", 100, "1h", 3600000)},
    {NUMBER(worker, "newEventInterval", INT64, new_event_interval_ms, 25, "0",
	0, "10s", 10000)},
    {NUMBER(
	worker, "claimAhead", INT64, claim_ahead_ms, 50, "0", 0, "10s", 10000)},
    {NUMBER(worker, "lease", INT64, lease_ms, 0, "0", 0, "1h", 3600000)},
    {NUMBER(worker, "maxResponseBytes", INT64, max_response_bytes, 65536, "0",
	0, "1GiB", 1073741824)},
    {NUMBER(worker, "maxResponseHeaderBytes", INT64, max_response_header_bytes,
	65536, "1KiB", 1024, "1MiB", 1048576)},
    {NUMBER(worker, "responseBytesKept", INT64, response_bytes_kept, 2000, "0",
	0, "2000", 2000)},
    {NUMBER(worker, "callbackBytes", INT64, callback_bytes, 8192, "0", 0,
	"64KiB", 65536)},
    {NUMBER(worker, "retention", INT64, retention_ms, 604800000, "0", 0,
	"3650d", 315360000000)},
    {OTHER(service, "publicUrl", STRING, public_url, 0, NULL)},
    {OTHER(worker, "caFile", STRING, ca_file, 0, NULL)},
    {OTHER(datastore, "url", STRING, url, 0, "sqlite:cassata.db")},
    {OTHER(datastore, "passwordFile", STRING, password_file, 0, NULL)},
    {OTHER(datastore, "tls", TLS, tls, SQL_TLS_BY_HOST, NULL)},
    {OTHER(datastore, "tlsCaFile", STRING, tls_ca_file, 0, NULL)},
    {OTHER(datastore, "tlsCertificate", STRING, tls_certificate, 0, NULL)},
    {OTHER(datastore, "tlsKey", STRING, tls_key, 0, NULL)},
    {NUMBER(datastore, "connectTimeout", INT64, connect_timeout_ms, 3000,
	"100ms", 100, "1h", 3600000)},
    {NUMBER(datastore, "timeout", INT64, timeout_ms, 10000, "100ms", 100, "1h",
	3600000)},
    {NUMBER(datastore, "minFree", INT64, min_free_bytes, 67108864, "0", 0,
	"64GiB", 68719476736)},
    {OTHER(master, "stateDirectory", STRING, state_dir, 0, "/state")},
    {OTHER(master, "pidFile", STRING, pid_file, 0, "/state/cassatad.pid")},
    {OTHER(master, "controlSocket", STRING, control_socket, 0,
	"/state/cassatad.sock")},
    {NUMBER(master, "startTimeout", INT64, start_timeout_ms, 30000, "100ms",
	100, "1h", 3600000)},
    {NUMBER(master, "shutdownTimeout", INT64, shutdown_timeout_ms, 30000,
	"100ms", 100, "1h", 3600000)},
    {OTHER(log, "level", LEVEL, level, LOG_LEVEL_INFO, NULL)},
    {OTHER(log, "destination", STRING, destination, 0, "/state/cassata.log")},
    {NUMBER(log, "maxLineBytes", INT64, max_line_bytes, 2048, "256B",
	LOG_LINE_BYTES_MIN, "16KiB", LOG_LINE_BYTES_MAX)},
};

static void
set_up(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/cassata-config-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
	ck_assert_int_eq(chmod(dir, 0755), 0);
	unsetenv("CASSATA_HOME");
	unsetenv("CASSATA_DATASTORE_PASSWORD");
}

static void
tear_down(void)
{
	(void)unlink("c.yaml");
	(void)unlink("cassata.yaml");
	(void)unlink("secret");
	(void)rmdir(dir);
}

static void
write_bytes(const char *path, const char *bytes, size_t len)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(bytes, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
}

static void
write_file(const char *path, const char *text)
{
	write_bytes(path, text, strlen(text));
}

static int
load(const char *file, const char *state_dir)
{
	const struct config_source source = {
	    .file = file, .state_dir = state_dir, .roles = CONFIG_ALL};

	return config_load(&source, &cfg, &errors);
}

static void
done(void)
{
	config_free(&cfg);
	config_errors_free(&errors);
}

static void
load_good(const char *yaml)
{
	write_file("c.yaml", yaml);
	ck_assert_msg(load("c.yaml", "/state") == 0, "%s: %s", yaml,
	    errors.len > 0 ? errors.list[0].text : "no error");
	ck_assert_uint_eq(errors.len, 0);
}

/* All the errors, a line each. */
static void
load_bad(const char *yaml, size_t len, const char *expected)
{
	char text[8192] = "";
	size_t used = 0;

	write_bytes("c.yaml", yaml, len);
	ck_assert_int_eq(load("c.yaml", "/state"), -1);
	for (size_t i = 0; i < errors.len; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "%s%s", i == 0 ? "" : "\n", errors.list[i].text);
	ck_assert_str_eq(text, expected);
	done();
}

static int64_t
number_of(const struct config *config, const struct field *field)
{
	const char *target = (const char *)config + field->offset;

	switch (field->type) {
	case INT:
		return *(const int *)(const void *)target;
	case UNSIGNED:
		return *(const unsigned *)(const void *)target;
	case INT64:
	case LIST:
		return *(const int64_t *)(const void *)target;
	case BOOL:
		return *(const bool *)target;
	case LEVEL:
		return *(const enum log_level *)(const void *)target;
	case TLS:
		return *(const enum sql_tls *)(const void *)target;
	case STRING:
		break;
	}
	return 0;
}

static void
check_default(const struct field *field)
{
	static const int64_t delays[] = {
	    30000, 300000, 3600000, 28800000, 86400000};
	const char *target = (const char *)&cfg + field->offset;

	if (field->type == STRING)
		ck_assert_pstr_eq(
		    *(char *const *)(const void *)target, field->string);
	else
		ck_assert_msg(number_of(&cfg, field) == field->value,
		    "%s.%s is %lld", field->section, field->name,
		    (long long)number_of(&cfg, field));
	if (field->type == LIST) {
		ck_assert_uint_eq(cfg.worker.retry.n_delays, N(delays));
		ck_assert_mem_eq(
		    cfg.worker.retry.delay_ms, delays, sizeof(delays));
	}
}

START_TEST(test_defaults)
{
	load_good("");
	for (int i = 0; i < N(fields); i++)
		check_default(&fields[i]);
	ck_assert_ptr_null(cfg.datastore.password);
	done();
}
END_TEST

START_TEST(test_host_limits)
{
	load_good("worker:\n  hostLimits:\n"
		  "  - host: slow.example\n    maxDeliveries: 4\n"
		  "  - {maxDeliveries: 10000, host: '[::1]'}\n"
		  "  lease: 15s\n");
	ck_assert_uint_eq(cfg.worker.n_host_limits, 2);
	ck_assert_str_eq(cfg.worker.host_limits[0].host, "slow.example");
	ck_assert_uint_eq(cfg.worker.host_limits[0].max_deliveries, 4);
	ck_assert_str_eq(cfg.worker.host_limits[1].host, "[::1]");
	ck_assert_uint_eq(cfg.worker.host_limits[1].max_deliveries, 10000);
	ck_assert_int_eq(cfg.worker.lease_ms, 15000);
	done();
	load_good("worker:\n  hostLimits: []\n");
	ck_assert_uint_eq(cfg.worker.n_host_limits, 0);
	done();
	load_good("worker:\n  hostLimits:\n");
	ck_assert_uint_eq(cfg.worker.n_host_limits, 0);
	done();
}
END_TEST

START_TEST(test_too_many_host_limits)
{
	char yaml[16384] = "worker:\n  hostLimits:\n";
	size_t len = strlen(yaml);

	for (int i = 0; i < CONFIG_HOST_LIMITS_MAX; i++)
		len += (size_t)snprintf(yaml + len, sizeof(yaml) - len,
		    "  - {host: h%d, maxDeliveries: 1}\n", i);
	load_good(yaml);
	ck_assert_uint_eq(cfg.worker.n_host_limits, CONFIG_HOST_LIMITS_MAX);
	done();
	for (int i = 0; i < 2; i++)
		len += (size_t)snprintf(yaml + len, sizeof(yaml) - len,
		    "  - {host: i%d, maxDeliveries: 1}\n", i);
	load_bad(yaml, len,
	    "c.yaml:259:5: hostLimits must not have more than 256 entries\n"
	    "c.yaml:260:5: hostLimits must not have more than 256 entries");
}
END_TEST

START_TEST(test_hosts)
{
	load_good("service:\n  hosts:\n");
	ck_assert_uint_eq(cfg.service.hosts.n, 0);
	done();
	load_good(
	    "service:\n  hosts: [a-b.example, '*', '[fe80::1]', 1.2.3.4]\n");
	ck_assert_uint_eq(cfg.service.hosts.n, 4);
	ck_assert_str_eq(cfg.service.hosts.list[0], "a-b.example");
	ck_assert_str_eq(cfg.service.hosts.list[2], "[fe80::1]");
	done();
}
END_TEST

START_TEST(test_example_has_every_default)
{
	static char text[65536];
	char line[80];
	FILE *f = fopen(example, "r");

	ck_assert_msg(f != NULL, "%s", example);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	(void)fclose(f);
	ck_assert_msg(load(example, "/state") == 0, "%s",
	    errors.len > 0 ? errors.list[0].text : "no error");
	for (int i = 0; i < N(fields); i++) {
		check_default(&fields[i]);
		(void)snprintf(line, sizeof(line), "\n  %s:", fields[i].name);
		ck_assert_msg(strstr(text, line) != NULL, "%s is missing",
		    fields[i].name);
	}
	done();
}
END_TEST

/* Puts one value under its key, with what must be below or above it. */
static const char *
one(const struct field *field, const char *value)
{
	static char yaml[256];
	bool list = field->type == LIST;

	(void)snprintf(yaml, sizeof(yaml), "%s:\n  %s: %s%s%s\n%s",
	    field->section, field->name, list ? "[" : "", value,
	    list ? "]" : "",
	    field->offset == AT(worker.claim_min)
		? "  maxEventsProcessedPerTransaction: 10000\n"
	    : field->offset == AT(worker.claim_max)
		? "  numEventsProcessedPerTransaction: 1\n"
	    : field->offset == AT(service.max_request_memory_bytes)
		? "  maxBodyBytes: 1KiB\n"
	    : field->offset == AT(service.max_body_bytes)
		? "  maxRequestMemory: 1GiB\n"
	    : field->offset == AT(worker.lease_ms)
		? "datastore:\n  timeout: 1s\n  connectTimeout: 1s\n"
	    : field->offset == AT(datastore.timeout_ms) ||
		    field->offset == AT(datastore.connect_timeout_ms)
		? "worker:\n  lease: 1h\n"
		: "");
	return yaml;
}

START_TEST(test_range)
{
	const struct field *field = &fields[_i];
	static const char *const outside[] = {
	    "-1", "99999999999", "99999999999999999999999"};
	char expected[512];

	if (field->min_text == NULL)
		return;
	load_good(one(field, field->min_text));
	ck_assert_int_eq(number_of(&cfg, field), field->min);
	done();
	load_good(one(field, field->max_text));
	ck_assert_int_eq(number_of(&cfg, field), field->max);
	done();
	for (int i = 0; i < N(outside); i++) {
		(void)snprintf(expected, sizeof(expected),
		    "c.yaml:2:%zu: %s must be between %s and %s, not '%s'",
		    strlen(field->name) + (field->type == LIST ? 6 : 5),
		    field->name, field->min_text, field->max_text, outside[i]);
		load_bad(one(field, outside[i]), strlen(one(field, outside[i])),
		    expected);
	}
}
END_TEST

static const struct number_case {
	const char *yaml;
	size_t offset;
	int64_t value;
} number_cases[] = {
    {"{worker: {retention: 10}}", AT(worker.retention_ms), 10000},
    {"{worker: {retention: 0.25}}", AT(worker.retention_ms), 250},
    {"{worker: {retention: 250ms}}", AT(worker.retention_ms), 250},
    {"{worker: {retention: 1.5s}}", AT(worker.retention_ms), 1500},
    {"{worker: {retention: '5m'}}", AT(worker.retention_ms), 300000},
    {"{worker: {retention: 1.5h}}", AT(worker.retention_ms), 5400000},
    {"{worker: {retention: 0.125d}}", AT(worker.retention_ms), 10800000},
    {"{worker: {retention: 0d}}", AT(worker.retention_ms), 0},
    {"{worker: {retention: -0}}", AT(worker.retention_ms), 0},
    {"{worker: {retention: 007}}", AT(worker.retention_ms), 7000},
    {"{worker: {maxResponseBytes: 100}}", AT(worker.max_response_bytes), 100},
    {"{worker: {maxResponseBytes: 100B}}", AT(worker.max_response_bytes), 100},
    {"{worker: {maxResponseBytes: 2KiB}}", AT(worker.max_response_bytes), 2048},
    {"{worker: {maxResponseBytes: 1.5MiB}}", AT(worker.max_response_bytes),
	1572864},
    {"{worker: {maxResponseBytes: 0.5GiB}}", AT(worker.max_response_bytes),
	536870912},
    /* byte order mark, comment, document markers, directive */
    {"\xef\xbb\xbf"
     "# c\n%YAML 1.1\n---\nworker:\n  retention: 1 # c\n...\n",
	AT(worker.retention_ms), 1000},
    /* a section may be empty */
    {"worker:\nservice:\n", AT(worker.retention_ms), 604800000},
};

START_TEST(test_numbers)
{
	const struct number_case *c = &number_cases[_i];

	load_good(c->yaml);
	ck_assert_int_eq(
	    *(const int64_t *)(const void *)((char *)&cfg + c->offset),
	    c->value);
	done();
}
END_TEST

static bool
outcome_rules_eq(const struct outcome_rules *rules, const char *const *words)
{
	char text[OUTCOME_WORD_MAX];
	size_t i = 0;

	for (; words[i] != NULL; i++)
		if (strcmp(outcome_rules_word(rules, i, text), words[i]) != 0)
			return false;
	return outcome_rules_word(rules, i, text) == NULL;
}

START_TEST(test_other_kinds)
{
	load_good("service: {createTablesIfNotExists: true, listen: '::1'}\n"
		  "worker:\n"
		  "  httpRetryCount: 0\n"
		  "  retryJitter: 5%\n"
		  "  retryDelays:\n    - 1\n    - 250ms\n    - \"2m\"\n"
		  "  retryOn: [connect, 4xx, 503]\n"
		  "log: {level: debug, destination: syslog}\n");
	ck_assert(cfg.service.create_tables);
	ck_assert_str_eq(cfg.service.listen, "::1");
	ck_assert_uint_eq(cfg.worker.retry.max_retries, 0);
	ck_assert_uint_eq(cfg.worker.retry.jitter_percent, 5);
	ck_assert_uint_eq(cfg.worker.retry.n_delays, 3);
	ck_assert_int_eq(cfg.worker.retry.delay_ms[0], 1000);
	ck_assert_int_eq(cfg.worker.retry.delay_ms[1], 250);
	ck_assert_int_eq(cfg.worker.retry.delay_ms[2], 120000);
	ck_assert(outcome_rules_eq(&cfg.worker.retry.on,
	    (const char *[]){"4xx", "503", "connect", NULL}));
	ck_assert_int_eq(cfg.log.level, LOG_LEVEL_DEBUG);
	ck_assert_str_eq(cfg.log.destination, "syslog");
	done();
}
END_TEST

START_TEST(test_levels)
{
	static const struct {
		const char *yaml;
		enum log_level level;
	} cases[] = {
	    {"log: {level: error}", LOG_LEVEL_ERROR},
	    {"log: {level: warn}", LOG_LEVEL_WARN},
	    {"log: {level: info}", LOG_LEVEL_INFO},
	    {"log: {level: debug}", LOG_LEVEL_DEBUG},
	};

	for (int i = 0; i < N(cases); i++) {
		load_good(cases[i].yaml);
		ck_assert_int_eq(cfg.log.level, cases[i].level);
		done();
	}
}
END_TEST

START_TEST(test_tls)
{
	static const struct {
		const char *yaml;
		enum sql_tls tls;
	} cases[] = {
	    {"datastore: {tls: }", SQL_TLS_BY_HOST},
	    {"datastore: {tls: off}", SQL_TLS_OFF},
	    {"datastore: {tls: require}", SQL_TLS_REQUIRE},
	    {"datastore: {tls: verify, tlsCaFile: ca.pem}", SQL_TLS_VERIFY},
	};

	for (int i = 0; i < N(cases); i++) {
		load_good(cases[i].yaml);
		ck_assert_int_eq(cfg.datastore.tls, cases[i].tls);
		if (cases[i].tls == SQL_TLS_VERIFY)
			ck_assert_str_eq(
			    cfg.datastore.tls_ca_file, "/state/ca.pem");
		done();
	}
}
END_TEST

#define URL_FORM                                                               \
	"url must be sqlite:PATH or "                                          \
	"mysql://[user[:password]@]host[:port][,host...]/name"

#define NO_KIND   "it begins with neither sqlite: nor mysql://"
#define NO_PATH   "there is no path"
#define NO_NAME   "there is no name of a database of at most 64 bytes"
#define BAD_PORT  "the port is not 1 to 65535"
#define BAD_HOST  "bad host, or bad address in []"
#define BAD_LOGIN "bad % escape in the user or password"

START_TEST(test_urls)
{
	static const struct {
		const char *url;
		const char *reason; /* NULL: it is good */
	} cases[] = {
	    {"sqlite:/var/lib/c.db", NULL},
	    {"mysql://h/n", NULL},
	    {"mysql://h:3306/n", NULL},
	    {"mysql://u@h/n", NULL},
	    {"mysql://u:p@h:1/n", NULL},
	    {"mysql://u:p@x:y@h:65535/n", NULL},
	    {"mysql://[::1]/n", NULL},
	    {"mysql://u:p@[::1]:3306/n", NULL},
	    {"mysql:///n", NULL},
	    {"mysql://u:p@/n?socket=/run/s", NULL},
	    {"mysql://u:p@a,b:3307,[::1]:3308/n", NULL},
	    {"mysql://u:secret%@h/n", BAD_LOGIN},
	    {"sqlite:", NO_PATH},
	    {"sqlite", NO_KIND},
	    {"postgres://h/n", NO_KIND},
	    {"mysql:h/n", NO_KIND},
	    {"mysql://", NO_NAME},
	    {"mysql://u:secret@", NO_NAME},
	    {"mysql://h?/n", NO_NAME},
	    {"mysql://h/?socket=/s", NO_NAME},
	    {"mysql://h", NO_NAME},
	    {"mysql://h/", NO_NAME},
	    {"mysql://h/n/m", NO_NAME},
	    {"mysql://h:/n", BAD_PORT},
	    {"mysql://h:0/n", BAD_PORT},
	    {"mysql://h:65536/n", BAD_PORT},
	    {"mysql://h:x/n", BAD_PORT},
	    {"mysql://[::1/n", BAD_HOST},
	    {"mysql://u:secret@a,b:0/n", "host 2: " BAD_PORT},
	    {"mysql://u:secret@a,[::1,b/n", "host 2: " BAD_HOST},
	    {"mysql://a,b,A/n", "host 3: it is host 1 again"},
	    {"mysql://a,,b/n", "host 2: there is none"},
	};
	char yaml[128], error[256];

	for (int i = 0; i < N(cases); i++) {
		(void)snprintf(
		    yaml, sizeof(yaml), "datastore: {url: '%s'}", cases[i].url);
		if (cases[i].reason != NULL) {
			(void)snprintf(error, sizeof(error),
			    "c.yaml:1:18: " URL_FORM ": %s", cases[i].reason);
			load_bad(yaml, strlen(yaml), error);
			continue;
		}
		load_good(yaml);
		ck_assert_str_eq(cfg.datastore.url, cases[i].url);
		done();
	}
}
END_TEST

static const struct {
	const char *yaml, *errors;
} error_cases[] = {
    /* names */
    {"service:\n  prot: 1\n",
	"c.yaml:2:3: unknown key 'prot' in service; did you mean 'port'?"},
    {"worker:\n  numworkerthread: 1\n",
	"c.yaml:2:3: unknown key 'numworkerthread' in worker; "
	"did you mean 'numWorkerThreads'?"},
    {"service:\n  colour: red\n",
	"c.yaml:2:3: unknown key 'colour' in service"},
    {"service:\n"
     "  aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeee: 1\n",
	"c.yaml:2:3: unknown key "
	"'aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd' in service"},
    {"servce:\n  port: 1\n  nope: 1\n",
	"c.yaml:1:1: unknown section 'servce'; did you mean 'service'?"},
    {"plugins: [{a: 1}, b]\n", "c.yaml:1:1: unknown section 'plugins'"},
    {"port: 8085\n",
	"c.yaml:1:1: unknown section 'port'; it is a key of section "
	"'service'"},
    {"<<: {port: 1}\n", "c.yaml:1:1: unknown section '<<'"},
    {"service:\n  port: 1\n  listen: a\n  port: 2\n",
	"c.yaml:4:3: duplicate key 'port' in service, first in line 2"},
    {"log:\n  level: info\nservice:\nlog:\n  level: warn\n",
	"c.yaml:4:1: duplicate section 'log', first in line 1\n"
	"c.yaml:5:3: duplicate key 'level' in log, first in line 2"},
    /* kinds */
    {"service:\n  port: abc\n",
	"c.yaml:2:9: port must be a whole number, not 'abc'"},
    {"service:\n  port: 80.5\n",
	"c.yaml:2:9: port must be a whole number, not '80.5'"},
    {"service:\n  port: 0x50\n",
	"c.yaml:2:9: port must be a whole number, not '0x50'"},
    {"service:\n  port: 80s\n",
	"c.yaml:2:9: port must be a whole number, not '80s'"},
    {"service:\n  port: ''\n",
	"c.yaml:2:9: port must be a whole number, not ''"},
    {"service:\n  port: -\xc3\xa9\n",
	"c.yaml:2:9: port must be a whole number, not '-\xc3\xa9'"},
    {"service:\n  port: [1]\n",
	"c.yaml:2:9: port must be a whole number, not a list"},
    {"service:\n  port: {a: 1}\n",
	"c.yaml:2:9: port must be plain text or a number"},
    {"service:\n  port:\n", "c.yaml:2:8: port has no value"},
    {"service:\n  port: ~\n", "c.yaml:2:9: port has no value"},
    {"service:\n  createTablesIfNotExists: yes\n",
	"c.yaml:2:28: createTablesIfNotExists must be true or false, not "
	"'yes'"},
    {"service:\n  headerTimeout: 10 s\n",
	"c.yaml:2:18: headerTimeout must be a duration such as 250ms, 10s, "
	"5m, 1h or 7d, not '10 s'"},
    {"service:\n  headerTimeout: 1.\n",
	"c.yaml:2:18: headerTimeout must be a duration such as 250ms, 10s, "
	"5m, 1h or 7d, not '1.'"},
    {"service:\n  headerTimeout: .5\n",
	"c.yaml:2:18: headerTimeout must be a duration such as 250ms, 10s, "
	"5m, 1h or 7d, not '.5'"},
    /* less than a millisecond must not become 0, which is for ever */
    {"worker:\n  retention: 0.0001\n",
	"c.yaml:2:14: retention must be a duration such as 250ms, 10s, 5m, "
	"1h or 7d, not '0.0001'"},
    {"service:\n  maxBodyBytes: 4MB\n",
	"c.yaml:2:17: maxBodyBytes must be a size such as 2000, 64KiB or "
	"4MiB, not '4MB'"},
    {"worker:\n  retryJitter: lots\n",
	"c.yaml:2:16: retryJitter must be a percentage such as 20, not "
	"'lots'"},
    {"worker:\n  retryDelays: 10s\n",
	"c.yaml:2:16: retryDelays must be a list such as [10s, 1m, 1h]"},
    {"worker:\n  retryOn: [5xx, 200]\n",
	"c.yaml:2:18: retryOn must be a status from 300 to 599, at most 16 of "
	"them, 3xx, 4xx, 5xx, connect, timeout or answer, not '200'"},
    {"worker:\n  retryOn: []\n",
	"c.yaml:2:12: retryOn must have 1 to 32 entries, not 0"},
    {"worker:\n  retryDelays: []\n",
	"c.yaml:2:16: retryDelays must have 1 to 32 entries, not 0"},
    {"worker:\n  retryDelays: [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
     "1,1,1,1,1,1,1,1,[1]]\n",
	"c.yaml:2:16: retryDelays must have 1 to 32 entries, not 33"},
    {"worker:\n  retryDelays:\n    - 1s\n    - soon\n    - 31d\n",
	"c.yaml:4:7: retryDelays must be a duration such as 250ms, 10s, 5m, "
	"1h or 7d, not 'soon'\n"
	"c.yaml:5:7: retryDelays must be between 0 and 30d, not '31d'"},
    {"worker:\n  retryDelays: [1, [2]]\n",
	"c.yaml:2:20: retryDelays must be plain text or a number"},
    /* records */
    {"worker:\n  hostLimits: 4\n",
	"c.yaml:2:15: hostLimits must be a list such as "
	"[{host: api.example.net, maxDeliveries: 4}]"},
    {"worker:\n  hostLimits: {host: a}\n",
	"c.yaml:2:15: hostLimits must be plain text or a number"},
    {"worker:\n  hostLimits: [a, b]\n",
	"c.yaml:2:15: hostLimits must be a list such as "
	"[{host: api.example.net, maxDeliveries: 4}]"},
    {"worker:\n  hostLimits:\n  - a\n  - {host: a, maxDeliveries: 1}\n",
	"c.yaml:4:5: hostLimits must be plain text or a number"},
    {"worker:\n  hostLimits:\n  - {host: a, maxDeliveries: 1}\n  - a\n"
     "  - [a]\n  - {host: b}\n",
	"c.yaml:4:5: hostLimits must be a list of records alone\n"
	"c.yaml:5:5: hostLimits must be a list of records alone\n"
	"c.yaml:6:5: hostLimits needs a maxDeliveries"},
    {"worker:\n  hostLimits:\n  - {hots: a, maxDeliveries: 1}\n",
	"c.yaml:3:6: unknown key 'hots' in hostLimits; did you mean 'host'?\n"
	"c.yaml:3:5: hostLimits needs a host"},
    {"worker:\n  hostLimits:\n  - host: a\n    maxDeliveries: 1\n"
     "    host: b\n    zzz: 1\n",
	"c.yaml:5:5: duplicate key 'host' in hostLimits, first in line 3\n"
	"c.yaml:6:5: unknown key 'zzz' in hostLimits"},
    {"worker:\n  hostLimits:\n  - {host: 'a:80', maxDeliveries: 0}\n"
     "  - {host: '*', maxDeliveries: x}\n  - {host: a., maxDeliveries: 1}\n",
	"c.yaml:3:12: host must be a host's name or address without a port, "
	"not 'a:80'\n"
	"c.yaml:3:35: maxDeliveries must be between 1 and 10000, not '0'\n"
	"c.yaml:4:12: host must be a host's name or address without a port, "
	"not '*'\n"
	"c.yaml:4:32: maxDeliveries must be a whole number, not 'x'\n"
	"c.yaml:5:12: host must be a host's name or address without a port, "
	"not 'a.'"},
    {"worker:\n  hostLimits:\n  - {host: , maxDeliveries: [1]}\n",
	"c.yaml:3:12: host has no value\n"
	"c.yaml:3:29: maxDeliveries must be a whole number, not a list"},
    {"worker:\n  hostLimits:\n  - {host: a, maxDeliveries: 1}\n"
     "  - {host: A, maxDeliveries: 2}\n",
	"c.yaml:2:3: hostLimits has A twice"},
    {"worker:\n  hostLimits:\n  - {host: a, maxDeliveries: 1}\n"
     "  hostLimits:\n  - {host: b, maxDeliveries: 2}\n",
	"c.yaml:4:3: duplicate key 'hostLimits' in worker, first in line 2"},
    {"worker:\n  retryDelays: [{a: 1}, {b: 2}]\n  lease: [{a: 1}]\n"
     "  hostlimits: [{a: 1}]\n",
	"c.yaml:2:16: retryDelays must be a list such as [10s, 1m, 1h]\n"
	"c.yaml:3:10: lease must be a duration such as 250ms, 10s, 5m, 1h or "
	"7d,"
	" not a list\n"
	"c.yaml:4:3: unknown key 'hostlimits' in worker; did you mean "
	"'hostLimits'?"},

    {"service:\n  hosts: cassata.example.net\n",
	"c.yaml:2:10: hosts must be a list such as [cassata.example.net]"},
    {"service:\n  hosts: []\n",
	"c.yaml:2:10: hosts must have 1 to 32 entries, not 0"},
    {"service:\n  hosts: [a.example, 'b.example:80', '[::1]', '[::g]']\n",
	"c.yaml:2:22: hosts must be a host's name or address without a port, "
	"or *, not 'b.example:80'\n"
	"c.yaml:2:47: hosts must be a host's name or address without a port, "
	"or *, not '[::g]'"},
    {"service:\n  hosts: ['http://a']\n",
	"c.yaml:2:11: hosts must be a host's name or address without a port, "
	"or *, not 'http://a'"},
    {"log:\n  level: verbose\n",
	"c.yaml:2:10: level must be error, warn, info or debug, not "
	"'verbose'"},
    {"worker:\n  caFile: ''\n", "c.yaml:2:11: caFile must not be empty"},
    {"service:\n  listen: \"a\\nb\"\n",
	"c.yaml:2:11: listen must be without control characters"},
    {"service:\n  listen: \"a\\0b\"\n",
	"c.yaml:2:11: listen must be without control characters"},
    {"\"a\\eb\":\n  port: 1\n",
	"c.yaml:1:1: a section must be without control characters"},
    /* together */
    {"worker:\n  numEventsProcessedPerTransaction: 9\n"
     "  maxEventsProcessedPerTransaction: 8\n",
	"c.yaml:3:3: maxEventsProcessedPerTransaction (8) must not be below "
	"numEventsProcessedPerTransaction (9)"},
    {"worker:\n  lease: 999ms\n",
	"c.yaml:2:3: lease (999 ms) must be 0 or 1s and more"},
    {"worker:\n  numEventsProcessedPerTransaction: 501\n",
	"c.yaml:2:3: maxEventsProcessedPerTransaction (500) must not be below "
	"numEventsProcessedPerTransaction (501)"},
    {"service:\n  maxBodyBytes: 8MiB\n  maxRequestMemory: 16MiB\n",
	"c.yaml:3:3: maxRequestMemory (16777216 bytes) must have room for two "
	"of the largest requests (17055744 bytes)"},
    {"service:\n  maxBodyBytes: 64MiB\n",
	"c.yaml:2:3: maxRequestMemory (134217728 bytes) must have room for two "
	"of the largest requests (134496256 bytes)"},
    {"master:\n  controlSocket: "
     "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
	"c.yaml:2:3: controlSocket is longer than the 107 bytes of a socket's "
	"path: "
	"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
    /* shapes */
    {"just words\n", "c.yaml:1:1: the file must be sections with keys"},
    {"- a\n- b\n", "c.yaml:1:1: the file must be sections with keys"},
    {"service: 5\nlog: {level: x}\n",
	"c.yaml:1:10: service must be a section: keys with values\n"
	"c.yaml:2:14: level must be error, warn, info or debug, not 'x'"},
    {"service: [port]\n",
	"c.yaml:1:10: service must be a section: keys with values"},
    {"[a]: {b: c}\n", "c.yaml:1:1: a section must be plain text or a number"},
    {"service:\n  {a: b}: 1\n  port: x\n",
	"c.yaml:2:3: a key must be plain text or a number\n"
	"c.yaml:3:9: port must be a whole number, not 'x'"},
    /* what YAML can do and this file may not */
    {"service: &s\n  port: &p 1\nworker: *s\n",
	"c.yaml:1:10: anchors are not supported\n"
	"c.yaml:2:9: anchors are not supported\n"
	"c.yaml:3:9: aliases are not supported"},
    {"service:\n  port: !!int 1\n  listen: !x [*y]\n",
	"c.yaml:2:9: tags are not supported\n"
	"c.yaml:3:11: tags are not supported\n"
	"c.yaml:3:15: aliases are not supported"},
    {"!m\n*a : {b: c}\n", "c.yaml:1:1: tags are not supported\n"
			  "c.yaml:2:1: aliases are not supported"},
    {"log: {level: info}\n---\nlog: {level: x}\n",
	"c.yaml:2:1: only one document is allowed"},
    {"x: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n",
	"c.yaml:1:1: unknown section 'x'\n"
	"c.yaml:1:19: nested too deeply"},
    /* syntax, after what was found before it */
    {"service:\n  prt: 1\n port: 1\n",
	"c.yaml:2:3: unknown key 'prt' in service; did you mean 'port'?\n"
	"c.yaml:3:2: not valid YAML: did not find expected key while parsing "
	"a block mapping that starts in line 1"},
    {"log: [1, 2\n",
	"c.yaml:1:6: log must be a section: keys with values\n"
	"c.yaml:2:1: not valid YAML: did not find expected ',' or ']' while "
	"parsing a flow sequence that starts in line 1"},
    {"a: b: c\n",
	"c.yaml:1:1: unknown section 'a'\n"
	"c.yaml:1:5: not valid YAML: mapping values are not allowed in this "
	"context"},
    {"log:\n\tlevel: info\n",
	"c.yaml:2:1: not valid YAML: found character that cannot start any "
	"token while scanning for the next token that starts in line 2"},
    {"# \xc3\xa9\nlog:\n  level: \xff\n",
	"c.yaml:3:10: not valid YAML: invalid leading UTF-8 octet"},
    {"log: {level: x}\nlist: \x01\n",
	"c.yaml:2:7: not valid YAML: control characters are not allowed"},
};

START_TEST(test_errors)
{
	load_bad(error_cases[_i].yaml, strlen(error_cases[_i].yaml),
	    error_cases[_i].errors);
}
END_TEST

START_TEST(test_errors_have_an_end)
{
	static char yaml[8192] = "service:\n";

	for (int i = 0; i < 300; i++)
		(void)snprintf(yaml + strlen(yaml), sizeof(yaml) - strlen(yaml),
		    "  qqqqqqqqq%d: 1\n", i);
	write_file("c.yaml", yaml);
	ck_assert_int_eq(load("c.yaml", "/state"), -1);
	ck_assert_uint_eq(errors.len, 101);
	ck_assert_str_eq(errors.list[99].text,
	    "c.yaml:101:3: unknown key 'qqqqqqqqq99' in service");
	ck_assert_str_eq(
	    errors.list[100].text, "only the first 100 errors are shown");
	done();
}
END_TEST

START_TEST(test_nothing_in_the_file)
{
	static const char *const cases[] = {
	    "", "\n", "# only a comment\n", "---\n", "---\n...\n", "{}", "~"};

	for (int i = 0; i < N(cases); i++) {
		load_good(cases[i]);
		ck_assert_int_eq(cfg.service.port, 8085);
		done();
	}
}
END_TEST

START_TEST(test_no_value_means_the_default)
{
	load_good("worker: {caFile: }\ndatastore: {passwordFile: ~}\n"
		  "master: {stateDirectory: null, pidFile: , "
		  "controlSocket: }\n");
	ck_assert_ptr_null(cfg.worker.ca_file);
	ck_assert_ptr_null(cfg.datastore.password_file);
	ck_assert_str_eq(cfg.master.pid_file, "/state/cassatad.pid");
	done();
}
END_TEST

static void
load_unreadable(const char *file, const char *expected)
{
	ck_assert_int_eq(load(file, NULL), -1);
	ck_assert_uint_eq(errors.len, 1);
	ck_assert_str_eq(errors.list[0].text, expected);
	done();
}

START_TEST(test_unreadable)
{
	uid_t uid = geteuid();

	load_unreadable("none.yaml",
	    "none.yaml: cannot be read: No such file or directory");
	load_unreadable("/", "/: cannot be read: Is a directory");
	write_file("c.yaml", "");
	ck_assert_int_eq(chmod("c.yaml", 0), 0);
	if (uid == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	load_unreadable("c.yaml", "c.yaml: cannot be read: Permission denied");
	if (uid == 0)
		ck_assert_int_eq(seteuid(uid), 0);
}
END_TEST

START_TEST(test_file_size)
{
	enum { MAX = 1024 * 1024 };
	char *text = malloc(MAX + 1);

	ck_assert_ptr_nonnull(text);
	memset(text, '#', MAX + 1);
	write_bytes("c.yaml", text, MAX);
	ck_assert_int_eq(load("c.yaml", "/state"), 0);
	done();
	load_bad(text, MAX + 1, "c.yaml: cannot be read: File too large");
	free(text);
}
END_TEST

START_TEST(test_paths)
{
	char expected[PATH_MAX + 16];

	load_good("worker: {caFile: ca.pem}\nlog: {destination: /l/x}\n"
		  "master: {stateDirectory: /elsewhere, pidFile: run/pid,"
		  " controlSocket: /run/s}\n");
	ck_assert_str_eq(cfg.worker.ca_file, "/state/ca.pem");
	ck_assert_str_eq(cfg.log.destination, "/l/x");
	ck_assert_str_eq(cfg.master.pid_file, "/state/run/pid");
	ck_assert_str_eq(cfg.master.control_socket, "/run/s");
	done();

	load_good("log: {destination: stderr}\nworker: {caFile: stderr}\n");
	ck_assert_str_eq(cfg.log.destination, "stderr");
	ck_assert_str_eq(cfg.worker.ca_file, "/state/stderr");
	done();

	ck_assert_int_eq(load("c.yaml", "here"), 0);
	(void)snprintf(expected, sizeof(expected), "%s/here", dir);
	ck_assert_str_eq(cfg.master.state_dir, expected);
	done();
}
END_TEST

START_TEST(test_state_directory)
{
	write_file("c.yaml", "master: {stateDirectory: /from/file}\n");
	setenv("CASSATA_HOME", "/from/environment", 1);
	ck_assert_int_eq(load("c.yaml", "/from/option"), 0);
	ck_assert_str_eq(cfg.master.state_dir, "/from/option");
	done();
	ck_assert_int_eq(load("c.yaml", NULL), 0);
	ck_assert_str_eq(cfg.master.state_dir, "/from/environment");
	done();
	setenv("CASSATA_HOME", "", 1);
	ck_assert_int_eq(load("c.yaml", NULL), 0);
	ck_assert_str_eq(cfg.master.state_dir, "/from/file");
	ck_assert_str_eq(cfg.log.destination, "/from/file/cassata.log");
	done();
	write_file("c.yaml", "master:\n  stateDirectory: data\n");
	ck_assert_int_eq(load("c.yaml", NULL), -1);
	ck_assert_str_eq(errors.list[0].text,
	    "c.yaml:2:3: stateDirectory must be an absolute path, not 'data'");
	done();
	write_file("c.yaml", "");
	ck_assert_int_eq(load("c.yaml", NULL), 0);
	ck_assert_int_eq(cfg.master.state_dir[0], '/');
	ck_assert_str_ne(cfg.master.state_dir, "/from/file");
	done();
}
END_TEST

START_TEST(test_which_file)
{
	write_file("c.yaml", "service: {port: 1}\n");
	write_file("cassata.yaml", "service: {port: 2}\n");
	ck_assert_int_eq(load("c.yaml", dir), 0);
	ck_assert_int_eq(cfg.service.port, 1);
	done();
	ck_assert_int_eq(load(NULL, dir), 0);
	ck_assert_int_eq(cfg.service.port, 2);
	done();
	setenv("CASSATA_HOME", dir, 1);
	ck_assert_int_eq(load(NULL, NULL), 0);
	ck_assert_int_eq(cfg.service.port, 2);
	done();
	/* an option's directory hides the environment's */
	ck_assert_int_eq(load(NULL, "/nonexistent"), 0);
	ck_assert_str_eq(cfg.master.state_dir, "/nonexistent");
	ck_assert_int_ne(cfg.service.port, 2);
	done();
}
END_TEST

/* As root the children have a user of their own, named or not. */
START_TEST(test_user)
{
	load_good("");
	if (geteuid() == 0) {
		ck_assert_str_eq(cfg.master.user,
		    getpwnam("cassata") != NULL ? "cassata" : "nobody");
		ck_assert_uint_ne(cfg.master.uid, 0);
	} else {
		ck_assert_ptr_null(cfg.master.user);
	}
	done();
	load_good("master: {user: nobody}\n");
	ck_assert_str_eq(cfg.master.user, "nobody");
	ck_assert_uint_ne(cfg.master.uid, 0);
	done();
}
END_TEST

START_TEST(test_roles)
{
	static const struct {
		enum config_roles roles;
		const char *pid_file, *control_socket;
	} cases[] = {
	    {CONFIG_ALL, "/s/cassatad.pid", "/s/cassatad.sock"},
	    {CONFIG_SERVICE_ONLY, "/s/cassatad-service.pid",
		"/s/cassatad-service.sock"},
	    {CONFIG_WORKER_ONLY, "/s/cassatad-worker.pid",
		"/s/cassatad-worker.sock"},
	};

	write_file("c.yaml", "");
	for (int i = 0; i < N(cases); i++) {
		const struct config_source source = {.file = "c.yaml",
		    .state_dir = "/s",
		    .roles = cases[i].roles};

		ck_assert_int_eq(config_load(&source, &cfg, &errors), 0);
		ck_assert_str_eq(cfg.master.pid_file, cases[i].pid_file);
		ck_assert_str_eq(
		    cfg.master.control_socket, cases[i].control_socket);
		done();
	}
}
END_TEST

/* A broken file must not keep anybody from the control socket. */
START_TEST(test_paths_in_spite_of_errors)
{
	write_file("c.yaml", "nonsense: [\n");
	ck_assert_int_eq(load("c.yaml", "/s"), -1);
	ck_assert_str_eq(cfg.master.control_socket, "/s/cassatad.sock");
	ck_assert_str_eq(cfg.master.pid_file, "/s/cassatad.pid");
	done();
}
END_TEST

START_TEST(test_long_state_directory)
{
	char state_dir[128], expected[512];

	memset(state_dir, 'd', sizeof(state_dir));
	state_dir[0] = '/';
	state_dir[sizeof(state_dir) - 1] = '\0';
	write_file("c.yaml", "");
	ck_assert_int_eq(load("c.yaml", state_dir), -1);
	ck_assert_uint_eq(errors.len, 1);
	(void)snprintf(expected, sizeof(expected),
	    "c.yaml: controlSocket is longer than the 107 bytes of a socket's "
	    "path: %s/cassatad.sock",
	    state_dir);
	ck_assert_str_eq(errors.list[0].text, expected);
	done();
}
END_TEST

static void
write_secret(const char *content)
{
	write_file("secret", content);
	ck_assert_int_eq(chmod("secret", 0640), 0);
}

static void
check_password(
    const char *content, const char *environment, const char *expected)
{
	write_file("c.yaml",
	    content != NULL ? "datastore: {passwordFile: secret}\n" : "");
	if (content != NULL)
		write_secret(content);
	if (environment != NULL)
		setenv("CASSATA_DATASTORE_PASSWORD", environment, 1);
	else
		unsetenv("CASSATA_DATASTORE_PASSWORD");
	ck_assert_int_eq(load("c.yaml", dir), 0);
	ck_assert_pstr_eq(cfg.datastore.password, expected);
	done();
}

static void
refuse_secret(mode_t mode, const char *reason)
{
	ck_assert_int_eq(chmod("secret", mode), 0);
	write_file("c.yaml", "datastore: {passwordFile: secret}\n");
	ck_assert_int_eq(load("c.yaml", dir), -1);
	ck_assert_uint_eq(errors.len, 1);
	ck_assert_ptr_nonnull(strstr(errors.list[0].text, reason));
	ck_assert_ptr_null(cfg.datastore.password);
	done();
}

START_TEST(test_password_that_is_none)
{
	write_secret("secret");
	refuse_secret(0644, "chmod u=rw,g=r,o= ");
	refuse_secret(0660, "chmod u=rw,g=r,o= ");
	refuse_secret(0601, "chmod u=rw,g=r,o= ");
	/* Neither of them is waited for. */
	ck_assert_int_eq(unlink("secret"), 0);
	ck_assert_int_eq(mkfifo("secret", 0600), 0);
	refuse_secret(0600, "it is no regular file");
}
END_TEST

START_TEST(test_pipe)
{
	ck_assert_int_eq(mkfifo("c.yaml", 0600), 0);
	load_unreadable(
	    "c.yaml", "c.yaml: cannot be read: it is no regular file");
}
END_TEST

START_TEST(test_password)
{
	char expected[PATH_MAX + 128];

	check_password(NULL, NULL, NULL);
	check_password(NULL, "", NULL);
	check_password(NULL, "env", "env");
	check_password("file", "env", "file");
	check_password("file\n", NULL, "file");
	check_password("file\r\n", NULL, "file");
	check_password(" fi le \n", NULL, " fi le ");
	check_password("", "env", "");

	write_file("c.yaml", "datastore:\n  passwordFile: missing\n");
	(void)snprintf(expected, sizeof(expected),
	    "c.yaml:2:3: passwordFile %s/missing cannot be read: "
	    "No such file or directory",
	    dir);
	ck_assert_int_eq(load("c.yaml", dir), -1);
	ck_assert_uint_eq(errors.len, 1);
	ck_assert_str_eq(errors.list[0].text, expected);
	done();
}
END_TEST

static Suite *
config_suite(void)
{
	Suite *suite = suite_create("config");
	TCase *tc = tcase_create("config");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_defaults);
	tcase_add_test(tc, test_hosts);
	tcase_add_test(tc, test_host_limits);
	tcase_add_test(tc, test_too_many_host_limits);
	tcase_add_test(tc, test_example_has_every_default);
	tcase_add_loop_test(tc, test_range, 0, N(fields));
	tcase_add_loop_test(tc, test_numbers, 0, N(number_cases));
	tcase_add_test(tc, test_other_kinds);
	tcase_add_test(tc, test_levels);
	tcase_add_test(tc, test_tls);
	tcase_add_test(tc, test_urls);
	tcase_add_loop_test(tc, test_errors, 0, N(error_cases));
	tcase_add_test(tc, test_errors_have_an_end);
	tcase_add_test(tc, test_nothing_in_the_file);
	tcase_add_test(tc, test_no_value_means_the_default);
	tcase_add_test(tc, test_unreadable);
	tcase_add_test(tc, test_pipe);
	tcase_add_test(tc, test_file_size);
	tcase_add_test(tc, test_paths);
	tcase_add_test(tc, test_state_directory);
	tcase_add_test(tc, test_which_file);
	tcase_add_test(tc, test_user);
	tcase_add_test(tc, test_roles);
	tcase_add_test(tc, test_paths_in_spite_of_errors);
	tcase_add_test(tc, test_long_state_directory);
	tcase_add_test(tc, test_password);
	tcase_add_test(tc, test_password_that_is_none);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	const char *top = getenv("top_srcdir");
	char relative[PATH_MAX];

	if (top == NULL)
		top = getenv("srcdir");
	(void)snprintf(relative, sizeof(relative), "%s/etc/cassata.yaml",
	    top != NULL ? top : ".");
	if (realpath(relative, example) == NULL) {
		(void)fprintf(stderr, "%s: %s\n", relative, strerror(errno));
		return EXIT_FAILURE;
	}
	return suite_run(config_suite());
}
