/* SPDX-License-Identifier: ISC */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/slice.h"

struct line {
	size_t len;
	char p[LOG_LINE_BYTES_MAX];
};

static const struct {
	const char *name;
	int priority; /* of syslog */
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", LOG_ERR},
    [LOG_LEVEL_WARN] = {"warn", LOG_WARNING},
    [LOG_LEVEL_INFO] = {"info", LOG_INFO},
    [LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
};

static struct {
	int fd; /* -1: syslog */
	enum log_level level;
	size_t line_bytes;
	_Atomic bool is_cut; /* what was written last lacks its newline */
	bool is_journal;     /* fd is systemd's: it notes the time itself */
	char path[PATH_MAX]; /* empty: not a file */
	char name[32];
} state = {
    .fd = STDERR_FILENO,
    .level = LOG_LEVEL_INFO,
    .line_bytes = 2048,
    .name = "cassatad",
};

/* Who can write beside the log can make it a link to any file of ours. */
static int
open_file(const char *path, struct err *err)
{
	int flags = O_WRONLY | O_APPEND | O_CREAT;

	if (!file_dir_is_ours(path))
		flags |= O_NOFOLLOW;
	return file_open(path, flags, 0640, err);
}

/* What systemd's journal gave us; systemd.exec(5), JOURNAL_STREAM. */
static bool
stderr_is_journal(void)
{
	const char *given = getenv("JOURNAL_STREAM");
	char own[64];
	struct stat st;

	if (given == NULL || fstat(STDERR_FILENO, &st) == -1)
		return false;
	(void)snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	return strcmp(given, own) == 0;
}

void
log_to_starter(const char *text)
{
	(void)fprintf(
	    stderr, "%scassatad: %s\n", stderr_is_journal() ? "<3>" : "", text);
}

int
log_open(const char *destination, enum log_level level, size_t line_bytes,
    struct err *err)
{
	const char *path = "";
	struct err reason;
	int fd = -1;

	/* check() is above the log. */
	if (line_bytes < LOG_LINE_BYTES_MIN || line_bytes > LOG_LINE_BYTES_MAX)
		abort();
	if (strcmp(destination, "stderr") == 0) {
		fd = STDERR_FILENO;
	} else if (strcmp(destination, "syslog") == 0) {
		openlog("cassatad", LOG_PID, LOG_DAEMON);
	} else {
		path = destination;
		if (strlen(path) >= sizeof(state.path))
			return err_set(err, "log path too long");
		fd = open_file(path, &reason);
		if (fd == -1)
			return err_set(
			    err, "cannot open log %s: %s", path, reason.text);
	}
	if (state.path[0] != '\0')
		fd_close(&state.fd);
	state.fd = fd;
	state.is_cut = false;
	state.is_journal = fd == STDERR_FILENO && stderr_is_journal();
	state.level = level;
	state.line_bytes = line_bytes;
	(void)snprintf(state.path, sizeof(state.path), "%s", path);
	return 0;
}

/* In place: a thread may be writing a line. Takes fd over. */
static int
replace_file(int fd)
{
	int status = fd == -1 ? -1 : dup3(fd, state.fd, O_CLOEXEC);

	fd_close(&fd);
	if (status == -1)
		return -1;
	state.is_cut = false;
	return 0;
}

int
log_reopen(void)
{
	struct err reason;
	int fd;

	if (state.path[0] == '\0')
		return -1;
	fd = open_file(state.path, &reason);
	if (fd != -1 && replace_file(fd) == 0)
		return 0;
	log_warnx("cannot reopen log %s: %s", state.path,
	    fd == -1 ? reason.text : strerror(errno));
	return -1;
}

void
log_use(int fd)
{
	if (state.path[0] == '\0')
		fd_close(&fd);
	else if (replace_file(fd) == -1)
		log_warn("cannot change to a new log");
}

int
log_fd(void)
{
	if (state.fd == -1)
		closelog();
	return state.fd;
}

void
log_set_name(const char *name)
{
	(void)snprintf(state.name, sizeof(state.name), "%s", name);
}

/* Appends what fits whole, with one byte left for the newline. */
static bool
line_append(struct line *line, const char *p, size_t len)
{
	if (len > state.line_bytes - 1 - line->len)
		return false;
	memcpy(line->p + line->len, p, len);
	line->len += len;
	return true;
}

static void
line_append_escaped(struct line *line, struct slice s)
{
	while (s.len > 0) {
		char escape[sizeof("\\xHH")];
		size_t len = slice_plain_len(s);
		bool fits;

		if (len > 0) {
			fits = line_append(line, s.p, len);
		} else {
			len = 1;
			(void)snprintf(escape, sizeof(escape), "\\x%02X",
			    (unsigned)(unsigned char)s.p[0]);
			fits = line_append(line, escape, strlen(escape));
		}
		if (!fits)
			return;
		s.p += len;
		s.len -= len;
	}
}

static void
line_append_head(struct line *line, enum log_level level)
{
	int64_t now_ms = clock_wall_ms();
	time_t now = (time_t)(now_ms / 1000);
	char date[sizeof("2026-11-23T23:28:08")], head[128];
	struct tm tm;

	if (state.is_journal) {
		(void)snprintf(head, sizeof(head),
		    "<%d>%s[%ld]: ", levels[level].priority, state.name,
		    (long)getpid());
		(void)line_append(line, head, strlen(head));
		return;
	}
	if (gmtime_r(&now, &tm) == NULL ||
	    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		date[0] = '\0';
	(void)snprintf(head, sizeof(head), "%s.%03dZ %s[%ld] %s: ", date,
	    (int)(now_ms % 1000), state.name, (long)getpid(),
	    levels[level].name);
	(void)line_append(line, head, strlen(head));
}

static void
write_line(const struct line *line)
{
	ssize_t n;

	/* Where else could a failure be told? */
	do
		n = write(state.fd, line->p, line->len);
	while (n == -1 && errno == EINTR);
	/* A disk that is full takes a part. */
	if (n > 0)
		state.is_cut = (size_t)n < line->len;
}

__attribute__((format(printf, 3, 0))) static void
emit(enum log_level level, bool with_errno, const char *fmt, va_list ap)
{
	int saved_errno = errno;
	struct line line;
	char text[LOG_LINE_BYTES_MAX];
	size_t len;

	if (level > state.level)
		return;
	line.len = 0;
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	if (with_errno) {
		len = strlen(text);
		(void)snprintf(text + len, sizeof(text) - len, ": %s",
		    strerror(saved_errno));
	}
	if (state.fd == -1) {
		line_append_escaped(&line, slice_from_string(text));
		syslog(levels[level].priority, "%s: %.*s", state.name,
		    (int)line.len, line.p);
	} else {
		if (state.is_cut)
			(void)line_append(&line, "\n", 1);
		line_append_head(&line, level);
		line_append_escaped(&line, slice_from_string(text));
		line.p[line.len++] = '\n';
		write_line(&line);
	}
	errno = saved_errno;
}

void
log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LOG_LEVEL_DEBUG, false, fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LOG_LEVEL_INFO, false, fmt, ap);
	va_end(ap);
}

void
log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LOG_LEVEL_WARN, true, fmt, ap);
	va_end(ap);
}

void
log_warnx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LOG_LEVEL_WARN, false, fmt, ap);
	va_end(ap);
}

void
log_errorx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LOG_LEVEL_ERROR, false, fmt, ap);
	va_end(ap);
}
