/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BOARD_METRIC_H
#define CASSATA_BOARD_METRIC_H

#include <stdbool.h>

/*
 * One row per counter or gauge: X(NAME, type, metric name, labels, help). What a
 * name says is seconds is kept in milliseconds.
 */
#define METRICS_OF_SERVICE(X)                                                  \
	X(CONNECTIONS_OPEN, "gauge", "cassata_connections", "",                \
	    "Open client connections.")                                        \
	X(CONNECTIONS_ACCEPTED, "counter",                                     \
	    "cassata_connections_accepted_total", "",                          \
	    "Client connections accepted.")                                    \
	X(CONNECTIONS_DISPLACED, "counter",                                    \
	    "cassata_connections_displaced_total", "",                         \
	    "Client connections closed for new ones at the limit.")            \
	X(CONNECTIONS_REFUSED, "counter",                                      \
	    "cassata_connections_refused_total", "",                           \
	    "Client connections beyond the limit of their address.")           \
	X(REQUEST_MEMORY, "gauge", "cassata_request_memory_bytes", "",         \
	    "Memory held for requests and answers.")                           \
	X(REQUESTS_2XX, "counter", "cassata_http_requests_total",              \
	    "{code=\"2xx\"}", "Requests answered, by class of status code.")   \
	X(REQUESTS_4XX, "counter", "cassata_http_requests_total",              \
	    "{code=\"4xx\"}", "")                                              \
	X(REQUESTS_5XX, "counter", "cassata_http_requests_total",              \
	    "{code=\"5xx\"}", "")                                              \
	X(EVENTS_ADDED, "counter", "cassata_events_added_total", "",           \
	    "Events accepted and committed.")                                  \
	X(EVENTS_REPEATED, "counter", "cassata_events_repeated_total", "",     \
	    "Add requests for an event that was there, and stays.")            \
	X(EVENTS_REPLACED, "counter", "cassata_events_replaced_total", "",     \
	    "Events that took the place of others with their ids.")            \
	X(EVENTS_CONFLICTING, "counter", "cassata_events_conflicting_total",   \
	    "", "Add requests for an event that was there, other content.")    \
	X(EVENTS_REFUSED, "counter", "cassata_events_refused_total", "",       \
	    "Add requests refused for want of room in the datastore.")         \
	X(EVENTS_DELETED, "counter", "cassata_events_deleted_total", "",       \
	    "Events deleted by clients.")                                      \
	X(ADD_COMMITS, "counter", "cassata_commits_total",                     \
	    "{role=\"service\"}", "Datastore transactions.")

#define METRICS_OF_WORKER(X)                                                   \
	X(TURN_COMMITS, "counter", "cassata_commits_total",                    \
	    "{role=\"worker\"}", "Datastore transactions.")                    \
	X(EVENTS_CLAIMED, "counter", "cassata_events_claimed_total", "",       \
	    "Events taken for delivery.")                                      \
	X(EVENTS_DEFERRED, "counter", "cassata_events_deferred_total", "",     \
	    "Events put back because their host has enough.")                  \
	X(EVENTS_POSTPONED, "counter", "cassata_events_postponed_total", "",   \
	    "Events put back for want of descriptors, memory or the like.")    \
	X(EVENTS_PARKED, "counter", "cassata_events_parked_total", "",         \
	    "Events that were due and are parked by a pause.")                 \
	X(EVENTS_DAMAGED, "counter", "cassata_events_damaged_total", "",       \
	    "Times that an event was due, could not be read and was put off.") \
	X(DELIVERIES_IN_FLIGHT, "gauge", "cassata_deliveries_in_flight", "",   \
	    "Deliveries on the wire.")                                         \
	X(DELIVERED, "counter", "cassata_attempts_total",                      \
	    "{outcome=\"delivered\"}", "Delivery attempts, by outcome.")       \
	X(RETRIED, "counter", "cassata_attempts_total",                        \
	    "{outcome=\"retry\"}", "")                                         \
	X(GIVEN_UP, "counter", "cassata_attempts_total",                       \
	    "{outcome=\"failed\"}", "")                                        \
	X(RESULTS_STALE, "counter", "cassata_results_stale_total", "",         \
	    "Results not written: the claim was no longer ours.")              \
	X(EVENTS_INTERRUPTED, "counter", "cassata_events_interrupted_total",   \
	    "", "Events put back because their worker was lost.")              \
	X(EVENTS_PURGED, "counter", "cassata_events_purged_total", "",         \
	    "Finished events removed after the retention.")                    \
	X(LATENESS_MS, "counter", "cassata_lateness_seconds_total", "",        \
	    "Sum of seconds between due time, or acceptance, and first byte sent.") \
	X(SHARDS_HELD, "gauge", "cassata_shards_held", "",                     \
	    "Shards leased to the workers of this host.")

#define METRICS_OF_BOTH(X)                                                     \
	X(LOOP_STALLS, "counter", "cassata_loop_stalls_total", "",             \
	    "Times that the loop of a process stood still for a second.")      \
	X(LOOP_STALLED_MS, "counter", "cassata_loop_stalled_seconds_total",    \
	    "", "Seconds that these took.")                                    \
	X(STORE_FAILURES, "counter", "cassata_store_failures_total", "",       \
	    "Datastore calls that failed.")

#define METRICS(X) METRICS_OF_SERVICE(X) METRICS_OF_WORKER(X) METRICS_OF_BOTH(X)

enum metric {
#define METRIC_ENUM(name, type, metric, labels, help) METRIC_##name,
	METRICS(METRIC_ENUM)
#undef METRIC_ENUM
	    METRIC_COUNT
};

/* What METRICS says of each. */
struct metric_row {
	const char *type, *name, *labels, *help;
};
extern const struct metric_row metric_rows[METRIC_COUNT];

/* Whose children count it. */
enum metric_group { METRIC_OF_SERVICE, METRIC_OF_WORKER, METRIC_OF_BOTH };
enum metric_group metric_group(enum metric metric);

/* A gauge ends with its child, a counter does not. */
bool metric_is_gauge(enum metric metric);

/* Kept in milliseconds, and told in seconds. */
bool metric_is_seconds(enum metric metric);

#endif
