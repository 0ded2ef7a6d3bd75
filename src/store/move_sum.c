/* SPDX-License-Identifier: ISC */
#include "store/move_sum.h"

#include <stdio.h>
#include <string.h>

int
move_sum_init(struct move_sum *sum)
{
	*sum = (struct move_sum){.ctx = EVP_MD_CTX_new()};
	buf_init(&sum->row, 2 * (size_t)SQL_BYTES_MAX);
	if (sum->ctx == NULL ||
	    EVP_DigestInit_ex(sum->ctx, EVP_sha256(), NULL) != 1) {
		move_sum_fini(sum);
		return -1;
	}
	return 0;
}

void
move_sum_fini(struct move_sum *sum)
{
	EVP_MD_CTX_free(sum->ctx);
	sum->ctx = NULL;
	buf_free(&sum->row);
}

static void
append_number(struct buf *out, uint64_t number)
{
	uint8_t bytes[sizeof(number)];

	for (size_t i = sizeof(bytes); i-- > 0; number >>= 8)
		bytes[i] = (uint8_t)number;
	(void)buf_append(out, bytes, sizeof(bytes));
}

static void
append_row(struct buf *out, const struct move_chunk *chunk, size_t row)
{
	const char *letters = chunk->table->letters;
	size_t n_columns = strlen(letters);

	for (size_t i = 0; i < n_columns; i++) {
		const struct move_cell *cell =
		    &chunk->cells[row * n_columns + i];

		if (letters[i] == 'b') {
			append_number(out, cell->len);
			(void)buf_append_slice(out, move_bytes(chunk, cell));
		} else {
			append_number(out, (uint64_t)cell->number);
		}
	}
}

int
move_sum_add(struct move_sum *sum, const struct move_chunk *chunk)
{
	for (size_t i = 0; i < chunk->n_rows; i++) {
		buf_reset(&sum->row);
		append_row(&sum->row, chunk, i);
		if (sum->row.failed ||
		    EVP_DigestUpdate(sum->ctx, sum->row.p, sum->row.len) != 1)
			return -1;
	}
	sum->n_rows += (int64_t)chunk->n_rows;
	return 0;
}

int
move_sum_end(struct move_sum *sum, char text[MOVE_SUM_TEXT])
{
	uint8_t bytes[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (EVP_DigestFinal_ex(sum->ctx, bytes, &len) != 1 ||
	    2 * (size_t)len + 1 != MOVE_SUM_TEXT)
		return -1;
	for (unsigned i = 0; i < len; i++)
		(void)snprintf(text + 2 * (size_t)i, 3, "%02x", bytes[i]);
	return 0;
}
