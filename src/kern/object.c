// SPDX-License-Identifier: Apache-2.0
#include "kern/object.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "abi/abi.h"
#include "base/cleanup.h"
#include "kern/btf.h"
#include "kern/features.h"
#include "kern/private.h"

struct kern_program {
	struct bpf_object *instance;
	struct bpf_program *program;
	uint32_t walked;	/* by the verifier, if it was asked to count */
	struct kern_link *link; /* to its hook in the kernel, while it has one */
	uint64_t missed;	/* by links of before */
	struct kern_program *next;
};

struct kern_object {
	const struct kern_image *image;
	struct bpf_object *base; /* holds the maps and no program */
	struct kern_program *programs;
	bool counts; /* instructions, as the verifier walks them */
};

struct kern_link {
	struct kern_program *program; /* of a hook in the kernel, else NULL */
	size_t n;
	struct bpf_link *links[];
};

static struct bpf_object *open_instance(const struct kern_image *image, const char *types,
					struct err *e)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = image->name,
		    .btf_custom_path = types);
	struct bpf_object *o;

	kern_log_clear();
	o = bpf_object__open_mem(image->start, (size_t)(image->end - image->start), &opts);
	if (!o)
		err_set(e, -errno, "cannot open the BPF object %s: %s", image->name,
			kern_log_last());
	return o;
}

int kern_object_open(const struct kern_image *image, struct kern_object **ret, struct err *e)
{
	struct kern_object *o;

	kern_log_init();
	kern_keep_user_reads();
	o = calloc(1, sizeof(*o));
	if (!o)
		return err_set(e, -ENOMEM, "out of memory");
	o->image = image;
	o->base = open_instance(image, kern_types_path_for_maps(), e);
	if (!o->base) {
		free(o);
		return -EINVAL;
	}
	*ret = o;
	return 0;
}

/* Where a global variable lies in @section of the object: its BTF says so. */
static int find_variable(const struct btf *btf, const char *section, const char *name,
			 uint32_t *offset, uint32_t *size)
{
	int id = btf__find_by_name_kind(btf, section, BTF_KIND_DATASEC);
	const struct btf_var_secinfo *v;
	const struct btf_type *sec;

	if (id < 0)
		return -ENOENT;
	sec = btf__type_by_id(btf, (uint32_t)id);
	v = btf_var_secinfos(sec);
	for (int i = 0; i < btf_vlen(sec); i++, v++) {
		const struct btf_type *var = btf__type_by_id(btf, v->type);

		if (strcmp(btf__name_by_offset(btf, var->name_off), name) == 0) {
			*offset = v->offset;
			*size = v->size;
			return 0;
		}
	}
	return -ENOENT;
}

/* The section of variables @name, as libbpf makes a map of it. */
static struct bpf_map *find_internal(struct bpf_object *o, const char *section)
{
	size_t n = strlen(section);
	struct bpf_map *m;

	bpf_object__for_each_map(m, o)
	{
		const char *name = bpf_map__name(m);
		size_t len = strlen(name);

		if (bpf_map__is_internal(m) && len >= n && strcmp(name + len - n, section) == 0)
			return m;
	}
	return NULL;
}

int kern_object_set(struct kern_object *o, const char *variable, const void *value, size_t size,
		    struct err *e)
{
	struct bpf_map *rodata = find_internal(o->base, ".rodata");
	uint32_t offset, have;
	size_t len;
	char *data;

	if (!rodata ||
	    find_variable(bpf_object__btf(o->base), ".rodata", variable, &offset, &have) < 0)
		return err_set(e, -ENOENT, "BPF object %s has no variable %s", o->image->name,
			       variable);
	data = bpf_map__initial_value(rodata, &len);
	if (!data || have != size || offset + size > len)
		return err_set(e, -EINVAL, "variable %s of BPF object %s is %u bytes, not %zu",
			       variable, o->image->name, have, size);
	memcpy(data + offset, value, size);
	return 0;
}

int kern_object_poke(struct kern_object *o, const char *variable, uint32_t value)
{
	const struct bpf_map *bss = find_internal(o->base, ".bss");
	cleanup(cleanup_free) char *data = NULL;
	uint32_t offset, have, zero = 0;
	int r;

	if (!bss || find_variable(bpf_object__btf(o->base), ".bss", variable, &offset, &have) < 0)
		return -ENOENT;
	if (have != sizeof(value) || offset + sizeof(value) > bpf_map__value_size(bss))
		return -EINVAL;
	/* The section is one value, and nobody else writes to it. */
	data = malloc(bpf_map__value_size(bss));
	if (!data)
		return -ENOMEM;
	r = bpf_map_lookup_elem(bpf_map__fd(bss), &zero, data);
	if (!r) {
		memcpy(data + offset, &value, sizeof(value));
		r = bpf_map_update_elem(bpf_map__fd(bss), &zero, data, BPF_ANY);
	}
	return r;
}

int kern_object_resize(struct kern_object *o, const char *map, uint32_t max_entries)
{
	struct bpf_map *m = bpf_object__find_map_by_name(o->base, map);

	return m ? bpf_map__set_max_entries(m, max_entries) : -ENOENT;
}

int kern_object_share(struct kern_object *o, const char *map, int fd)
{
	struct bpf_map *m = bpf_object__find_map_by_name(o->base, map);

	return m ? bpf_map__reuse_fd(m, fd) : -ENOENT;
}

int kern_object_omit(struct kern_object *o, const char *map)
{
	struct bpf_map *m = bpf_object__find_map_by_name(o->base, map);

	return m ? bpf_map__set_autocreate(m, false) : -ENOENT;
}

/* Objects that tell processes by name do it in the best way that this kernel has. */
static void set_task_access(struct kern_object *o)
{
	uint32_t access = SN_TASK_COMM, offset, size;
	enum kern_types types = kern_types();

	if (find_variable(bpf_object__btf(o->base), ".rodata", "sn_task_access", &offset, &size) <
	    0)
		return;
	if (types == KERN_TYPES_KERNEL && kern_has(KERN_TASK_BTF))
		access = SN_TASK_TYPED;
	else if (types != KERN_TYPES_NONE && kern_has(KERN_READ_KERNEL))
		access = SN_TASK_READ;
	kern_object_set(o, "sn_task_access", &access, sizeof(access), NULL);
}

int kern_object_create(struct kern_object *o, struct err *e)
{
	struct bpf_program *p;
	int r;

	set_task_access(o);
	bpf_object__for_each_program(p, o->base) bpf_program__set_autoload(p, false);
	kern_log_clear();
	r = bpf_object__load(o->base);
	if (r == -EPERM)
		return err_set(e, r,
			       "the kernel refuses to make BPF maps (operation not permitted): "
			       "run sonde as root, or with CAP_BPF and CAP_PERFMON");
	if (r < 0)
		return err_set(e, r, "cannot make the maps of BPF object %s: %s (%s)",
			       o->image->name, strerror(-r), kern_log_last());
	return 0;
}

void kern_object_close(struct kern_object *o)
{
	if (!o)
		return;
	while (o->programs) {
		struct kern_program *p = o->programs;

		o->programs = p->next;
		bpf_object__close(p->instance);
		free(p);
	}
	bpf_object__close(o->base);
	free(o);
}

/* Of the kernel's struct bpf_link_info what kprobes have in it from 6.7 on, which is newer than the
 * headers of Debian 12. */
struct kprobe_link_info {
	uint32_t type, id, program, pad;
	uint32_t event, pad2;
	uint64_t name;
	uint32_t name_len, offset;
	uint64_t address, missed;
};

#define PERF_EVENT_KPROBE 3

/* Hits of a kprobe at which its program was not even tried, because another kprobe was being handled. */
static uint64_t link_misses(const struct kern_link *l)
{
	struct kprobe_link_info info = {};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(bpf_link__fd(l->links[0]), &info, &len) < 0 ||
	    info.type != BPF_LINK_TYPE_PERF_EVENT || info.event != PERF_EVENT_KPROBE)
		return 0;
	return info.missed;
}

uint64_t kern_object_misses(const struct kern_object *o)
{
	uint64_t sum = 0;

	for (const struct kern_program *p = o->programs; p; p = p->next) {
		struct bpf_prog_info info = {};
		uint32_t len = sizeof(info);

		if (bpf_prog_get_info_by_fd(bpf_program__fd(p->program), &info, &len) == 0)
			sum += info.recursion_misses;
		sum += p->missed + (p->link ? link_misses(p->link) : 0);
	}
	return sum;
}

static struct kern_program *find_program(const struct kern_object *o, const char *name)
{
	for (struct kern_program *p = o->programs; p; p = p->next)
		if (strcmp(bpf_program__name(p->program), name) == 0)
			return p;
	return NULL;
}

int kern_program_runs(const struct kern_object *o, const char *program, struct kern_runs *ret)
{
	const struct kern_program *p = find_program(o, program);
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);
	int r;

	if (!p)
		return -ENOENT;
	r = bpf_prog_get_info_by_fd(bpf_program__fd(p->program), &info, &len);
	if (r < 0)
		return r;
	*ret = (struct kern_runs){ info.run_cnt, info.run_time_ns };
	return 0;
}

int kern_run_statistics(struct err *e)
{
	int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

	return fd >= 0 ? fd
		       : err_set(e, fd, "the kernel does not give run statistics: %s%s",
				 strerror(-fd),
				 fd == -EPERM ? " (they need CAP_SYS_ADMIN: run it as root)" : "");
}

int kern_object_map(const struct kern_object *o, const char *name)
{
	const struct bpf_map *m = bpf_object__find_map_by_name(o->base, name);

	/* Of one that was omitted libbpf keeps the descriptor of something else. */
	return m && bpf_map__autocreate(m) ? bpf_map__fd(m) : -ENOENT;
}

/* Makes the maps of @instance stand for those of @o that exist; the others are left out of it. */
static int share_maps(const struct kern_object *o, struct bpf_object *instance)
{
	struct bpf_map *mine, *theirs = NULL;
	int r;

	bpf_object__for_each_map(mine, instance)
	{
		theirs = bpf_object__next_map(o->base, theirs);
		if (!theirs)
			return -EINVAL;
		if (!bpf_map__autocreate(theirs))
			r = bpf_map__set_autocreate(mine, false);
		else
			r = bpf_map__reuse_fd(mine, bpf_map__fd(theirs));
		if (r < 0)
			return r;
	}
	return 0;
}

static struct bpf_program *only_program(struct bpf_object *instance, const char *name)
{
	struct bpf_program *p, *found = NULL;

	bpf_object__for_each_program(p, instance)
	{
		bool wanted = strcmp(bpf_program__name(p), name) == 0;

		bpf_program__set_autoload(p, wanted);
		if (wanted)
			found = p;
	}
	return found;
}

static void prepare_program(struct bpf_program *p)
{
	const char *section = bpf_program__section_name(p);

	if (!kern_has(KERN_CMPXCHG))
		kern_replace_cmpxchg(p);
	if (strcmp(section, "uprobe.multi") == 0 && !kern_has(KERN_UPROBE_MULTI))
		bpf_program__set_expected_attach_type(p, 0);
}

/* The verifier says how far it went in the last line of its log, on every kernel. */
static int load_program(const struct kern_object *o, struct kern_program *p)
{
	enum { LOG_STATISTICS = 4 };
	int r;

	if (o->counts)
		bpf_program__set_log_level(p->program, LOG_STATISTICS);
	kern_log_count(o->counts);
	r = bpf_object__load(p->instance);
	p->walked = kern_log_count(false);
	return r;
}

int kern_program_load(struct kern_object *o, const char *name, struct kern_program **ret,
		      struct err *e)
{
	struct kern_program *p = find_program(o, name);
	int r;

	if (p) {
		*ret = p;
		return 0;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(e, -ENOMEM, "out of memory");
	p->instance = open_instance(o->image, kern_types_path(), e);
	if (!p->instance) {
		free(p);
		return -EINVAL;
	}
	p->program = only_program(p->instance, name);
	r = p->program ? share_maps(o, p->instance) : -ENOENT;
	if (!r) {
		prepare_program(p->program);
		kern_log_clear();
		r = load_program(o, p);
	}
	if (r < 0) {
		err_set(e, r, "program %s cannot be loaded: %s (%s)", name, strerror(-r),
			kern_log_last());
		bpf_object__close(p->instance);
		free(p);
		return r;
	}
	p->next = o->programs;
	o->programs = p;
	*ret = p;
	return 0;
}

/* Room for @n more links behind those of *@l. */
static int link_grow(struct kern_link **l, size_t n)
{
	size_t have = *l ? (*l)->n : 0;
	struct kern_link *more = realloc(*l, sizeof(*more) + (have + n) * sizeof(more->links[0]));

	if (!more)
		return -ENOMEM;
	more->program = NULL;
	more->n = have;
	*l = more;
	return 0;
}

int kern_program_attach(struct kern_program *p, struct kern_link **ret, struct err *e)
{
	struct kern_link *l = NULL;
	struct bpf_link *link;
	int r = link_grow(&l, 1);

	if (r < 0)
		return err_set(e, r, "out of memory");
	kern_log_clear();
	link = bpf_program__attach(p->program);
	if (!link) {
		r = -errno;
		free(l);
		return err_set(e, r, "program %s cannot be attached: %s",
			       bpf_program__name(p->program), strerror(-r));
	}
	l->links[l->n++] = link;
	l->program = p;
	p->link = l;
	*ret = l;
	return 0;
}

/* One link for all places. */
static int attach_multi(struct kern_program *p, const char *path, const struct kern_uprobe *places,
			size_t n, struct kern_link *l)
{
	cleanup(cleanup_free) unsigned long *offsets = calloc(n, sizeof(*offsets));
	cleanup(cleanup_free) __u64 *cookies = calloc(n, sizeof(*cookies));
	LIBBPF_OPTS(bpf_uprobe_multi_opts, opts, .offsets = offsets, .cookies = cookies, .cnt = n);
	struct bpf_link *link;

	if (!offsets || !cookies)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		offsets[i] = places[i].file_offset;
		cookies[i] = places[i].cookie;
	}
	link = bpf_program__attach_uprobe_multi(p->program, -1, path, NULL, &opts);
	if (!link)
		return -errno;
	l->links[l->n++] = link;
	return 0;
}

static int attach_each(struct kern_program *p, const char *path, const struct kern_uprobe *places,
		       size_t n, struct kern_link *l)
{
	for (size_t i = 0; i < n; i++) {
		struct bpf_link *link = bpf_program__attach_uprobe(p->program, false, -1, path,
								   places[i].file_offset);

		if (!link)
			return -errno;
		l->links[l->n++] = link;
	}
	return 0;
}

int kern_program_attach_uprobes(struct kern_program *p, int fd, const struct kern_uprobe *places,
				size_t n, struct kern_link **ret, struct err *e)
{
	char path[64];
	int r;

	_Static_assert(sizeof(unsigned long) == sizeof(uint64_t), "an offset fits");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	kern_log_clear();
	r = link_grow(ret, n);
	if (!r)
		r = kern_has(KERN_UPROBE_MULTI) ? attach_multi(p, path, places, n, *ret)
						: attach_each(p, path, places, n, *ret);
	if (r < 0)
		return err_set(e, r, "program %s cannot be attached to the file: %s",
			       bpf_program__name(p->program), strerror(-r));
	return 0;
}

int kern_program_try_uprobe_multi(struct kern_program *p, const char *path)
{
	static const struct kern_uprobe place;
	struct kern_link *l = NULL;
	int r = link_grow(&l, 1);

	if (!r)
		r = attach_multi(p, path, &place, 1, l);
	kern_link_free(l);
	return r ? r : -EEXIST;
}

void kern_link_free(struct kern_link *l)
{
	if (!l)
		return;
	if (l->program) {
		l->program->missed += link_misses(l);
		l->program->link = NULL;
	}
	for (size_t i = 0; i < l->n; i++)
		bpf_link__destroy(l->links[i]);
	free(l);
}

void kern_object_count(struct kern_object *o)
{
	o->counts = true;
}

int kern_program_size(const struct kern_program *p, uint32_t *ret_insns, uint32_t *ret_walked)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);
	int r = bpf_prog_get_info_by_fd(bpf_program__fd(p->program), &info, &len);

	*ret_insns = r ? 0 : info.xlated_prog_len / (uint32_t)sizeof(struct bpf_insn);
	*ret_walked = p->walked;
	return r;
}

int kern_program_fd(const struct kern_program *p)
{
	return bpf_program__fd(p->program);
}

int kern_program_test_run(struct kern_program *p, void *ctx, size_t size, uint32_t *ret_value,
			  struct err *e)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = ctx, .ctx_size_in = (uint32_t)size);
	int r = bpf_prog_test_run_opts(bpf_program__fd(p->program), &opts);

	if (r < 0)
		return err_set(e, r, "program %s cannot be run: %s", bpf_program__name(p->program),
			       strerror(-r));
	*ret_value = opts.retval;
	return 0;
}
