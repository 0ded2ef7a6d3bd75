/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_daemon.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/clock.h"
#include "base/fd.h"
#include "config/config_paths.h"
#include "ctl/ctl_done.h"
#include "ctl/ctl_find.h"
#include "proc/control_proto.h"
#include "proc/data_dir.h"
#include "proc/privileges.h"
#include "proc/state_dir.h"
#include "store/store.h"

enum {
	POLL_MS = 20,
	STOP_GRACE_MS = 10000, /* beyond the daemon's own time-out */
};

/* cassatad lies beside this program, or where it was installed. */
static int
daemon_path(char *path, size_t size)
{
	static const char name[] = "cassatad";
	ssize_t n = readlink("/proc/self/exe", path, size - 1);
	char *slash;

	if (n <= 0)
		return -1;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (slash == NULL || (size_t)(slash + 1 - path) + sizeof(name) > size)
		return -1;
	memcpy(slash + 1, name, sizeof(name));
	return access(path, X_OK);
}

static void
exec_daemon(const struct ctl *ctl, char *path)
{
	char *argv[10], test_clock[64];
	int n = 0;
	static char config_option[] = "-c", dir_option[] = "-d",
		    role_option[] = "--role", service[] = "service",
		    worker[] = "worker", name[] = "cassatad";
	/* execv does not write to its arguments, its type only says so. */
	union {
		const char *in;
		char *out;
	} config = {ctl->config_file}, dir = {ctl->state_dir};

	argv[n++] = name;
	if (config.in != NULL) {
		argv[n++] = config_option;
		argv[n++] = config.out;
	}
	if (dir.in != NULL) {
		argv[n++] = dir_option;
		argv[n++] = dir.out;
	}
	if (ctl->roles != CONFIG_ALL) {
		argv[n++] = role_option;
		argv[n++] =
		    ctl->roles == CONFIG_SERVICE_ONLY ? service : worker;
	}
	if (ctl->test_clock != NULL) {
		(void)snprintf(test_clock, sizeof(test_clock),
		    "--test-clock=%s", ctl->test_clock);
		argv[n++] = test_clock;
	}
	argv[n] = NULL;
	execv(path, argv);
}

/* cassatad itself waits until it is ready, or says why it is not; said: where,
 * -1 for standard error. */
static int
run_daemon(const struct ctl *ctl, int said)
{
	char path[PATH_MAX];
	int status;
	pid_t pid;

	if (daemon_path(path, sizeof(path)) == -1)
		return ctl_fail(
		    ctl, "cannot find cassatad beside this program");
	pid = fork();
	if (pid == -1)
		return ctl_fail(ctl, "fork: %s", strerror(errno));
	if (pid == 0) {
		if (said != -1)
			(void)dup2(said, STDERR_FILENO);
		exec_daemon(ctl, path);
		(void)fprintf(stderr, "%s: %s: %s\n", ctl->program, path,
		    strerror(errno));
		_exit(CTL_FAILED);
	}
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return ctl_fail(ctl, "waitpid: %s", strerror(errno));
	if (WIFSIGNALED(status))
		return ctl_fail(
		    ctl, "cassatad was ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

/* With --json what it says becomes some: a file, which it may fill, whoever
 * holds it open. */
static int
run_daemon_json(const struct ctl *ctl)
{
	char text[65536];
	int fd = memfd_create("cassatad", MFD_CLOEXEC);
	int status = run_daemon(ctl, fd);
	ssize_t n = fd == -1 ? 0 : pread(fd, text, sizeof(text), 0);

	if (n > 0)
		ctl_pass_on(ctl, status == CTL_OK ? "warning" : "error",
		    slice_of(text, (size_t)n));
	fd_close(&fd);
	return status;
}

static int
tell_started(const struct ctl *ctl, pid_t pid, pid_t stopped)
{
	struct json_object *done;

	if (!ctl->json || stopped == 0)
		return ctl_done(
		    ctl, "started", pid, "started (pid %d)", (int)pid);
	done = ctl_done_begin(ctl, "started", pid);
	json_object_object_add(done, "stopped", json_object_new_int64(stopped));
	return ctl_done_print(ctl, done);
}

/* stopped: whom it follows, or 0. */
static int
start_daemon(const struct ctl *ctl, pid_t stopped)
{
	bool left_behind;
	struct err err;
	pid_t pid = ctl_find(ctl, &left_behind, &err);
	int status;

	if (pid == -1)
		return ctl_fail(ctl, "%s", err.text);
	if (pid > 0)
		return ctl_done(ctl, "already-running", pid,
		    "already running (pid %d)", (int)pid);
	status = ctl->json ? run_daemon_json(ctl) : run_daemon(ctl, -1);
	if (status != CTL_OK)
		return status;
	pid = ctl_find(ctl, &left_behind, &err);
	return pid > 0 ? tell_started(ctl, pid, stopped)
		       : ctl_fail(ctl, "the daemon started but has gone again");
}

int
ctl_start(struct ctl *ctl)
{
	return start_daemon(ctl, 0);
}

static void
pause_ms(long ms)
{
	struct timespec pause = {.tv_sec = 0, .tv_nsec = ms * 1000000};

	nanosleep(&pause, NULL);
}

/* A descriptor that tells the end of the process, or -1. */
static int
watch_end(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static bool
wait_for_end(int fd, int64_t timeout_ms)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return fd != -1 && poll(&pfd, 1, (int)timeout_ms) == 1;
}

static int
ask_to_stop(const struct ctl *ctl, pid_t pid, int *fd)
{
	fd_close(fd);
	*fd = watch_end(pid);
	if (kill(pid, SIGTERM) == -1 && errno != ESRCH)
		return ctl_fail(ctl, "pid %d: %s", (int)pid, strerror(errno));
	return CTL_OK;
}

/* The process, and its successor if it is just being replaced: *asked is the
 * last. */
static int
stop_running(const struct ctl *ctl, pid_t pid, pid_t *asked, int *fd)
{
	bool left_behind;
	struct err err;
	int64_t end_ms = clock_mono_ms() + ctl->cfg.master.shutdown_timeout_ms +
			 STOP_GRACE_MS;

	for (; pid > 0; pid = ctl_find(ctl, &left_behind, &err)) {
		if (pid != *asked && ask_to_stop(ctl, pid, fd) != CTL_OK)
			return CTL_FAILED;
		*asked = pid;
		if (clock_mono_ms() >= end_ms)
			return ctl_fail(ctl, "pid %d is still there", (int)pid);
		pause_ms(POLL_MS);
	}
	if (pid == -1)
		return ctl_fail(ctl, "%s", err.text);
	/* It lets go of the lock shortly before its end. */
	(void)wait_for_end(*fd, STOP_GRACE_MS);
	return CTL_OK;
}

/* *stopped: who was there, or 0. */
static int
stop_daemon(const struct ctl *ctl, pid_t *stopped)
{
	bool left_behind;
	struct err err;
	pid_t pid = ctl_find(ctl, &left_behind, &err);
	int status = CTL_OK, fd = -1;

	*stopped = 0;
	if (pid == -1)
		return ctl_fail(ctl, "%s", err.text);
	if (pid > 0)
		status = stop_running(ctl, pid, stopped, &fd);
	fd_close(&fd);
	return status;
}

static int
tell_stopped(const struct ctl *ctl, pid_t pid)
{
	return pid == 0 ? ctl_done(ctl, "not-running", 0, "not running")
			: ctl_done(ctl, "stopped", pid, "stopped (pid %d)",
			      (int)pid);
}

int
ctl_stop(struct ctl *ctl)
{
	pid_t pid;
	int status = stop_daemon(ctl, &pid);

	return status == CTL_OK ? tell_stopped(ctl, pid) : status;
}

/* As JSON one object, since it is one command. */
int
ctl_restart(struct ctl *ctl)
{
	pid_t pid;
	int status = stop_daemon(ctl, &pid);

	if (status != CTL_OK)
		return status;
	if (!ctl->json)
		(void)tell_stopped(ctl, pid);
	return start_daemon(ctl, pid);
}

/* Prints the master's answer, if it is not "ok". */
static int
judge_answer(const struct ctl *ctl, const struct buf *answer)
{
	if (slice_eq(buf_slice(answer), SLICE_LITERAL("ok\n")))
		return CTL_OK;
	if (answer->len == 0)
		return ctl_fail(ctl, "the daemon ended before it answered");
	ctl_pass_on(ctl, "error", buf_slice(answer));
	return CTL_FAILED;
}

static pid_t
pid_in(struct json_object *status)
{
	struct json_object *pid;

	return json_object_object_get_ex(status, "pid", &pid)
		   ? (pid_t)json_object_get_int64(pid)
		   : 0;
}

int
ctl_request_change(const struct ctl *ctl, const char *word, pid_t *pid)
{
	/* The new children get as long to start as at a start. */
	int64_t timeout_ms =
	    2 * (ctl->cfg.master.start_timeout_ms + CTL_ASK_TIMEOUT_MS);
	struct buf answer;
	struct err err;
	bool absent;
	/* One that hangs would be waited for as long as one that works. */
	struct json_object *alive = ctl_ask_status(ctl, &absent, &err);
	int status = CTL_FAILED;

	*pid = pid_in(alive);
	buf_init(&answer, CTL_ANSWER_MAX_BYTES);
	if (alive != NULL &&
	    ctl_ask(ctl, word, timeout_ms, &answer, &absent, &err) == 0) {
		status = judge_answer(ctl, &answer);
	} else {
		(void)ctl_fail(ctl, "%s", absent ? "not running" : err.text);
		status = absent ? CTL_NOT_RUNNING : CTL_FAILED;
	}
	buf_free(&answer);
	json_object_put(alive);
	return status;
}

int
ctl_reload(struct ctl *ctl)
{
	pid_t pid;
	int status = ctl_request_change(ctl, CONTROL_RELOAD, &pid);

	return status == CTL_OK ? ctl_done(ctl, "reloaded", pid, "reloaded")
				: status;
}

int
ctl_reopen(struct ctl *ctl)
{
	pid_t pid;
	int status = ctl_request_change(ctl, CONTROL_REOPEN, &pid);

	if (status == CTL_OK && ctl->json)
		(void)ctl_done_print(ctl, ctl_done_begin(ctl, "reopened", pid));
	return status;
}

/* "cassatad VERSION (pid N) WHAT", unless that is to be JSON. */
static void
tell_of(const struct ctl *ctl, struct json_object *status, const char *what)
{
	if (ctl->json)
		return;
	printf("cassatad %s (pid %s) %s\n", ctl_text_of(status, "version"),
	    ctl_text_of(status, "pid"), what);
	(void)fflush(stdout);
}

static void
add_version(struct json_object *to, struct json_object *status)
{
	json_object_object_add(to, "version",
	    json_object_new_string(ctl_text_of(status, "version")));
}

static int
print_upgrade(const struct ctl *ctl, struct json_object *old,
    struct json_object *new, bool has_left)
{
	struct json_object *done = ctl_done_begin(ctl, "upgraded", pid_in(new));
	struct json_object *before = json_object_new_object();

	add_version(done, new);
	json_object_object_add(
	    before, "pid", json_object_new_int64(pid_in(old)));
	add_version(before, old);
	json_object_object_add(before, "state",
	    json_object_new_string(has_left ? "stopped" : "draining"));
	json_object_object_add(done, "before", before);
	return ctl_done_print(ctl, done);
}

static int
follow_upgrade(const struct ctl *ctl, struct json_object *old, int old_fd)
{
	int64_t timeout_ms =
	    ctl->cfg.master.shutdown_timeout_ms + STOP_GRACE_MS;
	struct err err;
	bool absent, has_left;
	struct json_object *new = ctl_ask_status(ctl, &absent, &err);

	if (new == NULL)
		return ctl_fail(ctl, "%s", err.text);
	tell_of(ctl, new, "has taken over");
	has_left = wait_for_end(old_fd, timeout_ms);
	tell_of(ctl, old, has_left ? "has left" : "still drains");
	if (ctl->json)
		(void)print_upgrade(ctl, old, new, has_left);
	json_object_put(new);
	return CTL_OK;
}

int
ctl_upgrade(struct ctl *ctl)
{
	bool left_behind, absent;
	struct json_object *old;
	struct err err;
	int status, old_fd;
	pid_t pid;

	if (ctl_find(ctl, &left_behind, &err) == 0) {
		(void)ctl_fail(ctl, "not running");
		return CTL_NOT_RUNNING;
	}
	old = ctl_ask_status(ctl, &absent, &err);
	if (old == NULL)
		return ctl_fail(ctl, "%s", err.text);
	tell_of(ctl, old, "starts its successor");
	old_fd = watch_end(pid_in(old));
	status = ctl_request_change(ctl, CONTROL_UPGRADE, &pid);
	if (status == CTL_OK)
		status = follow_upgrade(ctl, old, old_fd);
	fd_close(&old_fd);
	json_object_put(old);
	return status;
}

/* With one more member, null where there is no text. */
static int
print_with(const struct ctl *ctl, const char *outcome, const char *name,
    const char *text)
{
	struct json_object *done = ctl_done_begin(ctl, outcome, 0);

	json_object_object_add(
	    done, name, text == NULL ? NULL : json_object_new_string(text));
	return ctl_done_print(ctl, done);
}

int
ctl_check_config(struct ctl *ctl)
{
	struct config_errors errors = {0};
	/* Its own errors, if any, were printed when it was loaded. */
	int status = config_check_paths(&ctl->cfg, &errors);

	for (size_t i = 0; i < errors.len; i++)
		(void)ctl_fail(ctl, "%s", errors.list[i].text);
	config_errors_free(&errors);
	if (status == -1)
		return CTL_FAILED;
	if (ctl->json)
		return print_with(ctl, "valid", "config", ctl->cfg.file);
	(void)printf("%s: configuration OK\n",
	    ctl->cfg.file == NULL ? "no file, all defaults" : ctl->cfg.file);
	return CTL_OK;
}

int
ctl_init_db(struct ctl *ctl)
{
	const struct config_datastore *cfg = &ctl->cfg.datastore;
	struct store_params params = config_store_params(&ctl->cfg);
	struct store *store;
	struct err err;
	int status = CTL_OK;

	/* A file belongs to who makes it. */
	if (cfg->place.file != NULL &&
	    (state_dir_prepare(&ctl->cfg, &err) == -1 ||
		privileges_drop(&ctl->cfg.master, &err) == -1 ||
		data_dir_check(&ctl->cfg, &err) == -1))
		return ctl_fail(ctl, "%s", err.text);
	if (store_open(&params, &store, &err) == -1)
		return ctl_fail(ctl, "%s", err.text);
	if (store_check(store, true, &err) != STORE_OK)
		status = ctl_fail(ctl, "%s", err.text);
	else if (ctl->json)
		(void)print_with(
		    ctl, "ready", "datastore", store_target(store));
	else
		printf("%s is ready\n", store_target(store));
	store_close(&store);
	return status;
}
