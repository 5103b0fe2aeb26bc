// SPDX-License-Identifier: MIT
// IPv4: headers, input, output, routing, ICMP, protocol table. Linux:
// include/net/{ip,route,icmp,protocol}.h.
#pragma once

#include "net/core/dst.h"
#include "net/ipv4/snmp.h"

/// RFC 791 §3.1. Bit-fields little-endian.
struct iphdr {
    u8 ihl : 4, version : 4;
    u8 tos;
    be16 tot_len;
    be16 id;
    be16 frag_off;
    u8 ttl;
    u8 protocol;
    be16 check;
    be32 saddr;
    be32 daddr;
};
static_assert(sizeof(iphdr) == 20);
constexpr be16 IP_DF = htons(0x4000), IP_MF = htons(0x2000), IP_OFFSET = htons(0x1fff);
/// RFC 792.
struct icmphdr {
    u8 type;
    u8 code;
    be16 checksum;
    union {
        struct {
            be16 id;
            be16 sequence;
        } echo;
        be32 gateway;
        struct {
            be16 unused;
            be16 mtu;
        } frag;
    } un;
};
static_assert(sizeof(icmphdr) == 8);
constexpr u8 ICMP_ECHOREPLY = 0, ICMP_DEST_UNREACH = 3, ICMP_SOURCE_QUENCH = 4, ICMP_REDIRECT = 5,
             ICMP_ECHO = 8, ICMP_TIME_EXCEEDED = 11, ICMP_PARAMETERPROB = 12, ICMP_TIMESTAMP = 13,
             ICMP_TIMESTAMPREPLY = 14;
constexpr u8 ICMP_NET_UNREACH = 0, ICMP_HOST_UNREACH = 1, ICMP_PROT_UNREACH = 2,
             ICMP_PORT_UNREACH = 3, ICMP_FRAG_NEEDED = 4, ICMP_SR_FAILED = 5, ICMP_EXC_TTL = 0,
             ICMP_EXC_FRAGTIME = 1;

inline iphdr *ip_hdr(const sk_buff *skb)
{
    return reinterpret_cast<iphdr *>(skb_network_header(skb));
}
inline icmphdr *icmp_hdr(const sk_buff *skb)
{
    return reinterpret_cast<icmphdr *>(skb_transport_header(skb));
}
inline unsigned ip_hdrlen(const sk_buff *skb)
{
    return ip_hdr(skb)->ihl * 4u;
}

/// IP options parsed from a received header, or to be sent (raw bytes, padded to 4).
struct ip_options {
    u8 optlen = 0;
    u8 srr = 0, rr = 0, ts = 0, router_alert = 0; // offsets in the IP header, 0: absent
    u8 is_strictroute : 1 = 0, need_fix : 1 = 0;
    u8 rr_needaddr : 1 = 0, ts_needtime : 1 = 0,
                     ts_needaddr : 1 = 0; // filled in when the header is built
    be32 faddr{};
    u8 data[40] = {};
};
/// skb->cb while in IP.
struct inet_skb_parm {
    u8 optlen, srr, rr, ts;
    u16 flags;
    u16 frag_max_size;
};
inline inet_skb_parm *IPCB(sk_buff *skb)
{
    return reinterpret_cast<inet_skb_parm *>(skb->cb);
}

// --- Protocol table ------------------------------------------------------------------------------
/// An L4 protocol: handler takes over the skb (data at the L4 header), returns 0. err_handler: ICMP
/// error `info` about the quoted header at skb->data. early_demux (may be null): find the socket, and
/// with it perhaps the route, before the route is looked up; the packet stays the caller's, its header
/// may have moved. [S]
struct net_protocol {
    int (*handler)(sk_buff *skb);
    void (*err_handler)(sk_buff *skb, u32 info);
    const char *name; // for the inet_protos dump: "udp_rcv"
    bool no_policy;
    void (*early_demux)(sk_buff *skb) = nullptr;
};
constexpr unsigned MAX_INET_PROTOS = 256;
extern const net_protocol *inet_protos[MAX_INET_PROTOS];
int inet_add_protocol(const net_protocol *p, u8 protocol);
int inet_del_protocol(const net_protocol *p, u8 protocol);
/// Raw sockets get a copy of each delivered packet: set by net/ipv4/raw.cc. Returns whether any
/// took it.
extern bool (*raw_local_deliver_hook)(sk_buff *skb, u8 protocol);
/// ICMP errors for raw sockets.
extern void (*raw_icmp_error_hook)(sk_buff *skb, u8 protocol, u32 info);

// --- Input ---------------------------------------------------------------------------------------
extern int sysctl_ip_early_demux;
int ip_rcv(sk_buff *skb, net_device *dev, packet_type *pt, net_device *orig_dev);
int ip_local_deliver(sk_buff *skb);
int ip_forward(sk_buff *skb);

// --- Routing -------------------------------------------------------------------------------------
enum rtn_type : u8 {
    RTN_UNSPEC,
    RTN_UNICAST,
    RTN_LOCAL,
    RTN_BROADCAST,
    RTN_ANYCAST,
    RTN_MULTICAST,
    RTN_BLACKHOLE,
    RTN_UNREACHABLE,
    RTN_PROHIBIT
};
constexpr u32 RTCF_BROADCAST = 0x10000000, RTCF_MULTICAST = 0x20000000, RTCF_LOCAL = 0x80000000;
/// An IPv4 route result (Linux struct rtable; `dst` first).
struct rtable : dst_entry {
    u32 rt_flags = 0;
    u8 rt_type = RTN_UNSPEC;
    bool rt_is_input = false;
    be32 rt_gateway{}; // 0: on link
    be32 rt_src{};     // preferred source (output)
    be32 rt_dst{};
    u32 rt_iif = 0;
};
inline rtable *skb_rtable(const sk_buff *skb)
{
    return static_cast<rtable *>(skb->dst);
}
/// The key of a lookup.
struct flowi4 {
    be32 daddr{}, saddr{};
    u32 oif = 0;
    u8 tos = 0, proto = 0;
    be16 sport{}, dport{};
    bool anysrc = false; // saddr need not be ours (IP_HDRINCL, IP_FREEBIND)
};
/// Route for output: fills fl->saddr when it was 0. Referenced, or error
/// ENETUNREACH/EHOSTUNREACH/EINVAL/EACCES. [P][S]
result<rtable *> ip_route_output_key(flowi4 *fl);
/// Route for input, sets skb->dst. 0 or -errno (dropped by the caller, counted inside). [S]
int ip_route_input(sk_buff *skb, be32 daddr, be32 saddr, u8 tos, net_device *dev);
/// Type of an address of ours: RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST or RTN_UNICAST. Any context.
u8 inet_addr_type(be32 addr);
/// Best source address on dev for talking to dst; 0: none.
be32 inet_select_addr(net_device *dev, be32 dst, u8 scope);
/// Routes in cached dst entries are old from now on.
void rt_cache_flush();
/// Next hop.
inline be32 rt_nexthop(const rtable *rt, be32 daddr)
{
    return rt->rt_gateway ? rt->rt_gateway : daddr;
}
inline u32 dst_mtu(const dst_entry *d)
{
    return d->mtu && !time_after(jiffies(), d->expires) ? d->mtu : d->dev->mtu;
}

// --- Output --------------------------------------------------------------------------------------
/// Header complete but for length and checksum, skb->dst set: out. 0 or -errno / NET_XMIT code.
/// [P][S]
int ip_local_out(sk_buff *skb);
int ip_output(sk_buff *skb);
int ip_mc_output(sk_buff *skb);
/// Fragment to mtu and send each by `output`.
int ip_fragment(sk_buff *skb, int (*output)(sk_buff *));
/// Fill iph->id.
void ip_select_ident(iphdr *iph, const dst_entry *dst, bool df);
int sysctl_ip_default_ttl_get();

/// What a datagram socket gives for one packet's header.
struct ipcm_cookie {
    be32 addr{};
    u32 oif = 0;
    u8 tos = 0, ttl = 0; // 0: default
    const ip_options *opt = nullptr;
    be16 df{}; // IP_DF or 0
    u32 priority = 0, mark = 0;
};
/// A segment of a connected socket (header room in front, L4 header at skb->data): IP header from the
/// socket, route from its cache or looked up. Takes the skb; 0, -errno or a NET_XMIT code. Linux ip_queue_xmit.
/// [P][S] socket lock held
int ip_queue_xmit(sock *sk, sk_buff *skb);
/// The same for an answer of a listener: addresses given, skb->dst set. Linux ip_build_and_send_pkt. [S]
int ip_build_and_send_pkt(sk_buff *skb, sock *sk, be32 saddr, be32 daddr, const ip_options *opt);
class iov_iter;
/// Build one datagram: `transhdrlen` bytes of zeroed L4 header, then `len` bytes copied from
/// `from`. With more than an MTU it becomes a list of fragments in frag_list, each with room for
/// headers. The sum of the payload goes to skb->csum unless the device checksums (then ip_summed is
/// CHECKSUM_PARTIAL): skb->csum of the head and of each skb in frag_list sums that skb's own
/// payload. `rt` stays the caller's; the skb has its own reference. Charges sk's send buffer and
/// may block for room unless MSG_DONTWAIT. Linux ip_make_skb. [P]
result<sk_buff *> ip_make_skb(sock *sk, const flowi4 &fl, const ipcm_cookie &ipc, iov_iter &from,
                              u32 len, u32 transhdrlen, rtable *rt, u32 msg_flags, u8 protocol);
/// Send what ip_make_skb built. 0 or -errno. Linux ip_send_skb.
int ip_send_skb(sk_buff *skb);

// --- ICMP ----------------------------------------------------------------------------------------
/// Send an ICMP error about skb_in (RFC 1122 §3.2.2 rules, rate limited). skb_in stays the
/// caller's. [S][P]
void icmp_send(sk_buff *skb_in, u8 type, u8 code, be32 info);
/// errno and fatality for unreachable codes.
struct icmp_err {
    int err;
    bool fatal;
};
extern const icmp_err icmp_err_convert[16];
/// Echo replies and errors for ping sockets (SOCK_DGRAM, IPPROTO_ICMP): set by net/ipv4/ping.cc.
/// Takes no ownership; returns taken.
extern bool (*ping_rcv_hook)(sk_buff *skb);
/// An ICMP error about an echo request of ours: skb->data at the quoted IP header, transport header
/// at the outer ICMP header. [S]
extern void (*ping_err_hook)(sk_buff *skb, u32 info);

// --- Boot: called by inet_init() in this order, between inet_add_protocol() of the others and the
/// ICMP's entry for inet_add_protocol(&icmp_protocol, IPPROTO_ICMP).
extern const net_protocol icmp_protocol;
extern const net_protocol igmp_protocol;
/// ARP: neighbour table, packet type, /proc/net/arp.
void arp_init();
/// Routing tables, device configuration, reassembly, IPv4's /proc files.
void ip_init();
/// ICMP's sysctls and rate limits.
void icmp_init();
/// ETH_P_IP → ip_rcv: inet_init() adds it with dev_add_pack() last.
extern packet_type ip_packet_type;

// --- IP options (RFC 791 §3.1) -------------------------------------------------------------------
/// Check user-supplied options (IP_OPTIONS) of `n` bytes; EINVAL. The result has room for padding.
result<ip_options> ip_options_get(const u8 *data, unsigned n);
/// Options for an answer to a received packet (record route, timestamp, source route reversed). 0
/// or -EINVAL.
int ip_options_echo(ip_options *dopt, const sk_buff *skb);
/// Write opt behind the basic header of skb; the header's ihl already counts them.
void ip_options_build(sk_buff *skb, const ip_options *opt, be32 daddr, const rtable *rt);

// --- Local multicast (igmp.cc): IP_ADD_MEMBERSHIP ------------------------------------------------
/// Join / leave a group on a device: counted per device; the device's filter follows. [P] rtnl
/// taken inside. 0 or -errno.
int ip_mc_join_dev(net_device *dev, be32 group);
int ip_mc_leave_dev(net_device *dev, be32 group);
/// Whether this host is a member of the group on dev. Any context.
bool ip_check_mc(const net_device *dev, be32 group);
/// The device that multicast to `group` uses when the socket did not say: by route, else the first
/// up multicast device; referenced or null.
net_device *ip_mc_find_dev(be32 group, be32 local_addr, u32 ifindex);

/// PMTU learned for a destination: ICMP fragmentation needed. [S]
void ipv4_update_pmtu(be32 daddr, u32 mtu);
/// A connected socket's or neighbour's hint that the path works: reachability of the next hop
/// (Linux dst_confirm).
void ip_confirm_neighbour(const rtable *rt, be32 daddr);
