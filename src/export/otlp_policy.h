/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "export/export.h"

/* What the OTLP exporter specification says about URLs, headers and retries. Pure. */

/*
 * The URL to send a signal to: its @own endpoint as it is, or the @base endpoint with @path
 * ("v1/metrics") behind it. The caller frees; *@ret is NULL when neither is set. -ENOMEM.
 */
int otlp_url(const char *base, const char *own, const char *path, char **ret);

/*
 * Calls @add for each pair of @list, "key=value,key=value", percent-decoded and without blanks
 * around. Stops at the first negative result. -EINVAL with a sentence that does not repeat values,
 * which are often secrets.
 */
int otlp_headers(const char *list, int (*add)(void *arg, const char *key, const char *value),
		 void *arg, struct err *e);

/* Whether a request that ended in @status (0: in no answer at all) may be tried again early. */
bool otlp_is_retryable(int status);

/*
 * How long to wait after the @n_failed'th failure in a row: as @retry_after says (seconds or an
 * HTTP-date, at most an hour; NULL when the receiver said nothing), else from 1 s on twice as long
 * each time up to @interval_ns, of which @random takes off up to a half.
 */
uint64_t otlp_retry_delay_ns(unsigned n_failed, const char *retry_after, uint64_t wall_ns,
			     uint64_t interval_ns, uint32_t random);

/* What a person can do about @status (0: no answer) of a signal with @path: the end of a sentence. */
const char *otlp_cure(int status, const char *path);
