// SPDX-License-Identifier: Apache-2.0
#include "export/otlp_message.h"

#include <stdlib.h>

#define RESOURCE    opentelemetry__proto__resource__v1__resource__descriptor
#define SCOPE	    opentelemetry__proto__common__v1__instrumentation_scope__descriptor
#define KEY_VALUE   opentelemetry__proto__common__v1__key_value__descriptor
#define VALUE	    opentelemetry__proto__common__v1__any_value__descriptor

#define CHUNK_BYTES (64 << 10)

struct otlp_chunk {
	struct otlp_chunk *next;
	size_t used, size;
	_Alignas(16) char data[];
};

void otlp_pool_done(struct otlp_pool *pool)
{
	for (struct otlp_chunk *next; pool->chunks; pool->chunks = next) {
		next = pool->chunks->next;
		free(pool->chunks);
	}
}

void *otlp_allot(struct otlp_pool *pool, size_t size)
{
	struct otlp_chunk *c = pool->chunks;
	void *p;

	size = (size + 15) & ~(size_t)15;
	if (!c || c->size - c->used < size) {
		size_t room = size > CHUNK_BYTES ? size : CHUNK_BYTES;

		c = calloc(1, sizeof(*c) + room);
		if (!c)
			return NULL;
		c->size = room;
		c->next = pool->chunks;
		pool->chunks = c;
	}
	p = c->data + c->used;
	c->used += size;
	return p;
}

void *otlp_message(struct otlp_pool *pool, const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *m = otlp_allot(pool, type->sizeof_message);

	if (m)
		protobuf_c_message_init(type, m);
	return m;
}

/* ---- attributes ---- */

pb_value *otlp_string(struct otlp_pool *pool, const char *s)
{
	pb_value *v = otlp_message(pool, &VALUE);

	if (v) {
		v->value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_STRING_VALUE;
		v->string_value = OTLP_BORROW(s);
	}
	return v;
}

static pb_key_value *key_value(struct otlp_pool *pool, const char *key, pb_value *value)
{
	pb_key_value *kv = otlp_message(pool, &KEY_VALUE);

	if (!kv || !value)
		return NULL;
	kv->key = OTLP_BORROW(key);
	kv->value = value;
	return kv;
}

pb_key_value *otlp_string_attribute(struct otlp_pool *pool, const char *key, const char *value)
{
	return key_value(pool, key, otlp_string(pool, value));
}

pb_key_value *otlp_true_attribute(struct otlp_pool *pool, const char *key)
{
	pb_value *v = otlp_message(pool, &VALUE);

	if (v) {
		v->value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_BOOL_VALUE;
		v->bool_value = true;
	}
	return key_value(pool, key, v);
}

pb_key_value *otlp_attribute(struct otlp_pool *pool, const struct attr *a)
{
	pb_value *v;

	if (a->type == ATTR_STRING)
		return otlp_string_attribute(pool, a->key, a->str);
	v = otlp_message(pool, &VALUE);
	if (v && a->type == ATTR_DOUBLE) {
		v->value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_DOUBLE_VALUE;
		v->double_value = a->real;
	} else if (v) {
		v->value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_INT_VALUE;
		v->int_value = a->num;
	}
	return key_value(pool, a->key, v);
}

/* ---- who speaks, and of whom ---- */

pb_resource *otlp_resource(struct otlp_pool *pool, const struct export_env *env,
			   const char *service)
{
	pb_resource *r = otlp_message(pool, &RESOURCE);

	if (!r)
		return NULL;
	r->attributes = otlp_allot(pool, 3 * sizeof(*r->attributes));
	if (!r->attributes)
		return NULL;
	r->attributes[r->n_attributes++] =
		otlp_string_attribute(pool, "service.name", *service ? service : env->service_name);
	if (!*service)
		r->attributes[r->n_attributes++] =
			otlp_string_attribute(pool, "service.version", SONDE_VERSION);
	if (*env->host_name)
		r->attributes[r->n_attributes++] =
			otlp_string_attribute(pool, "host.name", env->host_name);
	for (size_t i = 0; i < r->n_attributes; i++) {
		if (!r->attributes[i])
			return NULL;
	}
	return r;
}

pb_scope *otlp_scope(struct otlp_pool *pool)
{
	pb_scope *scope = otlp_message(pool, &SCOPE);

	if (scope) {
		scope->name = OTLP_BORROW("sonde");
		scope->version = OTLP_BORROW(SONDE_VERSION);
	}
	return scope;
}

/* ---- bytes ---- */

/* A protobuf-c buffer that is a strbuf. */
struct sink {
	ProtobufCBuffer base;
	struct strbuf *out;
};

static void sink_append(ProtobufCBuffer *b, size_t len, const uint8_t *data)
{
	strbuf_add(((struct sink *)b)->out, data, len);
}

void otlp_pack(const ProtobufCMessage *m, struct strbuf *out)
{
	struct sink sink = { .base = { .append = sink_append }, .out = out };

	protobuf_c_message_pack_to_buffer(m, &sink.base);
}
