// SPDX-License-Identifier: Apache-2.0
#include "export/otlp.h"

#include <errno.h>
#include <stdlib.h>
#include <event2/event.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "export/otlp_sender.h"

/*
 * Figures are cumulative, so a snapshot that could not be delivered is superseded by the next: nothing
 * is queued, and a receiver that was away has the right totals with the first request that reaches it.
 */
struct otlp_metrics {
	const struct export_env *env;
	struct otlp_signal signal;
	struct otlp_sender *sender;
	struct event *timer; /* of the next request */
	uint64_t start_offset_ns;
	uint64_t sent_ns; /* boot time of the last request */
	bool is_stopping;
};

static void metrics_free(struct otlp_metrics *m)
{
	otlp_sender_free(m->sender);
	if (m->timer)
		event_free(m->timer);
	free(m);
}

DEFINE_CLEANUP(struct otlp_metrics, metrics_free)

static void send_in(struct otlp_metrics *m, uint64_t delay_ns)
{
	struct timeval tv = {
		.tv_sec = (time_t)(delay_ns / NSEC_PER_SEC),
		.tv_usec = (suseconds_t)(delay_ns % NSEC_PER_SEC / NSEC_PER_USEC),
	};

	if (!m->is_stopping)
		event_add(m->timer, &tv);
}

/* When the interval since the last request is over. */
static void send_next(struct otlp_metrics *m)
{
	uint64_t interval = m->env->settings->otlp_interval_ns;
	uint64_t elapsed = clock_boot_ns() - m->sent_ns;

	send_in(m, elapsed < interval ? interval - elapsed : 0);
}

static void on_sent(void *arg, const struct otlp_result *result)
{
	const struct attr attr = ATTR_STR("sonde.exporter", "otlp");
	struct otlp_metrics *m = arg;
	struct series *s;

	if (result->rejected) {
		s = registry_series(m->env->registry, &export_metrics[EXPORT_REJECTED], "", &attr,
				    1);
		if (s)
			series_add(s, result->rejected);
	}
	if (result->outcome == OTLP_RETRY)
		send_in(m, result->delay_ns);
	else
		send_next(m);
}

static void send_snapshot(struct otlp_metrics *m, uint64_t timeout_ns)
{
	cleanup(strbuf_done) struct strbuf body = {};
	struct snapshot *s = m->env->take(m->env->take_arg);
	int r = -ENOMEM;

	m->sent_ns = clock_boot_ns();
	if (s)
		r = otlp_encode(s, m->env, m->start_offset_ns, clock_wall_ns(0), &body);
	snapshot_free(s);
	if (r == 0 && !body.len)
		send_next(m);
	else
		otlp_send(m->sender, r, &body, timeout_ns);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct otlp_metrics *m = arg;

	send_snapshot(m, m->env->settings->otlp_timeout_ns);
}

int otlp_metrics_new(const struct export_env *env, struct otlp_metrics **ret, struct err *e)
{
	cleanup(metrics_freep) struct otlp_metrics *m = calloc(1, sizeof(*m));
	uint64_t first = env->settings->otlp_interval_ns;
	int r;

	*ret = NULL;
	if (!m)
		return err_set(e, -ENOMEM, "out of memory");
	m->env = env;
	m->signal = (struct otlp_signal){
		.exporter = "otlp",
		.what = "metrics",
		.items = "data points",
		.path = "v1/metrics",
		.endpoint = env->settings->otlp_metrics_endpoint,
		.headers = env->settings->otlp_headers,
		.max_delay_ns = env->settings->otlp_interval_ns,
	};
	r = otlp_sender_new(env, &m->signal, on_sent, m, &m->sender, e);
	if (r < 0 || !m->sender)
		return r;
	m->timer = evtimer_new(env->base, on_timer, m);
	if (!m->timer)
		return err_set(e, -ENOMEM, "out of memory");
	m->start_offset_ns = clock_wall_ns(0);
	send_in(m, first < NSEC_PER_SEC ? first : NSEC_PER_SEC);
	*ret = take_ptr(m);
	return 0;
}

void otlp_metrics_stop(struct otlp_metrics *m, uint64_t budget_ns)
{
	uint64_t timeout_ns;

	if (!m)
		return;
	timeout_ns = m->env->settings->otlp_timeout_ns;
	m->is_stopping = true;
	event_del(m->timer);
	/* What is on its way is older than what we are going to send. */
	otlp_sender_cancel(m->sender);
	if (budget_ns)
		send_snapshot(m, budget_ns < timeout_ns ? budget_ns : timeout_ns);
	while (otlp_sender_is_busy(m->sender) && event_base_loop(m->env->base, EVLOOP_ONCE) == 0)
		;
	metrics_free(m);
}
