/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CONFIG_CONFIG_H
#define CASSATA_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/log.h"
#include "event/retry.h"
#include "sql/datastore.h"
#include "sql/sql_url.h"

enum { CONFIG_STRINGS_MAX = 32, CONFIG_HOST_LIMITS_MAX = 256 };

struct config_strings {
	size_t n;
	char *list[CONFIG_STRINGS_MAX];
};

/*
 * Every setting, with its default in the table of config_key.c. Durations are
 * milliseconds, sizes are bytes. Strings are owned by the config.
 */
struct config_service {
	char *listen;		     /* address */
	int port;		     /* 0: the kernel chooses */
	struct config_strings hosts; /* further names of this server, or "*" */
	int processes;
	char *public_url; /* without a '/' at its end; NULL: none */
	bool create_tables;	     /* createTablesIfNotExists */
	int commit_batch;	     /* adds per commit, at most */
	int max_requests;	     /* of one connection; 0: no limit */
	int max_connections;	     /* per process */
	int max_per_address;	     /* maxConnectionsPerAddress; 0: no limit */
	int64_t max_request_memory_bytes; /* per process */
	int64_t max_request_line_bytes;
	int64_t max_header_bytes;
	int max_headers;
	int64_t max_body_bytes;
	int max_atomic_events;
	bool get_delete; /* GET deletes, too */
	struct event_retry_limits retry_limits; /* maxAttempts, minRetryDelay */
	int max_pauses;		     /* of the datastore */
	int64_t min_schedule_period_ms;
	int max_schedules;	     /* of an application */
	int max_lists;		     /* under way, per process */
	int max_list_page;	     /* events in a page */
	int max_list_scan;	     /* rows looked at for one */
	int64_t max_list_bytes;	     /* of one, but for its last event */
	int max_jobs;		     /* of an application, that have not ended */
	int job_rate;		     /* events per second, unless asked for */
	int max_job_rate;
	int64_t header_timeout_ms;
	int64_t body_timeout_ms;
	int64_t min_body_rate;	     /* bytes per second; 0: none */
	int64_t idle_timeout_ms;
	int64_t write_timeout_ms;
};

/* The largest request, with what one read may bring beyond it; bytes. */
int64_t config_request_bytes(const struct config_service *service);

/* What one host gets in place of maxDeliveriesPerHost. */
struct config_host_limit {
	char *host;
	unsigned max_deliveries;
};

enum {
	CONFIG_LEASE_MIN_MS = 1000,
	CONFIG_LEASE_MS = 4000,
	CONFIG_LEASE_ALONE_MS = 30000, /* of one master's workers alone */
};

struct config_worker {
	int processes;		     /* numWorkerThreads */
	int64_t polling_interval_ms; /* workerThreadPollingInterval */
	int64_t new_event_interval_ms; /* 0: never */
	int claim_min;		     /* numEventsProcessedPerTransaction */
	int claim_max;		     /* maxEventsProcessedPerTransaction */
	int max_deliveries;	     /* maxConcurrentDeliveries */
	int max_deliveries_per_host; /* 0: no cap of its own */
	struct config_host_limit host_limits[CONFIG_HOST_LIMITS_MAX];
	size_t n_host_limits;
	int max_deliveries_per_address; /* the same */
	unsigned max_share_percent; /* of one host, address or application */
	int max_lookups;	     /* of names, at the same time */
	int max_queued_per_host;     /* beyond it: deferred */
	int64_t max_event_memory_bytes; /* per process */
	struct retry_policy retry;   /* httpRetryCount, retryDelays, … */
	int64_t connect_timeout_ms;
	int64_t delivery_timeout_ms;
	int64_t claim_ahead_ms;
	int64_t lease_ms; /* 0: one of the two below */
	int64_t max_response_bytes;  /* read, then the connection is closed */
	int64_t max_response_header_bytes; /* with trailers */
	int64_t response_bytes_kept; /* of a failed attempt, in the log */
	bool log_success;	     /* as an attempt of the event */
	int64_t callback_bytes;	     /* of an answer, that a callback has */
	int64_t retention_ms;	     /* of finished events; 0: keep for ever */
	char *ca_file;		     /* NULL: the system's */
};

struct config_datastore {
	char *url;
	struct sql_place place;	     /* what it says */
	char *password_file;	     /* NULL: none */
	char *password;		     /* from the file or the environment; NULL */
	enum sql_tls tls;
	char *tls_ca_file;	     /* NULL: the system's */
	char *tls_certificate;	     /* NULL: none; goes with the key */
	char *tls_key;
	int64_t connect_timeout_ms;
	int64_t timeout_ms;
	int64_t return_after_ms;     /* to a better host of url; 0: never */
	int64_t min_free_bytes;	     /* SQLite: that adds leave; 0: none */
};

/* In the environment; a passwordFile wins. */
#define CONFIG_PASSWORD_VARIABLE "CASSATA_DATASTORE_PASSWORD"

struct config_master {
	char *state_dir;	     /* absolute */
	char *pid_file;		     /* absolute */
	char *control_socket;	     /* absolute */
	char *frozen_file;	     /* absolute; of this daemon, no key */
	char *user;		     /* of the children; NULL: that of the master,
				which is not root */
	char *group;		     /* NULL: the user's */
	uid_t uid;		     /* of these two, if there is a user */
	gid_t gid;
	bool sandbox;
	char *metrics;		     /* ADDRESS:PORT; NULL: none */
	int64_t start_timeout_ms;
	int64_t shutdown_timeout_ms;
};

struct config_log {
	enum log_level level;
	char *destination;	     /* stderr, syslog, or an absolute path */
	int64_t max_line_bytes;
	int max_failures_per_second; /* lines about them, of a worker */
};

struct config {
	char *file; /* that was read, or NULL */
	struct config_service service;
	struct config_worker worker;
	struct config_datastore datastore;
	struct config_master master;
	struct config_log log;
};

/* What opens its datastore, for as long as it lives; without the write lock. */
struct store_params config_store_params(const struct config *cfg);

#endif
