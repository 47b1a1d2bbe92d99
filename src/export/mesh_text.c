// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "export/json_load.h"
#include "export/mesh_read.h"

#define MAX_LABELS 64

/*
 * The text format of Prometheus, and of OpenMetrics as far as it is the same: NAME{LABELS} VALUE and
 * what is behind it. Lines of other metrics are not looked into. A line is a copy of its own, which
 * is cut into its strings where they stand: values only get shorter by their escapes.
 */
static char *skip_blanks(char *p)
{
	return p + strspn(p, " \t");
}

/* Ends and unescapes the quoted text behind @p; returns what is behind it, or NULL. */
static char *cut_value(char *p, const char **ret)
{
	char *to = p + 1;

	if (*p != '"')
		return NULL;
	*ret = to;
	for (p++; *p != '"'; p++) {
		bool escaped = *p == '\\';

		p += escaped;
		if (!*p || (escaped && !strchr("n\\\"", *p)))
			return NULL;
		*to++ = escaped && *p == 'n' ? '\n' : *p;
	}
	*to = '\0';
	return p + 1;
}

/* NAME="VALUE",... up to the brace; returns what is behind it, or NULL. */
static char *cut_labels(char *p, struct mesh_label *labels, size_t *n)
{
	for (p = skip_blanks(p); *p != '}'; p = skip_blanks(p)) {
		size_t len = strcspn(p, "=\" \t,{}");
		char *end = skip_blanks(p + len);

		if (!len || *end != '=' || *n == MAX_LABELS)
			return NULL;
		labels[*n].name = p;
		p[len] = '\0';
		p = cut_value(skip_blanks(end + 1), &labels[*n].value);
		if (!p)
			return NULL;
		++*n;
		p = skip_blanks(p);
		if (*p == ',')
			p++;
		else if (*p != '}')
			return NULL;
	}
	return p + 1;
}

static int read_line(char *line, struct mesh_samples *s, struct err *e)
{
	size_t len = strcspn(line, "{ \t"), n = 0;
	struct mesh_label labels[MAX_LABELS];
	char *p = skip_blanks(line + len);

	if (*p == '{') {
		line[len] = '\0';
		p = cut_labels(p + 1, labels, &n);
	}
	if (p)
		p = skip_blanks(p);
	if (!p || !*p)
		return err_set(e, -EINVAL, "a line of %s that cannot be read", MESH_METRIC);
	line[len] = '\0';
	p[strcspn(p, " \t\r")] = '\0';
	return mesh_sample_add(s, line, labels, n, p, e);
}

int mesh_text_read(const char *data, size_t len, struct mesh_samples *s, struct err *e)
{
	size_t name = strlen(MESH_METRIC), n;
	cleanup(strbuf_done) struct strbuf line = {};
	int r = 0;

	if (len > JSON_LOAD_BYTES)
		return err_set(e, -EFBIG, "more than %d MB", JSON_LOAD_BYTES >> 20);
	for (size_t at = 0; at < len && r >= 0; at += n + 1) {
		const char *start = data + at, *newline = memchr(start, '\n', len - at);

		n = newline ? (size_t)(newline - start) : len - at;
		if (n <= name || memcmp(start, MESH_METRIC, name))
			continue;
		if (memchr(start, '\0', n))
			return err_set(e, -EINVAL, "no text");
		strbuf_clear(&line);
		strbuf_add(&line, start, n);
		r = strbuf_failed(&line) ? err_set(e, -ENOMEM, "out of memory")
					 : read_line(line.data, s, e);
	}
	return r;
}
