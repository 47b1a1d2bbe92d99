// SPDX-License-Identifier: Apache-2.0
#include "kern/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/cleanup.h"

/* Large enough that the fullest bucket of a hash of a few thousand entries fits. */
#define BATCH 128

int kern_map_get(int fd, const void *key, void *value)
{
	return bpf_map_lookup_elem(fd, key, value);
}

int kern_map_put(int fd, const void *key, const void *value)
{
	return bpf_map_update_elem(fd, key, value, BPF_ANY);
}

int kern_map_delete(int fd, const void *key)
{
	return bpf_map_delete_elem(fd, key);
}

int kern_map_take(int fd, const void *key, void *value)
{
	return bpf_map_lookup_and_delete_elem(fd, key, value);
}

int kern_map_walk(int fd, size_t key_size, size_t value_size,
		  int (*each)(const void *key, const void *value, void *arg), void *arg,
		  struct err *e)
{
	cleanup(cleanup_free) char *keys = malloc(BATCH * key_size);
	cleanup(cleanup_free) char *values = malloc(BATCH * value_size);
	uint32_t in, out, n;
	bool first = true;
	int r, walked;

	if (!keys || !values)
		return err_set(e, -ENOMEM, "out of memory");
	do {
		n = BATCH;
		r = bpf_map_lookup_batch(fd, first ? NULL : &in, &out, keys, values, &n, NULL);
		if (r < 0 && r != -ENOENT)
			return err_set(e, r, "cannot read a BPF map: %s", strerror(-r));
		for (uint32_t i = 0; i < n; i++) {
			walked = each(keys + i * key_size, values + i * value_size, arg);
			if (walked)
				return walked;
		}
		in = out;
		first = false;
	} while (!r);
	return 0;
}

static int sum_stat(int fd, uint32_t stat, uint64_t *per_cpu, int n_cpus, uint64_t *total)
{
	int r = bpf_map_lookup_elem(fd, &stat, per_cpu);

	if (r < 0)
		return r;
	*total = 0;
	for (int cpu = 0; cpu < n_cpus; cpu++)
		*total += per_cpu[cpu];
	return 0;
}

static int read_stats(int fd, uint32_t first, uint32_t end, uint64_t *totals)
{
	int n_cpus = libbpf_num_possible_cpus(), r = 0;
	cleanup(cleanup_free) uint64_t *per_cpu = NULL;

	if (n_cpus < 0)
		return n_cpus;
	per_cpu = calloc((size_t)n_cpus, sizeof(*per_cpu));
	if (!per_cpu)
		return -ENOMEM;
	for (uint32_t stat = first; !r && stat < end; stat++)
		r = sum_stat(fd, stat, per_cpu, n_cpus, &totals[stat - first]);
	return r;
}

int kern_stat_read(int fd, enum sn_stat stat, uint64_t *total)
{
	return read_stats(fd, stat, stat + 1, total);
}

int kern_stats_read(int fd, uint64_t totals[SN_STAT_MAX])
{
	return read_stats(fd, 0, SN_STAT_MAX, totals);
}
