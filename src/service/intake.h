/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_INTAKE_H
#define CASSATA_SERVICE_INTAKE_H

#include "service/exchange.h"
#include "store/store_thread.h"

/*
 * Gathers the adds that arrive while a commit runs; they make the next commit.
 * No timer: when nothing runs, an add is committed before the loop sleeps.
 */
struct intake {
	struct service *service;
	struct store_job job;
	struct exchange_list waiting;
	size_t n_waiting;
	struct exchange_list running; /* of the transaction under way */
	size_t n_running;
	bool busy;
	size_t max; /* adds per transaction */
	struct store_add **adds;
	enum store_status status;
	struct err err;
};

/* 0, or -1 when memory is short. */
int intake_init(struct intake *intake, struct service *service, size_t max);
void intake_fini(struct intake *intake);

/* Takes an exchange whose add is filled in; answers it after the commit. */
void intake_add(struct intake *intake, struct exchange *x);

/* Before the loop sleeps: starts a transaction unless one is under way. */
void intake_commit(struct intake *intake);

#endif
