/* SPDX-License-Identifier: ISC */
#include "proc/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "proc/sanitized.h"
#include "suite.h"

enum { BYTES = 4096, TOO_NEW = 460 };

/* Made by the parent, before the sandbox. */
static int terminal_fd, socket_fd, file_fd;
static pid_t parent;

/* ---- attempts: 0, or the errno of their refusal ---- */

static int
result_of(long value)
{
	return value == -1 ? errno : 0;
}

static int
try_io_uring(void)
{
	char params[120] = {0};

	return result_of(syscall(SYS_io_uring_setup, 1, params));
}

static int
try_chroot(void)
{
	return result_of(chroot("/"));
}

static int
try_unshare(void)
{
	return result_of(unshare(CLONE_NEWUSER));
}

static int
try_new_namespace(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return result_of(pid);
}

static int
try_process(void)
{
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return result_of(pid);
}

static int
try_clone3(void)
{
	return result_of(syscall(SYS_clone3, NULL, 0));
}

static int
try_call_of_the_future(void)
{
	return result_of(syscall(TOO_NEW, 0, 0, 0, 0, 0, 0));
}

static int
try_program(void)
{
	char *const none[] = {NULL};

	return result_of(execve("/nonexistent", none, none));
}

static int
try_program_of_descriptor(void)
{
	char *const none[] = {NULL};

	return result_of(
	    syscall(SYS_execveat, file_fd, "", none, none, AT_EMPTY_PATH));
}

static int
try_trace(void)
{
	return result_of(ptrace(PTRACE_SEIZE, parent, NULL, NULL));
}

static int
try_memory_of_parent(void)
{
	char byte = 0;
	struct iovec local = {&byte, 0}, remote = {&byte, 0};

	return result_of(process_vm_writev(parent, &local, 1, &remote, 1, 0));
}

static int
try_signal_to_parent(void)
{
	return result_of(kill(parent, 0));
}

static int
try_thread_of_parent(void)
{
	return result_of(syscall(SYS_tgkill, parent, parent, 0));
}

static int
try_queued_signal(void)
{
	siginfo_t info = {.si_signo = 0, .si_code = SI_QUEUE};

	return result_of(syscall(SYS_rt_sigqueueinfo, parent, 0, &info));
}

static int
try_pidfd(void)
{
	return result_of(syscall(SYS_pidfd_open, parent, 0));
}

static int
try_signal_to_itself(void)
{
	return result_of(kill(getpid(), 0));
}

static int
try_raise(void)
{
	return raise(0) == 0 ? 0 : errno;
}

static int
try_limit_of_parent(void)
{
	struct rlimit limit;

	if (prlimit(parent, RLIMIT_NPROC, NULL, &limit) == -1)
		return errno;
	return result_of(prlimit(parent, RLIMIT_NPROC, &limit, NULL));
}

static int
try_own_limit(void)
{
	struct rlimit limit = {0, 0};

	return result_of(prlimit(0, RLIMIT_NPROC, &limit, NULL));
}

static int
try_look_at_own_limit(void)
{
	struct rlimit limit;

	return result_of(getrlimit(RLIMIT_NOFILE, &limit));
}

static int
try_priority(void)
{
	return result_of(setpriority(PRIO_PROCESS, (id_t)parent, 19));
}

static int
try_scheduler(void)
{
	struct sched_param param = {0};

	return result_of(sched_setscheduler(parent, SCHED_OTHER, &param));
}

static int
try_affinity(void)
{
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	return result_of(sched_setaffinity(parent, sizeof(all), &all));
}

static int
try_typing(void)
{
	return result_of(ioctl(terminal_fd, TIOCSTI, "x"));
}

static int
try_selection(void)
{
	char six = 6;

	return result_of(ioctl(terminal_fd, TIOCLINUX, &six));
}

static int
try_get_terminal(void)
{
	return result_of(ioctl(terminal_fd, TIOCSCTTY, 1));
}

static int
try_whether_terminal(void)
{
	return isatty(terminal_fd) ? 0 : errno;
}

static int
try_bytes_waiting(void)
{
	int n;

	return result_of(ioctl(socket_fd, FIONREAD, &n));
}

static int
try_owner_of_descriptor(void)
{
	return result_of(fcntl(socket_fd, F_SETOWN, parent));
}

static int
try_signal_of_descriptor(void)
{
	return result_of(fcntl(socket_fd, F_SETSIG, SIGKILL));
}

static int
try_not_to_wait(void)
{
	return result_of(fcntl(socket_fd, F_SETFL, O_RDWR | O_NONBLOCK));
}

/* What the others who have it would do, too: never, even if it is allowed. */
static int
try_to_wait(void)
{
	if (try_not_to_wait() != 0)
		return EIO;
	if (fcntl(socket_fd, F_SETFL, O_RDWR) == -1)
		return errno;
	return (fcntl(socket_fd, F_GETFL) & O_NONBLOCK) != 0 ? 0 : EIO;
}

static int
try_to_wait_by_ioctl(void)
{
	int off = 0;

	return result_of(ioctl(socket_fd, FIONBIO, &off));
}

static int
try_lock(void)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

	return result_of(fcntl(file_fd, F_SETLK, &lock));
}

static int
try_map(int prot, int flags, int fd)
{
	void *p = mmap(NULL, BYTES, prot, flags, fd, 0);

	if (p == MAP_FAILED)
		return errno;
	(void)munmap(p, BYTES);
	return 0;
}

static int
try_memory(void)
{
	return try_map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static int
try_writable_code(void)
{
	return try_map(PROT_READ | PROT_WRITE | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static int
try_code_in_memory(void)
{
	return try_map(PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static int
try_writable_library(void)
{
	return try_map(
	    PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE, file_fd);
}

static int
try_library(void)
{
	return try_map(PROT_READ | PROT_EXEC, MAP_PRIVATE, file_fd);
}

static int
try_make_executable(void)
{
	void *p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED
		   ? 0
		   : result_of(mprotect(p, BYTES, PROT_READ | PROT_EXEC));
}

static int
try_memory_file(void)
{
	return result_of(memfd_create("x", MFD_CLOEXEC));
}

static int
try_personality(void)
{
	/* READ_IMPLIES_EXEC */
	return result_of(syscall(SYS_personality, 0x0400000));
}

static int
try_tracer(void)
{
	return result_of(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int
try_name(void)
{
	return result_of(prctl(PR_SET_NAME, "seccomp_test", 0, 0, 0));
}

static int
try_key(void)
{
	return result_of(syscall(SYS_keyctl, 0, -3, 0, 0, 0));
}

static int
try_bpf(void)
{
	return result_of(syscall(SYS_bpf, 0, NULL, 0));
}

static int
try_userfault(void)
{
	return result_of(syscall(SYS_userfaultfd, 0));
}

static int
try_socket(int family, int type, int protocol)
{
	int fd = socket(family, type | SOCK_CLOEXEC, protocol);

	if (fd == -1)
		return errno;
	(void)close(fd);
	return 0;
}

static int
try_unix(void)
{
	return try_socket(AF_UNIX, SOCK_STREAM, 0);
}

static int
try_tcp(void)
{
	return try_socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
}

static int
try_tcp6(void)
{
	int error = try_socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);

	/* Perhaps this machine has no IPv6. */
	return error == EAFNOSUPPORT ? try_tcp() : error;
}

static int
try_multipath_tcp(void)
{
	return try_socket(AF_INET, SOCK_STREAM, 262);
}

static int
try_raw(void)
{
	return try_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static int
try_ping(void)
{
	return try_socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
}

static int
try_udp(void)
{
	return try_socket(AF_INET, SOCK_DGRAM, 0);
}

static int
try_packet(void)
{
	return try_socket(AF_PACKET, SOCK_RAW, 0);
}

static int
try_route(void)
{
	return try_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
}

static int
try_netfilter(void)
{
	return try_socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
}

static int
try_diagnosis(void)
{
	return try_socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
}

static int
try_listen(void)
{
	return result_of(listen(socket_fd, 1));
}

static int
try_bind(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET};

	int error =
	    result_of(bind(socket_fd, (struct sockaddr *)&any, sizeof(any)));

	/* The child before this one has bound it. */
	return error == EINVAL ? 0 : error;
}

/* An empty one, which the kernel would not take either. */
static int
try_filter(void)
{
	struct sock_fprog program = {0, NULL};
	int error = result_of(setsockopt(socket_fd, SOL_SOCKET,
	    SO_ATTACH_FILTER, &program, sizeof(program)));

	return error == EINVAL ? 0 : error;
}

static int
try_no_delay(void)
{
	int on = 1;

	return result_of(
	    setsockopt(socket_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
}

/* For whoever closes it last. */
static int
try_linger(void)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 3600};

	return result_of(setsockopt(
	    socket_fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
}

/* Data that go along with a connection; nobody listens. */
static int
try_fast_open(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons(1),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int error = result_of(sendto(socket_fd, "x", 1,
	    MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof(to)));

	return error == ECONNREFUSED || error == EOPNOTSUPP ? 0 : error;
}

static int
try_send(void)
{
	int error = result_of(send(socket_fd, "x", 1, MSG_NOSIGNAL));

	return error == ENOTCONN || error == EPIPE ? 0 : error;
}

static int
try_rename(void)
{
	int error = result_of(rename("/nonexistent/a", "/nonexistent/b"));

	return error == ENOENT ? 0 : error;
}

static int
try_symbolic_link(void)
{
	int error = result_of(symlink("a", "/nonexistent/b"));

	return error == ENOENT ? 0 : error;
}

static int
try_mode(void)
{
	int error = result_of(chmod("/nonexistent/a", 0777));

	return error == ENOENT ? 0 : error;
}

static int
try_sync(void)
{
	return result_of(fsync(file_fd));
}

static int
try_remove(void)
{
	int error = result_of(unlink("/nonexistent/a"));

	return error == ENOENT ? 0 : error;
}

static void *
run_thread(void *arg)
{
	return arg;
}

static int
try_thread(void)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, run_thread, NULL);

	return error != 0 ? error : pthread_join(thread, NULL);
}

static int
try_timer(void)
{
	struct itimerval never = {{0, 0}, {0, 0}};

	return result_of(setitimer(ITIMER_REAL, &never, NULL));
}

static int
try_trim(void)
{
	void *p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return result_of(madvise(p, BYTES, MADV_DONTNEED));
}

/* ---- roles, as in confine.c ---- */

enum {
	SQLITE_SERVICE = 1 << 0,
	ADDRESS_SERVICE = 1 << 1, /* of a server that has an address */
	NAME_SERVICE = 1 << 2,    /* of one that has a name */
	WORKER = 1 << 3,          /* with SQLite */
	PREFLIGHT = 1 << 4,       /* with SQLite */
	LOGGER = 1 << 5,          /* a preflight that logs to syslog */
	N_ROLES = 6,
	ALL = (1 << N_ROLES) - 1,
	NETWORK = ADDRESS_SERVICE | NAME_SERVICE | WORKER,
};

static const struct {
	const char *name;
	unsigned needs;
} roles[N_ROLES] = {
    {"service with SQLite", NEED_LOOP | NEED_CLIENTS | NEED_FILES},
    {"service with an address", NEED_LOOP | NEED_CLIENTS | NEED_NET},
    {"service with a name", NEED_LOOP | NEED_CLIENTS | NEED_NET | NEED_NAMES},
    {"worker", NEED_LOOP | NEED_NET | NEED_NAMES | NEED_FILES},
    {"preflight", NEED_FILES},
    {"preflight with syslog", NEED_FILES | NEED_SYSLOG},
};

static const struct attempt {
	const char *name;
	int (*try)(void);
	unsigned allowed; /* roles */
	bool sanitizers;  /* they need it, too */
	int error;        /* of a refusal, unless 0: EPERM */
} attempts[] = {
    {"io_uring", try_io_uring, 0, false, 0},
    {"chroot", try_chroot, 0, false, 0},
    {"unshare", try_unshare, 0, false, 0},
    {"new namespace", try_new_namespace, 0, true, 0},
    {"process", try_process, 0, true, 0},
    {"clone3", try_clone3, 0, false, ENOSYS},
    {"call of the future", try_call_of_the_future, 0, false, ENOSYS},
    {"program", try_program, 0, true, 0},
    {"program of descriptor", try_program_of_descriptor, 0, false, 0},
    {"trace", try_trace, 0, true, 0},
    {"memory of parent", try_memory_of_parent, 0, false, 0},
    {"signal to parent", try_signal_to_parent, 0, false, 0},
    {"thread of parent", try_thread_of_parent, 0, false, 0},
    {"queued signal", try_queued_signal, 0, false, 0},
    {"pidfd", try_pidfd, 0, false, 0},
    {"signal to itself", try_signal_to_itself, ALL, false, 0},
    {"raise", try_raise, ALL, false, 0},
    {"limit of parent", try_limit_of_parent, 0, false, 0},
    {"own limit", try_own_limit, 0, false, 0},
    {"look at own limit", try_look_at_own_limit, ALL, false, 0},
    {"priority", try_priority, 0, false, 0},
    {"scheduler", try_scheduler, 0, false, 0},
    {"affinity", try_affinity, 0, false, 0},
    {"typing", try_typing, 0, false, 0},
    {"selection", try_selection, 0, false, 0},
    {"get terminal", try_get_terminal, 0, false, 0},
    {"whether terminal", try_whether_terminal, ALL, false, 0},
    {"bytes waiting", try_bytes_waiting, ALL, false, 0},
    {"owner of descriptor", try_owner_of_descriptor, 0, false, 0},
    {"signal of descriptor", try_signal_of_descriptor, 0, false, 0},
    {"not to wait", try_not_to_wait, ALL, false, 0},
    {"to wait", try_to_wait, NETWORK, false, 0},
    {"to wait by ioctl", try_to_wait_by_ioctl, 0, false, 0},
    {"lock", try_lock, ALL, false, 0},
    {"memory", try_memory, ALL, false, 0},
    {"writable code", try_writable_code, 0, false, 0},
    {"code in memory", try_code_in_memory, 0, false, 0},
    {"writable library", try_writable_library, 0, false, 0},
    {"library", try_library, NETWORK, false, 0},
    {"make executable", try_make_executable, 0, false, 0},
    {"memory file", try_memory_file, 0, false, 0},
    {"personality", try_personality, 0, false, 0},
    {"tracer", try_tracer, 0, true, 0},
    {"name", try_name, ALL, false, 0},
    {"key", try_key, 0, false, 0},
    {"bpf", try_bpf, 0, false, 0},
    {"userfault", try_userfault, 0, false, 0},
    {"unix socket", try_unix, NETWORK | LOGGER, false, EAFNOSUPPORT},
    {"TCP", try_tcp, NETWORK, false, EAFNOSUPPORT},
    {"TCP on IPv6", try_tcp6, NETWORK, false, EAFNOSUPPORT},
    {"Multipath TCP", try_multipath_tcp, 0, false, EAFNOSUPPORT},
    {"raw", try_raw, 0, false, EAFNOSUPPORT},
    {"ping", try_ping, 0, false, EAFNOSUPPORT},
    {"UDP", try_udp, NAME_SERVICE | WORKER, false, EAFNOSUPPORT},
    {"packet", try_packet, 0, false, EAFNOSUPPORT},
    {"route", try_route, NAME_SERVICE | WORKER, false, EAFNOSUPPORT},
    {"netfilter", try_netfilter, 0, false, EAFNOSUPPORT},
    {"diagnosis", try_diagnosis, 0, false, EAFNOSUPPORT},
    {"listen", try_listen, 0, false, 0},
    {"bind", try_bind, NAME_SERVICE | WORKER, false, 0},
    {"socket filter", try_filter, 0, false, 0},
    {"no delay", try_no_delay, ALL & ~PREFLIGHT, false, 0},
    {"linger", try_linger, 0, false, 0},
    {"fast open", try_fast_open, 0, false, 0},
    {"send", try_send, ALL, false, 0},
    {"rename", try_rename, 0, false, 0},
    {"symbolic link", try_symbolic_link, 0, false, 0},
    {"mode", try_mode, 0, false, 0},
    {"sync", try_sync, SQLITE_SERVICE | WORKER | PREFLIGHT | LOGGER, false, 0},
    {"remove", try_remove, SQLITE_SERVICE | WORKER | PREFLIGHT | LOGGER, false,
	0},
    {"thread", try_thread, ALL & ~(PREFLIGHT | LOGGER), true, 0},
    {"timer", try_timer, ALL, false, 0},
    {"trim", try_trim, ALL, false, 0},
};

enum { N_ATTEMPTS = sizeof(attempts) / sizeof(attempts[0]) };

/* ---- tests ---- */

static bool
enter(unsigned needs, bool kills)
{
	struct err err;

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       seccomp_enter(needs, kills, &err) == 0;
}

/* Of a process that entered the sandbox of a role, one attempt each: 0. */
static int
try_as(const struct attempt *attempt, int role)
{
	bool allowed = (attempt->allowed & 1u << role) != 0;
	int expected = attempt->error == 0 ? EPERM : attempt->error, error;

	if (!enter(roles[role].needs, false))
		return 1;
	error = attempt->try();
	if (allowed)
		return error == 0 ? 0 : 2;
	if (SANITIZED && attempt->sanitizers)
		return 0;
	return error == expected ? 0 : 3;
}

/* The status of waitpid. */
static int
in_a_child(int (*fn)(const struct attempt *attempt, int role),
    const struct attempt *attempt, int role)
{
	int status = -1;
	pid_t pid = fork();

	ck_assert_int_ne(pid, -1);
	if (pid == 0)
		_exit(fn(attempt, role));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void
set_up(void)
{
	parent = getpid();
	terminal_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	socket_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	file_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
}

START_TEST(test_attempts)
{
	for (int role = 0; role < N_ROLES; role++)
		for (int i = 0; i < N_ATTEMPTS; i++) {
			int status = in_a_child(try_as, &attempts[i], role);

			ck_assert_msg(status == 0, "%s as %s: status %x",
			    attempts[i].name, roles[role].name,
			    (unsigned)status);
		}
}
END_TEST

/* What the test above looks at is possible without a sandbox, at least as
 * root; so it is the sandbox that refuses. */
static int
try_freely(const struct attempt *attempt, int role)
{
	int error = attempt->try();

	(void)role;
	return error == EPERM ? 2 : 0;
}

START_TEST(test_without_seccomp)
{
	static const char *const some[] = {"limit of parent", "priority",
	    "signal to parent", "owner of descriptor", "writable code",
	    "memory file", "listen", "UDP", "process"};

	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++)
		for (int j = 0; j < N_ATTEMPTS; j++)
			if (strcmp(attempts[j].name, some[i]) == 0)
				ck_assert_msg(in_a_child(try_freely,
						  &attempts[j], 0) == 0,
				    "%s", some[i]);
}
END_TEST

/* The client library of a TLS server waits for its answer in read. */
static int
wait_for_server(const struct attempt *attempt, int role)
{
	(void)attempt;
	(void)role;
	if (!enter(NEED_LOOP | NEED_CLIENTS | NEED_NET | NEED_WAITING, false) ||
	    try_not_to_wait() != 0 || fcntl(socket_fd, F_SETFL, O_RDWR) == -1)
		return 1;
	return (fcntl(socket_fd, F_GETFL) & O_NONBLOCK) == 0 ? 0 : 2;
}

START_TEST(test_wait_for_server)
{
	ck_assert_int_eq(in_a_child(wait_for_server, NULL, 0), 0);
}
END_TEST

static int
abort_in_sandbox(const struct attempt *attempt, int role)
{
	(void)attempt;
	(void)role;
	if (!enter(0, false))
		return 1;
	abort();
}

static int
be_killed(const struct attempt *attempt, int role)
{
	(void)attempt;
	(void)role;
	if (!enter(0, true))
		return 1;
	return chroot("/") == -1 ? 2 : 3;
}

START_TEST(test_ends)
{
	int status = in_a_child(abort_in_sandbox, NULL, 0);

	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGABRT);
	status = in_a_child(be_killed, NULL, 0);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGSYS);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("seccomp");
	TCase *tc = tcase_create("seccomp");

	if (seccomp_support() != SECCOMP_THERE)
		return 77;
	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_attempts);
	tcase_add_test(tc, test_wait_for_server);
	tcase_add_test(tc, test_without_seccomp);
	tcase_add_test(tc, test_ends);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
