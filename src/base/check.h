/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_CHECK_H
#define CASSATA_BASE_CHECK_H

/*
 * What our own code promises, never what comes from outside: the process ends
 * when it does not hold, with a line in the log that names the place and the
 * promise, and SIGABRT. Of a child the master makes another one. Holds in every
 * build, whatever NDEBUG says; the promise is evaluated once.
 */
#define check(promise)                                                         \
	((promise) ? (void)0                                                   \
		   : check_failed(__FILE__, __LINE__, __func__, #promise))

/* Where nothing may come by: the state, say, that is none. */
#define check_never(what) check_failed(__FILE__, __LINE__, __func__, what)

_Noreturn void check_failed(
    const char *file, int line, const char *function, const char *promise);

#endif
