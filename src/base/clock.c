// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <time.h>

static uint64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t clock_boot_ns(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

uint64_t clock_monotonic_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_boot_of(uint64_t monotonic_ns)
{
	uint64_t boot = clock_boot_ns();

	return boot - (clock_monotonic_ns() - monotonic_ns);
}

uint64_t clock_wall_ns(uint64_t boot_ns)
{
	uint64_t before = read_clock(CLOCK_BOOTTIME);
	uint64_t wall = read_clock(CLOCK_REALTIME);
	uint64_t after = read_clock(CLOCK_BOOTTIME);

	return wall - (before + (after - before) / 2) + boot_ns;
}
