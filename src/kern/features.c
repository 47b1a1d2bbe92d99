// SPDX-License-Identifier: Apache-2.0
#include "kern/features.h"

#include <errno.h>

#include "base/cleanup.h"
#include "kern/btf.h"
#include "kern/object.h"
#include "kern/private.h"

KERN_IMAGE_DECLARE(features);

static const struct {
	const char *name, *loss;
} texts[KERN_FEATURE_MAX] = {
	[KERN_BTF] = { "kernel type information (BTF)",
		       "BTF tracepoints and fentry cannot be used" },
	[KERN_TASK_BTF] = { "typed access to tasks",
			    "names of processes are read by address, or, where that is forbidden, "
			    "of their main threads" },
	[KERN_READ_KERNEL] = { "reading kernel memory", "lockdown=confidentiality forbids it: "
							"kprobes and other untyped hooks cannot be "
							"used" },
	[KERN_SK_STORAGE] = { "socket storage",
			      "state of TCP sockets is kept in a hash, at a higher cost" },
	[KERN_CMPXCHG] = { "atomic exchange", "two new extremes within the same nanoseconds on two "
					      "CPUs can leave the lesser as minimum or maximum" },
	[KERN_UPROBE_MULTI] = { "uprobe_multi links",
				"removing probes from programs takes seconds, not milliseconds" },
	[KERN_KPROBE] = { "kprobes", "the third tier of kernel hooks is not there" },
	[KERN_FENTRY] = { "fentry", "the second tier of kernel hooks is not there" },
};

static bool probed, have[KERN_FEATURE_MAX];

const char *kern_feature_name(enum kern_feature f)
{
	return texts[f].name;
}

const char *kern_feature_loss(enum kern_feature f)
{
	if (!kern_has(KERN_BTF) && (f == KERN_SK_STORAGE || f == KERN_FENTRY))
		return "needs the kernel's own BTF";
	return texts[f].loss;
}

static bool try_program(struct kern_object *o, const char *name, bool attach)
{
	struct kern_program *p;
	struct kern_link *l = NULL;
	bool ok;

	if (kern_program_load(o, name, &p, NULL) < 0)
		return false;
	if (!attach)
		return true;
	ok = kern_program_attach(p, &l, NULL) == 0;
	kern_link_free(l);
	return ok;
}

/* The kernel that knows such links at all complains of the file, which is a folder. */
static bool try_uprobe_multi(struct kern_object *o)
{
	struct kern_program *p;

	return kern_program_load(o, "sn_f_multi", &p, NULL) == 0 &&
	       kern_program_try_uprobe_multi(p, "/") == -EBADF;
}

static void probe_all(void)
{
	static const struct kern_image image = KERN_IMAGE(features);
	struct kern_object *o;

	probed = true;
	/* The loader must not mend the programs that ask. */
	have[KERN_CMPXCHG] = true;
	have[KERN_UPROBE_MULTI] = true;
	have[KERN_BTF] = kern_types() == KERN_TYPES_KERNEL;
	if (kern_object_open(&image, &o, NULL) < 0)
		return;
	if (kern_object_create(o, NULL) == 0) {
		have[KERN_TASK_BTF] = try_program(o, "sn_f_task", false);
		have[KERN_READ_KERNEL] = try_program(o, "sn_f_read", false);
		have[KERN_SK_STORAGE] = try_program(o, "sn_f_storage_tp", false);
		have[KERN_CMPXCHG] = try_program(o, "sn_f_cmpxchg", false);
		have[KERN_UPROBE_MULTI] = try_uprobe_multi(o);
		have[KERN_FENTRY] = try_program(o, "sn_f_fentry", true);
		have[KERN_KPROBE] = try_program(o, "sn_f_kprobe", true);
	}
	kern_object_close(o);
}

bool kern_has(enum kern_feature f)
{
	if (!probed)
		probe_all();
	return have[f];
}
