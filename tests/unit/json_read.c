// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "export/json_read.h"
#include "tests/unit/fixture.h"

/* 2026-11-21T12:34:56.789Z */
#define WALL_NS 1795264496789000000ULL

static const struct snap_series *find(const struct snapshot *s, const char *metric,
				      const char *service)
{
	const struct snap_metric *m = snapshot_find(s, metric);

	assert_non_null(m);
	for (size_t i = 0; i < m->n_series; i++)
		if (!strcmp(m->series[i].service, service))
			return &m->series[i];
	fail_msg("no series of %s", service);
	return NULL;
}

static int encode(const struct snapshot *s, struct strbuf *out)
{
	return json_encode(&(struct report){ .snapshot = s,
					     .duration_ns = s->time_ns - s->start_ns,
					     .wall_ns = WALL_NS },
			   out);
}

static void what_was_written_is_read(void **state)
{
	cleanup(registry_freep) struct registry *r = fixture_registry();
	cleanup(snapshot_freep) struct snapshot *s = fixture_snapshot(r);
	cleanup(document_freep) struct document *d = NULL;
	cleanup(strbuf_done) struct strbuf report = {}, again = {};
	const struct snap_series *was, *is;
	struct err e = {};

	(void)state;
	assert_int_equal(encode(s, &report), 0);
	assert_int_equal(document_read(report.data, report.len, &d, &e), 0);
	assert_string_equal(d->version, SONDE_VERSION);
	assert_int_equal(d->wall_ns, WALL_NS);
	assert_int_equal(d->snapshot.time_ns, 3600 * NSEC_PER_SEC);
	assert_int_equal(d->snapshot.n_metrics, s->n_metrics);
	was = find(s, "test.request.duration", "api");
	is = find(&d->snapshot, "test.request.duration", "api");
	assert_memory_equal(was->hist, is->hist, sizeof(*is->hist));
	assert_int_equal(find(&d->snapshot, "test.requests", "api")->counter, 7);
	assert_true(find(&d->snapshot, "test.level..now", "api")->gauge == -1e300);
	assert_int_equal(hist_count(find(&d->snapshot, "test.request.duration", "idle")->hist), 0);
	assert_true(snap_is_overflow(&snapshot_find(&d->snapshot, "test.requests")->series[0]));
	assert_int_equal(snap_attr(is, "http.response.status_code")->num, -200);
	for (size_t i = 0; i < d->snapshot.n_metrics; i++) {
		const struct snap_metric *m = &d->snapshot.metrics[i];

		for (size_t k = 1; k < m->n_series; k++)
			assert_true(snap_order(&m->series[k - 1], &m->series[k]) < 0);
	}
}

#define HEAD "{\"sonde\":\"9\",\"time\":\"2026-11-21T12:34:56Z\",\"duration_seconds\":1,"
#define TIME(series)                                                               \
	HEAD "\"metrics\":[{\"name\":\"m\",\"unit\":\"s\",\"kind\":\"counter\",\"" \
	     "series\":[" series "]}]}"
#define ONE(kind, series)                                                           \
	HEAD "\"metrics\":[{\"name\":\"m\",\"unit\":\"x\",\"kind\":\"" kind "\",\"" \
	     "series\":[" series "]}]}"
#define OWN "\"service\":\"s\",\"attributes\":{}"
#define HIST(count, sum, range, buckets)                                          \
	ONE("histogram", "{" OWN ",\"count\":" count ",\"sum_us\":" sum "," range \
			 ",\"buckets\":{" buckets "}}")
#define RANGE	"\"min_us\":1,\"max_us\":2"
#define BUCKETS "\"scale\":3,\"zero_count\":0,\"clamped_count\":0,\"offset\":-160,\"counts\":[1]"

static void what_is_new_is_passed_over(void **state)
{
	static const char text[] = HEAD
		"\"histogram\":{\"a\":[1]},\"timestamp\":1,\"metrics\":[{\"kind\":\"spectrum\","
		"\"what\":1},{\"name\":\"m\",\"unit\":\"By\",\"kind\":\"counter\",\"new\":[],"
		"\"series\":[{" OWN ",\"value\":3,\"exemplar\":{}}]}]}";
	cleanup(document_freep) struct document *d = NULL;
	struct err e = {};

	(void)state;
	assert_int_equal(document_read(text, strlen(text), &d, &e), 0);
	assert_int_equal(d->snapshot.n_metrics, 1);
	assert_int_equal(d->snapshot.metrics[0].series[0].counter, 3);
}

static void order_is_restored(void **state)
{
	static const char text[] =
		ONE("counter", "{\"service\":\"b\",\"attributes\":{},\"value\":1},"
			       "{\"service\":\"a\",\"attributes\":{\"y\":2,\"x\":3},\"value\":2},"
			       "{\"service\":\"a\",\"attributes\":{\"x\":\"t\"},\"value\":3}");
	static const uint64_t want[] = { 3, 2, 1 };
	cleanup(document_freep) struct document *d = NULL;
	const struct snap_series *s;
	struct err e = {};
	size_t first = 9;

	(void)state;
	assert_int_equal(document_read(text, strlen(text), &d, &e), 0);
	s = d->snapshot.metrics[0].series;
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_int_equal(s[i].counter, want[i]);
	assert_string_equal(s[1].attrs[0].key, "x");
	assert_string_equal(s[1].attrs[1].key, "y");
	assert_int_equal(snap_run(&d->snapshot.metrics[0], "a", &first), 2);
	assert_int_equal(first, 0);
	assert_int_equal(snap_run(&d->snapshot.metrics[0], "b", &first), 1);
	assert_int_equal(first, 2);
	assert_int_equal(snap_run(&d->snapshot.metrics[0], "aa", &first), 0);
	assert_int_equal(snap_run(&d->snapshot.metrics[0], "c", &first), 0);
	assert_int_equal(snap_run(NULL, "c", &first), 0);
}

static void counted_time_is_in_nanoseconds(void **state)
{
	static const char text[] = TIME("{" OWN ",\"value\":12345.678901234}");
	cleanup(document_freep) struct document *d = NULL;
	struct err e = {};

	(void)state;
	assert_int_equal(document_read(text, strlen(text), &d, &e), 0);
	assert_int_equal(d->snapshot.metrics[0].metric->kind, METRIC_TIME);
	assert_int_equal(d->snapshot.metrics[0].series[0].counter, 12345678901234);
}

/* A series that says as much as one can of its count, or of its sum. */
#define FULL(service, count, sum)                                                            \
	"{\"service\":\"" service "\",\"attributes\":{},\"count\":" count ",\"sum_us\":" sum \
	",\"max_us\":null,\"buckets\":{\"scale\":3,\"zero_count\":" count                    \
	",\"clamped_count\":0,\"offset\":0,\"counts\":[]}}"
#define MANY(service) FULL(service, "4611686014132420609", "1")
#define LONG(service) FULL(service, "1", "9.2e15")

/* clang-format off */
static const struct { const char *text, *sentence; } hostile[] = {
	{ "", "no JSON" },
	{ "{\"sonde\":", "no JSON" },
	{ "[]", "no document of 'sonde report'" },
	{ "{\"metrics\":[]}", "no document of 'sonde report'" },
	{ "{\"sonde\":\"2\",\"sonde\":\"3\"}", "no JSON" },
	{ "{\"sonde\":\"2\"}", "cannot read (written by 2): 'time' is missing" },
	{ "{\"sonde\":\"2\",\"time\":\"now\"}", "'time' is no time" },
	{ "{\"sonde\":\"2\",\"time\":\"9999-11-21T12:34:56Z\"}", "'time' is no time" },
	{ "{\"sonde\":\"2\",\"time\":\"2026-11-21T12:34:56Z\"}", "'duration_seconds' is" },
	{ "{\"sonde\":\"2\",\"time\":\"2026-11-21T12:34:56Z\",\"duration_seconds\":-1}",
	  "'duration_seconds' is negative" },
	{ HEAD "\"metrics\":{}}", "'metrics' is missing or no list" },
	{ HEAD "\"metrics\":[1]}", "a metric without a kind" },
	{ ONE("counter", "{" OWN ",\"value\":-1}"), "m, series 1: 'value' is negative" },
	{ ONE("counter", "{" OWN ",\"value\":1.5}"), "'value' is missing or no whole" },
	{ ONE("counter", "{" OWN ",\"value\":99999999999999999999}"), "no JSON" },
	{ TIME("{" OWN ",\"value\":-0.5}"), "'value' is negative or beyond" },
	{ TIME("{" OWN ",\"value\":1e12}"), "'value' is negative or beyond" },
	{ TIME("{" OWN ",\"value\":null}"), "'value' is missing or no number" },
	{ ONE("gauge", "{" OWN ",\"value\":NaN}"), "no JSON" },
	{ ONE("gauge", "{" OWN ",\"value\":\"x\"}"), "'value' is missing or no number" },
	{ ONE("counter", "{\"service\":\"s\",\"value\":1}"), "'attributes' is missing" },
	{ ONE("counter", "{\"service\":\"s\",\"attributes\":{\"a\":null},\"value\":1}"),
	  "attribute 'a' is no text" },
	{ ONE("counter", "{" OWN ",\"value\":1},{" OWN ",\"value\":2}"), "'s' twice" },
	{ ONE("histogram", "{" OWN ",\"count\":1}"), "buckets are missing" },
	{ HIST("1", "1", RANGE, "\"scale\":5"), "not of scale 3" },
	{ HIST("2", "1", RANGE, BUCKETS), "'count' is 2, but its buckets hold 1" },
	{ HIST("-1", "1", RANGE, BUCKETS), "'count' is negative" },
	{ HIST("1", "-1", RANGE, BUCKETS), "'sum_us' is negative" },
	{ HIST("1", "1e300", RANGE, BUCKETS), "'sum_us' is negative or beyond" },
	{ HIST("1", "1", "\"min_us\":3,\"max_us\":2", BUCKETS), "minimum is above" },
	{ HIST("1", "1", "\"min_us\":null,\"max_us\":2", BUCKETS), "'min_us' is missing" },
	{ HIST("1", "1", RANGE, "\"scale\":3,\"zero_count\":0,\"clamped_count\":9,"
	  "\"offset\":-160,\"counts\":[1]"), "'clamped_count' is more" },
	{ HIST("1", "1", RANGE, "\"scale\":3,\"zero_count\":0,\"clamped_count\":0,"
	  "\"offset\":-161,\"counts\":[1]"), "beyond the range" },
	{ HIST("1", "1", RANGE, "\"scale\":3,\"zero_count\":0,\"clamped_count\":0,"
	  "\"offset\":9223372036854775807,\"counts\":[1]"), "beyond the range" },
	{ HIST("1", "1", RANGE, "\"scale\":3,\"zero_count\":0,\"clamped_count\":0,"
	  "\"offset\":-9223372036854775808,\"counts\":[1]"), "beyond the range" },
	{ HIST("1", "1", RANGE, "\"scale\":3,\"zero_count\":0,\"clamped_count\":0,"
	  "\"offset\":63,\"counts\":[1,0]"), "beyond the range" },
	{ HIST("1", "1", RANGE, "\"scale\":3,\"zero_count\":9223372036854775807,"
	  "\"clamped_count\":0,\"offset\":-160,\"counts\":[9223372036854775807]"),
	  "more values than can be counted" },
	{ ONE("histogram", MANY("a") "," MANY("b") "," MANY("c")),
	  "metric m holds more values than can be added up" },
	{ ONE("histogram", LONG("a") "," LONG("b") "," LONG("c")),
	  "metric m holds more time than can be added up" },
};
/* clang-format on */

/* What two series hold can still be added up. */
static void extremes_are_read(void **state)
{
	static const char *const texts[] = {
		ONE("histogram", MANY("a") "," MANY("b")),
		ONE("histogram", LONG("a") "," LONG("b")),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		cleanup(document_freep) struct document *d = NULL;
		const struct snap_series *s;
		struct err e = {};
		struct hist h = {};

		assert_int_equal(document_read(texts[i], strlen(texts[i]), &d, &e), 0);
		s = d->snapshot.metrics[0].series;
		hist_merge(&h, s[0].hist);
		hist_merge(&h, s[1].hist);
		assert_true(h.sum_ns > s[0].hist->sum_ns);
		assert_true(hist_count(&h) > hist_count(s[0].hist));
	}
}

static void hostile_documents_get_a_sentence(void **state)
{
	struct document *d = NULL;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		e.msg[0] = '\0';
		assert_int_equal(document_read(hostile[i].text, strlen(hostile[i].text), &d, &e),
				 -EINVAL);
		if (!strstr(e.msg, hostile[i].sentence))
			fail_msg("not '%s' but '%s'", hostile[i].sentence, e.msg);
	}
}

static void sizes_are_bounded(void **state)
{
	size_t len = (64 << 20) + 1;
	cleanup(cleanup_free) char *large = malloc(len);
	struct document *d = NULL;
	struct err e = {};

	(void)state;
	assert_non_null(large);
	memset(large, ' ', len);
	assert_int_equal(document_read(large, len, &d, &e), -EFBIG);
	assert_non_null(strstr(e.msg, "more than 64 MB"));
	memset(large, '[', len);
	assert_int_equal(document_read(large, len - 1, &d, &e), -EFBIG);
	assert_non_null(strstr(e.msg, "more than 4 million values"));
	memset(large, '[', 1 << 20);
	assert_int_equal(document_read(large, 1 << 20, &d, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read),
		cmocka_unit_test(what_is_new_is_passed_over),
		cmocka_unit_test(order_is_restored),
		cmocka_unit_test(counted_time_is_in_nanoseconds),
		cmocka_unit_test(extremes_are_read),
		cmocka_unit_test(hostile_documents_get_a_sentence),
		cmocka_unit_test(sizes_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
