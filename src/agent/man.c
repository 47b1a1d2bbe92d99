// SPDX-License-Identifier: Apache-2.0
#include "agent/help.h"

#include <string.h>

#include "base/cleanup.h"

/*
 * The manual page, in man(7) macros that groff and mandoc both read. Prose is here, what can go
 * stale comes from the tables: docs/sonde.8 is this text, and a test compares them.
 */
#define MAN_WIDTH 70
#define MAN_DATE  "2026-11-21"

/* Text as roff: what it would take for an escape or for a typographic hyphen is made plain. */
static void roff(struct strbuf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\\')
			strbuf_puts(out, "\\e");
		else if (text[i] == '-')
			strbuf_puts(out, "\\-");
		else
			strbuf_putc(out, text[i]);
	}
}

static void sentences(struct strbuf *out, const char *text)
{
	cleanup(strbuf_done) struct strbuf wrapped = {};

	help_wrap(&wrapped, text, "", 0, MAN_WIDTH);
	for (const char *line = strbuf_str(&wrapped); *line;) {
		size_t len = strcspn(line, "\n");

		if (*line == '.' || *line == '\'')
			strbuf_puts(out, "\\&");
		roff(out, line, len);
		strbuf_putc(out, '\n');
		line += len + (line[len] == '\n');
	}
}

static void section(struct strbuf *out, const char *title)
{
	strbuf_printf(out, ".SH %s\n", title);
}

static void commands_section(struct strbuf *out)
{
	section(out, "COMMANDS");
	for (const struct command *c = commands; c->name; c++) {
		strbuf_printf(out, ".TP\n.B %s", c->name);
		if (*c->args)
			strbuf_printf(out, " \\fR%s", c->args);
		strbuf_putc(out, '\n');
		sentences(out, c->text);
	}
}

static void names_of(struct strbuf *out, unsigned mask)
{
	const char *comma = "";

	for (const struct command *c = commands; c->name; c++) {
		if (!(mask & 1U << c->id))
			continue;
		strbuf_printf(out, "%s%s", comma, c->name);
		comma = ", ";
	}
}

/* The sentence on an option: help, default, more, where else it can be given. */
static void option_text(struct strbuf *out, const struct opt *o)
{
	cleanup(strbuf_done) struct strbuf text = {};
	char name[OPT_NAME_MAX];

	strbuf_printf(&text, "%c%s.",
		      o->help[0] >= 'a' && o->help[0] <= 'z' ? o->help[0] - 32 : o->help[0],
		      o->help + 1);
	if (o->metavar && o->fallback && *o->fallback)
		strbuf_printf(&text, " Default: %s.", o->fallback);
	if (o->text)
		strbuf_printf(&text, " %s", o->text);
	sentences(out, strbuf_str(&text));
	strbuf_clear(&text);
	strbuf_puts(&text, "(");
	if (o->commands == (1U << COMMAND_MAX) - 1)
		strbuf_puts(&text, "all commands");
	else
		names_of(&text, o->commands);
	if (!(o->flags & OPT_NO_FILE))
		strbuf_printf(&text, "; file: %s", o->key);
	if (!(o->flags & OPT_NO_ENV))
		strbuf_printf(&text, "; environment: %s", opt_variable(o, name));
	for (size_t i = 0; i < ARRAY_SIZE(o->env) && o->env[i].name; i++)
		strbuf_printf(&text, ", %s%s", o->env[i].name,
			      o->env[i].form == OPT_ENV_MILLISECONDS ? " in milliseconds" : "");
	strbuf_puts(&text, ")");
	strbuf_puts(out, ".br\n");
	sentences(out, strbuf_str(&text));
}

static void options_section(struct strbuf *out)
{
	char flag[OPT_NAME_MAX];

	section(out, "OPTIONS");
	sentences(
		out,
		"Options may stand before or behind arguments, as --key VALUE, --key=VALUE or, "
		"where "
		"there is a letter, -k VALUE. Durations are written 250ms, 10s, 1m30s, or as plain "
		"seconds.");
	for (int group = 0; group < OPT_GROUP_MAX; group++) {
		strbuf_printf(out, ".SS %s\n", opt_groups[group]);
		for (const struct opt *o = opts; o->key; o++) {
			if ((int)o->group != group || o->flags & OPT_HIDDEN)
				continue;
			strbuf_puts(out, ".TP\n.B ");
			if (o->letter)
				strbuf_printf(out, "\\-%c\\fR, \\fB", o->letter);
			opt_flag_name(o, flag);
			roff(out, flag, strlen(flag));
			if (o->metavar)
				strbuf_printf(out, " \\fI%s", o->metavar);
			strbuf_putc(out, '\n');
			option_text(out, o);
		}
	}
}

static void settings_section(struct strbuf *out)
{
	section(out, "SETTINGS");
	sentences(
		out,
		"Every setting is taken from the first of these that has it: the command line, the "
		"environment, the file, the default. sudo(8) drops the environment; flags and the "
		"file "
		"say everything that variables can say.");
	strbuf_puts(out, ".PP\n");
	sentences(
		out,
		"The file is YAML: keys and values, nested maps or dotted keys as you like, lists "
		"where a list is asked for. A key that sonde does not know is an error, and so is "
		"a value that makes no sense, also where a stronger place has said otherwise.");
	strbuf_puts(
		out,
		".PP\n.RS 4\n.nf\nlisten: 127.0.0.1:9477\nprobes: [tcp, http]\notlp:\n  endpoint: "
		"http://localhost:4318\n  interval: 10s\n.fi\n.RE\n.PP\n");
	sentences(out, "Of the environment, sonde reads SONDE_ and the key in capitals with _ for "
		       "each dot, and "
		       "the variables of OpenTelemetry that are named above, as their "
		       "specification says. An "
		       "empty variable is an unset one.");
}

static void files_section(struct strbuf *out)
{
	section(out, "FILES");
	strbuf_puts(out, ".TP\n.I " CONFIG_DEFAULT_PATH "\n");
	sentences(out, "Settings, read if it is there and may be read.");
	section(out, "EXIT STATUS");
	for (int i = 0; i < STATUS_MAX; i++) {
		strbuf_printf(out, ".TP\n.B %d\n", i);
		sentences(out, exit_statuses[i]);
	}
}

static void examples_section(struct strbuf *out)
{
	/* clang-format off */
	static const struct { const char *line, *text; } examples[] = {
		{ "sudo sonde run",
		  "Shows the conversations and requests of this machine, and serves them at "
		  "http://127.0.0.1:9477/metrics." },
		{ "sudo sonde run --otlp.endpoint http://collector:4318 --otlp.interval 10s",
		  "Sends them to an OpenTelemetry Collector as well." },
		{ "sudo sonde report tcp --duration 1m --output tcp.json",
		  "Measures TCP for a minute." },
		{ "sudo sonde trace tcp --slower-than 10ms",
		  "Shows each TCP exchange that takes ten milliseconds or more, and each connection "
		  "that cannot be made." },
		{ "sonde compare before.json after.json",
		  "Puts two such documents side by side, and marks what they cannot tell." },
		{ "sonde compare tcp.json --mesh http://localhost:9090",
		  "Puts beside them what a service mesh measured in the same time." },
		{ "sonde plan --pid 812", "Says what would be attached to process 812, and why." },
	};
	/* clang-format on */
	section(out, "EXAMPLES");
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		strbuf_puts(out, ".TP\n.B ");
		roff(out, examples[i].line, strlen(examples[i].line));
		strbuf_putc(out, '\n');
		sentences(out, examples[i].text);
	}
}

void help_man(struct strbuf *out)
{
	strbuf_puts(
		out,
		".\\\" SPDX-License-Identifier: Apache-2.0\n"
		".\\\" Printed by 'sonde help --man' from the tables of the program: do not edit.\n"
		".TH SONDE 8 " MAN_DATE " \"sonde " SONDE_VERSION "\" \"System Administration\"\n");
	section(out, "NAME");
	strbuf_puts(out,
		    "sonde \\- show where the time goes inside and between running programs\n");
	section(out, "SYNOPSIS");
	strbuf_puts(out, ".B sonde\n.I COMMAND\n[\\fIOPTION\\fR...] [\\fIARGUMENT\\fR...]\n");
	section(out, "DESCRIPTION");
	sentences(out,
		  "sonde measures TCP conversations and the HTTP requests of Go programs from "
		  "outside, by "
		  "eBPF: no program is changed, restarted or configured. What it sees is added up "
		  "in the "
		  "kernel, and leaves as Prometheus text, OTLP, JSON, and a summary for people. "
		  "Every "
		  "event is either in a figure or in a counter of losses that stands next to it.");
	commands_section(out);
	options_section(out);
	settings_section(out);
	files_section(out);
	examples_section(out);
	section(out, "SEE ALSO");
	strbuf_puts(out, ".BR bpftool (8),\n.BR ss (8)\n");
}
