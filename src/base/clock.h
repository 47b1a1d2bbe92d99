/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#define NSEC_PER_USEC 1000ULL
#define NSEC_PER_MSEC 1000000ULL
#define NSEC_PER_SEC  1000000000ULL

/* Nanoseconds of CLOCK_BOOTTIME: the one clock inside sonde, the same that BPF programs read. */
uint64_t clock_boot_ns(void);

/* Nanoseconds since the Unix epoch that correspond to @boot_ns, by the offset measured now. */
uint64_t clock_wall_ns(uint64_t boot_ns);
