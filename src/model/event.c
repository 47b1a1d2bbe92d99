// SPDX-License-Identifier: Apache-2.0
#include "model/event.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/utf8.h"

/* Where a string is in the text behind the attributes, while that may still move. */
static size_t put(struct strbuf *texts, const char *s)
{
	size_t at = texts->len;

	utf8_scrub(texts, s, UTF8_STRING_MAX);
	strbuf_putc(texts, '\0');
	return at;
}

struct event *event_copy(const struct event *ev)
{
	size_t n = ev->n_attrs < EVENT_MAX_ATTRS ? ev->n_attrs : EVENT_MAX_ATTRS;
	size_t service, at[EVENT_MAX_ATTRS], head = sizeof(*ev) + n * sizeof(*ev->attrs);
	cleanup(strbuf_done) struct strbuf texts = {};
	struct event *copy;
	struct attr *attrs;
	char *text;

	service = put(&texts, ev->service);
	for (size_t i = 0; i < n; i++)
		if (ev->attrs[i].type == ATTR_STRING)
			at[i] = put(&texts, ev->attrs[i].str);
	copy = strbuf_failed(&texts) ? NULL : malloc(head + texts.len);
	if (!copy)
		return NULL;
	attrs = (struct attr *)(copy + 1);
	text = (char *)(attrs + n);
	memcpy(text, texts.data, texts.len);
	for (size_t i = 0; i < n; i++) {
		attrs[i] = ev->attrs[i];
		if (attrs[i].type == ATTR_STRING)
			attrs[i].str = text + at[i];
	}
	*copy = *ev;
	copy->service = text + service;
	copy->attrs = attrs;
	copy->n_attrs = n;
	return copy;
}

const struct attr *event_attr(const struct event *ev, const char *key)
{
	for (size_t i = 0; i < ev->n_attrs; i++)
		if (strcmp(ev->attrs[i].key, key) == 0)
			return &ev->attrs[i];
	return NULL;
}
