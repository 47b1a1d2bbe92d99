/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/strbuf.h"
#include "model/compare.h"
#include "model/mesh.h"
#include "model/proxy.h"

/*
 * What `sonde compare` prints for people. Pure: comparisons in, text out, at most 100 columns but for
 * long names. Without memory @out is failed.
 */
struct compare_style {
	bool color, utf8;
};

/* Two documents: @p are their series. Counters that are 0 in both are left out. */
void compare_reports_text(const struct compared *a, const struct compared *b, const struct pairs *p,
			  const struct compare_style *style, struct strbuf *out);

/* The proxies of one, those with doubts as one line each; with @only, that one alone, in full. */
void compare_proxies_text(const struct compared *a, const struct proxies *p,
			  const struct proxy *only, const struct compare_style *style,
			  struct strbuf *out);

/* One beside a mesh; @source says in half a sentence where the mesh's figures come from. */
void compare_mesh_text(const struct compared *a, const char *source, const struct mesh *m,
		       const struct mesh_rows *rows, const struct compare_style *style,
		       struct strbuf *out);
