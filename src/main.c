// SPDX-License-Identifier: Apache-2.0
#include <malloc.h>

#include "agent/commands.h"

int main(int argc, char **argv, char **env)
{
	/*
	 * Large blocks (the kernel's BTF while programs are loaded, batches of maps) go back to the
	 * kernel when they are freed: without this, glibc keeps the first few for good.
	 */
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	mallopt(M_TRIM_THRESHOLD, 128 * 1024);
	return sonde_main(argc, argv, env);
}
