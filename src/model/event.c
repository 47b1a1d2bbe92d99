// SPDX-License-Identifier: Apache-2.0
#include "model/event.h"

#include <string.h>

const struct attr *event_attr(const struct event *ev, const char *key)
{
	for (size_t i = 0; i < ev->n_attrs; i++)
		if (strcmp(ev->attrs[i].key, key) == 0)
			return &ev->attrs[i];
	return NULL;
}
