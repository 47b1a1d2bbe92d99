// SPDX-License-Identifier: Apache-2.0
#include "export/otlp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <event2/event.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "export/otlp_sender.h"

/*
 * Single events, as log records. As OpenTelemetry's batch processors do it: a bounded queue, sent when
 * the oldest has waited for the delay or when there is a whole batch; what comes while it is full is
 * dropped. A batch stays at the head of the queue until it is delivered or refused, so a receiver that
 * is away costs what does not fit meanwhile, and nothing that waits.
 */
#define QUEUE_MAX    2048
#define BATCH_MAX    512
#define MAX_DELAY_NS (30 * NSEC_PER_SEC)

enum fate { DELIVERED, REJECTED, DROPPED_QUEUE_FULL, DROPPED_REFUSED, DROPPED_END, N_FATES };

static const char *const fates[N_FATES] = {
	[DELIVERED] = "delivered",
	[REJECTED] = "rejected",
	[DROPPED_QUEUE_FULL] = "dropped_queue_full",
	[DROPPED_REFUSED] = "dropped_refused",
	[DROPPED_END] = "dropped_end",
};

struct otlp_logs {
	const struct export_env *env;
	struct otlp_signal signal;
	struct otlp_sender *sender;
	struct event *timer, *end; /* of the next batch; of the time for the last ones */
	struct series *series[N_FATES];
	struct log_record queue[QUEUE_MAX]; /* the oldest at @first, @n of them */
	size_t first, n;
	size_t n_sent;	 /* of them, in the request that is under way or to be tried again */
	bool is_waiting; /* not before the timer: to try again */
	bool is_stopping, is_over, is_full;
};

static void logs_free(struct otlp_logs *l)
{
	otlp_sender_free(l->sender);
	if (l->timer)
		event_free(l->timer);
	if (l->end)
		event_free(l->end);
	for (; l->n; l->n--, l->first++)
		free(l->queue[l->first % QUEUE_MAX].event);
	free(l);
}

DEFINE_CLEANUP(struct otlp_logs, logs_free)

static void count(struct otlp_logs *l, enum fate fate, uint64_t n)
{
	if (l->series[fate] && n)
		series_add(l->series[fate], n);
}

/* ---- batches ---- */

static void call_in(struct otlp_logs *l, uint64_t ns)
{
	struct timeval tv = {
		.tv_sec = (time_t)(ns / NSEC_PER_SEC),
		.tv_usec = (suseconds_t)(ns % NSEC_PER_SEC / NSEC_PER_USEC),
	};

	event_add(l->timer, &tv);
}

/* The next batch: at once if it is whole or the last, else when its oldest has waited. */
static void plan(struct otlp_logs *l)
{
	if (!l->n || l->is_waiting || otlp_sender_is_busy(l->sender))
		return;
	if (l->n >= BATCH_MAX || l->is_stopping)
		call_in(l, 0);
	else if (!event_pending(l->timer, EV_TIMEOUT, NULL))
		call_in(l, l->env->settings->otlp_logs_delay_ns);
}

static void drop_batch(struct otlp_logs *l)
{
	for (; l->n_sent; l->n_sent--, l->n--, l->first++)
		free(l->queue[l->first % QUEUE_MAX].event);
	l->first %= QUEUE_MAX;
}

static void on_sent(void *arg, const struct otlp_result *result)
{
	struct otlp_logs *l = arg;
	uint64_t n = l->n_sent, rejected = result->rejected < n ? result->rejected : n;

	if (result->outcome == OTLP_RETRY) {
		l->is_waiting = true;
		call_in(l, result->delay_ns);
		return;
	}
	if (result->outcome == OTLP_DELIVERED) {
		count(l, DELIVERED, n - rejected);
		count(l, REJECTED, rejected);
		if (l->is_full)
			l->env->notice(l->env->notice_arg, "log records are no longer dropped");
		l->is_full = false;
	} else {
		count(l, DROPPED_REFUSED, n);
	}
	drop_batch(l);
	plan(l);
}

static void send_batch(struct otlp_logs *l)
{
	uint64_t timeout_ns = l->env->settings->otlp_logs_timeout_ns;
	cleanup(strbuf_done) struct strbuf body = {};
	struct log_record batch[BATCH_MAX];
	int r;

	if (!l->n_sent)
		l->n_sent = l->n < BATCH_MAX ? l->n : BATCH_MAX;
	for (size_t i = 0; i < l->n_sent; i++)
		batch[i] = l->queue[(l->first + i) % QUEUE_MAX];
	r = otlp_encode_logs(batch, l->n_sent, l->env, &body);
	otlp_send(l->sender, r, &body, timeout_ns);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct otlp_logs *l = arg;

	l->is_waiting = false;
	if (l->n && !otlp_sender_is_busy(l->sender))
		send_batch(l);
}

/* ---- the queue ---- */

void otlp_logs_event(struct otlp_logs *l, const struct event *ev)
{
	uint64_t now_ns = clock_boot_ns(), offset_ns = clock_wall_ns(0);
	struct event *copy = NULL;

	if (l->n < QUEUE_MAX)
		copy = event_copy(ev);
	if (!copy) {
		count(l, DROPPED_QUEUE_FULL, 1);
		if (!l->is_full)
			l->env->notice(l->env->notice_arg,
				       "log records are dropped: %u wait to be sent already; "
				       "a higher --otlp.logs-slower-than makes fewer of them",
				       QUEUE_MAX);
		l->is_full = true;
		return;
	}
	l->queue[(l->first + l->n++) % QUEUE_MAX] = (struct log_record){
		.event = copy,
		.time_unix_ns = ev->time_ns + offset_ns,
		.observed_unix_ns = now_ns + offset_ns,
		.any_speed = l->env->settings->otlp_logs_all_speeds,
	};
	plan(l);
}

/* ---- start and stop ---- */

static void open_series(struct otlp_logs *l)
{
	for (size_t i = 0; i < N_FATES; i++) {
		const struct attr attr = ATTR_STR("outcome", fates[i]);

		l->series[i] = registry_series(l->env->registry,
					       &export_metrics[EXPORT_LOG_RECORDS], "", &attr, 1);
	}
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	((struct otlp_logs *)arg)->is_over = true;
}

int otlp_logs_new(const struct export_env *env, struct otlp_logs **ret, struct err *e)
{
	cleanup(logs_freep) struct otlp_logs *l = calloc(1, sizeof(*l));
	int r;

	*ret = NULL;
	if (!l)
		return err_set(e, -ENOMEM, "out of memory");
	if (!env->settings->otlp_logs)
		return 0;
	l->env = env;
	l->signal = (struct otlp_signal){
		.exporter = "otlp_logs",
		.what = "log records",
		.items = "log records",
		.path = "v1/logs",
		.endpoint = env->settings->otlp_logs_endpoint,
		.headers = env->settings->otlp_logs_headers,
		.max_delay_ns = MAX_DELAY_NS,
	};
	r = otlp_sender_new(env, &l->signal, on_sent, l, &l->sender, e);
	if (r < 0 || !l->sender)
		return r;
	l->timer = evtimer_new(env->base, on_timer, l);
	l->end = evtimer_new(env->base, on_end, l);
	if (!l->timer || !l->end)
		return err_set(e, -ENOMEM, "out of memory");
	open_series(l);
	*ret = take_ptr(l);
	return 0;
}

void otlp_logs_stop(struct otlp_logs *l, uint64_t budget_ns)
{
	const struct timeval budget = {
		.tv_sec = (time_t)(budget_ns / NSEC_PER_SEC),
		.tv_usec = (suseconds_t)(budget_ns % NSEC_PER_SEC / NSEC_PER_USEC),
	};

	if (!l)
		return;
	/* What is on its way is left to arrive: sent anew it would be there twice. */
	l->is_stopping = true;
	if (event_add(l->end, &budget) == 0)
		plan(l);
	else
		l->is_over = true;
	while (l->n && !l->is_over && event_base_loop(l->env->base, EVLOOP_ONCE) == 0)
		;
	if (l->n)
		l->env->notice(l->env->notice_arg, "%zu log records could not be sent in time",
			       l->n);
	count(l, DROPPED_END, l->n);
	logs_free(l);
}
