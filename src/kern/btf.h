/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * What the running kernel says of its own types: BTF, which most kernels carry and some do not. A file
 * can stand in for it as far as the places of fields go; tracepoints with BTF and fentry need the
 * kernel's own.
 */
enum kern_types {
	KERN_TYPES_NONE,   /* programs that read kernel types cannot be loaded */
	KERN_TYPES_FILE,   /* a file describes them */
	KERN_TYPES_KERNEL, /* the kernel does */
};

/*
 * Before anything else of kern/ is used: if the kernel has no types of its own, takes them from the file
 * at @path (raw BTF, or ELF with a .BTF section), which must describe the very kernel that runs. To see
 * whether it does, programs read by it what is also known in other ways: of a task, and of a connection
 * over loopback that is made for this. Needs the rights to load programs. -ENOENT and the like: not
 * readable; -EINVAL: not BTF; -EBADMSG: of another kernel; -EOPNOTSUPP: this kernel lets nobody use it,
 * and works as without. Whatever the error, no file is in use then.
 */
int kern_types_use_file(const char *path, struct err *e);

enum kern_types kern_types(void);

/* One thing that the kernel's own BTF is asked for. */
struct kern_type_query {
	enum { KERN_TYPE_FUNCTION, KERN_TYPE_TRACEPOINT } kind;
	const char *name;
	bool found;
};

/*
 * Fills in @found of @n queries. The kernel's BTF is megabytes long: it is read for this and freed, so
 * many questions at once are as dear as one (about 15 ms).
 */
void kern_types_find(struct kern_type_query *queries, size_t n);
