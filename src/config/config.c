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

struct store_params
config_store_params(const struct config *cfg)
{
	const struct config_datastore *datastore = &cfg->datastore;

	return (struct store_params){
	    .url = datastore->url,
	    .state_dir = cfg->master.state_dir,
	    .password = datastore->password,
	    .tls = datastore->tls,
	    .tls_ca_file = datastore->tls_ca_file,
	    .tls_certificate = datastore->tls_certificate,
	    .tls_key = datastore->tls_key,
	    .connect_timeout_ms = datastore->connect_timeout_ms,
	    .return_after_ms = datastore->return_after_ms,
	    .timeout_ms = datastore->timeout_ms,
	    .max_event_bytes = (size_t)cfg->service.max_body_bytes,
	    .min_free_bytes = datastore->min_free_bytes,
	};
}
