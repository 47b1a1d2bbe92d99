// SPDX-License-Identifier: Apache-2.0
#include "kern/btf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/btf.h>

#include "base/cleanup.h"
#include "kern/features.h"
#include "kern/private.h"

#define KERNEL_BTF "/sys/kernel/btf/vmlinux"

/* What stands in for the kernel's types: the user's file, or one that knows none. */
static char stand_in[64];
static int stand_in_fd = -1;
static bool is_file;

static void forget(void)
{
	cleanup_fd(&stand_in_fd);
	stand_in_fd = -1;
	stand_in[0] = '\0';
	is_file = false;
}

/*
 * In memory for as long as the program runs: objects are opened at any time, and a file that was checked
 * may be replaced.
 */
static int keep(const struct btf *btf)
{
	uint32_t size;
	const void *data = btf__raw_data(btf, &size);
	int fd = data ? memfd_create("sonde-btf", MFD_CLOEXEC) : -1;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size) {
		cleanup_fd(&fd);
		return -ENOMEM;
	}
	forget();
	stand_in_fd = fd;
	snprintf(stand_in, sizeof(stand_in), "/proc/self/fd/%d", fd);
	return 0;
}

static int read_file(const char *path, struct err *e)
{
	struct btf *btf = btf__parse(path, NULL);
	int r = btf ? keep(btf) : -errno;

	btf__free(btf);
	if (r < 0)
		return err_set(
			e, r,
			"%s cannot be used as --btf: %s; give a BTF file, or an ELF file with "
			"BTF in it, that was made for this kernel",
			path, r == -EINVAL ? "it holds no BTF" : strerror(-r));
	return 0;
}

int kern_types_use_file(const char *path, struct err *e)
{
	struct err why = {};
	int r;

	if (kern_types() == KERN_TYPES_KERNEL)
		return 0;
	if (!kern_has(KERN_READ_KERNEL))
		return err_set(
			e, -EOPNOTSUPP,
			"--btf is of no use here: lockdown=confidentiality forbids to read kernel "
			"memory, which is all that the file could say something about");
	r = read_file(path, e);
	if (r < 0)
		return r;
	is_file = true;
	r = kern_types_check(&why);
	if (!r)
		return 0;
	forget();
	if (r == -EBADMSG)
		return err_set(
			e, r,
			"%s describes another kernel than the one that runs (%s): nothing was "
			"measured by it; give the BTF of this kernel, or leave --btf out",
			path, why.msg);
	return err_set(e, r, "whether %s describes this kernel could not be found out: %s", path,
		       why.msg);
}

enum kern_types kern_types(void)
{
	if (access(KERNEL_BTF, R_OK) == 0)
		return KERN_TYPES_KERNEL;
	return is_file ? KERN_TYPES_FILE : KERN_TYPES_NONE;
}

static void make_empty(void)
{
	struct btf *btf = btf__new_empty();

	if (btf && btf__add_int(btf, "int", 4, BTF_INT_SIGNED) >= 0)
		keep(btf);
	btf__free(btf);
}

const char *kern_types_path_for_maps(void)
{
	/* Without any, libbpf would not even open an object whose wanted programs need none. */
	if (!stand_in[0])
		make_empty();
	return stand_in;
}

const char *kern_types_path(void)
{
	return kern_types() == KERN_TYPES_KERNEL ? NULL : kern_types_path_for_maps();
}

void kern_types_find(struct kern_type_query *queries, size_t n)
{
	static const uint32_t kinds[] = {
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
