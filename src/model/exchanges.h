/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/snapshot.h"

/*
 * All TCP exchanges of a snapshot, whatever service and peer: the histograms of their series added up,
 * so that counts, sums and buckets are exact and agree with the series.
 */
struct exchanges {
	struct hist client; /* time to first byte */
	struct hist server; /* residence */
	struct hist all;    /* of both */
};

/* Adds the histograms of all series of @metric, if there is such a one, to *@into. */
void exchanges_add(const struct snapshot *s, const char *metric, struct hist *into);

void exchanges_of(const struct snapshot *s, struct exchanges *ret);
