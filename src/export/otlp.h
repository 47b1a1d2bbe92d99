/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "export/export.h"

/*
 * The signals of the OTLP exporter. For each: new gives 0 with *@ret NULL when its settings leave it
 * off; stop sends what is still to be sent, at most @budget_ns long, running the loop meanwhile, and
 * frees. NULL is fine.
 */
struct otlp_metrics;

int otlp_metrics_new(const struct export_env *env, struct otlp_metrics **ret, struct err *e);
void otlp_metrics_stop(struct otlp_metrics *m, uint64_t budget_ns);

struct otlp_logs;

int otlp_logs_new(const struct export_env *env, struct otlp_logs **ret, struct err *e);
void otlp_logs_stop(struct otlp_logs *l, uint64_t budget_ns);

/* Copies it into the queue, or counts its loss where that is full. */
void otlp_logs_event(struct otlp_logs *l, const struct event *ev);
