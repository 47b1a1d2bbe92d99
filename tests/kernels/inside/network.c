// SPDX-License-Identifier: Apache-2.0
/*
 * Two ends of a network that delays, loses and reorders, by netlink: there is no tc in the machine, and
 * its ip knows no veth.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "inside.h"

#define DELAY_NS (10 * (__s64)NSEC_PER_MSEC)

struct request {
	struct nlmsghdr head;
	union {
		struct ifinfomsg link;
		struct tcmsg tc;
	};
	char attrs[512];
};

/* Attributes are behind what the message has so far; one that holds others has no data of its own. */
static struct rtattr *put(struct request *r, unsigned short type, const void *data, size_t size)
{
	struct rtattr *a = (struct rtattr *)((char *)r + NLMSG_ALIGN(r->head.nlmsg_len));

	if (NLMSG_ALIGN(r->head.nlmsg_len) + RTA_SPACE(size) > sizeof(*r))
		abort();
	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(size);
	if (size)
		memcpy(RTA_DATA(a), data, size);
	r->head.nlmsg_len = (__u32)(NLMSG_ALIGN(r->head.nlmsg_len) + RTA_SPACE(size));
	return a;
}

static void end(struct request *r, struct rtattr *a)
{
	a->rta_len = (unsigned short)((char *)r + r->head.nlmsg_len - (char *)a);
}

/* 0, or what the kernel said; in the network that this process is in. */
static int ask(struct request *r)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		char more[1024];
	} answer = {};
	cleanup(cleanup_fd) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	r->head.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (fd < 0 || send(fd, r, r->head.nlmsg_len, 0) < 0 ||
	    recv(fd, &answer, sizeof(answer), 0) < 0)
		return -errno;
	return answer.head.nlmsg_type == NLMSG_ERROR ? answer.error.error : -EPROTO;
}

/* Segments go one by one, as on a wire: a packet of many would be lost as a whole. */
static int put_end(struct request *r, const char *name, const char *net)
{
	int fd = open(net, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	put(r, IFLA_IFNAME, name, strlen(name) + 1);
	put(r, IFLA_NET_NS_FD, &fd, sizeof(fd));
	put(r, IFLA_GSO_MAX_SEGS, &(__u32){ 1 }, sizeof(__u32));
	return fd;
}

int inside_veth(int argc, char **argv)
{
	struct request r = { .head = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
				       .nlmsg_type = RTM_NEWLINK,
				       .nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL } };
	cleanup(cleanup_fd) int near = -1, far = -1;
	struct rtattr *info, *data, *peer;
	int err;

	if (argc != 2)
		return 2;
	near = put_end(&r, "near", argv[0]);
	info = put(&r, IFLA_LINKINFO, NULL, 0);
	put(&r, IFLA_INFO_KIND, "veth", strlen("veth"));
	data = put(&r, IFLA_INFO_DATA, NULL, 0);
	peer = put(&r, VETH_INFO_PEER, &(struct ifinfomsg){}, sizeof(struct ifinfomsg));
	far = put_end(&r, "far", argv[1]);
	end(&r, peer);
	end(&r, data);
	end(&r, info);
	err = near < 0 ? near : far < 0 ? far : ask(&r);
	if (err)
		fprintf(stderr, "inside veth: %s\n", strerror(-err));
	return err ? 1 : 0;
}

int inside_netem(int argc, char **argv)
{
	struct request r = { .head = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct tcmsg)),
				       .nlmsg_type = RTM_NEWQDISC,
				       .nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE } };
	struct tc_netem_qopt how = { .limit = 10000 };
	struct rtattr *options;
	int err;

	if (argc != 3)
		return 2;
	r.tc.tcm_ifindex = (int)if_nametoindex(argv[0]);
	r.tc.tcm_parent = TC_H_ROOT;
	how.loss = (__u32)(strtoul(argv[1], NULL, 10) * (UINT_MAX / 100));
	if (strcmp(argv[1], "100") == 0)
		how.loss = UINT_MAX;
	how.gap = (__u32)strtoul(argv[2], NULL, 10);
	put(&r, TCA_KIND, "netem", sizeof("netem"));
	options = put(&r, TCA_OPTIONS, &how, sizeof(how));
	put(&r, TCA_NETEM_LATENCY64, &(__s64){ DELAY_NS }, sizeof(__s64));
	end(&r, options);
	err = r.tc.tcm_ifindex ? ask(&r) : -ENODEV;
	if (err)
		fprintf(stderr, "inside netem: %s: %s\n", argv[0], strerror(-err));
	return err ? 1 : 0;
}
