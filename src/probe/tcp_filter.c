// SPDX-License-Identifier: Apache-2.0
#include "probe/tcp_filter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* A decimal number up to @max without a sign or needless zeros at *@p; moves *@p behind it. */
static bool take_number(const char **p, unsigned int max, unsigned int *ret)
{
	const char *at = *p;
	unsigned int v = 0;

	for (; *at >= '0' && *at <= '9'; at++) {
		v = v * 10 + (unsigned int)(*at - '0');
		if (v > max || (at > *p && **p == '0'))
			return false;
	}
	if (at == *p)
		return false;
	*p = at;
	*ret = v;
	return true;
}

static bool take_ports(const char **p, struct sn_tcp_ports *ret)
{
	unsigned int first, last;

	if (!take_number(p, UINT16_MAX, &first))
		return false;
	last = first;
	if (**p == '-') {
		++*p;
		if (!take_number(p, UINT16_MAX, &last))
			return false;
	}
	ret->first = (uint16_t)first;
	ret->last = (uint16_t)last;
	return first && first <= last;
}

int tcp_filter_ports(const char *text, struct sn_tcp_filter *f)
{
	struct sn_tcp_ports ports[SN_TCP_FILTER_MAX] = {};
	uint8_t n = 0;

	for (const char *p = text; *p || n; p++) {
		if (n == SN_TCP_FILTER_MAX || !take_ports(&p, &ports[n++]))
			return -EINVAL;
		if (!*p)
			break;
		if (*p != ',')
			return -EINVAL;
	}
	memcpy(f->ports, ports, sizeof(ports));
	f->n_ports = n;
	return 0;
}

/* @addr and its prefix length of @bits, in the last @bits of 128; the rest is what mapping makes it. */
static bool set_net(const uint8_t addr[16], unsigned int bits, struct sn_tcp_net *net)
{
	uint8_t mask[16] = {};

	for (unsigned int i = 0; i < bits; i++)
		mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
	for (int i = 0; i < 16; i++)
		if (addr[i] & ~mask[i])
			return false;
	memcpy(net->addr, addr, sizeof(net->addr));
	memcpy(net->mask, mask, sizeof(net->mask));
	return true;
}

static bool read_net(const char *text, size_t len, struct sn_tcp_net *net)
{
	uint8_t addr[16] = { [10] = 0xff, [11] = 0xff };
	unsigned int whole, bits;
	char copy[INET6_ADDRSTRLEN + 4];
	const char *end;
	char *slash;

	if (len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	slash = strchr(copy, '/');
	if (slash)
		*slash = '\0';
	if (inet_pton(AF_INET, copy, addr + 12) == 1)
		whole = 32;
	else if (inet_pton(AF_INET6, copy, addr) == 1)
		whole = 128;
	else
		return false;
	bits = whole;
	end = slash ? slash + 1 : "";
	if (slash && (!take_number(&end, whole, &bits) || *end))
		return false;
	return set_net(addr, 128 - whole + bits, net);
}

int tcp_filter_peers(const char *text, struct sn_tcp_filter *f)
{
	struct sn_tcp_net nets[SN_TCP_FILTER_MAX] = {};
	uint8_t n = 0;

	for (const char *p = text; *p || n; p++) {
		size_t len = strcspn(p, ",");

		if (n == SN_TCP_FILTER_MAX || !read_net(p, len, &nets[n++]))
			return -EINVAL;
		p += len;
		if (!*p)
			break;
	}
	memcpy(f->nets, nets, sizeof(nets));
	f->n_nets = n;
	return 0;
}

void tcp_filter_finish(uint64_t share, int role, struct sn_tcp_filter *f)
{
	f->sample_below = share < TCP_SHARE_ALL ? (uint32_t)share : 0;
	f->role = (uint8_t)role;
	f->any = f->n_ports || f->n_nets || f->role || f->sample_below;
}
