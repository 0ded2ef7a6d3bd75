/* SPDX-License-Identifier: ISC */
#include "config/config.h"

/* What one read may bring beyond the request that is being read. */
enum { READ_AHEAD_BYTES = 64 * 1024 };

int64_t
config_request_bytes(const struct config_service *service)
{
	/* Headers count twice: chunk lines and trailers are bounded alike. */
	return service->max_request_line_bytes + 2 * service->max_header_bytes +
	       service->max_body_bytes + READ_AHEAD_BYTES;
}
