/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#pragma once

/*
 * Entries at the bottom of a program's file that only tests load: they call one function of it with
 * the given arguments, so that one table of cases (tests/bpf) runs both natively and in the kernel.
 */
struct sn_test_call {
	__u64 args[4];
	__s64 result;
};
