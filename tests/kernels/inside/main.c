// SPDX-License-Identifier: Apache-2.0
/*
 * inside programs                 loads every BPF program and says how the kernel took it
 * inside sites [SECONDS THREADS]  probes every kind of instruction; with arguments, all at once
 * inside kill PID [TARGET...]     kills PID and says when the kernel had let go of all it had
 * inside entries NAME             counts the entries of the hash map of that name; "none" without one
 * inside btf-shift FILE OUT STRUCT MEMBER
 *                                 moves that member, and all behind it, eight bytes on
 * inside veth NEAR FAR            joins two networks, by files that name them: devices near and far
 * inside netem DEVICE LOSS GAP    what it sends takes 10 ms; LOSS % of it is lost, and one of GAP goes
 *                                 at once (0: none)
 * inside ends NEAR FAR            connections that fail and are reset
 * inside leave NEAR FAR           some that stand, and some that wait to be closed, until it is killed
 */
#include <stdio.h>
#include <string.h>

#include "inside.h"

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} commands[] = {
		{ "programs", inside_programs },
		{ "sites", inside_sites },
		{ "kill", inside_kill },
		{ "entries", inside_entries },
		{ "btf-shift", inside_shift },
		{ "veth", inside_veth },
		{ "netem", inside_netem },
		{ "ends", inside_ends },
		{ "leave", inside_leave },
	};

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 2, argv + 2);
	fprintf(stderr, "usage: inside programs | sites [SECONDS THREADS] | kill PID [TARGET...] |\n"
			"       entries NAME | btf-shift FILE OUT STRUCT MEMBER |\n"
			"       veth NEAR FAR | netem DEVICE LOSS GAP | ends NEAR FAR | leave NEAR FAR\n");
	return 2;
}
