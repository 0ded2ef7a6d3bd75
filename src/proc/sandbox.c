/* SPDX-License-Identifier: ISC */
#include "proc/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* ---- landlock: linux/landlock.h, of which older systems lack a part ---- */

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif

enum {
	CREATE_RULESET_VERSION = 1,
	RULE_PATH_BENEATH = 1,
	RULE_NET_PORT = 2,
	ABI_TRUNCATE = 3,
	ABI_NET = 4,
	ABI_SCOPE = 6,

	FS_WRITE_FILE = 1 << 1,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
	FS_REMOVE_FILE = 1 << 5,
	FS_MAKE_REG = 1 << 8,
	FS_ALL_OF_ABI_1 = (1 << 13) - 1,
	FS_TRUNCATE = 1 << 14,
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
	if (abi >= ABI_SCOPE)
		return sizeof(struct ruleset);
	return abi >= ABI_NET ? offsetof(struct ruleset, scoped)
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
add_rules(int ruleset, const struct sandbox *sandbox,
    const struct ruleset *handled, struct err *err)
{
	struct port_rule port = {NET_CONNECT_TCP, sandbox->port};
	size_t n = sizeof(resolver_paths) / sizeof(resolver_paths[0]);

	for (int i = 0; i < SANDBOX_PATHS; i++)
		if (allow_path(ruleset, sandbox->writable[i],
			(FS_READ | FS_WRITE) & handled->fs, err) == -1)
			return -1;
	for (size_t i = 0; sandbox->resolves && i < n; i++)
		if (access(resolver_paths[i], F_OK) == 0 &&
		    allow_path(ruleset, resolver_paths[i], FS_READ, err) == -1)
			return -1;
	/* A rule is for a file, not for its name: a new resolv.conf would be
	 * refused. */
	if (sandbox->names && allow_path(ruleset, "/etc", FS_READ, err) == -1)
		return -1;
	for (int i = 0; i < SANDBOX_PATHS; i++)
		if (allow_path(ruleset, sandbox->readable[i], FS_READ, err) ==
		    -1)
			return -1;
	/* The sanitizers look at their own process when it ends. */
	if (SANITIZED && (allow_path(ruleset, "/proc", FS_READ, err) == -1 ||
			     allow_path(ruleset, "/usr", FS_READ, err) == -1))
		return -1;
	if ((handled->net & NET_CONNECT_TCP) != 0 && sandbox->port != 0 &&
	    syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &port, 0) ==
		-1)
		return err_errno(err, "landlock: port %u", sandbox->port);
	return 0;
}

/* 1, 0 when the kernel has no landlock, or -1. */
static int
restrict_access(const struct sandbox *sandbox, struct err *err)
{
	struct ruleset handled = {.fs = FS_ALL_OF_ABI_1};
	long abi = syscall(
	    SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
	int ruleset, status;

	if (abi < 1)
		return 0;
	if (abi >= ABI_TRUNCATE)
		handled.fs |= FS_TRUNCATE;
	if (abi >= ABI_NET)
		handled.net =
		    NET_BIND_TCP | (sandbox->connects ? 0 : NET_CONNECT_TCP);
	/* To other processes. */
	if (abi >= ABI_SCOPE)
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
	return status == -1 ? -1 : 1;
}

/* ---- seccomp ---- */

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

#ifdef ARCH

#define LOAD(field)                                                            \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)
#define REFUSE(error) RETURN(SECCOMP_RET_ERRNO | (error))
/* The next statement is for this value only; for all others. */
#define WHEN(value)   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1)
#define UNLESS(value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0)
#define FORBID(call)  WHEN(SYS_##call), REFUSE(EPERM)

#ifdef __x86_64__
#define FORBID_OF_MACHINE                                                      \
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000 /* x32 */, 0, 1),       \
	    REFUSE(EPERM),
#define FORBID_FORK FORBID(fork), FORBID(vfork),
#else
#define FORBID_OF_MACHINE
#define FORBID_FORK
#endif

#if SANITIZED /* their leak check forks and traces, and runs a symbolizer */
#define FORBID_PROCESSES
#else
/* The arguments of clone3 are in memory, unseen: the C library then takes
 * clone. */
#define FORBID_PROCESSES                                                       \
	FORBID(ptrace), FORBID(execve), FORBID(execveat),                      \
	    FORBID_FORK WHEN(SYS_clone3), REFUSE(ENOSYS),                      \
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4),              \
	    LOAD(args[0]),                                                     \
	    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0),          \
	    REFUSE(EPERM), LOAD(nr),
#endif

/* io_uring would do the same as the calls that are looked at, unseen. */
#define FILTER                                                                 \
	LOAD(arch), UNLESS(ARCH), REFUSE(EPERM), LOAD(nr),                     \
	    FORBID_OF_MACHINE FORBID_PROCESSES FORBID(mount), FORBID(umount2), \
	    FORBID(pivot_root), FORBID(chroot), FORBID(setns),                 \
	    FORBID(unshare), FORBID(bpf), FORBID(perf_event_open),             \
	    FORBID(kexec_load), FORBID(init_module), FORBID(finit_module),     \
	    FORBID(delete_module), FORBID(add_key), FORBID(request_key),       \
	    FORBID(keyctl), FORBID(process_vm_readv),                          \
	    FORBID(process_vm_writev), FORBID(userfaultfd), FORBID(reboot),    \
	    FORBID(swapon), FORBID(settimeofday), FORBID(clock_settime),       \
	    FORBID(io_uring_setup)
/* The other calls are allowed; of a socket the family is loaded. */
#define ON_SOCKET    UNLESS(SYS_socket), RETURN(SECCOMP_RET_ALLOW), LOAD(args[0])
#define ALLOW(value) WHEN(value), RETURN(SECCOMP_RET_ALLOW)

/* Connects without the call that landlock watches. */
#define FORBID_FASTOPEN(call, flags)                                           \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 4), LOAD(flags),    \
	    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MSG_FASTOPEN, 0, 1),          \
	    REFUSE(EPERM), LOAD(nr)

/* TCP and UDP alone: to landlock Multipath TCP is no TCP. */
#define ON_INTERNET                                                            \
	ON_SOCKET, ALLOW(AF_UNIX),                                             \
	    ALLOW(AF_NETLINK), /* asked by the resolver for our addresses */   \
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 2, 0),                \
	    UNLESS(AF_INET6), REFUSE(EAFNOSUPPORT), LOAD(args[2]),             \
	    ALLOW(IPPROTO_IP), ALLOW(IPPROTO_TCP), ALLOW(IPPROTO_UDP),         \
	    REFUSE(EPROTONOSUPPORT)

static struct sock_filter none[] = {
    FILTER,
    ON_SOCKET,
    REFUSE(EAFNOSUPPORT),
};

static struct sock_filter local[] = {
    FILTER,
    ON_SOCKET,
    ALLOW(AF_UNIX),
    REFUSE(EAFNOSUPPORT),
};

static struct sock_filter one_port[] = {
    FILTER,
    FORBID_FASTOPEN(sendto, args[3]),
    FORBID_FASTOPEN(sendmsg, args[2]),
    FORBID_FASTOPEN(sendmmsg, args[3]),
    ON_INTERNET,
};

static struct sock_filter internet[] = {
    FILTER,
    ON_INTERNET,
};

#define PROGRAM(filter)                                                        \
	(struct sock_fprog)                                                    \
	{                                                                      \
		sizeof(filter) / sizeof((filter)[0]), filter                   \
	}

/* 1, 0 when the kernel has no seccomp, or -1. */
static int
restrict_calls(const struct sandbox *sandbox, struct err *err)
{
	struct sock_fprog program = PROGRAM(none);

	if (sandbox->connects)
		program = PROGRAM(internet);
	else if (sandbox->resolves)
		program = PROGRAM(one_port);
	else if (sandbox->syslog)
		program = PROGRAM(local);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
		return 1;
	return errno == EINVAL || errno == ENOSYS ? 0
						  : err_errno(err, "seccomp");
}

#else

static int
restrict_calls(const struct sandbox *sandbox, struct err *err)
{
	(void)sandbox;
	(void)err;
	return 0;
}

#endif

int
sandbox_enter(
    const struct sandbox *sandbox, struct err *missing, struct err *err)
{
	int has_landlock = restrict_access(sandbox, err), has_seccomp;

	if (has_landlock == -1)
		return -1;
	has_seccomp = restrict_calls(sandbox, err);
	if (has_seccomp == -1)
		return -1;
	(void)err_set(missing, "%s%s%s", has_landlock == 1 ? "" : "landlock",
	    has_landlock == 1 || has_seccomp == 1 ? "" : " and ",
	    has_seccomp == 1 ? "" : "seccomp");
	return 0;
}
