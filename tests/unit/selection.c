// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/cleanup.h"
#include "world/selection.h"

#define ID    "3fa94c0e8b7d61520123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "77aa4c0e8b7d61520123456789abcdef0123456789abcdef0123456789abcdef"

static void lists_and_facts(void **state)
{
	/* clang-format off */
	static const struct {
		struct selection s;
		struct process_facts f;
		unsigned int misfits;
	} cases[] = {
		{ {}, {}, 0 },
		{ { .pids = "" }, { .pid = 7 }, 0 },
		{ { .pids = "17,7" }, { .pid = 7 }, 0 },
		{ { .pids = "17,71" }, { .pid = 7 }, MISFIT_PID },
		{ { .commands = "nginx" }, { .comm = "nginx" }, 0 },
		{ { .commands = "nginx" }, { .comm = "nginx2" }, MISFIT_COMMAND },
		{ { .commands = "python*" }, { .comm = "script", .exe = "python3.11" }, 0 },
		{ { .commands = "script" }, { .comm = "script", .exe = "python3.11" }, 0 },
		{ { .commands = "a,[bc]?" }, { .comm = "cx" }, 0 },
		{ { .commands = "a,[bc]?" }, { .comm = "c" }, MISFIT_COMMAND },
		{ { .commands = "*" }, {}, MISFIT_COMMAND },	/* what is not known fits nothing */
		{ { .services = "cart-*" }, { .service = "cart-eu" }, 0 },
		{ { .services = "cart-*" }, { .comm = "cart-eu" }, MISFIT_SERVICE },
		{ { .services = "cart" }, { .service = "cart,cart" }, MISFIT_SERVICE },
		{ { .pids = "7", .commands = "a", .services = "b" },
		  { .pid = 7, .comm = "a", .service = "b" }, 0 },
		{ { .pids = "8", .commands = "b", .services = "a", .cgroups = "/c" },
		  { .pid = 7, .comm = "a", .service = "b", .cgroup = "0::/d\n" },
		  MISFIT_PID | MISFIT_COMMAND | MISFIT_SERVICE | MISFIT_PLACE },
		{ { .containers = "3fa9", .cgroups = "/docker/*" },
		  { .cgroup = "0::/docker/" OTHER "\n" }, MISFIT_PLACE },
		{ { .containers = "3fa9", .cgroups = "/docker/*" },
		  { .cgroup = "0::/docker/" ID "\n" }, 0 },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (selection_misfits(&cases[i].s, &cases[i].f) != cases[i].misfits)
			fail_msg("case %zu: %#x", i, selection_misfits(&cases[i].s, &cases[i].f));
	assert_true(selection_is_empty(&(struct selection){ .pids = "" }));
	assert_false(selection_is_empty(&(struct selection){ .cgroups = "a" }));
}

static void cgroups(void **state)
{
	/* clang-format off */
	static const struct { const char *lines, *pattern; bool fits; } cases[] = {
		{ "0::/system.slice/nginx.service\n", "/system.slice/nginx.service", true },
		{ "0::/system.slice/nginx.service\n", "*/nginx.service", true },
		{ "0::/system.slice/nginx.service\n", "nginx.service", false },
		{ "0::/system.slice/nginx.service\n", "/system.slice/*", true },
		{ "0::/user.slice/user-1000.slice/session-3.scope\n", "/user.slice/*/session-*", true },
		{ "0::/\n", "/", true },
		{ "0::/", "/", true },
		{ "0::/gone (deleted)\n", "/gone", true },
		{ "12:cpu,cpuacct:/a\n4:memory:/b\n0::/\n", "/b", true },
		{ "12:cpu,cpuacct:/a\n4:memory:/b\n0::/\n", "/a", true },
		{ "12:cpu,cpuacct:/a\n4:memory:/b\n0::/\n", "cpu*", false },
		{ "1:name=systemd:/a:b:c\n", "/a:b:c", true },
		{ "", "*", false },
		{ "nonsense\n", "*", false },
		{ "0:half", "*", false },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct selection s = { .cgroups = cases[i].pattern };
		struct process_facts f = { .cgroup = cases[i].lines };

		if (!selection_misfits(&s, &f) != cases[i].fits)
			fail_msg("case %zu: %s", i, cases[i].lines);
	}
}

static void containers(void **state)
{
	/* clang-format off */
	static const struct { const char *lines, *ids; bool fits; } cases[] = {
		/* Docker: by systemd or by itself, version 2 and 1. */
		{ "0::/system.slice/docker-" ID ".scope\n", "3fa9", true },
		{ "0::/docker/" ID "\n", "3fa94c0e", true },
		{ "9:pids:/docker/" ID "\n0::/\n", ID, true },
		{ "0::/docker/" ID "/init.scope\n", "3fa9", true },
		/* containerd and Kubernetes: systemd's names, cgroupfs's, and those of old versions. */
		{ "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod6c1d0d5b_77aa"
		  "_4a4c_9d5e_3fa90e8b7d61.slice/cri-containerd-" ID ".scope\n", "3fa9", true },
		{ "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod6c1d0d5b_77aa"
		  "_4a4c_9d5e_3fa90e8b7d61.slice/cri-containerd-" OTHER ".scope\n", "3fa9", false },
		{ "4:memory:/kubepods/besteffort/pod6c1d0d5b-77aa-4a4c-9d5e-3fa90e8b7d61/" ID "\n",
		  "3fa9", true },
		{ "4:memory:/kubepods/besteffort/pod6c1d0d5b-77aa-4a4c-9d5e-3fa90e8b7d61/" ID "\n",
		  "6c1d", false },
		{ "4:memory:/system.slice/containerd.service/kubepods-besteffort-pod1.slice:cri-"
		  "containerd:" ID "\n", "3fa9", true },
		/* CRI-O and podman, with root and without; and what watches, which is outside. */
		{ "0::/kubepods.slice/kubepods-pod1.slice/crio-" ID ".scope/container\n", "3fa9", true },
		{ "0::/kubepods.slice/kubepods-pod1.slice/crio-conmon-" ID ".scope\n", "3fa9", false },
		{ "0::/machine.slice/libpod-" ID ".scope/container\n", "3fa9", true },
		{ "0::/machine.slice/libpod-conmon-" ID ".scope\n", "3fa9", false },
		{ "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID
		  ".scope\n", "77aa,3fa9", true },
		/* From within another namespace of cgroups. */
		{ "0::/../docker-" ID ".scope\n", "3fa9", true },
		/* One within the other: the process is in both. */
		{ "0::/docker/" OTHER "/docker/" ID "\n", "3fa9", true },
		{ "0::/docker/" OTHER "/docker/" ID "\n", "77aa", true },
		/* No container, and what only looks like one. */
		{ "0::/system.slice/docker.service\n", "dead", false },
		{ "0::/docker/" ID "0\n", "3fa9", false },
		{ "0::/docker/x" ID "\n", "3fa9", false },
		{ "0::/docker/" ID "x\n", "3fa9", false },
		{ "0::/docker/3fa94c0e8b7d\n", "3fa9", false },
		{ "0::/docker/" ID "\n", "fa94", false },
		{ "", "3fa9", false },
		{ "0::/docker/" ID, "3fa9", true },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct selection s = { .containers = cases[i].ids };
		struct process_facts f = { .cgroup = cases[i].lines };

		if (!selection_misfits(&s, &f) != cases[i].fits)
			fail_msg("case %zu: %s", i, cases[i].lines);
	}
}

static void what_is_too_long_is_bounded(void **state)
{
	static char path[20000] = "0::/", pattern[2000];
	struct selection s = { .cgroups = pattern, .commands = pattern };
	struct process_facts f = { .cgroup = path, .comm = "a" };

	memset(path + 4, 'a', sizeof(path) - 5);
	memset(pattern, 'a', sizeof(pattern) - 1);
	assert_false(selection_is_globs(pattern));
	assert_int_equal(selection_misfits(&s, &f), MISFIT_COMMAND | MISFIT_PLACE);
	s = (struct selection){ .cgroups = "/aaa*" };
	assert_int_equal(selection_misfits(&s, &f), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_and_facts),
		cmocka_unit_test(cgroups),
		cmocka_unit_test(containers),
		cmocka_unit_test(what_is_too_long_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
