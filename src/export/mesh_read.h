/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "model/mesh.h"

/*
 * What a mesh measured, as Prometheus or one of its proxies tells it: the histogram
 * istio_request_duration_milliseconds. Bytes may have come from anywhere: numbers are checked, and
 * what they take is bounded.
 */
#define MESH_METRIC "istio_request_duration_milliseconds"

/* All of it that Prometheus has, as a query. */
#define MESH_QUERY "{__name__=~\"" MESH_METRIC "_(bucket|sum|count)\"}"

/* One label of a sample; both borrowed. */
struct mesh_label {
	const char *name, *value;
};

/* Samples as they were read, in no order. Opaque; zero-initialise, mesh_samples_done() frees. */
struct mesh_sample;
struct mesh_samples {
	struct mesh_sample *sample;
	size_t n, size;
};

void mesh_samples_done(struct mesh_samples *s);

/*
 * Adds the samples of that histogram that are in @data: the answer of Prometheus's /api/v1/query (a
 * vector), or the text that a proxy exposes. -EINVAL and -EFBIG with a sentence that follows the name
 * of the source; -ENOMEM. None at all is no error.
 */
int mesh_samples_read(const char *data, size_t len, struct mesh_samples *s, struct err *e);

/* The same of each form. */
int mesh_json_read(const char *data, size_t len, struct mesh_samples *s, struct err *e);
int mesh_text_read(const char *data, size_t len, struct mesh_samples *s, struct err *e);

/*
 * Adds one sample: @name is that of its metric, and passed over if it is another's. @labels are put
 * in order. @value is what stands there as a number.
 */
int mesh_sample_add(struct mesh_samples *s, const char *name, struct mesh_label *labels,
		    size_t n_labels, const char *value, struct err *e);

/*
 * The histograms of @now, or what they gained since @before (which may be NULL), added up for each
 * reporter and destination. Sorts both. The caller frees. -ENOENT when there is none; -EINVAL with a
 * sentence when they are no histograms; -ENOMEM.
 */
int mesh_make(struct mesh_samples *now, struct mesh_samples *before, struct mesh **ret,
	      struct err *e);
void mesh_free(struct mesh *m);

DEFINE_CLEANUP(struct mesh, mesh_free)
