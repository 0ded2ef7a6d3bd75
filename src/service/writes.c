/* SPDX-License-Identifier: ISC */
#include "service/writes.h"

#include "service/problem.h"
#include "service/state.h"

enum { FROZEN_RETRY_S = 10 };

static void
count_writing(const struct call *call, int more)
{
	struct scoreboard_slot *score = call->service->child->score;

	/* Single writer. */
	atomic_store(&score->n_writing, atomic_load(&score->n_writing) + more);
}

enum verdict
writes_refuse(struct http_exchange *x)
{
	return problem_for_now(
	    x, PROBLEM_FROZEN, WRITES_FROZEN, FROZEN_RETRY_S);
}

bool
writes_may_begin(const struct call *call)
{
	const struct scoreboard *sb = call->service->child->sb;

	/* In this order: either we see that it is frozen, or the master sees
	 * us. */
	count_writing(call, 1);
	if (!atomic_load(&sb->shared->master.frozen))
		return true;
	count_writing(call, -1);
	return false;
}

bool
writes_begin(struct call *call)
{
	if (writes_may_begin(call))
		return true;
	(void)writes_refuse(call->x);
	return false;
}

void
writes_end(const struct call *call)
{
	count_writing(call, -1);
}
