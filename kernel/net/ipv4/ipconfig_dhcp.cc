// SPDX-License-Identifier: MIT
// A DHCP client for boot time (RFC 2131, RFC 2132): DISCOVER, OFFER, REQUEST, ACK, each frame made and taken apart here, because there
// is no address yet to use a socket with. dhcp_request: process context. dhcp_rcv: softirq, a second handler of ETH_P_IP that only looks
// at datagrams to port 68 and gives up its reference like every handler.
#include "lib/random.h"
#include "mm/slab.h"
#include "net/ipv4/ip.h"
#include "net/ipv4/ipconfig.h"
#include "sched/sched.h"

struct udp_header {
    be16 source, dest, len, check;
};

/// RFC 2131 §2, with the options behind it.
struct dhcp_packet {
    u8 op, htype, hlen, hops;
    be32 xid;
    be16 secs, flags;
    be32 ciaddr, yiaddr, siaddr, giaddr;
    u8 chaddr[16], sname[64], file[128];
    be32 cookie;
    u8 options[312 - 4];
};
static_assert(sizeof(dhcp_packet) == 548);

constexpr u16 DHCP_SERVER_PORT = 67, DHCP_CLIENT_PORT = 68;
constexpr u8 BOOTREQUEST = 1, BOOTREPLY = 2;
constexpr u8 DHCPDISCOVER = 1, DHCPOFFER = 2, DHCPREQUEST = 3, DHCPACK = 5, DHCPNAK = 6;
constexpr u8 OPT_PAD = 0, OPT_MASK = 1, OPT_ROUTER = 3, OPT_DNS = 6, OPT_HOSTNAME = 12,
             OPT_REQUESTED_IP = 50, OPT_LEASE = 51, OPT_MESSAGE_TYPE = 53, OPT_SERVER_ID = 54,
             OPT_PARAMETERS = 55, OPT_END = 255;
const be32 DHCP_COOKIE = htonl(0x63825363);
constexpr unsigned MAX_TRIES = 5;

/// One exchange at a time: what is expected, and the first answer that fits.
struct dhcp_exchange {
    spinlock lock{"dhcp.lock"};
    wait_queue_head wait;
    net_device *dev = nullptr; // GUARDED_BY(lock), as all below; null: nobody waits
    be32 xid{};
    bool answered = false;
    u32 len = 0;
    dhcp_packet reply;
};
static dhcp_exchange exchange;

/// Whether the skb (network header set, data behind the link header) is a reply for us; copies it if so.
static void take_reply(sk_buff *skb, net_device *dev)
{
    constexpr u32 fixed = __builtin_offsetof(dhcp_packet, options);
    if (!pskb_may_pull(skb, sizeof(iphdr)))
        return;
    const iphdr *ip = ip_hdr(skb);
    u32 ihl = ip->ihl * 4u, total = ntohs(ip->tot_len);
    if (ip->version != 4 || ihl < sizeof(iphdr) || ip->protocol != 17 ||
        (ip->frag_off & (IP_MF | IP_OFFSET)))
        return;
    if (total > skb->len || total < ihl + sizeof(udp_header) + fixed)
        return;
    udp_header udp;
    if (skb_copy_bits(skb, ihl, &udp, sizeof udp) || udp.dest != htons(DHCP_CLIENT_PORT) ||
        udp.source != htons(DHCP_SERVER_PORT))
        return;
    u32 len = min(u32{ntohs(udp.len)}, total - ihl);
    if (len < sizeof udp + fixed)
        return;
    spin_guard<bh> g{exchange.lock};
    if (exchange.dev != dev || exchange.answered)
        return;
    dhcp_packet *p = &exchange.reply;
    exchange.len = min(len - u32{sizeof udp}, u32{sizeof *p});
    if (skb_copy_bits(skb, ihl + sizeof udp, p, exchange.len))
        return;
    if (p->op != BOOTREPLY || p->xid != exchange.xid || p->cookie != DHCP_COOKIE ||
        memcmp(p->chaddr, dev->dev_addr, ETH_ALEN))
        return;
    exchange.answered = true;
    wake_up(&exchange.wait);
}

static int dhcp_rcv(sk_buff *skb, net_device *dev, packet_type *, net_device *)
{
    if (skb->pkt_type != PACKET_OTHERHOST) {
        skb = skb_share_check(skb, GFP_ATOMIC);
        if (!skb)
            return 0;
        take_reply(skb, dev);
    }
    consume_skb(skb);
    return 0;
}

/// Appends options; everything fits by construction.
class option_writer
{
public:
    explicit option_writer(u8 *at) : at_{at} {}
    void put(u8 code, const void *data, u8 n)
    {
        *at_++ = code;
        *at_++ = n;
        memcpy(at_, data, n);
        at_ += n;
    }
    void end() { *at_ = OPT_END; }

private:
    u8 *at_;
};

/// Value of option `code` (at least `want` bytes) in the reply, or null. The walk stays inside the received bytes.
static const u8 *find_option(u8 code, unsigned want, unsigned *got)
{
    const u8 *o = exchange.reply.options;
    unsigned n = exchange.len - static_cast<unsigned>(__builtin_offsetof(dhcp_packet, options));
    for (unsigned i = 0; i < n && o[i] != OPT_END;) {
        if (o[i] == OPT_PAD) {
            i++;
            continue;
        }
        if (i + 2 > n || i + 2 + o[i + 1] > n)
            return nullptr;
        if (o[i] == code) {
            *got = o[i + 1];
            return *got >= want ? &o[i + 2] : nullptr;
        }
        i += 2u + o[i + 1];
    }
    return nullptr;
}

static be32 option_address(u8 code, unsigned index = 0)
{
    be32 a{};
    unsigned got = 0;
    if (const u8 *v = find_option(code, 4 * (index + 1), &got))
        memcpy(&a, v + 4 * index, 4);
    return a;
}

static u8 message_type()
{
    unsigned got = 0;
    const u8 *v = find_option(OPT_MESSAGE_TYPE, 1, &got);
    return v ? *v : 0;
}

static void fill_message(dhcp_packet *p, const net_device *dev, u8 type, be32 xid, u16 secs,
                         be32 offered, be32 server)
{
    memset(p, 0, sizeof *p);
    p->op = BOOTREQUEST;
    p->htype = 1;
    p->hlen = ETH_ALEN;
    p->xid = xid;
    p->secs = htons(secs);
    p->flags = htons(0x8000); // answer by broadcast: we cannot receive unicast yet
    memcpy(p->chaddr, dev->dev_addr, ETH_ALEN);
    p->cookie = DHCP_COOKIE;
    option_writer o{p->options};
    o.put(OPT_MESSAGE_TYPE, &type, 1);
    if (type == DHCPREQUEST) {
        o.put(OPT_REQUESTED_IP, &offered, 4);
        o.put(OPT_SERVER_ID, &server, 4);
    }
    static const u8 wanted[] = {OPT_MASK, OPT_ROUTER, OPT_DNS, OPT_HOSTNAME, OPT_LEASE};
    o.put(OPT_PARAMETERS, wanted, sizeof wanted);
    o.end();
}

/// Broadcast one message: Ethernet, IPv4 (source 0), UDP, DHCP.
static result<void> send_message(net_device *dev, const dhcp_packet &msg)
{
    constexpr u32 udp_len = sizeof(udp_header) + sizeof(dhcp_packet),
                  ip_len = sizeof(iphdr) + udp_len;
    sk_buff *skb = alloc_skb(dev->hard_header_len + ip_len + 15, GFP_KERNEL);
    if (!skb)
        return error{ENOMEM};
    skb_reserve(skb, dev->hard_header_len);
    skb_reset_network_header(skb);
    auto *ip = reinterpret_cast<iphdr *>(skb_put(skb, sizeof(iphdr)));
    memset(ip, 0, sizeof *ip);
    ip->version = 4;
    ip->ihl = 5;
    ip->tot_len = htons(ip_len);
    ip->frag_off = IP_DF;
    ip->ttl = 64;
    ip->protocol = 17;
    ip->daddr = INADDR_BROADCAST;
    ip->check = ip_fast_csum(ip, ip->ihl);
    auto *udp = reinterpret_cast<udp_header *>(skb_put(skb, sizeof(udp_header)));
    *udp = {htons(DHCP_CLIENT_PORT), htons(DHCP_SERVER_PORT), htons(udp_len), {}};
    memcpy(skb_put(skb, sizeof msg), &msg, sizeof msg);
    udp->check =
        csum_tcpudp_magic(ip->saddr, ip->daddr, udp_len, 17, csum_partial(udp, udp_len, 0));
    if (!udp->check)
        udp->check = be16{0xffff}; // 0 would say "no checksum"
    skb->dev = dev;
    skb->protocol = htons(ETH_P_IP);
    skb->trace_id = 0;
    if (dev_hard_header(skb, dev, ETH_P_IP, dev->broadcast, dev->dev_addr, skb->len) < 0) {
        kfree_skb(skb);
        return error{EINVAL};
    }
    dev_queue_xmit(skb);
    return {};
}

static void expect(net_device *dev, be32 xid)
{
    spin_guard<bh> g{exchange.lock};
    exchange.dev = dev;
    exchange.xid = xid;
    exchange.answered = false;
}

/// Sleep until an answer is there or `timeout` jiffies have passed.
static bool wait_answer(s64 timeout)
{
    wait_queue w;
    for (;;) {
        prepare_to_wait(&exchange.wait, &w, TASK_UNINTERRUPTIBLE);
        if (read_once(exchange.answered) || timeout <= 0)
            break;
        timeout = schedule_timeout(timeout);
    }
    finish_wait(&exchange.wait, &w);
    return read_once(exchange.answered);
}

/// Send `type` and wait for `want`; other messages are ignored until the time is over. True: exchange.reply holds it.
static bool transact(net_device *dev, u8 type, u8 want, be32 xid, u16 secs, be32 offered,
                     be32 server, s64 timeout)
{
    dhcp_packet *msg = static_cast<dhcp_packet *>(kmalloc(sizeof(dhcp_packet), GFP_KERNEL));
    if (!msg)
        return false;
    fill_message(msg, dev, type, xid, secs, offered, server);
    expect(dev, xid);
    bool sent = static_cast<bool>(send_message(dev, *msg));
    kfree(msg);
    u64 end = jiffies() + static_cast<u64>(timeout);
    while (sent && wait_answer(static_cast<s64>(end - jiffies()))) {
        u8 got = message_type();
        if (got == want)
            return true;
        if (got == DHCPNAK)
            return false;
        expect(dev, xid);
    }
    return false;
}

static void take_lease(ip_config *cfg)
{
    if (!cfg->client)
        cfg->client = exchange.reply.yiaddr;
    if (!cfg->netmask)
        cfg->netmask = option_address(OPT_MASK);
    if (!cfg->gateway)
        cfg->gateway = option_address(OPT_ROUTER);
    if (!cfg->server)
        cfg->server = exchange.reply.siaddr;
    for (unsigned i = 0; i < 2; i++)
        if (!cfg->dns[i])
            cfg->dns[i] = option_address(OPT_DNS, i);
    unsigned n = 0;
    const u8 *name = find_option(OPT_HOSTNAME, 1, &n);
    if (name && !cfg->hostname[0]) {
        n = min(n, unsigned{sizeof cfg->hostname - 1});
        memcpy(cfg->hostname, name, n);
        cfg->hostname[n] = 0;
    }
    cfg->lease_s = ntohl(option_address(OPT_LEASE));
}

/// DISCOVER and REQUEST with doubling time-outs from 1 s.
static bool try_lease(net_device *dev, ip_config *cfg)
{
    u64 start = jiffies();
    for (unsigned i = 0; i < MAX_TRIES; i++) {
        s64 timeout = static_cast<s64>(HZ << i);
        be32 xid = htonl(get_random_u32());
        u16 secs = static_cast<u16>((jiffies() - start) / HZ);
        if (!transact(dev, DHCPDISCOVER, DHCPOFFER, xid, secs, {}, {}, timeout))
            continue;
        be32 offered = exchange.reply.yiaddr, server = option_address(OPT_SERVER_ID);
        if (!offered || !server)
            continue; // plain BOOTP, or nonsense
        if (transact(dev, DHCPREQUEST, DHCPACK, xid, secs, offered, server, timeout) &&
            exchange.reply.yiaddr == offered) {
            take_lease(cfg);
            return true;
        }
    }
    return false;
}

result<void> dhcp_request(net_device *dev, ip_config *cfg)
{
    static packet_type dhcp_packet_type;
    dhcp_packet_type.type = htons(ETH_P_IP);
    dhcp_packet_type.dev = dev;
    dhcp_packet_type.func = dhcp_rcv;
    dhcp_packet_type.func_name = "dhcp_rcv";
    dev_add_pack(&dhcp_packet_type);
    bool ok = try_lease(dev, cfg);
    expect(nullptr, {});
    dev_remove_pack(&dhcp_packet_type);
    if (!ok)
        return error{ETIMEDOUT};
    return {};
}
