/* SPDX-License-Identifier: ISC */
/*
 * In the place of a fuzzer: runs a target, NAME_fuzz, over its kept corpus,
 * tests/fuzz/corpus/NAME below $top_srcdir, or over the files it is given.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "target.h"

static void
run_file(const char *path)
{
	FILE *file = fopen(path, "r");
	uint8_t *data;
	struct stat st;
	size_t size;

	if (file == NULL || fstat(fileno(file), &st) == -1) {
		(void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
	size = (size_t)st.st_size;
	data = malloc(size + 1);
	if (data == NULL || fread(data, 1, size, file) != size) {
		(void)fprintf(stderr, "%s: cannot be read\n", path);
		exit(1);
	}
	(void)fclose(file);
	(void)LLVMFuzzerTestOneInput(data, size);
	free(data);
}

static int
run_directory(const char *path)
{
	struct dirent **entries;
	int n = scandir(path, &entries, NULL, alphasort), n_files = 0;

	if (n == -1) {
		(void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
	for (int i = 0; i < n; i++) {
		char *name;

		if (asprintf(&name, "%s/%s", path, entries[i]->d_name) == -1)
			exit(1);
		if (entries[i]->d_name[0] != '.') {
			run_file(name);
			n_files++;
		}
		free(name);
		free(entries[i]);
	}
	free(entries);
	return n_files;
}

int
main(int argc, char **argv)
{
	const char *top = getenv("top_srcdir");
	const char *slash = strrchr(argv[0], '/');
	const char *name = slash == NULL ? argv[0] : slash + 1;
	char path[4096];
	int n = argc - 1;

	for (int i = 1; i < argc; i++)
		run_file(argv[i]);
	if (argc == 1) {
		(void)snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%.*s",
		    top == NULL ? "." : top, (int)strcspn(name, "_"), name);
		n = run_directory(path);
	}
	if (n == 0) {
		(void)fprintf(stderr, "no input\n");
		return 1;
	}
	/* The line that Check's programs end with. */
	(void)printf("100%%: Checks: %d, Failures: 0, Errors: 0\n", n);
	return 0;
}
