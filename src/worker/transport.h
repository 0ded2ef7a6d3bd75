/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_TRANSPORT_H
#define CASSATA_WORKER_TRANSPORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <curl/curl.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/slice.h"
#include "worker/address_policy.h"

/*
 * HTTP requests over libcurl's multi interface, driven by our loop. Connections
 * are reused; a handle is not: what an answer left in it is not always cleared
 * (curl pull request 11103).
 */
struct transport;
struct transfer;

struct transport_config {
	int max_transfers; /* connections kept open */
	int64_t connect_timeout_ms;
	int64_t timeout_ms; /* of the whole transfer */
	const char *ca_file; /* in place of the system's authorities, or NULL */
	size_t max_header_bytes; /* of a response, its trailers included */
	/* Of the connection from a request to its end, all included. */
	uint64_t max_received_bytes;
	struct own_listeners own_listeners; /* no request goes there */
	/* Names looked up at the same time: each has a thread, and descriptors
	 * of its own. */
	size_t max_lookups;
	unsigned lookup_share; /* of these for one application or domain */
	/* While libcurl works on the bytes of one request: its row_id; else 0.
	 * Outlives this process, which those bytes may kill. NULL: not told. */
	_Atomic int64_t *parsed_row_id;
};

/* Whose fault the end of a transfer is. */
enum transport_fault {
	FAULT_NONE,    /* code tells about the destination */
	FAULT_UNSENT,  /* may_send forbade it: no byte of it was sent */
	FAULT_BUSY,    /* may_connect forbade it: unsent, too */
	FAULT_OURS,    /* no descriptor, port, thread, memory or look-up is
			* left; unsent, too */
	FAULT_ADDRESS, /* the policy for addresses; unsent, too */
};

/* How a transfer ended. */
struct transport_end {
	CURLcode code;
	int status; /* of the response, 0 for none */
	int64_t retry_after_ms;
	bool sent; /* a connection stood, the request went, or a part of it */
	bool refuses_retry; /* a whole response with "Cassata-Retry: no" */
	const char *error; /* of a code that is not CURLE_OK; until on_end */
	enum transport_fault fault;
	int64_t wait_ms; /* for FAULT_OURS: until there may be enough again */
};

struct transport_request {
	const char *method; /* this and url: until the call returns */
	const char *url;
	struct curl_slist *headers; /* borrowed until the end */
	struct slice body;	    /* borrowed; not sent with GET and HEAD */
	int64_t row_id;		    /* for parsed_row_id */
	struct slice app, host; /* for shares of look-ups; borrowed */
	bool own_connection; /* used by no request before or after this one */
	/*
	 * Asked when a connection stands, each time that the request is about
	 * to be sent. NULL: it always may.
	 */
	bool (*may_send)(void *arg);
	/* Asked with each address before it is connected to, and of a kept
	 * connection. NULL: it always may. */
	bool (*may_connect)(void *arg, const char *ip);
	/* A line of the response's head, with its end; NULL: not told. */
	void (*on_header)(void *arg, struct slice line);
	/*
	 * Bytes of the response body as they come. Returning false ends the
	 * transfer there, which then counts as complete.
	 */
	bool (*on_body)(void *arg, int status, struct slice bytes);
	/* Called once; the transfer is gone afterwards. */
	void (*on_end)(void *arg, const struct transport_end *end);
	void *arg;
};

/* NULL with the reason in err. */
struct transport *transport_create(
    struct loop *loop, const struct transport_config *config, struct err *err);

/* All transfers must have ended. NULL in *transport is accepted. */
void transport_free(struct transport **transport);

/*
 * Starts a request; the callbacks come from the loop, never from within this
 * call. NULL when memory is short.
 */
struct transfer *transport_start(
    struct transport *transport, const struct transport_request *request);

/* Ends a transfer without calling on_end. */
void transport_cancel(struct transfer *transfer);

#endif
