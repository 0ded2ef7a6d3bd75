/* SPDX-License-Identifier: ISC */
#include "service/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <check.h>

#include "config/config.h"
#include "service/service.h"

static int n_reads, client_fd;

/* The server's, instead of the C library's: with a second byte that is there
 * and cannot be read. */
ssize_t
recv(int fd, void *bytes, size_t size, int flags)
{
	ssize_t n;

	if (n_reads++ > 0) {
		errno = EAGAIN;
		return -1;
	}
	n = syscall(SYS_recvfrom, fd, bytes, size, flags, NULL, NULL);
	ck_assert_int_eq(write(client_fd, "x", 1), 1);
	return n;
}

struct client {
	struct loop *loop;
	char answer[4096];
	size_t len;
};

static void
on_answer(int fd, unsigned events, void *arg)
{
	struct client *client = arg;
	ssize_t n = read(fd, client->answer + client->len,
	    sizeof(client->answer) - 1 - client->len);

	(void)events;
	if (n <= 0)
		loop_stop(client->loop);
	else
		client->len += (size_t)n;
}

/*
 * A socket may seem readable and not be. Room for the read has been made by
 * then: what is known of the head is somewhere else.
 */
START_TEST(test_room_without_a_read)
{
	static const char request[] =
	    "HEAD /livez HTTP/1.1\r\nHost: localhost\r\n"
	    "Content-Length: 100000\r\n\r\nbytes";
	static struct config cfg;
	static struct scoreboard_slot score;
	struct child child = {.score = &score, .cfg = &cfg};
	struct service service = {
	    .child = &child,
	    .cfg = &cfg,
	    .loop = loop_create(),
	    .limits = {1024, 1024, 16, 1 << 20},
	    .memory = {.max = 1 << 22},
	};
	struct client client = {.loop = service.loop};
	struct sockaddr_storage address = {.ss_family = AF_UNIX};
	struct loop_io *io;
	struct conn *c;
	int fds[2];

	cfg.service.max_body_bytes = 1 << 20;
	cfg.service.max_connections = 1;
	cfg.service.header_timeout_ms = cfg.service.idle_timeout_ms = 10000;
	cfg.service.write_timeout_ms = 10000;
	cfg.service.body_timeout_ms = 50;
	TAILQ_INIT(&service.idle);
	TAILQ_INIT(&service.busy);
	STAILQ_INIT(&service.pool);
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	io =
	    loop_io_create(service.loop, fds[1], LOOP_READ, on_answer, &client);
	ck_assert_int_eq(conn_open(&service, fds[0],
			     peers_join(&service.peers, &address), false),
	    0);
	service.n_conns = 1;
	client_fd = fds[1];
	ck_assert_int_gt(write(fds[1], request, sizeof(request) - 1), 0);
	ck_assert_int_eq(loop_run(service.loop), 0);
	ck_assert_int_gt(n_reads, 1);
	ck_assert_ptr_eq(strstr(client.answer, "HTTP/1.1 408 "), client.answer);
	/* It was a HEAD. */
	ck_assert_str_eq(client.answer + client.len - 4, "\r\n\r\n");
	c = LIST_FIRST(&service.conns);
	ck_assert_ptr_nonnull(c);
	conn_close(c);
	exchange_free(STAILQ_FIRST(&service.pool));
	loop_io_free(&io);
	loop_free(service.loop);
	close(fds[1]);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("conn");
	TCase *tc = tcase_create("conn");
	SRunner *sr = srunner_create(suite);
	int failures;

	tcase_add_test(tc, test_room_without_a_read);
	suite_add_tcase(suite, tc);
	srunner_run_all(sr, CK_NORMAL);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
