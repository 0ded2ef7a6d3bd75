/* SPDX-License-Identifier: ISC */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/config_load.h"
#include "target.h"

static void
check_invariants(const struct config *cfg)
{
	const struct retry_policy *retry = &cfg->worker.retry;

	CHECK(cfg->service.port >= 0 && cfg->service.port <= 65535);
	CHECK(cfg->service.max_headers >= 1);
	CHECK(cfg->worker.claim_min >= 1);
	CHECK(cfg->worker.claim_max >= cfg->worker.claim_min);
	CHECK(retry->n_delays >= 1 && retry->n_delays <= RETRY_DELAYS_MAX);
	for (size_t i = 0; i < retry->n_delays; i++)
		CHECK(retry->delay_ms[i] >= 0);
	CHECK(cfg->master.pid_file[0] == '/');
	CHECK(cfg->master.control_socket[0] == '/');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static char path[64];
	const struct config_source source = {
	    .file = path, .state_dir = "/nonexistent", .roles = CONFIG_ALL};
	struct config_errors errors;
	struct config cfg;

	if (fd == -1) {
		fd = memfd_create("yaml_fuzz", MFD_CLOEXEC);
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (fd == -1 || ftruncate(fd, 0) == -1 ||
	    pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	if (config_load(&source, &cfg, &errors) == 0)
		check_invariants(&cfg);
	else
		CHECK(errors.len > 0);
	config_free(&cfg);
	config_errors_free(&errors);
	return 0;
}
