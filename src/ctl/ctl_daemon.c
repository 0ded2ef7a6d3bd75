/* SPDX-License-Identifier: ISC */
#include "ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "proc/control_client.h"
#include "proc/control_proto.h"
#include "proc/data_dir.h"
#include "proc/executable.h"
#include "proc/privileges.h"
#include "proc/state_dir.h"
#include "store/store.h"

enum {
	ANSWER_MAX_BYTES = 4 * 1024 * 1024,
	ASK_TIMEOUT_MS = 5000,
	POLL_MS = 20,
	STOP_GRACE_MS = 10000, /* beyond the daemon's own time-out */
};

/* Who holds the lock; 0 for nobody, or -1 with errno. */
static pid_t
lock_holder(int fd)
{
	/* The first byte is the holder's. While another process takes over it
	 * may be free, but not the rest. */
	struct flock lock = {
	    .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	int status = fcntl(fd, F_GETLK, &lock);

	if (status == 0 && lock.l_type == F_UNLCK) {
		lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
		status = fcntl(fd, F_GETLK, &lock);
	}
	if (status == -1)
		return -1;
	return lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

/*
 * The process that holds the lock of the pid file: 0 for none, -1 with err when
 * that is unknown. The lock tells the truth where a number in a file may be
 * that of another process by now. *left_behind: a file without a holder.
 */
static pid_t
running(const struct ctl *ctl, bool *left_behind, struct err *err)
{
	const char *path = ctl->cfg.master.pid_file;
	struct err reason;
	/* No link: it may lead to a file that a process of root's locks. */
	int fd = file_open(path, O_RDONLY | O_NOFOLLOW, 0, &reason);
	pid_t pid;

	*left_behind = false;
	if (fd == -1 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd == -1)
		return err_set(err, "%s: %s", path, reason.text);
	pid = lock_holder(fd);
	if (pid == -1) {
		(void)err_errno(err, "%s", path);
	} else if (pid > 0 && executable_is_daemon(pid) == 0) {
		(void)err_set(err, "%s is locked by process %ld, which is no "
				   "cassatad",
		    path, (long)pid);
		pid = -1;
	}
	close(fd);
	*left_behind = pid == 0;
	return pid;
}

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
	char *argv[8];
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
	argv[n] = NULL;
	execv(path, argv);
}

/* cassatad itself waits until it is ready, or says why it is not. */
static int
run_daemon(const struct ctl *ctl)
{
	char path[PATH_MAX];
	int status;
	pid_t pid;

	if (daemon_path(path, sizeof(path)) == -1)
		return ctl_fail(ctl, "cannot find cassatad beside this program");
	pid = fork();
	if (pid == -1)
		return ctl_fail(ctl, "fork: %s", strerror(errno));
	if (pid == 0) {
		exec_daemon(ctl, path);
		(void)fprintf(stderr, "%s: %s: %s\n", ctl->program, path,
		    strerror(errno));
		_exit(CTL_FAILED);
	}
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return ctl_fail(ctl, "waitpid: %s", strerror(errno));
	if (WIFSIGNALED(status))
		return ctl_fail(ctl, "cassatad was ended by signal %d",
		    WTERMSIG(status));
	return WEXITSTATUS(status);
}

int
ctl_start(struct ctl *ctl)
{
	bool left_behind;
	struct err err;
	pid_t pid = running(ctl, &left_behind, &err);
	int status;

	if (pid == -1)
		return ctl_fail(ctl, "%s", err.text);
	if (pid > 0) {
		printf("already running (pid %d)\n", (int)pid);
		return CTL_OK;
	}
	status = run_daemon(ctl);
	if (status != CTL_OK)
		return status;
	pid = running(ctl, &left_behind, &err);
	if (pid <= 0)
		return ctl_fail(ctl, "the daemon started but has gone again");
	printf("started (pid %d)\n", (int)pid);
	return CTL_OK;
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
		return ctl_fail(
		    ctl, "pid %d: %s", (int)pid, strerror(errno));
	return CTL_OK;
}

/* The process, and its successor if it is just being replaced. */
static int
stop_running(const struct ctl *ctl, pid_t pid, int *fd)
{
	bool left_behind;
	struct err err;
	pid_t asked = 0;
	int64_t end_ms = clock_mono_ms() +
	    ctl->cfg.master.shutdown_timeout_ms + STOP_GRACE_MS;

	for (; pid > 0; pid = running(ctl, &left_behind, &err)) {
		if (pid != asked && ask_to_stop(ctl, pid, fd) != CTL_OK)
			return CTL_FAILED;
		asked = pid;
		if (clock_mono_ms() >= end_ms)
			return ctl_fail(
			    ctl, "pid %d is still there", (int)pid);
		pause_ms(POLL_MS);
	}
	if (pid == -1)
		return ctl_fail(ctl, "%s", err.text);
	/* It lets go of the lock shortly before its end. */
	(void)wait_for_end(*fd, STOP_GRACE_MS);
	printf("stopped (pid %d)\n", (int)asked);
	return CTL_OK;
}

int
ctl_stop(struct ctl *ctl)
{
	bool left_behind;
	struct err err;
	pid_t pid = running(ctl, &left_behind, &err);
	int status, fd = -1;

	if (pid == -1)
		return ctl_fail(ctl, "%s", err.text);
	if (pid == 0) {
		printf("not running\n");
		return CTL_OK;
	}
	status = stop_running(ctl, pid, &fd);
	fd_close(&fd);
	return status;
}

int
ctl_restart(struct ctl *ctl)
{
	int status = ctl_stop(ctl);

	return status == CTL_OK ? ctl_start(ctl) : status;
}

int
ctl_ask(const struct ctl *ctl, const char *word, int64_t timeout_ms,
    struct buf *answer, bool *absent, struct err *err)
{
	const struct config_master *cfg = &ctl->cfg.master;
	/* root's master is root, while its children may write in the directory
	 * of the socket. */
	uid_t stranger = geteuid() == 0 && cfg->user != NULL ? cfg->uid : 0;

	return control_ask(cfg->control_socket, stranger, word, timeout_ms,
	    answer, absent, err);
}

/* A change that the master carries out, or says why it does not. */
static int
change(const struct ctl *ctl, const char *word)
{
	/* The new children get as long to start as at a start. */
	int64_t timeout_ms =
	    2 * (ctl->cfg.master.start_timeout_ms + ASK_TIMEOUT_MS);
	struct buf answer;
	struct err err;
	bool absent;
	int status = CTL_FAILED;

	buf_init(&answer, ANSWER_MAX_BYTES);
	if (ctl_ask(ctl, word, timeout_ms, &answer, &absent, &err) == -1) {
		ctl_fail(ctl, "%s", absent ? "not running" : err.text);
		status = absent ? CTL_NOT_RUNNING : CTL_FAILED;
	} else if (slice_eq(buf_slice(&answer), SLICE_LITERAL("ok\n"))) {
		status = CTL_OK;
	} else if (answer.len == 0) {
		ctl_fail(ctl, "the daemon ended before it answered");
	} else {
		fwrite(answer.p, 1, answer.len, stderr);
	}
	buf_free(&answer);
	return status;
}

int
ctl_reload(struct ctl *ctl)
{
	int status = change(ctl, CONTROL_RELOAD);

	if (status == CTL_OK)
		printf("reloaded\n");
	return status;
}

int
ctl_reopen(struct ctl *ctl)
{
	return change(ctl, CONTROL_REOPEN);
}

static const char *
text_of(struct json_object *object, const char *name)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, name, &value) || value == NULL)
		return "-";
	return json_object_get_string(value);
}

/* "12s", "5m", "3h", "2d": since a time in seconds. */
static void
print_age(struct json_object *object)
{
	int64_t started, age;
	struct json_object *value;

	if (!json_object_object_get_ex(object, "started", &value) ||
	    value == NULL) {
		printf("-");
		return;
	}
	started = json_object_get_int64(value);
	age = clock_wall_ms() / 1000 - started;
	if (age < 0)
		age = 0;
	if (age < 120)
		printf("%llds", (long long)age);
	else if (age < 7200)
		printf("%lldm", (long long)(age / 60));
	else if (age < 172800)
		printf("%lldh", (long long)(age / 3600));
	else
		printf("%lldd", (long long)(age / 86400));
}

static void
print_children(struct json_object *status)
{
	struct json_object *children;

	if (!json_object_object_get_ex(status, "children", &children))
		return;
	for (size_t i = 0; i < json_object_array_length(children); i++) {
		struct json_object *child =
		    json_object_array_get_idx(children, i);

		printf("  %-8s %-3s pid %-8s %-9s for ",
		    text_of(child, "role"), text_of(child, "number"),
		    text_of(child, "pid"), text_of(child, "state"));
		print_age(child);
		printf("\n");
		if (json_object_object_get_ex(child, "trouble", NULL))
			printf("    datastore: %s\n", text_of(child, "trouble"));
	}
}

static void
print_listening(struct json_object *status)
{
	struct json_object *list;

	if (!json_object_object_get_ex(status, "listening", &list))
		return;
	for (size_t i = 0; i < json_object_array_length(list); i++)
		printf("listening  %s\n",
		    json_object_get_string(json_object_array_get_idx(list, i)));
}

static int
print_status(const struct ctl *ctl, const struct buf *answer)
{
	struct json_object *status;

	if (ctl->json) {
		fwrite(answer->p, 1, answer->len, stdout);
		return CTL_OK;
	}
	status = json_tokener_parse(answer->p);
	if (status == NULL)
		return ctl_fail(ctl, "the daemon's answer is no JSON");
	printf("cassatad %s, pid %s, %s for ", text_of(status, "version"),
	    text_of(status, "pid"), text_of(status, "state"));
	print_age(status);
	printf("\nconfig     %s\ndatastore  %s\nsandbox    %s\n",
	    text_of(status, "config"), text_of(status, "datastore"),
	    text_of(status, "sandbox"));
	print_listening(status);
	print_children(status);
	json_object_put(status);
	return CTL_OK;
}

int
ctl_status(struct ctl *ctl)
{
	struct buf answer;
	struct err err;
	bool absent, left_behind;
	int status;

	if (running(ctl, &left_behind, &err) == 0) {
		printf("not running\n");
		return left_behind ? CTL_STATUS_DEAD : CTL_STATUS_STOPPED;
	}
	buf_init(&answer, ANSWER_MAX_BYTES);
	if (ctl_ask(ctl, CONTROL_STATUS, ASK_TIMEOUT_MS, &answer, &absent,
		&err) == -1 ||
	    buf_append_char(&answer, '\0') == -1) {
		ctl_fail(ctl, "%s", err.text);
		status = CTL_STATUS_UNKNOWN;
	} else {
		answer.len--;
		status = print_status(ctl, &answer);
	}
	buf_free(&answer);
	return status;
}

/* The daemon's status, or NULL; to be put. */
static struct json_object *
ask_status(const struct ctl *ctl, struct err *err)
{
	struct json_object *status = NULL;
	struct buf answer;
	bool absent;

	buf_init(&answer, ANSWER_MAX_BYTES);
	if (ctl_ask(ctl, CONTROL_STATUS, ASK_TIMEOUT_MS, &answer, &absent,
		err) == 0) {
		(void)err_set(err, "the daemon's answer is no status");
		if (buf_append_char(&answer, '\0') == 0)
			status = json_tokener_parse(answer.p);
	}
	buf_free(&answer);
	return status;
}

/* As watch_end, of the process of a status. */
static int
watch_end_of(struct json_object *status)
{
	struct json_object *pid;

	if (!json_object_object_get_ex(status, "pid", &pid))
		return -1;
	return watch_end((pid_t)json_object_get_int64(pid));
}

static int
print_upgrade(const struct ctl *ctl, struct json_object *old, int old_fd)
{
	int64_t timeout_ms =
	    ctl->cfg.master.shutdown_timeout_ms + STOP_GRACE_MS;
	struct err err;
	struct json_object *new = ask_status(ctl, &err);

	if (new == NULL)
		return ctl_fail(ctl, "%s", err.text);
	printf("cassatad %s (pid %s) has taken over\n", text_of(new, "version"),
	    text_of(new, "pid"));
	(void)fflush(stdout);
	json_object_put(new);
	printf("cassatad %s (pid %s) %s\n", text_of(old, "version"),
	    text_of(old, "pid"),
	    wait_for_end(old_fd, timeout_ms) ? "has left" : "still drains");
	return CTL_OK;
}

int
ctl_upgrade(struct ctl *ctl)
{
	bool left_behind;
	struct json_object *old;
	struct err err;
	int status, old_fd;

	if (running(ctl, &left_behind, &err) == 0) {
		(void)ctl_fail(ctl, "not running");
		return CTL_NOT_RUNNING;
	}
	old = ask_status(ctl, &err);
	if (old == NULL)
		return ctl_fail(ctl, "%s", err.text);
	printf("cassatad %s (pid %s) starts its successor\n",
	    text_of(old, "version"), text_of(old, "pid"));
	(void)fflush(stdout);
	old_fd = watch_end_of(old);
	status = change(ctl, CONTROL_UPGRADE);
	if (status == CTL_OK)
		status = print_upgrade(ctl, old, old_fd);
	fd_close(&old_fd);
	json_object_put(old);
	return status;
}

int
ctl_check_config(struct ctl *ctl)
{
	/* The errors, if any, were printed when it was loaded. */
	(void)ctl;
	printf("configuration OK\n");
	return CTL_OK;
}

int
ctl_init_db(struct ctl *ctl)
{
	const struct config_datastore *cfg = &ctl->cfg.datastore;
	struct store_params params = {
	    .url = cfg->url,
	    .state_dir = ctl->cfg.master.state_dir,
	    .password = cfg->password,
	    .tls = cfg->tls,
	    .tls_ca_file = cfg->tls_ca_file,
	    .tls_certificate = cfg->tls_certificate,
	    .tls_key = cfg->tls_key,
	    .connect_timeout_ms = cfg->connect_timeout_ms,
	    .timeout_ms = cfg->timeout_ms,
	    .max_event_bytes = (size_t)ctl->cfg.service.max_body_bytes,
	};
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
	if (store_check(store, true, &err) == STORE_OK)
		printf("%s is ready\n", store_target(store));
	else
		status = ctl_fail(ctl, "%s", err.text);
	store_close(&store);
	return status;
}
