// SPDX-License-Identifier: Apache-2.0

/*
 * Real Go programs, when there are some: SONDE_TEST_GOBINS names a directory of builds of
 * tests/work/gohttp. Each NAME or NAME-plain beside a NAME-stripped must have the same sites.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "elf/gobin.h"

static const char *const names[] = {
	"net/http.serverHandler.ServeHTTP",
	"net/http.(*response).finishRequest",
	"net/http.(*conn).serve",
	"net/http.(*conn).hijacked",
	"net/http.(*conn).readRequest",
	"net/http.(*response).WriteHeader",
	"runtime.newproc1",
	"main.main",
};

static int read_file(const char *path, struct gobin *ret)
{
	cleanup(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct err e = {};
	int r;

	if (fd < 0)
		return -1;
	r = gobin_read(fd, names, ARRAY_SIZE(names), ret, &e);
	if (r < 0)
		fail_msg("%s: %s", path, e.msg);
	return 0;
}

static void check_program(const char *path, const struct gobin *g)
{
	enum site_kind expected = g->minor >= 21 ? SITE_PUSH : SITE_JCC;

	assert_int_equal(g->major, 1);
	for (uint32_t k = 0; k < g->n_functions; k++)
		if (g->functions[k].site.kind != expected)
			fail_msg("%s: %s: %s (%s)", path, names[k],
				 site_kind_name(g->functions[k].site.kind),
				 g->functions[k].site.why);
}

static void check_pair(const char *directory, const char *stripped_name)
{
	static const char *const twins[] = { "", "-plain" };
	struct gobin stripped, whole;
	char path[4096];
	int stem = (int)(strlen(stripped_name) - strlen("-stripped"));
	size_t k;

	snprintf(path, sizeof(path), "%s/%s", directory, stripped_name);
	assert_int_equal(read_file(path, &stripped), 0);
	assert_true(stripped.stripped && stripped.source == GOBIN_PCLNTAB);
	check_program(path, &stripped);
	for (k = 0; k < ARRAY_SIZE(twins); k++) {
		snprintf(path, sizeof(path), "%s/%.*s%s", directory, stem, stripped_name, twins[k]);
		if (read_file(path, &whole) == 0)
			break;
	}
	if (k == ARRAY_SIZE(twins))
		return;
	assert_true(!whole.stripped && whole.source == GOBIN_SYMTAB);
	assert_int_equal(whole.pie, stripped.pie);
	assert_string_equal(whole.version, stripped.version);
	for (k = 0; k < ARRAY_SIZE(names); k++) {
		assert_int_equal(whole.functions[k].address, stripped.functions[k].address);
		assert_memory_equal(&whole.functions[k].site, &stripped.functions[k].site,
				    sizeof(struct site));
	}
}

static void stripping_changes_no_site(void **state)
{
	const char *directory = getenv("SONDE_TEST_GOBINS");
	struct dirent *entry;
	int pairs = 0;
	DIR *d;

	if (!directory)
		skip();
	d = opendir(directory);
	assert_non_null(d);
	while ((entry = readdir(d))) {
		const char *tail = strstr(entry->d_name, "-stripped");

		if (!tail || tail[strlen("-stripped")] != '\0')
			continue;
		check_pair(directory, entry->d_name);
		pairs++;
	}
	closedir(d);
	print_message("%d stripped programs\n", pairs);
	assert_true(pairs > 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(stripping_changes_no_site),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
