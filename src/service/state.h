/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_STATE_H
#define CASSATA_SERVICE_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "config/config.h"
#include "event/event_json.h"
#include "http/http_server.h"
#include "proc/child.h"
#include "service/hosts.h"
#include "service/intake.h"
#include "store/store_thread.h"

STAILQ_HEAD(call_list, call);
TAILQ_HEAD(list_list, list);

/* What the calls of a service process have in common. */
struct service {
	struct child *child;
	const struct config *cfg;
	struct http_server *server;
	struct store_thread *store;
	struct intake intake;
	struct event_context context;
	struct zones *store_zones; /* for what runs on the store's thread */
	struct hosts hosts;
	struct call_list documents; /* wait for their event to be read */
	int n_documents; /* being read, or read and not yet answered */
	struct store_thread *list_store; /* NULL before the first list */
	struct list_list lists;          /* under way */
	int n_lists;
	/* It drains: nobody is to wait for long. The lists' thread reads it. */
	_Atomic bool leaving;
	int n_pings;        /* /readyz that wait for the datastore */
	struct buf metrics; /* their text, and when it may be made again */
	int64_t metrics_due_ms;
	struct http_counts published; /* of the server, in the scoreboard */
	/* Of the datastore, told to the master: it fails; the last add that
	 * asked for room found none. */
	bool in_trouble, is_full;
};

#endif
