// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <logs_service.pb-c.h>

#include "tests/unit/events.h"
#include "tests/unit/fixture.h"

extern const struct exporter exporter_otlp;

typedef Opentelemetry__Proto__Collector__Logs__V1__ExportLogsServiceRequest pb_request;
typedef Opentelemetry__Proto__Logs__V1__ResourceLogs pb_resource_logs;
typedef Opentelemetry__Proto__Logs__V1__LogRecord pb_record;
typedef Opentelemetry__Proto__Common__V1__KeyValue pb_key_value;
typedef Opentelemetry__Proto__Common__V1__AnyValue pb_value;
#define request_unpack \
	opentelemetry__proto__collector__logs__v1__export_logs_service_request__unpack
#define request_free \
	opentelemetry__proto__collector__logs__v1__export_logs_service_request__free_unpacked

/* ---- messages ---- */

static const pb_value *find(size_t n, pb_key_value **attrs, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(attrs[i]->key, key))
			return attrs[i]->value;
	return NULL;
}

static pb_request *encode_at(const struct event *const *list, size_t n, bool any_speed)
{
	cleanup(strbuf_done) struct strbuf out = {};
	struct log_record records[16];
	pb_request *request;

	for (size_t i = 0; i < n; i++) {
		records[i] =
			(struct log_record){ event_copy(list[i]), 1000 + i, 2000 + i, any_speed };
		assert_non_null(records[i].event);
	}
	assert_int_equal(otlp_encode_logs(records, n, &fixture_env, &out), 0);
	for (size_t i = 0; i < n; i++)
		free(records[i].event);
	request = request_unpack(NULL, out.len, (uint8_t *)out.data);
	assert_non_null(request);
	return request;
}

static pb_request *encode(const struct event *const *list, size_t n)
{
	return encode_at(list, n, false);
}

static void assert_attributes(const pb_record *r, const struct event *ev)
{
	assert_int_equal(r->n_attributes, ev->n_attrs + 1);
	for (size_t i = 0; i < ev->n_attrs; i++) {
		const struct attr *a = &ev->attrs[i];
		const pb_value *v = find(r->n_attributes, r->attributes, a->key);

		assert_non_null(v);
		if (a->type == ATTR_STRING)
			assert_string_equal(v->string_value, a->str);
		else if (a->type == ATTR_INT)
			assert_int_equal(v->int_value, a->num);
		else
			assert_true(v->double_value == a->real);
	}
}

/* Without a bound an exchange is no warning; a failure is one all the same. */
static void exchanges_of_all_speeds_are_informational(void **state)
{
	const struct event *list[] = { &events[CLIENT], &events[FAILED] };
	pb_request *request = encode_at(list, 2, true);
	static const char *const severities[] = { "INFO", "WARN" };
	size_t seen = 0;

	(void)state;
	for (size_t i = 0; i < request->n_resource_logs; i++) {
		const pb_resource_logs *rl = request->resource_logs[i];

		for (size_t k = 0; k < rl->scope_logs[0]->n_log_records; k++)
			assert_string_equal(rl->scope_logs[0]->log_records[k]->severity_text,
					    severities[seen++]);
	}
	assert_int_equal(seen, 2);
	request_free(request, NULL);
}

static void every_field_of_a_record(void **state)
{
	static const struct {
		int event;
		const char *name, *body, *duration, *severity;
		int number;
	} cases[] = {
		{ CLIENT, "tcp.exchange", "exchange with 10.0.3.9:5432 took 0.151463 s",
		  "tcp.exchange.duration", "WARN", 13 },
		{ FAILED, "tcp.connect.failed",
		  "connecting to [::1]:81 failed after 0.000080 s: refused", "tcp.connect.duration",
		  "WARN", 13 },
		{ ENDED, "tcp.connection",
		  "connection with 10.0.3.9:5432 ended after 3661.000000 s: reset",
		  "tcp.connection.duration", "INFO", 9 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct event *ev = &events[cases[i].event];
		pb_request *request = encode(&ev, 1);
		const pb_record *r = request->resource_logs[0]->scope_logs[0]->log_records[0];

		assert_int_equal(r->time_unix_nano, 1000);
		assert_int_equal(r->observed_time_unix_nano, 2000);
		assert_int_equal(r->severity_number, cases[i].number);
		assert_string_equal(r->severity_text, cases[i].severity);
		assert_string_equal(r->event_name, cases[i].name);
		assert_string_equal(r->body->string_value, cases[i].body);
		assert_true(find(r->n_attributes, r->attributes, cases[i].duration)->double_value ==
			    (double)ev->duration_ns / 1e9);
		assert_attributes(r, ev);
		request_free(request, NULL);
	}
}

static const char *service_of(const pb_resource_logs *rl)
{
	return find(rl->resource->n_attributes, rl->resource->attributes, "service.name")
		->string_value;
}

static void a_resource_for_each_service(void **state)
{
	const struct event nobody = { .name = "tcp.exchange", .service = "" };
	const struct event *list[] = { &events[CLIENT], &events[SERVER], &nobody, &events[ENDED],
				       &events[HOSTILE] };
	pb_request *request = encode(list, ARRAY_SIZE(list));
	const pb_resource_logs *rl = request->resource_logs[0];

	(void)state;
	assert_int_equal(request->n_resource_logs, 4);
	assert_string_equal(service_of(rl), "checkout");
	assert_string_equal(find(rl->resource->n_attributes, rl->resource->attributes, "host.name")
				    ->string_value,
			    "robot");
	assert_string_equal(rl->scope_logs[0]->scope->name, "sonde");
	assert_string_equal(rl->scope_logs[0]->scope->version, SONDE_VERSION);
	/* In the order in which they came. */
	assert_int_equal(rl->scope_logs[0]->n_log_records, 2);
	assert_int_equal(rl->scope_logs[0]->log_records[0]->time_unix_nano, 1000);
	assert_int_equal(rl->scope_logs[0]->log_records[1]->time_unix_nano, 1003);
	assert_string_equal(service_of(request->resource_logs[1]), events[SERVER].service);
	assert_string_equal(service_of(request->resource_logs[2]), "unknown");
	assert_string_equal(
		find(6, request->resource_logs[3]->scope_logs[0]->log_records[0]->attributes,
		     "process.command")
			->string_value,
		"a\xef\xbf\xbd\n");
	request_free(request, NULL);
}

/* ---- the queue, and a receiver of libevent's that answers as it is told, on one loop ---- */

struct world {
	struct event_base *base;
	struct evhttp *receiver;
	struct registry *registry;
	struct export_settings settings;
	struct export_env env;
	void *state;
	char url[64];
	int status;
	const char *answer;
	size_t answer_len;
	unsigned n_requests, n_metrics;
	size_t n_records, batches[16];
	uint64_t times[16];
	char authorization[64];
	unsigned n_notices;
	char notice[512];
};

static size_t records_in(struct evbuffer *body)
{
	size_t n = 0, len = evbuffer_get_length(body);
	pb_request *r = request_unpack(NULL, len, evbuffer_pullup(body, -1));

	assert_non_null(r);
	for (size_t i = 0; i < r->n_resource_logs; i++)
		n += r->resource_logs[i]->scope_logs[0]->n_log_records;
	request_free(r, NULL);
	return n;
}

static void on_request(struct evhttp_request *req, void *arg)
{
	struct evbuffer *body = evbuffer_new();
	struct world *w = arg;
	const char *value =
		evhttp_find_header(evhttp_request_get_input_headers(req), "Authorization");
	size_t n;

	if (!strcmp(evhttp_request_get_uri(req), "/v1/metrics")) {
		w->n_metrics++;
		evhttp_send_reply(req, 200, "x", body);
		evbuffer_free(body);
		return;
	}
	assert_string_equal(evhttp_request_get_uri(req), "/v1/logs");
	n = records_in(evhttp_request_get_input_buffer(req));
	w->times[w->n_requests % 16] = clock_boot_ns();
	w->batches[w->n_requests++ % 16] = n;
	snprintf(w->authorization, sizeof(w->authorization), "%s", value ? value : "");
	if (w->status == 200)
		w->n_records += n;
	evbuffer_add(body, w->answer, w->answer_len);
	evhttp_send_reply(req, w->status, "x", body);
	evbuffer_free(body);
}

static struct snapshot *take(void *arg)
{
	struct world *w = arg;
	struct snapshot *s = NULL;

	assert_int_equal(registry_snapshot(w->registry, &s), 0);
	return s;
}

static void __attribute__((format(printf, 2, 3))) notice(void *arg, const char *fmt, ...)
{
	struct world *w = arg;
	va_list ap;

	w->n_notices++;
	va_start(ap, fmt);
	vsnprintf(w->notice, sizeof(w->notice), fmt, ap);
	va_end(ap);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct evhttp_bound_socket *socket;
	struct sockaddr_in bound;
	socklen_t len = sizeof(bound);

	w->base = event_base_new();
	w->receiver = evhttp_new(w->base);
	socket = evhttp_bind_socket_with_handle(w->receiver, "127.0.0.1", 0);
	getsockname(evhttp_bound_socket_get_fd(socket), (struct sockaddr *)&bound, &len);
	evhttp_set_gencb(w->receiver, on_request, w);
	w->status = 200;
	w->answer = "";
	snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%u", ntohs(bound.sin_port));
	w->settings = (struct export_settings){
		.otlp_endpoint = w->url,
		.otlp_metrics_endpoint = "",
		.otlp_headers = "",
		.otlp_timeout_ns = 500 * NSEC_PER_MSEC,
		.otlp_interval_ns = 3600 * NSEC_PER_SEC,
		.otlp_logs = true,
		.otlp_logs_endpoint = "",
		.otlp_logs_headers = "Authorization=logs",
		.otlp_logs_timeout_ns = 500 * NSEC_PER_MSEC,
		.otlp_logs_delay_ns = 100 * NSEC_PER_MSEC,
	};
	w->registry = registry_new(100);
	registry_register(w->registry, export_metrics);
	w->env = fixture_env;
	w->env.base = w->base;
	w->env.settings = &w->settings;
	w->env.take = take;
	w->env.take_arg = w->env.notice_arg = w;
	w->env.notice = notice;
	w->env.registry = w->registry;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	evhttp_free(w->receiver);
	event_base_free(w->base);
	registry_free(w->registry);
	free(w);
	return 0;
}

static void start(struct world *w)
{
	struct err e = {};

	assert_int_equal(exporter_otlp.start(&w->env, &w->state, &e), 0);
	assert_non_null(w->state);
}

static void happen(struct world *w, size_t n)
{
	for (size_t i = 0; i < n; i++)
		exporter_otlp.event(w->state, &events[i % N_EVENTS]);
}

/* Runs until the receiver has had @n requests and the exporter its answers. */
static void run_until(struct world *w, unsigned n)
{
	struct timeval more = { .tv_usec = 20000 };

	while (w->n_requests < n)
		assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
	event_base_loopexit(w->base, &more);
	event_base_dispatch(w->base);
}

static uint64_t fate(struct world *w, const char *outcome)
{
	cleanup(snapshot_freep) struct snapshot *s = take(w);
	const struct snap_metric *m = snapshot_find(s, "sonde.export.log_records");

	for (size_t i = 0; i < m->n_series; i++)
		if (!strcmp(snap_attr(&m->series[i], "outcome")->str, outcome))
			return m->series[i].counter;
	fail();
	return 0;
}

static void a_batch_waits_for_the_delay(void **state)
{
	struct world *w = *state;
	uint64_t began = clock_boot_ns();

	start(w);
	happen(w, 7);
	run_until(w, 1);
	assert_int_equal(w->batches[0], 7);
	assert_true(w->times[0] - began >= 90 * NSEC_PER_MSEC);
	assert_int_equal(fate(w, "delivered"), 7);
	assert_string_equal(w->authorization, "logs");
	assert_int_equal(w->n_notices, 0);
	exporter_otlp.stop(w->state, NSEC_PER_SEC);
	assert_int_equal(w->n_requests, 1);
}

static void a_whole_batch_does_not_wait(void **state)
{
	struct world *w = *state;

	w->settings.otlp_logs_delay_ns = 3600 * NSEC_PER_SEC;
	start(w);
	happen(w, 1100);
	run_until(w, 2);
	assert_int_equal(w->n_requests, 2);
	assert_int_equal(w->batches[0], 512);
	assert_int_equal(w->batches[1], 512);
	/* The rest is sent at the end, and the figures of that behind it. */
	w->n_metrics = 0;
	exporter_otlp.stop(w->state, NSEC_PER_SEC);
	assert_int_equal(w->batches[2], 76);
	assert_int_equal(w->n_records, 1100);
	assert_int_equal(w->n_metrics, 1);
	assert_int_equal(fate(w, "delivered"), 1100);
	assert_int_equal(fate(w, "dropped_end"), 0);
}

static void what_has_no_room_is_counted(void **state)
{
	struct world *w = *state;

	start(w);
	happen(w, 2048 + 5);
	assert_int_equal(fate(w, "dropped_queue_full"), 5);
	assert_int_equal(w->n_notices, 1);
	assert_non_null(strstr(w->notice, "2048 wait to be sent already"));
	run_until(w, 4);
	assert_int_equal(w->n_records, 2048);
	assert_int_equal(fate(w, "delivered"), 2048);
	assert_non_null(strstr(w->notice, "no longer dropped"));
	exporter_otlp.stop(w->state, NSEC_PER_SEC);
}

static void the_same_batch_is_tried_again(void **state)
{
	struct world *w = *state;

	w->status = 503;
	start(w);
	happen(w, 3);
	run_until(w, 1);
	happen(w, 4);
	assert_int_equal(w->n_notices, 1);
	assert_non_null(strstr(w->notice, "cannot send log records to http://127.0.0.1:"));
	w->status = 200;
	run_until(w, 3);
	assert_int_equal(w->batches[1], 3);
	assert_int_equal(w->batches[2], 4);
	assert_true(w->times[1] - w->times[0] >= 490 * NSEC_PER_MSEC);
	assert_int_equal(fate(w, "delivered"), 7);
	assert_string_equal(strrchr(w->notice, ' '), " again");
	exporter_otlp.stop(w->state, NSEC_PER_SEC);
}

static void what_is_refused_is_not_sent_again(void **state)
{
	struct world *w = *state;

	w->status = 404;
	start(w);
	happen(w, 3);
	run_until(w, 1);
	assert_int_equal(fate(w, "dropped_refused"), 3);
	assert_non_null(strstr(w->notice, "a Collector takes log records at /v1/logs"));
	w->status = 200;
	happen(w, 2);
	run_until(w, 2);
	assert_int_equal(w->batches[1], 2);
	exporter_otlp.stop(w->state, NSEC_PER_SEC);
	assert_int_equal(w->n_requests, 2);
}

static void partial_success_is_counted(void **state)
{
	/* partial_success { rejected_log_records: 2, error_message: "no" } */
	static const char partial[] = "\x0a\x06\x08\x02\x12\x02no";
	struct world *w = *state;

	w->answer = partial;
	w->answer_len = sizeof(partial) - 1;
	start(w);
	happen(w, 5);
	run_until(w, 1);
	assert_int_equal(fate(w, "delivered"), 3);
	assert_int_equal(fate(w, "rejected"), 2);
	assert_non_null(strstr(w->notice, "refused 2 log records: no"));
	exporter_otlp.stop(w->state, NSEC_PER_SEC);
	assert_int_equal(w->n_requests, 1);
}

/* The end comes in its time, and what was not sent by then is counted. */
static void nobody_listens_at_the_end(void **state)
{
	struct world *w = *state;
	uint64_t before;

	w->status = 503;
	w->settings.otlp_endpoint = "";
	w->settings.otlp_logs_endpoint = "http://127.0.0.1:1/v1/logs";
	start(w);
	happen(w, 600);
	before = clock_boot_ns();
	exporter_otlp.stop(w->state, 300 * NSEC_PER_MSEC);
	assert_true(clock_boot_ns() - before < 2 * NSEC_PER_SEC);
	assert_int_equal(fate(w, "dropped_end"), 600);
	assert_string_equal(w->notice, "600 log records could not be sent in time");
}

static void off_unless_asked_for(void **state)
{
	struct world *w = *state;

	w->settings.otlp_logs = false;
	start(w);
	happen(w, 1);
	exporter_otlp.stop(w->state, NSEC_PER_SEC);
	assert_int_equal(w->n_requests, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_of_a_record),
		cmocka_unit_test(exchanges_of_all_speeds_are_informational),
		cmocka_unit_test(a_resource_for_each_service),
		TEST(a_batch_waits_for_the_delay),
		TEST(a_whole_batch_does_not_wait),
		TEST(what_has_no_room_is_counted),
		TEST(the_same_batch_is_tried_again),
		TEST(what_is_refused_is_not_sent_again),
		TEST(partial_success_is_counted),
		TEST(nobody_listens_at_the_end),
		TEST(off_unless_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
