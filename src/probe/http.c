// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "kern/map.h"
#include "probe/probe.h"

KERN_IMAGE_DECLARE(http);

/* A request that has not ended for so long is taken for one that never will. */
#define AGE_OUT_NS (3600 * NSEC_PER_SEC)

/* A goroutine that has not served for so long is let go of. */
#define IDLE_NS (60 * NSEC_PER_SEC)

static const char *const request_attrs[] = { "http.request.method", "http.response.status_code",
					     "url.scheme", NULL };

static const struct metric metrics[] = {
	{ "http.server.request.duration", "s", METRIC_HISTOGRAM,
	  "Duration of HTTP server requests, from the call of the handler to its end.",
	  request_attrs },
	{},
};

static const char *const methods[SN_HTTP_METHOD_MAX] = {
	[SN_HTTP_OTHER] = "_OTHER", [SN_HTTP_CONNECT] = "CONNECT", [SN_HTTP_DELETE] = "DELETE",
	[SN_HTTP_GET] = "GET",	    [SN_HTTP_HEAD] = "HEAD",	   [SN_HTTP_OPTIONS] = "OPTIONS",
	[SN_HTTP_PATCH] = "PATCH",  [SN_HTTP_POST] = "POST",	   [SN_HTTP_PUT] = "PUT",
	[SN_HTTP_TRACE] = "TRACE",
};

/*
 * The end before the start: what is in progress while the two are attached then ends without a
 * start, which is counted, and leaves nothing behind.
 */
static const struct plan_want_site sites[] = {
	{ "net/http.(*response).finishRequest", "sn_http_end", 19, 26, SN_HTTP_SITE_END },
	{ "net/http.(*response).finishRequest", "sn_http_end_127", 27, UINT16_MAX,
	  SN_HTTP_SITE_END_127 },
	{ "net/http.serverHandler.ServeHTTP", "sn_http_start", 19, UINT16_MAX, SN_HTTP_SITE_START },
	{},
};

static const struct plan_want want = {
	.probe = "http",
	.mark = "net/http.serverHandler.ServeHTTP",
	.sites = sites,
	.combined = "sn_http",
	.min_minor = 19,
};

static const struct sn_http_key overflow_key;

static uint32_t key_tgid(const void *key)
{
	return ((const struct sn_http_key *)key)->tgid;
}

static uint64_t add(struct registry *r, struct probe_entry *en, const void *before, const void *now)
{
	const struct sn_http_key *key = en->key;
	uint8_t method = key->method < SN_HTTP_METHOD_MAX ? key->method : SN_HTTP_OTHER;
	struct attr attrs[] = {
		ATTR_STR("http.request.method", methods[method]),
		ATTR_NUM("http.response.status_code", key->status),
		ATTR_STR("url.scheme", key->scheme == SN_HTTP_TLS ? "https" : "http"),
	};
	size_t n = ARRAY_SIZE(attrs);

	if (!en->series[0]) {
		if (en->overflow) {
			attrs[0] = ATTR_STR("otel.metric.overflow", "true");
			n = 1;
		}
		en->series[0] = registry_series(r, &metrics[0], en->service, attrs, n);
	}
	return series_add_hist(en->series[0], before, now);
}

struct sweep {
	const struct probe_env *env;
	uint64_t now_ns, n, unfinished;
	int fd;
	struct sn_http_start_key old[512]; /* as many as one sweep takes */
};

/*
 * A request begins on an idle goroutine while its entry is being removed: its end then finds no start,
 * and is counted as such. It takes a connection that was silent for a minute to the microsecond.
 */
static int look_at_start(const void *key, const void *value, void *arg)
{
	const struct sn_http_start_key *k = key;
	const struct sn_http_start *start = value;
	struct sweep *s = arg;
	uint64_t limit = start->began ? AGE_OUT_NS : IDLE_NS;

	if (s->now_ns < start->used + limit && !processes_ended(s->env->processes, k->tgid))
		return 0;
	s->unfinished += start->began != 0;
	s->old[s->n++] = *k;
	return s->n == ARRAY_SIZE(s->old);
}

static uint64_t sweep(struct kern_object *o, const struct probe_env *env, uint64_t now_ns)
{
	struct sweep s = { .env = env,
			   .now_ns = now_ns,
			   .fd = kern_object_map(o, "sn_http_starts") };

	kern_map_walk(s.fd, sizeof(struct sn_http_start_key), sizeof(struct sn_http_start),
		      look_at_start, &s, NULL);
	for (uint64_t i = 0; i < s.n; i++)
		kern_map_delete(s.fd, &s.old[i]);
	return s.unfinished;
}

const struct probe probe_http = {
	.name = "http",
	.summary = "requests served by Go programs with net/http (HTTP/1, TLS or not)",
	.metrics = metrics,
	.image = KERN_IMAGE(http),
	.want = &want,
	.tables = { {
		.map = "sn_http_series",
		.key_size = sizeof(struct sn_http_key),
		.value_size = sizeof(struct sn_hist),
		.overflow_keys = &overflow_key,
		.n_overflow_keys = 1,
		.tgid = key_tgid,
		.add = add,
	} },
	.sweep = sweep,
};
