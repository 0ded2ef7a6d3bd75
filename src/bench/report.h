/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BENCH_REPORT_H
#define CASSATA_BENCH_REPORT_H

#include <stdbool.h>

#include "bench/run.h"

/* Prints; true when all went as it should. */
bool report_load(const struct bench *bench);
bool report_sink(const struct bench *bench);
bool report_idle(const struct bench *bench);

#endif
