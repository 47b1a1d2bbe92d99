// SPDX-License-Identifier: Apache-2.0
#include "agent/help.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define WIDTH	 80
#define HELP_COL 30 /* where the sentences about options start */

void help_wrap(struct strbuf *out, const char *text, const char *prefix, size_t column,
	       size_t width)
{
	bool first = true;

	while (*text) {
		size_t len = strcspn(text, " ");

		if (!first && column + 1 + len > width) {
			strbuf_putc(out, '\n');
			strbuf_puts(out, prefix);
			column = strlen(prefix);
		} else if (!first) {
			strbuf_putc(out, ' ');
			column++;
		}
		strbuf_add(out, text, len);
		column += len;
		first = false;
		text += len;
		text += strspn(text, " ");
	}
}

static void paragraph(struct strbuf *out, const char *text, const char *prefix)
{
	strbuf_puts(out, prefix);
	help_wrap(out, text, prefix, strlen(prefix), WIDTH);
	strbuf_putc(out, '\n');
}

static void option_line(struct strbuf *out, const struct opt *o)
{
	static const char indent[] = "                              ";
	char flag[OPT_NAME_MAX], text[256];
	size_t start = out->len, column;

	_Static_assert(sizeof(indent) - 1 == HELP_COL, "the indent is as wide as the column");
	if (o->letter)
		strbuf_printf(out, "  -%c, %s", o->letter, opt_flag_name(o, flag));
	else
		strbuf_printf(out, "      %s", opt_flag_name(o, flag));
	if (o->metavar)
		strbuf_printf(out, " %s", o->metavar);
	column = out->len - start;
	if (column + 2 > HELP_COL) {
		strbuf_printf(out, "\n%s", indent);
		column = HELP_COL;
	}
	for (; column < HELP_COL; column++)
		strbuf_putc(out, ' ');
	snprintf(text, sizeof(text), "%s%s%s%s", o->help,
		 o->metavar && o->fallback && *o->fallback ? " (default: " : "",
		 o->metavar && o->fallback ? o->fallback : "",
		 o->metavar && o->fallback && *o->fallback ? ")" : "");
	help_wrap(out, text, indent, column, WIDTH);
	strbuf_putc(out, '\n');
}

void help_command(const struct command *cmd, struct strbuf *out)
{
	strbuf_printf(out, "Usage: sonde %s [OPTION...]%s%s\n\n", cmd->name, *cmd->args ? " " : "",
		      cmd->args);
	paragraph(out, cmd->text, "");
	for (int group = 0; group < OPT_GROUP_MAX; group++) {
		bool titled = false;

		for (const struct opt *o = opts; o->key; o++) {
			if ((int)o->group != group || !(o->commands & 1U << cmd->id) ||
			    o->flags & OPT_HIDDEN)
				continue;
			if (!titled)
				strbuf_printf(out, "\n%s:\n", opt_groups[group]);
			titled = true;
			option_line(out, o);
		}
	}
	if (cmd->id <= COMMAND_PLAN)
		strbuf_puts(out,
			    "\nOptions can also be given in a file and in the environment: see "
			    "sonde(8).\n");
}

void help_program(struct strbuf *out)
{
	strbuf_puts(out, "Usage: sonde COMMAND [OPTION...]\n\n");
	paragraph(out,
		  "Shows where the time goes inside and between running programs, without touching "
		  "them: TCP conversations and HTTP requests of Go programs, by eBPF.",
		  "");
	strbuf_puts(out, "\nCommands:\n");
	for (const struct command *c = commands; c->name; c++) {
		char left[40];

		snprintf(left, sizeof(left), "%s%s%s", c->name, *c->args ? " " : "", c->args);
		strbuf_printf(out, "  %-20s%s\n", left, c->summary);
	}
	strbuf_putc(out, '\n');
	paragraph(out,
		  "Start with 'sudo sonde run'. The options of a command are in 'sonde COMMAND "
		  "--help', all of them and the exit statuses in sonde(8).",
		  "");
}

void help_example(struct strbuf *out)
{
	strbuf_printf(
		out,
		"# SPDX-License-Identifier: Apache-2.0\n"
		"# Settings of sonde: the defaults, commented out. It is read from\n"
		"# %s, or from where --config says.\n"
		"#\n"
		"# Environment variables and the command line go before this file. Nested maps\n"
		"# and dotted keys are the same: 'otlp: { endpoint: URL }' is\n"
		"# 'otlp.endpoint: URL'.\n",
		CONFIG_DEFAULT_PATH);
	for (int group = 0; group < OPT_GROUP_MAX; group++) {
		const char *quote;

		strbuf_printf(out, "\n# ---- %s ----\n", opt_groups[group]);
		for (const struct opt *o = opts; o->key; o++) {
			if ((int)o->group != group || o->flags & (OPT_NO_FILE | OPT_HIDDEN))
				continue;
			strbuf_puts(out, "\n# ");
			help_wrap(out, o->help, "# ", 2, WIDTH);
			quote = o->fallback && isalnum((unsigned char)*o->fallback) ? "" : "\"";
			strbuf_printf(out, "\n#%s: %s%s%s\n", o->key, quote,
				      o->fallback ? o->fallback : "", quote);
		}
	}
}

void help_print(const struct config *c, struct strbuf *out)
{
	const struct command *cmd = command_find(c->topic);

	if (c->man)
		help_man(out);
	else if (c->example)
		help_example(out);
	else if (cmd)
		help_command(cmd, out);
	else
		help_program(out);
}
