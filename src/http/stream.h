/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_HTTP_STREAM_H
#define CASSATA_HTTP_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * The bytes of a connection, on a non-blocking socket. The functions are those
 * of plain ones; another set may encrypt them. None is interrupted by signals.
 */
struct stream;

struct stream_kind {
	/* As read(2) and write(2): -1 with EAGAIN when it has to wait. */
	ssize_t (*read)(struct stream *stream, void *bytes, size_t size);
	ssize_t (*write)(struct stream *stream, const void *bytes, size_t size);
	/* Whether bytes came that were not read. */
	bool (*has_input)(const struct stream *stream);
	/* Whether all that came was read, and the peer sends no more. */
	bool (*has_ended)(const struct stream *stream);
	/* Tells the peer that no more is written. 0 or -1. */
	int (*end_output)(struct stream *stream);
};

struct stream {
	const struct stream_kind *kind;
	int fd; /* the owner's: no function closes it */
};

/* Bytes as they are. */
struct stream stream_plain(int fd);

#endif
