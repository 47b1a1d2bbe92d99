// SPDX-License-Identifier: Apache-2.0

/* Writes the first corpus of fuzz_gobin into the directory that it is given: tests/fuzz/run seeds. */
#include <stdio.h>

#include "tests/fuzz/go_image.h"

/* Nothing lies behind the section headers. */
#define USED_BYTES (AT_SECTIONS + N_SECTIONS * sizeof(Elf64_Shdr))

static int write_seed(const char *directory, const char *name, const struct image *i)
{
	char path[4096];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	f = fopen(path, "wb");
	if (!f) {
		perror(path);
		return 1;
	}
	n = fwrite(i->data, 1, USED_BYTES, f);
	if (fclose(f) != 0 || n != USED_BYTES) {
		perror(path);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		uint16_t machine;
		uint32_t magic;
		enum image_text text;
		bool stripped;
	} seeds[] = {
		{ "go1.18-stripped", EM_X86_64, 0xfffffff0, TEXT_IN_TABLE, true },
		{ "go1.20", EM_X86_64, 0xfffffff1, TEXT_IN_TABLE, false },
		{ "go1.20-stripped", EM_X86_64, 0xfffffff1, TEXT_IN_TABLE, true },
		{ "go1.20-pie-stripped", EM_X86_64, 0xfffffff1, TEXT_RELOCATED, true },
		{ "go1.26-stripped", EM_X86_64, 0xfffffff1, TEXT_IN_MODULE, true },
		{ "go1.26-pie-stripped", EM_X86_64, 0xfffffff1, TEXT_IN_MODULE_RELOCATED, true },
		{ "go1.18-arm64-stripped", EM_AARCH64, 0xfffffff0, TEXT_IN_TABLE, true },
		{ "go1.20-arm64", EM_AARCH64, 0xfffffff1, TEXT_IN_TABLE, false },
		{ "go1.26-arm64-pie-stripped", EM_AARCH64, 0xfffffff1, TEXT_IN_MODULE_RELOCATED,
		  true },
	};
	int failed = argc != 2;

	for (size_t k = 0; argc == 2 && k < sizeof(seeds) / sizeof(seeds[0]); k++) {
		struct image i;

		image_make_for(&i, seeds[k].machine, seeds[k].magic, seeds[k].text,
			       seeds[k].stripped);
		failed |= write_seed(argv[1], seeds[k].name, &i);
	}
	return failed;
}
