/* SPDX-License-Identifier: ISC */
#include "event/outcome.h"

enum outcome
outcome_classify(bool transport_ok, bool permanent, int code)
{
	if (permanent)
		return OUTCOME_REJECTED;
	if (!transport_ok)
		return OUTCOME_RETRY;
	if (code >= 200 && code <= 299)
		return OUTCOME_DELIVERED;
	if (code == 408 || code == 425 || code == 429 ||
	    (code >= 500 && code <= 599))
		return OUTCOME_RETRY;
	return OUTCOME_REJECTED;
}
