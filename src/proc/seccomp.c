/* SPDX-License-Identifier: ISC */

/*
 * The system calls of the children. A row of the table allows one call, by its
 * number and perhaps by arguments, to who has one of the needs; several rows of
 * a call are as many ways to make it. The kernel goes through the rows from top
 * to bottom, but remembers the numbers that no argument decides on: so the rows
 * with arguments come first.
 */
#include "proc/seccomp.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "proc/sanitized.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

#ifdef ARCH

/* Older systems lack the names; the numbers are the same on all machines. */
enum {
	CALL_CLONE3 = 435,
	CALL_CLOSE_RANGE = 436,
	CALL_OPENAT2 = 437,
	CALL_FACCESSAT2 = 439,
	CALL_EPOLL_PWAIT2 = 441,
	NEWEST = 450, /* no row allows a call beyond it */
};

/* Of the 32 bits at word of the arguments, those of mask are value. */
struct test {
	uint32_t mask; /* 0: no test */
	uint32_t value;
	uint8_t word;
	bool own_pid; /* in place of value */
};

enum {
	TESTS = 3,
	NOTHING = UINT16_MAX, /* is done, and called a success */
};

struct row {
	uint32_t call;
	unsigned needs;
	uint16_t error; /* 0: allowed; or NOTHING */
	struct test tests[TESTS];
};

/* clang-format off */
#define ANY       ~0u
#define SOCKETS   (NEED_CLIENTS | NEED_SYSLOG | NEED_NET)
#define CONNECTS  (NEED_SYSLOG | NEED_NET)
#define THREADED  (NEED_LOOP | NEED_NET)
#define CALL(name, needs)                                                      \
	{                                                                      \
		SYS_##name, needs, 0, { {0} }                                  \
	}
#define WITH(name, needs, ...)                                                 \
	{                                                                      \
		SYS_##name, needs, 0, { __VA_ARGS__ }                          \
	}
#define PRETEND(name, needs, ...)                                              \
	{                                                                      \
		SYS_##name, needs, NOTHING, { __VA_ARGS__ }                    \
	}
#define REFUSE(name, needs, error)                                             \
	{                                                                      \
		SYS_##name, needs, error, { {0} }                              \
	}
/* Arguments have 64 bits, of which the kernel looks at the lower 32 of an int;
 * both machines are little-endian. */
#define BITS(arg, mask, value)                                                 \
	{                                                                      \
		(uint32_t)(mask), (uint32_t)(value), 2 * (arg), false          \
	}
#define IS(arg, value)   BITS(arg, UINT32_MAX, value)
#define LACKS(arg, mask) BITS(arg, mask, 0)
#define OWN_PID(arg)                                                           \
	{                                                                      \
		UINT32_MAX, 0, 2 * (arg), true                                 \
	}
#define IS_NULL(arg)                                                           \
	{UINT32_MAX, 0, 2 * (arg), false}, {UINT32_MAX, 0, 2 * (arg) + 1, false}

/* clang-format on */

enum {
	TYPE = 0xf, /* of a socket, without its flags */
	/* What a new thread must be, and what no child makes. */
	CLONES = CLONE_THREAD | CLONE_PTRACE | CLONE_UNTRACED | CLONE_NEWNS |
		 CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
		 CLONE_NEWPID | CLONE_NEWNET,
	WX = PROT_WRITE | PROT_EXEC,
	VMA_NAMES = 0x53564d41, /* PR_SET_VMA */
	NETLINK_STRICT = 12,    /* NETLINK_GET_STRICT_CHK */
	BIND_NO_PORT = 24,      /* IP_BIND_ADDRESS_NO_PORT */
	FALLBACK_ERROR = ENOSYS,
};

/* clang-format off */
static const struct row rows[] = {
    /* Not a connection without the call that landlock watches. */
    WITH(sendto, ANY, LACKS(3, MSG_FASTOPEN)), /* also to the master */
    WITH(sendmsg, SOCKETS, LACKS(2, MSG_FASTOPEN)),
    WITH(sendmmsg, NEED_NAMES, LACKS(3, MSG_FASTOPEN)),

    /* Not F_SETOWN and F_SETSIG, by which the kernel signals others. */
    WITH(fcntl, ANY, IS(1, F_SETLK)),
    WITH(fcntl, ANY, IS(1, F_SETLKW)),
    WITH(fcntl, ANY, IS(1, F_GETLK)),
    WITH(fcntl, ANY, IS(1, F_OFD_SETLK)),
    WITH(fcntl, ANY, IS(1, F_OFD_SETLKW)),
    WITH(fcntl, ANY, IS(1, F_OFD_GETLK)),
    WITH(fcntl, ANY, IS(1, F_GETFD)),
    WITH(fcntl, ANY, IS(1, F_SETFD)),
    WITH(fcntl, ANY, IS(1, F_GETFL)),
    /* Others who share a descriptor would wait on it for ever. The client
     * library of a server insists, but polls all the same; not so with TLS,
     * where it takes an answer that is not there within milliseconds for
     * none. */
    WITH(fcntl, ANY, IS(1, F_SETFL), BITS(2, O_NONBLOCK, O_NONBLOCK)),
    WITH(fcntl, NEED_WAITING, IS(1, F_SETFL)),
    PRETEND(fcntl, NEED_NET, IS(1, F_SETFL)),
    WITH(fcntl, ANY, IS(1, F_DUPFD)),
    WITH(fcntl, ANY, IS(1, F_DUPFD_CLOEXEC)),

    /* No code made at run time: the libraries of a resolver are loaded from
     * files that are not written through the mapping. */
    WITH(mprotect, ANY, LACKS(2, PROT_EXEC)),
    WITH(mmap, ANY, LACKS(2, PROT_EXEC)),
    WITH(mmap, NEED_NET, BITS(2, WX, PROT_EXEC), LACKS(3, MAP_ANONYMOUS)),

    /* TCP and UDP alone: to landlock Multipath TCP is no TCP. */
    WITH(socket, CONNECTS, IS(0, AF_UNIX), IS(2, 0)),
    WITH(socket, NEED_NET, IS(0, AF_INET), BITS(1, TYPE, SOCK_STREAM),
	IS(2, IPPROTO_TCP)),
    WITH(socket, NEED_NET, IS(0, AF_INET), BITS(1, TYPE, SOCK_STREAM),
	IS(2, 0)),
    WITH(socket, NEED_NET, IS(0, AF_INET6), BITS(1, TYPE, SOCK_STREAM),
	IS(2, IPPROTO_TCP)),
    WITH(socket, NEED_NET, IS(0, AF_INET6), BITS(1, TYPE, SOCK_STREAM),
	IS(2, 0)),
    WITH(socket, NEED_NAMES, IS(0, AF_INET), BITS(1, TYPE, SOCK_DGRAM),
	IS(2, IPPROTO_UDP)),
    WITH(socket, NEED_NAMES, IS(0, AF_INET), BITS(1, TYPE, SOCK_DGRAM),
	IS(2, 0)),
    WITH(socket, NEED_NAMES, IS(0, AF_INET6), BITS(1, TYPE, SOCK_DGRAM),
	IS(2, IPPROTO_UDP)),
    WITH(socket, NEED_NAMES, IS(0, AF_INET6), BITS(1, TYPE, SOCK_DGRAM),
	IS(2, 0)),
    /* Which addresses this machine has. */
    WITH(socket, NEED_NAMES, IS(0, AF_NETLINK), IS(2, NETLINK_ROUTE)),
    REFUSE(socket, ANY, EAFNOSUPPORT),
    WITH(socketpair, THREADED, IS(0, AF_UNIX), BITS(1, TYPE, SOCK_STREAM)),
    /* Of netlink, by the length of its address; systemd's resolver has a
     * longer one. Nobody can wait for connections all the same. */
    WITH(bind, NEED_NAMES, IS(2, sizeof(struct sockaddr_nl))),
    WITH(bind, NEED_NAMES, IS(2, sizeof(struct sockaddr))),

    /* No programs of the kernel's in a socket, no other protocol on top; not
     * SO_LINGER, by which the master, when it is sent a socket, would wait for
     * the other side as it closes that. */
    WITH(setsockopt, SOCKETS, IS(1, IPPROTO_TCP), IS(2, TCP_NODELAY)),
    WITH(setsockopt, SOCKETS, IS(1, IPPROTO_TCP), IS(2, TCP_KEEPIDLE)),
    WITH(setsockopt, SOCKETS, IS(1, IPPROTO_TCP), IS(2, TCP_KEEPINTVL)),
    WITH(setsockopt, SOCKETS, IS(1, IPPROTO_TCP), IS(2, TCP_KEEPCNT)),
    WITH(setsockopt, SOCKETS, IS(1, IPPROTO_TCP), IS(2, TCP_USER_TIMEOUT)),
    WITH(setsockopt, SOCKETS, IS(1, IPPROTO_TCP), IS(2, TCP_QUICKACK)),
    WITH(setsockopt, SOCKETS, IS(1, IPPROTO_TCP), IS(2, TCP_NOTSENT_LOWAT)),
    WITH(setsockopt, SOCKETS, IS(1, SOL_SOCKET), IS(2, SO_KEEPALIVE)),
    WITH(setsockopt, SOCKETS, IS(1, SOL_SOCKET), IS(2, SO_RCVBUF)),
    WITH(setsockopt, SOCKETS, IS(1, SOL_SOCKET), IS(2, SO_SNDBUF)),
    WITH(setsockopt, SOCKETS, IS(1, SOL_SOCKET), IS(2, SO_RCVTIMEO)),
    WITH(setsockopt, SOCKETS, IS(1, SOL_SOCKET), IS(2, SO_SNDTIMEO)),
    WITH(setsockopt, SOCKETS, IS(1, SOL_SOCKET), IS(2, SO_PASSCRED)),
    WITH(setsockopt, NEED_NET, IS(1, IPPROTO_IP), IS(2, IP_TOS)),
    WITH(setsockopt, NEED_NET, IS(1, IPPROTO_IP), IS(2, BIND_NO_PORT)),
    WITH(setsockopt, NEED_NET, IS(1, IPPROTO_IPV6), IS(2, IPV6_TCLASS)),
    WITH(setsockopt, NEED_NET, IS(1, IPPROTO_IPV6), IS(2, IPV6_V6ONLY)),
    WITH(setsockopt, NEED_NAMES, IS(1, IPPROTO_IP), IS(2, IP_RECVERR)),
    WITH(setsockopt, NEED_NAMES, IS(1, IPPROTO_IP), IS(2, IP_PKTINFO)),
    WITH(setsockopt, NEED_NAMES, IS(1, IPPROTO_IP), IS(2, IP_MTU_DISCOVER)),
    WITH(setsockopt, NEED_NAMES, IS(1, IPPROTO_IPV6), IS(2, IPV6_RECVERR)),
    WITH(setsockopt, NEED_NAMES, IS(1, IPPROTO_IPV6), IS(2, IPV6_RECVPKTINFO)),
    WITH(setsockopt, NEED_NAMES, IS(1, SOL_NETLINK), IS(2, NETLINK_PKTINFO)),
    WITH(setsockopt, NEED_NAMES, IS(1, SOL_NETLINK), IS(2, NETLINK_EXT_ACK)),
    WITH(setsockopt, NEED_NAMES, IS(1, SOL_NETLINK), IS(2, NETLINK_STRICT)),

    /* Not what types into a terminal or changes it. */
    WITH(ioctl, ANY, IS(1, FIONREAD)),
    WITH(ioctl, ANY, IS(1, TCGETS)), /* whether it is one */

    /* To itself: how it aborts. */
    WITH(tgkill, ANY, OWN_PID(0)),
    WITH(kill, ANY, OWN_PID(0)),
    WITH(prctl, ANY, IS(0, PR_SET_NAME)),
    WITH(prctl, ANY, IS(0, PR_GET_NAME)),
    WITH(prctl, ANY, IS(0, VMA_NAMES)),
    WITH(prctl, NEED_NET, IS(0, PR_CAPBSET_READ)), /* libcap, at its load */
    WITH(prctl, ANY, IS(0, PR_SET_PDEATHSIG), IS(1, SIGKILL)),
    /* Its own limits, to look at. */
    WITH(prlimit64, ANY, IS(0, 0), IS_NULL(2)),

    /* Threads; the arguments of clone3 are in memory, unseen: the C library
     * then takes clone. */
    WITH(clone, THREADED, BITS(0, CLONES, CLONE_THREAD)),
    {CALL_CLONE3, ANY, FALLBACK_ERROR, {{0}}},
    {CALL_OPENAT2, ANY, FALLBACK_ERROR, {{0}}},

#if SANITIZED
    /* Their leak check forks and traces, and runs a symbolizer. */
    CALL(clone, ANY),
    CALL(execve, ANY),
    CALL(getdents64, ANY),
    CALL(pipe2, ANY),
    WITH(prctl, ANY, IS(0, PR_GET_DUMPABLE)),
    WITH(prctl, ANY, IS(0, PR_SET_DUMPABLE)),
    WITH(prctl, ANY, IS(0, PR_SET_PTRACER)),
    CALL(ptrace, ANY),
    CALL(wait4, ANY),
#ifdef __x86_64__
    CALL(dup2, ANY),
    CALL(fork, ANY),
    CALL(getdents, ANY),
    CALL(pipe, ANY),
    CALL(vfork, ANY),
#endif
#endif

    CALL(read, ANY),
    CALL(write, ANY),
    CALL(readv, ANY),
    CALL(writev, ANY),
    CALL(pread64, ANY),
    CALL(pwrite64, ANY),
    CALL(lseek, ANY),
    CALL(close, ANY),
    {CALL_CLOSE_RANGE, ANY, 0, {{0}}},
    CALL(dup, ANY),
    CALL(dup3, ANY),
    CALL(ppoll, ANY),
    CALL(recvmsg, ANY), /* a new log, from the master */
    CALL(pselect6, ANY),

    /* landlock says which files. */
    CALL(openat, ANY),
    CALL(fstat, ANY),
    CALL(newfstatat, ANY),
    CALL(statx, ANY),
    CALL(faccessat, ANY),
    {CALL_FACCESSAT2, ANY, 0, {{0}}},
    CALL(readlinkat, ANY),
    CALL(getcwd, ANY),

    CALL(brk, ANY),
    CALL(munmap, ANY),
    CALL(mremap, ANY),
    CALL(madvise, ANY),

    CALL(futex, ANY),
    CALL(set_robust_list, ANY),
    CALL(rseq, ANY),
    CALL(set_tid_address, ANY),
    CALL(sched_yield, ANY),
    CALL(sched_getaffinity, ANY),
    CALL(exit, ANY),
    CALL(exit_group, ANY),
    CALL(restart_syscall, ANY),
    CALL(rt_sigaction, ANY),
    CALL(rt_sigprocmask, ANY),
    CALL(rt_sigreturn, ANY),
    CALL(sigaltstack, ANY),
    CALL(setitimer, ANY),

    CALL(clock_gettime, ANY),
    CALL(clock_getres, ANY),
    CALL(clock_nanosleep, ANY),
    CALL(nanosleep, ANY),
    CALL(gettimeofday, ANY),

    CALL(getpid, ANY),
    CALL(getppid, ANY),
    CALL(gettid, ANY),
    CALL(getuid, ANY),
    CALL(geteuid, ANY),
    CALL(getgid, ANY),
    CALL(getegid, ANY),
    CALL(getrandom, ANY),
    CALL(getrlimit, ANY),
    CALL(getrusage, ANY),
    CALL(getcpu, ANY),
    CALL(sysinfo, ANY),
    CALL(uname, ANY),

    CALL(epoll_create1, NEED_LOOP),
    CALL(epoll_ctl, NEED_LOOP),
    CALL(epoll_pwait, NEED_LOOP),
    {CALL_EPOLL_PWAIT2, NEED_LOOP, 0, {{0}}},
    CALL(eventfd2, THREADED),
    CALL(pipe2, THREADED),
    CALL(timerfd_create, NEED_LOOP),
    CALL(timerfd_settime, NEED_LOOP),

    CALL(accept4, NEED_CLIENTS),
    CALL(connect, CONNECTS),
    CALL(recvfrom, SOCKETS),
    CALL(recvmmsg, NEED_NAMES),
    CALL(shutdown, SOCKETS),
    CALL(getsockname, SOCKETS),
    CALL(getpeername, SOCKETS),
    CALL(getsockopt, SOCKETS),

    CALL(fsync, NEED_FILES),
    CALL(fdatasync, NEED_FILES),
    CALL(ftruncate, NEED_FILES),
    CALL(fallocate, NEED_FILES),
    CALL(fchmod, NEED_FILES),
    CALL(unlinkat, NEED_FILES),
    CALL(statfs, NEED_FILES),
    CALL(fstatfs, NEED_FILES),

#ifdef __x86_64__
    /* Other machines never had these. */
    CALL(access, ANY),
    CALL(alarm, ANY),
    CALL(dup2, ANY),
    CALL(epoll_create, NEED_LOOP),
    CALL(epoll_wait, NEED_LOOP),
    CALL(lstat, ANY),
    CALL(open, ANY),
    CALL(pipe, THREADED),
    CALL(poll, ANY),
    CALL(readlink, ANY),
    CALL(select, ANY),
    CALL(stat, ANY),
    CALL(time, ANY),
    CALL(unlink, NEED_FILES),
#endif
};
/* clang-format on */

enum {
	N_ROWS = sizeof(rows) / sizeof(rows[0]),
	ROW_STATEMENTS = 3 + 3 * TESTS,
	FRAME_STATEMENTS = 7,
};

static_assert(N_ROWS * ROW_STATEMENTS + FRAME_STATEMENTS <= BPF_MAXINSNS,
    "the kernel takes a program of that length");

struct program {
	size_t n;
	struct sock_filter
	    statements[N_ROWS * ROW_STATEMENTS + FRAME_STATEMENTS];
};

static void
put_statement(struct program *program, uint16_t code, uint32_t k,
    size_t if_true, size_t if_false)
{
	check(program->n <
	      sizeof(program->statements) / sizeof(program->statements[0]));
	/* Else the jump would lead to another row. */
	check(if_true <= UINT8_MAX && if_false <= UINT8_MAX);
	program->statements[program->n++] =
	    (struct sock_filter){code, (uint8_t)if_true, (uint8_t)if_false, k};
}

static void
put_load(struct program *program, size_t offset)
{
	put_statement(
	    program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void
put_return(struct program *program, uint16_t error)
{
	uint32_t result = SECCOMP_RET_ERRNO | error;

	if (error == 0)
		result = SECCOMP_RET_ALLOW;
	else if (error == NOTHING)
		result = SECCOMP_RET_ERRNO;
	put_statement(program, BPF_RET | BPF_K, result, 0, 0);
}

/* Before and after it the number of the call is loaded. */
static void
put_row(struct program *program, const struct row *row)
{
	size_t n = 0, left;

	while (n < TESTS && row->tests[n].mask != 0)
		n++;
	left = n == 0 ? 1 : 3 * n + 2;
	put_statement(program, BPF_JMP | BPF_JEQ | BPF_K, row->call, 0, left);
	for (size_t i = 0; i < n; i++) {
		const struct test *test = &row->tests[i];

		put_load(program, offsetof(struct seccomp_data, args) +
				      sizeof(test->value) * test->word);
		put_statement(
		    program, BPF_ALU | BPF_AND | BPF_K, test->mask, 0, 0);
		put_statement(program, BPF_JMP | BPF_JEQ | BPF_K,
		    test->own_pid ? (uint32_t)getpid() : test->value, 0,
		    3 * (n - 1 - i) + 1);
	}
	put_return(program, row->error);
	if (n > 0)
		put_load(program, offsetof(struct seccomp_data, nr));
}

static void
build_program(struct program *program, unsigned needs, bool kills)
{
	program->n = 0;
	put_load(program, offsetof(struct seccomp_data, arch));
	put_statement(program, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
	put_return(program, EPERM);
	put_load(program, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < N_ROWS; i++)
		if (rows[i].needs == ANY || (rows[i].needs & needs) != 0)
			put_row(program, &rows[i]);
	/* Also those of x32, which have a bit above all others. */
	put_statement(program, BPF_JMP | BPF_JGT | BPF_K, NEWEST, 0, 1);
	put_return(program, FALLBACK_ERROR);
	if (kills)
		put_statement(
		    program, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
	else
		put_return(program, EPERM);
}

enum seccomp_support
seccomp_support(void)
{
	/* Without a program it is the address that is wrong. */
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) == -1 &&
		       errno == EFAULT
		   ? SECCOMP_THERE
		   : SECCOMP_NOT_IN_KERNEL;
}

int
seccomp_enter(unsigned needs, bool kills, struct err *err)
{
	struct program program;
	struct sock_fprog filter;

	if (seccomp_support() != SECCOMP_THERE)
		return 0;
	build_program(&program, needs, kills);
	filter =
	    (struct sock_fprog){(unsigned short)program.n, program.statements};
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == -1)
		return err_errno(err, "seccomp");
	return 0;
}

#else

enum seccomp_support
seccomp_support(void)
{
	return SECCOMP_NOT_IN_BUILD;
}

int
seccomp_enter(unsigned needs, bool kills, struct err *err)
{
	(void)needs;
	(void)kills;
	(void)err;
	return 0;
}

#endif
