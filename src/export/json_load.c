// SPDX-License-Identifier: Apache-2.0
#include "export/json_load.h"

#include <errno.h>

/* Each value but the first stands behind one of these; in texts they count too, which is harmless. */
static size_t at_most_values(const char *data, size_t len)
{
	size_t n = 1;

	for (size_t i = 0; i < len; i++)
		n += data[i] == ',' || data[i] == '[' || data[i] == '{';
	return n;
}

int json_load_bounded(const char *data, size_t len, json_t **ret, struct err *e)
{
	json_error_t why;
	json_t *root;

	if (len > JSON_LOAD_BYTES)
		return err_set(e, -EFBIG, "more than %d MB of JSON", JSON_LOAD_BYTES >> 20);
	if (at_most_values(data, len) > JSON_LOAD_VALUES)
		return err_set(e, -EFBIG, "more than %d million values", JSON_LOAD_VALUES >> 20);
	root = json_loadb(data, len, JSON_REJECT_DUPLICATES, &why);
	if (!root)
		return err_set(e, -EINVAL, "no JSON (line %d: %s)", why.line, why.text);
	*ret = root;
	return 0;
}
