// SPDX-License-Identifier: MIT
// Early demultiplexing: a connection's segments find their socket before their route, and use the route of the one before while
// it holds (tcp_v4_early_demux; row R-10). Whether the tables were asked is seen from their counters.
#include "net/ipv4/inetdevice.h"
#include "net/ipv4/ip_fib.h"
#include "net/ipv4/route.h"
#include "tcp_link.h"

namespace
{
/// Look-ups of input routes since the last call, none of which the CPU's memory of recent ones can answer.
u64 input_lookups()
{
    static u64 last;
    u64 sum = 0;
    for (unsigned i = 0; i < NR_CPUS; i++) {
        sum += rt_cache_stats.on(i).in_slow_tot;
        for (rt_slot &s : rt_recent.on(i).input)
            s.genid = 0;
    }
    u64 n = sum - last;
    last = sum;
    return n;
}

/// A segment of ten bytes reaches the program, and the tables were asked `lookups` times on its way.
bool arrives(link &k, u64 lookups)
{
    char buf[16];
    input_lookups();
    k.data("0123456789", 10);
    u64 n = input_lookups();
    if (n != lookups)
        pr_err("%lu look-ups, want %lu\n", n, lookups);
    return n == lookups && k.c.recv(buf, sizeof buf) == 10;
}

/// Add or delete a route to the peer alone.
void peer_route(bool add, net_device *dev, be32 gateway = {})
{
    fib_config c;
    c.dst = htonl(PEER_IP);
    c.plen = 32;
    c.dev = dev;
    c.gw = gateway;
    c.scope = gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
    mutex_guard g{rtnl_mutex};
    HOST_EXPECT((add ? fib_table_insert(fib_table_main, c, false)
                     : fib_table_delete(fib_table_main, c)) == 0);
}

void route_is_remembered(void *)
{
    link k{8001, true, true};
    HOST_EXPECT(arrives(k, 1) && k.tp()->sk_rx_dst); // the handshake's ACK was the listener's
    int refs = k.c.s->sk->sk_refcnt.read();
    for (int i = 0; i < 5; i++)
        HOST_EXPECT(arrives(k, 0));
    HOST_EXPECT(k.c.s->sk->sk_refcnt.read() == refs && k.tp()->sk_rx_dst->refcnt.read() >= 2);
    sysctl_ip_early_demux = 0;
    HOST_EXPECT(arrives(k, 1) && arrives(k, 1));
    sysctl_ip_early_demux = 1;
    HOST_EXPECT(arrives(k, 0));
}

/// Every change of routes or addresses makes the next segment ask, and only that one.
void changes_are_honoured(void *)
{
    link k{8002, true, true};
    arrives(k, 1);
    peer_route(true, loopback_dev);
    HOST_EXPECT(arrives(k, 1) && arrives(k, 0));
    in_device *d = wire_dev()->ip_ptr;
    d->cnf.rp_filter = 1; // the peer would be reached by another device: not from here
    rt_cache_flush();
    moved filtered{LINUX_MIB_IPReversePathFilter};
    HOST_EXPECT(!arrives(k, 1) && filtered() == 1);
    d->cnf.rp_filter = 0;
    peer_route(false, loopback_dev);
    k.p.seq -= 10;
    HOST_EXPECT(arrives(k, 1) && arrives(k, 0));
}

void address_that_goes_takes_the_route_along(void *)
{
    link k{8003, true, true};
    arrives(k, 1);
    fib_config c;
    c.dst = htonl(WIRE_IP);
    c.plen = 32;
    c.type = RTN_LOCAL;
    c.scope = RT_SCOPE_HOST;
    c.dev = wire_dev();
    {
        mutex_guard g{rtnl_mutex};
        HOST_EXPECT(fib_table_delete(fib_table_local, c) == 0);
    }
    HOST_EXPECT(!arrives(k, 1));
    k.p.seq -= 10;
    c.prefsrc = c.dst;
    {
        mutex_guard g{rtnl_mutex};
        HOST_EXPECT(fib_table_insert(fib_table_local, c, false) == 0);
    }
    HOST_EXPECT(arrives(k, 1) && arrives(k, 0));
}

/// A better route that is added counts for a connection's next segment out, too.
void added_route_is_used_for_sending(void *)
{
    link k{8004, true, true};
    HOST_EXPECT(k.c.send(bulk, 100) == 100);
    auto route = [&] { return static_cast<rtable *>(k.tp()->sk_dst_cache); };
    HOST_EXPECT(route() && !route()->rt_gateway);
    HOST_EXPECT(k.p.expect(A | P));
    k.ack();
    peer_route(true, nullptr, htonl(0x0a090003));
    HOST_EXPECT(k.c.send(bulk, 100) == 100);
    HOST_EXPECT(route() && route()->rt_gateway == htonl(0x0a090003));
    peer_route(false, nullptr, htonl(0x0a090003));
    wire_forget_sent();
}

/// The packet of a segment as ip_rcv_finish() has it.
sk_buff *packet_of(const seg &s)
{
    static u8 f[WIRE_FRAME_MAX];
    u32 n = static_cast<u32>(make_tcp(f, s)) - 14;
    sk_buff *skb = netdev_alloc_skb(wire_dev(), n);
    memcpy(skb_put(skb, n), f + 14, n);
    skb_reset_network_header(skb);
    skb->transport_header = static_cast<u16>(skb->network_header + 20);
    HOST_EXPECT(!pskb_trim(skb, ip_hdr(skb)->tot_len.host()));
    return skb;
}

void socket_ends_while_a_packet_has_it(void *)
{
    net_sleep(61000); // nothing is left of earlier tests
    u64 before = slab_active("TCP");
    {
        link k{8005, true, true};
        arrives(k, 1);
        sock *sk = k.c.s->sk;
        int refs = sk->sk_refcnt.read();
        bh_guard b;
        sk_buff *skb = packet_of(k.make(A | P, "0123456789", 10));
        tcp_v4_early_demux(skb);
        HOST_EXPECT(skb->sk == sk && skb->dst == sk->sk_rx_dst && skb->dst_noref);
        HOST_EXPECT(sk->sk_refcnt.read() == refs + 1);
        kfree_skb(skb);
        HOST_EXPECT(sk->sk_refcnt.read() == refs);
    }
    {
        link k{8005, true, true};
        arrives(k, 1);
        sk_buff *skb = packet_of(k.make(A | P, "0123456789", 10));
        {
            bh_guard b;
            tcp_v4_early_demux(skb);
        }
        skb_dst_force(skb);
        HOST_EXPECT(skb->sk == k.c.s->sk && skb->dst && !skb->dst_noref);
        tcp_inject(k.make(R));
        HOST_EXPECT(k.c.state() == TCP_CLOSE);
        k.c.close();
        bh_guard b;
        skb_pull(skb, 20);
        skb_reset_transport_header(skb);
        tcp_v4_rcv(skb);
    }
    net_sleep(1000);
    HOST_EXPECT(slab_active("TCP") == before);
    wire_forget_sent();
}

bool found_early(const seg &s)
{
    bh_guard b;
    sk_buff *skb = packet_of(s);
    tcp_v4_early_demux(skb);
    bool found = skb->sk;
    kfree_skb(skb);
    return found;
}

void neither_listeners_nor_time_wait(void *)
{
    u64 before = slab_active("tw_sock_TCP");
    link k{8006, true, true};
    peer other{40001, 8006};
    HOST_EXPECT(!found_early(other.make(S)) && found_early(k.make(A)));
    k.c.close();
    HOST_EXPECT(k.p.expect(F | A));
    k.data("", 0, A | F);
    k.p.seq++;
    HOST_EXPECT(slab_active("tw_sock_TCP") == before + 1 && !found_early(k.make(A)));
    wire_forget_sent();
    k.p.seq--;
    k.data("", 0, A | F);
    HOST_EXPECT(k.p.expect(A));
    net_sleep(125000);
    HOST_EXPECT(slab_active("tw_sock_TCP") == before);
}

/// What stands where a fragment's ports would be belongs to nobody.
void fragments_are_routed(void *)
{
    link k{8007, true, true};
    arrives(k, 1);
    seg s = k.make(A | P, "0123456789", 10);
    u8 f[WIRE_FRAME_MAX];
    make_tcp(f, s);
    u32 n = static_cast<u32>(get16(f + 16)) - 20u;
    u8 segment[200];
    memcpy(segment, f + 34, n);
    ip_fields h;
    h.proto = IPPROTO_TCP;
    h.frag = 0x2000;
    int refs = k.c.s->sk->sk_refcnt.read();
    input_lookups();
    wire_receive(f, make_ip(f, h, segment, 32));
    HOST_EXPECT(k.c.s->sk->sk_refcnt.read() == refs && input_lookups() == 1);
    h.frag = 4;
    wire_receive(f, make_ip(f, h, segment + 32, n - 32));
    k.p.seq += 10;
    char buf[16];
    HOST_EXPECT(k.c.recv(buf, sizeof buf) == 10);
}

} // namespace

extern "C" int main()
{
    unit_main("tcp_demux",
              {KERNEL_UNIT(link_setup), KERNEL_UNIT(route_is_remembered),
               KERNEL_UNIT(changes_are_honoured),
               KERNEL_UNIT(address_that_goes_takes_the_route_along),
               KERNEL_UNIT(added_route_is_used_for_sending),
               KERNEL_UNIT(socket_ends_while_a_packet_has_it),
               KERNEL_UNIT(neither_listeners_nor_time_wait), KERNEL_UNIT(fragments_are_routed)},
              1);
}
