// SPDX-License-Identifier: Apache-2.0
#include "export/otlp.h"

/* OTLP over HTTP in protobuf. */
static int otlp_start(const struct export_env *env, void **ret_state, struct err *e)
{
	struct otlp_metrics *metrics = NULL;
	int r = otlp_metrics_new(env, &metrics, e);

	*ret_state = metrics;
	return r;
}

static void otlp_stop(void *state, uint64_t budget_ns)
{
	otlp_metrics_stop(state, budget_ns);
}

extern const struct exporter exporter_otlp;
const struct exporter exporter_otlp = {
	.name = "otlp",
	.summary = "OTLP over HTTP, to an OpenTelemetry Collector",
	.metrics = export_metrics,
	.start = otlp_start,
	.stop = otlp_stop,
};
