/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_migrate.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/clock.h"
#include "config/config_password.h"
#include "ctl/ctl_done.h"
#include "ctl/ctl_find.h"
#include "ctl/ctl_options.h"
#include "ctl/progress.h"
#include "proc/data_dir.h"
#include "proc/privileges.h"
#include "proc/state_dir.h"
#include "store/move.h"

enum {
	STATEMENT_MS = 600000, /* to count the rows of a large table takes long */
	TRIES_MAX = 300,
	TRY_AGAIN_MS = 1000,
};

static const char usage[] =
    "usage: cassatactl migrate [--from url] [--from-password-file file]\n"
    "                          --to url [--to-password-file file] "
    "[--json]\n";

/* One of the two datastores. */
struct end {
	char *url;                 /* NULL: the configuration's */
	const char *password_file; /* or NULL */
	char *file_password;       /* what is in it, or NULL */
	struct sql_place place;
};

struct ends {
	struct end from, to;
};

/* ---- the command line ---- */

/* A password may be in it: ps shows it no longer. */
static int
take_url(struct end *end, char *argument)
{
	free(end->url);
	end->url = strdup(argument);
	memset(argument, 'x', strlen(argument));
	return end->url == NULL ? -1 : 0;
}

static int
take_end(void *arg, int c, const char *name)
{
	struct ends *ends = arg;

	(void)name;
	switch (c) {
	case 'f':
		return take_url(&ends->from, optarg);
	case 'F':
		ends->from.password_file = optarg;
		return 0;
	case 't':
		return take_url(&ends->to, optarg);
	case 'T':
		ends->to.password_file = optarg;
		return 0;
	default:
		return -1;
	}
}

static int
parse_line(struct ctl *ctl, struct ends *ends)
{
	static const struct option rows[] = {
	    {"from", required_argument, NULL, 'f'},
	    {"from-password-file", required_argument, NULL, 'F'},
	    {"to", required_argument, NULL, 't'},
	    {"to-password-file", required_argument, NULL, 'T'},
	    CTL_OPTION_JSON,
	    {0},
	};

	return ctl_options(ctl, "+", rows, take_end, ends) == 0 &&
		       ctl->argc == 0 && ends->to.url != NULL
		   ? 0
		   : -1;
}

static const char *
url_of(const struct ctl *ctl, const struct end *end)
{
	return end->url == NULL ? ctl->cfg.datastore.url : end->url;
}

static int
describe_one_end(const struct ctl *ctl, struct end *end, struct err *err)
{
	struct sql_place place;
	struct err reason;

	if (sql_describe(
		url_of(ctl, end), ctl->cfg.master.state_dir, &place, err) == -1)
		return -1;
	end->place = place;
	if (end->password_file == NULL)
		return 0;
	end->file_password = config_password_read(end->password_file, &reason);
	if (end->file_password == NULL)
		return err_set(err, "%s: %s", end->password_file, reason.text);
	return 0;
}

static void
free_end(struct end *end)
{
	sql_place_free(&end->place);
	if (end->file_password != NULL)
		explicit_bzero(end->file_password, strlen(end->file_password));
	free(end->file_password);
	if (end->url != NULL)
		explicit_bzero(end->url, strlen(end->url));
	free(end->url);
}

/* ---- may it be? ---- */

static bool
uses(struct json_object *status, const struct end *end)
{
	return strcmp(ctl_text_of(status, "datastore"), end->place.shown) == 0;
}

static int
refuse_daemon(struct json_object *status, const char *way_out, struct err *err)
{
	return err_set(err,
	    "the daemon (pid %s) works with %s: run cassatactl %s",
	    ctl_text_of(status, "pid"), ctl_text_of(status, "datastore"),
	    way_out);
}

/* A daemon of this state directory that could write to one of the two. A thaw
 * would have it serve what is half there. */
static int
refuse_user(const struct ctl *ctl, const struct ends *ends, struct err *err)
{
	bool absent;
	struct json_object *status = ctl_ask_status(ctl, &absent, err);
	int result = 0;

	if (status == NULL)
		return absent ? 0 : -1;
	if (uses(status, &ends->to))
		result = refuse_daemon(status, "stop", err);
	else if (uses(status, &ends->from) &&
		 strcmp(ctl_text_of(status, "freeze-state"), "frozen") != 0)
		result = refuse_daemon(status, "freeze", err);
	json_object_put(status);
	return result;
}

static int
check_daemons(const struct ctl *ctl, const struct ends *ends, struct err *err)
{
	static const enum config_roles roles[] = {
	    CONFIG_ALL, CONFIG_SERVICE_ONLY, CONFIG_WORKER_ONLY};
	int result = 0;

	for (size_t i = 0; result == 0 && i < sizeof(roles) / sizeof(roles[0]);
	     i++) {
		const struct config_source source = {
		    .file = ctl->config_file,
		    .state_dir = ctl->state_dir,
		    .roles = roles[i],
		};
		struct config_errors errors = {0};
		struct ctl part = *ctl;

		/* What is wrong with it was said when ours was loaded. */
		(void)config_load(&source, &part.cfg, &errors);
		config_errors_free(&errors);
		if (part.cfg.master.control_socket != NULL)
			result = refuse_user(&part, ends, err);
		config_free(&part.cfg);
	}
	return result;
}

/* Files belong to the user of the children, also those that SQLite makes. */
static int
become_owner(const struct ctl *ctl, const struct ends *ends, struct err *err)
{
	struct config cfg = ctl->cfg;
	bool makes_file = ends->to.place.file != NULL;

	cfg.datastore.place = ends->to.place;
	if (makes_file && state_dir_prepare(&cfg, err) == -1)
		return -1;
	if ((makes_file || ends->from.place.file != NULL) &&
	    privileges_drop(&cfg.master, err) == -1)
		return -1;
	return makes_file ? data_dir_check(&cfg, err) : 0;
}

static int
check_ends(const struct ctl *ctl, const struct ends *ends, struct err *err)
{
	const char *file = ends->from.place.file;

	if (strcmp(ends->from.place.shown, ends->to.place.shown) == 0)
		return err_set(
		    err, "%s is both source and target", ends->to.place.shown);
	if (check_daemons(ctl, ends, err) == -1 ||
	    become_owner(ctl, ends, err) == -1)
		return -1;
	/* It would be made. */
	if (file != NULL && access(file, R_OK | W_OK) == -1)
		return err_errno(err, "%s", file);
	return 0;
}

/* ---- progress ---- */

enum { BAR_WIDTH = 30 };

struct bar {
	struct progress line;
	char what[64];
	int64_t began_ms, began_rows; /* of this step */
};

static void
begin_step(struct bar *bar, const struct move_progress *progress)
{
	if (strcmp(bar->what, progress->what) == 0)
		return;
	(void)snprintf(bar->what, sizeof(bar->what), "%s", progress->what);
	bar->began_ms = clock_mono_ms();
	bar->began_rows = progress->done;
}

static void
show_bar(struct bar *bar, const struct move_progress *p)
{
	static const char full[] = "##############################";
	int64_t ms = clock_mono_ms() - bar->began_ms;
	int64_t rows = p->done - bar->began_rows;
	int64_t left = p->all > p->done ? p->all - p->done : 0;
	int percent = left == 0 ? 100 : (int)(100 * p->done / p->all);
	char head[BAR_WIDTH + 8] = "", speed[64] = "";

	if (bar->line.is_terminal)
		(void)snprintf(head, sizeof(head), "[%-*.*s] ", BAR_WIDTH,
		    BAR_WIDTH * percent / 100, full);
	if (rows > 0 && ms > 0)
		(void)snprintf(speed, sizeof(speed), ", %lld/s, %lld s to go",
		    (long long)(1000 * rows / ms),
		    (long long)(left * ms / rows / 1000));
	progress_show(&bar->line, "%s%3d %% of %s: %lld of %lld rows%s", head,
	    percent, p->what, (long long)p->done, (long long)p->all, speed);
}

static void
on_progress(void *arg, const struct move_progress *progress)
{
	struct bar *bar = arg;

	begin_step(bar, progress);
	if (progress_is_due(&bar->line))
		show_bar(bar, progress);
}

static void
on_wait(void *arg, const char *where, int64_t n_workers, int64_t max_ms)
{
	(void)arg;
	(void)fprintf(stderr,
	    "%s: workers that are registered: %lld; looking for a sign of "
	    "life, up to %lld s\n",
	    where, (long long)n_workers, (long long)((max_ms + 999) / 1000));
}

/* ---- the move ---- */

static struct store_params
params_of(const struct ctl *ctl, const struct end *end)
{
	struct store_params params = config_store_params(&ctl->cfg);

	params.url = url_of(ctl, end);
	if (end->file_password != NULL)
		params.password = end->file_password;
	else if (strcmp(params.url, ctl->cfg.datastore.url) != 0)
		params.password = NULL;
	if (params.timeout_ms < STATEMENT_MS)
		params.timeout_ms = STATEMENT_MS;
	params.return_after_ms = 0;
	params.min_free_bytes = 0;
	return params;
}

static void
print_result(const struct move *move, const struct move_result *r)
{
	if (strcmp(r->source, r->target) == 0) {
		printf("%s: %lld rows, SHA-256 %s at both\n", r->table,
		    (long long)r->n_source, r->source);
		return;
	}
	printf("%s: %lld rows, SHA-256 %s at %s\n", r->table,
	    (long long)r->n_source, r->source, move_source(move));
	printf("%s: %lld rows, SHA-256 %s at %s\n", r->table,
	    (long long)r->n_target, r->target, move_target(move));
}

static struct json_object *
describe_end_of(const char *sum, int64_t n_rows)
{
	struct json_object *end = json_object_new_object();

	json_object_object_add(end, "rows", json_object_new_int64(n_rows));
	json_object_object_add(end, "sha256", json_object_new_string(sum));
	return end;
}

static struct json_object *
describe_result(const struct move_result *r)
{
	struct json_object *table = json_object_new_object();

	json_object_object_add(
	    table, "table", json_object_new_string(r->table));
	json_object_object_add(
	    table, "source", describe_end_of(r->source, r->n_source));
	json_object_object_add(
	    table, "target", describe_end_of(r->target, r->n_target));
	return table;
}

static void
print_move(const struct ctl *ctl, const struct move *move,
    const struct move_result *results, bool same)
{
	struct json_object *done =
	    ctl_done_begin(ctl, same ? "moved" : "different", 0);
	struct json_object *tables = json_object_new_array();

	json_object_object_add(
	    done, "source", json_object_new_string(move_source(move)));
	json_object_object_add(
	    done, "target", json_object_new_string(move_target(move)));
	for (size_t i = 0; i < MOVE_TABLES; i++)
		json_object_array_add(tables, describe_result(&results[i]));
	json_object_object_add(done, "tables", tables);
	(void)ctl_done_print(ctl, done);
}

/* A move, and what it has come to. */
struct going {
	const struct ctl *ctl;
	struct move *move;
	struct bar *bar;
	bool begun; /* what fails from then on was well before */
	int n_tries;
	bool given_up;
};

/* Waits for what failed, if it may pass. */
static bool
tries_again(struct going *g, struct err *err)
{
	struct err reason = *err;

	if (g->given_up || !g->begun || !move_may_go_on(g->move))
		return false;
	progress_clear(&g->bar->line);
	if (++g->n_tries == TRIES_MAX) {
		g->given_up = true;
		(void)err_set(err,
		    "%s; what was copied stays there: run cassatactl migrate "
		    "again, it goes on",
		    reason.text);
		return false;
	}
	(void)fprintf(stderr, "%s; trying again\n", reason.text);
	(void)poll(NULL, 0, TRY_AGAIN_MS);
	return true;
}

static int
compare_all(struct going *g, struct err *err)
{
	const struct ctl *ctl = g->ctl;
	struct move *move = g->move;
	struct move_result results[MOVE_TABLES];
	bool same;

	if (move_compare(move, results, &same, err) == -1)
		return -1;
	progress_clear(&g->bar->line);
	for (size_t i = 0; !ctl->json && i < MOVE_TABLES; i++)
		print_result(move, &results[i]);
	while (same && move_end(move, err) == -1)
		if (!tries_again(g, err))
			return -1;
	if (ctl->json)
		print_move(ctl, move, results, same);
	if (same)
		return 0;
	return err_set(err,
	    "they differ: somebody has written to one of them meanwhile; empty "
	    "%s, freeze all daemons of %s, and begin again",
	    move_target(move), move_source(move));
}

static int
copy_and_compare(struct going *g, struct err *err)
{
	struct move *move = g->move;
	bool resumed;

	if (move_begin(move, &resumed, err) == -1)
		return -1;
	if (!g->ctl->json && !g->begun)
		printf("%s %s to %s\n", resumed ? "going on from" : "from",
		    move_source(move), move_target(move));
	(void)fflush(stdout);
	g->begun = true;
	return move_copy(move, err) == -1 ? -1 : compare_all(g, err);
}

static int
run_move(struct going *g, struct err *err)
{
	while (copy_and_compare(g, err) == -1)
		if (!tries_again(g, err))
			return -1;
	if (!g->ctl->json)
		puts("all is there: set datastore.url, then cassatactl reload "
		     "and cassatactl thaw");
	return 0;
}

static int
move_events(const struct ctl *ctl, const struct ends *ends, struct err *err)
{
	const struct store_params source = params_of(ctl, &ends->from);
	const struct store_params target = params_of(ctl, &ends->to);
	struct bar bar = {.what = ""};
	const struct move_params params = {
	    .source = &source,
	    .target = &target,
	    .progress = on_progress,
	    .on_wait = on_wait,
	    .arg = &bar,
	};
	struct going going = {.ctl = ctl, .bar = &bar};
	int status;

	if (move_open(&params, &going.move, err) == -1)
		return -1;
	progress_init(&bar.line);
	status = run_move(&going, err);
	progress_clear(&bar.line);
	move_close(&going.move);
	return status;
}

int
ctl_migrate(struct ctl *ctl)
{
	struct ends ends = {.from = {.url = NULL}};
	int status = CTL_OK;
	struct err err;

	if (ctl_wants_help(ctl))
		return ctl_show_usage(usage);
	if (parse_line(ctl, &ends) == -1) {
		status = ctl_refuse_usage(usage);
	} else if (describe_one_end(ctl, &ends.from, &err) == -1 ||
		   describe_one_end(ctl, &ends.to, &err) == -1 ||
		   check_ends(ctl, &ends, &err) == -1 ||
		   move_events(ctl, &ends, &err) == -1)
		status = ctl_fail(ctl, "%s", err.text);
	free_end(&ends.from);
	free_end(&ends.to);
	return status;
}
