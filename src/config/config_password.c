/* SPDX-License-Identifier: ISC */
#include "config/config_password.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/file.h"

enum { PASSWORD_BYTES_MAX = 4096 };

char *
config_password_read(const char *path, struct err *err)
{
	int fd = file_open(path, O_RDONLY, 0, err);
	char *password;
	struct stat st;
	size_t len;

	if (fd == -1)
		return NULL;
	if (fstat(fd, &st) == -1 ||
	    (st.st_mode & (S_IRWXO | S_IWGRP | S_IXGRP)) != 0) {
		(void)err_set(err,
		    "others can read or change it: chmod u=rw,g=r,o= %s", path);
		fd_close(&fd);
		return NULL;
	}
	password = file_read(fd, PASSWORD_BYTES_MAX, &len, err);
	if (password != NULL)
		password[strcspn(password, "\r\n")] = '\0';
	return password;
}
