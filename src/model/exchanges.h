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

void exchanges_of(const struct snapshot *s, struct exchanges *ret);
