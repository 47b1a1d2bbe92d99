// SPDX-License-Identifier: Apache-2.0
#include "agent/command_line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>

#include "agent/suggest.h"

void line_done(struct line *l)
{
	free(l->given);
	free(l->words);
}

bool command_has(const struct command *cmd, const struct opt *o)
{
	return o->commands & 1U << cmd->id;
}

int line_unknown(const char *word, const struct command *cmd, struct err *e)
{
	char best[OPT_NAME_MAX] = "";
	char name[OPT_NAME_MAX];
	struct suggest s = { .word = name };

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	for (const struct opt *o = opts; word[1] == '-' && o->key; o++)
		if (!(o->flags & OPT_HIDDEN) && (!cmd || command_has(cmd, o)))
			suggest_offer(&s, o->key);
	if (s.best)
		opt_flag_name(opt_find(s.best), best);
	return err_set(e, -EINVAL, "unknown option %.*s%s%s%s%s%s%s See 'sonde%s%s --help'",
		       (int)strcspn(word, "=") > 60 ? 60 : (int)strcspn(word, "="), word,
		       cmd ? " for '" : "", cmd ? cmd->name : "", cmd ? "'" : "",
		       s.best ? ": did you mean " : "", best, s.best ? "?" : ".", cmd ? " " : "",
		       cmd ? cmd->name : "");
}

/* The option that @word spells; *@ret_value is what is joined to it, or NULL. */
static const struct opt *match(const char *word, const char **ret_value)
{
	size_t len = strcspn(word, "=");

	*ret_value = NULL;
	if (word[1] == '-') {
		if (word[len])
			*ret_value = word + len + 1;
		return opt_find_n(word + 2, len - 2);
	}
	for (const struct opt *o = opts; o->key; o++) {
		if (o->letter != word[1])
			continue;
		if (word[2])
			*ret_value = word + 2 + (word[2] == '=');
		return o;
	}
	return NULL;
}

/* The command may stand behind options; sentences about them should still name it. */
static const struct command *guess_command(const struct line *l, char *const *rest)
{
	if (l->n_words)
		return command_find(l->words[0]);
	for (; *rest; rest++)
		if (command_find(*rest))
			return command_find(*rest);
	return NULL;
}

int line_split(int argc, char *const *argv, struct line *l, struct err *e)
{
	const char *word, *value;
	bool only_words = false, secret = false;

	l->given = calloc((size_t)argc + 1, sizeof(*l->given));
	l->words = calloc((size_t)argc + 1, sizeof(*l->words));
	if (!l->given || !l->words)
		return err_set(e, -ENOMEM, "out of memory");
	for (int i = 1; i < argc; i++) {
		word = argv[i];
		if (only_words || word[0] != '-' || !word[1]) {
			l->after_secret |= secret;
			l->words[l->n_words++] = word;
			continue;
		}
		if (!strcmp(word, "--")) {
			only_words = true;
			continue;
		}
		const struct opt *o = match(word, &value);

		if (!o)
			return line_unknown(word, guess_command(l, argv + i + 1), e);
		secret = o->flags & OPT_SECRET;
		if (!value && o->type == OPT_BOOL)
			value = "true";
		if (!value && i + 1 < argc)
			value = argv[++i];
		if (!value)
			return err_set(e, -EINVAL, "%s wants a value, %s: %s", word, o->metavar,
				       o->help);
		l->given[l->n_given++] = (struct given){ o, value, word };
	}
	return 0;
}

int line_command(const struct line *l, const struct command **ret, struct err *e)
{
	struct suggest s = {};

	if (!l->n_words) {
		for (size_t i = 0; i < l->n_given; i++)
			if (!strcmp(l->given[i].opt->key, "help"))
				*ret = &commands[COMMAND_HELP];
			else if (!strcmp(l->given[i].opt->key, "version"))
				*ret = &commands[COMMAND_VERSION];
		return *ret ? 0 : err_set(e, -EINVAL, "no command given. See 'sonde --help'");
	}
	*ret = command_find(l->words[0]);
	if (*ret)
		return 0;
	s.word = l->words[0];
	for (const struct command *c = commands; c->name; c++)
		suggest_offer(&s, c->name);
	return err_set(e, -EINVAL, "unknown command '%.60s'%s%s%s See 'sonde --help'", s.word,
		       s.best ? ": did you mean '" : "", s.best ? s.best : "", s.best ? "'?" : ".");
}
