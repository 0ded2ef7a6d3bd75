/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_ANSWER_H
#define CASSATA_CTL_CTL_ANSWER_H

#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/json_scan.h"
#include "ctl/ctl.h"

/*
 * What a server says, which may be anything: values of base/json_scan, so that
 * no answer takes more memory than its bytes. None is changed by what follows,
 * and what is printed has nothing that a terminal obeys (ctl_print).
 */

/* False: value is no object, or has no such member. Its name has no escapes. */
bool ctl_member(const struct json_value *object, const char *name,
    struct json_value *value);

/* Whether it is that text. */
bool ctl_member_is(
    const struct json_value *object, const char *name, const char *text);

/* A whole number, 0 where it is none. */
int64_t ctl_member_count(const struct json_value *object, const char *name);

/* The text of a string, all else as it is written, on one line; returns how
 * many characters that are. */
size_t ctl_answer_print(FILE *out, const struct json_value *value);

/* The same, percent-encoded. 0, or -1 when url failed. */
int ctl_answer_encode(struct buf *url, const struct json_value *value);

/* An object, of the whole answer, in which line ends between words become
 * spaces. CTL_OK, or CTL_FAILED: "the answer is no WHAT" was printed. */
int ctl_answer_read(const struct ctl *ctl, const char *what, struct buf *answer,
    struct json_value *object);

/* A line of JSON on standard output. */
void ctl_answer_print_json(const struct json_value *value);

/*
 * Says on standard error what a server refused, in one line: "TITLE: DETAIL: it
 * is STATUS (POINTER: DETAIL; …)", as far as there is such, behind "WHAT: "
 * unless that is NULL; with --json the problem document as it is. Of an answer
 * that is none, its status. Returns CTL_FAILED.
 */
int ctl_answer_refused(const struct ctl *ctl, const char *what, long status,
    const struct buf *answer);

/* The same line of a result within a batch. */
void ctl_answer_tell_problem(
    const struct ctl *ctl, const char *what, const struct json_value *problem);

#endif
