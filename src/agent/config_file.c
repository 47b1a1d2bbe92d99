// SPDX-License-Identifier: Apache-2.0
#include "agent/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/cleanup.h"
#include "base/strbuf.h"

struct reader {
	yaml_parser_t yaml;
	yaml_event_t event; /* the current one */
	bool has_event;
	const char *name;
	char key[CONFIG_KEY_MAX + 1]; /* of the value that is being read */
	config_set set;
	void *arg;
	struct err *err;
};

static unsigned event_line(const struct reader *r)
{
	return (unsigned)r->event.start_mark.line + 1;
}

static int refuse(const struct reader *r, const char *what)
{
	return err_set(r->err, -EINVAL, "%s:%u: %s", r->name, event_line(r), what);
}

/* Moves on to the next event. */
static int advance(struct reader *r)
{
	if (r->has_event)
		yaml_event_delete(&r->event);
	r->has_event = yaml_parser_parse(&r->yaml, &r->event);
	if (r->has_event)
		return 0;
	if (r->yaml.error == YAML_MEMORY_ERROR)
		return err_set(r->err, -ENOMEM, "%s: out of memory", r->name);
	return err_set(r->err, -EINVAL, "%s:%zu: not YAML: %s", r->name,
		       r->yaml.problem_mark.line + 1,
		       r->yaml.problem ? r->yaml.problem : "unreadable");
}

/* The text of a scalar event, or a sentence why it cannot be one of ours. */
static int scalar_text(const struct reader *r, const char **ret)
{
	const char *text = (const char *)r->event.data.scalar.value;
	size_t len = r->event.data.scalar.length;

	if (r->event.type == YAML_ALIAS_EVENT)
		return refuse(r, "aliases (*name) are not supported");
	if (r->event.type != YAML_SCALAR_EVENT)
		return refuse(r, "expected text");
	if (r->event.data.scalar.tag || r->event.data.scalar.anchor)
		return refuse(r, "tags and anchors are not supported");
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return refuse(r,
				      "control characters are not supported, nor text of more than "
				      "one line");
	*ret = text;
	return 0;
}

static int hand_over(struct reader *r, unsigned line, const char *value, bool is_list)
{
	char origin[256];

	snprintf(origin, sizeof(origin), "%s:%u", r->name, line);
	return r->set(r->arg, &(struct config_entry){ r->key, value, is_list, origin }, r->err);
}

static int read_scalar(struct reader *r)
{
	const char *value;
	int n = scalar_text(r, &value);

	if (n < 0)
		return n;
	if (r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	    (!*value || !strcmp(value, "~") || !strcmp(value, "null")))
		value = NULL;
	return hand_over(r, event_line(r), value, false);
}

static int read_list(struct reader *r)
{
	cleanup(strbuf_done) struct strbuf joined = {};
	unsigned line = event_line(r);
	const char *item;
	int n;

	if (r->event.data.sequence_start.tag || r->event.data.sequence_start.anchor)
		return refuse(r, "tags and anchors are not supported");
	for (;;) {
		n = advance(r);
		if (n < 0)
			return n;
		if (r->event.type == YAML_SEQUENCE_END_EVENT)
			break;
		n = scalar_text(r, &item);
		if (n < 0)
			return n;
		if (joined.len)
			strbuf_putc(&joined, ',');
		strbuf_puts(&joined, item);
	}
	if (strbuf_failed(&joined))
		return err_set(r->err, -ENOMEM, "%s: out of memory", r->name);
	return hand_over(r, line, strbuf_str(&joined), true);
}

/* From the start of a map to its end; keys are appended to the first @key_len bytes of r->key. */
static int read_map(struct reader *r, size_t key_len, unsigned depth)
{
	const char *name;
	int n;

	if (depth > CONFIG_DEPTH_MAX)
		return refuse(r, "maps are nested too deeply");
	if (r->event.data.mapping_start.tag || r->event.data.mapping_start.anchor)
		return refuse(r, "tags and anchors are not supported");
	for (;;) {
		n = advance(r);
		if (n < 0 || r->event.type == YAML_MAPPING_END_EVENT)
			return n;
		n = scalar_text(r, &name);
		if (n < 0)
			return n;
		n = snprintf(r->key + key_len, sizeof(r->key) - key_len, "%s%s", key_len ? "." : "",
			     name);
		if (n < 0 || (size_t)n >= sizeof(r->key) - key_len)
			return refuse(r, "a key is too long");
		size_t len = key_len + (size_t)n;

		n = advance(r);
		if (n < 0)
			return n;
		if (r->event.type == YAML_MAPPING_START_EVENT)
			n = read_map(r, len, depth + 1);
		else if (r->event.type == YAML_SEQUENCE_START_EVENT)
			n = read_list(r);
		else
			n = read_scalar(r);
		if (n < 0)
			return n;
	}
}

/* An empty document reads as one empty scalar; an empty stream has no document. */
static bool is_nothing(const struct reader *r)
{
	return r->event.type == YAML_SCALAR_EVENT && !r->event.data.scalar.length &&
	       r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static int read_stream(struct reader *r)
{
	int n = advance(r); /* stream start */

	if (n >= 0)
		n = advance(r); /* document start */
	if (n < 0 || r->event.type == YAML_STREAM_END_EVENT)
		return n;
	n = advance(r);
	if (n < 0)
		return n;
	if (r->event.type == YAML_MAPPING_START_EVENT)
		n = read_map(r, 0, 1);
	else if (!is_nothing(r))
		return refuse(r, "expected settings, one 'key: value' a line");
	if (n >= 0)
		n = advance(r); /* document end */
	if (n >= 0)
		n = advance(r);
	if (n >= 0 && r->event.type != YAML_STREAM_END_EVENT)
		return refuse(r, "a second document is not supported");
	return n;
}

int config_parse(const char *text, size_t len, const char *name, config_set set, void *arg,
		 struct err *e)
{
	struct reader r = { .name = name, .set = set, .arg = arg, .err = e };
	int n;

	if (len > CONFIG_FILE_MAX)
		return err_set(e, -EFBIG, "%s: larger than %d KB", name, CONFIG_FILE_MAX / 1024);
	if (!yaml_parser_initialize(&r.yaml))
		return err_set(e, -ENOMEM, "%s: out of memory", name);
	yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.yaml, (const unsigned char *)text, len);
	n = read_stream(&r);
	if (r.has_event)
		yaml_event_delete(&r.event);
	yaml_parser_delete(&r.yaml);
	return n < 0 ? n : 0;
}

int config_read(const char *path, config_set set, void *arg, struct err *e)
{
	cleanup(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	cleanup(cleanup_free) char *text = NULL;
	size_t len = 0;

	if (fd < 0)
		return err_set(e, -errno, "cannot open the settings file %s: %m", path);
	text = malloc(CONFIG_FILE_MAX + 1);
	if (!text)
		return err_set(e, -ENOMEM, "%s: out of memory", path);
	while (len <= CONFIG_FILE_MAX) {
		ssize_t n = read(fd, text + len, CONFIG_FILE_MAX + 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, -errno, "cannot read the settings file %s: %m", path);
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return config_parse(text, len, path, set, arg, e);
}
