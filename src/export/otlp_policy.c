// SPDX-License-Identifier: Apache-2.0
#include "export/otlp_policy.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define MAX_RETRY_AFTER_NS (3600 * NSEC_PER_SEC)

int otlp_url(const char *base, const char *own, const char *path, char **ret)
{
	const char *slash = *base && base[strlen(base) - 1] == '/' ? "" : "/";
	int r;

	*ret = NULL;
	if (*own)
		r = asprintf(ret, "%s", own);
	else if (*base)
		r = asprintf(ret, "%s%s%s", base, slash, path);
	else
		return 0;
	if (r < 0) {
		*ret = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place. False where a percent sign is not followed by two digits, or would end the string. */
static bool percent_decode(char *s)
{
	char *out = s;
	int high, low;

	for (; *s; s++) {
		if (*s != '%') {
			*out++ = *s;
			continue;
		}
		high = hex_digit(s[1]);
		low = high < 0 ? -1 : hex_digit(s[2]);
		if (low < 0 || high + low == 0)
			return false;
		*out++ = (char)(high << 4 | low);
		s += 2;
	}
	*out = '\0';
	return true;
}

static char *trim(char *s)
{
	size_t len;

	s += strspn(s, " \t");
	for (len = strlen(s); len && strchr(" \t", s[len - 1]); len--)
		s[len - 1] = '\0';
	return s;
}

int otlp_headers(const char *list, int (*add)(void *arg, const char *key, const char *value),
		 void *arg, struct err *e)
{
	cleanup(cleanup_free) char *copy = strdup(list);
	char *rest = copy, *key, *value;
	int r;

	if (!copy)
		return err_set(e, -ENOMEM, "out of memory");
	while ((key = strsep(&rest, ","))) {
		key = trim(key);
		if (!*key)
			continue;
		value = strchr(key, '=');
		if (!value)
			return err_set(e, -EINVAL,
				       "OTLP headers are key=value pairs with commas between them, "
				       "percent-encoded; one has no '='");
		*value++ = '\0';
		key = trim(key);
		value = trim(value);
		if (!percent_decode(key) || !percent_decode(value))
			return err_set(e, -EINVAL,
				       "the OTLP header '%s' is not properly percent-encoded", key);
		r = add(arg, key, value);
		if (r < 0)
			return err_set(e, r, "the OTLP header '%s' cannot be sent over HTTP", key);
	}
	return 0;
}

bool otlp_is_retryable(int status)
{
	return status == 0 || status == 429 || status == 502 || status == 503 || status == 504;
}

/* 0 where @s is neither a number of seconds nor a date to come. */
static uint64_t parse_retry_after(const char *s, uint64_t wall_ns)
{
	uint64_t seconds = 0, now = wall_ns / NSEC_PER_SEC;
	struct tm tm = {};
	const char *end;
	time_t when;

	if (isdigit((unsigned char)*s)) {
		seconds = strtoull(s, NULL, 10);
	} else {
		end = strptime(s, "%a, %d %b %Y %H:%M:%S GMT", &tm);
		when = end && !*end ? timegm(&tm) : 0;
		if (when > 0 && (uint64_t)when > now)
			seconds = (uint64_t)when - now;
	}
	return seconds > MAX_RETRY_AFTER_NS / NSEC_PER_SEC ? MAX_RETRY_AFTER_NS
							   : seconds * NSEC_PER_SEC;
}

uint64_t otlp_retry_delay_ns(unsigned n_failed, const char *retry_after, uint64_t wall_ns,
			     uint64_t interval_ns, uint32_t random)
{
	uint64_t delay = retry_after ? parse_retry_after(retry_after, wall_ns) : 0;

	if (delay)
		return delay;
	delay = NSEC_PER_SEC;
	while (n_failed-- > 1 && delay < interval_ns)
		delay *= 2;
	if (delay > interval_ns)
		delay = interval_ns;
	return delay - delay / 2 * (random >> 16) / 0xffff;
}

const char *otlp_cure(int status, const char *path)
{
	switch (status) {
	case 0:
		return "see that an OpenTelemetry Collector listens there";
	case 401:
	case 403:
		return "check what OTEL_EXPORTER_OTLP_HEADERS says";
	case 404:
	case 405:
		return strcmp(path, "v1/logs") == 0
			       ? "check the endpoint: a Collector takes log records at /v1/logs"
			       : "check the endpoint: a Collector takes metrics at /v1/metrics";
	case 413:
		return "raise the receiver's limit on the size of a request";
	case 429:
	case 502:
	case 503:
	case 504:
		return "it is overloaded or restarting";
	default:
		return "see the receiver's log for the reason";
	}
}
