/* SPDX-License-Identifier: ISC */
#include "service/counts.h"

#include "service/state.h"

/* A slot's counters go on from those of the children that had it before. */
static void
publish_more(struct scoreboard_slot *score, enum metric metric, int64_t now,
    int64_t before)
{
	if (now != before)
		metric_add(score, metric, now - before);
}

void
counts_publish(struct service *service)
{
	const struct http_counts *now = http_server_counts(service->server);
	const struct http_counts *before = &service->published;
	struct scoreboard_slot *score = service->child->score;

	metric_set(score, METRIC_CONNECTIONS_OPEN, now->conns);
	metric_set(score, METRIC_REQUEST_MEMORY, now->memory_bytes);
	publish_more(score, METRIC_CONNECTIONS_ACCEPTED, now->accepted,
	    before->accepted);
	publish_more(score, METRIC_CONNECTIONS_DISPLACED, now->displaced,
	    before->displaced);
	publish_more(
	    score, METRIC_CONNECTIONS_REFUSED, now->refused, before->refused);
	publish_more(score, METRIC_REQUESTS_2XX,
	    now->answered[2] + now->answered[3],
	    before->answered[2] + before->answered[3]);
	publish_more(
	    score, METRIC_REQUESTS_4XX, now->answered[4], before->answered[4]);
	publish_more(
	    score, METRIC_REQUESTS_5XX, now->answered[5], before->answered[5]);
	service->published = *now;
}
