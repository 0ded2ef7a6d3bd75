/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_ERR_H
#define CASSATA_BASE_ERR_H

/* The reason of a failure, for the one place that logs or reports it. */
struct err {
	char text[512];
};

/*
 * Writes the reason, truncated to the buffer. err may be NULL: then the reason
 * is dropped. Always returns -1, so that "return err_set(err, …)" reads well.
 */
int err_set(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* As err_set, followed by ": " and the text of errno. Keeps errno. */
int err_errno(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
