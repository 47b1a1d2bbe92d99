// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "elf/elf.h"
#include "elf/gobin.h"
#include "elf/gobuild.h"
#include "tests/fuzz/go_image.h"

#define MAGIC_1_18 0xfffffff0
#define MAGIC_1_20 0xfffffff1

/* Generous: a contradiction is to be found in 100 ms, and this may be a sanitized build. */
#define MAX_CPU_MS 500

static const char *const names[] = { "main.main", "main.work", "main.idle", "main.none" };

/* gobin_read() within the time allowed, which leaves *@ret and @e alone as it promises to. */
static int read_checked(int fd, struct gobin *ret, struct err *e)
{
	struct gobin before, found;
	struct timespec t0, t1;
	int r;

	memset(&before, 0x5a, sizeof(before));
	found = before;
	memset(e, 0, sizeof(*e));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t0);
	r = gobin_read(fd, names, ARRAY_SIZE(names), &found, e);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t1);
	assert_true((t1.tv_sec - t0.tv_sec) * 1000 + (t1.tv_nsec - t0.tv_nsec) / 1000000 <
		    MAX_CPU_MS);
	assert_int_equal(r < 0, e->msg[0] != '\0');
	if (r < 0)
		assert_memory_equal(&found, &before, sizeof(found));
	*ret = found;
	return r;
}

static int read_image(const struct image *i, struct gobin *ret, struct err *e)
{
	cleanup(cleanup_fd) int fd = image_open(i->data, sizeof(i->data));

	assert_true(fd >= 0);
	return read_checked(fd, ret, e);
}

static void check_sites(const struct gobin *g)
{
	bool arm64 = g->machine == EM_AARCH64;

	assert_int_equal(g->n_functions, 4);
	for (uint32_t k = 0; k < 3; k++)
		assert_int_equal(g->functions[k].address, IMAGE_BASE + AT_CODE + k * 32);
	assert_int_equal(g->functions[0].site.kind, arm64 ? SITE_BCOND : SITE_PUSH);
	assert_int_equal(g->functions[0].site.file_offset, AT_CODE + (arm64 ? 8 : 6));
	assert_int_equal(g->functions[1].site.kind, arm64 ? SITE_BCOND : SITE_JCC);
	assert_int_equal(g->functions[1].site.file_offset, AT_CODE + 32 + (arm64 ? 12 : 4));
	assert_int_equal(g->functions[2].site.kind, SITE_NONE);
	assert_int_equal(g->functions[2].site.file_offset, 0);
	assert_int_equal(g->functions[3].address, 0);
	assert_string_equal(g->functions[3].site.why, "the program has no such function");
}

static void read_form(uint16_t machine, uint32_t magic, enum image_text text, bool stripped)
{
	struct image i;
	struct gobin g;
	struct err e;

	image_make_for(&i, machine, magic, text, stripped);
	if (read_image(&i, &g, &e) < 0)
		fail_msg("machine %d, text %d, stripped %d: %s", machine, text, stripped, e.msg);
	assert_int_equal(g.machine, machine);
	assert_int_equal(g.stripped, stripped);
	assert_int_equal(g.source, stripped ? GOBIN_PCLNTAB : GOBIN_SYMTAB);
	assert_int_equal(g.pie, text != TEXT_IN_TABLE);
	assert_int_equal(g.functions[0].size, stripped ? 32 : 30);
	check_sites(&g);
}

static void reads_every_form_of_table(void **state)
{
	static const uint16_t machines[] = { EM_X86_64, EM_AARCH64 };
	static const uint32_t magics[] = { MAGIC_1_18, MAGIC_1_20 };

	for (size_t k = 0; k < ARRAY_SIZE(machines) * ARRAY_SIZE(magics); k++) {
		for (int text = TEXT_IN_TABLE; text <= TEXT_IN_MODULE_RELOCATED; text++) {
			read_form(machines[k / 2], magics[k % 2], text, false);
			read_form(machines[k / 2], magics[k % 2], text, true);
		}
	}
}

static void reads_the_identity(void **state)
{
	struct image i;
	struct gobin g;
	struct err e;

	image_make(&i, MAGIC_1_20, TEXT_IN_TABLE, false);
	assert_int_equal(read_image(&i, &g, &e), 0);
	assert_string_equal(g.version, "go1.24.3");
	assert_int_equal(g.major, 1);
	assert_int_equal(g.minor, 24);
	assert_int_equal(g.machine, EM_X86_64);
	assert_string_equal(g.build_id, "deadbeef");
}

static void a_build_id_of_go_alone_is_hashed(void **state)
{
	static const char gnu[] = ".note.gnu.build-id", go[] = ".note.go.buildid";
	struct gobin one, other;
	struct image i;
	struct err e;

	image_make(&i, MAGIC_1_20, TEXT_IN_TABLE, false);
	memcpy(memmem(i.data + AT_SECTION_NAMES, 0x100, gnu, sizeof(gnu)), go, sizeof(go));
	image_put(&i, AT_NOTE + 8, 4, 4);
	memcpy(i.data + AT_NOTE + 12, "Go\0", 4);
	assert_int_equal(read_image(&i, &one, &e), 0);
	assert_int_equal(strlen(one.build_id), 16);
	i.data[AT_NOTE + 16] ^= 1;
	assert_int_equal(read_image(&i, &other, &e), 0);
	assert_string_not_equal(one.build_id, other.build_id);
	image_put(&i, AT_NOTE + 4, 1 << 20, 4);
	assert_int_equal(read_image(&i, &other, &e), 0);
	assert_string_equal(other.build_id, "");
}

static void finds_a_table_merged_into_another_section(void **state)
{
	struct image i;
	struct gobin g;
	struct err e;

	image_make(&i, MAGIC_1_20, TEXT_RELOCATED, true);
	memcpy(i.data + 0x9c0, ".data.rel.ro", 13);
	image_put(&i, image_header_field(SECTION_PCLNTAB, offsetof(Elf64_Shdr, sh_name)), 0xc0, 4);
	image_put(&i, image_header_field(SECTION_PCLNTAB, offsetof(Elf64_Shdr, sh_offset)),
		  AT_BUILDINFO, 8);
	image_put(&i, image_header_field(SECTION_PCLNTAB, offsetof(Elf64_Shdr, sh_addr)),
		  IMAGE_BASE + AT_BUILDINFO, 8);
	image_put(&i, image_header_field(SECTION_PCLNTAB, offsetof(Elf64_Shdr, sh_size)), 0x200, 8);
	assert_int_equal(read_image(&i, &g, &e), 0);
	check_sites(&g);
}

static void symbols_that_know_nothing_are_passed_over(void **state)
{
	struct image i;
	struct gobin g;
	struct err e;

	image_make(&i, MAGIC_1_20, TEXT_IN_TABLE, false);
	memset(i.data + AT_STRTAB, 'x', 0x3f);
	assert_int_equal(read_image(&i, &g, &e), 0);
	assert_int_equal(g.source, GOBIN_PCLNTAB);
	check_sites(&g);
	image_put(&i, AT_PCLNTAB, 0xfffffffb, 4);
	assert_int_equal(read_image(&i, &g, &e), 0);
	assert_int_equal(g.source, GOBIN_SYMTAB);
	assert_int_equal(g.functions[0].address, 0);
}

/* By what its header says, never by what the code looks like. */
static void code_of_another_machine_has_no_sites(void **state)
{
	static const uint16_t machines[] = { EM_X86_64, EM_AARCH64 };

	for (size_t k = 0; k < ARRAY_SIZE(machines); k++) {
		struct image i;
		struct gobin g;
		struct err e;

		image_make_for(&i, machines[!k], MAGIC_1_20, TEXT_IN_TABLE, true);
		image_put(&i, offsetof(Elf64_Ehdr, e_machine), machines[k], 2);
		assert_int_equal(read_image(&i, &g, &e), 0);
		assert_int_equal(g.machine, machines[k]);
		assert_int_equal(g.functions[0].address, IMAGE_BASE + AT_CODE);
		assert_int_equal(g.functions[0].site.kind, SITE_NONE);
		assert_int_equal(g.functions[0].site.file_offset, 0);
		assert_string_not_equal(g.functions[0].site.why, "");
	}
}

/* clang-format off */
#define EHDR(f)		.at = offsetof(Elf64_Ehdr, f), .size = sizeof(((Elf64_Ehdr *)0)->f)
#define PHDR(f)		.at = sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, f), \
			.size = sizeof(((Elf64_Phdr *)0)->f)
#define SHDR(s, f)	.at = AT_SECTIONS + (s) * sizeof(Elf64_Shdr) + offsetof(Elf64_Shdr, f), \
			.size = sizeof(((Elf64_Shdr *)0)->f)
#define TABLE(offset, n)	.at = AT_PCLNTAB + (offset), .size = (n)
#define ENTRY(offset, n)	.at = AT_PCLNTAB + AT_ENTRIES + (offset), .size = (n)
#define SYMTAB		.symbols = true

static const struct lie {
	const char *what;
	size_t at, size;
	uint64_t value;
	int r;
	bool symbols; /* in an unstripped image */
} lies[] = {
	{ "not ELF", EHDR(e_ident[1]), 'X', -ENOEXEC },
	{ "32 bits", EHDR(e_ident[EI_CLASS]), ELFCLASS32, -ENOEXEC },
	{ "big-endian", EHDR(e_ident[EI_DATA]), ELFDATA2MSB, -ENOEXEC },
	{ "an object file", EHDR(e_type), ET_REL, -ENOEXEC },
	{ "another machine", EHDR(e_machine), EM_S390, -ENOEXEC },
	{ "65535 sections", EHDR(e_shnum), 0xffff, -E2BIG },
	{ "sections counted in the table", EHDR(e_shnum), 0, -E2BIG },
	{ "more sections than the file holds", EHDR(e_shnum), 4000, -EBADMSG },
	{ "sections of another size", EHDR(e_shentsize), 65, -EBADMSG },
	{ "sections behind the end", EHDR(e_shoff), 1ULL << 62, -EBADMSG },
	{ "sections wrap around", EHDR(e_shoff), -64ULL, -EBADMSG },
	{ "section names in no section", EHDR(e_shstrndx), 0xffff, -ENODATA },
	{ "section names behind the end", SHDR(SECTION_NAMES, sh_offset), 1ULL << 40, -EBADMSG },
	{ "section names of 2^63 bytes", SHDR(SECTION_NAMES, sh_size), 1ULL << 63, -E2BIG },
	{ "65535 segments", EHDR(e_phnum), 0xffff, -E2BIG },
	{ "segments of another size", EHDR(e_phentsize), 55, -EBADMSG },
	{ "segments behind the end", EHDR(e_phoff), -8ULL, -EBADMSG },
	{ "code behind the end", PHDR(p_offset), 1ULL << 40, -EBADMSG },
	{ "code wraps around", PHDR(p_offset), -0x100ULL, -EBADMSG },
	{ "code that cannot run", PHDR(p_flags), PF_R, -EBADMSG },
	{ "code elsewhere", PHDR(p_vaddr), 1ULL << 40, -EBADMSG },

	{ "no build information", SHDR(SECTION_BUILDINFO, sh_name), 0, 0 },
	{ "compressed build information", SHDR(SECTION_BUILDINFO, sh_flags), SHF_COMPRESSED, 0 },
	{ "build information behind the end", SHDR(SECTION_BUILDINFO, sh_offset), 1 << 20, -EBADMSG },
	{ "build information of 8 bytes", SHDR(SECTION_BUILDINFO, sh_size), 8, -EBADMSG },
	{ "build information without its magic", .at = AT_BUILDINFO, .size = 1, 0, -EBADMSG },
	{ "version behind the end", .at = AT_BUILDINFO + 32, .size = 2, 0x7fff, -EBADMSG },
	{ "version length of 2^63", .at = AT_BUILDINFO + 32, .size = 8, -1ULL, -EBADMSG },

	{ "symbols of another size", SHDR(SECTION_SYMTAB, sh_entsize), 23, -EBADMSG, SYMTAB },
	{ "2^63 bytes of symbols", SHDR(SECTION_SYMTAB, sh_size), 1ULL << 63, -E2BIG, SYMTAB },
	{ "more symbols than the file", SHDR(SECTION_SYMTAB, sh_size), 24 << 10, -EBADMSG, SYMTAB },
	{ "symbol names in no section", SHDR(SECTION_SYMTAB, sh_link), 0xffffff, -EBADMSG, SYMTAB },
	{ "symbol names in themselves", SHDR(SECTION_SYMTAB, sh_link), SECTION_SYMTAB, -EBADMSG, SYMTAB },
	{ "2^63 bytes of symbol names", SHDR(SECTION_STRTAB, sh_size), 1ULL << 63, -E2BIG, SYMTAB },
	{ "symbol names behind the end", SHDR(SECTION_STRTAB, sh_offset), -8ULL, -EBADMSG, SYMTAB },
	{ "a function outside the code", .at = AT_SYMTAB + 24 + 8, .size = 8, 1, -EBADMSG, SYMTAB },
	{ "symbol names without their NUL", SHDR(SECTION_STRTAB, sh_size), 20, 0, SYMTAB },

	{ "no function table", SHDR(SECTION_PCLNTAB, sh_name), 0, -EBADMSG },
	{ "a function table of no bytes", SHDR(SECTION_PCLNTAB, sh_type), SHT_NOBITS, -EBADMSG },
	{ "compressed function table", SHDR(SECTION_PCLNTAB, sh_flags), SHF_COMPRESSED, -EBADMSG },
	{ "function table behind the end", SHDR(SECTION_PCLNTAB, sh_offset), 1ULL << 40, -EBADMSG },
	{ "function table too short", SHDR(SECTION_PCLNTAB, sh_size), 71, -EBADMSG },
	{ "function table of 2^63 bytes", SHDR(SECTION_PCLNTAB, sh_size), 1ULL << 63, -EBADMSG },
	{ "the table of another Go", TABLE(0, 4), 0xfffffffb, -EBADMSG },
	{ "a table of 4-byte pointers", TABLE(7, 1), 4, -EBADMSG },
	{ "no functions", TABLE(8, 8), 0, -EBADMSG },
	{ "2^64 - 1 functions", TABLE(8, 8), -1ULL, -EBADMSG },
	{ "more functions than the table holds", TABLE(8, 8), 13, -EBADMSG },
	{ "one function more than there is", TABLE(8, 8), 4, -EBADMSG },
	{ "code starts nowhere", TABLE(24, 8), 0, -EBADMSG },
	{ "code starts outside the program", TABLE(24, 8), 1ULL << 40, -EBADMSG },
	{ "code starts at the end of memory", TABLE(24, 8), -1ULL, -EBADMSG },
	{ "names before the header", TABLE(32, 8), 8, -EBADMSG },
	{ "names behind the next table", TABLE(32, 8), 0x90, -EBADMSG },
	{ "names end behind the table", TABLE(40, 8), 1ULL << 62, -EBADMSG },
	{ "functions behind the table", TABLE(64, 8), 0x101, -EBADMSG },
	{ "functions wrap around", TABLE(64, 8), -8ULL, -EBADMSG },
	{ "a description behind the table", ENTRY(4, 4), 0x60, -EBADMSG },
	{ "a description that wraps around", ENTRY(4, 4), 0xfffffff8, -EBADMSG },
	{ "a description of another function", ENTRY(4, 4), AT_DESCRIPTIONS + 8, -EBADMSG },
	{ "functions out of order", ENTRY(8, 4), 0x50, -EBADMSG },
	{ "functions that never advance", ENTRY(8, 4), 0, -EBADMSG },
	{ "the end before the last function", ENTRY(24, 4), 64, -EBADMSG },
	{ "a negative name", ENTRY(AT_DESCRIPTIONS + 4, 4), 0xffffffff, 0 },
};
/* clang-format on */

static void every_lie_is_found(void **state)
{
	for (size_t k = 0; k < ARRAY_SIZE(lies); k++) {
		const struct lie *l = &lies[k];
		struct image i;
		struct gobin g;
		struct err e;
		int r;

		image_make(&i, MAGIC_1_20, TEXT_IN_TABLE, !l->symbols);
		image_put(&i, l->at, l->value, l->size);
		r = read_image(&i, &g, &e);
		if (r != l->r)
			fail_msg("%s: %d (%s), not %d", l->what, r, e.msg, l->r);
	}
}

static void every_cut_and_spoiled_byte_is_survived(void **state)
{
	static const uint8_t patterns[] = { 0x00, 0x7f, 0x80, 0xff };
	struct gobin g;
	struct err e;

	for (int form = 0; form < 8; form++) {
		struct image good, i;

		image_make_for(&good, form < 4 ? EM_X86_64 : EM_AARCH64, MAGIC_1_20,
			       form % 4 == 3 ? TEXT_IN_MODULE_RELOCATED : TEXT_RELOCATED,
			       form % 4 > 0);
		for (size_t at = 0; at < AT_SECTIONS + N_SECTIONS * sizeof(Elf64_Shdr); at++) {
			i = good;
			i.data[at] = form % 4 == 0 ? (uint8_t)~i.data[at]
						   : patterns[(at + (size_t)form) % 4];
			read_image(&i, &g, &e);
		}
	}
	for (size_t len = 0; len < IMAGE_SIZE; len += 7) {
		cleanup(cleanup_fd) int fd = -1;
		struct image i;

		image_make(&i, MAGIC_1_20, TEXT_IN_TABLE, len & 1);
		fd = image_open(i.data, len);
		read_checked(fd, &g, &e);
	}
}

static void odd_files_are_refused(void **state)
{
	static const char *const paths[] = { "/dev/null", "/dev/zero", "/", "/proc/self/cmdline" };
	struct gobin g;
	struct err e;
	int pipes[2];

	for (size_t k = 0; k < ARRAY_SIZE(paths); k++) {
		cleanup(cleanup_fd) int fd = open(paths[k], O_RDONLY | O_CLOEXEC);

		assert_true(fd >= 0);
		assert_int_equal(read_checked(fd, &g, &e), -ENOEXEC);
	}
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(read_checked(pipes[0], &g, &e), -ENOEXEC);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(read_checked(-1, &g, &e), -EBADF);
}

/* 4 GB of nothing, of which every table claims as much as it is allowed to. */
static void sparse_files_cost_nothing(void **state)
{
	static const enum image_section claims[] = { SECTION_NAMES,   SECTION_BUILDINFO,
						     SECTION_SYMTAB,  SECTION_STRTAB,
						     SECTION_PCLNTAB, SECTION_RELA };
	const uint64_t size = 4ULL << 30;

	for (size_t k = 0; k < ARRAY_SIZE(claims); k++) {
		cleanup(cleanup_fd) int fd = -1;
		struct image i;
		struct gobin g;
		struct err e;

		image_make(&i, MAGIC_1_20, TEXT_RELOCATED, claims[k] != SECTION_SYMTAB);
		image_put(&i, image_header_field(claims[k], offsetof(Elf64_Shdr, sh_size)),
			  size - IMAGE_SIZE, 8);
		image_put(&i, AT_PCLNTAB + 8, 1 << 21, 8);
		fd = image_open(i.data, sizeof(i.data));
		assert_int_equal(ftruncate(fd, (off_t)size), 0);
		read_checked(fd, &g, &e);
	}
}

struct shrinking {
	int fd;
	atomic_bool done;
	struct image image;
};

static void *shrink_and_grow(void *arg)
{
	struct shrinking *s = arg;

	while (!s->done)
		if (ftruncate(s->fd, 0x380) < 0 ||
		    pwrite(s->fd, s->image.data, sizeof(s->image.data), 0) < 0)
			break;
	return NULL;
}

static void a_file_may_shrink_while_it_is_read(void **state)
{
	struct shrinking s = {};
	pthread_t thread;
	struct gobin g;
	struct err e;

	image_make(&s.image, MAGIC_1_20, TEXT_IN_TABLE, true);
	s.fd = image_open(s.image.data, sizeof(s.image.data));
	assert_int_equal(pthread_create(&thread, NULL, shrink_and_grow, &s), 0);
	for (int k = 0; k < 2000; k++)
		read_checked(s.fd, &g, &e);
	s.done = true;
	pthread_join(thread, NULL);
	close(s.fd);
}

/* The tests are built for the machine that they run on, and know it from their own file too. */
static void knows_its_own_machine(void **state)
{
	cleanup(cleanup_fd) int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	uint16_t machine = 0;

	assert_int_equal(pread(fd, &machine, 2, offsetof(Elf64_Ehdr, e_machine)), 2);
	assert_int_equal(elf_own_machine(), machine);
	assert_string_equal(elf_machine_name(EM_X86_64), "x86-64");
	assert_string_equal(elf_machine_name(EM_AARCH64), "arm64");
	assert_string_equal(elf_machine_name(EM_S390), "another machine");
}

static void wrong_questions_are_refused(void **state)
{
	cleanup(cleanup_fd) int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	const char *many[GOBIN_MAX_FUNCTIONS + 1];
	const char *const empty[] = { "" };
	struct image i;
	struct gobin g;
	struct err e;

	assert_int_equal(read_checked(fd, &g, &e), -ENODATA);
	assert_string_equal(e.msg, "not a Go program");
	close(fd);
	image_make(&i, MAGIC_1_20, TEXT_IN_TABLE, false);
	fd = image_open(i.data, sizeof(i.data));
	for (size_t k = 0; k < ARRAY_SIZE(many); k++)
		many[k] = "main.main";
	assert_int_equal(gobin_read(fd, many, ARRAY_SIZE(many), &g, &e), -EINVAL);
	assert_int_equal(gobin_read(fd, empty, 1, &g, &e), -EINVAL);
	assert_int_equal(gobin_read(fd, many, ARRAY_SIZE(many) - 1, &g, NULL), 0);
	assert_int_equal(gobin_read(fd, NULL, 0, &g, NULL), 0);
}

static void versions_are_understood(void **state)
{
	static const struct {
		const char *text;
		uint16_t major, minor;
	} cases[] = {
		{ "go1.24.3", 1, 24 },
		{ "go1.27rc1", 1, 27 },
		{ "go1.22.4 X:boringcrypto", 1, 22 },
		{ "go1.21-custom", 1, 21 },
		{ "devel go1.28-3a1b2c", 1, 28 },
		{ "devel +3a1b2c", 0, 0 },
		{ "", 0, 0 },
		{ "go1", 0, 0 },
		{ "go1.", 0, 0 },
		{ "go1.99999", 0, 0 },
		{ "gopher", 0, 0 },
	};

	for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
		uint16_t major = 7, minor = 7;

		gobuild_parse_version(cases[k].text, &major, &minor);
		assert_int_equal(major, cases[k].major);
		assert_int_equal(minor, cases[k].minor);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_form_of_table),
		cmocka_unit_test(reads_the_identity),
		cmocka_unit_test(a_build_id_of_go_alone_is_hashed),
		cmocka_unit_test(finds_a_table_merged_into_another_section),
		cmocka_unit_test(symbols_that_know_nothing_are_passed_over),
		cmocka_unit_test(code_of_another_machine_has_no_sites),
		cmocka_unit_test(every_lie_is_found),
		cmocka_unit_test(every_cut_and_spoiled_byte_is_survived),
		cmocka_unit_test(odd_files_are_refused),
		cmocka_unit_test(sparse_files_cost_nothing),
		cmocka_unit_test(a_file_may_shrink_while_it_is_read),
		cmocka_unit_test(knows_its_own_machine),
		cmocka_unit_test(wrong_questions_are_refused),
		cmocka_unit_test(versions_are_understood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
