// SPDX-License-Identifier: Apache-2.0
#include "export/otlp.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* OTLP over HTTP in protobuf: figures, and single events where they are asked for. */
struct otlp {
	struct otlp_metrics *metrics;
	struct otlp_logs *logs;
};

static void otlp_free(struct otlp *o)
{
	otlp_logs_stop(o->logs, 0);
	otlp_metrics_stop(o->metrics, 0);
	free(o);
}

DEFINE_CLEANUP(struct otlp, otlp_free)

static int otlp_start(const struct export_env *env, void **ret_state, struct err *e)
{
	cleanup(otlp_freep) struct otlp *o = calloc(1, sizeof(*o));
	int r;

	*ret_state = NULL;
	if (!o)
		return err_set(e, -ENOMEM, "out of memory");
	r = otlp_metrics_new(env, &o->metrics, e);
	if (r == 0)
		r = otlp_logs_new(env, &o->logs, e);
	if (r < 0)
		return r;
	if (o->metrics || o->logs)
		*ret_state = take_ptr(o);
	return 0;
}

static void otlp_event(void *state, const struct event *ev)
{
	struct otlp *o = state;

	if (o->logs)
		otlp_logs_event(o->logs, ev);
}

/* What becomes of the last records is in the last figures. */
static void otlp_stop(void *state, uint64_t budget_ns)
{
	uint64_t began_ns = clock_boot_ns(), took_ns;
	struct otlp *o = state;

	if (!o)
		return;
	otlp_logs_stop(o->logs, budget_ns);
	o->logs = NULL;
	took_ns = clock_boot_ns() - began_ns;
	/* A receiver that takes no records may take figures. */
	otlp_metrics_stop(o->metrics,
			  took_ns < budget_ns / 2 ? budget_ns - took_ns : budget_ns / 2);
	o->metrics = NULL;
	otlp_free(o);
}

extern const struct exporter exporter_otlp;
const struct exporter exporter_otlp = {
	.name = "otlp",
	.summary = "OTLP over HTTP, to an OpenTelemetry Collector",
	.metrics = export_metrics,
	.start = otlp_start,
	.event = otlp_event,
	.stop = otlp_stop,
};
