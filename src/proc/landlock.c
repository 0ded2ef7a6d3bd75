/* SPDX-License-Identifier: ISC */
#include "proc/landlock.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "proc/sanitized.h"
#include "proc/seccomp.h"

/* linux/landlock.h, of which older systems lack a part. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif

enum {
	CREATE_RULESET_VERSION = 1,
	RULE_PATH_BENEATH = 1,
	RULE_NET_PORT = 2,

	FS_WRITE_FILE = 1 << 1,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
	FS_REMOVE_FILE = 1 << 5,
	FS_MAKE_REG = 1 << 8,
	FS_ALL_OF_ABI_1 = (1 << 13) - 1,
	FS_TRUNCATE = 1 << 14,
	FS_IOCTL_DEV = 1 << 15,
	FS_READ = FS_READ_FILE | FS_READ_DIR,
	FS_WRITE = FS_WRITE_FILE | FS_REMOVE_FILE | FS_MAKE_REG | FS_TRUNCATE,
	FS_OF_A_FILE = FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE,

	NET_BIND_TCP = 1 << 0,
	NET_CONNECT_TCP = 1 << 1,

	SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0,
	SCOPE_SIGNAL = 1 << 1,
};

struct ruleset {
	uint64_t fs, net, scoped;
};

static size_t
ruleset_size(long abi)
{
	if (abi >= LANDLOCK_ABI_SCOPES)
		return sizeof(struct ruleset);
	return abi >= LANDLOCK_ABI_PORTS ? offsetof(struct ruleset, scoped)
					 : offsetof(struct ruleset, net);
}

struct path_rule {
	uint64_t access;
	int32_t fd;
} __attribute__((packed));

struct port_rule {
	uint64_t access, port;
};

/*
 * Names, certificates, and the libraries that are loaded for them; what is
 * missing is passed over. No private keys, which lie beside certificates.
 */
static const char *const resolver_paths[] = {
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/openssl.cnf",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/local/share/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/share/crypto-policies",
    "/usr/share/pki",
    "/var/lib/ca-certificates",
    "/lib",
    "/lib64",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/run/nscd",
    "/dev/urandom",
};

static int
allow_path(int ruleset, const char *path, uint64_t access, struct err *err)
{
	struct path_rule rule = {.access = access};
	struct stat st;
	int fd, status = 0;

	if (path == NULL)
		return 0;
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd == -1)
		return err_errno(err, "%s", path);
	rule.fd = fd;
	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.access &= FS_OF_A_FILE;
	if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule,
		0) == -1)
		status = err_errno(err, "landlock: %s", path);
	fd_close(&fd);
	return status;
}

static int
allow_paths(int ruleset, const char *const paths[SANDBOX_PATHS],
    uint64_t access, struct err *err)
{
	for (int i = 0; i < SANDBOX_PATHS; i++)
		if (allow_path(ruleset, paths[i], access, err) == -1)
			return -1;
	return 0;
}

static int
allow_ports(int ruleset, const unsigned ports[SANDBOX_PORTS], struct err *err)
{
	for (int i = 0; i < SANDBOX_PORTS; i++) {
		struct port_rule rule = {NET_CONNECT_TCP, ports[i]};

		if (ports[i] != 0 && syscall(SYS_landlock_add_rule, ruleset,
					 RULE_NET_PORT, &rule, 0) == -1)
			return err_errno(err, "landlock: port %u", ports[i]);
	}
	return 0;
}

static int
add_rules(int ruleset, const struct sandbox *sandbox,
    const struct ruleset *handled, struct err *err)
{
	size_t n = sizeof(resolver_paths) / sizeof(resolver_paths[0]);
	uint64_t write = (FS_READ | FS_WRITE) & handled->fs;

	if (allow_path(ruleset, sandbox->data_dir, write, err) == -1 ||
	    allow_path(ruleset, sandbox->report_dir, write, err) == -1 ||
	    allow_paths(ruleset, sandbox->readable, FS_READ, err) == -1)
		return -1;
	if (sandbox->zone_dir != NULL &&
	    access(sandbox->zone_dir, F_OK) == 0 &&
	    allow_path(ruleset, sandbox->zone_dir, FS_READ, err) == -1)
		return -1;
	for (size_t i = 0; (sandbox->needs & NEED_NET) != 0 && i < n; i++)
		if (access(resolver_paths[i], F_OK) == 0 &&
		    allow_path(ruleset, resolver_paths[i], FS_READ, err) == -1)
			return -1;
	/* A rule is for a file, not for its name: a new resolv.conf would be
	 * refused. */
	if ((sandbox->needs & NEED_NAMES) != 0 &&
	    allow_path(ruleset, "/etc", FS_READ, err) == -1)
		return -1;
	/* The sanitizers look at their own process when it ends. */
	if (SANITIZED && (allow_path(ruleset, "/proc", FS_READ, err) == -1 ||
			     allow_path(ruleset, "/usr", FS_READ, err) == -1))
		return -1;
	return (handled->net & NET_CONNECT_TCP) == 0
		   ? 0
		   : allow_ports(ruleset, sandbox->ports, err);
}

long
landlock_abi(void)
{
	long abi = syscall(
	    SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

	return abi < 0 ? 0 : abi;
}

int
landlock_enter(const struct sandbox *sandbox, long abi, struct err *err)
{
	struct ruleset handled = {.fs = FS_ALL_OF_ABI_1};
	int ruleset, status;

	if (abi < LANDLOCK_ABI_FILES)
		return 0;
	if (abi >= LANDLOCK_ABI_TRUNCATE)
		handled.fs |= FS_TRUNCATE;
	if (abi >= LANDLOCK_ABI_DEVICES)
		handled.fs |= FS_IOCTL_DEV;
	if (abi >= LANDLOCK_ABI_PORTS)
		handled.net =
		    NET_BIND_TCP | (sandbox->connects ? 0 : NET_CONNECT_TCP);
	/* To other processes. */
	if (abi >= LANDLOCK_ABI_SCOPES)
		handled.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
	ruleset = (int)syscall(
	    SYS_landlock_create_ruleset, &handled, ruleset_size(abi), 0);
	if (ruleset == -1)
		return err_errno(err, "landlock");
	status = add_rules(ruleset, sandbox, &handled, err);
	if (status == 0 &&
	    syscall(SYS_landlock_restrict_self, ruleset, 0) == -1)
		status = err_errno(err, "landlock");
	fd_close(&ruleset);
	return status;
}
