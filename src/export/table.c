// SPDX-License-Identifier: Apache-2.0
#include "export/export.h"

#include "base/cleanup.h"

#define EXPORTER(name) extern const struct exporter exporter_##name;
#include "export/exporters.def"
#undef EXPORTER

#define EXPORTER(name) &exporter_##name,
const struct exporter *const exporters[] = {
#include "export/exporters.def"
	NULL,
};

static const char *const request_attributes[] = { "sonde.exporter", "outcome", NULL };
static const char *const record_attributes[] = { "outcome", NULL };
static const char *const rejected_attributes[] = { "sonde.exporter", NULL };

const struct metric export_metrics[] = {
	[EXPORT_REQUESTS] = { "sonde.export.requests", "{request}", METRIC_COUNTER,
			      "Exports of all figures, or of a batch of log records, by how they "
			      "ended.",
			      request_attributes },
	[EXPORT_REJECTED] = { "sonde.export.data_points.rejected", "{data_point}", METRIC_COUNTER,
			      "Data points that a receiver took delivery of and refused.",
			      rejected_attributes },
	[EXPORT_LOG_RECORDS] = { "sonde.export.log_records", "{log_record}", METRIC_COUNTER,
				 "Single events for OTLP logs, by what became of them.",
				 record_attributes },
	{},
};

struct series *export_requests(const struct export_env *env, const char *exporter,
			       const char *outcome)
{
	const struct attr attrs[] = {
		ATTR_STR("sonde.exporter", exporter),
		ATTR_STR("outcome", outcome),
	};

	return registry_series(env->registry, &export_metrics[EXPORT_REQUESTS], "", attrs,
			       ARRAY_SIZE(attrs));
}
