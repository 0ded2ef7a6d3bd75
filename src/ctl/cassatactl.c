/* SPDX-License-Identifier: ISC */
#include "ctl/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/ctl_cluster.h"
#include "ctl/ctl_daemon.h"
#include "ctl/ctl_clock.h"
#include "ctl/ctl_event.h"
#include "ctl/ctl_find.h"
#include "ctl/ctl_freeze.h"
#include "ctl/ctl_job.h"
#include "ctl/ctl_migrate.h"
#include "ctl/ctl_options.h"
#include "ctl/ctl_schedule.h"
#include "ctl/ctl_pause.h"
#include "ctl/ctl_status.h"
#include "ctl/ctl_watch.h"

enum { TIMEOUT_MAX_S = 86400 };

static const char usage[] =
    "usage: cassatactl [-c file] [-d state-dir] command [service|worker]\n"
    "       cassata service|worker command\n";

static const char help[] =
    "\n"
    "  start         start the daemon, wait until it is ready\n"
    "  stop          let it finish what it has begun, wait for its end\n"
    "  restart       stop what runs, then start it\n"
    "  reload        read the configuration again; an error changes nothing\n"
    "  upgrade       change to the installed program without a refused "
    "request\n"
    "  reopen        open the log again, after it was renamed\n"
    "  status        what runs, and whether the datastore answers;\n"
    "                --all: all workers of the datastore, whatever their "
    "host;\n"
    "                --watch: again and again\n"
    "  freeze        refuse changes, wait until the datastore is quiet; "
    "--timeout\n"
    "  thaw          work again\n"
    "  check-config  judge the configuration, and the files it names\n"
    "  init-db       create the tables, or bring them up to date\n"
    "  migrate       move all events into another datastore: --to\n"
    "  event add     schedule a request; --file: those of a file\n"
    "  event list    print the events of an application; --watch\n"
    "  event show    print events with their attempts; --watch\n"
    "  event change  change events that wait\n"
    "  event delete  delete events that are not under way\n"
    "  event retry   deliver those again that have ended\n"
    "  event run     deliver those now that wait\n"
    "  event why     what events wait for\n"
    "  pause         send nothing to a host, or of an application\n"
    "  resume        go on\n"
    "  pauses        what is paused\n"
    "  job start     change many events: retry, run, delete, reschedule\n"
    "  job list      print the jobs of an application\n"
    "  job show      print how far one is; --watch\n"
    "  job pause, resume, cancel, delete\n"
    "  schedule add  have a request sent again and again: --cron, --every\n"
    "  schedule list, show, delete, run, pause, resume\n"
    "  clock         of start --test-clock: what time it is; advance SPAN\n"
    "\n"
    "migrate, and those from event on, have a --help of their own.\n"
    "\n"
    "  -c, --config file          default: the state directory's, or the\n"
    "                             system's cassata.yaml\n"
    "  -d, --state-dir directory  default: $CASSATA_HOME, or the "
    "configuration's\n"
    "  --json                     print JSON: what was done, what failed\n"
    "  --version, -h, --help      see also cassatactl(8)\n";

struct command {
	const char *word;
	int (*run)(struct ctl *ctl);
	bool takes_words; /* all that follows is the command's own */
	bool any_config;  /* works with a configuration that has errors: a
			     daemon started with an older one can be stopped */
	bool each;        /* without a role: for each daemon that runs */
};

static const struct command commands[] = {
    {"start", ctl_start, false, false, false},
    {"stop", ctl_stop, false, true, true},
    {"restart", ctl_restart, false, false, true},
    {"reload", ctl_reload, false, false, true},
    {"upgrade", ctl_upgrade, false, true, true},
    {"reopen", ctl_reopen, false, true, true},
    {"status", ctl_status, false, true, true},
    {"freeze", ctl_freeze, false, true, true},
    {"thaw", ctl_thaw, false, true, true},
    {"check-config", ctl_check_config, false, false, false},
    {"init-db", ctl_init_db, false, false, false},
    {"event", ctl_event, true, false, false},
    {"job", ctl_job, true, false, false},
    {"schedule", ctl_schedule, true, false, false},
    {"pause", ctl_pause, true, false, false},
    {"resume", ctl_resume, true, false, false},
    {"pauses", ctl_pauses, true, false, false},
    {"clock", ctl_clock, true, false, false},
    {"migrate", ctl_migrate, true, false, false},
};

enum { N_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

/*
 * A command and a role in either order: "start worker", "worker start". -1 when
 * the word makes no sense there.
 */
static int
take_word(struct ctl *ctl, const char *word, const struct command **command)
{
	const struct command *found =
	    ctl_find_word(word, commands, N_COMMANDS, sizeof(*commands));

	if (found != NULL && *command == NULL)
		*command = found;
	else if (found != NULL) {
		(void)ctl_fail(ctl, "one command at a time: %s %s",
		    (*command)->word, word);
		return -1;
	} else if (strcmp(word, "service") != 0 &&
		   strcmp(word, "worker") != 0) {
		ctl_unknown_word(
		    ctl, word, commands, N_COMMANDS, sizeof(*commands));
		return -1;
	} else if (ctl->roles != CONFIG_ALL) {
		(void)ctl_fail(ctl, "one role at a time: %s", word);
		return -1;
	} else
		ctl->roles = strcmp(word, "service") == 0 ? CONFIG_SERVICE_ONLY
							  : CONFIG_WORKER_ONLY;
	return 0;
}

static int
take_timeout(struct ctl *ctl, const char *text)
{
	char *end;
	long seconds;

	errno = 0;
	seconds = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || seconds < 1 ||
	    seconds > TIMEOUT_MAX_S) {
		(void)ctl_fail(ctl, "--timeout: not 1 to %d seconds: %s",
		    TIMEOUT_MAX_S, text);
		return -1;
	}
	ctl->timeout_ms = seconds * 1000;
	return 0;
}

/* The exit code of what was well, if its output got out. */
static int
written(const struct ctl *ctl)
{
	return fflush(stdout) != 0 || ferror(stdout)
		   ? ctl_fail(ctl, "cannot write the output")
		   : CTL_OK;
}

static int
take_option(struct ctl *ctl, int option)
{
	switch (option) {
	case 'c':
		ctl->config_file = optarg;
		return 0;
	case 'd':
		ctl->state_dir = optarg;
		return 0;
	case 'a':
		ctl->all = true;
		return 0;
	case 't':
		return take_timeout(ctl, optarg);
	case 'T':
		ctl->test_clock = optarg == NULL ? "0s" : optarg;
		return 0;
	case 'V':
		ctl->version = true;
		return 0;
	case 'h':
		(void)printf("%s%s", usage, help);
		exit(written(ctl));
	default:
		return ctl_options_common(ctl, option);
	}
}

/* Options before, between and behind the words, but for those of event. NULL
 * when the line makes no sense. */
static const struct command *
read_line(struct ctl *ctl, int argc, char **argv)
{
	static const struct option options[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"state-dir", required_argument, NULL, 'd'},
	    {"all", no_argument, NULL, 'a'},
	    {"test-clock", optional_argument, NULL, 'T'},
	    CTL_OPTION_JSON,
	    {"timeout", required_argument, NULL, 't'},
	    CTL_OPTION_WATCH,
	    {"version", no_argument, NULL, 'V'},
	    {"help", no_argument, NULL, 'h'},
	    {0},
	};
	const struct command *command = NULL;

	while (command == NULL || !command->takes_words) {
		int option = getopt_long(argc, argv, "+c:d:h", options, NULL);

		if (option != -1) {
			if (take_option(ctl, option) == -1)
				return NULL;
		} else if (optind == argc) {
			return command;
		} else if (take_word(ctl, argv[optind++], &command) == -1) {
			return NULL;
		}
	}
	ctl->argc = argc - optind;
	ctl->argv = argv + optind;
	return command;
}

static int
load_config(struct ctl *ctl, bool silent)
{
	const struct config_source source = {
	    .file = ctl->config_file,
	    .state_dir = ctl->state_dir,
	    .roles = ctl->roles,
	};
	struct config_errors errors = {0};
	int status = config_load(&source, &ctl->cfg, &errors);

	for (size_t i = 0; !silent && i < errors.len; i++)
		(void)ctl_fail(ctl, "%s", errors.list[i].text);
	config_errors_free(&errors);
	/* The paths of a configuration with errors are there all the same. */
	if (ctl->cfg.master.pid_file == NULL ||
	    ctl->cfg.master.control_socket == NULL)
		ctl->is_lost = true;
	return status;
}

/* Every host of the datastore: a status that asks no daemon. */
static const struct command cluster = {
    "status", ctl_cluster, false, false, false};

/* NULL: --all and --watch go with no other. */
static const struct command *
apply_of_status(const struct ctl *ctl, const struct command *command)
{
	if (command == NULL || (!ctl->all && !ctl->watch))
		return command;
	if (command->run == ctl_status)
		return ctl->all ? &cluster : command;
	(void)ctl_fail(ctl, "--%s is of status, not of %s",
	    ctl->all ? "all" : "watch", command->word);
	return NULL;
}

enum presence { ABSENT, LEFT_BEHIND, THERE };

static enum presence
presence_of(const struct ctl *ctl)
{
	bool left_behind;
	struct err err;

	if (ctl->is_lost)
		return ABSENT;
	/* What is unknown, its command will tell. */
	if (ctl_find(ctl, &left_behind, &err) != 0)
		return THERE;
	return left_behind ? LEFT_BEHIND : ABSENT;
}

/* Service and worker may have been started apart, and a role without the other.
 * The highest exit code of those that are there. */
static int
run_each(struct ctl *ctl, const struct command *command)
{
	static const enum config_roles apart[] = {
	    CONFIG_SERVICE_ONLY, CONFIG_WORKER_ONLY};
	enum { N = sizeof(apart) / sizeof(apart[0]) };
	struct ctl parts[N];
	enum presence presence[N], whole = presence_of(ctl), most = whole;
	int status = CTL_OK;

	for (size_t i = 0; i < N; i++) {
		parts[i] = *ctl;
		parts[i].roles = apart[i];
		(void)load_config(&parts[i], true);
		/* A pidFile of the configuration is that of all. */
		presence[i] =
		    parts[i].is_lost || strcmp(parts[i].cfg.master.pid_file,
					    ctl->cfg.master.pid_file) == 0
			? ABSENT
			: presence_of(&parts[i]);
		if (presence[i] > most)
			most = presence[i];
	}
	if (whole == most)
		status = command->run(ctl);
	for (size_t i = 0; i < N; i++) {
		int code = most != ABSENT && presence[i] == most
			       ? command->run(&parts[i])
			       : CTL_OK;

		if (code > status)
			status = code;
		config_free(&parts[i].cfg);
	}
	return status;
}

static int
run_command(struct ctl *ctl, const struct command *command)
{
	/* A command of the API has one of its own. */
	const bool watch = ctl->watch;
	int status;

	do {
		if (watch)
			ctl_watch_begin();
		status = command->each && ctl->roles == CONFIG_ALL
			     ? run_each(ctl, command)
			     : command->run(ctl);
	} while (watch && ctl_watch_again());
	return status;
}

int
main(int argc, char **argv)
{
	struct ctl ctl = {
	    .program = "cassatactl",
	    .roles = CONFIG_ALL,
	    .began_ms = clock_mono_ms(),
	};
	const struct command *command;
	const char *slash = strrchr(argv[0], '/');
	int status;

	if (strcmp(slash == NULL ? argv[0] : slash + 1, "cassata") == 0)
		ctl.program = "cassata";
	command = apply_of_status(&ctl, read_line(&ctl, argc, argv));
	if (ctl.version) {
		(void)printf(
		    ctl.json ? "{\"version\":\"%s\"}\n" : "cassata %s\n",
		    CASSATA_VERSION);
		return written(&ctl);
	}
	if (command == NULL) {
		(void)fprintf(stderr, "%s       %s --help tells more\n", usage,
		    ctl.program);
		return CTL_USAGE;
	}
	ctl.command = command->word;
	if (command->takes_words && ctl_wants_help(&ctl))
		status = command->run(&ctl);
	else if (load_config(&ctl, false) == -1 &&
		 (!command->any_config || ctl.is_lost))
		status = CTL_FAILED;
	else
		status = run_command(&ctl, command);
	config_free(&ctl.cfg);
	/* The exit code of status is the daemon's state. */
	return status == CTL_OK && command->run != ctl_status ? written(&ctl)
							       : status;
}
