// SPDX-License-Identifier: Apache-2.0
#include "agent/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/command_line.h"
#include "agent/config_file.h"
#include "agent/options_value.h"
#include "agent/suggest.h"
#include "base/cleanup.h"
#include "base/strbuf.h"

static bool same_key(const char *key, const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len && key[i]; i++)
		if (text[i] != key[i] && !(text[i] == '-' && key[i] == '_'))
			return false;
	return i == len && !key[i];
}

const struct opt *opt_find_n(const char *text, size_t len)
{
	for (const struct opt *o = opts; o->key; o++)
		if (same_key(o->key, text, len))
			return o;
	return NULL;
}

const struct opt *opt_find(const char *key)
{
	return opt_find_n(key, strlen(key));
}

const struct command *command_find(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

const char *opt_flag_name(const struct opt *o, char buf[OPT_NAME_MAX])
{
	snprintf(buf, OPT_NAME_MAX, "--%s", o->key);
	for (char *p = buf; *p; p++)
		*p = *p == '_' ? '-' : *p;
	return buf;
}

const char *opt_variable(const struct opt *o, char buf[OPT_NAME_MAX])
{
	snprintf(buf, OPT_NAME_MAX, "SONDE_%s", o->key);
	for (char *p = buf; *p; p++)
		*p = *p == '.' ? '_' : (char)toupper((unsigned char)*p);
	return buf;
}

/* The value of @o as it came from @layer; kept unless a stronger layer has spoken. */
static int set_option(struct config *c, const struct opt *o, const char *text,
		      enum opt_env_form form, enum layer layer, const char *origin, struct err *e)
{
	cleanup(opt_value_done) struct opt_value v = {};
	uint8_t *set_by = &c->layer[o - opts];
	int r = opt_read(o, text, form, origin, &v, e);

	if (r < 0 || *set_by > layer)
		return r;
	*set_by = layer;
	opt_store(o, &v, c);
	return 0;
}

/* A choice that is given again is a longer list, as if it had been written with a comma. */
static const char *joined(const struct config *c, const struct given *g, struct strbuf *buf)
{
	const char *before = *(const char *const *)((const char *)c + g->opt->offset);

	if (g->opt->type < OPT_PORTS || g->opt->type >= OPT_NUMBER ||
	    c->layer[g->opt - opts] != LAYER_FLAG || !before || !*before)
		return g->value;
	strbuf_printf(buf, "%s,%s", before, g->value);
	return strbuf_str(buf);
}

static int apply_flags(const struct line *l, const struct command *cmd, struct config *c,
		       struct err *e)
{
	char name[OPT_NAME_MAX];

	for (size_t i = 0; i < l->n_given; i++) {
		const struct given *g = &l->given[i];
		cleanup(strbuf_done) struct strbuf list = {};
		int r;

		if (!command_has(cmd, g->opt))
			return line_unknown(opt_flag_name(g->opt, name), cmd, e);
		r = set_option(c, g->opt, joined(c, g, &list), OPT_ENV_PLAIN, LAYER_FLAG,
			       g->spelled[1] == '-' ? opt_flag_name(g->opt, name)
						    : (char[]){ '-', g->opt->letter, 0 },
			       e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* For an argument that makes no sense and may be split off from a secret: it is not shown. */
static int unquoted(struct err *e)
{
	return err_set(e, -EINVAL,
		       "an argument behind --otlp.headers makes no sense: should the "
		       "headers be in quotes?");
}

static int apply_files(const struct line *l, struct config *c, struct err *e)
{
	for (size_t i = 1; i < l->n_words; i++) {
		c->files[i - 1] = strdup(l->words[i]);
		if (!c->files[i - 1])
			return err_set(e, -ENOMEM, "out of memory");
	}
	return 0;
}

static int apply_words(const struct line *l, const struct command *cmd, struct config *c,
		       struct err *e)
{
	cleanup(strbuf_done) struct strbuf probes = {};
	int r;

	if (l->n_words > cmd->max_args + 1) {
		if (l->after_secret)
			return unquoted(e);
		return err_set(e, -EINVAL, "'%s' does not take '%.60s'. See 'sonde %s --help'",
			       cmd->name, l->words[cmd->max_args + 1], cmd->name);
	}
	if (l->n_words < 2)
		return 0;
	if (cmd->takes == ARGS_FILES)
		return apply_files(l, c, e);
	if (cmd->takes == ARGS_COMMAND) {
		if (!command_find(l->words[1]))
			return err_set(e, -EINVAL, "unknown command '%.60s'. See 'sonde --help'",
				       l->words[1]);
		c->topic = strdup(l->words[1]);
		return c->topic ? 0 : err_set(e, -ENOMEM, "out of memory");
	}
	for (size_t i = 1; i < l->n_words; i++) {
		if (i > 1)
			strbuf_putc(&probes, ',');
		strbuf_puts(&probes, l->words[i]);
	}
	if (strbuf_failed(&probes))
		return err_set(e, -ENOMEM, "out of memory");
	c->perhaps_secret = l->after_secret;
	r = set_option(c, opt_find("probes"), strbuf_str(&probes), OPT_ENV_PLAIN, LAYER_FLAG,
		       "argument", e);
	return r == -EINVAL && l->after_secret ? unquoted(e) : r;
}

/* ---- environment, file, defaults ---- */

/* The value of @name in @env; NULL if it is unset or empty, which is the same by OpenTelemetry. */
static const char *variable(char *const *env, const char *name)
{
	size_t len = strlen(name);

	for (; env && *env; env++)
		if (!strncmp(*env, name, len) && (*env)[len] == '=')
			return (*env)[len + 1] ? *env + len + 1 : NULL;
	return NULL;
}

static int apply_env(char *const *env, const struct command *cmd, struct config *c, struct err *e)
{
	char own[OPT_NAME_MAX];

	for (const struct opt *o = opts; o->key; o++) {
		struct opt_env from[] = {
			{ opt_variable(o, own) }, o->env[0], o->env[1], o->env[2]
		};
		const char *value = NULL;
		int r = 0;

		if (!command_has(cmd, o) || o->flags & OPT_NO_ENV || c->layer[o - opts] > LAYER_ENV)
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(from) && !value && from[i].name; i++) {
			value = variable(env, from[i].name);
			if (value)
				r = set_option(c, o, value, from[i].form, LAYER_ENV, from[i].name,
					       e);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

struct file_pass {
	struct config *c;
	const struct command *cmd;
	bool seen[MAX_OPTS];
};

static bool is_group(const char *key)
{
	size_t len = strlen(key);

	for (const struct opt *o = opts; o->key; o++)
		if (!strncmp(o->key, key, len) && o->key[len] == '.')
			return true;
	return false;
}

static int unknown_key(const struct config_entry *entry, struct err *e)
{
	struct suggest s = { .word = entry->key };

	for (const struct opt *o = opts; o->key; o++)
		if (!(o->flags & (OPT_NO_FILE | OPT_HIDDEN)))
			suggest_offer(&s, o->key);
	return err_set(e, -EINVAL, "%s: unknown key '%s'%s%s%s", entry->origin, entry->key,
		       s.best ? ": did you mean '" : "", s.best ? s.best : "", s.best ? "'?" : "");
}

static int apply_entry(void *arg, const struct config_entry *entry, struct err *e)
{
	struct file_pass *pass = arg;
	const struct opt *o = opt_find(entry->key);
	cleanup(opt_value_done) struct opt_value v = {};

	if (!o && !entry->value && is_group(entry->key))
		return 0;
	if (!o || o->flags & OPT_NO_FILE)
		return unknown_key(entry, e);
	if (pass->seen[o - opts])
		return err_set(e, -EINVAL, "%s: '%s' is given twice", entry->origin, o->key);
	pass->seen[o - opts] = true;
	if (!entry->value)
		return 0;
	if (entry->is_list && (o->type < OPT_NAMES || o->type >= OPT_NUMBER) && o->type != OPT_SET)
		return err_set(e, -EINVAL, "%s: '%s' wants one value, not a list", entry->origin,
			       o->key);
	if (!command_has(pass->cmd, o))
		return opt_read(o, entry->value, OPT_ENV_PLAIN, entry->origin, &v, e);
	return set_option(pass->c, o, entry->value, OPT_ENV_PLAIN, LAYER_FILE, entry->origin, e);
}

static int apply_file(const struct command *cmd, struct config *c, struct err *e)
{
	struct file_pass pass = { .c = c, .cmd = cmd };
	struct err error;
	int r;

	if (!command_has(cmd, opt_find("config")))
		return 0;
	if (c->config_file)
		return config_read(c->config_file, apply_entry, &pass, e);
	/* A file with secrets is root's alone; what needs no root shall not need the file either. */
	r = config_read(CONFIG_DEFAULT_PATH, apply_entry, &pass, &error);
	if (r == -ENOENT || r == -ENOTDIR || r == -EACCES)
		return 0;
	if (r < 0)
		return err_set(e, r, "%s", error.msg);
	c->config_file = strdup(CONFIG_DEFAULT_PATH);
	return c->config_file ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int apply_defaults(struct config *c, struct err *e)
{
	for (const struct opt *o = opts; o->key; o++) {
		int r = 0;

		if (o->fallback && !c->layer[o - opts])
			r = set_option(c, o, o->fallback, OPT_ENV_PLAIN, LAYER_DEFAULT, "default",
				       e);
		if (r < 0)
			return r;
	}
	if (!c->topic)
		c->topic = strdup("");
	return c->topic ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static enum layer layer_of(const struct config *c, const char *key)
{
	return c->layer[opt_find(key) - opts];
}

/* Whether what @base says of all signals is said in a stronger place than what @own says of one. */
static bool overrules(const struct config *c, const char *base, const char *own)
{
	return layer_of(c, base) > layer_of(c, own);
}

/* The same, of two that are alike. The variables for all signals are read for both of them, so one
 * that @base alone has is that of metrics. */
static bool replaces(const struct config *c, const char *base, const char *own)
{
	return layer_of(c, base) != LAYER_ENV && overrules(c, base, own);
}

/* What is said of one signal is the more special, but a flag is not overruled by a variable, nor a
 * variable by a file. */
static int settle_signals(struct config *c, struct err *e)
{
	if (overrules(c, "otlp.endpoint", "otlp.metrics_endpoint"))
		c->otlp_metrics_endpoint[0] = '\0';
	if (overrules(c, "otlp.endpoint", "otlp.logs_endpoint"))
		c->otlp_logs_endpoint[0] = '\0';
	if (replaces(c, "otlp.timeout", "otlp.logs_timeout"))
		c->otlp_logs_timeout_ns = c->otlp_timeout_ns;
	if (!replaces(c, "otlp.headers", "otlp.logs_headers"))
		return 0;
	free(c->otlp_logs_headers);
	c->otlp_logs_headers = strdup(c->otlp_headers);
	return c->otlp_logs_headers ? 0 : err_set(e, -ENOMEM, "out of memory");
}

int options_parse(int argc, char *const *argv, char *const *env, const struct command **ret_cmd,
		  struct config *c, struct err *e)
{
	cleanup(line_done) struct line line = {};
	const struct command *cmd = NULL;
	int r = line_split(argc, argv, &line, e);

	if (r >= 0)
		r = line_command(&line, &cmd, e);
	if (r >= 0)
		r = apply_flags(&line, cmd, c, e);
	if (r >= 0)
		r = apply_words(&line, cmd, c, e);
	if (r >= 0 && c->version)
		cmd = &commands[COMMAND_VERSION];
	if (r >= 0 && c->help && cmd->id != COMMAND_HELP) {
		c->topic = strdup(cmd->name);
		cmd = &commands[COMMAND_HELP];
	}
	if (r >= 0)
		r = apply_env(env, cmd, c, e);
	if (r >= 0)
		r = apply_file(cmd, c, e);
	if (r >= 0)
		r = apply_defaults(c, e);
	if (r < 0)
		return r;
	*ret_cmd = cmd;
	return settle_signals(c, e);
}

void config_done(struct config *c)
{
	for (const struct opt *o = opts; o->key; o++)
		if (o->type < OPT_NUMBER)
			free(*(char **)((char *)c + o->offset));
	free(c->topic);
	for (size_t i = 0; i < MAX_FILES; i++)
		free(c->files[i]);
	*c = (struct config){};
}

/* ---- probes ---- */

static bool list_has(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (; *list; list += strcspn(list, ","), list += *list == ',')
		if (strcspn(list, ",") == len && !strncmp(list, name, len))
			return true;
	return false;
}

bool config_wants_probe(const struct config *c, const char *probe)
{
	return !*c->probes || list_has(c->probes, probe);
}

int config_check_probes(const struct config *c, const char *const *known, struct err *e)
{
	for (const char *p = c->probes; *p; p += strcspn(p, ","), p += *p == ',') {
		char name[OPT_NAME_MAX];
		struct suggest s = { .word = name };
		const char *const *k;

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(p, ","), p);
		for (k = known; *k && strcmp(*k, name); k++)
			suggest_offer(&s, *k);
		if (*k)
			continue;
		if (c->perhaps_secret)
			return unquoted(e);
		return err_set(e, -EINVAL, "there is no probe '%s'%s%s%s See 'sonde list'", name,
			       s.best ? ": did you mean '" : "", s.best ? s.best : "",
			       s.best ? "'?" : ".");
	}
	return 0;
}
