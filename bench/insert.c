/* SPDX-License-Identifier: ISC */
/*
 * The yardstick of adds: rows of the real schema, written by concurrent
 * processes in a plain loop, so many rows in each commit. With --fill it writes
 * a number of rows as fast as it can, to measure on a table that is not empty.
 */
#include <err.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/row_id.h"
#include "table.h"
#include "yardstick.h"

enum {
	ROWS_MAX = 1000, /* of an insert */
	EVENT_ID_BYTES = 24,
	CONNECTIONS_MAX = 64,
	COMMITS_MAX = 1 << 20,   /* whose time is kept */
	FILL_PASS_ROWS = 200000, /* in the order of their keys */
	FILL_COMMIT_INSERTS = 50,
};

struct options {
	unsigned connections;
	unsigned seconds;
	uint64_t fill; /* rows, 0: no fill */
	int status;
	unsigned due_from_s, due_spread_s; /* from now */
	struct table_params table;
	const struct table_ops *ops;
};

/* What a process has done, in shared memory. */
struct outcome {
	uint64_t rows;
	double seconds;
	uint32_t n_us;
	uint32_t commit_us[COMMITS_MAX];
};

/* The rows of one insert, with memory for their ids. */
struct rows {
	struct table_row row[ROWS_MAX];
	char event_id[ROWS_MAX][EVENT_ID_BYTES];
	uint64_t number; /* of rows made by this process */
	uint64_t state;  /* of the random numbers */
};

/* splitmix64 */
static uint64_t
next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static struct rows *
make_rows(void)
{
	struct rows *rows = calloc(1, sizeof(*rows));

	if (rows == NULL ||
	    getrandom(&rows->state, sizeof(rows->state), 0) == -1)
		err(1, NULL);
	return rows;
}

static void
put_be64(uint8_t *to, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		to[i] = (uint8_t)(value >> (56 - 8 * i));
}

/*
 * The next row. Its key is random; in a fill the keys of a pass rise, since
 * writing them in order is fast, yet the tree becomes that of random keys.
 */
static void
make_row(struct rows *rows, size_t i, const struct options *o)
{
	struct table_row *row = &rows->row[i];
	uint64_t high = next_random(&rows->state);
	uint64_t spread_ms = (uint64_t)o->due_spread_s * 1000;
	const uint64_t step = UINT64_MAX / FILL_PASS_ROWS;

	if (o->fill > 0)
		high = rows->number % FILL_PASS_ROWS * step + high % step;
	put_be64(row->key.bytes, high);
	put_be64(row->key.bytes + 8, next_random(&rows->state));
	row->id = row_id_make(clock_wall_ms());
	row->shard = row->key.bytes[EVENT_KEY_BYTES - 1] % EVENT_SHARDS;
	row->status = o->status;
	row->due_ms = o->table.created_ms + (int64_t)o->due_from_s * 1000;
	if (spread_ms > 0)
		row->due_ms += (int64_t)(next_random(&rows->state) % spread_ms);
	row->event_id = slice_of(rows->event_id[i],
	    (size_t)snprintf(rows->event_id[i], EVENT_ID_BYTES, "%d-%llu",
		getpid(), (unsigned long long)++rows->number));
}

static void
make_all(struct rows *rows, const struct options *o)
{
	for (size_t i = 0; i < o->table.rows; i++)
		make_row(rows, i, o);
}

/* One insert and its commit at a time, until the time is over. */
static void
measure(struct table *table, const struct options *o, struct outcome *outcome)
{
	bool explicit = o->ops == &table_sqlite_ops;
	struct rows *rows = make_rows();
	double start_s = yardstick_now_s(), now_s = start_s;

	while (now_s - start_s < o->seconds) {
		double before_s;

		make_all(rows, o);
		before_s = yardstick_now_s();
		if (explicit)
			o->ops->begin(table);
		o->ops->insert(table, rows->row);
		if (explicit)
			o->ops->commit(table);
		now_s = yardstick_now_s();
		if (outcome->n_us < COMMITS_MAX)
			outcome->commit_us[outcome->n_us++] =
			    (uint32_t)((now_s - before_s) * 1e6);
	}
	outcome->rows = rows->number;
	outcome->seconds = now_s - start_s;
	free(rows);
}

/* Many inserts in a commit. Writes whole inserts, so perhaps some rows more. */
static void
fill(struct table *table, const struct options *o, struct outcome *outcome)
{
	struct rows *rows = make_rows();
	double start_s = yardstick_now_s();
	uint64_t to_write = o->fill / o->connections;

	while (rows->number < to_write) {
		o->ops->begin(table);
		for (unsigned i = 0;
		     i < FILL_COMMIT_INSERTS && rows->number < to_write; i++) {
			make_all(rows, o);
			o->ops->insert(table, rows->row);
		}
		o->ops->commit(table);
	}
	outcome->rows = rows->number;
	outcome->seconds = yardstick_now_s() - start_s;
	free(rows);
}

static void
work(const struct options *o, struct outcome *outcome)
{
	struct table *table = o->ops->open(&o->table);

	if (o->fill > 0)
		fill(table, o, outcome);
	else
		measure(table, o, outcome);
	o->ops->close(table);
}

static struct outcome *
make_outcomes(unsigned connections)
{
	struct outcome *outcomes = mmap(NULL, connections * sizeof(*outcomes),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (outcomes == MAP_FAILED)
		err(1, "mmap");
	return outcomes;
}

/* -1 when one of the processes failed. */
static int
run(const struct options *o, struct outcome *outcomes)
{
	int result = 0, status;

	for (unsigned i = 0; i < o->connections; i++) {
		pid_t pid = fork();

		if (pid == -1)
			err(1, "fork");
		if (pid == 0) {
			work(o, &outcomes[i]);
			exit(0);
		}
	}
	while (wait(&status) != -1)
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			result = -1;
	return result;
}

static int
compare_us(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The outcomes of all processes in the first one; returns rows per second. */
static double
merge(struct outcome *outcomes, unsigned n)
{
	struct outcome *all = &outcomes[0];
	double per_s = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct outcome *one = &outcomes[i];

		if (one->seconds > 0)
			per_s += (double)one->rows / one->seconds;
		if (i == 0)
			continue;
		all->rows += one->rows;
		if (one->seconds > all->seconds)
			all->seconds = one->seconds;
		for (uint32_t j = 0; j < one->n_us && all->n_us < COMMITS_MAX;
		     j++)
			all->commit_us[all->n_us++] = one->commit_us[j];
	}
	qsort(all->commit_us, all->n_us, sizeof(all->commit_us[0]), compare_us);
	return per_s;
}

static double
percentile_ms(const struct outcome *all, double share)
{
	size_t at;

	if (all->n_us == 0)
		return 0;
	at = (size_t)(share * (double)(all->n_us - 1));
	return all->commit_us[at] / 1e3;
}

static void
print(const struct options *o, struct outcome *outcomes)
{
	double per_s = merge(outcomes, o->connections);
	const struct outcome *all = &outcomes[0];

	printf("{\"rows_per_insert\":%zu,\"connections\":%u,"
	       "\"payload_bytes\":%zu,\"rows\":%llu,\"seconds\":%.3f,"
	       "\"rows_per_s\":%.0f,\"cpu_us_per_row\":%.2f",
	    o->table.rows, o->connections, o->table.body.len,
	    (unsigned long long)all->rows, all->seconds, per_s,
	    all->rows == 0
		? 0
		: yardstick_cpu_us(RUSAGE_CHILDREN) / (double)all->rows);
	if (o->fill == 0)
		printf(",\"commit_ms\":{\"p50\":%.3f,\"p99\":%.3f}",
		    percentile_ms(all, 0.5), percentile_ms(all, 0.99));
	printf("}\n");
}

static void
usage(void)
{
	(void)fputs(
	    "usage: insert [--rows N] [--connections N] [--payload BYTES]\n"
	    "           [--seconds S] mysql://… | sqlite:PATH\n"
	    "       insert --fill ROWS [--connections N] [--payload BYTES]\n"
	    "           [--completed] [--due-from S] [--due-spread S] …\n",
	    stderr);
	exit(2);
}

static void
read_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
	    {"rows", required_argument, NULL, 'r'},
	    {"connections", required_argument, NULL, 'n'},
	    {"payload", required_argument, NULL, 'p'},
	    {"seconds", required_argument, NULL, 's'},
	    {"fill", required_argument, NULL, 'f'},
	    {"completed", no_argument, NULL, 'c'},
	    {"due-from", required_argument, NULL, 'd'},
	    {"due-spread", required_argument, NULL, 'D'},
	    {NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (option) {
		case 'r':
			o->table.rows =
			    (size_t)yardstick_number(optarg, ROWS_MAX);
			break;
		case 'n':
			o->connections =
			    (unsigned)yardstick_number(optarg, CONNECTIONS_MAX);
			break;
		case 'p':
			o->table.body.len =
			    (size_t)yardstick_number(optarg, 1 << 20);
			break;
		case 's':
			o->seconds = (unsigned)yardstick_number(optarg, 3600);
			break;
		case 'f':
			o->fill = yardstick_number(optarg, 1000000000);
			break;
		case 'c':
			o->status = 2;
			break;
		case 'd':
			o->due_from_s =
			    (unsigned)yardstick_number(optarg, 1 << 30);
			break;
		case 'D':
			o->due_spread_s =
			    (unsigned)yardstick_number(optarg, 1 << 30);
			break;
		default:
			usage();
		}
	if (optind != argc - 1)
		usage();
	o->table.target = argv[optind];
}

/* A file has one writer, and nobody else reads it while it is filled. */
static void
choose_backend(struct options *o)
{
	const char *scheme = "sqlite:";

	if (strncmp(o->table.target, scheme, strlen(scheme)) != 0) {
		o->ops = &table_mysql_ops;
		return;
	}
	o->ops = &table_sqlite_ops;
	o->table.target += strlen(scheme);
	o->table.careless = o->fill > 0;
	if (o->fill > 0)
		o->connections = 1;
}

int
main(int argc, char **argv)
{
	struct options o = {
	    .connections = 2,
	    .seconds = 5,
	    .due_from_s = 3600,
	    .table = {.rows = 50, .body.len = 300},
	};
	struct write_lock lock;
	struct outcome *outcomes;
	char *body;
	int status;

	read_options(&o, argc, argv);
	choose_backend(&o);
	body = malloc(o.table.body.len);
	if (body == NULL)
		err(1, NULL);
	memset(body, 'x', o.table.body.len);
	o.table.body.p = body;
	o.table.created_ms = clock_wall_ms();
	outcomes = make_outcomes(o.connections);
	if (write_lock_open(&lock, -1) == -1)
		err(1, "cannot make a lock");
	o.table.lock = &lock;
	status = run(&o, outcomes);
	write_lock_close(&lock);
	free(body);
	if (status == -1)
		return 1;
	print(&o, outcomes);
	return 0;
}
