// SPDX-License-Identifier: Apache-2.0
#include "agent/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/help.h"
#include "agent/list.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "export/export.h"
#include "probe/run.h"
#include "world/inspector.h"

#define MAX_PROBES 32

static enum exit_status (*const handlers[COMMAND_MAX])(const struct config *c) = {
	[COMMAND_RUN] = command_run,	     [COMMAND_REPORT] = command_report,
	[COMMAND_TRACE] = command_trace,     [COMMAND_DOCTOR] = command_doctor,
	[COMMAND_PLAN] = command_plan,	     [COMMAND_LIST] = command_list,
	[COMMAND_VERSION] = command_version, [COMMAND_HELP] = command_help,
	[COMMAND_COMPARE] = command_compare,
};

enum exit_status status_of(int error)
{
	switch (error) {
	case -EPERM:
	case -EACCES:
		return STATUS_NOT_PERMITTED;
	case -ENOTSUP:
		return STATUS_NOTHING_WORKS;
	default:
		return STATUS_FAILED;
	}
}

bool use_color_on(const struct config *c, int fd)
{
	if (c->color == COLOR_AUTO)
		return isatty(fd);
	return c->color == COLOR_ALWAYS;
}

bool use_color(const struct config *c)
{
	return use_color_on(c, STDOUT_FILENO);
}

static enum exit_status print(struct strbuf *out)
{
	bool ok = !strbuf_failed(out) && fwrite(strbuf_str(out), 1, out->len, stdout) == out->len &&
		  fflush(stdout) == 0;

	strbuf_done(out);
	if (ok)
		return STATUS_OK;
	log_error("cannot write to standard output: %s", strerror(errno));
	return STATUS_FAILED;
}

enum exit_status command_help(const struct config *c)
{
	struct strbuf out = {};

	help_print(c, &out);
	return print(&out);
}

enum exit_status command_version(const struct config *c)
{
	struct strbuf out = {};

	strbuf_printf(&out, c->json ? "{\"version\":\"%s\"}\n" : "sonde %s\n", SONDE_VERSION);
	return print(&out);
}

enum exit_status command_list(const struct config *c)
{
	struct list_entry entries[MAX_PROBES];
	struct strbuf out = {};
	size_t n = 0;

	for (size_t i = 0; probes[i] && n < MAX_PROBES - 2; i++)
		if (config_wants_probe(c, probes[i]->name))
			entries[n++] = (struct list_entry){ probes[i]->name, probes[i]->summary,
							    probes[i]->metrics };
	entries[n++] = (struct list_entry){ "sonde", "what became of the events of all probes",
					    probe_run_metrics };
	entries[n++] = (struct list_entry){ "export", "how the exporters fare", export_metrics };
	if (list_print(entries, n, c->json, &out) < 0)
		log_error("out of memory");
	return print(&out);
}

static int parse(int argc, char **argv, char **env, const struct command **cmd, struct config *c,
		 struct err *e)
{
	const char *names[MAX_PROBES + 1];
	size_t n = 0;
	int r = options_parse(argc, argv, env, cmd, c, e);

	if (r < 0)
		return r;
	while (probes[n] && n < MAX_PROBES) {
		names[n] = probes[n]->name;
		n++;
	}
	names[n] = NULL;
	return config_check_probes(c, names, e);
}

int sonde_main(int argc, char **argv, char **env)
{
	const struct command *cmd = NULL;
	enum exit_status status;
	struct config c = {};
	struct err e = {};
	int r;

	/* Before anything is read that the helper has no use for. */
	inspector_main(argc, argv);
	r = parse(argc, argv, env, &cmd, &c, &e);
	if (r < 0) {
		fprintf(stderr, "sonde: %s\n", e.msg);
		status = r == -ENOMEM ? STATUS_FAILED : STATUS_WRONG_USE;
	} else {
		log_set_level(c.log_level);
		status = handlers[cmd->id](&c);
	}
	config_done(&c);
	return (int)status;
}
