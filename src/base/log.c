// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <stdio.h>
#include <string.h>

#include "base/printable.h"

static enum log_level threshold = LOG_INFO;
static void (*log_sink)(enum log_level level, const char *line, void *arg);
static void *log_sink_arg;

void log_set_level(enum log_level level)
{
	threshold = level;
}

enum log_level log_get_level(void)
{
	return threshold;
}

void log_set_sink(void (*sink)(enum log_level level, const char *line, void *arg), void *arg)
{
	log_sink = sink;
	log_sink_arg = arg;
}

/* Names of watched programs are in our lines: they must not speak to the terminal. */
static void make_printable(char *line)
{
	uint32_t c;

	for (size_t n; *line; line += n) {
		n = printable_next(line, &c);
		if (!printable_is(c))
			memset(line, '?', n);
	}
}

void log_atv(enum log_level level, const char *fmt, va_list ap)
{
	static const char *const prefix[] = { "error: ", "warning: ", "", "debug: " };
	char line[1024];

	if (level > threshold)
		return;
	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	make_printable(line);
	if (log_sink)
		log_sink(level, line, log_sink_arg);
	else
		fprintf(stderr, "sonde: %s%s\n", prefix[level], line);
}

void log_at(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_atv(level, fmt, ap);
	va_end(ap);
}
