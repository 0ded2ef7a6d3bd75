/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_SERVICE_H
#define CASSATA_SERVICE_SERVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "config/config.h"
#include "http/http_parser.h"
#include "proc/child.h"
#include "service/exchange.h"
#include "service/hosts.h"
#include "service/intake.h"
#include "service/peers.h"
#include "store/store_thread.h"

/* The state of a service child: accepts, and owns all connections. */
struct service {
	struct child *child;
	const struct config *cfg;
	struct loop *loop;
	struct store_thread *store;
	struct intake intake;
	struct exchange_list documents; /* wait for their event to be read */
	int n_documents; /* being read, or read and not yet answered */
	int n_pings; /* /readyz that wait for the datastore */
	struct http_limits limits;
	struct hosts hosts;
	struct buf_budget memory; /* of all requests and answers */
	struct buf metrics; /* their text, and when it may be made again */
	int64_t metrics_due_ms;

	struct loop_io **listeners; /* child->n_listen of them */
	struct loop_timer *accept_timer; /* while there is no room */
	bool accept_paused; /* by a lack of descriptors, until it fires */
	bool reserve_open; /* it has fired: connections beyond the limit */
	bool accepting;
	LIST_HEAD(, conn) conns;
	struct peers peers; /* whose they are */
	TAILQ_HEAD(conns, conn) idle; /* of these, the longest idle first */
	struct conns busy; /* of these, that move bytes */
	int n_conns;
	struct exchange_list pool; /* idle exchanges */
	int n_pool;
	bool in_trouble; /* the datastore's, told to the master */
	bool draining;
};

/* An exchange from the pool, or a new one; NULL when memory is short. */
struct exchange *service_take_exchange(struct service *service);
void service_return_exchange(struct service *service, struct exchange *x);

/* A connection of this service has been closed and freed, or may be now. */
void service_conn_closed(struct service *service);
void service_conn_movable(struct service *service);

/*
 * Closes a connection that does not read its answer; false when there is none.
 * Never the one whose request is being read or answered now.
 */
bool service_free_memory(struct service *service);

/* Fills the answer in: 503, service.maxRequestMemory is used up. */
void service_out_of_memory(struct exchange *x);

/*
 * Whether the datastore did its part; why not is told to the master, whose
 * status shows it.
 */
bool service_store_answered(struct service *service, const struct exchange *x);

/*
 * Answers the exchange for a datastore call that failed: 503 or 500; the store
 * has put the reason into the log.
 */
void service_store_failed(struct service *service, struct exchange *x);

#endif
