/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#define NSEC_PER_USEC 1000ULL
#define NSEC_PER_MSEC 1000000ULL
#define NSEC_PER_SEC  1000000000ULL

/* Nanoseconds of CLOCK_BOOTTIME: the clock inside sonde. */
uint64_t clock_boot_ns(void);

/* The same for CLOCK_MONOTONIC, which stands still while the machine sleeps: TCP's own clock. */
uint64_t clock_monotonic_ns(void);

/* The boot time of a moment of CLOCK_MONOTONIC since the machine last slept. */
uint64_t clock_boot_of(uint64_t monotonic_ns);

/* Nanoseconds since the Unix epoch that correspond to @boot_ns, by the offset measured now. */
uint64_t clock_wall_ns(uint64_t boot_ns);
