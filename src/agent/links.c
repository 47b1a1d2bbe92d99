// SPDX-License-Identifier: Apache-2.0
#include "agent/links.h"

#include <pthread.h>
#include <stdatomic.h>

#include "kern/object.h"

#define MAX_HELPERS 31
#define STACK_BYTES (64 * 1024)

struct job {
	struct kern_link *const *links;
	size_t n;
	atomic_size_t next;
};

static void *work(void *arg)
{
	struct job *job = arg;

	for (;;) {
		size_t i = atomic_fetch_add(&job->next, 1);

		if (i >= job->n)
			return NULL;
		kern_link_free(job->links[i]);
	}
}

void links_free(struct kern_link *const *links, size_t n)
{
	struct job job = { .links = links, .n = n };
	pthread_t helpers[MAX_HELPERS];
	pthread_attr_t attr;
	size_t n_helpers = 0;

	if (n > 1 && pthread_attr_init(&attr) == 0) {
		pthread_attr_setstacksize(&attr, STACK_BYTES);
		while (n_helpers < MAX_HELPERS && n_helpers + 1 < n &&
		       pthread_create(&helpers[n_helpers], &attr, work, &job) == 0)
			n_helpers++;
		pthread_attr_destroy(&attr);
	}
	/* Also alone, when there can be no other thread. */
	work(&job);
	while (n_helpers)
		pthread_join(helpers[--n_helpers], NULL);
}
