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
#include <metrics_service.pb-c.h>

#include "tests/unit/fixture.h"

extern const struct exporter exporter_otlp;

/* The exporter, and a receiver of libevent's that answers as it is told, on one loop. */
struct world {
	struct event_base *base;
	struct evhttp *receiver;
	struct registry *registry;
	struct export_settings settings;
	struct export_env env;
	void *state;
	char url[64];
	/* The receiver. */
	int status;
	const char *retry_after, *answer;
	size_t answer_len;
	bool hangs;
	unsigned n_requests;
	uint64_t times[8];
	char authorization[64];
	size_t body_len;
	unsigned n_notices;
	char notice[512];
};

static void on_request(struct evhttp_request *req, void *arg)
{
	struct evkeyvalq *headers = evhttp_request_get_input_headers(req);
	struct evbuffer *body = evbuffer_new();
	struct world *w = arg;
	const char *value = evhttp_find_header(headers, "Authorization");

	w->times[w->n_requests++ % 8] = clock_boot_ns();
	w->body_len = evbuffer_get_length(evhttp_request_get_input_buffer(req));
	snprintf(w->authorization, sizeof(w->authorization), "%s", value ? value : "");
	assert_string_equal(evhttp_find_header(headers, "Content-Type"), "application/x-protobuf");
	assert_string_equal(evhttp_request_get_uri(req), "/v1/metrics");
	if (w->retry_after)
		evhttp_add_header(evhttp_request_get_output_headers(req), "Retry-After",
				  w->retry_after);
	evbuffer_add(body, w->answer, w->answer_len);
	if (!w->hangs)
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
		.otlp_headers = "Authorization=Basic%20abc",
		.otlp_timeout_ns = 500 * NSEC_PER_MSEC,
		.otlp_interval_ns = 100 * NSEC_PER_MSEC,
	};
	w->registry = fixture_registry();
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

/* Runs until the receiver has had @n requests and the exporter its answers. */
static void run_until(struct world *w, unsigned n)
{
	struct timeval more = { .tv_usec = 20000 };

	while (w->n_requests < n)
		assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
	event_base_loopexit(w->base, &more);
	event_base_dispatch(w->base);
}

static uint64_t requests(struct world *w, const char *outcome)
{
	cleanup(snapshot_freep) struct snapshot *s = take(w);
	const struct snap_metric *m = snapshot_find(s, "sonde.export.requests");

	for (size_t i = 0; i < m->n_series; i++) {
		if (!strcmp(snap_attr(&m->series[i], "outcome")->str, outcome))
			return m->series[i].counter;
	}
	return 0;
}

static void each_interval_one_request(void **state)
{
	struct world *w = *state;

	start(w);
	run_until(w, 4);
	assert_int_equal(requests(w, "success"), w->n_requests);
	assert_int_equal(requests(w, "failure"), 0);
	assert_int_equal(w->n_notices, 0);
	assert_string_equal(w->authorization, "Basic abc");
	assert_true(w->body_len > 100);
	assert_in_range(w->times[3] - w->times[0], 280 * NSEC_PER_MSEC, 500 * NSEC_PER_MSEC);
	exporter_otlp.stop(w->state, NSEC_PER_SEC);
	assert_int_equal(w->n_requests, 5);
}

static void told_once_when_it_fails_and_once_when_it_works(void **state)
{
	struct world *w = *state;

	w->status = 503;
	start(w);
	run_until(w, 3);
	assert_int_equal(w->n_notices, 1);
	assert_non_null(strstr(w->notice, "cannot send metrics to http://127.0.0.1:"));
	assert_non_null(strstr(w->notice, ": HTTP status 503; it is overloaded or restarting"));
	assert_int_equal(requests(w, "failure"), w->n_requests);
	w->status = 200;
	run_until(w, w->n_requests + 2);
	assert_int_equal(w->n_notices, 2);
	assert_non_null(strstr(w->notice, "again"));
	exporter_otlp.stop(w->state, NSEC_PER_SEC);
}

/* Timers count from the start of the loop's turn: a few milliseconds early is on time. */
static void retry_after_is_kept(void **state)
{
	struct world *w = *state;

	w->status = 429;
	w->retry_after = "1";
	start(w);
	run_until(w, 2);
	assert_in_range(w->times[1] - w->times[0], 990 * NSEC_PER_MSEC, 1300 * NSEC_PER_MSEC);
	exporter_otlp.stop(w->state, NSEC_PER_SEC);
}

static void partial_success_is_counted(void **state)
{
	/* partial_success { rejected_data_points: 3, error_message: "no\n" } */
	static const char partial[] = "\x0a\x07\x08\x03\x12\x03no\n";
	struct world *w = *state;
	struct snapshot *s;

	w->answer = partial;
	w->answer_len = sizeof(partial) - 1;
	start(w);
	run_until(w, 2);
	assert_int_equal(w->n_notices, 1);
	assert_non_null(strstr(w->notice, "refused 3 data points: no?"));
	assert_int_equal(requests(w, "success"), w->n_requests);
	s = take(w);
	assert_int_equal(snapshot_find(s, "sonde.export.data_points.rejected")->series[0].counter,
			 3 * w->n_requests);
	snapshot_free(s);
	/* Present and empty is success; so is what cannot be read. */
	w->answer = "\x0a";
	w->answer_len = 2;
	run_until(w, w->n_requests + 1);
	w->answer = "{}";
	run_until(w, w->n_requests + 1);
	assert_int_equal(w->n_notices, 1);
	exporter_otlp.stop(w->state, NSEC_PER_SEC);
}

static void a_hanging_receiver_holds_nobody_up(void **state)
{
	struct world *w = *state;
	uint64_t before;

	w->hangs = true;
	start(w);
	run_until(w, 2);
	assert_non_null(strstr(w->notice, "no complete answer in time"));
	before = clock_boot_ns();
	exporter_otlp.stop(w->state, 200 * NSEC_PER_MSEC);
	assert_in_range(clock_boot_ns() - before, 150 * NSEC_PER_MSEC, 400 * NSEC_PER_MSEC);
}

static void nobody_listens(void **state)
{
	struct world *w = *state;

	w->settings.otlp_endpoint = "http://127.0.0.1:1";
	start(w);
	while (!w->n_notices)
		event_base_loop(w->base, EVLOOP_ONCE);
	assert_non_null(strstr(w->notice,
			       "http://127.0.0.1:1/v1/metrics: nothing accepts "
			       "connections there; see that an OpenTelemetry Collector"));
	exporter_otlp.stop(w->state, NSEC_PER_SEC);
}

static void settings_that_are_off_or_wrong(void **state)
{
	struct world *w = *state;
	struct err e = {};

	w->settings.otlp_headers = "secret";
	assert_int_equal(exporter_otlp.start(&w->env, &w->state, &e), -EINVAL);
	assert_null(w->state);
	w->settings.otlp_endpoint = "https://example.org";
	assert_int_equal(exporter_otlp.start(&w->env, &w->state, &e), -EPROTONOSUPPORT);
	assert_non_null(strstr(e.msg, "Collector"));
	w->settings.otlp_endpoint = "";
	assert_int_equal(exporter_otlp.start(&w->env, &w->state, &e), 0);
	assert_null(w->state);
	exporter_otlp.stop(w->state, NSEC_PER_SEC);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_interval_one_request),
		TEST(told_once_when_it_fails_and_once_when_it_works),
		TEST(retry_after_is_kept),
		TEST(partial_success_is_counted),
		TEST(a_hanging_receiver_holds_nobody_up),
		TEST(nobody_listens),
		TEST(settings_that_are_off_or_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
