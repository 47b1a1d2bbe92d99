// SPDX-License-Identifier: Apache-2.0
#include "empty.h"

#include <errno.h>

KERN_IMAGE_DECLARE(empty);

static const struct kern_hook hooks[EMPTY_HOOKS] = {
	{ "send", KERN_TIER_BTF, "sn_empty_send", "tcp_sendmsg_locked" },
	{ "arrival", KERN_TIER_BTF, "sn_empty_arr", "sk_data_ready" },
	{ "read", KERN_TIER_BTF, "sn_empty_read", "sock_recv_length" },
};

int empty_open(struct empty *m, struct err *e)
{
	static const struct kern_image image = KERN_IMAGE(empty);
	int r;

	*m = (struct empty){};
	r = kern_object_open(&image, &m->object, e);
	if (!r)
		r = kern_object_create(m->object, e);
	if (!r)
		r = kern_hooks_attach(m->object, hooks, EMPTY_HOOKS, KERN_TIER_AUTO, false,
				      m->states, e);
	if (!r)
		return 0;
	empty_close(m);
	return r < 0 ? r : -ENOTSUP;
}

void empty_close(struct empty *m)
{
	kern_hooks_detach(m->states, EMPTY_HOOKS);
	kern_object_close(m->object);
	*m = (struct empty){};
}
