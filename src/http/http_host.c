/* SPDX-License-Identifier: ISC */
#include "http/http_host.h"

#include <string.h>

#include "base/ascii.h"
#include "http/http_bytes.h"

/* Where a registered name ends (RFC 3986, 3.2.2); 0 for a bad escape. It may
 * not hold a comma, which would make it look like two. */
static size_t
skip_name(struct slice host)
{
	size_t end = http_bytes_skip(host.p, 0, host.len, IN_HOST);

	for (size_t i = 0; i < end; i++) {
		if (host.p[i] == '%' &&
		    (end - i < 3 || hex_value(host.p[i + 1]) == -1 ||
			hex_value(host.p[i + 2]) == -1))
			return 0;
	}
	return end;
}

bool
http_host_is_valid(struct slice host)
{
	size_t i = 0;

	if (host.len > 0 && host.p[0] == '[') {
		for (i = 1; i < host.len && host.p[i] != ']'; i++) {
			if (hex_value(host.p[i]) == -1 && host.p[i] != ':' &&
			    host.p[i] != '.')
				return false;
		}
		if (i == host.len || i == 1)
			return false;
		i++;
	} else {
		i = skip_name(host);
	}
	if (i == 0)
		return false;
	if (i < host.len && host.p[i] == ':') {
		do
			i++;
		while (i < host.len && is_digit(host.p[i]));
	}
	return i == host.len;
}

size_t
http_origin_len(struct slice target, size_t *host)
{
	static const char *const schemes[] = {"http://", "https://"};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t start = strlen(schemes[i]), end = start;

		if (target.len <= start || !slice_ieq(slice_of(target.p, start),
					       slice_from_string(schemes[i])))
			continue;
		while (end < target.len && target.p[end] != '/' &&
		       target.p[end] != '?')
			end++;
		if (end > start && http_host_is_valid(slice_of(
				       target.p + start, end - start))) {
			*host = start;
			return end;
		}
	}
	return 0;
}

bool
http_host_is_authority(struct slice target)
{
	return http_host_is_valid(target) &&
	       memrchr(target.p, ':', target.len) != NULL &&
	       is_digit(target.p[target.len - 1]);
}
