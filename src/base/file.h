/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_FILE_H
#define CASSATA_BASE_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * Files that somebody else may have laid where this process expects its own.
 * Root and the user of this process are "us".
 */

/* Whether only we can put files beside it. */
bool file_dir_is_ours(const char *path);

/*
 * As open, close-on-exec, of a regular file, without a wait for whoever has the
 * other end of a pipe. Where others can put files it must be ours or belong to
 * who has the directory, and have no second name; a link is followed unless
 * flags say O_NOFOLLOW. The descriptor, or -1 with errno and, in err, the
 * reason without the path.
 */
int file_open(const char *path, int flags, mode_t mode, struct err *err);

/*
 * All of it with a NUL behind it, at most max bytes, to be freed; NULL with the
 * reason in err, without the path. Closes fd.
 */
char *file_read(int fd, size_t max, size_t *len, struct err *err);

/*
 * Whether a program is a regular file that nobody has changed but us and whom
 * the one that runs belongs to: it, and its directory, are of no other user and
 * not open to all. 0, or -1 with a reason.
 */
int file_check_program(const char *path, struct err *err);

#endif
