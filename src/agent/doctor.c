// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <jansson.h>

#include "agent/commands.h"
#include "agent/privileges.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "kern/btf.h"
#include "kern/features.h"
#include "probe/cost.h"
#include "probe/run.h"

/* For each of the two sets of hooks. */
#define PLAY_NS (20 * NSEC_PER_MSEC)

static const char *mark(bool good)
{
	return good ? "ok  " : "no  ";
}

static void lockdown(char *buf, size_t size)
{
	cleanup(cleanup_fd) int fd = open("/sys/kernel/security/lockdown", O_RDONLY | O_CLOEXEC);
	char text[128], *start, *end;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	snprintf(buf, size, "not known");
	if (n <= 0)
		return;
	text[n] = '\0';
	start = strchr(text, '[');
	end = start ? strchr(start, ']') : NULL;
	if (end)
		snprintf(buf, size, "%.*s", (int)(end - start - 1), start + 1);
}

static void print_kernel(struct strbuf *out, json_t *root)
{
	json_t *features = json_object();
	struct utsname u;
	char lock[64];

	uname(&u);
	lockdown(lock, sizeof(lock));
	strbuf_printf(out, "kernel %s %s, lockdown: %s\n", u.release, u.machine, lock);
	for (enum kern_feature f = 0; f < KERN_FEATURE_MAX; f++) {
		bool has = kern_has(f);

		strbuf_printf(out, "  %s%-34s%s\n", mark(has), kern_feature_name(f),
			      has ? "" : kern_feature_loss(f));
		json_object_set_new(features, kern_feature_name(f), json_boolean(has));
	}
	json_object_set_new(root, "kernel", json_string(u.release));
	json_object_set_new(root, "architecture", json_string(u.machine));
	json_object_set_new(root, "lockdown", json_string(lock));
	json_object_set_new(root, "features", features);
}

static void print_hook(const struct kern_hook *h, const struct kern_hook_state *st,
		       const struct cost_hook *cost, struct strbuf *out, json_t *hooks)
{
	json_t *hook = json_pack("{s:s, s:s, s:s, s:b, s:s}", "figure", h->figure, "tier",
				 kern_tier_name(h->tier), "target", h->target, "attached",
				 st->attached, "why", st->why);
	char target[64];

	snprintf(target, sizeof(target), "%s:%s", kern_tier_name(h->tier), h->target);
	strbuf_printf(out, "  %s%-10s ", st->attached ? "ok  " : "  - ", h->figure);
	if (cost->runs > 0) {
		strbuf_printf(out, "%-26s  %.2f x %3.0f ns\n", target, cost->runs, cost->ns);
		json_object_set_new(hook, "runs_per_exchange", json_real(cost->runs));
		json_object_set_new(hook, "ns_per_run", json_real(cost->ns));
	} else {
		strbuf_printf(out, "%s%s%s\n", target, st->why[0] ? "  " : "", st->why);
	}
	json_array_append_new(hooks, hook);
}

/* Whether each figure of the probe has a hook; the optional ones do not count. */
static bool all_figures(const struct probe *p, const struct kern_hook_state *states, size_t n)
{
	bool had = false;

	for (size_t i = 0; i < n; i++) {
		had = had || states[i].attached || p->hooks[i].optional;
		if (i + 1 < n && strcmp(p->hooks[i].figure, p->hooks[i + 1].figure) == 0)
			continue;
		if (!had)
			return false;
		had = false;
	}
	return true;
}

/* Of the set of hooks that was not asked for, before the other is opened. */
static int measure_other(const struct probe *p, const struct probe_env *env, struct cost costs[2],
			 struct err *e)
{
	struct probe_env other = *env;

	if (!cost_has(p))
		return 0;
	other.detail = !env->detail;
	return cost_measure_apart(p, &other, PLAY_NS, &costs[other.detail], e);
}

static json_t *print_cost(const struct cost costs[2], const char *why, struct strbuf *out)
{
	if (*why) {
		strbuf_printf(out, "  cost: not measured: %s\n", why);
		return json_pack("{s:s}", "why", why);
	}
	strbuf_printf(out,
		      "  cost: default set: about %.2f us per exchange and side; with "
		      "--tcp.detail: %.2f us\n",
		      costs[false].exchange_ns / 1000, costs[true].exchange_ns / 1000);
	return json_pack("{s:s, s:f, s:f}", "why", "", "default_ns", costs[false].exchange_ns,
			 "detail_ns", costs[true].exchange_ns);
}

static bool examine(const struct probe *p, const struct probe_env *env, struct strbuf *out,
		    json_t *list)
{
	const struct kern_hook_state *states = NULL;
	json_t *hooks = json_array(), *cost = NULL;
	struct cost costs[2] = {};
	struct err e = {}, no_cost = {};
	struct probe_run *run = NULL;
	bool good = false;
	size_t n = 0;
	int r;

	r = measure_other(p, env, costs, &no_cost);
	if (probe_run_open(p, env, &run, &e) == 0) {
		states = probe_run_hooks(run, &n);
		good = all_figures(p, states, n);
		if (!r && cost_has(p))
			r = cost_measure(run, PLAY_NS, &costs[env->detail], &no_cost);
	}
	strbuf_printf(out, "\nprobe %s: %s\n", p->name,
		      good  ? "works here"
		      : run ? "does not give all of its figures here"
			    : e.msg);
	/* A row behind the one that was taken was not tried: nothing to say of it. */
	for (size_t i = 0; i < n; i++)
		if (states[i].attached || (states[i].why[0] && !p->hooks[i].optional))
			print_hook(&p->hooks[i], &states[i], &costs[env->detail].hooks[i], out,
				   hooks);
	if (run && cost_has(p))
		cost = print_cost(costs, no_cost.msg, out);
	if (run && p->want)
		strbuf_printf(out, "  ok  programs  uprobes%s; see 'sonde plan' for each program\n",
			      kern_has(KERN_UPROBE_MULTI) ? ", one link for each file" : "");
	json_array_append_new(list, json_pack("{s:s, s:b, s:s, s:o, s:o*}", "name", p->name,
					      "works", good, "why", run ? "" : e.msg, "hooks",
					      hooks, "cost", cost));
	probe_run_close(run);
	return good;
}

static size_t examine_all(const struct config *c, struct strbuf *out, json_t *root)
{
	struct probe_env env = {
		.registry = registry_new(c->max_series),
		.processes = processes_new("/proc"),
		.proc = "/proc",
		.tier = (enum kern_tier)c->tier,
		.detail = c->tcp_detail,
	};
	json_t *list = json_array();
	size_t n = 0;

	if (env.registry && env.processes &&
	    registry_register(env.registry, probe_run_metrics) == 0)
		for (size_t i = 0; probes[i]; i++)
			if (config_wants_probe(c, probes[i]->name))
				n += examine(probes[i], &env, out, list);
	json_object_set_new(root, "probes", list);
	processes_free(env.processes);
	registry_free(env.registry);
	return n;
}

enum exit_status command_doctor(const struct config *c)
{
	json_t *root = json_object();
	struct strbuf out = {};
	struct err e = {};
	size_t working = 0;
	char *text;
	int r;

	r = privileges_check(&e);
	json_object_set_new(root, "permitted", json_boolean(!r));
	if (r < 0) {
		strbuf_printf(&out, "  no  rights: %s\n", e.msg);
	} else {
		if (*c->btf && kern_types_use_file(c->btf, &e) < 0) {
			strbuf_printf(&out, "  no  --btf: %s\n", e.msg);
			json_object_set_new(root, "btf", json_string(e.msg));
		}
		print_kernel(&out, root);
		working = examine_all(c, &out, root);
	}
	text = c->json ? json_dumps(root, JSON_INDENT(2)) : NULL;
	if (c->json)
		printf("%s\n", text ? text : "{}");
	else
		fputs(strbuf_str(&out), stdout);
	free(text);
	json_decref(root);
	strbuf_done(&out);
	if (r < 0)
		return STATUS_NOT_PERMITTED;
	return working ? STATUS_OK : STATUS_NOTHING_WORKS;
}
