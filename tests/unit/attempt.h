/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdio.h>
#include <string.h>

#include "agent/options.h"

#define MAX_WORDS 12

/* One parse of a command line written with blanks, in a given environment; the settings of the
 * machine that runs the test are kept out. */
struct attempt {
	struct config c;
	const struct command *cmd;
	struct err e;
	int r;
};

static inline void parse(struct attempt *t, const char *line, char *const *env)
{
	char words[512], *argv[MAX_WORDS] = { (char[]){ "sonde" } }, *save = words, *word;
	char *with_config[MAX_WORDS] = { (char[]){ "SONDE_CONFIG=/dev/null" } };
	int argc = 1;

	for (size_t i = 0; env && env[i] && i < MAX_WORDS - 2; i++)
		with_config[i + 1] = env[i];
	config_done(&t->c);
	*t = (struct attempt){};
	snprintf(words, sizeof(words), "%s", line);
	while ((word = strsep(&save, " ")) && *word && argc < MAX_WORDS - 1)
		argv[argc++] = word;
	t->r = options_parse(argc, argv, with_config, &t->cmd, &t->c, &t->e);
}
