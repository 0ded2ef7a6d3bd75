/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_FD_H
#define CASSATA_BASE_FD_H

#include <stddef.h>
#include <sys/types.h>

/* 0, or -1 with errno. */
int fd_set_nonblock(int fd);
int fd_set_cloexec(int fd);

/* Both ends non-blocking and close-on-exec. 0, or -1 with errno. */
int fd_pipe(int fds[2]);

/* Writes all of it to a blocking descriptor. 0, or -1 with errno. */
int fd_write_all(int fd, const void *bytes, size_t len);

/* Closes and sets *fd to -1; an fd below 0 is left alone. */
void fd_close(int *fd);

/* Closes every descriptor from 3 up that is not in keep (any order). */
void fd_close_others(const int *keep, size_t n);

#endif
