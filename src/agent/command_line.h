/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/options.h"

/*
 * The words of a command line, told apart before any of them is believed. Options may stand before
 * or behind the command and its arguments, as --key VALUE, --key=VALUE, -k VALUE or -kVALUE,
 * spelled out; "--" ends them. Borrows from argv.
 */
struct line {
	struct given {
		const struct opt *opt;
		const char *value;
		const char *spelled; /* as it stood there: "-p", "--max-series=9" */
	} * given;
	size_t n_given;
	const char **words; /* the command and its arguments */
	size_t n_words;
	bool after_secret; /* an argument follows a secret value: it may be a part of it */
};

/* Fills the zeroed *@l; line_done() is due either way. -EINVAL with a sentence; -ENOMEM. */
int line_split(int argc, char *const *argv, struct line *l, struct err *e);
void line_done(struct line *l);

/* The command that the line asks for. -EINVAL with a sentence. */
int line_command(const struct line *l, const struct command **ret, struct err *e);

/* -EINVAL: the sentence about an option @word that @cmd (or, with NULL, sonde) does not have. */
int line_unknown(const char *word, const struct command *cmd, struct err *e);

bool command_has(const struct command *cmd, const struct opt *o);
