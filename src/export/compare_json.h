/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/strbuf.h"
#include "model/compare.h"
#include "model/mesh.h"
#include "model/proxy.h"

/*
 * What `sonde compare --json` prints: one document each, whose keys docs/compare.md explains.
 * Durations are in microseconds; what is not known is null. -ENOMEM.
 */
int compare_reports_json(const struct compared *a, const struct compared *b, const struct pairs *p,
			 struct strbuf *out);

/* With @only, that proxy alone, doubts or not. */
int compare_proxies_json(const struct compared *a, const struct proxies *p,
			 const struct proxy *only, struct strbuf *out);
int compare_mesh_json(const struct compared *a, const char *source, const struct mesh *m,
		      const struct mesh_rows *rows, struct strbuf *out);
