/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/title.h"
#include "config/config_load.h"
#include "config/config_paths.h"
#include "master/daemonize.h"
#include "master/handover.h"
#include "master/listener.h"
#include "master/master.h"
#include "proc/privileges.h"
#include "proc/state_dir.h"

/* Exit code of LSB init scripts for excess or invalid arguments. */
enum { EXIT_USAGE = 2 };

struct arguments {
	struct master_options options;
	bool check;
};

__attribute__((noreturn)) static void
usage(FILE *to, int code)
{
	(void)fputs("usage: cassatad [-c file] [-d directory] "
		    "[--role service|worker]\n"
		    "                [--foreground] [--test-clock[=ahead]] "
		    "[--check] [--version]\n"
		    "                [--help]\n",
	    to);
	exit(code);
}

static int
parse_role(const char *name, enum config_roles *roles)
{
	if (strcmp(name, "service") == 0)
		*roles = CONFIG_SERVICE_ONLY;
	else if (strcmp(name, "worker") == 0)
		*roles = CONFIG_WORKER_ONLY;
	else
		return -1;
	return 0;
}

/* ahead: a span, or NULL. */
static int
take_test_clock(struct master_options *options, const char *ahead)
{
	options->test_clock = true;
	return ahead == NULL ? 0
			     : duration_parse(slice_from_string(ahead),
				   CLOCK_AHEAD_MAX_MS, &options->test_ahead_ms);
}

static void
parse_arguments(int argc, char **argv, struct arguments *args)
{
	enum { OPTION_CHECK = 256, OPTION_TEST_CLOCK };
	static const struct option options[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"state-dir", required_argument, NULL, 'd'},
	    {"role", required_argument, NULL, 'r'},
	    {"foreground", no_argument, NULL, 'f'},
	    {"check", no_argument, NULL, OPTION_CHECK},
	    {"test-clock", optional_argument, NULL, OPTION_TEST_CLOCK},
	    {"version", no_argument, NULL, 'V'},
	    {"help", no_argument, NULL, 'h'},
	    {0},
	};
	struct config_source *source = &args->options.source;
	int option;

	while ((option = getopt_long(argc, argv, "c:d:r:fVh", options, NULL)) !=
	       -1) {
		switch (option) {
		case 'c':
			source->file = optarg;
			break;
		case 'd':
			source->state_dir = optarg;
			break;
		case 'r':
			if (parse_role(optarg, &source->roles) == -1)
				usage(stderr, EXIT_USAGE);
			break;
		case 'f':
			args->options.foreground = true;
			break;
		case OPTION_CHECK:
			args->check = true;
			break;
		case OPTION_TEST_CLOCK:
			if (take_test_clock(&args->options, optarg) == -1)
				usage(stderr, EXIT_USAGE);
			break;
		case 'V':
			(void)puts("cassatad " CASSATA_VERSION);
			exit(EXIT_SUCCESS);
		case 'h':
			usage(stdout, EXIT_SUCCESS);
		default:
			usage(stderr, EXIT_USAGE);
		}
	}
	if (optind < argc)
		usage(stderr, EXIT_USAGE);
}

/* What is opened later must not be taken for standard input or output. */
static int
open_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	return fd == -1 ? -1 : close(fd);
}

/*
 * A relative path would mean another file after daemonize, when it is read
 * again. Symbolic links stay, so that a reload sees where they lead then.
 */
static int
make_absolute(const char **path, char **allocated)
{
	char *cwd;
	int n;

	if (*path == NULL || **path == '/')
		return 0;
	cwd = getcwd(NULL, 0);
	if (cwd == NULL)
		return -1;
	n = asprintf(allocated, "%s/%s", cwd, *path);
	free(cwd);
	if (n == -1) {
		*allocated = NULL;
		return -1;
	}
	*path = *allocated;
	return 0;
}

/*
 * The path by which this program was started, for an upgrade: what lies there
 * then is the new version, also where a symbolic link leads to it.
 */
static int
find_program(const char *name, char **program)
{
	char *found;

	if (name != NULL && strchr(name, '/') != NULL) {
		const char *path = name;

		if (make_absolute(&path, program) == -1)
			return -1;
		if (*program == NULL)
			*program = strdup(name);
		return *program == NULL ? -1 : 0;
	}
	/* Found by a search: before an update can replace the file. */
	found = realpath("/proc/self/exe", NULL);
	*program = found;
	return found == NULL ? -1 : 0;
}

static int
load_or_tell(const struct config_source *source, struct config *cfg)
{
	struct config_errors errors = {0};
	int status = config_load(source, cfg, &errors);

	for (size_t i = 0; i < errors.len; i++)
		log_to_starter(errors.list[i].text);
	config_errors_free(&errors);
	return status;
}

static int
check_config(const struct config *cfg)
{
	struct config_errors errors = {0};
	int status = config_check_paths(cfg, &errors);

	for (size_t i = 0; i < errors.len; i++)
		log_to_starter(errors.list[i].text);
	config_errors_free(&errors);
	if (status == -1)
		return EXIT_FAILURE;
	(void)printf("%s: configuration OK\n",
	    cfg->file == NULL ? "no file, all defaults" : cfg->file);
	return EXIT_SUCCESS;
}

/* The sockets of a service manager or of the master that is to be followed. */
static void
note_inherited(struct master_options *options)
{
	const struct handover *handover = options->handover;

	/* They are for this process, which daemonize leaves. */
	options->n_inherited = (size_t)listener_inherited();
	options->activated = options->n_inherited > 0;
	for (int i = 0; i < LISTENER_MAX; i++)
		options->inherited[i] = LISTENER_INHERITED_FD + i;
	if (handover == NULL)
		return;
	options->n_inherited = handover->n_listen;
	options->activated = handover->activated;
	memcpy(options->inherited, handover->listen_fds,
	    sizeof(options->inherited));
}

/* Until now what was written to it went to the old master. */
static int
use_stderr(const struct handover *handover, struct err *err)
{
	if (dup2(handover->stderr_fd, STDERR_FILENO) == -1)
		return err_errno(err, "standard error");
	return 0;
}

/* A lock that the starter holds by a descriptor must not be held for ever. */
static void
close_foreign(const struct master_options *options)
{
	size_t n = options->n_inherited;

	fd_close_others(
	    options->inherited, n < LISTENER_MAX ? n : LISTENER_MAX);
}

/* The life of the daemon. */
static int
run(struct arguments *args, struct config *cfg)
{
	struct master_options *options = &args->options;
	struct err err;

	options->ready_fd = -1;
	if (load_or_tell(&options->source, cfg) == -1)
		return EXIT_FAILURE;
	if (args->check)
		return check_config(cfg);
	privileges_forbid_cores();
	note_inherited(options);
	if (state_dir_prepare(cfg, &err) == -1)
		goto fail;
	if (options->handover != NULL) {
		if (use_stderr(options->handover, &err) == -1)
			goto fail;
	} else if (!options->foreground) {
		close_foreign(options);
		options->ready_fd = daemonize(cfg->master.state_dir, &err);
		if (options->ready_fd == -1)
			goto fail;
	}
	return master_run(options, cfg);
fail:
	log_to_starter(err.text);
	return EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	struct arguments args = {0};
	struct config_source *source = &args.options.source;
	struct config cfg = {0};
	const char *home = getenv("CASSATA_HOME");
	char *program = NULL, *file = NULL, *state_dir = NULL;
	struct handover handover;
	struct err err;
	int status = EXIT_FAILURE;

	privileges_hide_password();
	argv = title_init(argc, argv);
	if (argv == NULL) {
		log_to_starter("out of memory");
		return EXIT_FAILURE;
	}
	if (open_standard_fds() == -1)
		return EXIT_FAILURE;
	switch (handover_take(&handover, &err)) {
	case -1:
		log_to_starter(err.text);
		return EXIT_FAILURE;
	case 1:
		args.options.handover = &handover;
		break;
	default:
		break;
	}
	parse_arguments(argc, argv, &args);
	if (source->state_dir == NULL && home != NULL && *home != '\0')
		source->state_dir = home;
	if (find_program(argv[0], &program) == -1 ||
	    make_absolute(&source->file, &file) == -1 ||
	    make_absolute(&source->state_dir, &state_dir) == -1)
		perror("cassatad");
	else {
		args.options.program = program;
		status = run(&args, &cfg);
	}
	config_free(&cfg);
	free(program);
	free(file);
	free(state_dir);
	return status;
}
