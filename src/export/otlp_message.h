/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <common.pb-c.h>
#include <resource.pb-c.h>

#include "base/strbuf.h"
#include "export/export.h"

/*
 * What the messages of all OTLP signals are made of. Those of one request are taken from a pool, and
 * die together; their strings are borrowed from whoever gave them.
 */
typedef Opentelemetry__Proto__Resource__V1__Resource pb_resource;
typedef Opentelemetry__Proto__Common__V1__InstrumentationScope pb_scope;
typedef Opentelemetry__Proto__Common__V1__KeyValue pb_key_value;
typedef Opentelemetry__Proto__Common__V1__AnyValue pb_value;

/* protobuf-c does not write to what it packs, but has no const. */
#define OTLP_BORROW(s) ((char *)(s))

struct otlp_chunk;

struct otlp_pool {
	struct otlp_chunk *chunks; /* zeroed at first */
};

void otlp_pool_done(struct otlp_pool *pool);

/* All of these: NULL without memory. */

/* Zeroed memory. */
void *otlp_allot(struct otlp_pool *pool, size_t size);

/* An empty message of that type. */
void *otlp_message(struct otlp_pool *pool, const ProtobufCMessageDescriptor *type);

pb_value *otlp_string(struct otlp_pool *pool, const char *s);
pb_key_value *otlp_string_attribute(struct otlp_pool *pool, const char *key, const char *value);
pb_key_value *otlp_true_attribute(struct otlp_pool *pool, const char *key);
pb_key_value *otlp_attribute(struct otlp_pool *pool, const struct attr *a);

/* Of a watched service; "": sonde itself. */
pb_resource *otlp_resource(struct otlp_pool *pool, const struct export_env *env,
			   const char *service);

/* sonde as the source of what is in a request. */
pb_scope *otlp_scope(struct otlp_pool *pool);

/* Appends the bytes of @m to @out, whose failure is theirs. */
void otlp_pack(const ProtobufCMessage *m, struct strbuf *out);
