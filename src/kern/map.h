/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "abi/abi.h"
#include "base/err.h"

/* Access to maps by file descriptor. All return 0 or a negative errno. */
int kern_map_get(int fd, const void *key, void *value);
int kern_map_put(int fd, const void *key, const void *value);
int kern_map_delete(int fd, const void *key);

/* Takes an entry out of a hash map and gives its last value; -EINVAL where the kernel cannot (5.14). */
int kern_map_take(int fd, const void *key, void *value);

/*
 * Calls @each for every entry of a hash map, read in batches. Entries that are inserted or deleted
 * meanwhile may be missed or not; none is handed out twice unless the map is resized, which BPF maps
 * are not. A non-zero result of @each ends the walk and is returned.
 */
int kern_map_walk(int fd, size_t key_size, size_t value_size,
		  int (*each)(const void *key, const void *value, void *arg), void *arg,
		  struct err *e);

/* Sums the per-CPU counters of a "sn_stats" map: one of them, or all. */
int kern_stat_read(int fd, enum sn_stat stat, uint64_t *total);
int kern_stats_read(int fd, uint64_t totals[SN_STAT_MAX]);
