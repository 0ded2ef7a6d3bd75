/* SPDX-License-Identifier: ISC */
#include "proc/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

void
privileges_forbid_cores(void)
{
	static const struct rlimit none = {0, 0};
	int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);

	/* The limit does not hold for a handler that core files are piped to:
	 * those get no memory. */
	if (setrlimit(RLIMIT_CORE, &none) == -1 || fd == -1 ||
	    fd_write_all(fd, "0", 1) == -1)
		log_warn("core files may be written");
	fd_close(&fd);
}

int
privileges_want_descriptors(size_t n, struct err *err)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return err_errno(err, "getrlimit");
	if (limit.rlim_cur >= n)
		return 0;
	limit.rlim_cur = n;
	if (limit.rlim_max < n)
		limit.rlim_max = n;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
		return 0;
	return err_set(err,
	    "%zu descriptors are needed for so many connections, the limit is "
	    "below (ulimit -n, LimitNOFILE): %s",
	    n, strerror(errno));
}

/*
 * What no program executed from here on could get, whatever its file says. Who
 * may not give that up has nothing of it either, since no_new_privs holds.
 */
static int
empty_bounding_set(struct err *err)
{
	const unsigned long locked = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
	    SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED |
	    SECBIT_KEEP_CAPS_LOCKED;

	for (unsigned long i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
		if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == -1 && errno != EPERM)
			return err_errno(err, "bounding set");
	if (prctl(PR_SET_SECUREBITS, locked, 0, 0, 0) == -1 && errno != EPERM)
		return err_errno(err, "securebits");
	return 0;
}

/* Also those that a program's file or a service manager gave to a user. */
static int
drop_capabilities(struct err *err)
{
	struct __user_cap_header_struct header = {
	    .version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {
	    {0}};

	/* The ambient ones go with those that they depend on. */
	return syscall(SYS_capset, &header, none) == 0
	    ? 0
	    : err_errno(err, "cannot give up capabilities");
}

static int
become(const struct config_master *cfg, struct err *err)
{
	uid_t uid = cfg->uid;
	gid_t gid = cfg->gid;

	if (setgroups(0, NULL) == -1 || setresgid(gid, gid, gid) == -1 ||
	    setresuid(uid, uid, uid) == -1)
		return err_errno(err, "cannot become user %s", cfg->user);
	return 0;
}

static bool
has_become(const struct config_master *cfg)
{
	uid_t uid = cfg->uid, real, effective, saved;
	gid_t gid = cfg->gid, real_group, effective_group, saved_group;

	return getresuid(&real, &effective, &saved) == 0 &&
	       getresgid(&real_group, &effective_group, &saved_group) == 0 &&
	       real == uid && effective == uid && saved == uid &&
	       real_group == gid && effective_group == gid &&
	       saved_group == gid && getgroups(0, NULL) == 0;
}

void
privileges_hide_password(void)
{
	char *password = getenv(CONFIG_PASSWORD_VARIABLE);

	/* ps shows the environment that a process was started with: from now
	 * on it is the copy that counts. */
	if (password != NULL &&
	    setenv(CONFIG_PASSWORD_VARIABLE, password, 1) == 0 &&
	    getenv(CONFIG_PASSWORD_VARIABLE) != password)
		explicit_bzero(password, strlen(password));
}

static void
forget_password(void)
{
	char *password = getenv(CONFIG_PASSWORD_VARIABLE);

	/* In the master it stays, for a reload. */
	if (password != NULL)
		explicit_bzero(password, strlen(password));
	(void)unsetenv(CONFIG_PASSWORD_VARIABLE);
}

int
privileges_drop(const struct config_master *cfg, struct err *err)
{
	bool was_root = geteuid() == 0;

	forget_password();
	if (was_root && cfg->user == NULL)
		return err_set(err, "children do not run as root");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return err_errno(err, "no_new_privs");
	if (empty_bounding_set(err) == -1 ||
	    (was_root && become(cfg, err) == -1) ||
	    drop_capabilities(err) == -1)
		return -1;
	if ((was_root && !has_become(cfg)) || setresuid(0, 0, 0) == 0)
		return err_set(
		    err, "the rights of root could not be given up");
	return 0;
}
