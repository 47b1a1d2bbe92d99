// SPDX-License-Identifier: Apache-2.0
#include "agent/options_value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "probe/tcp_filter.h"
#include "world/selection.h"

static const struct unit {
	const char *name;
	uint64_t ns;
} units[] = {
	/* clang-format off */
	{ "d",  86400 * NSEC_PER_SEC },
	{ "h",  3600 * NSEC_PER_SEC },
	{ "m",  60 * NSEC_PER_SEC },
	{ "s",  NSEC_PER_SEC },
	{ "ms", NSEC_PER_MSEC },
	{ "us", NSEC_PER_USEC },
	{ "ns", 1 },
	{}
	/* clang-format on */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Decimal digits at *@p, at least one; moves *@p behind them. */
static int digits(const char **p, uint64_t *ret)
{
	uint64_t v = 0;

	if (!is_digit(**p))
		return -EINVAL;
	for (; is_digit(**p); (*p)++) {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(**p - '0'), &v))
			return -ERANGE;
	}
	*ret = v;
	return 0;
}

static int number_parse(const char *text, uint64_t *ret)
{
	int r = digits(&text, ret);

	return r < 0 ? r : *text ? -EINVAL : 0;
}

/* The unit at *@p; none at all means seconds where the whole text is one number. */
static const struct unit *unit_at(const char **p, bool first)
{
	static const struct unit seconds = { "", NSEC_PER_SEC };
	size_t len = strcspn(*p, "0123456789.");

	if (!len)
		return first && !**p ? &seconds : NULL;
	for (const struct unit *u = units; u->name; u++) {
		if (strlen(u->name) == len && !strncmp(*p, u->name, len)) {
			*p += len;
			return u;
		}
	}
	return NULL;
}

int duration_parse(const char *text, uint64_t *ret_ns)
{
	const char *p = text;
	uint64_t total = 0;

	do {
		uint64_t whole, part;
		const char *fraction = NULL;
		const struct unit *u;
		bool first = p == text;
		int r = digits(&p, &whole);

		if (r < 0)
			return r;
		if (*p == '.') {
			fraction = ++p;
			while (is_digit(*p))
				p++;
			if (p == fraction)
				return -EINVAL;
		}
		u = unit_at(&p, first);
		if (!u)
			return -EINVAL;
		if (__builtin_mul_overflow(whole, u->ns, &part) ||
		    __builtin_add_overflow(total, part, &total))
			return -ERANGE;
		part = u->ns;
		for (; fraction && is_digit(*fraction) && (part /= 10); fraction++)
			if (__builtin_add_overflow(total, part * (uint64_t)(*fraction - '0'),
						   &total))
				return -ERANGE;
	} while (*p);
	*ret_ns = total;
	return 0;
}

const char *duration_text(uint64_t ns, char buf[DURATION_TEXT_MAX])
{
	size_t n = 0;

	snprintf(buf, DURATION_TEXT_MAX, "0s");
	for (const struct unit *u = units; u->name; u++) {
		if (ns < u->ns)
			continue;
		n += (size_t)snprintf(buf + n, DURATION_TEXT_MAX - n, "%" PRIu64 "%s", ns / u->ns,
				      u->name);
		ns %= u->ns;
	}
	return buf;
}

static bool is_listen(const char *text)
{
	struct in6_addr address;
	char host[INET6_ADDRSTRLEN + 2];
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	uint64_t port;

	if (!strcmp(text, "off"))
		return true;
	if (!len || len >= sizeof(host) || number_parse(colon + 1, &port) < 0 || port > 65535)
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	if (host[0] != '[')
		return inet_pton(AF_INET, host, &address) == 1;
	if (host[len - 1] != ']')
		return false;
	host[len - 1] = '\0';
	return inet_pton(AF_INET6, host + 1, &address) == 1;
}

/* Scheme and host; the rest is the exporter's. */
static bool is_url(const char *text)
{
	const char *host = !strncasecmp(text, "http://", 7)    ? text + 7
			   : !strncasecmp(text, "https://", 8) ? text + 8
							       : NULL;

	return !*text ||
	       (host && *host && !strchr("/:?#", *host) && !strpbrk(text, " \"<>\\^`{|}"));
}

/* W3C baggage without metadata: token = value, separated by commas, spaces around both ignored. */
static bool is_headers(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, ","), start = strspn(text, " \t");
		size_t name = strcspn(text + start, " \t=,");
		size_t gap = start + name + strspn(text + start + name, " \t");

		if (!name || text[gap] != '=' || memchr(text, ';', len))
			return false;
		for (size_t i = start; i < start + name; i++)
			if (!isalnum((unsigned char)text[i]) && !strchr("!#$%&'*+-.^_`|~", text[i]))
				return false;
		text += len;
		if (*text == ',' && !*++text)
			return false;
	}
	return true;
}

static bool is_names(const char *text)
{
	while (*text) {
		size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");

		if (!len || (text[len] && text[len] != ','))
			return false;
		text += len;
		if (*text == ',' && !*++text)
			return false;
	}
	return true;
}

static bool has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

static int choice_parse(const char *choices, const char *text, uint64_t *ret)
{
	size_t want = strlen(text);

	for (uint64_t i = 0; *choices; i++) {
		size_t len = strcspn(choices, "|");

		if (len == want && !strncmp(choices, text, len)) {
			*ret = i;
			return 0;
		}
		choices += len + (choices[len] == '|');
	}
	return -EINVAL;
}

static int set_parse(const char *choices, const char *text, uint64_t *ret)
{
	char one[32];
	uint64_t bit;

	*ret = 0;
	while (*text) {
		size_t len = strcspn(text, ",");

		if (!len || len >= sizeof(one))
			return -EINVAL;
		memcpy(one, text, len);
		one[len] = '\0';
		if (choice_parse(choices, one, &bit) < 0)
			return -EINVAL;
		*ret |= 1ULL << bit;
		text += len;
		if (*text == ',' && !*++text)
			return -EINVAL;
	}
	return 0;
}

static int bool_parse(const char *text, uint64_t *ret)
{
	static const char *const names[] = { "false", "true", "no", "yes", "off", "on", "0", "1" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcasecmp(text, names[i])) {
			*ret = i & 1;
			return 0;
		}
	}
	return -EINVAL;
}

/* A decimal fraction, to the nearest of TCP_SHARE_ALL parts. */
static int share_parse(const char *text, uint64_t *ret)
{
	char *end;
	double v;

	/* strtod() alone would also take signs, exponents, "inf" and hexadecimal. */
	if (!*text || strspn(text, "0123456789.") != strlen(text))
		return -EINVAL;
	v = strtod(text, &end);
	if (*end || end == text)
		return -EINVAL;
	if (v > 1)
		return -ERANGE;
	*ret = (uint64_t)(v * (double)TCP_SHARE_ALL + 0.5);
	return 0;
}

static bool in_range(const struct opt *o, uint64_t v)
{
	return v >= o->min && v <= o->max;
}

static int number_check(const struct opt *o, const char *text, enum opt_env_form form,
			uint64_t *ret)
{
	int r;

	switch (o->type) {
	case OPT_NUMBER:
		r = number_parse(text, ret);
		return r < 0 ? r : in_range(o, *ret) ? 0 : -ERANGE;
	case OPT_DURATION:
		r = form == OPT_ENV_MILLISECONDS ? number_parse(text, ret)
						 : duration_parse(text, ret);
		if (r >= 0 && form == OPT_ENV_MILLISECONDS &&
		    __builtin_mul_overflow(*ret, NSEC_PER_MSEC, ret))
			return -ERANGE;
		return r < 0 ? r : in_range(o, *ret) ? 0 : -ERANGE;
	case OPT_SHARE:
		r = share_parse(text, ret);
		return r < 0 ? r : in_range(o, *ret) ? 0 : -ERANGE;
	case OPT_BOOL:
		if (form == OPT_ENV_OTEL_BOOL) {
			*ret = !strcasecmp(text, "true");
			return 0;
		}
		return bool_parse(text, ret);
	case OPT_SET:
		return set_parse(o->choices, text, ret);
	default:
		return choice_parse(o->choices, form == OPT_ENV_NEVER ? "never" : text, ret);
	}
}

static bool text_check(const struct opt *o, const char *text)
{
	struct sn_tcp_filter filter;

	if (has_control(text))
		return false;
	switch (o->type) {
	case OPT_URL:
		return is_url(text) && !strchr(text, '@');
	case OPT_LISTEN:
		return is_listen(text);
	case OPT_HEADERS:
		return is_headers(text);
	case OPT_NAMES:
		return is_names(text);
	case OPT_PORTS:
		return tcp_filter_ports(text, &filter) == 0;
	case OPT_PEERS:
		return tcp_filter_peers(text, &filter) == 0;
	case OPT_PIDS:
		return selection_is_pids(text);
	case OPT_GLOBS:
		return selection_is_globs(text);
	case OPT_CONTAINERS:
		return selection_is_containers(text);
	default:
		/* Off, for an option whose default is that. */
		return *text || (o->fallback && !*o->fallback);
	}
}

/* "one of auto, btf", "a duration from 10ms to 1h": what would have been accepted. */
static void accepted(const struct opt *o, enum opt_env_form form, char *buf, size_t size)
{
	static const char *const texts[] = {
		[OPT_TEXT] = "text without control characters",
		[OPT_URL] = "a URL such as http://localhost:4318, without a user or password in it",
		[OPT_LISTEN] =
			"a numeric address and a port, such as 127.0.0.1:9477 or [::1]:9477, or "
			"off",
		[OPT_HEADERS] = "a list such as name=value,name=value with percent-encoded values",
		[OPT_NAMES] = "a list of names such as tcp,http",
		[OPT_PORTS] = "a list of at most 16 ports and ranges such as 80,8000-8100",
		[OPT_PEERS] = "a list of at most 16 addresses and networks such as "
			      "10.0.0.0/8,fd00::/8, without bits behind the prefix",
		[OPT_PIDS] = "a list of process ids such as 812,4711",
		[OPT_GLOBS] = "a list of names or patterns such as nginx,py*",
		[OPT_CONTAINERS] = "a list of container ids, 4 to 64 lower-case hexadecimal digits "
				   "of each",
		[OPT_SHARE] = "a share above 0 and up to 1, such as 0.1",
		[OPT_BOOL] = "true or false",
	};
	char min[DURATION_TEXT_MAX], max[DURATION_TEXT_MAX];
	size_t n;

	if (o->type == OPT_NUMBER)
		snprintf(buf, size, "a whole number from %" PRIu64 " to %" PRIu64, o->min, o->max);
	else if (o->type == OPT_DURATION && form == OPT_ENV_MILLISECONDS)
		snprintf(buf, size, "a whole number of milliseconds from %" PRIu64 " to %" PRIu64,
			 (uint64_t)(o->min / NSEC_PER_MSEC), (uint64_t)(o->max / NSEC_PER_MSEC));
	else if (o->type == OPT_DURATION)
		snprintf(buf, size, "a duration from %s to %s, such as 10s or 1m30s",
			 duration_text(o->min, min), duration_text(o->max, max));
	else if (o->type != OPT_CHOICE && o->type != OPT_SET)
		snprintf(buf, size, "%s", texts[o->type]);
	else if (!strchr(o->choices, '|'))
		snprintf(buf, size, "%s, the only one in this version", o->choices);
	else {
		n = (size_t)snprintf(buf, size, o->type == OPT_SET ? "a list of " : "one of ");
		for (const char *p = o->choices; *p && n + 3 < size; p++)
			n += (size_t)snprintf(buf + n, size - n, *p == '|' ? ", " : "%c", *p);
	}
}

int opt_read(const struct opt *o, const char *text, enum opt_env_form form, const char *origin,
	     struct opt_value *ret, struct err *e)
{
	bool hide = (o->flags & OPT_SECRET) || (o->type == OPT_URL && strchr(text, '@'));
	char wanted[192];
	bool good;

	if (o->type >= OPT_NUMBER) {
		good = number_check(o, text, form, &ret->number) >= 0;
	} else {
		good = text_check(o, text);
		ret->text = good ? strdup(text) : NULL;
		if (good && !ret->text)
			return err_set(e, -ENOMEM, "out of memory");
	}
	if (good)
		return 0;
	accepted(o, form, wanted, sizeof(wanted));
	return err_set(e, -EINVAL, "%s (%s): %s%.100s%s is not %s", o->key, origin, hide ? "" : "'",
		       hide ? "the value, not shown," : text, hide ? "" : "'", wanted);
}

void opt_store(const struct opt *o, struct opt_value *v, struct config *c)
{
	char *at = (char *)c + o->offset;

	if (o->type < OPT_NUMBER) {
		free(*(char **)at);
		*(char **)at = v->text;
		v->text = NULL;
	} else if (o->type == OPT_BOOL) {
		*(bool *)at = v->number;
	} else if (o->type == OPT_CHOICE) {
		*(int *)at = (int)v->number;
	} else {
		*(uint64_t *)at = v->number;
	}
}

void opt_value_done(struct opt_value *v)
{
	free(v->text);
	v->text = NULL;
}
