// SPDX-License-Identifier: Apache-2.0
#include "agent/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "ui/report_progress.h"
#include "ui/text.h"

#define EVERY_NS (10 * NSEC_PER_SEC)
#define CLEAR	 "\r\x1b[K"

/* A line of the log, above the one that is drawn in place. */
static void put_line(enum log_level level, const char *line, void *arg)
{
	static const struct {
		const char *prefix, *escape;
	} looks[] = {
		[LOG_ERROR] = { "error: ", RED },
		[LOG_WARN] = { "warning: ", BOLD },
		[LOG_INFO] = { "", "" },
		[LOG_DEBUG] = { "debug: ", DIM },
	};
	const struct progress *p = arg;

	fprintf(stderr, CLEAR "%ssonde: %s%s%s\n", p->color ? looks[level].escape : "",
		looks[level].prefix, line, p->color ? PLAIN : "");
}

void progress_begin(struct progress *p, bool color, uint64_t end_ns)
{
	uint64_t now = clock_boot_ns();

	*p = (struct progress){
		.terminal = isatty(STDERR_FILENO),
		.color = color,
		.running = true,
		.began_ns = now,
		.end_ns = end_ns,
		.next_ns = now + EVERY_NS,
	};
	if (p->terminal)
		log_set_sink(put_line, p);
}

static void tell(struct progress *p, struct snapshot *now)
{
	cleanup(strbuf_done) struct strbuf text = {};

	report_progress_render(now, p->before, p->began_ns, true, &text);
	log_info("%s", strbuf_str(&text));
	snapshot_free(p->before);
	p->before = now;
}

void progress_tick(struct progress *p, struct snapshot *now)
{
	uint64_t time_ns = clock_boot_ns();

	/* In a pipe or a file it is silent. The timer's clock is not quite this one. */
	if (p->terminal && now && time_ns + NSEC_PER_SEC / 2 >= p->next_ns) {
		tell(p, now);
		p->next_ns += EVERY_NS;
	} else {
		snapshot_free(now);
	}
	if (p->terminal && p->end_ns > time_ns)
		fprintf(stderr, CLEAR "%ssonde: measuring, %llu s to go (Ctrl-C ends it now)%s",
			p->color ? DIM : "",
			(unsigned long long)((p->end_ns - time_ns + NSEC_PER_SEC / 2) /
					     NSEC_PER_SEC),
			p->color ? PLAIN : "");
}

void progress_end(struct progress *p)
{
	if (!p->running)
		return;
	if (p->terminal) {
		fputs(CLEAR, stderr);
		log_set_sink(NULL, NULL);
	}
	snapshot_free(p->before);
	*p = (struct progress){};
}
