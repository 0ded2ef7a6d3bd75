/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_TABLE_H
#define CASSATA_CTL_CTL_TABLE_H

#include "base/json_scan.h"

/* Answers for people, on standard output: times of members that are known to be
 * some are date-times of UTC. */

/* A text and two spaces at least, up to a width in characters; "-" of NULL. */
void ctl_table_cell(const struct json_value *value, size_t width);
void ctl_table_time(const struct json_value *value);
void ctl_table_word(const char *text, size_t width);

/* The titles of a table, and a line of it: the members that names has, parted
 * by commas. "due" is next-attempt, or else finished. */
void ctl_table_titles(const char *names);
void ctl_table_row(const struct json_value *object, const char *names);

/* A line for each member, of an array one for each element. */
void ctl_table_document(const struct json_value *object);

#endif
