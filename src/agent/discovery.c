// SPDX-License-Identifier: Apache-2.0
#include "agent/discovery.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "agent/links.h"
#include "agent/reader.h"
#include "base/clock.h"
#include "base/cleanup.h"
#include "elf/elf.h"
#include "probe/run.h"
#include "world/process.h"

/*
 * Attachments outlive the last process of their file for so long, because services are restarted; no
 * longer, because its file system cannot be unmounted meanwhile.
 */
#define KEEP_NS (5 * NSEC_PER_SEC)

/* Names of all functions that the probes' wants mention. */
#define MAX_SYMBOLS GOBIN_MAX_FUNCTIONS

/* So many names are read ahead; beyond that, when their first figures come. */
#define MAX_LOOKED 256

struct file {
	struct file_id id;
	char path[256];
	char error[160];
	pid_t pid;
	int fd; /* open while the file is wanted and has yet to be attached to */
	struct gobin *go;
	uint64_t seen_ns;
	UT_hash_handle hh;
};

/* All sites of a probe in a file. */
struct attachment {
	struct file_id file;
	const char *probe;
	struct kern_link *link;
};

struct discovery {
	const char *proc;
	struct reader reader;
	struct probe_run *const *runs;
	const char *symbols[MAX_SYMBOLS];
	size_t n_symbols;
	struct file *files;
	struct plan plan;
	struct attachment *attachments;
	size_t n_attachments;
	struct kern_link **leaving; /* while some leave: room for all */
	size_t n_leaving;
	pid_t looked[MAX_LOOKED]; /* processes of Go programs that were looked at */
	size_t n_looked;
	size_t n_unreadable; /* processes of the last walk that we had no right to look at */
	bool stopped;
};

static void add_symbol(struct discovery *d, const char *symbol)
{
	for (size_t i = 0; i < d->n_symbols; i++)
		if (strcmp(d->symbols[i], symbol) == 0)
			return;
	if (d->n_symbols < MAX_SYMBOLS)
		d->symbols[d->n_symbols++] = symbol;
}

struct discovery *discovery_new(const char *proc, struct inspector *inspector,
				struct probe_run *const *runs)
{
	struct discovery *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->proc = proc;
	d->reader = (struct reader){ .inspector = inspector, .window_ns = READER_WINDOW_NS };
	d->runs = runs;
	for (size_t i = 0; probes[i]; i++) {
		if (!probes[i]->want)
			continue;
		add_symbol(d, probes[i]->want->mark);
		for (const struct plan_want_site *s = probes[i]->want->sites; s->symbol; s++)
			add_symbol(d, s->symbol);
	}
	return d;
}

static void file_free(struct file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	free(f->go);
	free(f);
}

void discovery_free(struct discovery *d)
{
	struct file *f, *next;

	if (!d)
		return;
	discovery_stop(d);
	HASH_ITER (hh, d->files, f, next) {
		HASH_DEL(d->files, f);
		file_free(f);
	}
	plan_done(&d->plan);
	free(d);
}

/*
 * Reads what the file says about itself. A program that is not Go's is remembered as nothing. False:
 * there is nobody to read it now, and a later walk is to look again.
 */
static bool inspect(struct discovery *d, struct file *f)
{
	struct gobin *go = malloc(sizeof(*go));
	struct err e = {};
	int r;

	if (!go)
		return false;
	r = reader_gobin(&d->reader, f->fd, d->symbols, (uint32_t)d->n_symbols, go, &e);
	if (r == 0) {
		f->go = go;
		return true;
	}
	free(go);
	if (r != -ENODATA && r != -ENOEXEC)
		snprintf(f->error, sizeof(f->error), "%.*s", (int)sizeof(f->error) - 1, e.msg);
	return r != -EPIPE;
}

static void note_looked(struct discovery *d, const struct file *f, pid_t pid)
{
	if (f->go && d->n_looked < MAX_LOOKED)
		d->looked[d->n_looked++] = pid;
}

static void look_at(struct discovery *d, pid_t pid)
{
	struct file_id id = {};
	struct file *f;
	int fd, r;

	r = process_exe_id(d->proc, pid, &id);
	d->n_unreadable += r == -EACCES || r == -EPERM;
	if (r < 0)
		return;
	HASH_FIND(hh, d->files, &id, sizeof(id), f);
	if (f) {
		f->seen_ns = clock_boot_ns();
		f->pid = pid;
		note_looked(d, f, pid);
		return;
	}
	f = calloc(1, sizeof(*f));
	if (!f)
		return;
	fd = process_open_exe(d->proc, pid, &f->id, f->path, sizeof(f->path));
	if (fd < 0 || !file_id_equal(&f->id, &id)) {
		/* Ended, or became another program between the two looks: that one has its event. */
		if (fd >= 0)
			close(fd);
		free(f);
		return;
	}
	f->fd = fd;
	f->pid = pid;
	f->seen_ns = clock_boot_ns();
	if (!inspect(d, f)) {
		file_free(f);
		return;
	}
	note_looked(d, f, pid);
	if (!f->go) {
		close(f->fd);
		f->fd = -1;
	}
	HASH_ADD(hh, d->files, id, sizeof(f->id), f);
}

static int look_at_one(pid_t pid, void *arg)
{
	look_at(arg, pid);
	return 0;
}

/* Files that no process of a whole walk runs, and that none has run for a while. */
static void forget_files(struct discovery *d, uint64_t began_ns)
{
	uint64_t now = clock_boot_ns();
	struct file *f, *next;

	HASH_ITER (hh, d->files, f, next) {
		if (f->seen_ns >= began_ns || now - f->seen_ns < KEEP_NS)
			continue;
		HASH_DEL(d->files, f);
		file_free(f);
	}
}

int discovery_scan(struct discovery *d, struct err *e)
{
	uint64_t began_ns = clock_boot_ns();
	int r;

	d->n_unreadable = 0;
	r = process_walk(d->proc, look_at_one, d, e);
	if (!r)
		forget_files(d, began_ns);
	return r;
}

void discovery_look(struct discovery *d, const pid_t *pids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		look_at(d, pids[i]);
}

static struct probe_run *find_run(const struct discovery *d, const char *probe)
{
	for (size_t i = 0; d->runs && d->runs[i]; i++)
		if (strcmp(probe_run_probe(d->runs[i])->name, probe) == 0)
			return d->runs[i];
	return NULL;
}

static void make_plan(struct discovery *d, struct plan *p)
{
	struct file *f, *next;

	HASH_ITER (hh, d->files, f, next) {
		struct plan_file pf = {
			.id = f->id,
			.path = f->path,
			.pid = f->pid,
			.go = f->error[0] ? NULL : f->go,
			.error = f->error[0] ? f->error : NULL,
		};

		for (size_t i = 0; probes[i]; i++)
			if (probes[i]->want && (!d->runs || find_run(d, probes[i]->name)))
				plan_add(p, probes[i]->want, &pf, d->symbols, d->n_symbols);
	}
}

static void leave_begin(struct discovery *d)
{
	d->leaving = calloc(d->n_attachments + 1, sizeof(*d->leaving));
	d->n_leaving = 0;
}

/* All at once in leave_end(), or without memory one after the other. */
static void leave(struct discovery *d, struct kern_link *link)
{
	if (d->leaving)
		d->leaving[d->n_leaving++] = link;
	else
		kern_link_free(link);
}

static void leave_end(struct discovery *d)
{
	links_free(d->leaving, d->n_leaving);
	free(d->leaving);
	d->leaving = NULL;
}

static int detach_site(const struct plan_site *s, void *arg)
{
	struct discovery *d = arg;

	for (size_t i = 0; i < d->n_attachments; i++) {
		struct attachment *a = &d->attachments[i];

		if (strcmp(a->probe, s->probe) || !file_id_equal(&a->file, &s->file))
			continue;
		leave(d, a->link);
		*a = d->attachments[--d->n_attachments];
		break;
	}
	return 0;
}

struct attaching {
	struct discovery *d;
	const struct plan *plan;
	bool failed;
};

static int attach_site(const struct plan_site *s, void *arg)
{
	struct attaching *job = arg;
	struct discovery *d = job->d;
	struct attachment *more, a = { .file = s->file, .probe = s->probe };
	size_t n = plan_group(job->plan, s);
	struct err e = {};
	struct file *f;
	int r;

	HASH_FIND(hh, d->files, &s->file, sizeof(s->file), f);
	if (!n || !f || f->fd < 0)
		return 0;
	r = probe_run_attach(find_run(d, s->probe), s, n, f->fd, &a.link, &e);
	if (r < 0) {
		/* From now on the file is one that cannot be probed, as a whole. */
		snprintf(f->error, sizeof(f->error), "%.*s", (int)sizeof(f->error) - 1, e.msg);
		job->failed = true;
		return 0;
	}
	more = realloc(d->attachments, (d->n_attachments + 1) * sizeof(*more));
	if (!more) {
		kern_link_free(a.link);
		return -ENOMEM;
	}
	d->attachments = more;
	d->attachments[d->n_attachments++] = a;
	return 0;
}

/* Brings the attachments from the plan in force to a new one; whether some could not be made. */
static bool replan(struct discovery *d)
{
	struct plan next = { .machine = elf_own_machine() };
	struct attaching job = { .d = d, .plan = &next };

	make_plan(d, &next);
	if (d->runs) {
		plan_diff(&d->plan, &next, NULL, attach_site, &job);
		leave_begin(d);
		plan_diff(&d->plan, &next, detach_site, NULL, d);
		leave_end(d);
	}
	plan_done(&d->plan);
	d->plan = next;
	return job.failed;
}

void discovery_apply(struct discovery *d)
{
	struct file *f, *next;

	if (d->stopped)
		return;
	/* Once more without the files that turned out not to take a probe. */
	if (replan(d))
		replan(d);
	HASH_ITER (hh, d->files, f, next) {
		if (f->fd >= 0)
			close(f->fd);
		f->fd = -1;
	}
}

void discovery_stop(struct discovery *d)
{
	d->stopped = true;
	leave_begin(d);
	for (size_t i = 0; i < d->n_attachments; i++)
		leave(d, d->attachments[i].link);
	leave_end(d);
	free(d->attachments);
	d->attachments = NULL;
	d->n_attachments = 0;
}

void discovery_take_looked(struct discovery *d, void (*each)(pid_t pid, void *arg), void *arg)
{
	for (size_t i = 0; i < d->n_looked; i++)
		each(d->looked[i], arg);
	d->n_looked = 0;
}

const struct plan *discovery_plan(const struct discovery *d)
{
	return &d->plan;
}

const struct reader *discovery_reader(const struct discovery *d)
{
	return &d->reader;
}

size_t discovery_unreadable(const struct discovery *d)
{
	return d->n_unreadable;
}
