/* SPDX-License-Identifier: ISC */
/*
 * What every program of a build with --enable-coverage has in it: its counters
 * are the pages of a file that all processes of the same program share. So they
 * are counted where nobody may open a file, and whatever ends the process;
 * gcov's own way, to add them to a file at exit, counts neither.
 */
#include <errno.h>
#include <fcntl.h>
#include <gcov.h>
#include <limits.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of counters.ld. */
extern char coverage_counters[], coverage_counters_end[];

/* Of the linker: the same program has the same id wherever it is copied to. */
struct build_id {
	char hex[2 * 20 + 1];
};

/* Of the notes of one segment. */
static void
read_notes(const char *at, const char *end, struct build_id *id)
{
	while (at < end) {
		const ElfW(Nhdr) *note = (const void *)at;
		const char *name = at + sizeof(*note);
		const char *desc = name + (note->n_namesz + 3) / 4 * 4;

		if (note->n_type == NT_GNU_BUILD_ID && note->n_descsz == 20 &&
		    note->n_namesz == 4 && memcmp(name, "GNU", 4) == 0) {
			for (int i = 0; i < 20; i++)
				(void)snprintf(id->hex + 2 * i, 3, "%02x",
				    (unsigned char)desc[i]);
			return;
		}
		at = desc + (note->n_descsz + 3) / 4 * 4;
	}
}

static int
find_id(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		const char *start = (const char *)info->dlpi_addr + ph->p_vaddr;

		if (ph->p_type == PT_NOTE && ph->p_align <= 4)
			read_notes(start, start + ph->p_memsz, arg);
	}
	return 1; /* the first is the program itself */
}

static _Noreturn void
fail(const char *what)
{
	(void)fprintf(stderr, "coverage: %s: %s\n", what, strerror(errno));
	_exit(99);
}

static void
share(void)
{
	size_t size = (size_t)(coverage_counters_end - coverage_counters);
	struct build_id id = {""};
	char path[PATH_MAX];
	int fd;

	(void)dl_iterate_phdr(find_id, &id);
	(void)snprintf(path, sizeof(path), COVERAGE_DIR "/%s", id.hex);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	/* Started by a user who cannot reach the build, below /root say: what it
	 * counts is its own. */
	if (fd == -1 && errno == EACCES && geteuid() != 0)
		return;
	if (fd == -1)
		fail(path);
	(void)fchmod(fd, 0666); /* whoever comes first */
	if (ftruncate(fd, (off_t)size) == -1)
		fail(path);
	if (mmap(coverage_counters, size, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		fail(path);
	(void)close(fd);
}

void coverage_begin(void);

/* COVERAGE_DUMP: writes what all have counted, for gcov. */
__attribute__((constructor)) void
coverage_begin(void)
{
	share();
	if (getenv("COVERAGE_DUMP") == NULL)
		return;
	__gcov_dump();
	_exit(0);
}

/* By --wrap: what gcov does at the exit of each process. */
void __wrap___gcov_exit(void);

void
__wrap___gcov_exit(void)
{
}
