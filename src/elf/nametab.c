// SPDX-License-Identifier: Apache-2.0
#include "elf/nametab.h"

#include <errno.h>
#include <string.h>

#define MAX_TABLE (128ULL << 20)

struct wanted {
	const char *const *names;
	size_t len[NAMETAB_MAX_NAMES];
	uint32_t n;
};

static int measure_names(struct wanted *w, struct err *e)
{
	if (w->n > NAMETAB_MAX_NAMES)
		return err_set(e, -EINVAL, "more than %d names at once", NAMETAB_MAX_NAMES);
	for (uint32_t i = 0; i < w->n; i++) {
		w->len[i] = strnlen(w->names[i], NAMETAB_MAX_NAME + 1);
		if (w->len[i] == 0 || w->len[i] > NAMETAB_MAX_NAME)
			return err_set(e, -EINVAL, "a function name of 0 or more than %d bytes",
				       NAMETAB_MAX_NAME);
	}
	return 0;
}

static void add_hit(struct nametab *t, uint64_t offset, uint32_t name)
{
	if (t->n_hits == 0 || offset < t->first)
		t->first = offset;
	if (t->n_hits == 0 || offset > t->last)
		t->last = offset;
	t->hits[t->n_hits].offset = offset;
	t->hits[t->n_hits].name = name;
	t->n_hits++;
}

/* Notes every wanted name that ends at @nul; @offset is that of @start in the table. */
static int match_at(struct nametab *t, const struct wanted *w, const uint8_t *start,
		    const uint8_t *nul, uint64_t offset, struct err *e)
{
	size_t before = (size_t)(nul - start);

	for (uint32_t i = 0; i < w->n; i++) {
		size_t len = w->len[i];

		if (len > before || nul[-1] != (uint8_t)w->names[i][len - 1] ||
		    memcmp(nul - len, w->names[i], len) != 0)
			continue;
		if (t->n_hits == NAMETAB_MAX_HITS)
			return err_set(e, -EBADMSG, "its names repeat too often");
		add_hit(t, offset + before - len, i);
	}
	return 0;
}

static int match_chunk(struct nametab *t, const struct wanted *w, const uint8_t *start,
		       const uint8_t *p, const uint8_t *end, uint64_t offset, struct err *e)
{
	const uint8_t *nul;

	while ((nul = memchr(p, 0, (size_t)(end - p)))) {
		if (nul > start) {
			int r = match_at(t, w, start, nul, offset, e);

			if (r < 0)
				return r;
		}
		p = nul + 1;
	}
	return 0;
}

int nametab_find(struct elf *elf, uint64_t offset, uint64_t size, const char *const *names,
		 uint32_t n_names, struct nametab *ret, struct err *e)
{
	cleanup(cleanup_free) uint8_t *buf = NULL;
	struct wanted w = { .names = names, .n = n_names };
	size_t kept = 0; /* bytes of the chunk before: a name may straddle two */
	int r;

	*ret = (struct nametab){};
	r = measure_names(&w, e);
	if (r < 0)
		return r;
	if (size > MAX_TABLE)
		return err_set(e, -E2BIG, "its names take more than %llu MB", MAX_TABLE >> 20);
	if (offset > elf->file_size)
		return err_set(e, -EBADMSG, "its names lie beyond the end of the file");
	buf = malloc(NAMETAB_MAX_NAME + ELF_WINDOW_BYTES);
	if (!buf)
		return err_set(e, -ENOMEM, "out of memory");
	for (uint64_t done = 0; done < size;) {
		size_t n = size - done < ELF_WINDOW_BYTES ? size - done : ELF_WINDOW_BYTES;
		uint8_t *end = buf + kept + n;

		r = elf_read(elf, offset + done, buf + kept, n, e);
		if (r < 0)
			return r;
		r = match_chunk(ret, &w, buf, buf + kept, end, done - kept, e);
		if (r < 0)
			return r;
		done += n;
		kept = kept + n < NAMETAB_MAX_NAME ? kept + n : NAMETAB_MAX_NAME;
		memmove(buf, end - kept, kept);
	}
	return 0;
}

int nametab_lookup(const struct nametab *t, uint64_t offset)
{
	if (t->n_hits == 0 || offset < t->first || offset > t->last)
		return -1;
	for (uint32_t i = 0; i < t->n_hits; i++)
		if (t->hits[i].offset == offset)
			return (int)t->hits[i].name;
	return -1;
}
