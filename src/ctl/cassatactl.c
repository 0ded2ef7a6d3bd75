/* SPDX-License-Identifier: ISC */
#include "ctl/ctl.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>

static const char usage[] =
    "usage: cassatactl [-c file] [-d state-dir] command\n"
    "       cassatactl start|stop|restart|reload|upgrade [service|worker]\n"
    "       cassatactl reopen\n"
    "       cassatactl status [--json] [service|worker]\n"
    "       cassatactl check-config\n"
    "       cassatactl init-db\n"
    "       cassatactl event add|show|delete ...\n"
    "       cassata service|worker start|stop|restart|reload|status\n";

struct command {
	const char *word;
	int (*run)(struct ctl *ctl);
	bool takes_words; /* all that follows is the command's own */
	bool any_config;  /* works with a configuration that has errors: a
			     daemon started with an older one can be stopped */
};

static const struct command commands[] = {
    {"start", ctl_start, false, false},
    {"stop", ctl_stop, false, true},
    {"restart", ctl_restart, false, false},
    {"reload", ctl_reload, false, false},
    {"upgrade", ctl_upgrade, false, true},
    {"reopen", ctl_reopen, false, true},
    {"status", ctl_status, false, true},
    {"check-config", ctl_check_config, false, false},
    {"init-db", ctl_init_db, false, false},
    {"event", ctl_event, true, false},
};

int
ctl_fail(const struct ctl *ctl, const char *fmt, ...)
{
	va_list ap;

	(void)fprintf(stderr, "%s: ", ctl->program);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	return CTL_FAILED;
}

static const struct command *
find_command(const char *word)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].word, word) == 0)
			return &commands[i];
	return NULL;
}

/*
 * A command and a role in either order: "start worker", "worker start".
 * NULL when the words make no sense.
 */
static const struct command *
read_words(struct ctl *ctl, int argc, char **argv)
{
	const struct command *command = NULL;

	for (int i = 0; i < argc; i++) {
		const struct command *found = find_command(argv[i]);

		if (found != NULL && command == NULL) {
			command = found;
		} else if (ctl->roles == CONFIG_ALL &&
		    strcmp(argv[i], "service") == 0) {
			ctl->roles = CONFIG_SERVICE_ONLY;
		} else if (ctl->roles == CONFIG_ALL &&
		    strcmp(argv[i], "worker") == 0) {
			ctl->roles = CONFIG_WORKER_ONLY;
		} else if (strcmp(argv[i], "--json") == 0) {
			ctl->json = true;
		} else {
			return NULL;
		}
		if (command != NULL && command->takes_words) {
			ctl->argc = argc - i - 1;
			ctl->argv = argv + i + 1;
			return command;
		}
	}
	return command;
}

static int
load_config(struct ctl *ctl)
{
	const struct config_source source = {
	    .file = ctl->config_file,
	    .state_dir = ctl->state_dir,
	    .roles = ctl->roles,
	};
	struct config_errors errors = {0};
	int status = config_load(&source, &ctl->cfg, &errors);

	for (size_t i = 0; i < errors.len; i++)
		ctl_fail(ctl, "%s", errors.list[i].text);
	config_errors_free(&errors);
	return status;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"state-dir", required_argument, NULL, 'd'},
	    {"json", no_argument, NULL, 'j'},
	    {"version", no_argument, NULL, 'V'},
	    {"help", no_argument, NULL, 'h'},
	    {0},
	};
	struct ctl ctl = {.program = "cassatactl", .roles = CONFIG_ALL};
	const struct command *command;
	const char *slash = strrchr(argv[0], '/');
	int c, status;

	if (strcmp(slash == NULL ? argv[0] : slash + 1, "cassata") == 0)
		ctl.program = "cassata";
	while ((c = getopt_long(argc, argv, "+c:d:h", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			ctl.config_file = optarg;
			break;
		case 'd':
			ctl.state_dir = optarg;
			break;
		case 'j':
			ctl.json = true;
			break;
		case 'V':
			printf("cassata %s\n", CASSATA_VERSION);
			return CTL_OK;
		case 'h':
			fputs(usage, stdout);
			return CTL_OK;
		default:
			fputs(usage, stderr);
			return CTL_USAGE;
		}
	}
	command = read_words(&ctl, argc - optind, argv + optind);
	if (command == NULL) {
		fputs(usage, stderr);
		return CTL_USAGE;
	}
	/* The paths of a configuration with errors are there all the same. */
	if (load_config(&ctl) == -1 &&
	    (!command->any_config || ctl.cfg.master.pid_file == NULL ||
		ctl.cfg.master.control_socket == NULL))
		status = CTL_FAILED;
	else
		status = command->run(&ctl);
	config_free(&ctl.cfg);
	return status;
}
