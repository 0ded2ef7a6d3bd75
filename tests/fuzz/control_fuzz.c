/* SPDX-License-Identifier: ISC */
/*
 * The control socket of a master that has no children. The first byte of the
 * input says where the rest, what a client sends, is cut in two.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "master/control.h"
#include "master/control_status.h"
#include "target.h"

static struct master master;
static char directory[] = "/tmp/control_fuzz.XXXXXX";
static struct sockaddr_un address = {.sun_family = AF_UNIX};

/* The client. */
static struct slice rest; /* still to be sent */
static char answer[65536];
static size_t answer_len;

/* ---- in the place of master.c ---- */

static void
tell_status(void *arg, struct buf *answer_to)
{
	control_status_write(arg, answer_to);
}

static int
change(void *arg, struct err *refused)
{
	const struct master *m = arg;
	static unsigned n;

	if (++n % 2 == 0)
		return err_set(refused, "a reload is under way");
	control_answer_waiting(
	    m->control, n % 3 == 0 ? SLICE_LITERAL("a reason\nanother one\n")
				   : SLICE_LITERAL(""));
	return 0;
}

static void
reopen_logs(void *arg)
{
	(void)arg;
}

static bool
is_child(void *arg, pid_t pid)
{
	(void)arg;
	return pid != getpid();
}

static const struct control_ops ops = {
    .status = tell_status,
    .reload = change,
    .upgrade = change,
    .stop = change,
    .freeze = change,
    .thaw = change,
    .reopen_logs = reopen_logs,
    .is_child = is_child,
};

/* ---- the client ---- */

static void
remove_socket(void)
{
	control_close(&master.control);
	(void)rmdir(directory);
}

static void
prepare(void)
{
	const struct config_source source = {
	    .state_dir = "/nonexistent", .roles = CONFIG_ALL};
	struct config_errors errors;
	struct config cfg;
	struct err err;

	if (master.loop != NULL)
		return;
	CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	CHECK(
	    log_open("stderr", LOG_LEVEL_ERROR, LOG_LINE_BYTES_MAX, &err) == 0);
	CHECK(config_load(&source, &cfg, &errors) == 0);
	CHECK(scoreboard_create(&master.sb, &err) == 0);
	master.loop = loop_create();
	master.current = generation_create(1, &cfg, CONFIG_ALL);
	CHECK(master.loop != NULL && master.current != NULL);
	master.phase = PHASE_SERVING;
	TAILQ_INIT(&master.generations);
	TAILQ_INSERT_TAIL(&master.generations, master.current, entry);
	CHECK(mkdtemp(directory) != NULL);
	(void)snprintf(
	    address.sun_path, sizeof(address.sun_path), "%s/s", directory);
	master.control = control_open(
	    master.loop, address.sun_path, -1, &ops, &master, &err);
	CHECK(master.control != NULL);
	CHECK(atexit(remove_socket) == 0);
	config_errors_free(&errors);
}

/* A server that has heard enough closes: then nobody reads the rest. */
static void
send_some(int fd, size_t n)
{
	if (n > 0)
		(void)send(fd, rest.p, n, MSG_NOSIGNAL);
	rest = slice_of(rest.p + n, rest.len - n);
	if (rest.len == 0)
		(void)shutdown(fd, SHUT_WR);
}

static void
on_ready(int fd, unsigned events, void *arg)
{
	ssize_t n;

	(void)events;
	(void)arg;
	if (rest.len > 0)
		send_some(fd, rest.len);
	n = recv(
	    fd, answer + answer_len, sizeof(answer) - answer_len, MSG_DONTWAIT);
	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0)
		loop_stop(master.loop);
	else
		answer_len += (size_t)n;
}

static void
check_answer(void)
{
	if (answer_len == 0)
		return;
	CHECK(answer_len < sizeof(answer) && answer[answer_len - 1] == '\n');
	answer[answer_len] = '\0';
	CHECK(strcmp(answer, "ok\n") == 0 || answer[0] == '{' ||
	      strncmp(answer, "error: ", 7) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct loop_io *io;
	int fd;

	if (size < 2)
		return 0;
	prepare();
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(fd != -1);
	CHECK(connect(fd, (const struct sockaddr *)&address, sizeof(address)) ==
	      0);
	rest = slice_of((const char *)data + 1, size - 1);
	answer_len = 0;
	send_some(fd, data[0] < rest.len ? data[0] : rest.len);
	io = loop_io_create(master.loop, fd,
	    rest.len > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ, on_ready, NULL);
	CHECK(io != NULL && loop_run(master.loop) == 0);
	check_answer();
	loop_io_free(&io);
	fd_close(&fd);
	return 0;
}
