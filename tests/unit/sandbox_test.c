/* SPDX-License-Identifier: ISC */
#include "proc/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "base/zones.h"
#include "proc/landlock.h"
#include "proc/privileges.h"
#include "proc/sanitized.h"
#include "proc/seccomp.h"
#include "suite.h"

static char directory[] = "/tmp/sandbox_test.XXXXXX";
static struct err err;

/* In a process of its own: there is no way out of a sandbox. */
static void
in_a_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ne(pid, -1);
	if (pid == 0)
		_exit(fn());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	/* 77: this kernel has not all of it. */
	if (WEXITSTATUS(status) != 77)
		ck_assert_int_eq(WEXITSTATUS(status), 0);
}

static int
enter(const struct sandbox *sandbox)
{
	struct err lacks;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    sandbox_enter(sandbox, &err) == -1)
		return 1;
	return landlock_abi() < LANDLOCK_ABI_PORTS || sandbox_lacks(&lacks) ? 77
									    : 0;
}

static bool
can_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd == -1)
		return false;
	(void)close(fd);
	return true;
}

static bool
can_connect(unsigned port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool allowed;

	if (fd == -1)
		return false;
	/* Nobody listens, which is another error. */
	allowed = connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 ||
	    errno == ECONNREFUSED;
	(void)close(fd);
	return allowed;
}

static bool
can_resolve(const char *name)
{
	struct addrinfo *list;

	if (getaddrinfo(name, "3306", NULL, &list) != 0)
		return false;
	freeaddrinfo(list);
	return true;
}

static bool
has_unix_sockets(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	if (fd == -1)
		return false;
	(void)close(fd);
	return true;
}

/* A listener of the parent, which has no name in the file system. */
static int abstract_fd;

static bool
can_connect_to_parent(void)
{
	struct sockaddr_un to;
	socklen_t len = sizeof(to);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool connected;

	if (getsockname(abstract_fd, (struct sockaddr *)&to, &len) == -1)
		return true;
	connected = connect(fd, (struct sockaddr *)&to, len) == 0;
	(void)close(fd);
	return connected;
}

static int
local_service(void)
{
	struct sandbox sandbox = {
	    .needs = NEED_FILES, .data_dir = directory};
	char path[128];
	int status = enter(&sandbox);

	if (status != 0)
		return status;
	(void)snprintf(path, sizeof(path), "%s/new", directory);
	if (!can_open(path, O_RDWR | O_CREAT | O_TRUNC) || unlink(path) == -1)
		return 2;
	if (can_open("/etc/passwd", O_RDONLY) ||
	    can_open("/tmp/sandbox_test.out", O_WRONLY | O_CREAT))
		return 3;
	if (socket(AF_INET, SOCK_STREAM, 0) != -1 || errno != EAFNOSUPPORT)
		return 4;
	return has_unix_sockets() ? 5 : 0;
}

static int
local_service_with_syslog(void)
{
	struct sandbox sandbox = {
	    .needs = NEED_SYSLOG, .data_dir = directory};
	int status = enter(&sandbox);

	if (status != 0)
		return status;
	return has_unix_sockets() && socket(AF_INET, SOCK_STREAM, 0) == -1 ? 0
									   : 2;
}

/* A build with sanitizers reads all of /usr. */
static const char *const of_others[] = {
    "/etc",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/ssl",
    "/etc/ssl/private",
    "/root",
    "/var/log",
#if !SANITIZED
    "/proc/self/environ",
    "/usr",
    "/usr/bin",
#endif
};

enum { N_OF_OTHERS = sizeof(of_others) / sizeof(of_others[0]) };

static int
service_with_a_server(void)
{
	struct sandbox sandbox = {.needs = NEED_NET, .ports = {1, 3}};
	int status = enter(&sandbox);

	if (status != 0)
		return status;
	if (!can_open("/etc/hosts", O_RDONLY) ||
	    can_open("/etc/hosts", O_WRONLY) || !can_resolve("localhost"))
		return 2;
	for (int i = 0; i < N_OF_OTHERS; i++)
		if (can_open(of_others[i], O_RDONLY))
			return 10 + i;
	if (!can_connect(1) || !can_connect(3) || can_connect(2))
		return 3;
	if (landlock_abi() >= LANDLOCK_ABI_SCOPES &&
	    (can_connect_to_parent() || kill(getppid(), 0) == 0))
		return 6;
	return kill(getpid(), 0) == 0 ? 0 : 7;
}

static bool
write_hosts(const char *path)
{
	return can_open(path, O_WRONLY | O_CREAT | O_EXCL) &&
	       chmod(path, 0644) == 0;
}

/* As an editor does, once it may. */
static bool
replace_hosts(int fd)
{
	char byte;

	return read(fd, &byte, 1) == 1 && write_hosts("/etc/hosts.new") &&
	       rename("/etc/hosts.new", "/etc/hosts") == 0;
}

static int
replaced_file(void)
{
	struct sandbox sandbox = {.needs = NEED_NET | NEED_NAMES, .ports = {1}};
	int fds[2], status;
	pid_t editor;

	/* An /etc of its own. */
	if (unshare(CLONE_NEWNS) == -1 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount("none", "/etc", "tmpfs", 0, NULL) == -1)
		return 77;
	if (!write_hosts("/etc/hosts") || pipe(fds) == -1 ||
	    (editor = fork()) == -1)
		return 2;
	if (editor == 0) {
		(void)close(fds[1]);
		_exit(replace_hosts(fds[0]) ? 0 : 1);
	}
	status = enter(&sandbox);
	if (status != 0)
		return status;
	if (!can_open("/etc/hosts", O_RDONLY))
		return 3;
	if (write(fds[1], "x", 1) != 1 || wait(&status) == -1 || status != 0)
		return 4;
	return can_open("/etc/hosts", O_RDONLY) ? 0 : 5;
}

/* Of a certificate, which may lie anywhere, nothing is written. */
static int
certificate(void)
{
	char path[128];
	struct sandbox sandbox = {.needs = NEED_NET, .readable = {NULL, path}};
	int status;

	(void)snprintf(path, sizeof(path), "%s/ca.pem", directory);
	if (!can_open(path, O_WRONLY | O_CREAT))
		return 2;
	status = enter(&sandbox);
	if (status != 0)
		return status;
	if (!can_open(path, O_RDONLY) || can_open(path, O_WRONLY) ||
	    can_open(directory, O_RDONLY | O_DIRECTORY))
		return 3;
	return 0;
}

/* Time zones, and one that is put there later. */
static int
time_zones(void)
{
	struct sandbox sandbox = {
	    .needs = NEED_LOOP, .zone_dir = "/usr/share/zoneinfo"};
	struct zones *zones = zones_create(sandbox.zone_dir);
	int status = enter(&sandbox);

	if (status != 0)
		return status;
	if (zones_find(zones, SLICE_LITERAL("Europe/Berlin"), 0, &err) == NULL)
		return 2;
	zones_free(&zones);
	return can_open("/usr/share/zoneinfo/UTC", O_WRONLY) ||
		       can_open("/usr/bin/env", O_RDONLY) != SANITIZED
		   ? 3
		   : 0;
}

static int
no_time_zones(void)
{
	struct sandbox sandbox = {.needs = NEED_LOOP, .zone_dir = "/nowhere"};

	return enter(&sandbox);
}

static void
remove_certificate(void)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/ca.pem", directory);
	(void)unlink(path);
}

/* As on a kernel that has no more than this. */
static int
old_landlock(long abi)
{
	struct sandbox sandbox = {.needs = NEED_NET, .ports = {1, 3}};

	if (landlock_abi() < abi)
		return 77;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    landlock_enter(&sandbox, abi, &err) == -1)
		return 1;
	if (can_open("/etc/passwd", O_RDONLY) != (abi == 0))
		return 2;
	if (!can_connect(1) || can_connect(2) != (abi < LANDLOCK_ABI_PORTS))
		return 3;
	return can_connect_to_parent() == (abi < LANDLOCK_ABI_SCOPES) ? 0 : 4;
}

static int
no_landlock(void)
{
	return old_landlock(0);
}

static int
landlock_of_debian_12(void)
{
	return old_landlock(2);
}

static int
landlock_with_ports(void)
{
	return old_landlock(LANDLOCK_ABI_PORTS);
}

static int
landlock_with_scopes(void)
{
	return old_landlock(LANDLOCK_ABI_SCOPES);
}

static int
worker(void)
{
	struct sandbox sandbox = {
	    .needs = NEED_NET | NEED_NAMES, .connects = true};
	int status = enter(&sandbox);

	if (status != 0)
		return status;
	return can_connect(1) && can_connect(2) &&
		!can_open(directory, O_RDONLY | O_DIRECTORY)
	    ? 0
	    : 2;
}

START_TEST(roles)
{
	const struct sockaddr_un any = {.sun_family = AF_UNIX};

	abstract_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* Without a name the kernel chooses an abstract one. */
	ck_assert_int_eq(bind(abstract_fd, (const struct sockaddr *)&any,
			     sizeof(any.sun_family)),
	    0);
	ck_assert_int_eq(listen(abstract_fd, 8), 0);
	ck_assert(can_connect_to_parent());
	ck_assert_ptr_nonnull(mkdtemp(directory));
	in_a_child(local_service);
	in_a_child(local_service_with_syslog);
	in_a_child(service_with_a_server);
	in_a_child(replaced_file);
	in_a_child(worker);
	in_a_child(certificate);
	in_a_child(time_zones);
	in_a_child(no_time_zones);
	remove_certificate();
	in_a_child(no_landlock);
	in_a_child(landlock_of_debian_12);
	in_a_child(landlock_with_ports);
	in_a_child(landlock_with_scopes);
	ck_assert_int_eq(rmdir(directory), 0);
	(void)close(abstract_fd);
}
END_TEST

START_TEST(what_a_kernel_lacks)
{
	static const struct {
		long abi;
		enum seccomp_support seccomp;
		bool lacks;
		const char *words[2];
	} cases[] = {
	    {6, SECCOMP_THERE, false, {"", ""}},
	    {9, SECCOMP_THERE, false, {"", ""}},
	    {4, SECCOMP_THERE, true, {"version 6", "abstract"}},
	    {3, SECCOMP_THERE, true, {"version 4", "every port"}},
	    {2, SECCOMP_THERE, true, {"version 4", "every port"}},
	    {0, SECCOMP_THERE, true, {"no landlock", "every file"}},
	    {7, SECCOMP_NOT_IN_KERNEL, true,
		{"this kernel has no seccomp", "system call"}},
	    {0, SECCOMP_NOT_IN_KERNEL, true, {"no landlock", "no seccomp"}},
	    {7, SECCOMP_NOT_IN_BUILD, true,
		{"this build has no list", "system call"}},
	    {0, SECCOMP_NOT_IN_BUILD, true,
		{"this kernel has no landlock", "; and this build"}},
	};
	struct err text;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(sandbox_lacks_of(cases[i].abi,
				     cases[i].seccomp, &text),
		    cases[i].lacks);
		ck_assert_int_eq(text.text[0] != '\0', cases[i].lacks);
		for (int j = 0; j < 2; j++)
			ck_assert_ptr_nonnull(
			    strstr(text.text, cases[i].words[j]));
	}
}
END_TEST

static int
become_nobody(void)
{
	struct config_master cfg = {
	    .user = (char[]){"nobody"}, .uid = 65534, .gid = 65534};

	(void)setenv(CONFIG_PASSWORD_VARIABLE, "secret", 1);
	if (privileges_drop(&cfg, &err) == -1)
		return 2;
	if (getenv(CONFIG_PASSWORD_VARIABLE) != NULL)
		return 3;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 4;
	if (geteuid() == 0 || setresuid(0, 0, 0) == 0 || getgroups(0, NULL) != 0)
		return 5;
	return 0;
}

START_TEST(no_way_back)
{
	if (geteuid() == 0)
		in_a_child(become_nobody);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sandbox");
	TCase *tc = tcase_create("sandbox");

	tcase_add_test(tc, roles);
	tcase_add_test(tc, what_a_kernel_lacks);
	tcase_add_test(tc, no_way_back);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
