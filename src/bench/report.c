/* SPDX-License-Identifier: ISC */
#include "bench/report.h"

#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

/* What a part of the run did. */
struct part {
	const char *name;      /* of the JSON object */
	const char *verb;      /* of the text */
	const char *time_name; /* "latency" or "lateness" */
	uint64_t count;
	double seconds;
	const struct histogram *time;
	int64_t commits;
	/* CPU between them; NULL: not measured apart. */
	const struct target_sample *from, *to;
};

static const struct {
	const char *name;
	double part;
} quantiles[] = {
    {"p50", 0.5},
    {"p90", 0.9},
    {"p99", 0.99},
    {"p999", 0.999},
};

enum { N_QUANTILES = sizeof(quantiles) / sizeof(quantiles[0]) };

static double
per(double amount, double n)
{
	return n > 0 ? amount / n : 0;
}

static double
rate_of(const struct part *part)
{
	return per((double)part->count, part->seconds);
}

/* Microseconds of CPU that a group used between two samples. */
static int64_t
cpu_used_us(const struct target_group *group, const struct target_sample *from)
{
	const struct target_group *before =
	    target_group_find(from, group->name);

	return group->cpu_us - (before == NULL ? 0 : before->cpu_us);
}

static struct part
add_part(const struct bench *b)
{
	const struct load *load = &b->load;

	return (struct part){
	    .name = "add",
	    .verb = "added",
	    .time_name = "latency",
	    .count = b->ledger.n_acknowledged,
	    .seconds = (double)(load->last_us - load->start_us) / 1e6,
	    .time = &load->latency,
	    .commits = b->added.service_commits - b->start.service_commits,
	    .from = &b->start,
	    /* While events are also delivered it cannot be told apart. */
	    .to = b->options.delivers && !b->options.at_once ? NULL : &b->added,
	};
}

static struct part
delivery_part(const struct bench *b)
{
	const struct ledger *ledger = &b->ledger;
	int64_t from_us =
	    b->options.at_once ? b->drain_at_ms * 1000 : ledger->first_us;
	const struct target_sample *from =
	    b->options.at_once ? &b->due : &b->start;

	return (struct part){
	    .name = "delivery",
	    .verb = "delivered",
	    .time_name = "lateness",
	    .count = ledger->n_arrived,
	    .seconds = (double)(ledger->last_us - from_us) / 1e6,
	    .time = &ledger->lateness,
	    .commits = b->end.worker_commits - from->worker_commits,
	    .from = from,
	    .to = &b->end,
	};
}

/* ---- text ---- */

static void
print_times(const struct part *part)
{
	const struct histogram *h = part->time;

	if (h->n == 0)
		return;
	printf("  %-9s", part->time_name);
	for (unsigned i = 0; i < N_QUANTILES; i++)
		printf(" %s %.3f,", quantiles[i].name,
		    (double)histogram_quantile_us(h, quantiles[i].part) / 1e3);
	printf(" max %.3f ms\n", (double)h->max_us / 1e3);
}

static void
print_cpu(const struct part *part)
{
	const struct target_sample *to = part->to;
	int64_t total_us = 0;

	if (to == NULL || part->count == 0)
		return;
	for (unsigned i = 0; i < to->n_groups; i++)
		if (!to->groups[i].ours)
			total_us += cpu_used_us(&to->groups[i], part->from);
	printf("  %-9s %.1f us per event", "CPU",
	    per((double)total_us, (double)part->count));
	for (unsigned i = 0; i < to->n_groups; i++)
		printf("%s %s%s %.1f%s", i == 0 ? ":" : ",",
		    to->groups[i].ours ? "(" : "", to->groups[i].name,
		    per((double)cpu_used_us(&to->groups[i], part->from),
			(double)part->count),
		    to->groups[i].ours ? ")" : "");
	putchar('\n');
}

static void
print_part(const struct bench *b, const struct part *part)
{
	printf("%s %llu events in %.2f s: %.0f per second\n", part->verb,
	    (unsigned long long)part->count, part->seconds, rate_of(part));
	print_times(part);
	if (b->target.control_socket != NULL)
		printf("  %-9s %.4f per event\n", "commits",
		    per((double)part->commits, (double)part->count));
	print_cpu(part);
}

static int64_t
pss_total(const struct target_sample *sample)
{
	int64_t kib = 0;

	for (unsigned i = 0; i < sample->n_groups; i++)
		if (!sample->groups[i].ours)
			kib += sample->groups[i].pss_kib;
	return kib;
}

static void
print_memory(const struct target_sample *sample)
{
	bool first = true;

	if (pss_total(sample) == 0)
		return;
	printf("memory %.1f MiB (PSS)", (double)pss_total(sample) / 1024);
	for (unsigned i = 0; i < sample->n_groups; i++) {
		const struct target_group *group = &sample->groups[i];

		if (group->ours)
			continue;
		printf("%s %s %.1f", first ? ":" : ",", group->name,
		    (double)group->pss_kib / 1024);
		first = false;
	}
	putchar('\n');
}

static void
print_load(const struct bench *b)
{
	const struct ledger *ledger = &b->ledger;
	struct part part = add_part(b);

	print_part(b, &part);
	if (b->n_refused > 0)
		printf("  %-9s %llu, the last with status %d\n", "refused",
		    (unsigned long long)b->n_refused, b->refusal);
	if (b->load.n_failed > 0)
		printf("  %-9s %llu\n", "failed",
		    (unsigned long long)b->load.n_failed);
	if (b->options.delivers) {
		part = delivery_part(b);
		print_part(b, &part);
		printf("  lost %zu, duplicates %zu, early %zu, of others %zu\n",
		    ledger->n_missing, ledger->n_duplicates, ledger->n_early,
		    ledger->n_unknown);
	}
	print_memory(b->options.delivers ? &b->end : &b->added);
}

/* ---- JSON ---- */

static void
put_double(struct json_object *o, const char *name, double value)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%.6g", value);
	json_object_object_add(o, name, json_object_new_double_s(value, text));
}

static void
put_int(struct json_object *o, const char *name, uint64_t value)
{
	json_object_object_add(o, name, json_object_new_int64((int64_t)value));
}

static void
put_times(struct json_object *o, const struct part *part)
{
	struct json_object *times = json_object_new_object();
	const struct histogram *h = part->time;
	char name[16];

	put_double(times, "min", (double)h->min_us / 1e3);
	put_double(times, "mean", histogram_mean_us(h) / 1e3);
	for (unsigned i = 0; i < N_QUANTILES; i++)
		put_double(times, quantiles[i].name,
		    (double)histogram_quantile_us(h, quantiles[i].part) / 1e3);
	put_double(times, "max", (double)h->max_us / 1e3);
	(void)snprintf(name, sizeof(name), "%s_ms", part->time_name);
	json_object_object_add(o, name, times);
}

/* Per event, or in percent of a core: 100 and the time in us. */
static void
put_cpu(struct json_object *o, const char *name,
    const struct target_sample *from, const struct target_sample *to, double n)
{
	struct json_object *cpu = json_object_new_object();
	int64_t total_us = 0;

	for (unsigned i = 0; i < to->n_groups; i++) {
		int64_t used_us = cpu_used_us(&to->groups[i], from);

		put_double(cpu, to->groups[i].name, per((double)used_us, n));
		if (!to->groups[i].ours)
			total_us += used_us;
	}
	put_double(cpu, "total", per((double)total_us, n));
	json_object_object_add(o, name, cpu);
}

static struct json_object *
part_json(const struct bench *b, const struct part *part)
{
	struct json_object *o = json_object_new_object();

	put_int(o, "count", part->count);
	put_double(o, "seconds", part->seconds);
	put_double(o, "per_s", rate_of(part));
	put_times(o, part);
	if (b->target.control_socket != NULL) {
		put_int(o, "commits", (uint64_t)part->commits);
		put_double(o, "commits_per_event",
		    per((double)part->commits, (double)part->count));
	}
	if (part->to != NULL)
		put_cpu(o, "cpu_us_per_event", part->from, part->to,
		    (double)part->count);
	return o;
}

static void
put_memory(struct json_object *o, const struct target_sample *sample)
{
	struct json_object *pss = json_object_new_object();

	for (unsigned i = 0; i < sample->n_groups; i++)
		put_int(pss, sample->groups[i].name,
		    (uint64_t)sample->groups[i].pss_kib);
	put_int(pss, "total", (uint64_t)pss_total(sample));
	json_object_object_add(o, "pss_kib", pss);
}

static void
print_json(struct json_object *o)
{
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	json_object_put(o);
}

static void
print_load_json(const struct bench *b)
{
	const struct ledger *ledger = &b->ledger;
	struct json_object *o = json_object_new_object(), *section;
	struct part part = add_part(b);

	json_object_object_add(
	    o, "mode", json_object_new_string(b->options.mode));
	put_int(o, "connections", (uint64_t)b->options.connections);
	put_int(o, "pipeline", (uint64_t)b->options.pipeline);
	put_int(o, "payload_bytes", (uint64_t)b->options.payload_bytes);
	section = part_json(b, &part);
	put_int(section, "refused", b->n_refused);
	put_int(section, "failed", b->load.n_failed);
	json_object_object_add(o, part.name, section);
	if (b->options.delivers) {
		part = delivery_part(b);
		section = part_json(b, &part);
		put_int(section, "lost", ledger->n_missing);
		put_int(section, "duplicates", ledger->n_duplicates);
		put_int(section, "early", ledger->n_early);
		put_int(section, "unknown", ledger->n_unknown);
		json_object_object_add(o, part.name, section);
		put_int(o, "in_flight_max", sink_in_flight_max(b->sink));
	}
	put_memory(o, b->options.delivers ? &b->end : &b->added);
	print_json(o);
}

bool
report_load(const struct bench *b)
{
	const struct ledger *ledger = &b->ledger;

	if (b->options.json)
		print_load_json(b);
	else
		print_load(b);
	return b->n_refused == 0 && b->load.n_failed == 0 &&
	       (!b->options.delivers ||
		   (ledger->n_missing == 0 && ledger->n_duplicates == 0 &&
		       ledger->n_early == 0));
}

bool
report_sink(const struct bench *b)
{
	struct json_object *o;

	if (!b->options.json) {
		printf("%llu requests\n",
		    (unsigned long long)sink_requests(b->sink));
		return true;
	}
	o = json_object_new_object();
	put_int(o, "requests", sink_requests(b->sink));
	put_int(o, "in_flight_max", sink_in_flight_max(b->sink));
	print_json(o);
	return true;
}

bool
report_idle(const struct bench *b)
{
	double elapsed_us = (double)(b->end.mono_us - b->start.mono_us);
	struct json_object *o;

	if (b->options.json) {
		o = json_object_new_object();
		put_double(o, "seconds", elapsed_us / 1e6);
		put_cpu(o, "cpu_percent", &b->start, &b->end, elapsed_us / 100);
		put_memory(o, &b->end);
		print_json(o);
		return true;
	}
	for (unsigned i = 0; i < b->end.n_groups; i++) {
		const struct target_group *group = &b->end.groups[i];

		printf("%-20s %6.2f %% of a core, %8.1f MiB (PSS)\n",
		    group->name,
		    per(100 * (double)cpu_used_us(group, &b->start),
			elapsed_us),
		    (double)group->pss_kib / 1024);
	}
	return true;
}
