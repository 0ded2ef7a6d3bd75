/* SPDX-License-Identifier: ISC */
#include "config/config.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/slice.h"
#include "config/config_yaml.h"

enum {
	FILE_BYTES_MAX = 1024 * 1024,
	PASSWORD_BYTES_MAX = 4096,
	NAME_MAX_LEN = 40,
	/* What one read may bring beyond the request that is being read. */
	READ_AHEAD_BYTES = 64 * 1024,
};

static_assert((int)CONFIG_VALUES_MAX == (int)RETRY_DELAYS_MAX,
    "a list is as long as the file may make it");

enum kind {
	KIND_INT,
	KIND_UNSIGNED,
	KIND_PERCENT,
	KIND_SIZE,
	KIND_DURATION,
	KIND_DURATIONS, /* a list, into a retry_policy */
	KIND_BOOL,
	KIND_LEVEL,
	KIND_STRING,
	KIND_URL,
	KIND_PATH,        /* relative to the state directory */
	KIND_DESTINATION, /* stderr, syslog, or such a path */
};

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
    [KIND_DURATIONS] = {"a duration such as 250ms, 10s, 5m, 1h or 7d",
	durations, false},
    [KIND_BOOL] = {"true or false", NULL, false},
    [KIND_LEVEL] = {"error, warn, info or debug", NULL, false},
    [KIND_STRING] = {"plain text", NULL, true},
    [KIND_URL] = {"sqlite:PATH or "
		  "mysql://[user[:password]@]host[:port]/name",
	NULL, true},
    [KIND_PATH] = {"a path", NULL, true},
    [KIND_DESTINATION] = {"stderr, syslog or a path", NULL, true},
};

struct key {
	const char *section, *name;
	enum kind kind;
	size_t offset;         /* of the target in struct config */
	const char *min, *max; /* of numbers; of each one in a list */
	const char *value;     /* default; NULL: none, may be left empty */
};

#define AT(field) offsetof(struct config, field)

static const struct key keys[] = {
    {"service", "port", KIND_INT, AT(service.port), "0", "65535", "8085"},
    {"service", "listen", KIND_STRING, AT(service.listen), NULL, NULL,
	"127.0.0.1"},
    {"service", "processes", KIND_INT, AT(service.processes), "1", "32", "1"},
    {"service", "createTablesIfNotExists", KIND_BOOL, AT(service.create_tables),
	NULL, NULL, "false"},
    {"service", "commitBatch", KIND_INT, AT(service.commit_batch), "1", "10000",
	"512"},
    {"service", "maxConnections", KIND_INT, AT(service.max_connections), "1",
	"100000", "1024"},
    {"service", "maxRequestMemory", KIND_SIZE,
	AT(service.max_request_memory_bytes), "1MiB", "64GiB", "128MiB"},
    {"service", "maxRequestsPerConnection", KIND_INT,
	AT(service.max_requests), "0", "1000000000", "0"},
    {"service", "maxRequestLineBytes", KIND_SIZE,
	AT(service.max_request_line_bytes), "256B", "1MiB", "8KiB"},
    {"service", "maxHeaderBytes", KIND_SIZE, AT(service.max_header_bytes),
	"1KiB", "1MiB", "32KiB"},
    {"service", "maxHeaders", KIND_INT, AT(service.max_headers), "1", "128",
	"64"},
    {"service", "maxBodyBytes", KIND_SIZE, AT(service.max_body_bytes), "1KiB",
	"256MiB", "4MiB"},
    {"service", "headerTimeout", KIND_DURATION, AT(service.header_timeout_ms),
	"100ms", "1h", "10s"},
    {"service", "bodyTimeout", KIND_DURATION, AT(service.body_timeout_ms),
	"100ms", "1h", "30s"},
    {"service", "idleTimeout", KIND_DURATION, AT(service.idle_timeout_ms),
	"100ms", "1h", "60s"},
    {"service", "writeTimeout", KIND_DURATION, AT(service.write_timeout_ms),
	"100ms", "1h", "30s"},

    {"worker", "numWorkerThreads", KIND_INT, AT(worker.processes), "1", "64",
	"5"},
    {"worker", "workerThreadPollingInterval", KIND_DURATION,
	AT(worker.polling_interval_ms), "100ms", "1h", "10"},
    {"worker", "numEventsProcessedPerTransaction", KIND_INT,
	AT(worker.claim_min), "1", "10000", "5"},
    {"worker", "maxEventsProcessedPerTransaction", KIND_INT,
	AT(worker.claim_max), "1", "10000", "500"},
    {"worker", "maxConcurrentDeliveries", KIND_INT, AT(worker.max_deliveries),
	"1", "10000", "256"},
    {"worker", "maxDeliveriesPerHost", KIND_INT,
	AT(worker.max_deliveries_per_host), "0", "10000", "0"},
    {"worker", "maxQueuedPerHost", KIND_INT, AT(worker.max_queued_per_host),
	"1", "10000", "64"},
    {"worker", "httpRetryCount", KIND_UNSIGNED, AT(worker.retry.max_retries),
	"0", "1000", "5"},
    {"worker", "retryDelays", KIND_DURATIONS, AT(worker.retry), "0", "30d",
	"10s 1m 10m 1h 6h"},
    {"worker", "retryJitter", KIND_PERCENT, AT(worker.retry.jitter_percent),
	"0", "100", "20"},
    {"worker", "maxRetryAfter", KIND_DURATION,
	AT(worker.retry.retry_after_max_ms), "0", "30d", "6h"},
    {"worker", "connectTimeout", KIND_DURATION, AT(worker.connect_timeout_ms),
	"100ms", "1h", "5s"},
    {"worker", "deliveryTimeout", KIND_DURATION, AT(worker.delivery_timeout_ms),
	"100ms", "1h", "30s"},
    {"worker", "claimAhead", KIND_DURATION, AT(worker.claim_ahead_ms), "0",
	"10s", "50ms"},
    {"worker", "lease", KIND_DURATION, AT(worker.lease_ms), "1s", "1h", "30s"},
    {"worker", "maxResponseBytes", KIND_SIZE, AT(worker.max_response_bytes),
	"0", "1GiB", "64KiB"},
    {"worker", "responseBytesKept", KIND_SIZE, AT(worker.response_bytes_kept),
	"0", "2000", "2000"},
    {"worker", "retention", KIND_DURATION, AT(worker.retention_ms), "0",
	"3650d", "7d"},
    {"worker", "caFile", KIND_PATH, AT(worker.ca_file), NULL, NULL, NULL},

    {"datastore", "url", KIND_URL, AT(datastore.url), NULL, NULL,
	"sqlite:cassata.db"},
    {"datastore", "passwordFile", KIND_PATH, AT(datastore.password_file), NULL,
	NULL, NULL},
    {"datastore", "connectTimeout", KIND_DURATION,
	AT(datastore.connect_timeout_ms), "100ms", "1h", "3s"},
    {"datastore", "timeout", KIND_DURATION, AT(datastore.timeout_ms), "100ms",
	"1h", "10s"},

    {"master", "stateDirectory", KIND_STRING, AT(master.state_dir), NULL, NULL,
	NULL},
    {"master", "pidFile", KIND_PATH, AT(master.pid_file), NULL, NULL, NULL},
    {"master", "controlSocket", KIND_PATH, AT(master.control_socket), NULL,
	NULL, NULL},
    {"master", "user", KIND_STRING, AT(master.user), NULL, NULL, NULL},
    {"master", "group", KIND_STRING, AT(master.group), NULL, NULL, NULL},
    {"master", "sandbox", KIND_BOOL, AT(master.sandbox), NULL, NULL, "true"},
    {"master", "startTimeout", KIND_DURATION, AT(master.start_timeout_ms),
	"100ms", "1h", "30s"},
    {"master", "shutdownTimeout", KIND_DURATION, AT(master.shutdown_timeout_ms),
	"100ms", "1h", "30s"},

    {"log", "level", KIND_LEVEL, AT(log.level), NULL, NULL, "info"},
    {"log", "destination", KIND_DESTINATION, AT(log.destination), NULL, NULL,
	"cassata.log"},
};

enum { N_KEYS = sizeof(keys) / sizeof(keys[0]) };

static const char *const levels[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

struct load {
	const char *file; /* NULL: none */
	struct config *cfg;
	struct config_errors *errors;
	const struct key *section; /* the first key of the present one */
	struct config_mark key_at[N_KEYS];
	struct config_mark section_at[N_KEYS]; /* by the first key of each */
};

static const struct config_mark nowhere = {0, 0};

static void *
target_of(struct config *cfg, const struct key *key)
{
	return (char *)cfg + key->offset;
}

static const char *
parse_digits(const char *p, int64_t *number, int64_t *scale, bool *beyond)
{
	for (; isdigit((unsigned char)*p); p++) {
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
	if (p[0] == '.' && isdigit((unsigned char)p[1]))
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
parse_key_number(
    const struct key *key, const char *text, int64_t *value, struct err *err)
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

static int
parse_level(const char *text, enum log_level *level)
{
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (strcmp(text, levels[i]) == 0) {
			*level = (enum log_level)i;
			return 0;
		}
	return -1;
}

/* [user[:password]@][host][:port], up to end. */
static bool
is_authority(const char *p, const char *end)
{
	const char *at = memrchr(p, '@', (size_t)(end - p));
	const char *host = at != NULL ? at + 1 : p;
	uint64_t port;

	if (host < end && *host == '[') {
		host = memchr(host, ']', (size_t)(end - host));
		if (host == NULL)
			return false;
	}
	p = memchr(host, ':', (size_t)(end - host));
	return p == NULL ||
	       (slice_to_u64(slice_of(p + 1, (size_t)(end - p - 1)), 65535,
		    &port) == 0 &&
		   port > 0);
}

/* Whether it has the shape of a datastore's URL; the store reads it. */
static bool
is_url(const char *url)
{
	const char *authority, *slash, *end;

	if (strncmp(url, "sqlite:", 7) == 0)
		return url[7] != '\0';
	if (strncmp(url, "mysql://", 8) != 0)
		return false;
	authority = url + 8;
	end = strchrnul(authority, '?');
	slash = memchr(authority, '/', (size_t)(end - authority));
	return slash != NULL && slash + 1 < end &&
	       memchr(slash + 1, '/', (size_t)(end - slash - 1)) == NULL &&
	       is_authority(authority, slash);
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

/* Adds to a list, sets anything else. */
static int
set(const struct key *key, struct config *cfg, const char *text,
    struct err *err)
{
	const char *form = kinds[key->kind].form;
	void *target = target_of(cfg, key);
	struct retry_policy *retry = &cfg->worker.retry;
	int64_t number = 0;

	if (kinds[key->kind].units != NULL &&
	    parse_key_number(key, text, &number, err) == -1)
		return -1;
	switch (key->kind) {
	case KIND_INT:
		*(int *)target = (int)number;
		return 0;
	case KIND_UNSIGNED:
	case KIND_PERCENT:
		*(unsigned *)target = (unsigned)number;
		return 0;
	case KIND_SIZE:
	case KIND_DURATION:
		*(int64_t *)target = number;
		return 0;
	case KIND_DURATIONS:
		assert(target == retry && retry->n_delays < RETRY_DELAYS_MAX);
		retry->delay_ms[retry->n_delays++] = number;
		return 0;
	case KIND_BOOL:
		if (parse_bool(text, target) == 0)
			return 0;
		break;
	case KIND_LEVEL:
		if (parse_level(text, target) == 0)
			return 0;
		break;
	case KIND_URL:
		/* not shown: there may be a password in it */
		if (!is_url(text))
			return err_set(err, "must be %s", form);
		return set_string(target, text, err);
	case KIND_STRING:
	case KIND_PATH:
	case KIND_DESTINATION:
		return set_string(target, text, err);
	}
	return err_set(err, "must be %s, not '%.40s'", form, text);
}

/* Entries of a list stand between blanks in the table of keys. */
static int
set_default(const struct key *key, struct config *cfg, struct err *err)
{
	char text[NAME_MAX_LEN];

	for (const char *p = key->value; p != NULL && *p != '\0';) {
		size_t len = strcspn(p, " ");

		(void)snprintf(text, sizeof(text), "%.*s", (int)len, p);
		if (set(key, cfg, text, err) == -1)
			return -1;
		p += len + strspn(p + len, " ");
	}
	return 0;
}

/* Edits that make one word of the other, in any case; SIZE_MAX: not short. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_LEN + 1], len_a = strlen(a), len_b = strlen(b);

	if (len_a > NAME_MAX_LEN || len_b > NAME_MAX_LEN)
		return SIZE_MAX;
	for (size_t j = 0; j <= len_b; j++)
		row[j] = j;
	for (size_t i = 1; i <= len_a; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= len_b; j++) {
			bool same = tolower((unsigned char)a[i - 1]) ==
				    tolower((unsigned char)b[j - 1]);
			size_t best = diagonal + (same ? 0 : 1);

			diagonal = row[j];
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (row[j] + 1 < best)
				best = row[j] + 1;
			row[j] = best;
		}
	}
	return row[len_b];
}

/* The key of the section, or without one the section, that may be meant. */
static const char *
nearest(const char *section, const char *name)
{
	size_t limit = (strlen(name) + 2) / 3, found;
	const char *best = NULL, *candidate;

	for (const struct key *key = keys; key < keys + N_KEYS; key++) {
		if (section != NULL && strcmp(key->section, section) != 0)
			continue;
		candidate = section == NULL ? key->section : key->name;
		found = distance(name, candidate);
		if (found <= limit && (best == NULL || found < limit)) {
			best = candidate;
			limit = found;
		}
	}
	return best;
}

static const struct key *
find_section(const char *section)
{
	for (const struct key *key = keys; key < keys + N_KEYS; key++)
		if (strcmp(key->section, section) == 0)
			return key;
	return NULL;
}

/* In any section when section is NULL. */
static const struct key *
find_key(const char *section, const char *name)
{
	for (const struct key *key = keys; key < keys + N_KEYS; key++)
		if ((section == NULL || strcmp(key->section, section) == 0) &&
		    strcmp(key->name, name) == 0)
			return key;
	return NULL;
}

static void
unknown_section(struct load *ld, const struct config_text *name)
{
	const struct key *key = find_key(NULL, name->text);
	const char *near = nearest(NULL, name->text);

	if (key != NULL)
		config_error(ld->errors, ld->file, name->at,
		    "unknown section '%s'; it is a key of section '%s'",
		    name->text, key->section);
	else if (near != NULL)
		config_error(ld->errors, ld->file, name->at,
		    "unknown section '%s'; did you mean '%s'?", name->text,
		    near);
	else
		config_error(ld->errors, ld->file, name->at,
		    "unknown section '%.40s'", name->text);
}

static bool
on_section(void *arg, const struct config_text *name)
{
	struct load *ld = arg;
	struct config_mark *at;

	ld->section = find_section(name->text);
	if (ld->section == NULL) {
		unknown_section(ld, name);
		return false;
	}
	at = &ld->section_at[ld->section - keys];
	if (at->line != 0)
		config_error(ld->errors, ld->file, name->at,
		    "duplicate section '%s', first in line %zu", name->text,
		    at->line);
	else
		*at = name->at;
	return true;
}

static void
unknown_key(struct load *ld, const struct config_text *name)
{
	const char *section = ld->section->section;
	const char *near = nearest(section, name->text);

	if (near != NULL)
		config_error(ld->errors, ld->file, name->at,
		    "unknown key '%s' in %s; did you mean '%s'?", name->text,
		    section, near);
	else
		config_error(ld->errors, ld->file, name->at,
		    "unknown key '%.40s' in %s", name->text, section);
}

/* One value, or the entries of the list that the key wants. */
static void
set_values(struct load *ld, const struct key *key,
    const struct config_setting *setting)
{
	struct err err;

	if (key->kind == KIND_DURATIONS) {
		if (setting->n < 1 || setting->n > RETRY_DELAYS_MAX) {
			config_error(ld->errors, ld->file, setting->at,
			    "%s must have 1 to %d entries, not %zu", key->name,
			    RETRY_DELAYS_MAX, setting->n);
			return;
		}
		ld->cfg->worker.retry.n_delays = 0;
	}
	for (size_t i = 0; i < setting->n; i++)
		if (set(key, ld->cfg, setting->values[i].text, &err) == -1)
			config_error(ld->errors, ld->file,
			    setting->values[i].at, "%s %s", key->name,
			    err.text);
}

static void
on_setting(void *arg, const struct config_setting *setting)
{
	struct load *ld = arg;
	const struct key *key =
	    find_key(ld->section->section, setting->name.text);
	bool null = !setting->list && setting->values[0].null;
	struct config_mark *at;

	if (key == NULL) {
		unknown_key(ld, &setting->name);
		return;
	}
	at = &ld->key_at[key - keys];
	if (at->line != 0) {
		config_error(ld->errors, ld->file, setting->name.at,
		    "duplicate key '%s' in %s, first in line %zu", key->name,
		    key->section, at->line);
		return;
	}
	*at = setting->name.at;
	if (null && key->value != NULL)
		config_error(ld->errors, ld->file, setting->at,
		    "%s has no value", key->name);
	else if (!setting->list && !null && key->kind == KIND_DURATIONS)
		config_error(ld->errors, ld->file, setting->at,
		    "%s must be a list such as [10s, 1m, 1h]", key->name);
	else if (setting->list && key->kind != KIND_DURATIONS)
		config_error(ld->errors, ld->file, setting->at,
		    "%s must be %s, not a list", key->name,
		    kinds[key->kind].form);
	else if (!null)
		set_values(ld, key, setting);
}

/* The whole file with a NUL behind it, or NULL with errno. */
static char *
read_file(const char *path, size_t max, size_t *len)
{
	FILE *f = fopen(path, "re");
	char *text;
	int saved_errno;

	if (f == NULL)
		return NULL;
	text = malloc(max + 1);
	if (text != NULL) {
		*len = fread(text, 1, max + 1, f);
		if (!ferror(f) && *len <= max) {
			text[*len] = '\0';
			(void)fclose(f);
			return text;
		}
		if (!ferror(f))
			errno = EFBIG;
	}
	saved_errno = errno;
	(void)fclose(f);
	free(text);
	errno = saved_errno;
	return NULL;
}

static void
load_file(struct load *ld)
{
	const struct config_handler handler = {on_section, on_setting, ld};
	size_t len = 0;
	char *text = read_file(ld->file, FILE_BYTES_MAX, &len);

	if (text == NULL)
		config_error(ld->errors, ld->file, nowhere,
		    "cannot be read: %s", strerror(errno));
	else
		config_yaml_read(ld->file, text, len, &handler, ld->errors);
	free(text);
}

/* The state directory as the caller or the environment has it, or NULL. */
static const char *
given_state_dir(const struct config_source *source)
{
	const char *home = getenv("CASSATA_HOME");

	if (source->state_dir != NULL)
		return source->state_dir;
	return home != NULL && *home != '\0' ? home : NULL;
}

/* One that cannot be looked at is there, too: reading it gives the reason. */
static bool
is_there(const char *path)
{
	return access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

/* The file to read, perhaps in buf; NULL: none. */
static const char *
choose_file(const struct config_source *source, char *buf, size_t size)
{
	const char *dir = given_state_dir(source);

	if (source->file != NULL)
		return source->file;
	if (dir != NULL &&
	    (size_t)snprintf(buf, size, "%s/cassata.yaml", dir) < size &&
	    is_there(buf))
		return buf;
	return is_there(CASSATA_CONFIG_FILE) ? CASSATA_CONFIG_FILE : NULL;
}

/* Makes *target the path, which starts in dir when it is relative. */
static int
set_path(char **target, const char *dir, const char *path)
{
	char *whole;

	if (asprintf(&whole, "%s%s%s", *path == '/' ? "" : dir,
		*path == '/' ? "" : "/", path) == -1)
		return -1;
	free(*target);
	*target = whole;
	return 0;
}

static int
complete_state_dir(struct config_master *master, const char *given)
{
	const char *path = given != NULL ? given : master->state_dir;
	char *cwd;
	int rc;

	if (path == NULL)
		path = CASSATA_STATE_DIR;
	cwd = getcwd(NULL, 0);
	if (cwd == NULL && *path != '/')
		return -1;
	rc = set_path(&master->state_dir, cwd, path);
	free(cwd);
	return rc;
}

/* 0, or -1 with errno. */
static int
complete_paths(struct config *cfg, const struct config_source *source)
{
	static const char *const programs[] = {
	    [CONFIG_ALL] = "cassatad",
	    [CONFIG_SERVICE_ONLY] = "cassatad-service",
	    [CONFIG_WORKER_ONLY] = "cassatad-worker",
	};
	struct config_master *master = &cfg->master;
	char name[NAME_MAX_LEN];

	if (complete_state_dir(master, given_state_dir(source)) == -1)
		return -1;
	(void)snprintf(name, sizeof(name), "%s.pid", programs[source->roles]);
	if (master->pid_file == NULL &&
	    set_path(&master->pid_file, master->state_dir, name) == -1)
		return -1;
	(void)snprintf(name, sizeof(name), "%s.sock", programs[source->roles]);
	if (master->control_socket == NULL &&
	    set_path(&master->control_socket, master->state_dir, name) == -1)
		return -1;
	for (const struct key *key = keys; key < keys + N_KEYS; key++) {
		char **path = target_of(cfg, key);

		if (key->kind != KIND_PATH && key->kind != KIND_DESTINATION)
			continue;
		if (*path == NULL || (key->kind == KIND_DESTINATION &&
					 (strcmp(*path, "stderr") == 0 ||
					     strcmp(*path, "syslog") == 0)))
			continue;
		if (set_path(path, master->state_dir, *path) == -1)
			return -1;
	}
	return 0;
}

/* Where the file sets the target at that offset of struct config. */
static struct config_mark
mark_of_target(const struct load *ld, size_t offset)
{
	for (size_t i = 0; i < N_KEYS; i++)
		if (keys[i].offset == offset)
			return ld->key_at[i];
	return nowhere;
}

static void
find_user(struct load *ld)
{
	struct config_master *master = &ld->cfg->master;
	const struct passwd *user;
	const struct group *group;

	if (master->user == NULL) {
		if (master->group != NULL)
			config_error(ld->errors, ld->file,
			    mark_of_target(ld, AT(master.group)),
			    "group needs a user");
		return;
	}
	user = getpwnam(master->user);
	if (user == NULL) {
		config_error(ld->errors, ld->file,
		    mark_of_target(ld, AT(master.user)), "no such user: %s",
		    master->user);
		return;
	}
	master->uid = user->pw_uid;
	master->gid = user->pw_gid;
	if (master->uid == 0)
		config_error(ld->errors, ld->file,
		    mark_of_target(ld, AT(master.user)),
		    "user must not be one with the rights of root");
	if (master->group == NULL)
		return;
	group = getgrnam(master->group);
	if (group == NULL)
		config_error(ld->errors, ld->file,
		    mark_of_target(ld, AT(master.group)), "no such group: %s",
		    master->group);
	else
		master->gid = group->gr_gid;
}

int64_t
config_request_bytes(const struct config_service *service)
{
	/* Headers count twice: chunk lines and trailers are bounded alike. */
	return service->max_request_line_bytes + 2 * service->max_header_bytes +
	       service->max_body_bytes + READ_AHEAD_BYTES;
}

/* Half of it is for requests; buffers kept for later ones may have the rest. */
static void
check_request_memory(struct load *ld)
{
	const struct config_service *service = &ld->cfg->service;
	int64_t least = 2 * config_request_bytes(service);
	struct config_mark at =
	    mark_of_target(ld, AT(service.max_request_memory_bytes));

	if (at.line == 0)
		at = mark_of_target(ld, AT(service.max_body_bytes));
	if (service->max_request_memory_bytes < least)
		config_error(ld->errors, ld->file, at,
		    "maxRequestMemory (%" PRId64 " bytes) must have room for "
		    "two of the largest requests (%" PRId64 " bytes)",
		    service->max_request_memory_bytes, least);
}

static void
check(struct load *ld)
{
	const struct config_worker *worker = &ld->cfg->worker;
	const char *path = ld->cfg->master.control_socket;
	size_t longest = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
	struct config_mark at = mark_of_target(ld, AT(worker.claim_max));

	if (at.line == 0)
		at = mark_of_target(ld, AT(worker.claim_min));
	if (worker->claim_max < worker->claim_min)
		config_error(ld->errors, ld->file, at,
		    "maxEventsProcessedPerTransaction (%d) must not be below "
		    "numEventsProcessedPerTransaction (%d)",
		    worker->claim_max, worker->claim_min);
	check_request_memory(ld);
	if (strlen(path) > longest)
		config_error(ld->errors, ld->file,
		    mark_of_target(ld, AT(master.control_socket)),
		    "controlSocket is longer than the %zu bytes of a socket's "
		    "path: %s",
		    longest, path);
}

/* The file's password wins over the environment's. */
static void
read_password(struct load *ld)
{
	struct config_datastore *ds = &ld->cfg->datastore;
	const char *password = getenv(CONFIG_PASSWORD_VARIABLE);
	size_t len;

	if (ds->password_file != NULL) {
		ds->password =
		    read_file(ds->password_file, PASSWORD_BYTES_MAX, &len);
		if (ds->password != NULL) {
			ds->password[strcspn(ds->password, "\r\n")] = '\0';
			return;
		}
		config_error(ld->errors, ld->file,
		    mark_of_target(ld, AT(datastore.password_file)),
		    "passwordFile %s cannot be read: %s", ds->password_file,
		    strerror(errno));
	} else if (password != NULL && *password != '\0') {
		ds->password = strdup(password);
		if (ds->password == NULL)
			config_error(
			    ld->errors, ld->file, nowhere, "out of memory");
	}
}

int
config_load(const struct config_source *source, struct config *cfg,
    struct config_errors *errors)
{
	char file[PATH_MAX];
	struct load ld = {.cfg = cfg, .errors = errors};
	struct err err;

	memset(cfg, 0, sizeof(*cfg));
	if (config_errors_init(errors) == -1)
		return -1;
	ld.file = choose_file(source, file, sizeof(file));
	for (const struct key *key = keys; key < keys + N_KEYS; key++)
		if (set_default(key, cfg, &err) == -1)
			config_error(errors, ld.file, nowhere,
			    "default of %s %s", key->name, err.text);
	if (ld.file != NULL) {
		cfg->file = strdup(ld.file);
		if (cfg->file == NULL)
			config_error(errors, ld.file, nowhere, "out of memory");
		load_file(&ld);
	}
	/* The daemon, which changes its directory, and cassatactl would read
	 * different places out of one file. */
	if (cfg->master.state_dir != NULL && cfg->master.state_dir[0] != '/')
		config_error(errors, ld.file,
		    mark_of_target(&ld, AT(master.state_dir)),
		    "stateDirectory must be an absolute path, not '%s'",
		    cfg->master.state_dir);
	if (complete_paths(cfg, source) == -1)
		config_error(errors, ld.file, nowhere,
		    "the state directory cannot be found: %s", strerror(errno));
	/* what the values mean together is known when each one is */
	if (errors->len == 0) {
		check(&ld);
		find_user(&ld);
		read_password(&ld);
	}
	if (errors->len > 0)
		return -1;
	config_errors_free(errors);
	return 0;
}

static void
wipe(char *secret)
{
	if (secret != NULL)
		explicit_bzero(secret, strlen(secret));
}

void
config_free(struct config *cfg)
{
	wipe(cfg->datastore.url);
	wipe(cfg->datastore.password);
	for (const struct key *key = keys; key < keys + N_KEYS; key++)
		if (kinds[key->kind].string)
			free(*(char **)target_of(cfg, key));
	free(cfg->datastore.password);
	free(cfg->file);
	memset(cfg, 0, sizeof(*cfg));
}
