dnl SPDX-License-Identifier: ISC

dnl CASSATA_TRY_CFLAG(VARIABLE, FLAG): appends FLAG to VARIABLE if the compiler
dnl takes it. -Werror turns clang's "unknown option" warnings into a refusal.
AC_DEFUN([CASSATA_TRY_CFLAG], [
    AS_VAR_PUSHDEF([cache], [cassata_cv_cflag_$2])
    AC_CACHE_CHECK([whether $CC takes $2], [cache], [
	saved_CFLAGS=$CFLAGS
	CFLAGS="-O2 -Werror $2"
	AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[]], [[]])],
	    [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
	CFLAGS=$saved_CFLAGS])
    AS_VAR_IF([cache], [yes], [$1="$$1 $2"])
    AS_VAR_POPDEF([cache])])

AC_DEFUN([CASSATA_TRY_LDFLAG], [
    AS_VAR_PUSHDEF([cache], [cassata_cv_ldflag_$2])
    AC_CACHE_CHECK([whether the linker takes $2], [cache], [
	saved_LDFLAGS=$LDFLAGS
	LDFLAGS="$LDFLAGS $2"
	AC_LINK_IFELSE([AC_LANG_PROGRAM([[]], [[]])],
	    [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
	LDFLAGS=$saved_LDFLAGS])
    AS_VAR_IF([cache], [yes], [$1="$$1 $2"])
    AS_VAR_POPDEF([cache])])

AC_DEFUN([CASSATA_WARNINGS], [
    WARNING_CFLAGS=
    m4_foreach_w([flag], [-Wall -Wextra -Wpedantic -Wshadow -Wformat=2
	-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
	-Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wvla -Wconversion
	-Wswitch-enum -Wnull-dereference -Wimplicit-fallthrough -fno-common
	-Wlogical-op -Wduplicated-cond -Walloca],
	[CASSATA_TRY_CFLAG([WARNING_CFLAGS], flag)])
    AC_ARG_ENABLE([werror],
	[AS_HELP_STRING([--enable-werror], [turn warnings into errors])],
	[], [enable_werror=no])
    AS_VAR_IF([enable_werror], [yes],
	[WARNING_CFLAGS="$WARNING_CFLAGS -Werror"])
    AC_SUBST([WARNING_CFLAGS])])

AC_DEFUN([CASSATA_HARDENING], [
    HARDENING_CFLAGS=
    HARDENING_CPPFLAGS=
    HARDENING_LDFLAGS=
    AC_ARG_ENABLE([hardening],
	[AS_HELP_STRING([--disable-hardening],
	    [leave the compiler's and linker's protections off])],
	[], [enable_hardening=yes])
    AS_VAR_IF([enable_hardening], [yes], [
	m4_foreach_w([flag], [-fstack-protector-strong
	    -fstack-clash-protection -fcf-protection=full
	    -ftrivial-auto-var-init=zero -fPIE],
	    [CASSATA_TRY_CFLAG([HARDENING_CFLAGS], flag)])
	dnl glibc says so where level 3 is more than compiler or headers know
	CASSATA_TRY_CFLAG([HARDENING_CPPFLAGS],
	    [-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3])
	CASSATA_TRY_LDFLAG([HARDENING_LDFLAGS], [-pie])
	CASSATA_TRY_LDFLAG([HARDENING_LDFLAGS], [-Wl,-z,relro])
	CASSATA_TRY_LDFLAG([HARDENING_LDFLAGS], [-Wl,-z,now])
	CASSATA_TRY_LDFLAG([HARDENING_LDFLAGS], [-Wl,-z,noexecstack])])])

AC_DEFUN([CASSATA_SANITIZERS], [
    AC_ARG_ENABLE([sanitizers],
	[AS_HELP_STRING([--enable-sanitizers],
	    [build with AddressSanitizer and UndefinedBehaviorSanitizer])],
	[], [enable_sanitizers=no])
    AS_VAR_IF([enable_sanitizers], [yes], [
	flags="-fsanitize=address,undefined -fno-sanitize-recover=all"
	HARDENING_CFLAGS="$flags -fno-omit-frame-pointer -g -O1"
	dnl FORTIFY's checks hide the sanitizer's, which say more
	HARDENING_CPPFLAGS="-U_FORTIFY_SOURCE"
	HARDENING_LDFLAGS=$flags
	saved_CFLAGS=$CFLAGS
	CFLAGS="$CFLAGS $flags"
	AC_LINK_IFELSE([AC_LANG_PROGRAM([[]], [[]])], [],
	    [AC_MSG_ERROR([$CC cannot build with $flags])])
	CFLAGS=$saved_CFLAGS])
    AC_ARG_ENABLE([fuzzing],
	[AS_HELP_STRING([--enable-fuzzing],
	    [build the fuzz targets with libFuzzer (clang), and everything
	    for them])],
	[], [enable_fuzzing=no])
    AM_CONDITIONAL([FUZZING], [test "x$enable_fuzzing" = xyes])
    AS_VAR_IF([enable_fuzzing], [yes], [
	flags="-fsanitize=address,undefined -fno-sanitize-recover=all"
	HARDENING_CFLAGS="$flags -fsanitize=fuzzer-no-link -g -O1"
	HARDENING_CPPFLAGS="-U_FORTIFY_SOURCE"
	HARDENING_LDFLAGS="$flags"
	saved_CFLAGS=$CFLAGS
	CFLAGS="$CFLAGS $flags -fsanitize=fuzzer"
	AC_LINK_IFELSE([AC_LANG_SOURCE([[#include <stddef.h>
int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);
int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{ return n > 0 && p == NULL; }]])], [],
	    [AC_MSG_ERROR([$CC has no libFuzzer: try CC=clang])])
	CFLAGS=$saved_CFLAGS])
    AC_SUBST([HARDENING_CFLAGS])
    AC_SUBST([HARDENING_CPPFLAGS])
    AC_SUBST([HARDENING_LDFLAGS])])
