/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "abi/abi.h"

/*
 * The texts of settings, into what the kernel half compares with. Each fills in its part of *@f;
 * -EINVAL: not in that form, too many, and *@f is as it was. "" is no restriction.
 */

/* Ports and ranges of them, 1 to 65535: "80,8000-8100". */
int tcp_filter_ports(const char *text, struct sn_tcp_filter *f);

/* Networks or addresses, IPv4 or IPv6, without bits behind the prefix: "10.0.0.0/8,fd00::/8,::1". */
int tcp_filter_peers(const char *text, struct sn_tcp_filter *f);

#define TCP_SHARE_ALL (1ULL << 32)

/* @share of TCP_SHARE_ALL is measured, 1 at the least; @role is an enum sn_tcp_role. */
void tcp_filter_finish(uint64_t share, int role, struct sn_tcp_filter *f);
