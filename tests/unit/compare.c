// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>

#include "export/compare_json.h"
#include "export/json_read.h"
#include "export/mesh_read.h"
#include "tests/unit/fixture.h"
#include "ui/compare.h"

#define WALL_NS 1795264496789000000ULL

static const char *const by_port[] = { "network.peer.address", "server.port", NULL };
static const char *const by_stage[] = { "network.peer.address", "server.port", "tcp.stage", NULL };

enum { CLIENT, SERVER, CLIENT_STAGE, SERVER_STAGE, IO, NOW, STATE };

static const struct metric metrics[] = {
	{ "tcp.client.exchange.duration", "s", METRIC_HISTOGRAM, "Asked.", by_port },
	{ "tcp.server.exchange.duration", "s", METRIC_HISTOGRAM, "Answered.", by_port },
	{ "tcp.client.exchange.stage.duration", "s", METRIC_HISTOGRAM, "Waited.", by_stage },
	{ "tcp.server.exchange.stage.duration", "s", METRIC_HISTOGRAM, "Waited.", by_stage },
	{ "tcp.io", "By", METRIC_COUNTER, "Bytes.", by_port },
	{ "test.now", "1", METRIC_GAUGE, "A level." },
	{ "test.time", "s", METRIC_TIME, "Time." },
	{},
};

/* @n durations of @us, one percent each longer than the one before. */
static void add(struct registry *r, int metric, const char *service, const char *peer, int port,
		unsigned n, double us)
{
	const struct attr attrs[] = { ATTR_STR("network.peer.address", peer),
				      ATTR_NUM("server.port", port),
				      ATTR_STR("tcp.stage", "receive_queue") };
	static const struct sn_hist none;
	struct sn_hist h = {};

	for (unsigned i = 0; i < n; i++, us *= 1.01) {
		uint64_t ns = (uint64_t)(us * 1000);
		int slot = sn_hist_slot(ns);

		*(slot < 0 ? &h.zero : &h.bucket[slot]) += 1;
		h.sum_ns += ns;
		if (~ns > h.min_inv_ns)
			h.min_inv_ns = ~ns;
		if (ns > h.max_ns)
			h.max_ns = ns;
	}
	series_add_hist(registry_series(r, &metrics[metric], service, attrs,
					metric >= CLIENT_STAGE ? 3 : 2),
			&none, &h);
}

static void add_bytes(struct registry *r, const char *service, uint64_t bytes)
{
	const struct attr attrs[] = { ATTR_STR("network.peer.address", "::1"),
				      ATTR_NUM("server.port", 80) };

	series_add(registry_series(r, &metrics[IO], service, attrs, 2), bytes);
}

/* Through a document, as the command does it; the registry is gone then. */
static struct document *finish(struct registry *r)
{
	cleanup(snapshot_freep) struct snapshot *s = fixture_snapshot(r);
	cleanup(strbuf_done) struct strbuf text = {};
	struct document *d = NULL;
	struct err e = {};

	s->time_ns = s->start_ns + 10 * NSEC_PER_SEC;
	assert_int_equal(json_encode(&(struct report){ .snapshot = s,
						       .duration_ns = s->time_ns - s->start_ns,
						       .wall_ns = WALL_NS },
				     &text),
			 0);
	assert_int_equal(document_read(text.data, text.len, &d, &e), 0);
	registry_free(r);
	return d;
}

static struct registry *begin(void)
{
	struct registry *r = registry_new(100);

	registry_register(r, metrics);
	return r;
}

static struct document *before(void)
{
	struct registry *r = begin();

	add(r, CLIENT, "shop", "10.0.0.2", 5432, 100, 1000);
	add(r, CLIENT, "shop", "10.0.0.9", 6379, 1, 20);
	add(r, SERVER, "shop", "10.0.0.1", 80, 200, 3000);
	add(r, SERVER, "ev\x1b[31mil\xe2\x80\xae", "10.0.0.1", 81, 2, 5);
	add_bytes(r, "shop", 123456789);
	add_bytes(r, "idle", 0);
	series_set(registry_series(r, &metrics[NOW], "", NULL, 0), 0.5);
	series_add(registry_series(r, &metrics[STATE], "shop", NULL, 0), 1500000000);
	series_add(registry_series(r, &metrics[STATE], "gone", NULL, 0), 2500000);
	return finish(r);
}

static struct document *after(void)
{
	struct registry *r = begin();

	add(r, CLIENT, "shop", "10.0.0.2", 5432, 100, 1030);
	add(r, SERVER, "shop", "10.0.0.1", 80, 150, 3000000);
	add(r, SERVER, "late", "10.0.0.1", 82, 3, 5);
	add_bytes(r, "shop", 23456789);
	series_set(registry_series(r, &metrics[NOW], "", NULL, 0), 0.25);
	series_add(registry_series(r, &metrics[STATE], "shop", NULL, 0), 500000000);
	return finish(r);
}

static struct compared about(const struct document *d, const char *name)
{
	return (struct compared){ name, "@V@", d->time, &d->snapshot };
}

static const struct compare_style plain = {}, rich = { .color = true, .utf8 = true };

static void buckets_bound_what_can_be_told(void **state)
{
	double width = exp2(1. / 8);

	(void)state;
	assert_true(quantiles_alike(1, 1) && quantiles_alike(0, 0));
	assert_true(quantiles_alike(1, width * 0.999) && quantiles_alike(width * 0.999, 1));
	assert_false(quantiles_alike(1, width * 1.001) || quantiles_alike(width * 1.001, 1));
	assert_false(quantiles_alike(NAN, 1) || quantiles_alike(1, NAN) || quantiles_alike(0, 1));
	assert_true(quantiles_alike(0, 0.9e-6) && quantiles_alike(257, 90000));
	assert_true(figures_alike(FIGURE_P50, 1, 1.01));
	assert_false(figures_alike(FIGURE_MEAN, 1, 1.01) || figures_alike(FIGURE_MAX, 1, 1));
	assert_true(isnan(ratio_of(0, 1)) && ratio_of(2, 1) == 0.5);
}

static void reports_are_as_agreed(void **state)
{
	cleanup(document_freep) struct document *da = before(), *db = after();
	struct compared a = about(da, "a.json"), b = about(db, "b\x1b.json");
	cleanup(strbuf_done) struct strbuf text = {}, colored = {}, json = {};
	cleanup(pairs_done) struct pairs p = {};

	(void)state;
	assert_int_equal(pairs_make(a.snapshot, b.snapshot, &p), 0);
	compare_reports_text(&a, &b, &p, &plain, &text);
	assert_golden(&text, "tests/golden/compare_reports.txt");
	compare_reports_text(&a, &b, &p, &rich, &colored);
	assert_golden(&colored, "tests/golden/compare_reports_color.txt");
	assert_int_equal(compare_reports_json(&a, &b, &p, &json), 0);
	assert_golden(&json, "tests/golden/compare_reports.json");
}

/* Their figures are those of the report, computed again from its buckets. */
static void a_report_and_itself_do_not_differ(void **state)
{
	cleanup(document_freep) struct document *d = before();
	struct compared a = about(d, "a.json");
	cleanup(pairs_done) struct pairs p = {};
	cleanup(strbuf_done) struct strbuf json = {};

	(void)state;
	assert_int_equal(pairs_make(a.snapshot, a.snapshot, &p), 0);
	assert_int_equal(p.n, 9);
	for (size_t i = 0; i < p.n; i++)
		assert_ptr_equal(p.pair[i].a, p.pair[i].b);
	assert_int_equal(compare_reports_json(&a, &a, &p, &json), 0);
	assert_null(strstr(strbuf_str(&json), "\"within_one_bucket\": false"));
}

static struct document *with_proxies(void)
{
	struct registry *r = begin();

	add(r, SERVER, "gateway", "10.0.0.1", 80, 60, 2000);
	add(r, SERVER, "gateway", "10.0.0.3", 80, 40, 2000);
	add(r, CLIENT, "gateway", "10.0.0.7", 8080, 100, 1500);
	add(r, SERVER_STAGE, "gateway", "10.0.0.1", 80, 100, 30);
	add(r, CLIENT_STAGE, "gateway", "10.0.0.7", 8080, 100, 20);
	add(r, SERVER, "app", "10.0.0.1", 80, 100, 2000);
	add(r, CLIENT, "app", "10.0.0.8", 5432, 300, 5);
	add(r, SERVER, "python3", "127.0.0.1", 81, 100, 2000);
	add(r, CLIENT, "python3", "127.0.0.1", 81, 100, 2100);
	add(r, SERVER, "pair", "127.0.0.1", 82, 100, 2000);
	add(r, CLIENT, "pair", "127.0.0.1", 83, 100, 2100);
	add(r, CLIENT, "asker", "127.0.0.1", 83, 100, 2100);
	add(r, SERVER, "answerer", "127.0.0.1", 83, 100, 2100);
	return finish(r);
}

static void proxies_are_told_from_others(void **state)
{
	static const struct {
		const char *service;
		enum proxy_doubt doubt;
	} want[] = { { "app", PROXY_COUNTS },
		     { "gateway", PROXY_SURE },
		     { "pair", PROXY_LONGER },
		     { "python3", PROXY_ITSELF } };
	cleanup(document_freep) struct document *d = with_proxies();
	struct compared a = about(d, "a.json");
	cleanup(strbuf_done) struct strbuf text = {}, json = {}, one = {};
	cleanup(proxies_done) struct proxies p = {};

	(void)state;
	assert_int_equal(proxies_find(a.snapshot, &p), 0);
	assert_int_equal(p.n, ARRAY_SIZE(want));
	for (size_t i = 0; i < p.n; i++) {
		assert_string_equal(p.proxy[i].service, want[i].service);
		assert_int_equal(p.proxy[i].doubt, want[i].doubt);
	}
	assert_int_equal(p.proxy[1].in.figures.count, 100);
	assert_true(proxy_overhead(&p.proxy[1], FIGURE_MEAN) > 0);
	compare_proxies_text(&a, &p, NULL, &plain, &text);
	assert_golden(&text, "tests/golden/compare_proxies.txt");
	compare_proxies_text(&a, &p, &p.proxy[0], &plain, &one);
	assert_non_null(strstr(strbuf_str(&one), "100 came in, 300 went out"));
	assert_null(strstr(strbuf_str(&one), "gateway"));
	assert_int_equal(compare_proxies_json(&a, &p, NULL, &json), 0);
	assert_golden(&json, "tests/golden/compare_proxies.json");
}

#define BUCKET(to, le, n) "istio_request_duration_milliseconds_bucket{" to ",le=\"" le "\"} " n "\n"
#define SERIES(to, n1, n5, n10, n, sum)                             \
	BUCKET(to, "1", n1)                                         \
	BUCKET(to, "5", n5)                                         \
	BUCKET(to, "10", n10)                                       \
	BUCKET(to, "+Inf", n)                                       \
	"istio_request_duration_milliseconds_sum{" to "} " sum "\n" \
	"istio_request_duration_milliseconds_count{" to "} " n "\n"
#define TO(who, from)                                                             \
	"reporter=\"" from "\",source_workload=\"browser\",destination_workload=" \
	"\"" who "-v1\",destination_service_name=\"" who "\""

static struct mesh *read_mesh(const char *text)
{
	cleanup(mesh_samples_done) struct mesh_samples s = {};
	struct mesh *m = NULL;
	struct err e = {};

	assert_int_equal(mesh_samples_read(text, strlen(text), &s, &e), 0);
	assert_int_equal(mesh_make(&s, NULL, &m, &e), 0);
	return m;
}

static void a_mesh_is_as_agreed(void **state)
{
	cleanup(mesh_freep) struct mesh *m =
		read_mesh(SERIES(TO("shop", "source"), "0", "60", "190", "200", "1500.5")
				  SERIES(TO("shop", "destination"), "0", "150", "199", "201", "900")
					  SERIES(TO("other", "source"), "1", "1", "1", "1", "0.5"));
	cleanup(document_freep) struct document *d = before();
	cleanup(mesh_rows_done) struct mesh_rows rows = {};
	cleanup(strbuf_done) struct strbuf text = {}, json = {};
	struct compared a = about(d, "a.json");

	(void)state;
	assert_int_equal(mesh_compare(m, a.snapshot, NULL, &rows), 0);
	assert_int_equal(rows.n, 3);
	assert_int_equal(rows.n_compared, 2);
	compare_mesh_text(&a, "mesh.txt", m, &rows, &plain, &text);
	assert_golden(&text, "tests/golden/compare_mesh.txt");
	assert_int_equal(compare_mesh_json(&a, "mesh.txt", m, &rows, &json), 0);
	assert_golden(&json, "tests/golden/compare_mesh.json");
}

/* Labels of a text and names of files are any bytes; JSON is not. */
static void names_that_are_no_utf8(void **state)
{
	static const char text[] =
		SERIES(TO("shop\xff\xe2\x80", "source"), "0", "1", "1", "1", "1");
	cleanup(document_freep) struct document *d = before();
	cleanup(mesh_rows_done) struct mesh_rows rows = {};
	cleanup(mesh_freep) struct mesh *m = NULL;
	cleanup(strbuf_done) struct strbuf json = {};
	struct compared a = about(d, "\xe9t\xe9.json");
	json_t *root;

	(void)state;
	m = read_mesh(text);
	assert_int_equal(mesh_compare(m, a.snapshot, NULL, &rows), 0);
	assert_int_equal(compare_mesh_json(&a, "mesh\x9b.txt", m, &rows, &json), 0);
	root = json_loads(strbuf_str(&json), 0, NULL);
	assert_non_null(root);
	assert_string_equal(json_string_value(json_object_get(root, "mesh")),
			    "mesh\xef\xbf\xbd.txt");
	assert_string_equal(json_string_value(json_object_get(json_object_get(root, "a"), "file")),
			    "\xef\xbf\xbdt\xef\xbf\xbd.json");
	assert_string_equal(m->figure[0].service_name, "shop\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	json_decref(root);
}

static void a_service_is_beside_its_own_destination(void **state)
{
	cleanup(mesh_freep) struct mesh *two =
		read_mesh(SERIES(TO("a", "source"), "1", "1", "1", "1", "1")
				  SERIES(TO("b", "source"), "2", "2", "2", "2", "2"));
	cleanup(mesh_freep) struct mesh *one =
		read_mesh(SERIES(TO("b", "source"), "2", "2", "2", "2", "2"));
	cleanup(document_freep) struct document *d = before();
	cleanup(mesh_rows_done) struct mesh_rows unclear = {}, single = {}, nobody = {}, own = {};

	(void)state;
	assert_int_equal(mesh_compare(two, &d->snapshot, NULL, &own), 0);
	assert_int_equal(own.n_compared, 0);
	assert_int_equal(mesh_compare(two, &d->snapshot, "shop", &unclear), 0);
	assert_int_equal(unclear.n_compared, 0);
	assert_int_equal(mesh_compare(one, &d->snapshot, "shop", &single), 0);
	assert_int_equal(single.n_compared, 1);
	assert_int_equal(single.row[0].ours.count, 200);
	assert_int_equal(mesh_compare(one, &d->snapshot, "nobody", &nobody), 0);
	assert_int_equal(nobody.n_compared, 0);
}

static void bounds_leave_open_or_not(void **state)
{
	struct mesh_row row = { .lower[FIGURE_P50] = 0.005, .upper[FIGURE_P50] = 0.01 };
	static const struct {
		double ours;
		bool open;
	} cases[] = { { 0.004, false }, { 0.0047, true },  { 0.0075, true },
		      { 0.0105, true }, { 0.0115, false }, { NAN, false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		row.ours.seconds[FIGURE_P50] = cases[i].ours;
		assert_int_equal(mesh_is_open(&row, FIGURE_P50), cases[i].open);
	}
	row.upper[FIGURE_P50] = INFINITY;
	row.ours.seconds[FIGURE_P50] = 7;
	assert_true(mesh_is_open(&row, FIGURE_P50));
	row.ours.seconds[FIGURE_MEAN] = 7;
	assert_false(mesh_is_open(&row, FIGURE_MEAN));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buckets_bound_what_can_be_told),
		cmocka_unit_test(reports_are_as_agreed),
		cmocka_unit_test(a_report_and_itself_do_not_differ),
		cmocka_unit_test(proxies_are_told_from_others),
		cmocka_unit_test(a_mesh_is_as_agreed),
		cmocka_unit_test(names_that_are_no_utf8),
		cmocka_unit_test(a_service_is_beside_its_own_destination),
		cmocka_unit_test(bounds_leave_open_or_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
