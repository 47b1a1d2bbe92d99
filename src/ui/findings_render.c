// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/cleanup.h"
#include "ui/findings.h"
#include "ui/text.h"

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

void findings_render(const struct findings *all, const struct terminal_style *style,
		     struct strbuf *out)
{
	if (!all->n)
		return;
	strbuf_putc(out, '\n');
	style_line(style, BOLD, "WHAT THE FIGURES SAY", out);
	for (size_t i = 0; i < all->n; i++)
		paragraph(all->list[i].text, style, out);
}
