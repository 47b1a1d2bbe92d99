// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "kern/private.h"

static char last[256];

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

static int take(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	cleanup(cleanup_free) char *text = NULL;

	if (level == LIBBPF_DEBUG || vasprintf(&text, fmt, ap) < 0)
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

void kern_log_clear(void)
{
	last[0] = '\0';
}

const char *kern_log_last(void)
{
	return last[0] ? last : "no further reason given";
}
