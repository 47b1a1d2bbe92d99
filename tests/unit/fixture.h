/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A registry with a bit of everything, hostile strings included, and the comparison with files in
 * tests/golden. UPDATE_GOLDEN=1 writes those files instead; look at the difference before you
 * commit it. Include after cmocka.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strbuf.h"
#include "export/export.h"
#include "model/registry.h"

DEFINE_CLEANUP(struct registry, registry_free)
DEFINE_CLEANUP(struct snapshot, snapshot_free)

static const struct metric fixture_metrics[] = {
	{ "test.requests", "{request}", METRIC_COUNTER, "Requests, with a \\ in the text." },
	{ "test.io", "By", METRIC_COUNTER, "Bytes." },
	{ "test.level..now", "1", METRIC_GAUGE, "A level." },
	{ "test.request.duration", "s", METRIC_HISTOGRAM, "Durations." },
	{ "test.nothing", "s", METRIC_HISTOGRAM, "Never seen." },
	{},
};

static inline struct registry *fixture_registry(void)
{
	static const uint64_t durations[] = { 0,	   500,	      954,
					      1000000,	   1000000,   3906250,
					      3906251,	   500000000, 256000000000,
					      300000000000 };
	struct registry *r = registry_new(4);
	const struct attr hostile[] = {
		ATTR_STR("http.route", "/a\"}\nb\\c\xff caf\xc3\xa9"),
		ATTR_NUM("http.response.status_code", -200),
	};
	const struct attr plain = ATTR_STR("http.route", "");
	struct sn_hist none = {}, h = {};
	struct series *s;
	char huge[5000], name[16];

	registry_register(r, fixture_metrics);
	memset(huge, 'x', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	series_add(registry_series(r, &fixture_metrics[0], "api", hostile, 2), 7);
	series_add(registry_series(r, &fixture_metrics[0], "a\"pi\n", &plain, 1), 1ULL << 60);
	for (unsigned i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "worker-%u", i);
		series_add(registry_series(r, &fixture_metrics[0], name, NULL, 0), 10 + i);
	}
	series_add(registry_series(r, &fixture_metrics[1], huge, NULL, 0), 4096);
	series_set(registry_series(r, &fixture_metrics[2], "", NULL, 0), 0.1);
	series_set(registry_series(r, &fixture_metrics[2], "api", NULL, 0), -1e300);
	for (size_t i = 0; i < ARRAY_SIZE(durations); i++) {
		int slot = sn_hist_slot(durations[i]);

		*(slot < 0 ? &h.zero : &h.bucket[slot]) += 1;
		h.clamped += durations[i] > SN_HIST_MAX_NS;
		h.sum_ns += durations[i];
	}
	h.min_inv_ns = ~0ULL;
	h.max_ns = 300000000000;
	s = registry_series(r, &fixture_metrics[3], "api", hostile, 2);
	series_add_hist(s, &none, &h);
	registry_series(r, &fixture_metrics[3], "idle", NULL, 0);
	return r;
}

/* Times are fixed: one hour of measuring, from boot time 5 s on. */
static inline struct snapshot *fixture_snapshot(const struct registry *r)
{
	struct snapshot *s = NULL;

	assert_int_equal(registry_snapshot(r, &s), 0);
	s->start_ns = 5 * NSEC_PER_SEC;
	s->time_ns = 3605 * NSEC_PER_SEC;
	for (size_t i = 0; i < s->n_metrics; i++) {
		for (size_t k = 0; k < s->metrics[i].n_series; k++)
			((struct snap_series *)&s->metrics[i].series[k])->start_ns = s->start_ns;
	}
	return s;
}

static const struct export_env fixture_env = { .service_name = "sonde", .host_name = "robot" };

/* The version of the program is left open in the files. */
static inline void fixture_unversion(struct strbuf *text)
{
	cleanup(strbuf_done) struct strbuf copy = {};
	const char *p = strbuf_str(text), *hit;

	for (; (hit = strstr(p, "\"" SONDE_VERSION "\"")); p = hit + strlen(SONDE_VERSION) + 2) {
		strbuf_add(&copy, p, (size_t)(hit - p));
		strbuf_puts(&copy, "\"@VERSION@\"");
	}
	strbuf_puts(&copy, p);
	strbuf_clear(text);
	strbuf_add(text, strbuf_str(&copy), copy.len);
}

static inline void assert_golden(struct strbuf *text, const char *path)
{
	cleanup(cleanup_free) char *want = calloc(1, 1 << 20);
	FILE *f;

	fixture_unversion(text);
	if (getenv("UPDATE_GOLDEN")) {
		f = fopen(path, "w");
		assert_non_null(f);
		fputs(strbuf_str(text), f);
		fclose(f);
		return;
	}
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(want);
	assert_true(fread(want, 1, (1 << 20) - 1, f) > 0);
	fclose(f);
	assert_string_equal(strbuf_str(text), want);
}
