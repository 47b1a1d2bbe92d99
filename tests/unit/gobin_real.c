// SPDX-License-Identifier: Apache-2.0

/*
 * Real Go programs: builds of tests/work/gohttp in build/work, or in the directory that
 * SONDE_TEST_GOBINS names. tests/run builds them first; without any there is nothing that could be
 * said of them, and that is a failure. What they are is in their names (tests/work/build): of
 * which Go, for which machine, stripped or not. Stripped and whole ones of a name must have the same
 * sites.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "elf/elf.h"
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

#define PLAIN "-plain"

struct seen {
	int programs, arm64, twins;
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

/* gohttp-1.27-arm64-pie: every function has the site that this Go and this machine have. */
static void check_program(const char *name, const struct gobin *g)
{
	/* Without a word for it, of the machine that built it: ours, unless we are emulated. */
	uint16_t machine = strstr(name, "-arm64") ? EM_AARCH64 : g->machine;
	enum site_kind expected = machine == EM_AARCH64 ? SITE_BCOND
				  : g->minor >= 21	? SITE_PUSH
							: SITE_JCC;
	char version[32];

	snprintf(version, sizeof(version), "gohttp-1.%u", g->minor);
	assert_int_equal(g->major, 1);
	assert_int_equal(strncmp(name, version, strlen(version)), 0);
	assert_int_equal(g->machine, machine);
	assert_int_equal(g->pie, strstr(name, "-pie") != NULL);
	assert_int_equal(g->stripped, strstr(name, PLAIN) == NULL);
	assert_int_equal(g->source, g->stripped ? GOBIN_PCLNTAB : GOBIN_SYMTAB);
	for (uint32_t k = 0; k < g->n_functions; k++)
		if (g->functions[k].site.kind != expected)
			fail_msg("%s: %s: %s (%s)", name, names[k],
				 site_kind_name(g->functions[k].site.kind),
				 g->functions[k].site.why);
}

/* Stripped or not, the code is the same. */
static void check_twins(const struct gobin *whole, const struct gobin *stripped)
{
	assert_string_equal(whole->version, stripped->version);
	for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
		assert_int_equal(whole->functions[k].address, stripped->functions[k].address);
		assert_memory_equal(&whole->functions[k].site, &stripped->functions[k].site,
				    sizeof(struct site));
	}
}

static void check_file(const char *directory, const char *name, struct seen *seen)
{
	size_t stem = strlen(name) - (strstr(name, PLAIN) ? strlen(PLAIN) : 0);
	struct gobin program, stripped;
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	assert_int_equal(read_file(path, &program), 0);
	check_program(name, &program);
	seen->programs++;
	seen->arm64 += program.machine == EM_AARCH64;
	if (name[stem] == '\0')
		return;
	snprintf(path, sizeof(path), "%s/%.*s", directory, (int)stem, name);
	if (read_file(path, &stripped) < 0)
		return;
	check_twins(&program, &stripped);
	seen->twins++;
}

static void every_program_has_its_sites(void **state)
{
	const char *directory = getenv("SONDE_TEST_GOBINS");
	struct seen seen = {};
	struct dirent *entry;
	DIR *d;

	if (!directory)
		directory = "build/work";
	d = opendir(directory);
	while (d && (entry = readdir(d)))
		if (strncmp(entry->d_name, "gohttp-", strlen("gohttp-")) == 0)
			check_file(directory, entry->d_name, &seen);
	if (d)
		closedir(d);
	print_message("%d programs, %d of them for arm64, %d stripped ones beside whole ones\n",
		      seen.programs, seen.arm64, seen.twins);
	if (seen.programs == 0)
		fail_msg("no gohttp-* in %s: build them with tests/work/build, or use tests/run",
			 directory);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_program_has_its_sites),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
