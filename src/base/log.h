/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_LOG_H
#define CASSATA_BASE_LOG_H

#include <stddef.h>

#include "base/err.h"

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/* What a line may be limited to, its newline counted. */
enum { LOG_LINE_BYTES_MIN = 256, LOG_LINE_BYTES_MAX = 16384 };

/*
 * Where the lines go: "stderr", "syslog", or the path of a file that is opened
 * for appending (and created 0640). Longer lines than line_bytes are cut. 0 or
 * -1.
 */
int log_open(const char *destination, enum log_level level, size_t line_bytes,
    struct err *err);

/*
 * For whoever started the program, before there is a log: "cassatad: text" and
 * LF on standard error.
 */
void log_to_starter(const char *text);

/*
 * Opens the file again after it was renamed. 0; -1 when the log is none, or the
 * old one is kept, which then says why.
 */
int log_reopen(void);

/* Goes on in that file, unless the log is none; takes the descriptor over. */
void log_use(int fd);

/*
 * The descriptor that fd_close_others must keep, or -1. A connection to syslog
 * is closed here; the next line opens it again.
 */
int log_fd(void);

/* The name in front of each line: "master", "service 1", "worker 3". Copied. */
void log_set_name(const char *name);

/*
 * One line each: time, name, pid, level, text. To the journal of systemd, when
 * that is standard error, priority, name, pid, text. Control
 * characters, DEL and bytes that are not UTF-8 are written as \xHH, so that no
 * value from outside can forge a line or steer a terminal. errno is kept.
 * log_warn appends ": " and the text of errno.
 */
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warnx(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_errorx(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
