/* SPDX-License-Identifier: ISC */
#include "store/found.h"

#include "store/record.h"

enum store_status
found_read(struct sql *sql, struct found *found, struct err *err)
{
	int64_t row_status;
	bool has_code, has_error;

	found->row_id = sql_read_i64(sql);
	row_status = sql_read_i64(sql);
	has_code = sql_read_i64(sql) != 0;
	has_error = sql_read_i64(sql) != 0;
	found->expiry_ms = sql_read_i64(sql);
	found->key = sql_read_bytes(sql);
	found->fingerprint = sql_read_bytes(sql);
	found->status = (enum row_status)row_status;
	found->state = store_row_state(found->status, has_code, has_error);
	if (store_check_number("expiry_ms", found->expiry_ms, STORE_TIME_MAX_MS,
		err) != STORE_OK)
		return STORE_BROKEN;
	return store_check_number("status", row_status, ROW_FAILED, err);
}
