// SPDX-License-Identifier: Apache-2.0
#include "kern/btf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/btf.h>

#include "base/cleanup.h"
#include "kern/object.h"
#include "kern/private.h"

KERN_IMAGE_DECLARE(types);

#define KERNEL_BTF "/sys/kernel/btf/vmlinux"

/* What stands in for the kernel's types: the user's file, or one that knows none. */
static char stand_in[4096];
static bool is_file;

static int read_file(const char *path, struct err *e)
{
	struct btf *btf = btf__parse(path, NULL);

	if (!btf)
		return err_set(
			e, -errno,
			"%s cannot be used as --btf: %s; give a BTF file, or an ELF file with "
			"BTF in it, that was made for this kernel",
			path, errno == EINVAL ? "it holds no BTF" : strerror(errno));
	btf__free(btf);
	if ((size_t)snprintf(stand_in, sizeof(stand_in), "%s", path) >= sizeof(stand_in))
		return err_set(e, -ENAMETOOLONG, "the path of --btf is too long");
	return 0;
}

/* Whether a program that goes by the file finds the current task to be what it is. */
static bool describes_this_kernel(void)
{
	static const struct kern_image image = KERN_IMAGE(types);
	struct kern_program *p;
	struct kern_object *o;
	uint64_t unused[1] = {};
	uint32_t right = 0;

	if (kern_object_open(&image, &o, NULL) < 0)
		return false;
	if (kern_object_create(o, NULL) == 0 &&
	    kern_program_load(o, "sn_types_right", &p, NULL) == 0)
		kern_program_test_run(p, unused, sizeof(unused), &right, NULL);
	kern_object_close(o);
	return right == 1;
}

int kern_types_use_file(const char *path, struct err *e)
{
	int r;

	if (kern_types() == KERN_TYPES_KERNEL)
		return 0;
	r = read_file(path, e);
	if (r < 0)
		return r;
	is_file = true;
	if (describes_this_kernel())
		return 0;
	is_file = false;
	stand_in[0] = '\0';
	return err_set(
		e, -EINVAL,
		"%s describes another kernel than the one that runs: nothing was measured by "
		"it; give the BTF of this kernel, or leave --btf out",
		path);
}

enum kern_types kern_types(void)
{
	if (access(KERNEL_BTF, R_OK) == 0)
		return KERN_TYPES_KERNEL;
	return is_file ? KERN_TYPES_FILE : KERN_TYPES_NONE;
}

/* Kept open for as long as the program runs: objects are opened at any time. */
static void make_empty(void)
{
	struct btf *btf = btf__new_empty();
	const void *data;
	uint32_t size;
	int fd;

	if (!btf || btf__add_int(btf, "int", 4, BTF_INT_SIGNED) < 0)
		goto out;
	data = btf__raw_data(btf, &size);
	fd = memfd_create("sonde-no-btf", MFD_CLOEXEC);
	if (!data || fd < 0)
		goto out;
	if (write(fd, data, size) == (ssize_t)size)
		snprintf(stand_in, sizeof(stand_in), "/proc/self/fd/%d", fd);
	else
		close(fd);
out:
	btf__free(btf);
}

const char *kern_types_path(void)
{
	if (kern_types() == KERN_TYPES_KERNEL)
		return NULL;
	/* Without any, libbpf would not even open an object whose wanted programs need none. */
	if (!stand_in[0])
		make_empty();
	return stand_in;
}

void kern_types_find(struct kern_type_query *queries, size_t n)
{
	static const uint32_t kinds[] = {
		[KERN_TYPE_STRUCT] = BTF_KIND_STRUCT,
		[KERN_TYPE_FUNCTION] = BTF_KIND_FUNC,
		[KERN_TYPE_TRACEPOINT] = BTF_KIND_TYPEDEF,
	};
	struct btf *btf = btf__load_vmlinux_btf();
	char name[128];

	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s%s",
			 queries[i].kind == KERN_TYPE_TRACEPOINT ? "btf_trace_" : "",
			 queries[i].name);
		queries[i].found =
			btf && btf__find_by_name_kind(btf, name, kinds[queries[i].kind]) >= 0;
	}
	btf__free(btf);
}
