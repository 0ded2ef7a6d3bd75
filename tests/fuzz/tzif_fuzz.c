/* SPDX-License-Identifier: ISC */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/tzif.h"
#include "target.h"

static void
check_local(const struct tzif *tz, int64_t local_s)
{
	struct tz_local local = tzif_local(tz, local_s);
	int32_t first_s = tzif_span(tz, local.first_s).offset_s;

	CHECK(local.first_s <= local.last_s);
	switch (local.fit) {
	case TZ_ONCE:
		CHECK(local.first_s == local.last_s);
		CHECK(local.first_s + first_s == local_s);
		break;
	case TZ_TWICE:
		CHECK(local.first_s < local.last_s);
		CHECK(local.first_s + first_s == local_s);
		CHECK(local.last_s + tzif_span(tz, local.last_s).offset_s ==
		      local_s);
		break;
	case TZ_GAP:
		CHECK(local.first_s == local.last_s);
		CHECK(local.first_s + first_s > local_s);
		break;
	}
}

/* Spans follow each other without end, and each moment is one of its local
 * time's. */
static void
check_zone(const struct tzif *tz, int64_t from_s)
{
	int64_t at_s = from_s;

	for (int i = 0; i < 300; i++) {
		struct tz_span span = tzif_span(tz, at_s);

		CHECK(span.from_s <= at_s && at_s < span.to_s);
		CHECK(span.offset_s >= -TZ_OFFSET_MAX_S &&
		      span.offset_s <= TZ_OFFSET_MAX_S);
		check_local(tz, at_s);
		check_local(tz, at_s + span.offset_s);
		CHECK(tzif_local(tz, at_s + span.offset_s).fit != TZ_GAP);
		if (span.to_s > TZIF_TIME_MAX_S)
			break;
		CHECK(tzif_span(tz, span.to_s).from_s <= span.to_s);
		at_s = span.to_s;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t from_s[] = {
	    -TZIF_TIME_MAX_S, -2000000000, 0, 1800000000, 253402300800};
	/* An allocation of the exact size, so that ASan sees its edges. */
	char *bytes = malloc(size == 0 ? 1 : size);
	struct err err = {""};
	struct tzif *tz;

	CHECK(bytes != NULL);
	if (size > 0)
		memcpy(bytes, data, size);
	tz = tzif_parse(slice_of(bytes, size), &err);
	free(bytes);
	CHECK((tz == NULL) == (err.text[0] != '\0'));
	if (tz == NULL)
		return 0;
	for (size_t i = 0; i < sizeof(from_s) / sizeof(from_s[0]); i++)
		check_zone(tz, from_s[i]);
	tzif_free(&tz);
	return 0;
}
