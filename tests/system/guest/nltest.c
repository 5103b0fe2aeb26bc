// SPDX-License-Identifier: MIT
// rtnetlink without tools: dumps of many parts, errors, groups, getifaddrs. Says the same on Linux (as root, in a namespace of its own).
#include "guest_test.h"
#include "netlink_abi.h"
#include <ifaddrs.h>

#include <net/if.h>
#include <poll.h>

struct request {
    struct nlmsghdr h;
    union {
        struct ifaddrmsg ifa;
        struct ifinfomsg ifi;
        struct rtmsg rt;
        char room[256];
    };
};

static int open_netlink(unsigned groups)
{
    struct sockaddr_nl a = {.nl_family = AF_NETLINK, .nl_groups = groups};
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    check("netlink socket", fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0, NULL);
    return fd;
}

static void add_attr(struct request *r, unsigned short type, const void *data, unsigned short n)
{
    struct rtattr *a = (struct rtattr *)((char *)r + NLMSG_ALIGN(r->h.nlmsg_len));
    a->rta_type = type;
    a->rta_len = (unsigned short)RTA_LENGTH(n);
    memcpy(RTA_DATA(a), data, n);
    r->h.nlmsg_len = NLMSG_ALIGN(r->h.nlmsg_len) + RTA_ALIGN(a->rta_len);
}

static char answer[16384];
/// Send and read the answer: its length.
static ssize_t ask(int fd, struct request *r)
{
    static unsigned seq = 100;
    r->h.nlmsg_seq = ++seq;
    if (send(fd, r, r->h.nlmsg_len, 0) != (ssize_t)r->h.nlmsg_len)
        return -1;
    return recv(fd, answer, sizeof answer, 0);
}
/// The errno of an acknowledged request; -1: the answer was something else.
static int acknowledged(int fd, struct request *r)
{
    struct nlmsghdr *h = (struct nlmsghdr *)answer;
    r->h.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
    if (ask(fd, r) < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) ||
        h->nlmsg_type != NLMSG_ERROR || h->nlmsg_seq != r->h.nlmsg_seq)
        return -1;
    return -((struct nlmsgerr *)NLMSG_DATA(h))->error;
}

static int change_address(int fd, int type, int flags, in_addr_t addr, unsigned char plen)
{
    struct request r = {.h = {.nlmsg_len = NLMSG_LENGTH(sizeof r.ifa),
                              .nlmsg_type = (unsigned short)type,
                              .nlmsg_flags = (unsigned short)flags},
                        .ifa = {.ifa_family = AF_INET,
                                .ifa_prefixlen = plen,
                                .ifa_scope = RT_SCOPE_HOST,
                                .ifa_index = if_nametoindex("lo")}};
    add_attr(&r, IFA_LOCAL, &addr, sizeof addr);
    add_attr(&r, IFA_ADDRESS, &addr, sizeof addr);
    return acknowledged(fd, &r);
}

/// Read a whole dump: messages of `want`, -1 on an error.
static int dump(int fd, unsigned short type, unsigned short want)
{
    struct request r = {.h = {.nlmsg_len = NLMSG_LENGTH(sizeof r.rt),
                              .nlmsg_type = type,
                              .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
    r.rt.rtm_family = AF_INET;
    ssize_t n = ask(fd, &r);
    for (int found = 0; n > 0; n = recv(fd, answer, sizeof answer, 0)) {
        int left = (int)n;
        for (struct nlmsghdr *h = (struct nlmsghdr *)answer; NLMSG_OK(h, (unsigned)left);
             h = NLMSG_NEXT(h, left)) {
            if (h->nlmsg_type == NLMSG_DONE)
                return found;
            if (h->nlmsg_type == NLMSG_ERROR || !(h->nlmsg_flags & NLM_F_MULTI) ||
                h->nlmsg_seq != r.h.nlmsg_seq)
                return -1;
            found += h->nlmsg_type == want;
        }
    }
    return -1;
}

static void check_addresses(int fd)
{
    int before = dump(fd, RTM_GETADDR, RTM_NEWADDR), routes = dump(fd, RTM_GETROUTE, RTM_NEWROUTE);
    check("dumps", before >= 1 && routes >= 1, NULL);
    int all = 0;
    for (unsigned i = 0; i < 250; i++)
        all += change_address(fd, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, htonl(0x7f4d0000 + i),
                              32) == 0;
    check_value("250 addresses", all, 250);
    check_value("again",
                change_address(fd, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, htonl(0x7f4d0000), 32),
                EEXIST);
    check_value("a dump of many parts", dump(fd, RTM_GETADDR, RTM_NEWADDR), before + 250);
    check_value("each has a local route", dump(fd, RTM_GETROUTE, RTM_NEWROUTE), routes + 250);
    struct ifaddrs *list, *i;
    int found = 0;
    check_value("getifaddrs", getifaddrs(&list), 0);
    for (i = list; i; i = i->ifa_next)
        found += i->ifa_addr && i->ifa_addr->sa_family == AF_INET && !strcmp(i->ifa_name, "lo");
    freeifaddrs(list);
    check("its addresses", found >= 250, NULL);
    for (unsigned k = 0; k < 250; k++)
        all -= change_address(fd, RTM_DELADDR, 0, htonl(0x7f4d0000 + k), 32) == 0;
    check_value("deleted", all, 0);
    check_value("not there", change_address(fd, RTM_DELADDR, 0, htonl(0x7f4d0001), 32),
                EADDRNOTAVAIL);
    check_value("bad prefix length",
                change_address(fd, RTM_NEWADDR, NLM_F_CREATE, htonl(0x7f4d0001), 33), EINVAL);
    check_value("as before", dump(fd, RTM_GETADDR, RTM_NEWADDR), before);
}

static void check_groups(int fd)
{
    int listener = open_netlink(RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE);
    struct pollfd p = {listener, POLLIN, 0};
    check_value("silence", poll(&p, 1, 0), 0);
    check_value("add", change_address(fd, RTM_NEWADDR, NLM_F_CREATE, htonl(0x7f4d0a01), 32), 0);
    int addr = 0, route = 0;
    struct sockaddr_nl from;
    while (poll(&p, 1, 0) == 1) {
        struct nlmsghdr *h = (struct nlmsghdr *)answer;
        socklen_t len = sizeof from;
        recvfrom(listener, answer, sizeof answer, 0, (struct sockaddr *)&from, &len);
        addr += h->nlmsg_type == RTM_NEWADDR && from.nl_groups == RTMGRP_IPV4_IFADDR;
        route += h->nlmsg_type == RTM_NEWROUTE;
    }
    check("told of the address and its route", addr == 1 && route == 1, "");
    change_address(fd, RTM_DELADDR, 0, htonl(0x7f4d0a01), 32);
    check("told of the end", recv(listener, answer, sizeof answer, 0) > 0, NULL);
    int group = RTNLGRP_LINK;
    check_value("join", setsockopt(listener, 270, NETLINK_ADD_MEMBERSHIP, &group, sizeof group), 0);
    close(listener);
}

static void check_errors(int fd)
{
    struct request r = {.h = {.nlmsg_len = NLMSG_LENGTH(sizeof r.ifi), .nlmsg_type = RTM_GETLINK},
                        .ifi = {.ifi_index = 9999}};
    check_value("no such link", acknowledged(fd, &r), ENODEV);
    r.ifi.ifi_index = 0;
    check_value("which link", acknowledged(fd, &r), EINVAL);
    r.h.nlmsg_type = 17;
    r.ifi.ifi_index = (int)if_nametoindex("lo");
    check_value("lo cannot be deleted", acknowledged(fd, &r), EOPNOTSUPP);
    r.h.nlmsg_type = 999;
    check_value("unknown request", acknowledged(fd, &r), EOPNOTSUPP);
    r.h.nlmsg_type = NLMSG_NOOP;
    check_value("nothing to do", acknowledged(fd, &r), 0);
    struct request bad = {.h = {.nlmsg_len = NLMSG_LENGTH(sizeof bad.rt),
                                .nlmsg_type = RTM_NEWROUTE,
                                .nlmsg_flags = NLM_F_CREATE}};
    bad.rt = (struct rtmsg){.rtm_family = AF_INET, .rtm_dst_len = 33, .rtm_type = RTN_UNICAST};
    check_value("route of 33 bits", acknowledged(fd, &bad), EINVAL);
    check_errno("unknown protocol", socket(AF_NETLINK, SOCK_RAW, 31), EPROTONOSUPPORT);
    check_errno("a stream", socket(AF_NETLINK, SOCK_STREAM, 0), ESOCKTNOSUPPORT);
    check_errno("connect to nobody",
                connect(fd, (struct sockaddr *)&(struct sockaddr_nl){.nl_family = AF_INET}, 12),
                EINVAL);
    // Headers that lie about their length end the batch quietly.
    struct nlmsghdr lie = {
        .nlmsg_len = 4000, .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK};
    check_value("too long", send(fd, &lie, sizeof lie, 0), sizeof lie);
    check_errno("no answer", recv(fd, answer, sizeof answer, MSG_DONTWAIT), EAGAIN);
    char attr[NLMSG_LENGTH(sizeof(struct ifinfomsg)) + 4] = {0};
    struct nlmsghdr *h = (struct nlmsghdr *)attr;
    *h = (struct nlmsghdr){.nlmsg_len = sizeof attr,
                           .nlmsg_type = RTM_NEWLINK,
                           .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK};
    attr[sizeof attr - 4] =
        2; // an attribute shorter than its header is ignored or refused, and nothing else
    check_value("bad attribute", send(fd, attr, sizeof attr, 0), sizeof attr);
    check("answered", recv(fd, answer, sizeof answer, MSG_DONTWAIT) > 0, NULL);
    struct sockaddr_nl name;
    socklen_t len = sizeof name;
    check("port id",
          getsockname(fd, (struct sockaddr *)&name, &len) == 0 && name.nl_pid == (unsigned)getpid(),
          NULL);
}

static void check_names(void)
{
    struct if_nameindex *list = if_nameindex();
    check("if_nameindex", list && list[0].if_index == 1 && !strcmp(list[0].if_name, "lo"), NULL);
    if_freenameindex(list);
}

int main(void)
{
    line_output();
    int fd = open_netlink(0);
    check_errors(fd);
    check_addresses(fd);
    check_groups(fd);
    check_names();
    puts(failures ? "failed" : "all ok");
    return failures != 0;
}
