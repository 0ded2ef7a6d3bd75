dnl SPDX-License-Identifier: ISC

dnl tests/coverage/counters.c says how it counts. -Og keeps the lines apart; the
dnl calls of gcov around fork and exec would forget what was counted; processes
dnl and threads count at the same time.
AC_DEFUN([CASSATA_COVERAGE], [
    AC_ARG_ENABLE([coverage],
	[AS_HELP_STRING([--enable-coverage],
	    [count which lines the tests run (gcc), for make coverage])],
	[], [enable_coverage=no])
    AM_CONDITIONAL([COVERAGE], [test "x$enable_coverage" = xyes])
    COVERAGE_LDFLAGS=
    AS_VAR_IF([enable_coverage], [yes], [
	AC_PREPROC_IFELSE([AC_LANG_SOURCE([[#ifdef __clang__
#error gcov of gcc
#endif]])], [], [AC_MSG_ERROR([--enable-coverage needs gcc])])
	HARDENING_CFLAGS="$HARDENING_CFLAGS -Og -g --coverage -fdata-sections"
	HARDENING_CFLAGS="$HARDENING_CFLAGS -fprofile-update=prefer-atomic"
	for call in fork execl execle execlp execv execve execvp; do
	    HARDENING_CFLAGS="$HARDENING_CFLAGS -fno-builtin-$call"
	done
	HARDENING_CPPFLAGS="-U_FORTIFY_SOURCE"
	COVERAGE_LDFLAGS="-Wl,--wrap=__gcov_exit -Wl,--undefined=coverage_begin"
	COVERAGE_LDFLAGS="$COVERAGE_LDFLAGS -Wl,--build-id=sha1"])
    AC_SUBST([COVERAGE_LDFLAGS])])
