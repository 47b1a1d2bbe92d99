// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strbuf.h"
#include "export/otlp_policy.h"

static void urls(void **state)
{
	static const struct {
		const char *base, *metrics, *url;
	} cases[] = {
		{ "", "", NULL },
		{ "http://a:4318", "", "http://a:4318/v1/metrics" },
		{ "http://a:4318/", "", "http://a:4318/v1/metrics" },
		{ "http://a/otlp", "", "http://a/otlp/v1/metrics" },
		{ "", "http://b", "http://b" },
		{ "http://a", "http://b/x/", "http://b/x/" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(cleanup_free) char *url = NULL;

		assert_int_equal(otlp_url(cases[i].base, cases[i].metrics, "v1/metrics", &url), 0);
		if (cases[i].url)
			assert_string_equal(url, cases[i].url);
		else
			assert_null(url);
	}
}

static int collect(void *arg, const char *key, const char *value)
{
	if (!strcmp(key, "bad"))
		return -EINVAL;
	strbuf_printf(arg, "[%s: %s]", key, value);
	return 0;
}

static void headers(void **state)
{
	static const struct {
		const char *list, *pairs;
		int r;
	} cases[] = {
		{ "", "", 0 },
		{ "a=b", "[a: b]", 0 },
		{ " a = b , c=d%20e,", "[a: b][c: d e]", 0 },
		{ "Authorization=Basic%20dTpw%3D", "[Authorization: Basic dTpw=]", 0 },
		{ "a=b=c", "[a: b=c]", 0 },
		{ "a=", "[a: ]", 0 },
		{ "a", "", -EINVAL },
		{ "a=secret%2", "", -EINVAL },
		{ "a=secret%zz", "", -EINVAL },
		{ "a=secret%00", "", -EINVAL },
		{ "bad=secret", "", -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(strbuf_done) struct strbuf pairs = {};
		struct err e = {};

		assert_int_equal(otlp_headers(cases[i].list, collect, &pairs, &e), cases[i].r);
		assert_string_equal(strbuf_str(&pairs), cases[i].pairs);
		assert_int_equal(!!*e.msg, cases[i].r < 0);
		assert_null(strstr(e.msg, "secret"));
	}
}

static void what_is_tried_again(void **state)
{
	static const int yes[] = { 0, 429, 502, 503, 504 };
	static const int no[] = { 200, 301, 400, 401, 403, 404, 408, 413, 500, 501, 505 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		assert_true(otlp_is_retryable(yes[i]));
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		assert_false(otlp_is_retryable(no[i]));
}

/* 784111777 is Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110. */
static void what_the_receiver_asks_for_is_kept(void **state)
{
	static const uint64_t now = (784111777 - 7) * NSEC_PER_SEC;
	static const struct {
		const char *value;
		uint64_t seconds;
	} cases[] = {
		{ "7", 7 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT", 7 },
		{ "99999999999999999999", 3600 },
		{ "Sun, 06 Nov 2094 08:49:37 GMT", 3600 },
		/* As if nothing had been said: */
		{ "0", 1 },
		{ "-7", 1 },
		{ "soon", 1 },
		{ "", 1 },
		{ "Sun, 06 Nov 1994 08:49:30 GMT", 1 },
		{ "Sun, 06 Nov 1993 08:49:37 GMT", 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(otlp_retry_delay_ns(1, cases[i].value, now, 60 * NSEC_PER_SEC, 0),
				 cases[i].seconds * NSEC_PER_SEC);
}

static void backoff_doubles_and_ends_at_the_interval(void **state)
{
	static const uint64_t seconds[] = { 1, 2, 4, 8, 10, 10, 10 };
	uint64_t least;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(seconds); i++) {
		assert_int_equal(otlp_retry_delay_ns(i + 1, NULL, 0, 10 * NSEC_PER_SEC, 0),
				 seconds[i] * NSEC_PER_SEC);
		least = otlp_retry_delay_ns(i + 1, NULL, 0, 10 * NSEC_PER_SEC, UINT32_MAX);
		assert_int_equal(least, seconds[i] * NSEC_PER_SEC / 2);
	}
	assert_int_equal(otlp_retry_delay_ns(UINT32_MAX, NULL, 0, 3600 * NSEC_PER_SEC, 0),
			 3600 * NSEC_PER_SEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls),
		cmocka_unit_test(headers),
		cmocka_unit_test(what_is_tried_again),
		cmocka_unit_test(what_the_receiver_asks_for_is_kept),
		cmocka_unit_test(backoff_doubles_and_ends_at_the_interval),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
