/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_each.h"

#include <stdio.h>

#include "ctl/ctl_http.h"

int
ctl_each_ask(const struct ctl *ctl, const struct ctl_each *each,
    const char *what, const char *id, struct buf *answer)
{
	struct buf url;
	int status =
	    ctl_http_url(ctl, &url, each->path, each->app, id, each->tail);

	if (status == CTL_OK)
		status = ctl_http_ask_about(
		    ctl, what, each->method, url.p, each->body, answer);
	else
		buf_init(answer, 0);
	buf_free(&url);
	return status;
}

static int
show(const struct ctl *ctl, struct buf *answer, bool first)
{
	if (!first && ctl_http_is_table(ctl))
		(void)putchar('\n');
	return ctl_http_show(ctl, answer);
}

int
ctl_each(const struct ctl *ctl, const struct ctl_each *each, char **ids, int n)
{
	bool answered = true, first = true;
	int status = CTL_OK;

	for (int i = 0; i < n && answered; i++) {
		struct buf answer;
		int code = ctl_each_ask(
		    ctl, each, n > 1 ? ids[i] : NULL, ids[i], &answer);

		if (code == CTL_OK) {
			code = (each->show == NULL ? show : each->show)(
			    ctl, &answer, first);
			first = false;
		}
		if (code != CTL_OK)
			status = code;
		answered = !answer.failed;
		buf_free(&answer);
	}
	return status;
}
