/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/options.h"

/*
 * A value that was read and found good, not yet stored. One of them is set, by the option's type.
 */
struct opt_value {
	char *text; /* owned */
	uint64_t number;
};

/*
 * Reads @text as @o wants it. @origin says where it came from ("--tier", "sonde.yaml:3",
 * "OTEL_SERVICE_NAME"). -EINVAL with a sentence that names key, origin, value (unless secret) and
 * what is accepted; -ENOMEM.
 */
int opt_read(const struct opt *o, const char *text, enum opt_env_form form, const char *origin,
	     struct opt_value *ret, struct err *e);

/* Moves @v into @c and empties it. */
void opt_store(const struct opt *o, struct opt_value *v, struct config *c);

void opt_value_done(struct opt_value *v);

/* "10s", "1m30s", "1.5s", "250ms", "90" (seconds) to nanoseconds. -EINVAL, -ERANGE. */
int duration_parse(const char *text, uint64_t *ret_ns);

/* The shortest exact form of @ns, such as "1m30s". Returns @buf. */
#define DURATION_TEXT_MAX 64
const char *duration_text(uint64_t ns, char buf[DURATION_TEXT_MAX]);
