/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BENCH_HISTOGRAM_H
#define CASSATA_BENCH_HISTOGRAM_H

#include <stdint.h>

/*
 * Counts of microseconds in buckets of log-linear width, after HdrHistogram:
 * each power of two is cut into 1024 equal parts, so that any value is known to
 * three significant digits, from 1 us to 19 hours.
 */
struct histogram {
	uint64_t n;
	int64_t min_us, max_us; /* exact; 0 when n is 0 */
	double sum_us;
	uint64_t *buckets;
};

/* 0, or -1 when memory is short. */
int histogram_init(struct histogram *h);
void histogram_fini(struct histogram *h);

/* Values below 0 count as 0, those beyond the range as its end. */
void histogram_add(struct histogram *h, int64_t value_us);

/* The value that this part of all (0 to 1) does not exceed; 0 when empty. */
int64_t histogram_quantile_us(const struct histogram *h, double part);

/* 0 when empty. */
double histogram_mean_us(const struct histogram *h);

#endif
