/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/*
 * "Did you mean ...?": the candidate that is nearest to a mistyped word, counting insertions,
 * deletions, changes and swaps of neighbours, a third of the word at most. A candidate may also be
 * met by its part behind the last dot: "endpoint" is near to "otlp.endpoint". Start with a zeroed
 * struct and its word set, offer candidates, read best (NULL: nothing is near; borrowed).
 */
struct suggest {
	const char *word;
	const char *best;
	size_t distance;
};

void suggest_offer(struct suggest *s, const char *candidate);
