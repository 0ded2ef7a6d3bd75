/* SPDX-License-Identifier: ISC */
#include "bench/report.h"
#include "bench/run.h"

#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "config/config_load.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

enum { DRAIN_WAIT_MS = 2000, DRAIN_ADDS_PER_MS = 8 };

static const char usage[] =
    "usage: cassata-bench [options] mode\n"
    "modes:\n"
    "  add       adds events that are due much later\n"
    "  drain     adds events that are due at one time, and waits for them\n"
    "  lateness  adds events at a rate, and waits for them\n"
    "  mixed     the same with many more events\n"
    "  slow      a drain to a destination that takes its time\n"
    "  sink      only the destination, until interrupted\n"
    "  idle      only watches the daemon's processes\n"
    "options (see cassata-bench(1)):\n"
    "  -c, --config FILE       -d, --state-dir DIRECTORY\n"
    "  -n, --connections N     -p, --pipeline N     -r, --rate R\n"
    "  -b, --payload BYTES     -t, --duration S     -N, --count N\n"
    "      --due-in S              --url URL            --pid PID\n"
    "      --batch N\n"
    "      --sink-port PORT        --sink-status CODE   --sink-delay S\n"
    "      --slow-share PERCENT    --slow-delay S       --patience S\n"
    "      --json                  --version            --help\n";

struct mode {
	const char *name;
	int (*run)(struct bench *bench, struct err *err);
	bool (*report)(const struct bench *bench);
	struct bench_options options; /* 0 where a common default holds */
};

static const struct mode modes[] = {
    {"add", run_load, report_load,
	{.connections = 64, .duration_ms = 5000, .due_in_ms = 86400000}},
    {"drain", run_load, report_load,
	{.connections = 64,
	    .count = 50000,
	    .duration_ms = 600000,
	    .delivers = true,
	    .at_once = true}},
    {"lateness", run_load, report_load,
	{.connections = 8,
	    .rate = 200,
	    .duration_ms = 10000,
	    .due_in_ms = 1000,
	    .delivers = true}},
    {"mixed", run_load, report_load,
	{.connections = 64,
	    .rate = 5000,
	    .duration_ms = 60000,
	    .due_in_ms = 1000,
	    .delivers = true}},
    {"slow", run_load, report_load,
	{.connections = 64,
	    .count = 50000,
	    .duration_ms = 600000,
	    .sink_delay_ms = 50,
	    .delivers = true,
	    .at_once = true}},
    {"sink", run_sink, report_sink, {0}},
    {"idle", run_idle, report_idle, {.duration_ms = 10000}},
};

enum {
	OPTION_DUE_IN = 256,
	OPTION_BATCH,
	OPTION_URL,
	OPTION_PID,
	OPTION_SINK_PORT,
	OPTION_SINK_STATUS,
	OPTION_SINK_DELAY,
	OPTION_SLOW_SHARE,
	OPTION_SLOW_DELAY,
	OPTION_PATIENCE,
	OPTION_JSON,
	OPTION_VERSION,
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"state-dir", required_argument, NULL, 'd'},
    {"connections", required_argument, NULL, 'n'},
    {"pipeline", required_argument, NULL, 'p'},
    {"rate", required_argument, NULL, 'r'},
    {"payload", required_argument, NULL, 'b'},
    {"duration", required_argument, NULL, 't'},
    {"count", required_argument, NULL, 'N'},
    {"batch", required_argument, NULL, OPTION_BATCH},
    {"due-in", required_argument, NULL, OPTION_DUE_IN},
    {"url", required_argument, NULL, OPTION_URL},
    {"pid", required_argument, NULL, OPTION_PID},
    {"sink-port", required_argument, NULL, OPTION_SINK_PORT},
    {"sink-status", required_argument, NULL, OPTION_SINK_STATUS},
    {"sink-delay", required_argument, NULL, OPTION_SINK_DELAY},
    {"slow-share", required_argument, NULL, OPTION_SLOW_SHARE},
    {"slow-delay", required_argument, NULL, OPTION_SLOW_DELAY},
    {"patience", required_argument, NULL, OPTION_PATIENCE},
    {"json", no_argument, NULL, OPTION_JSON},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, 'h'},
    {0},
};

/* What an option's number means, and where it goes. */
struct number_option {
	size_t at; /* of an int64_t in bench_options; of a double if that */
	double min, max;
	double scale; /* 1000: seconds to milliseconds */
	int option;
	bool fraction, is_double;
};

#define AT(member) offsetof(struct bench_options, member)

static const struct number_option numbers[] = {
    {AT(connections), 1, 20000, 1, 'n', false, false},
    {AT(pipeline), 1, 1000, 1, 'p', false, false},
    {AT(batch), 0, 10000, 1, OPTION_BATCH, false, false},
    {AT(rate), 0, 1e6, 1, 'r', true, true},
    {AT(payload_bytes), 0, 64e6, 1, 'b', false, false},
    {AT(duration_ms), 0, 1e6, 1000, 't', true, false},
    {AT(count), 0, 1e9, 1, 'N', false, false},
    {AT(due_in_ms), 0, 1e9, 1000, OPTION_DUE_IN, true, false},
    {AT(sink_port), 0, 65535, 1, OPTION_SINK_PORT, false, false},
    {AT(sink_status), 200, 599, 1, OPTION_SINK_STATUS, false, false},
    {AT(sink_delay_ms), 0, 3600, 1000, OPTION_SINK_DELAY, true, false},
    {AT(slow_share), 0, 100, 0.01, OPTION_SLOW_SHARE, true, true},
    {AT(slow_delay_ms), 0, 3600, 1000, OPTION_SLOW_DELAY, true, false},
    {AT(patience_ms), 1, 3600, 1000, OPTION_PATIENCE, true, false},
};

struct arguments {
	const char *config_file, *state_dir, *url;
	const struct mode *mode;
	struct bench_options options; /* those that were given */
	bool given[sizeof(numbers) / sizeof(numbers[0])];
	pid_t pids[TARGET_PIDS_MAX];
	unsigned n_pids;
};

/* Returns -1. */
static int
fail_with(const char *what, const char *text)
{
	(void)fprintf(stderr, "cassata-bench: %s%s\n", what, text);
	return -1;
}

static int
read_number(
    const char *text, double min, double max, bool fraction, double *value)
{
	char *end;

	*value = strtod(text, &end);
	if (end != text && *end == '\0' && *value >= min && *value <= max &&
	    (fraction || *value == floor(*value)))
		return 0;
	(void)fprintf(stderr,
	    "cassata-bench: \"%s\": not a%s number from %.0f to %.0f\n", text,
	    fraction ? "" : " whole", min, max);
	return -1;
}

static void
set_number(struct bench_options *options, const struct number_option *number,
    double value)
{
	char *to = (char *)options + number->at;

	if (number->is_double)
		*(double *)(void *)to = value * number->scale;
	else
		*(int64_t *)(void *)to = llround(value * number->scale);
}

static int
read_number_option(struct arguments *args, int option, const char *text)
{
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		const struct number_option *number = &numbers[i];
		double value;

		if (number->option != option)
			continue;
		if (read_number(text, number->min, number->max,
			number->fraction, &value) == -1)
			return -1;
		set_number(&args->options, number, value);
		args->given[i] = true;
		return 0;
	}
	fputs(usage, stderr);
	return -1;
}

static int
read_pid(struct arguments *args, const char *text)
{
	double value;

	if (args->n_pids == TARGET_PIDS_MAX)
		return fail_with("too many processes: ", text);
	if (read_number(text, 1, INT_MAX, false, &value) == -1)
		return -1;
	args->pids[args->n_pids++] = (pid_t)value;
	return 0;
}

static int
read_option(struct arguments *args, int option, const char *text)
{
	switch (option) {
	case 'c':
		args->config_file = text;
		return 0;
	case 'd':
		args->state_dir = text;
		return 0;
	case OPTION_URL:
		args->url = text;
		return 0;
	case OPTION_JSON:
		args->options.json = true;
		return 0;
	case OPTION_PID:
		return read_pid(args, text);
	default:
		return read_number_option(args, option, text);
	}
}

static int
read_mode(struct arguments *args, int argc, char **argv)
{
	if (argc != 1) {
		fputs(usage, stderr);
		return -1;
	}
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(modes[i].name, argv[0]) == 0)
			args->mode = &modes[i];
	return args->mode != NULL ? 0 : fail_with("no such mode: ", argv[0]);
}

/* The mode's defaults, the common ones, and what was given over them. */
static void
merge_options(const struct arguments *args, struct bench_options *options)
{
	*options = args->mode->options;
	options->mode = args->mode->name;
	options->pipeline = 1;
	options->payload_bytes = 300;
	options->sink_status = 200;
	options->slow_delay_ms = 5000;
	options->patience_ms = 30000;
	options->json = args->options.json;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (args->given[i])
			memcpy((char *)options + numbers[i].at,
			    (const char *)&args->options + numbers[i].at,
			    numbers[i].is_double ? sizeof(double)
						 : sizeof(int64_t));
	/* Time to add them all, with room. */
	if (options->at_once && options->due_in_ms == 0)
		options->due_in_ms =
		    DRAIN_WAIT_MS + options->count / DRAIN_ADDS_PER_MS;
}

static int
run_mode(const struct arguments *args, const struct config *cfg)
{
	struct bench bench = {.poller.fd = -1};
	struct err err = {""};
	int status = 0;

	merge_options(args, &bench.options);
	if (args->mode->run != run_sink)
		status = target_init(
		    &bench.target, args->url, cfg->master.control_socket, &err);
	memcpy(bench.target.pids, args->pids, sizeof(args->pids));
	bench.target.n_pids = args->n_pids;
	if (status == 0)
		status = args->mode->run(&bench, &err);
	if (status == -1)
		fail_with("", err.text);
	else if (!args->mode->report(&bench))
		status = -1;
	run_fini(&bench);
	return status;
}

/* Where the daemon's control socket is; without a file, in the usual place. */
static int
load_bench_config(const struct arguments *args, struct config *cfg)
{
	const struct config_source source = {
	    .file = args->config_file,
	    .state_dir = args->state_dir,
	    .roles = CONFIG_ALL,
	};
	struct config_errors errors = {0};
	int status = config_load(&source, cfg, &errors);

	for (size_t i = 0; i < errors.len; i++)
		fail_with("", errors.list[i].text);
	config_errors_free(&errors);
	return status;
}

static void
on_stop_signal(int sig)
{
	(void)sig;
	run_stopped = 1;
}

static int
catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_stop_signal};

	return sigaction(SIGINT, &sa, NULL) == -1 ||
		       sigaction(SIGTERM, &sa, NULL) == -1
		   ? fail_with("cannot catch signals", "")
		   : 0;
}

/* The sink holds a connection per delivery. */
static void
raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

int
main(int argc, char **argv)
{
	struct arguments args = {0};
	struct config cfg;
	int c, status = -1;

	while ((c = getopt_long(argc, argv, "c:d:n:p:r:b:t:N:h", long_options,
		    NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			return EXIT_OK;
		}
		if (c == OPTION_VERSION) {
			printf("cassata-bench %s\n", CASSATA_VERSION);
			return EXIT_OK;
		}
		if (read_option(&args, c, optarg) == -1)
			return EXIT_USAGE;
	}
	if (read_mode(&args, argc - optind, argv + optind) == -1)
		return EXIT_USAGE;
	raise_file_limit();
	if (load_bench_config(&args, &cfg) == 0 && catch_signals() == 0)
		status = run_mode(&args, &cfg);
	config_free(&cfg);
	return status == 0 ? EXIT_OK : EXIT_FAILED;
}
