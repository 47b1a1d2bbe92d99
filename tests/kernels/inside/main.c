// SPDX-License-Identifier: Apache-2.0
/*
 * inside programs                 loads every BPF program and says how the kernel took it
 * inside sites [SECONDS THREADS]  probes every kind of instruction; with arguments, all at once
 * inside kill PID [TARGET...]     kills PID and says when the kernel had let go of all it had
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
	};

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 2, argv + 2);
	fprintf(stderr, "usage: inside programs | sites [SECONDS THREADS] | kill PID [TARGET...]\n");
	return 2;
}
