// SPDX-License-Identifier: Apache-2.0
#include "elf/gobuild.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "elf/cur.h"

/* As written by cmd/link since Go 1.13: magic, pointer size, flags, and from byte 32 the strings. */
#define MAGIC	     "\xff Go buildinf:"
#define MAGIC_LEN    14
#define HEADER_LEN   32
#define FLAG_INLINE  2
#define MAX_READ     512 /* the version comes first; the module list behind it is not wanted */
#define MAX_NOTE     1024
#define NOTE_OWNER   4 /* both owners, "GNU" and "Go", take one word */
#define NOTE_GO_ID   4
#define GNU_ID_BYTES 20

static char printable(uint8_t c)
{
	return c >= 0x20 && c < 0x7f ? (char)c : '?';
}

int gobuild_version(struct elf *elf, char *ret, size_t size, struct err *e)
{
	const struct elf_section *s = elf_find_section(elf, ".go.buildinfo");
	uint8_t raw[MAX_READ];
	const uint8_t *text;
	struct cur c;
	uint64_t len;
	uint8_t flags;
	size_t n, i;
	int r;

	if (!s)
		return err_set(e, -ENODATA, "it has no Go build information");
	n = s->size < sizeof(raw) ? s->size : sizeof(raw);
	r = elf_read(elf, s->offset, raw, n, e);
	if (r < 0)
		return r;
	c = cur_of(raw, n);
	text = cur_bytes(&c, MAGIC_LEN);
	cur_u8(&c); /* pointer size, for the form without inline strings */
	flags = cur_u8(&c);
	cur_bytes(&c, HEADER_LEN - MAGIC_LEN - 2);
	if (c.bad || memcmp(text, MAGIC, MAGIC_LEN) != 0)
		return err_set(e, -EBADMSG, "its Go build information has an unknown form");
	ret[0] = '\0';
	if (!(flags & FLAG_INLINE))
		return 0;
	len = cur_uvarint(&c);
	text = cur_bytes(&c, len);
	if (!text)
		return err_set(e, -EBADMSG, "its Go version lies outside the build information");
	for (i = 0; i < len && i + 1 < size; i++)
		ret[i] = printable(text[i]);
	ret[i] = '\0';
	return 0;
}

static const char *parse_number(const char *p, uint16_t *ret)
{
	uint32_t v = 0;

	if (*p < '0' || *p > '9')
		return NULL;
	for (; *p >= '0' && *p <= '9'; p++) {
		v = v * 10 + (uint32_t)(*p - '0');
		if (v > UINT16_MAX)
			return NULL;
	}
	*ret = (uint16_t)v;
	return p;
}

void gobuild_parse_version(const char *version, uint16_t *ret_major, uint16_t *ret_minor)
{
	uint16_t major = 0, minor = 0;
	const char *p = version;

	*ret_major = 0;
	*ret_minor = 0;
	if (strncmp(p, "devel ", 6) == 0)
		p += 6;
	if (strncmp(p, "go", 2) != 0)
		return;
	p = parse_number(p + 2, &major);
	if (!p || *p != '.' || !parse_number(p + 1, &minor))
		return;
	*ret_major = major;
	*ret_minor = minor;
}

/*
 * The descriptor of the note of @type and @owner in section @name: its length, or 0. @raw holds
 * what was read.
 */
static size_t read_note(struct elf *elf, const char *name, uint32_t type,
			const char owner[NOTE_OWNER], uint8_t raw[MAX_NOTE], const uint8_t **ret)
{
	const struct elf_section *s = elf_find_section(elf, name);
	uint32_t owner_len, desc_len, found;
	const uint8_t *owner_at;
	struct cur c;
	size_t n;

	if (!s)
		return 0;
	n = s->size < MAX_NOTE ? s->size : MAX_NOTE;
	if (elf_read(elf, s->offset, raw, n, NULL) < 0)
		return 0;
	c = cur_of(raw, n);
	owner_len = cur_u32(&c);
	desc_len = cur_u32(&c);
	found = cur_u32(&c);
	owner_at = cur_bytes(&c, NOTE_OWNER);
	*ret = cur_bytes(&c, desc_len);
	if (c.bad || found != type || owner_len > NOTE_OWNER ||
	    memcmp(owner_at, owner, NOTE_OWNER) != 0)
		return 0;
	return desc_len;
}

static uint64_t fnv1a(const uint8_t *p, size_t n)
{
	uint64_t h = 0xcbf29ce484222325;

	while (n-- > 0)
		h = (h ^ *p++) * 0x100000001b3;
	return h;
}

void gobuild_id(struct elf *elf, char ret[41])
{
	uint8_t raw[MAX_NOTE];
	const uint8_t *id = NULL;
	size_t n;

	ret[0] = '\0';
	n = read_note(elf, ".note.gnu.build-id", NT_GNU_BUILD_ID, "GNU", raw, &id);
	if (n > 0) {
		for (size_t i = 0; i < n && i < GNU_ID_BYTES; i++)
			snprintf(ret + 2 * i, 3, "%02x", id[i]);
		return;
	}
	n = read_note(elf, ".note.go.buildid", NOTE_GO_ID, "Go\0", raw, &id);
	if (n > 0)
		snprintf(ret, 41, "%016llx", (unsigned long long)fnv1a(id, n));
}
