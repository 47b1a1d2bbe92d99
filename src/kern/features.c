// SPDX-License-Identifier: Apache-2.0
#include "kern/features.h"

#include <stdio.h>
#include <string.h>

#include <bpf/btf.h>

#include "base/cleanup.h"
#include "kern/object.h"
#include "kern/private.h"

KERN_IMAGE_DECLARE(features);

static const struct {
	const char *name, *loss;
} texts[KERN_FEATURE_MAX] = {
	[KERN_BTF] = { "kernel type information (BTF)",
		       "probes on kernel events cannot be placed" },
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
	return texts[f].loss;
}

/* The kernel's BTF is megabytes long and wanted at the start only: it is read anew for each use. */
static bool btf_has(const char *name, uint32_t kind)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool found;

	if (!btf)
		return false;
	found = btf__find_by_name_kind(btf, name, kind) >= 0;
	btf__free(btf);
	return found;
}

bool kern_btf_has_tracepoint(const char *name)
{
	char type[128];

	snprintf(type, sizeof(type), "btf_trace_%s", name);
	return btf_has(type, BTF_KIND_TYPEDEF);
}

bool kern_btf_has_function(const char *name)
{
	return btf_has(name, BTF_KIND_FUNC);
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

static void probe_all(void)
{
	static const struct kern_image image = KERN_IMAGE(features);
	struct kern_object *o;

	probed = true;
	have[KERN_CMPXCHG] = true; /* the loader must not mend the program that asks */
	have[KERN_BTF] = btf_has("task_struct", BTF_KIND_STRUCT);
	have[KERN_UPROBE_MULTI] = btf_has("bpf_uprobe_multi_link", BTF_KIND_STRUCT);
	if (kern_object_open(&image, &o, NULL) < 0)
		return;
	if (kern_object_create(o, NULL) == 0) {
		have[KERN_SK_STORAGE] = try_program(o, "sn_f_storage_tp", false);
		have[KERN_CMPXCHG] = try_program(o, "sn_f_cmpxchg", false);
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
