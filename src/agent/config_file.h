/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/*
 * A file of settings: YAML maps whose values are text or lists of text. Nested maps and dotted keys
 * are the same: "otlp: { endpoint: x }" is "otlp.endpoint: x". Aliases, tags and a second document
 * are refused; so are control characters and anything beyond these bounds.
 */
#define CONFIG_FILE_MAX	 (64 * 1024)
#define CONFIG_DEPTH_MAX 4
#define CONFIG_KEY_MAX	 64

struct config_entry {
	const char *key;   /* dotted */
	const char *value; /* items of a list are joined by commas; NULL: given without a value */
	bool is_list;
	const char *origin; /* "sonde.yaml:3" */
};

/* Takes one entry, borrowed for the call; a negative errno with a sentence stops the reading. */
typedef int (*config_set)(void *arg, const struct config_entry *entry, struct err *e);

/*
 * Hands every entry of @text to @set, in the order of the file. @name stands for the file in
 * sentences. -EINVAL: not what is described above; -EFBIG; -ENOMEM; what @set returned. Pure but
 * for @set, bounded in time and memory for any @text.
 */
int config_parse(const char *text, size_t len, const char *name, config_set set, void *arg,
		 struct err *e);

/*
 * The same for the file at @path. Also what opening and reading it returned: -ENOENT, -EACCES ...
 */
int config_read(const char *path, config_set set, void *arg, struct err *e);
