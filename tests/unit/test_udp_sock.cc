// SPDX-License-Identifier: MIT
// UDP's receive side: lookup by scores, backlog, limits, checksums, ports (rows U-01, U-04…U-06, K-06).
#include "sock_util.h"

constexpr be32 us = ip4(10, 9, 0, 2), them = ip4(10, 9, 0, 1), other = ip4(10, 9, 0, 3);

static sk_buff *text(be32 saddr, u16 sport, be32 daddr, u16 dport, const char *s)
{
    return udp_packet(saddr, sport, daddr, dport, s, static_cast<u32>(strlen(s)));
}

// --- lookup ---------------------------------------------------------------------------------------

static void specific_address_beats_any(void *)
{
    test_socket any, mine;
    HOST_EXPECT(any.bind(be32{}, 7000) == 0);
    any.sk()->sk_reuse = mine.sk()->sk_reuse = 1;
    HOST_EXPECT(mine.bind(us, 7000) == 0);
    deliver(text(them, 9, us, 7000, "to mine"));
    deliver(text(them, 9, other, 7000, "to any"));
    HOST_EXPECT(mine.queued() == 1 && any.queued() == 1);
}

static sock *lookup(be32 saddr, u16 sport, be32 daddr, u16 dport, u32 dif)
{
    return __udp4_lib_lookup(saddr, htons(sport), daddr, htons(dport), dif, 0);
}

static void scores_add_up(void *)
{
    test_socket any, local, dev, peer;
    for (test_socket *t : {&any, &local, &dev, &peer})
        t->sk()->sk_reuse = 1;
    HOST_EXPECT(any.bind(be32{}, 7001) == 0 && local.bind(us, 7001) == 0);
    HOST_EXPECT(dev.bind(us, 7001) == 0 && peer.bind(us, 7001) == 0);
    dev.sk()->sk_bound_dev_if = 77;
    peer.set_peer(them, 9);
    HOST_EXPECT(lookup(them, 9, us, 7001, 1) == peer.sk());     // 2+4+4+4
    HOST_EXPECT(lookup(them, 9, us, 7001, 77) == peer.sk());    // against 2+4+4
    HOST_EXPECT(lookup(them, 10, us, 7001, 77) == dev.sk());    // not its peer's port
    HOST_EXPECT(lookup(them, 10, us, 7001, 1) == local.sk());   // not its device
    HOST_EXPECT(lookup(them, 10, other, 7001, 77) == any.sk()); // not their address
    HOST_EXPECT(lookup(them, 10, us, 7002, 1) == nullptr);
}

static void crowded_port_uses_second_table(void *)
{
    static test_socket *all[40];
    for (u8 i = 0; i < 40; i++) {
        all[i] = knew<test_socket>(GFP_KERNEL);
        HOST_EXPECT(all[i]->bind(ip4(10, 9, 1, i), 7003) == 0);
        all[i]->sk()->sk_reuse = 1;
    }
    test_socket any;
    any.sk()->sk_reuse = 1;
    HOST_EXPECT(any.bind(be32{}, 7003) == 0);
    u64 before = udp_table_.examined.sum();
    for (u8 i = 0; i < 40; i++)
        HOST_EXPECT(lookup(them, 9, ip4(10, 9, 1, i), 7003, 1) == all[i]->sk());
    HOST_EXPECT(lookup(them, 9, ip4(10, 9, 2, 1), 7003, 1) == any.sk());
    HOST_EXPECT(udp_table_.examined.sum() - before < 41 * 5); // far from 41 * 41
    for (test_socket *t : all)
        kdelete(t);
    HOST_EXPECT(lookup(them, 9, ip4(10, 9, 1, 0), 7003, 1) == any.sk());
}

static void reuseport_keeps_flows_and_spreads(void *)
{
    test_socket t[4];
    unsigned hits[4] = {};
    for (test_socket &s : t) {
        s.sk()->sk_reuseport = 1;
        HOST_EXPECT(s.bind(us, 7004) == 0);
    }
    for (u16 port = 1; port <= 400; port++) {
        sock *first = lookup(them, port, us, 7004, 1);
        HOST_EXPECT(lookup(them, port, us, 7004, 1) == first);
        for (int i = 0; i < 4; i++)
            hits[i] += t[i].sk() == first;
    }
    HOST_EXPECT(hits[0] + hits[1] + hits[2] + hits[3] == 400);
    for (unsigned h : hits)
        HOST_EXPECT(h > 40);
}

static void rehash_moves_between_chains(void *)
{
    test_socket s;
    HOST_EXPECT(s.bind(be32{}, 7005) == 0);
    for (u8 i = 1; i < 50; i++) {
        inet_sk(s.sk())->inet_rcv_saddr = ip4(10, 9, 3, i);
        udp_v4_rehash(s.sk());
        HOST_EXPECT(lookup(them, 9, ip4(10, 9, 3, i), 7005, 1) == s.sk());
    }
}

// --- backlog and limits ---------------------------------------------------------------------------

static void backlog_while_owned_then_queue_in_order(void *)
{
    test_socket s;
    HOST_EXPECT(s.bind(us, 7010) == 0);
    sock *sk = s.sk();
    lock_sock(sk);
    for (const char *msg : {"one", "two", "three"})
        deliver(text(them, 9, us, 7010, msg));
    HOST_EXPECT(sk->sk_backlog.qlen == 3 && sk->sk_backlog.len > 0 && s.queued() == 0);
    release_sock(sk);
    HOST_EXPECT(sk->sk_backlog.qlen == 0 && sk->sk_backlog.len == 0 && !sk->sk_backlog.head);
    HOST_EXPECT(s.queued() == 3);
    char buf[16];
    HOST_EXPECT(s.recv(buf, sizeof buf) == 3 && !memcmp(buf, "one", 3));
    HOST_EXPECT(s.recv(buf, sizeof buf) == 3 && !memcmp(buf, "two", 3));
    HOST_EXPECT(s.recv(buf, sizeof buf) == 5 && !memcmp(buf, "three", 5));
    HOST_EXPECT(sk->sk_rmem_alloc.load() == 0);
}

/// Deliver until one is dropped; returns how many went in.
static unsigned fill(test_socket &s, u16 port)
{
    unsigned n = 0;
    while (s.sk()->sk_drops.load() == 0) {
        deliver(text(them, 9, us, port, "x"));
        n++;
    }
    return n - 1;
}

static void full_queue_drops_and_counts(void *)
{
    test_socket s;
    HOST_EXPECT(s.bind(us, 7011) == 0);
    sock *sk = s.sk();
    u64 errors = udp_count(UDP_MIB_InErrors), rcvbuf = udp_count(UDP_MIB_RcvbufErrors);
    unsigned in = fill(s, 7011);
    HOST_EXPECT(s.queued() == in);
    HOST_EXPECT(sk->sk_rmem_alloc.load() > sk->sk_rcvbuf - 2048);
    for (int i = 0; i < 9; i++)
        deliver(text(them, 9, us, 7011, "x"));
    HOST_EXPECT(sk->sk_drops.load() == 10);
    HOST_EXPECT(udp_count(UDP_MIB_InErrors) == errors + 10);
    // 3.10 counts RcvbufErrors only when the queue itself refuses: when it is full to the byte (atlas §28.10).
    bool exact = sk->sk_rmem_alloc.load() == sk->sk_rcvbuf;
    HOST_EXPECT(udp_count(UDP_MIB_RcvbufErrors) == rcvbuf + (exact ? 10 : 0));
    char c;
    for (unsigned i = 0; i < in; i++)
        HOST_EXPECT(s.recv(&c, 1, MSG_DONTWAIT) == 1);
    HOST_EXPECT(s.recv(&c, 1, MSG_DONTWAIT) == -EAGAIN);
    HOST_EXPECT(sk->sk_rmem_alloc.load() == 0);
    deliver(text(them, 9, us, 7011, "x"));
    HOST_EXPECT(s.queued() == 1);
}

static void backlog_counts_against_the_limit(void *)
{
    test_socket s;
    HOST_EXPECT(s.bind(us, 7012) == 0);
    lock_sock(s.sk());
    unsigned in = fill(s, 7012);
    HOST_EXPECT(static_cast<unsigned>(s.sk()->sk_backlog.qlen) == in);
    HOST_EXPECT(s.sk()->sk_backlog.len > s.sk()->sk_rcvbuf - 2048);
    release_sock(s.sk());
    HOST_EXPECT(s.queued() <= in && s.queued() + 1 >= in);
}

static int active_objects(const char *cache)
{
    struct find {
        const char *name;
        int n;
    } f{cache, -1};
    for_each_slab(
        [](const slab_stats &st, void *arg) {
            auto *f = static_cast<find *>(arg);
            if (!strcmp(st.name, f->name))
                f->n = static_cast<int>(st.active_objs);
        },
        &f);
    return f.n;
}

/// Long enough for all RCU callbacks: they run in batches.
static void let_rcu_run()
{
    synchronize_rcu();
    msleep(50);
}

static void close_frees_what_was_not_read(void *)
{
    let_rcu_run();
    int socks = active_objects("UDP"), inodes = active_objects("sock_inode_cache"),
        wqs = active_objects("kmalloc-64"), skbs = active_objects("skbuff_head_cache");
    {
        test_socket s;
        HOST_EXPECT(s.bind(us, 7013) == 0);
        HOST_EXPECT(active_objects("UDP") == socks + 1);
        HOST_EXPECT(active_objects("sock_inode_cache") == inodes + 1);
        HOST_EXPECT(active_objects("kmalloc-64") == wqs + 1);
        for (int i = 0; i < 20; i++)
            deliver(text(them, 9, us, 7013, "never read"));
    }
    let_rcu_run();
    HOST_EXPECT(active_objects("UDP") == socks);
    HOST_EXPECT(active_objects("sock_inode_cache") == inodes);
    HOST_EXPECT(active_objects("kmalloc-64") == wqs);
    HOST_EXPECT(active_objects("skbuff_head_cache") == skbs);
}

// --- what is not a good datagram ------------------------------------------------------------------

static void ill_formed_lengths_are_errors(void *)
{
    test_socket s;
    HOST_EXPECT(s.bind(us, 7020) == 0);
    u64 errors = udp_count(UDP_MIB_InErrors);
    for (u16 bad : {15, 7, 0, 65535}) { // more than there is, less than a header
        sk_buff *skb = text(them, 9, us, 7020, "abcdef");
        udp_hdr(skb)->len = htons(bad);
        deliver(skb);
    }
    sk_buff *skb = text(them, 9, us, 7020, "");
    pskb_trim(skb, 5);
    deliver(skb);
    HOST_EXPECT(udp_count(UDP_MIB_InErrors) == errors + 5);
    HOST_EXPECT(s.queued() == 0);
    skb = text(them, 9, us, 7020, "abcdef");
    udp_hdr(skb)->len = htons(8 + 3); // what follows is padding
    deliver(skb);
    char buf[16];
    HOST_EXPECT(s.recv(buf, sizeof buf) == 3 && !memcmp(buf, "abc", 3));
    deliver(text(them, 9, us, 7020, ""));
    HOST_EXPECT(s.recv(buf, sizeof buf) == 0); // an empty datagram is one
}

static void checksums_are_verified_when_read(void *)
{
    test_socket s;
    HOST_EXPECT(s.bind(us, 7021) == 0);
    u64 csum = udp_count(UDP_MIB_InCsumErrors), in = udp_count(UDP_MIB_InDatagrams);
    sk_buff *skb = text(them, 9, us, 7021, "odd length!");
    udp_hdr(skb)->check =
        csum_tcpudp_magic(them, us, skb->len, IPPROTO_UDP, csum_partial(skb->data, skb->len, 0));
    deliver(skb);
    deliver(udp_packet(them, 9, us, 7021, "bad", 3, htons(0x1234)));
    char buf[16];
    HOST_EXPECT(udp_count(UDP_MIB_InDatagrams) == in); // counted at read
    HOST_EXPECT(s.recv(buf, sizeof buf, MSG_DONTWAIT) == 11 && !memcmp(buf, "odd length!", 11));
    HOST_EXPECT(udp_count(UDP_MIB_InDatagrams) == in + 1);
    HOST_EXPECT(s.recv(buf, sizeof buf, MSG_DONTWAIT) == -EAGAIN);
    HOST_EXPECT(udp_count(UDP_MIB_InCsumErrors) == csum + 1);
    HOST_EXPECT(s.sk()->sk_rmem_alloc.load() == 0);
    // The same when only a part is asked for.
    deliver(udp_packet(them, 9, us, 7021, "bad", 3, htons(0x1234)));
    HOST_EXPECT(s.recv(buf, 1, MSG_DONTWAIT) == -EAGAIN);
    HOST_EXPECT(udp_count(UDP_MIB_InCsumErrors) == csum + 2);
}

// --- ports ----------------------------------------------------------------------------------------

struct bind_side {
    be32 ip;
    bool reuse, reuseport;
    u32 dev;
    int uid;
};
/// Bind two sockets to one port; the second's errno.
static int bind_both(const bind_side &a, const bind_side &b)
{
    test_socket s[2];
    int err = -1;
    const bind_side *side[2] = {&a, &b};
    for (int i = 0; i < 2; i++) {
        s[i].sk()->sk_reuse = side[i]->reuse;
        s[i].sk()->sk_reuseport = side[i]->reuseport;
        s[i].sk()->sk_bound_dev_if = side[i]->dev;
        s[i].sk()->sk_uid = side[i]->uid;
        err = s[i].bind(side[i]->ip, 7030);
    }
    return err;
}

static void bind_conflicts(void *)
{
    constexpr be32 any{};
    HOST_EXPECT(bind_both({us, 0, 0, 0, 0}, {us, 0, 0, 0, 0}) == EADDRINUSE);
    HOST_EXPECT(bind_both({us, 0, 0, 0, 0}, {other, 0, 0, 0, 0}) == 0);
    HOST_EXPECT(bind_both({any, 0, 0, 0, 0}, {us, 0, 0, 0, 0}) == EADDRINUSE);
    HOST_EXPECT(bind_both({us, 0, 0, 0, 0}, {any, 0, 0, 0, 0}) == EADDRINUSE);
    HOST_EXPECT(bind_both({us, 1, 0, 0, 0}, {us, 1, 0, 0, 0}) == 0);
    HOST_EXPECT(bind_both({us, 1, 0, 0, 0}, {us, 0, 0, 0, 0}) == EADDRINUSE);
    HOST_EXPECT(bind_both({us, 0, 1, 0, 5}, {us, 0, 1, 0, 5}) == 0);
    HOST_EXPECT(bind_both({us, 0, 1, 0, 5}, {us, 0, 1, 0, 6}) == EADDRINUSE);
    HOST_EXPECT(bind_both({us, 0, 1, 0, 5}, {us, 1, 0, 0, 5}) == EADDRINUSE);
    HOST_EXPECT(bind_both({us, 0, 0, 1, 0}, {us, 0, 0, 2, 0}) == 0);
    HOST_EXPECT(bind_both({us, 0, 0, 1, 0}, {us, 0, 0, 0, 0}) == EADDRINUSE);
}

static void bind_and_create_errors(void *)
{
    test_socket s, t;
    HOST_EXPECT(s.bind(us, 7031) == 0);
    HOST_EXPECT(s.bind(us, 7032) == EINVAL); // bound already
    auto a = addr_of(us, 7033);
    HOST_EXPECT(t.s->ops->bind(t.s, &a, 15).err() == EINVAL);
    a.ss_family = AF_INET6;
    HOST_EXPECT(t.s->ops->bind(t.s, &a, 16).err() == EAFNOSUPPORT);
    a.ss_family = AF_UNSPEC;
    HOST_EXPECT(t.s->ops->bind(t.s, &a, 16).err() == EAFNOSUPPORT);
    inet_sk(t.sk())->freebind = 0;
    HOST_EXPECT(t.bind(ip4(192, 0, 2, 1), 7033) == EADDRNOTAVAIL);
    sysctl_ip_nonlocal_bind = 1;
    test_socket elsewhere;
    inet_sk(elsewhere.sk())->freebind = 0;
    HOST_EXPECT(elsewhere.bind(ip4(192, 0, 2, 1), 7034) == 0);
    sysctl_ip_nonlocal_bind = 0;
    a = addr_of(be32{}, 7033);
    a.ss_family = AF_UNSPEC; // with address 0: old programs
    HOST_EXPECT(t.s->ops->bind(t.s, &a, 16).err() == 0);
    HOST_EXPECT(sock_create_kern(AF_INET6, SOCK_DGRAM, 0).err() == EAFNOSUPPORT);
    HOST_EXPECT(sock_create_kern(-1, SOCK_DGRAM, 0).err() == EAFNOSUPPORT);
    HOST_EXPECT(sock_create_kern(AF_INET, 12, 0).err() == EINVAL);
    HOST_EXPECT(sock_create_kern(AF_INET, SOCK_DGRAM, IPPROTO_TCP).err() == EPROTONOSUPPORT);
    HOST_EXPECT(sock_create_kern(AF_INET, SOCK_SEQPACKET, 0).err() == ESOCKTNOSUPPORT);
    HOST_EXPECT(sock_create_kern(AF_INET, SOCK_DGRAM, 300).err() == EINVAL);
}

static void ephemeral_ports_are_in_range_and_distinct(void *)
{
    static test_socket *s[300];
    static bool seen[65536];
    for (auto *&t : s) {
        t = knew<test_socket>(GFP_KERNEL);
        HOST_EXPECT(t->bind(be32{}, 0) == 0);
        HOST_EXPECT(t->port() >= 32768 && t->port() <= 61000 && !seen[t->port()]);
        seen[t->port()] = true;
    }
    for (auto *t : s)
        kdelete(t);
}

static void no_free_port_is_eaddrinuse(void *)
{
    int save[2] = {sysctl_local_port_range[0], sysctl_local_port_range[1]};
    sysctl_local_port_range[0] = 40000;
    sysctl_local_port_range[1] = 40004;
    test_socket s[6];
    for (int i = 0; i < 5; i++)
        HOST_EXPECT(s[i].bind(be32{}, 0) == 0);
    HOST_EXPECT(s[5].bind(be32{}, 0) == EADDRINUSE);
    s[2].close();
    HOST_EXPECT(s[5].bind(be32{}, 0) == 0);
    sysctl_local_port_range[0] = save[0];
    sysctl_local_port_range[1] = save[1];
}

extern "C" int main()
{
    unit_main(
        "udp_sock",
        {KERNEL_UNIT(specific_address_beats_any), KERNEL_UNIT(scores_add_up),
         KERNEL_UNIT(crowded_port_uses_second_table),
         KERNEL_UNIT(reuseport_keeps_flows_and_spreads), KERNEL_UNIT(rehash_moves_between_chains),
         KERNEL_UNIT(backlog_while_owned_then_queue_in_order),
         KERNEL_UNIT(full_queue_drops_and_counts), KERNEL_UNIT(backlog_counts_against_the_limit),
         KERNEL_UNIT(close_frees_what_was_not_read), KERNEL_UNIT(ill_formed_lengths_are_errors),
         KERNEL_UNIT(checksums_are_verified_when_read), KERNEL_UNIT(bind_conflicts),
         KERNEL_UNIT(bind_and_create_errors),
         KERNEL_UNIT(ephemeral_ports_are_in_range_and_distinct),
         KERNEL_UNIT(no_free_port_is_eaddrinuse)},
        2);
}
