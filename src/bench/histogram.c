/* SPDX-License-Identifier: ISC */
#include "bench/histogram.h"

#include <math.h>
#include <stdlib.h>

enum {
	PART_BITS = 10,
	PARTS = 1 << PART_BITS,
	VALUE_BITS = 36,
	/* Values below 2 * PARTS have a bucket each. */
	BUCKETS = (VALUE_BITS - PART_BITS + 1) * PARTS,
};

static size_t
bucket_of_value(uint64_t value)
{
	unsigned shift = 0;

	if (value >= UINT64_C(1) << VALUE_BITS)
		return BUCKETS - 1;
	if (value >= UINT64_C(2) * PARTS)
		shift = 63u - (unsigned)__builtin_clzll(value) - PART_BITS;
	return shift * (size_t)PARTS + (size_t)(value >> shift);
}

/* The largest value of a bucket. */
static int64_t
end_of_bucket(size_t bucket)
{
	unsigned shift =
	    bucket < (size_t)2 * PARTS ? 0 : (unsigned)(bucket / PARTS) - 1;
	uint64_t first = (uint64_t)(bucket - shift * (size_t)PARTS) << shift;

	return (int64_t)(first + (UINT64_C(1) << shift) - 1);
}

int
histogram_init(struct histogram *h)
{
	*h = (struct histogram){0};
	h->buckets = calloc(BUCKETS, sizeof(*h->buckets));
	return h->buckets == NULL ? -1 : 0;
}

void
histogram_fini(struct histogram *h)
{
	free(h->buckets);
	h->buckets = NULL;
}

void
histogram_add(struct histogram *h, int64_t value_us)
{
	int64_t value = value_us < 0 ? 0 : value_us;

	if (h->n == 0 || value < h->min_us)
		h->min_us = value;
	if (value > h->max_us)
		h->max_us = value;
	h->n++;
	h->sum_us += (double)value;
	h->buckets[bucket_of_value((uint64_t)value)]++;
}

int64_t
histogram_quantile_us(const struct histogram *h, double part)
{
	uint64_t rank = (uint64_t)ceil(part * (double)h->n), seen = 0;

	if (h->n == 0)
		return 0;
	if (rank < 1)
		rank = 1;
	for (size_t i = 0; i < BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen >= rank)
			return end_of_bucket(i) < h->max_us ? end_of_bucket(i)
							    : h->max_us;
	}
	return h->max_us;
}

double
histogram_mean_us(const struct histogram *h)
{
	return h->n == 0 ? 0 : h->sum_us / (double)h->n;
}
