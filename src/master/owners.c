/* SPDX-License-Identifier: ISC */
#include "master/owners.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fd.h"
#include "base/log.h"

#define DIRECTORY "owners"

enum { TOKEN_LEN = 16, NAME_BYTES = TOKEN_LEN + 8 };

/* Nothing of it is trusted but its lock: it is ours, or of who is us. */
static int
open_owner(const struct owners *o, const char *name, int flags)
{
	return openat(o->dir_fd, name,
	    flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
}

static bool
read_boot(char boot[OWNERS_BOOT_BYTES])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd == -1 ? -1 : read(fd, boot, OWNERS_BOOT_BYTES);

	fd_close(&fd);
	return n == OWNERS_BOOT_BYTES;
}

static int
open_directory(const char *state_dir)
{
	int fd = -1;
	int parent = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (parent != -1 &&
	    (mkdirat(parent, DIRECTORY, 0700) == 0 || errno == EEXIST))
		fd = openat(parent, DIRECTORY,
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	fd_close(&parent);
	return fd;
}

void
owners_open(struct owners *o, const char *state_dir)
{
	*o = (struct owners){.dir_fd = -1};
	if (read_boot(o->boot))
		o->dir_fd = open_directory(state_dir);
	if (o->dir_fd == -1)
		log_warn("%s/" DIRECTORY ": workers that are killed with their "
			 "master keep their leases to the end",
		    state_dir);
}

void
owners_close(struct owners *o)
{
	fd_close(&o->dir_fd);
}

static void
token_name(const char *prefix, uint64_t owner, char name[NAME_BYTES])
{
	int n = snprintf(name, NAME_BYTES, "%s%016" PRIx64, prefix, owner);

	check(n > 0 && n < NAME_BYTES);
}

/* 0 for none: no owner has that. */
static uint64_t
owner_of(const char *name)
{
	if (strlen(name) != TOKEN_LEN ||
	    strspn(name, "0123456789abcdef") != TOKEN_LEN)
		return 0;
	return strtoull(name, NULL, 16);
}

int
owners_hold(const struct owners *o, uint64_t owner)
{
	char name[NAME_BYTES], unlocked[NAME_BYTES];
	int fd;

	if (o->dir_fd == -1)
		return -1;
	token_name("", owner, name);
	/* Under its name nobody sees it without its lock. */
	token_name("new-", owner, unlocked);
	fd = open_owner(o, unlocked, O_CREAT | O_EXCL);
	if (fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
	    write(fd, o->boot, OWNERS_BOOT_BYTES) == OWNERS_BOOT_BYTES &&
	    renameat(o->dir_fd, unlocked, o->dir_fd, name) == 0)
		return fd;
	log_warn("the file of an owner of leases");
	fd_close(&fd);
	(void)unlinkat(o->dir_fd, unlocked, 0);
	return -1;
}

void
owners_forget(const struct owners *o, uint64_t owner)
{
	char name[NAME_BYTES];

	if (o->dir_fd == -1)
		return;
	token_name("", owner, name);
	/* There is none where it could not be made. */
	(void)unlinkat(o->dir_fd, name, 0);
}

enum life { LIVING, DEAD, DEAD_ELSEWHERE };

static enum life
life_of(const struct owners *o, const char *name)
{
	char boot[OWNERS_BOOT_BYTES];
	int fd = open_owner(o, name, 0);
	enum life life = DEAD_ELSEWHERE;

	/* A link is nobody's, and what is gone was taken. Of all else that
	 * cannot be looked at nothing is known: short of descriptors, say. */
	if (fd == -1)
		return errno == ELOOP || errno == ENOENT ? DEAD_ELSEWHERE
							 : LIVING;
	if (flock(fd, LOCK_EX | LOCK_NB) == -1)
		life = LIVING;
	else if (read(fd, boot, sizeof(boot)) == sizeof(boot) &&
		 memcmp(boot, o->boot, sizeof(boot)) == 0)
		life = DEAD;
	fd_close(&fd);
	return life;
}

static DIR *
list_files(const struct owners *o)
{
	int fd = openat(o->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd == -1 ? NULL : fdopendir(fd);

	if (dir == NULL) {
		log_warn("the files of owners of leases");
		fd_close(&fd);
	}
	return dir;
}

size_t
owners_find_dead(const struct owners *o, uint64_t *dead, size_t max,
    bool (*is_known)(const void *arg, uint64_t owner), const void *arg,
    size_t *n_living)
{
	DIR *dir = o->dir_fd == -1 ? NULL : list_files(o);
	const struct dirent *entry;
	size_t n = 0;

	*n_living = 0;
	while (dir != NULL && n < max && (entry = readdir(dir)) != NULL) {
		/* 0: its master died before it was locked, or it is a stranger.
		 */
		uint64_t owner = owner_of(entry->d_name);
		enum life life;

		if (entry->d_name[0] == '.' ||
		    (owner != 0 && is_known(arg, owner)))
			continue;
		life = life_of(o, entry->d_name);
		if (life == LIVING)
			++*n_living;
		else if (life == DEAD && owner != 0)
			dead[n++] = owner;
		else
			(void)unlinkat(o->dir_fd, entry->d_name, 0);
	}
	if (dir != NULL)
		(void)closedir(dir);
	return n;
}
