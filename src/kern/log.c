// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "kern/private.h"

static char last[256];
static bool counting;
static uint32_t counted;

/*
 * A failed load is a warning of several lines: libbpf's own, then the verifier's log, whose last
 * line but the statistics says what was wrong.
 */
static void keep_reason(const char *text)
{
	const char *end = strstr(text, "\nprocessed "), *start;
	size_t len;

	if (!end)
		end = text + strlen(text);
	while (end > text && isspace((unsigned char)end[-1]))
		end--;
	start = end;
	while (start > text && start[-1] != '\n')
		start--;
	if (strncmp(start, "libbpf: ", 8) == 0)
		start += 8;
	len = (size_t)(end - start);
	if (!len || strstr(start, "-- END PROG LOAD LOG --") == start)
		return;
	if (len >= sizeof(last))
		len = sizeof(last) - 1;
	memcpy(last, start, len);
	last[len] = '\0';
}

/* Debugging shows all of a verifier's log, line by line. */
static void show(char *text)
{
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
		if (*line)
			log_debug("%s", line);
}

static void take_count(const char *text)
{
	const char *found = strstr(text, "\nprocessed ");
	unsigned int n;

	if (found && sscanf(found, "\nprocessed %u insns", &n) == 1)
		counted = n;
}

static int take(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	cleanup(cleanup_free) char *text = NULL;

	if ((level == LIBBPF_DEBUG && !counting) || vasprintf(&text, fmt, ap) < 0)
		return 0;
	if (counting)
		take_count(text);
	if (level == LIBBPF_DEBUG)
		return 0;
	if (level == LIBBPF_WARN && (!last[0] || strstr(text, "PROG LOAD LOG")))
		keep_reason(text);
	if (log_get_level() >= LOG_DEBUG)
		show(text);
	return 0;
}

void kern_log_init(void)
{
	libbpf_set_print(take);
}

uint32_t kern_log_count(bool on)
{
	uint32_t found = counted;

	counting = on;
	counted = 0;
	return found;
}

void kern_log_clear(void)
{
	last[0] = '\0';
}

const char *kern_log_last(void)
{
	return last[0] ? last : "no further reason given";
}
