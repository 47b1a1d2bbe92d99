// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "agent/config_file.h"
#include "agent/help.h"
#include "agent/list.h"

static void assert_80_columns(const struct strbuf *text)
{
	for (const char *p = strbuf_str(text); *p; p += strcspn(p, "\n"), p += *p == '\n')
		assert_in_range(strcspn(p, "\n"), 0, 80);
}

static void assert_same_as_file(const struct strbuf *text, const char *path, const char *remedy)
{
	struct strbuf file = {};
	char buf[4096];
	FILE *f = fopen(path, "re");
	size_t n;

	assert_non_null(f);
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		strbuf_add(&file, buf, n);
	fclose(f);
	if (strcmp(strbuf_str(&file), strbuf_str(text)))
		fail_msg("%s is stale: %s", path, remedy);
	strbuf_done(&file);
}

static void help_fits_80_columns(void **state)
{
	struct strbuf text = {};

	(void)state;
	help_program(&text);
	assert_80_columns(&text);
	for (const struct command *c = commands; c->name; c++) {
		assert_non_null(strstr(strbuf_str(&text), c->summary));
	}
	for (const struct command *c = commands; c->name; c++) {
		strbuf_clear(&text);
		help_command(c, &text);
		assert_80_columns(&text);
		for (const struct opt *o = opts; o->key; o++) {
			char flag[OPT_NAME_MAX];
			bool wanted = o->commands & 1U << c->id && !(o->flags & OPT_HIDDEN);

			opt_flag_name(o, flag);
			if (wanted)
				assert_non_null(strstr(strbuf_str(&text), flag));
		}
	}
	strbuf_done(&text);
}

static void the_manual_is_what_the_program_prints(void **state)
{
	struct strbuf text = {};

	(void)state;
	help_man(&text);
	assert_false(strbuf_failed(&text));
	assert_same_as_file(&text, "docs/sonde.8", "sonde help --man >docs/sonde.8");
	for (const struct opt *o = opts; o->key; o++)
		for (size_t i = 0; i < sizeof(o->env) / sizeof(o->env[0]) && o->env[i].name; i++)
			assert_non_null(strstr(strbuf_str(&text), o->env[i].name));
	strbuf_done(&text);
}

static int count(void *arg, const struct config_entry *entry, struct err *e)
{
	const struct opt *o = opt_find(entry->key);

	(void)e;
	assert_non_null(o);
	assert_non_null(entry->value);
	*(uint64_t *)arg |= 1ULL << (o - opts);
	return 0;
}

static void the_example_file_has_every_setting(void **state)
{
	struct strbuf text = {}, active = {};
	uint64_t seen = 0;
	struct err e;

	(void)state;
	help_example(&text);
	assert_80_columns(&text);
	assert_same_as_file(&text, "docs/sonde.yaml", "sonde help --example >docs/sonde.yaml");
	assert_int_equal(config_parse(text.data, text.len, "example", count, &seen, &e), 0);
	assert_int_equal(seen, 0);
	/* A setting is a comment without a blank behind its sign. */
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] != '#' || text.data[i + 1] == ' ' || text.data[i + 1] == '\n')
			strbuf_putc(&active, text.data[i]);
	strbuf_clear(&text);
	for (const char *p = strbuf_str(&active); *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (strcspn(p, ":") < strcspn(p, " \n"))
			strbuf_add(&text, p, strcspn(p, "\n") + 1);
	assert_int_equal(config_parse(text.data, text.len, "example", count, &seen, &e), 0);
	for (const struct opt *o = opts; o->key; o++)
		assert_true(!(seen & 1ULL << (o - opts)) ==
			    !!(o->flags & (OPT_NO_FILE | OPT_HIDDEN)));
	strbuf_done(&text);
	strbuf_done(&active);
}

static const char *const attributes[] = { "network.peer.address", "server.port", NULL };
static const struct metric metrics[] = { { "tcp.client.exchange.duration", "s", METRIC_HISTOGRAM,
					   "Time from the last byte of a request to the first byte "
					   "of its answer, as the client sees "
					   "it.",
					   attributes },
					 { "sonde.events", "{event}", METRIC_COUNTER, "Events.",
					   NULL },
					 {} };
static const struct list_entry entries[] = {
	{ "tcp", "TCP conversations of the whole machine", metrics },
	{ "empty", "nothing yet", NULL },
};

static void lists_are_for_people(void **state)
{
	struct strbuf text = {};

	(void)state;
	assert_int_equal(list_print(entries, 2, false, &text), 0);
	assert_string_equal(
		strbuf_str(&text),
		"tcp: TCP conversations of the whole machine\n"
		"\n"
		"  tcp.client.exchange.duration  (histogram, s)\n"
		"      Time from the last byte of a request to the first byte of its answer, as\n"
		"      the client sees it.\n"
		"      by network.peer.address, server.port\n"
		"\n"
		"  sonde.events  (counter, {event})\n"
		"      Events.\n"
		"\n"
		"empty: nothing yet\n");
	strbuf_done(&text);
}

static void lists_are_for_machines(void **state)
{
	struct strbuf text = {};
	json_t *root, *probe;

	(void)state;
	assert_int_equal(list_print(entries, 2, true, &text), 0);
	root = json_loads(strbuf_str(&text), 0, NULL);
	probe = json_array_get(json_object_get(root, "probes"), 0);
	assert_string_equal(json_string_value(json_object_get(probe, "name")), "tcp");
	probe = json_array_get(json_object_get(probe, "metrics"), 0);
	assert_string_equal(json_string_value(json_object_get(probe, "kind")), "histogram");
	assert_int_equal(json_array_size(json_object_get(probe, "attributes")), 2);
	probe = json_array_get(json_object_get(root, "probes"), 1);
	assert_int_equal(json_array_size(json_object_get(probe, "metrics")), 0);
	json_decref(root);
	strbuf_done(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(help_fits_80_columns),
		cmocka_unit_test(the_manual_is_what_the_program_prints),
		cmocka_unit_test(the_example_file_has_every_setting),
		cmocka_unit_test(lists_are_for_people),
		cmocka_unit_test(lists_are_for_machines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
