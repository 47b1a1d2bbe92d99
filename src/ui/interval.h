/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/snapshot.h"

/*
 * What happened between two snapshots. Series are cumulative; these take the differences. Without
 * an earlier snapshot, or for a series that started anew, the interval is the time since the
 * start.
 */

/* Its length in seconds; 0 if the two are of the same moment. */
double interval_seconds(const struct snapshot *now, const struct snapshot *before);

/*
 * The series of @before (NULL: no such metric yet) that is @s earlier, or NULL. Search for the
 * series of one metric in their order, with one *@cursor that starts at 0: that makes all of them
 * cost O(n).
 */
const struct snap_series *interval_match(const struct snap_metric *before,
					 const struct snap_series *s, size_t *cursor);

/* What a counter or a histogram gained from @before (or NULL) to @now. */
uint64_t interval_counter(const struct snap_series *now, const struct snap_series *before);

/* Minimum and maximum are those of the buckets that gained, narrowed by the cumulative ones. */
void interval_hist(const struct snap_series *now, const struct snap_series *before,
		   struct hist *ret);
