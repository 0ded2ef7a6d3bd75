/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_REQUEST_H
#define CASSATA_CTL_CTL_REQUEST_H

#include <json-c/json.h>

/* Options of a request, which an event has, and the runs of a schedule: its
 * members, whose values the server reads. */

#define CTL_REQUEST_LETTERS "m:H:"

/* clang-format off */
#define CTL_REQUEST_ROWS                                                       \
	{"label", required_argument, NULL, 'L'},                               \
	{"attempts", required_argument, NULL, 'R'},                            \
	{"delays", required_argument, NULL, 'R'},                              \
	{"retry-jitter", required_argument, NULL, 'R'},                        \
	{"retry-on", required_argument, NULL, 'R'},                            \
	{"on-complete", required_argument, NULL, 'M'},                         \
	{"on-failure", required_argument, NULL, 'M'},                          \
	{"complete-by", required_argument, NULL, 'M'}
/* clang-format on */

#define CTL_REQUEST_USAGE                                                      \
	"[-m method] [-H 'Name: value'] [--label name=value]\n"                \
	"           [--attempts n] [--delays times] [--retry-jitter "          \
	"percent]\n"                                                           \
	"           [--retry-on words] [--on-complete url] [--on-failure "     \
	"url]\n"                                                               \
	"           [--complete-by time]"

/* Of an option, with its value in optarg: its member of the event. 0, or -1
 * for another one, or a value that makes no sense. */
int ctl_request_take(struct json_object *event, int c, const char *name);

/* A member that is a number, or where it is none, as it stands. */
void ctl_request_number(
    struct json_object *object, const char *name, const char *text);

#endif
