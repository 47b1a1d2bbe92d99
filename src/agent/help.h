/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/options.h"
#include "base/strbuf.h"

/* What `sonde help` prints with these settings: one command's help, the program's, the manual page
 * or the example file. At most 80 columns. */
void help_print(const struct config *c, struct strbuf *out);

void help_program(struct strbuf *out);
void help_command(const struct command *cmd, struct strbuf *out);

/* docs/sonde.yaml: every setting with its default, commented out. */
void help_example(struct strbuf *out);

/* docs/sonde.8: man.c. */
void help_man(struct strbuf *out);

/* Adds @text, broken between words so that no line is longer than @width, each but the first behind
 * @prefix; @column is where the first one starts. Ends without a newline. */
void help_wrap(struct strbuf *out, const char *text, const char *prefix, size_t column,
	       size_t width);
