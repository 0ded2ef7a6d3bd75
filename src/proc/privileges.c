/* SPDX-License-Identifier: ISC */
#include "proc/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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

static int
become(const struct config_master *cfg, struct err *err)
{
	uid_t uid = cfg->uid, real, effective, saved;
	gid_t gid = cfg->gid, real_group, effective_group, saved_group;
	gid_t groups[1];
	int n;

	if (setgroups(1, &gid) == -1 || setresgid(gid, gid, gid) == -1 ||
	    setresuid(uid, uid, uid) == -1)
		return err_errno(err, "cannot become user %s", cfg->user);
	n = getgroups(1, groups);
	if (getresuid(&real, &effective, &saved) == -1 ||
	    getresgid(&real_group, &effective_group, &saved_group) == -1 ||
	    real != uid || effective != uid || saved != uid ||
	    real_group != gid || effective_group != gid || saved_group != gid ||
	    n != 1 || groups[0] != gid || setresuid(0, 0, 0) == 0)
		return err_set(
		    err, "the rights of root could not be given up");
	return 0;
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
	forget_password();
	if (cfg->user != NULL && geteuid() == 0 && become(cfg, err) == -1)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return err_errno(err, "no_new_privs");
	return 0;
}
