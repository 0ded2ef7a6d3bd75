/* SPDX-License-Identifier: ISC */
#include "http/http_parser.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <check.h>

#include "base/buf.h"
#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

#define X8  "xxxxxxxx"
#define X16 X8 X8
#define X32 X16 X16
#define X64 X32 X32

#define HOST   "Host: h\r\n"
#define GET    "GET / HTTP/1.1\r\n" HOST
#define POST   "POST / HTTP/1.1\r\n" HOST
#define TE     "Transfer-Encoding: "
#define CHUNKS POST TE "chunked\r\n\r\n"

/* Small, so that a row can reach them. */
static const struct http_limits small = {
    .max_line_bytes = 64,
    .max_header_bytes = 128,
    .max_headers = 4,
    .max_body_bytes = 16,
};
static const struct http_limits huge = {
    .max_line_bytes = SIZE_MAX,
    .max_header_bytes = SIZE_MAX,
    .max_headers = SIZE_MAX,
    .max_body_bytes = SIZE_MAX,
};

/*
 * What comes out, as text: method|path|query|flags|header|...||body. The flags
 * are the version, whether the connection is kept, whether the client waits
 * for 100 Continue, whether a body was announced and whether it is encoded.
 */
#define IS_GET     "GET|/||1.1 keep|Host: h|"
#define IS_CHUNKED "POST|/||1.1 keep body|Host: h|" TE "chunked||"

static const struct valid {
	struct slice in;
	struct slice out;
	const char *rest; /* of in, behind the request; NULL: nothing */
} valid[] = {
    {SLICE_INIT(GET "\r\n"), SLICE_INIT(IS_GET "|"), NULL},
    {SLICE_INIT("GET /a/b?c=d?e HTTP/1.1\r\n" HOST "\r\n"),
	SLICE_INIT("GET|/a/b|c=d?e|1.1 keep|Host: h||"), NULL},
    {SLICE_INIT("GET /a? HTTP/1.1\r\n" HOST "\r\n"),
	SLICE_INIT("GET|/a||1.1 keep|Host: h||"), NULL},
    {SLICE_INIT("GET //a HTTP/1.1\r\n" HOST "\r\n"),
	SLICE_INIT("GET|//a||1.1 keep|Host: h||"), NULL},
    {SLICE_INIT("GET /%2F%00%zz HTTP/1.1\r\n" HOST "\r\n"),
	SLICE_INIT("GET|/%2F%00%zz||1.1 keep|Host: h||"), NULL},
    {SLICE_INIT("!$%&'*+-.^_`|~aZ09 / HTTP/1.1\r\n" HOST "\r\n"),
	SLICE_INIT("!$%&'*+-.^_`|~aZ09|/||1.1 keep|Host: h||"), NULL},

    /* forms of the target */
    {SLICE_INIT("GET http://u:80/a?b HTTP/1.1\r\n" HOST "\r\n"),
	SLICE_INIT("GET|/a|b|1.1 keep|Host: h||"), NULL},
    {SLICE_INIT("GET HTTPS://[::1]/a HTTP/1.1\r\n" HOST "\r\n"),
	SLICE_INIT("GET|/a||1.1 keep|Host: h||"), NULL},
    {SLICE_INIT("GET http://u HTTP/1.1\r\n" HOST "\r\n"),
	SLICE_INIT(IS_GET "|"), NULL},
    {SLICE_INIT("GET http://u?q HTTP/1.1\r\n" HOST "\r\n"),
	SLICE_INIT("GET|/|q|1.1 keep|Host: h||"), NULL},
    {SLICE_INIT("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"),
	SLICE_INIT("OPTIONS|*||1.1 keep|Host: h||"), NULL},

    /* versions, Connection, Expect */
    {SLICE_INIT("GET / HTTP/1.0\r\n\r\n"), SLICE_INIT("GET|/||1.0 close||"),
	NULL},
    {SLICE_INIT("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"),
	SLICE_INIT("GET|/||1.0 keep|Connection: Keep-Alive||"), NULL},
    {SLICE_INIT("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"),
	SLICE_INIT("GET|/||1.0 close|Expect: 100-continue||"), NULL},
    {SLICE_INIT("GET / HTTP/1.9\r\n" HOST "\r\n"), SLICE_INIT(IS_GET "|"),
	NULL},
    {SLICE_INIT(GET "Connection: CLOSE\r\n\r\n"),
	SLICE_INIT("GET|/||1.1 close|Host: h|Connection: CLOSE||"), NULL},
    {SLICE_INIT(GET "Connection: keep-alive ,\t, close\r\n\r\n"),
	SLICE_INIT("GET|/||1.1 close|Host: h|"
		   "Connection: keep-alive ,\t, close||"),
	NULL},
    {SLICE_INIT(GET "Connection: x\r\nconnection:close\r\n\r\n"),
	SLICE_INIT(
	    "GET|/||1.1 close|Host: h|Connection: x|connection: close||"),
	NULL},
    {SLICE_INIT(GET "Connection: closed, x-close\r\n\r\n"),
	SLICE_INIT(IS_GET "Connection: closed, x-close||"), NULL},
    {SLICE_INIT(POST "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n\r\n"),
	SLICE_INIT("POST|/||1.1 keep expect body|Host: h|"
		   "Expect: 100-Continue|Content-Length: 2||\r\n"),
	NULL},

    /* lines and headers */
    {SLICE_INIT("\r\n\r\n\r\n\r\n" GET "\r\n"), SLICE_INIT(IS_GET "|"), NULL},
    {SLICE_INIT(GET "A: \t b\t c \t\r\nDate:\r\nC: \r\n\r\n"),
	SLICE_INIT(IS_GET "A: b\t c|Date: |C: ||"), NULL},
    {SLICE_INIT(GET "A: \x80\xff~ !\r\n\r\n"),
	SLICE_INIT(IS_GET "A: \x80\xff~ !||"), NULL},
    {SLICE_INIT("GET / HTTP/1.1\r\nhOST: a-b.c:8085\r\n\r\n"),
	SLICE_INIT("GET|/||1.1 keep|hOST: a-b.c:8085||"), NULL},
    {SLICE_INIT("GET / HTTP/1.1\r\nHost: [::ffff:1.2.3.4]\r\n\r\n"),
	SLICE_INIT("GET|/||1.1 keep|Host: [::ffff:1.2.3.4]||"), NULL},
    {SLICE_INIT("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"),
	SLICE_INIT("GET|/||1.1 keep|Host: [::1]:80||"), NULL},
    {SLICE_INIT("GET / HTTP/1.1\r\nHost: %41b%2E:\r\n\r\n"),
	SLICE_INIT("GET|/||1.1 keep|Host: %41b%2E:||"), NULL},

    /* bodies */
    {SLICE_INIT(POST "Content-Length: 5\r\n\r\nhe\0lo"),
	SLICE_INIT("POST|/||1.1 keep body|Host: h|Content-Length: 5||he\0lo"),
	NULL},
    {SLICE_INIT(POST "Content-Length:  05\t\r\n\r\nhello"),
	SLICE_INIT("POST|/||1.1 keep body|Host: h|Content-Length: 05||hello"),
	NULL},
    {SLICE_INIT(POST "Content-Length: 0\r\n\r\n"),
	SLICE_INIT("POST|/||1.1 keep|Host: h|Content-Length: 0||"), NULL},
    {SLICE_INIT("POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\n1"),
	SLICE_INIT("POST|/||1.0 close body|Content-Length: 1||1"), NULL},
    {SLICE_INIT(POST "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\n1"),
	SLICE_INIT("POST|/||1.1 keep body encoded|Host: h|"
		   "Content-Encoding: gzip|Content-Length: 1||1"),
	NULL},
    {SLICE_INIT(POST "Content-Encoding:\r\nContent-Encoding: a\r\n\r\n"),
	SLICE_INIT("POST|/||1.1 keep encoded|Host: h|"
		   "Content-Encoding: |Content-Encoding: a||"),
	NULL},
    {SLICE_INIT(POST "content-encoding: , IDENTITY\r\n\r\n"),
	SLICE_INIT("POST|/||1.1 keep|Host: h|content-encoding: , IDENTITY||"),
	NULL},
    {SLICE_INIT(CHUNKS "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"),
	SLICE_INIT(IS_CHUNKED "hello!"), NULL},
    {SLICE_INIT(POST "TRANSFER-ENCODING:CHUNKED\t\r\n\r\n00\r\n\r\n"),
	SLICE_INIT(
	    "POST|/||1.1 keep body|Host: h|TRANSFER-ENCODING: CHUNKED||"),
	NULL},
    {SLICE_INIT(CHUNKS "4\r\n\r\n\r\n\r\n0\r\n\r\n"),
	SLICE_INIT(IS_CHUNKED "\r\n\r\n"), NULL},
    {SLICE_INIT(CHUNKS "a\r\n0123456789\r\n0\r\n\r\n"),
	SLICE_INIT(IS_CHUNKED "0123456789"), NULL},
    {SLICE_INIT(CHUNKS "00A\r\n0123456789\r\n0\r\n\r\n"),
	SLICE_INIT(IS_CHUNKED "0123456789"), NULL},
    {SLICE_INIT(CHUNKS "1;a;b=\"\x80\t;\"\r\nx\r\n0;c=d\r\n\r\n"),
	SLICE_INIT(IS_CHUNKED "x"), NULL},
    {SLICE_INIT(CHUNKS "1 ;\ta = b ; c\t=\t\"\" ;d\r\nx\r\n0\r\n\r\n"),
	SLICE_INIT(IS_CHUNKED "x"), NULL},
    {SLICE_INIT(CHUNKS "1;a=\"\\\"\\\\=; \\x\"\r\nx\r\n0\r\n\r\n"),
	SLICE_INIT(IS_CHUNKED "x"), NULL},
    {SLICE_INIT(CHUNKS "1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\nGET"),
	SLICE_INIT(IS_CHUNKED "x"), "GET"},
    {SLICE_INIT(CHUNKS "0\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n"),
	SLICE_INIT(IS_CHUNKED), NULL},

    /* what follows is not looked at */
    {SLICE_INIT(GET "\r\n\r\n\xff\n"), SLICE_INIT(IS_GET "|"), "\r\n\xff\n"},
    {SLICE_INIT(POST "Content-Length: 1\r\n\r\n1" GET "\r\n"),
	SLICE_INIT("POST|/||1.1 keep body|Host: h|Content-Length: 1||1"),
	GET "\r\n"},
    {SLICE_INIT(CHUNKS "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n" CHUNKS),
	SLICE_INIT(IS_CHUNKED "abc"), CHUNKS},

    /* at the limits */
    {SLICE_INIT(X32 " / HTTP/1.1\r\n" HOST "\r\n"),
	SLICE_INIT(X32 "|/||1.1 keep|Host: h||"), NULL},
    {SLICE_INIT("GET /" X32 X16 " HTTP/1.1\r\n" HOST "\r\n"),
	SLICE_INIT("GET|/" X32 X16 "||1.1 keep|Host: h||"), NULL},
    {SLICE_INIT(GET "X: " X64 X32 X16 "\r\n\r\n"),
	SLICE_INIT(IS_GET "X: " X64 X32 X16 "||"), NULL},
    {SLICE_INIT(GET "A:\r\nB:\r\nC:\r\n\r\n"),
	SLICE_INIT(IS_GET "A: |B: |C: ||"), NULL},
    {SLICE_INIT(POST "Content-Length: 16\r\n\r\n" X16),
	SLICE_INIT("POST|/||1.1 keep body|Host: h|Content-Length: 16||" X16),
	NULL},
    {SLICE_INIT(CHUNKS "8\r\n" X8 "\r\n8\r\n" X8 "\r\n0\r\n\r\n"),
	SLICE_INIT(IS_CHUNKED X16), NULL},
    {SLICE_INIT(CHUNKS "1;" X64 X32 X16 "xxxxx\r\nx\r\n0\r\n\r\n"),
	SLICE_INIT(IS_CHUNKED "x"), NULL},
    {SLICE_INIT(CHUNKS "0\r\nT: " X64 X32 X16 "xxxxxx\r\n\r\n"),
	SLICE_INIT(IS_CHUNKED), NULL},
};

static const struct invalid {
	struct slice in;
	int status;
	bool head_done;
	const struct http_limits *limits; /* NULL: small */
} invalid[] = {
    /* line ends */
    {.in = SLICE_INIT("\r\n\r\n\r\n\r\n\r\n" GET "\r\n"), .status = 400},
    {.in = SLICE_INIT("\n" GET "\r\n"), .status = 400},
    {.in = SLICE_INIT("\r" GET "\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.1\n" HOST "\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.1\r" HOST "\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.1\r\nHost: h\n\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.1\r\nHost: h\r\r\n"), .status = 400},
    {.in = SLICE_INIT(GET "\n"), .status = 400},
    {.in = SLICE_INIT(GET "\r\r\n"), .status = 400},
    {.in = SLICE_INIT(GET "A: b\rContent-Length: 5\r\n\r\n"), .status = 400},

    /* request line */
    {.in = SLICE_INIT(" GET / HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT(" / HTTP/1.1\r\n" HOST "\r\n"), .status = 400},
    {.in = SLICE_INIT("GET  HTTP/1.1\r\n" HOST "\r\n"), .status = 400},
    {.in = SLICE_INIT("GE(T / HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("GET\t/ HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("GET  / HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("GET /  HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.1 \r\n"), .status = 400},
    {.in = SLICE_INIT("GET /\r\n"), .status = 400},
    {.in = SLICE_INIT("GET /a b HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("GET /\0 HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("GET /\x01 HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("GET /\x7f HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("GET /\xc3\xa4 HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("GET /a#b HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("GET a HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("GET * HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("OPTIONS *a HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("CONNECT h:443 HTTP/1.1\r\n"), .status = 501},
    {.in = SLICE_INIT("CONNECT [::1]:443 HTTP/1.1\r\n"), .status = 501},
    {.in = SLICE_INIT("CONNECT h HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("CONNECT h: HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("CONNECT h1 HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("CONNECT [::1] HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("CONNECT :443 HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("CONNECT / HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("CONNECT http://h:443/ HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("GET ftp://h/ HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("GET http:///a HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("GET http://:80/ HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("GET http://u@h/ HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("GET http:// HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / http/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.10\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/11\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/x.1\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/01.1\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/2\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/2.0 \r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/0.9\r\n"), .status = 505},
    {.in = SLICE_INIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), .status = 505},
    {.in = SLICE_INIT("\x16\x03\x01\x02"), .status = 400}, /* TLS */

    /* header lines */
    {.in = SLICE_INIT(GET "A : b\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(GET " A: b\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(GET "A: b\r\n c\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(GET "A: b\r\n\tc\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(GET ": b\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(GET "A\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(GET "A\0: b\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(GET "A\x80: b\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(GET "A: \0\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(GET "A: b\x1f\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(GET "A: b\x7f\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(GET "A: b\x0b\r\n\r\n"), .status = 400},

    /* Host */
    {.in = SLICE_INIT("GET / HTTP/1.1\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(GET HOST "\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.0\r\n" HOST HOST "\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.1\r\nHost:\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.0\r\nHost: \t\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.1\r\nHost: a%4g\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.1\r\nHost: a%4\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.1\r\nHost: %4:80\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT("GET http://a%zz/ HTTP/1.1\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.1\r\nHost: :80\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.1\r\nHost: []\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.1\r\nHost: [x]\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT("GET / HTTP/1.1\r\nHost: \x80\r\n\r\n"), .status = 400},

    /* what it is and whom it is from */
    {.in = SLICE_INIT(GET "Content-Type: a\r\ncontent-type: a\r\n\r\n"),
	.status = 400},
    {.in = SLICE_INIT(GET "Origin: a\r\nOrigin: a\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(GET "Sec-Fetch-Site: a\r\n"
			  "Sec-Fetch-Site: a\r\n\r\n"),
	.status = 400},

    /* Content-Length */
    {.in = SLICE_INIT(POST "Content-Length: +5\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(POST "Content-Length: -5\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(POST "Content-Length: 0x5\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(POST "Content-Length: 5 5\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(POST "Content-Length: 5, 5\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(POST "Content-Length: 5.0\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(POST "Content-Length:\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(POST "Content-Length: 5\r\nContent-length: 5\r\n\r\n"),
	.status = 400},
    {.in = SLICE_INIT(POST "Content-Length: 18446744073709551617\r\n\r\n"),
	.status = 413},
    {.in = SLICE_INIT(POST "Content-Length: 99999999999999999999999\r\n\r\n"),
	.status = 413},

    /* Transfer-Encoding */
    {.in = SLICE_INIT(POST "Content-Length: 5\r\n" TE "chunked\r\n\r\n"),
	.status = 400},
    {.in = SLICE_INIT(POST TE "chunked\r\nContent-Length: 5\r\n\r\n"),
	.status = 400},
    {.in = SLICE_INIT("POST / HTTP/1.0\r\n" TE "chunked\r\n\r\n"),
	.status = 400},
    {.in = SLICE_INIT(POST TE "chunked\r\n" TE "chunked\r\n\r\n"),
	.status = 400},
    {.in = SLICE_INIT(POST TE "chunked, chunked\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(POST TE "chunked,\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(POST TE "\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(POST TE "\x0b"
			      "chunked\r\n\r\n"),
	.status = 400},
    {.in = SLICE_INIT(POST "Transfer-Encoding : chunked\r\n\r\n"),
	.status = 400},
    {.in = SLICE_INIT(POST "Transfer-Encoding\t: chunked\r\n\r\n"),
	.status = 400},
    {.in = SLICE_INIT(POST "X: y\rTransfer-Encoding: chunked\r\n\r\n"),
	.status = 400},
    {.in = SLICE_INIT(POST "X: y\nTransfer-Encoding: chunked\r\n\r\n"),
	.status = 400},
    {.in = SLICE_INIT(POST "Transfer-Encoding:\r\n chunked\r\n\r\n"),
	.status = 400},
    {.in = SLICE_INIT(POST TE "gzip\r\nContent-Length: 5\r\n\r\n"),
	.status = 400},
    /* the last one is not chunked: the end of the body is unknown */
    {.in = SLICE_INIT(POST TE "chunked\r\n" TE "identity\r\n\r\n"),
	.status = 400},
    {.in = SLICE_INIT(POST TE "chunked, gzip\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(POST TE "gzip\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(POST TE "gzip\r\n" TE "deflate\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(POST TE "chunked;q=1\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(POST TE "xchunked\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(POST TE "\"chunked\"\r\n\r\n"), .status = 400},
    {.in = SLICE_INIT(POST TE "chunk\r\n\r\n"), .status = 400},
    /* others below it */
    {.in = SLICE_INIT(POST TE "identity\r\n" TE "chunked\r\n\r\n"),
	.status = 501},
    {.in = SLICE_INIT(POST TE "gzip, chunked\r\n\r\n"), .status = 501},

    {.in = SLICE_INIT(POST "Expect: 200-ok\r\n\r\n"), .status = 417},

    /* chunks */
    {.in = SLICE_INIT(CHUNKS "\r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS ";a\r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "g\r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "+1\r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "0x1\r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS " 1\r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1 \r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1\rx"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1;\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1;\r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1 ; \r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1;a \r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1;a;\r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1;a=\r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1;a=b \r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1;a=b=c\r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1;a=b c\r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1;a b\r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1;=b\r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1;bad[=x\r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1;a=[\r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1;\"a\"\r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1;a=\"b\r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1;a=\"b\\\"\r\n"),
	.status = 400,
	.head_done = true},
    {.in = SLICE_INIT(CHUNKS "1;a=\"b\"c\r\n"),
	.status = 400,
	.head_done = true},
    {.in = SLICE_INIT(CHUNKS "1;a=\"\x01\"\r\n"),
	.status = 400,
	.head_done = true},
    {.in = SLICE_INIT(CHUNKS "1;a\x80\r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1;a=\x80\r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1;a\rx"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1;\0\r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1\r\nxx\r\n"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1\r\nx\n0"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1\r\nx\rx"), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "ffffffffffffffff\r\n"),
	.status = 413,
	.head_done = true},
    {.in = SLICE_INIT(CHUNKS "10000000000000001\r\nx"),
	.status = 413,
	.head_done = true,
	.limits = &huge},
    {.in = SLICE_INIT(CHUNKS "1\r\nx\r\nffffffffffffffff"),
	.status = 413,
	.head_done = true,
	.limits = &huge},

    /* trailers */
    {.in = SLICE_INIT(CHUNKS "0\r\nContent-Length: 5\r\n\r\n"),
	.status = 400,
	.head_done = true},
    {.in = SLICE_INIT(CHUNKS "0\r\n" TE "chunked\r\n\r\n"),
	.status = 400,
	.head_done = true},
    {.in = SLICE_INIT(CHUNKS "0\r\nhost: h\r\n\r\n"),
	.status = 400,
	.head_done = true},
    {.in = SLICE_INIT(CHUNKS "0\r\nContent-Encoding: a\r\n\r\n"),
	.status = 400,
	.head_done = true},
    {.in = SLICE_INIT(CHUNKS "0\r\nA : b\r\n\r\n"),
	.status = 400,
	.head_done = true},
    {.in = SLICE_INIT(CHUNKS "0\r\nA: b\r\n c\r\n\r\n"),
	.status = 400,
	.head_done = true},
    {.in = SLICE_INIT(CHUNKS "0\r\nA: b\n\r\n"),
	.status = 400,
	.head_done = true},
    {.in = SLICE_INIT(CHUNKS "0\r\nA: \0\r\n\r\n"),
	.status = 400,
	.head_done = true},
    {.in = SLICE_INIT(CHUNKS "0\r\n\n"), .status = 400, .head_done = true},

    /* one beyond the limits */
    {.in = SLICE_INIT(X32 "x / HTTP/1.1\r\n" HOST "\r\n"), .status = 501},
    {.in = SLICE_INIT("GET /" X32 X16 "x HTTP/1.1\r\n" HOST "\r\n"),
	.status = 414},
    {.in = SLICE_INIT("GET /" X64 X64), .status = 414},
    {.in = SLICE_INIT(GET "X: " X64 X32 X16 "x\r\n\r\n"), .status = 431},
    {.in = SLICE_INIT(GET X64 X64), .status = 431},
    {.in = SLICE_INIT(GET "A:\r\nB:\r\nC:\r\nD:\r\n\r\n"), .status = 431},
    {.in = SLICE_INIT(POST "Content-Length: 17\r\n\r\n"), .status = 413},
    {.in = SLICE_INIT(CHUNKS "11"), .status = 413, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "8\r\n" X8 "\r\n9\r\n"),
	.status = 413,
	.head_done = true},
    {.in = SLICE_INIT(CHUNKS "1;" X64 X64), .status = 400, .head_done = true},
    {.in = SLICE_INIT(CHUNKS "1;" X64 X32 X16 "xxxxxx\r\nx\r\n0\r\n\r\n"),
	.status = 431,
	.head_done = true},
    {.in = SLICE_INIT(CHUNKS "0\r\nT: " X64 X32 X16 "xxxxxxx\r\n\r\n"),
	.status = 431,
	.head_done = true},
};

/* One way to hand a message to the parser, and what came out. */
struct run {
	struct http_parser parser;
	struct http_request req;
	enum http_result result;
	char *buf;
	size_t len;
	char *map; /* around buf, or NULL: buf is allocated */
};

typedef void (*feed_fn)(
    struct run *, const struct http_limits *, struct slice in);

static char *
copy(const char *p, size_t len)
{
	char *bytes = malloc(len + (len == 0));

	ck_assert_ptr_nonnull(bytes);
	memcpy(bytes, p, len);
	return bytes;
}

static void
feed_whole(struct run *run, const struct http_limits *limits, struct slice in)
{
	*run = (struct run){.buf = copy(in.p, in.len), .len = in.len};
	http_parser_init(&run->parser, limits);
	run->result = http_parse(&run->parser, run->buf, run->len, &run->req);
}

/* Each byte comes alone, and each time the buffer moves. */
static void
feed_bytes(struct run *run, const struct http_limits *limits, struct slice in)
{
	*run = (struct run){.buf = copy("", 1)};
	http_parser_init(&run->parser, limits);
	run->result = http_parse(&run->parser, run->buf, 0, &run->req);
	while (run->result == HTTP_MORE && run->len < in.len) {
		char *moved = malloc(run->len + 1);

		ck_assert_ptr_nonnull(moved);
		memcpy(moved, run->buf, run->len);
		moved[run->len] = in.p[run->len];
		memset(run->buf, '?', run->len);
		free(run->buf);
		run->buf = moved;
		run->len++;
		run->result =
		    http_parse(&run->parser, run->buf, run->len, &run->req);
	}
}

/* The message ends where memory ends. */
static void
feed_guarded(struct run *run, const struct http_limits *limits, struct slice in)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(map, MAP_FAILED);
	ck_assert_int_eq(mprotect(map + page, page, PROT_NONE), 0);
	ck_assert_uint_le(in.len, page);
	*run =
	    (struct run){.buf = map + page - in.len, .len = in.len, .map = map};
	memcpy(run->buf, in.p, in.len);
	http_parser_init(&run->parser, limits);
	run->result = http_parse(&run->parser, run->buf, run->len, &run->req);
}

static const feed_fn feeds[] = {feed_whole, feed_bytes, feed_guarded};

static void
end(struct run *run)
{
	if (run->map == NULL)
		free(run->buf);
	else
		munmap(run->map, 2 * (size_t)sysconf(_SC_PAGESIZE));
}

static void
render(struct buf *out, const struct http_request *req)
{
	buf_append_slice(out, req->method);
	buf_append_char(out, '|');
	buf_append_slice(out, req->path);
	buf_append_char(out, '|');
	buf_append_slice(out, req->query);
	buf_printf(out, "|1.%u %s%s%s%s|", req->minor,
	    req->keep_alive ? "keep" : "close",
	    req->expect_continue ? " expect" : "",
	    req->has_body ? " body" : "", req->encoded ? " encoded" : "");
	for (size_t i = 0; i < req->n_headers; i++) {
		buf_append_slice(out, req->headers[i].name);
		buf_append_string(out, ": ");
		buf_append_slice(out, req->headers[i].value);
		buf_append_char(out, '|');
	}
	buf_append_char(out, '|');
	buf_append_slice(out, req->body);
	ck_assert(!out->failed);
}

static void
check_request(const struct http_request *req, struct slice expected)
{
	struct buf out;

	buf_init(&out, 4096);
	render(&out, req);
	ck_assert_msg(slice_eq(buf_slice(&out), expected),
	    "got %.*s, expected %.*s", (int)out.len, out.p, (int)expected.len,
	    expected.p);
	buf_free(&out);
}

static void
check_valid(const struct valid *row, feed_fn feed)
{
	size_t consumed =
	    row->in.len - (row->rest == NULL ? 0 : strlen(row->rest));
	struct run run;
	size_t head_len;

	feed(&run, &small, row->in);
	ck_assert_msg(run.result == HTTP_DONE, "status %d: %s",
	    run.parser.status, run.parser.reason);
	ck_assert(run.parser.head_done);
	ck_assert_uint_eq(run.parser.consumed, consumed);
	check_request(&run.req, row->out);

	/* Nothing was written but the body. */
	head_len = (size_t)(run.req.body.p - run.buf);
	ck_assert_int_eq(memcmp(run.buf, row->in.p, head_len), 0);
	ck_assert_int_eq(memcmp(run.buf + consumed, row->in.p + consumed,
			     run.len - consumed),
	    0);

	/* Asking again gives the same answer. */
	memset(&run.req, 0, sizeof(run.req));
	ck_assert(
	    http_parse(&run.parser, run.buf, run.len, &run.req) == HTTP_DONE);
	check_request(&run.req, row->out);
	end(&run);
}

static void
check_invalid(const struct invalid *row, feed_fn feed)
{
	struct run run;

	feed(&run, row->limits == NULL ? &small : row->limits, row->in);
	ck_assert_int_eq(run.result, HTTP_BAD);
	ck_assert_int_eq(run.parser.status, row->status);
	ck_assert_ptr_nonnull(run.parser.reason);
	ck_assert(run.parser.head_done == row->head_done);
	if (row->head_done)
		check_request(&run.req, SLICE_LITERAL(IS_CHUNKED));
	ck_assert(
	    http_parse(&run.parser, run.buf, run.len, &run.req) == HTTP_BAD);
	end(&run);
}

START_TEST(test_valid)
{
	for (int i = 0; i < COUNT(feeds); i++)
		check_valid(&valid[_i], feeds[i]);
}
END_TEST

START_TEST(test_invalid)
{
	for (int i = 0; i < COUNT(feeds); i++)
		check_invalid(&invalid[_i], feeds[i]);
}
END_TEST

/* The same however it is cut: every pair of pieces. */
START_TEST(test_two_pieces)
{
	const struct valid *row = &valid[_i];
	struct http_parser parser;
	struct http_request req;

	for (size_t cut = 0; cut < row->in.len; cut++) {
		char *buf = copy(row->in.p, row->in.len);

		http_parser_init(&parser, &small);
		http_parse(&parser, buf, cut, &req);
		ck_assert(
		    http_parse(&parser, buf, row->in.len, &req) == HTTP_DONE);
		check_request(&req, row->out);
		free(buf);
	}
}
END_TEST

static void
check_header_count(size_t n, enum http_result expected)
{
	struct http_parser parser;
	struct http_request req;
	struct buf in;

	buf_init(&in, 65536);
	buf_append_string(&in, "GET / HTTP/1.0\r\n");
	for (size_t i = 0; i < n; i++)
		buf_append_string(&in, "A: b\r\n");
	buf_append_string(&in, "\r\n");
	ck_assert(!in.failed);
	http_parser_init(&parser, &huge);
	ck_assert(http_parse(&parser, in.p, in.len, &req) == expected);
	if (expected == HTTP_DONE)
		ck_assert_uint_eq(req.n_headers, n);
	else
		ck_assert_int_eq(parser.status, 431);
	buf_free(&in);
}

START_TEST(test_header_count)
{
	check_header_count(HTTP_HEADERS_MAX, HTTP_DONE);
	check_header_count(HTTP_HEADERS_MAX + 1, HTTP_BAD);
}
END_TEST

#if SIZE_MAX > UINT32_MAX
#define HUGE_CHUNK "ffffffffffffffff"
#else
#define HUGE_CHUNK "ffffffff"
#endif

/* Lengths near the end of the address space are waited for, no more. */
START_TEST(test_huge_lengths)
{
	static const struct slice heads[] = {
	    SLICE_INIT(POST "Content-Length: 18446744073709551615\r\n\r\nx"),
	    SLICE_INIT(CHUNKS HUGE_CHUNK "\r\nx"),
	};
	struct run run;

	for (int i = 0; i < COUNT(feeds); i++) {
		feeds[i](&run, &huge, heads[_i]);
		ck_assert(run.result == HTTP_MORE);
		ck_assert(run.parser.head_done && run.req.has_body);
		ck_assert_uint_eq(run.req.body.len, 0);
		end(&run);
	}
}
END_TEST

START_TEST(test_find_header)
{
	static const struct http_request req = {
	    .n_headers = 3,
	    .headers = {{SLICE_INIT("Accept"), SLICE_INIT("1")},
		{SLICE_INIT("X-Key"), SLICE_INIT("2")},
		{SLICE_INIT("x-key"), SLICE_INIT("3")}},
	};

	ck_assert_ptr_eq(http_request_header(&req, "accept"), &req.headers[0]);
	ck_assert_ptr_eq(http_request_header(&req, "X-KEY"), &req.headers[1]);
	ck_assert_ptr_null(http_request_header(&req, "X-Ke"));
	ck_assert_ptr_null(http_request_header(&req, "X-Keys"));
}
END_TEST

START_TEST(test_whom_it_is_from)
{
	static const char named[] =
	    "GET http://u:80/a HTTP/1.1\r\nhost: h\r\ncontent-type: t\r\n"
	    "X: y\r\norigin: o\r\nsec-fetch-site:\r\n\r\n";
	static const char nameless[] = "GET /a HTTP/1.0\r\n\r\n";
	struct http_parser parser;
	struct http_request req;
	char bytes[256];

	memcpy(bytes, named, sizeof(named));
	http_parser_init(&parser, &huge);
	ck_assert_int_eq(
	    http_parse(&parser, bytes, sizeof(named) - 1, &req), HTTP_DONE);
	ck_assert(slice_eq(req.host, SLICE_LITERAL("u:80")));
	ck_assert(slice_eq(req.content_type, SLICE_LITERAL("t")));
	ck_assert(slice_eq(req.origin, SLICE_LITERAL("o")));
	ck_assert(req.fetch_site.p != NULL && req.fetch_site.len == 0);
	memcpy(bytes, nameless, sizeof(nameless));
	http_parser_init(&parser, &huge);
	ck_assert_int_eq(
	    http_parse(&parser, bytes, sizeof(nameless) - 1, &req), HTTP_DONE);
	ck_assert_ptr_null(req.host.p);
	ck_assert_ptr_null(req.content_type.p);
	ck_assert_ptr_null(req.origin.p);
	ck_assert_ptr_null(req.fetch_site.p);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("http_parser");
	TCase *tc = tcase_create("http_parser");

	tcase_add_loop_test(tc, test_valid, 0, COUNT(valid));
	tcase_add_loop_test(tc, test_invalid, 0, COUNT(invalid));
	tcase_add_loop_test(tc, test_two_pieces, 0, COUNT(valid));
	tcase_add_test(tc, test_header_count);
	tcase_add_loop_test(tc, test_huge_lengths, 0, 2);
	tcase_add_test(tc, test_find_header);
	tcase_add_test(tc, test_whom_it_is_from);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
