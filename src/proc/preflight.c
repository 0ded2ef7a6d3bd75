/* SPDX-License-Identifier: ISC */
#include "proc/preflight.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"

static int
check_store(const struct child *child, struct err *weakness, struct err *err)
{
	struct store_params params;
	struct store *store;
	struct err reason;
	int status = 0;

	child_store_params(child, &params);
	if (store_open(&params, &store, err) == -1)
		return -1;
	if (store_check(store, child->cfg->service.create_tables, &reason) !=
	    STORE_OK)
		status =
		    err_set(err, "%s: %s", store_target(store), reason.text);
	else if (store_weakness(store) != NULL) {
		(void)err_set(weakness, "%s", store_weakness(store));
		log_warnx("datastore: %s", weakness->text);
	}
	store_close(&store);
	return status;
}

int
preflight_main(struct child *child)
{
	struct err weakness = {0}, err;
	char byte;

	if (child_isolate(child, &err) == -1) {
		child_failed(child, err.text);
		return EXIT_CHILD_FAILED;
	}
	/* Cannot fail: the signal is valid. A change of the user clears it. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The master may have died before the line above. */
	if (read(child->life_fd, &byte, 1) == 0)
		return EXIT_CHILD_FAILED;
	if (check_store(child, &weakness, &err) == -1) {
		child_failed(child, err.text);
		return EXIT_CHILD_FAILED;
	}
	child_passed(child, weakness.text);
	return EXIT_CHILD_OK;
}
