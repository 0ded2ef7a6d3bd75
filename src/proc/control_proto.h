/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_PROC_CONTROL_PROTO_H
#define CASSATA_PROC_CONTROL_PROTO_H

/*
 * What cassatactl and a master say to each other on the control socket (a Unix
 * stream socket, mode 0600): the client sends one line, a word of the list
 * below and LF; the master answers with text and closes.
 *
 * status   a JSON object: {"version", "pid", "state": "ready" | "starting" |
 *          "draining", "started" (seconds), "config" (path or null),
 *          "listening": ["127.0.0.1:8085", …], "datastore": "sqlite:/path",
 *          "datastore-state": "ready" | "failing", and of a failing one
 *          "datastore-since" (seconds) and "datastore-reason",
 *          "datastore-weakness", if its settings, as the last start or reload
 *          saw them, let it lose what was acknowledged,
 *          "freeze-state": "thawed" | "freezing" | "frozen", and of one that
 *          is freezing "freeze-workers" and "freeze-writes", those that have
 *          yet to end, "pauses": how many its workers heed, which is in each
 *          worker of the children, too,
 *          "children": [{"role", "number", "pid", "state", "generation",
 *          "started"}, …], "metrics": {"cassata_…": n, …}}
 * reload   "ok" LF once the new children are ready, or one "error: …" LF per
 *          reason; then the old configuration is still in force
 * upgrade  "ok" LF once a new process of the program's file has taken over, or
 *          "error: …" lines; then this one goes on
 * reopen   "ok" LF; all processes use the log, opened again, or it says why not
 * stop     "ok" LF; the drain begins
 * freeze   "ok" LF; the daemon changes the datastore no more once its status
 *          says "frozen", until it is told otherwise; or an "error: …" line
 * thaw     "ok" LF; it works again, or an "error: …" line
 */
#define CONTROL_STATUS  "status"
#define CONTROL_RELOAD  "reload"
#define CONTROL_UPGRADE "upgrade"
#define CONTROL_REOPEN  "reopen"
#define CONTROL_STOP    "stop"
#define CONTROL_FREEZE  "freeze"
#define CONTROL_THAW    "thaw"

enum { CONTROL_LINE_MAX = 64 }; /* bytes of a request, with LF */

#endif
