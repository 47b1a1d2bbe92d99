// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "ui/findings.h"
#include "ui/text.h"

/* What a person reads before the prompt; a document has more. */
#define MAX_SHOWN 10

/* How much of @text goes on a line of @width columns: up to a blank, if there is one. */
static size_t line_length(const char *text, size_t width)
{
	size_t len = strlen(text), at = width;

	if (len <= width)
		return len;
	while (at && text[at] != ' ')
		at--;
	return at ? at : width;
}

static void paragraph(const char *text, const struct terminal_style *style, struct strbuf *out)
{
	cleanup(strbuf_done) struct strbuf line = {};
	const char *mark = "- ";

	while (*text) {
		size_t n = line_length(text, style->width - 2);

		strbuf_clear(&line);
		strbuf_printf(&line, "%s%.*s", mark, (int)n, text);
		style_line(style, "", strbuf_str(&line), out);
		text += n;
		text += strspn(text, " ");
		mark = "  ";
	}
}

/* How many findings before @i are of its kind. */
static size_t rank_of(const struct findings *all, size_t i)
{
	size_t n = 0;

	while (n < i && !strcmp(all->list[i - n - 1].kind, all->list[i].kind))
		n++;
	return n;
}

/* Adds all of rank up to @most; returns how many they are. @out NULL: counts only. */
static size_t paragraphs(const struct findings *all, size_t most,
			 const struct terminal_style *style, struct strbuf *out)
{
	size_t n = 0;

	for (size_t i = 0; i < all->n; i++) {
		if (rank_of(all, i) >= most)
			continue;
		n++;
		if (out)
			paragraph(all->list[i].text, style, out);
	}
	return n;
}

void findings_render(const struct findings *all, const struct terminal_style *style,
		     struct strbuf *out)
{
	size_t most = 1, rest;
	char more[80];

	if (!all->n)
		return;
	strbuf_putc(out, '\n');
	style_line(style, BOLD, "WHAT THE FIGURES SAY", out);
	while (most < MAX_SHOWN && paragraphs(all, most + 1, style, NULL) <= MAX_SHOWN)
		most++;
	rest = all->n + all->omitted - paragraphs(all, most, style, out);
	if (!rest)
		return;
	snprintf(more, sizeof(more), "And %zu more: the worst of each kind are above.", rest);
	paragraph(more, style, out);
}
