/* SPDX-License-Identifier: ISC */
/*
 * For tests/cron/compare: reads lines and answers each with one.
 *   changes ZONE FROM UNTIL            TIME:OFFSET of each change, and at FROM
 *   times ZONE FROM UNTIL GAP FIELDS   the times after FROM and before UNTIL;
 *                                      GAP is skip or after
 * Times are seconds since 1970 UTC, ZONE is a path.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "event/cron.h"

static struct tzif *zone;
static char zone_path[512];

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "list: %s: %s\n", what, why);
	exit(1);
}

static void
load_zone(const char *path)
{
	struct err err;
	size_t len;
	char *text;
	int fd;

	if (strcmp(path, zone_path) == 0)
		return;
	tzif_free(&zone);
	fd = file_open(path, O_RDONLY, 0, &err);
	text = fd == -1 ? NULL : file_read(fd, TZIF_BYTES_MAX, &len, &err);
	if (text != NULL)
		zone = tzif_parse(slice_of(text, len), &err);
	if (zone == NULL)
		die(path, err.text);
	free(text);
	(void)snprintf(zone_path, sizeof(zone_path), "%s", path);
}

static void
list_changes(int64_t from_s, int64_t until_s)
{
	struct tz_span span = tzif_span(zone, from_s);

	for (;;) {
		printf("%" PRId64 ":%" PRId32 " ",
		    span.from_s < from_s ? from_s : span.from_s, span.offset_s);
		if (span.to_s >= until_s)
			break;
		span = tzif_span(zone, span.to_s);
	}
	putchar('\n');
}

static void
list_times(const char *fields, const char *gap, int64_t at_s, int64_t until_s)
{
	enum cron_gap choice =
	    strcmp(gap, "after") == 0 ? CRON_AFTER : CRON_SKIP;
	struct cron cron;
	struct err err;

	if (cron_parse(slice_from_string(fields), &cron, &err) == -1)
		die(fields, err.text);
	while (cron_next(&cron, zone, choice, at_s, &at_s) && at_s < until_s)
		printf("%" PRId64 " ", at_s);
	putchar('\n');
}

int
main(void)
{
	char line[2048], verb[16], path[512], gap[16];
	int64_t from_s, until_s;
	int at = 0, fields = 0;

	while (fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%15s %511s %" SCNd64 " %" SCNd64 "%n", verb,
			path, &from_s, &until_s, &at) != 4)
			die(line, "no request");
		load_zone(path);
		if (strcmp(verb, "changes") == 0)
			list_changes(from_s, until_s);
		else if (sscanf(line + at, " %15s %n", gap, &fields) == 1)
			list_times(line + at + fields, gap, from_s, until_s);
	}
	tzif_free(&zone);
	return 0;
}
