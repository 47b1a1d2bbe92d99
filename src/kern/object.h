/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * A BPF object that is embedded in the program. Its maps are made once; its programs are loaded one
 * by one, each when it is first wanted, onto those maps, so that a program that this kernel refuses
 * costs itself and nothing else. Nothing is pinned: closing the object takes everything with it.
 *
 * None of these functions may run on two threads at once.
 */
struct kern_object;
struct kern_program; /* loaded, attached any number of times */
struct kern_link;    /* one attachment */

struct kern_image {
	const char *name;
	const unsigned char *start, *end;
};

/* The bytes of bpf/NAME.bpf.c, as the build embedded them. */
#define KERN_IMAGE_DECLARE(NAME) extern const unsigned char bpf_##NAME##_start[], bpf_##NAME##_end[]
#define KERN_IMAGE(NAME)                                    \
	{                                                   \
#NAME, bpf_##NAME##_start, bpf_##NAME##_end \
	}

int kern_object_open(const struct kern_image *image, struct kern_object **ret, struct err *e);

/* Before kern_object_create(): a `const volatile` variable, a map's size, a map that is not needed. */
int kern_object_set(struct kern_object *o, const char *variable, const void *value, size_t size,
		    struct err *e);
/* Once the maps are made: a variable that is no constant, of 32 bits. -ENOENT: there is none. */
int kern_object_poke(struct kern_object *o, const char *variable, uint32_t value);
int kern_object_resize(struct kern_object *o, const char *map, uint32_t max_entries);
/* In place of a map of its own: that of another object, behind @fd, which is not taken. */
int kern_object_share(struct kern_object *o, const char *map, int fd);
int kern_object_omit(struct kern_object *o, const char *map);

/* Makes the maps. -EPERM without the rights, with a sentence. */
int kern_object_create(struct kern_object *o, struct err *e);

/* Detaches and frees everything that came from the object. NULL is fine. */
void kern_object_close(struct kern_object *o);

/* File descriptor of a map, owned by the object; -ENOENT. */
int kern_object_map(const struct kern_object *o, const char *name);

/*
 * Runs of the object's programs that the kernel left out because one was running on that CPU
 * already: losses, counted by the kernel. Programs on tracepoints and functions have them, and kprobes
 * from 6.7 on; of uprobes by perf event, which older kernels leave out too, they keep no count.
 */
uint64_t kern_object_misses(const struct kern_object *o);

/* What the kernel counted of a program while its run statistics were on, since it was loaded. */
struct kern_runs {
	uint64_t count, time_ns;
};

/* -ENOENT if no such program was loaded, or -errno of asking. */
int kern_program_runs(const struct kern_object *o, const char *program, struct kern_runs *ret);

/*
 * Run statistics of all programs of the machine, for as long as the descriptor is open, whatever
 * kernel.bpf_stats_enabled says. They add some 20 ns to what they report of each run, and more to what it
 * takes. -EPERM without CAP_SYS_ADMIN, which nothing else of ours needs here.
 */
int kern_run_statistics(struct err *e);

/*
 * Loads one program, once; later calls return the same. @e says what the kernel's verifier had against it, in its last words. The
 * program belongs to the object.
 */
int kern_program_load(struct kern_object *o, const char *name, struct kern_program **ret,
		      struct err *e);

/* Attaches where the program's section says (tracepoint, function), to one place at a time. The caller
 * frees the link, before the object is closed. */
int kern_program_attach(struct kern_program *p, struct kern_link **ret, struct err *e);

/* Where a uprobe goes, and what the program is told of it, which only uprobe_multi links do. */
struct kern_uprobe {
	uint64_t file_offset, cookie;
};

/*
 * Attaches to @n places in the executable or library behind @fd, for every process that maps it now or
 * later: one link where the kernel has uprobe_multi, else one perf event each. They join those in
 * *@ret, which is NULL or what an earlier call made, and which the caller frees after an error too.
 */
int kern_program_attach_uprobes(struct kern_program *p, int fd, const struct kern_uprobe *places,
				size_t n, struct kern_link **ret, struct err *e);

/*
 * What the kernel says (-errno; never 0) to a uprobe_multi link of the program at @path, which is no
 * file that could be probed. For the probing of features.
 */
int kern_program_try_uprobe_multi(struct kern_program *p, const char *path);

void kern_link_free(struct kern_link *l);

/*
 * For a budget: instructions of the program as this kernel runs it, and those that its verifier walked,
 * some of them many times, which is 0 unless kern_object_count() was called before it was loaded.
 * -errno of asking.
 */
void kern_object_count(struct kern_object *o);
int kern_program_size(const struct kern_program *p, uint32_t *ret_insns, uint32_t *ret_walked);

int kern_program_fd(const struct kern_program *p);

/* Runs the program once with @ctx (a SEC("syscall") test entry); its result is in *@ret_value. */
int kern_program_test_run(struct kern_program *p, void *ctx, size_t size, uint32_t *ret_value,
			  struct err *e);
