// SPDX-License-Identifier: Apache-2.0
#include "model/finding.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void done(struct finding *f)
{
	free(f->service);
	free(f->peer);
	free(f->text);
}

int findings_add(struct findings *all, const struct finding *f)
{
	struct finding copy = *f, *list;

	if (all->n == all->room) {
		list = realloc(all->list, (all->room + 16) * sizeof(*list));
		if (!list)
			return -ENOMEM;
		all->list = list;
		all->room += 16;
	}
	copy.service = strdup(f->service);
	copy.peer = strdup(f->peer);
	copy.text = strdup(f->text);
	if (!copy.service || !copy.peer || !copy.text) {
		done(&copy);
		return -ENOMEM;
	}
	all->list[all->n++] = copy;
	return 0;
}

void findings_done(struct findings *all)
{
	for (size_t i = 0; i < all->n; i++)
		done(&all->list[i]);
	free(all->list);
	*all = (struct findings){};
}
