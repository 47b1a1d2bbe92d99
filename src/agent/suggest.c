// SPDX-License-Identifier: Apache-2.0
#include "agent/suggest.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define WORD_MAX 48

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* '-' and '_' are one letter here: flags and keys differ in nothing else. */
static bool same(char a, char b)
{
	return a == b || ((a == '-' || a == '_') && (b == '-' || b == '_'));
}

/* Optimal string alignment distance; words above WORD_MAX are far from everything. */
static size_t word_distance(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *row = rows[2], *swap;
	size_t na = strlen(a), nb = strlen(b);

	if (na > WORD_MAX || nb > WORD_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= nb; j++)
		last[j] = j;
	memset(rows[0], 0, sizeof(rows[0]));
	for (size_t i = 1; i <= na; i++) {
		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			row[j] = min3(last[j] + 1, row[j - 1] + 1,
				      last[j - 1] + !same(a[i - 1], b[j - 1]));
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
				row[j] = min3(row[j], before[j - 2] + 1, row[j]);
		}
		swap = before;
		before = last;
		last = row;
		row = swap;
	}
	return last[nb];
}

void suggest_offer(struct suggest *s, const char *candidate)
{
	const char *dot = strrchr(candidate, '.');
	size_t limit = (strlen(s->word) + 2) / 3, distance = word_distance(s->word, candidate);

	if (dot) {
		size_t tail = word_distance(s->word, dot + 1);

		distance = tail < distance ? tail : distance;
	}
	if (distance > limit || (s->best && distance >= s->distance))
		return;
	s->best = candidate;
	s->distance = distance;
}
