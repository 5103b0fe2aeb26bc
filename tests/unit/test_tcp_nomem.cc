// SPDX-License-Identifier: MIT
// Connections while memory runs out: every allocation of their life fails once, and nothing is lost or left behind (atlas §28; row
// Z-01's "no crash"). A flood of SYNs takes no more than the half-open table.
#include "tcp_wire.h"

static unsigned countdown;
static bool fail_nth(size_t, gfp)
{
    return countdown && --countdown == 0;
}

/// One life of a served and of a dialled connection; whatever fails, it goes on as far as it can.
static void one_life(u16 port)
{
    auto r = sock_create_kern(AF_INET, SOCK_STREAM, 0);
    if (!r)
        return;
    tcp_socket l{*r};
    if (l.bind(port) || l.s->ops->listen(l.s, 5).err())
        return;
    peer p{static_cast<u16>(port + 20000), port};
    p.send(S);
    if (p.expect(S | A)) {
        p.send(A);
        p.send(A | P, "data", 4);
        socket *child = sock_alloc();
        if (child) {
            child->type = l.s->type;
            child->ops = l.s->ops;
            char buf[8];
            if (l.s->ops->accept(l.s, child, O_NONBLOCK)) {
                tcp_socket c{child};
                (void)c.recv(buf, sizeof buf);
                (void)c.send("answer", 6);
                c.shutdown(1);
            } else {
                sock_release(child);
            }
        }
        p.send(R);
    }
    auto d = sock_create_kern(AF_INET, SOCK_STREAM, 0);
    if (!d)
        return;
    tcp_socket c{*d};
    if (c.connect(PEER_IP, 7777) == EINPROGRESS) {
        peer q{7777, c.port()};
        if (q.expect(S)) {
            q.send(S | A);
            (void)c.send("x", 1);
            q.send(F | A);
            q.send(R);
        }
    }
}

static void every_allocation_fails_once(void *)
{
    know_peer();
    one_life(4000); // what is made once for ever
    net_sleep(200);
    u64 socks = slab_active("TCP"), reqs = slab_active("request_sock_TCP"),
        binds = slab_active("tcp_bind_bucket"), inodes = slab_active("sock_inode_cache");
    unsigned n = 1;
    for (; n < 200; n++) {
        know_peer();
        countdown = n;
        should_fail_alloc = fail_nth;
        one_life(static_cast<u16>(4000 + n));
        should_fail_alloc = nullptr;
        if (countdown)
            break; // fewer allocations than n: all were tried
    }
    HOST_EXPECT(n > 10);
    HOST_EXPECT(n < 200);
    // Orphans whose peer never got its RST time out.
    for (int i = 0; i < 300; i++) {
        net_sleep(1000);
        tcp_sent_count();
    }
    HOST_EXPECT(slab_active("TCP") == socks && slab_active("request_sock_TCP") == reqs);
    HOST_EXPECT(slab_active("tcp_bind_bucket") == binds &&
                slab_active("sock_inode_cache") == inodes);
    HOST_EXPECT(tcp_orphan_count.load() == 0);
}

static void syn_flood_is_bounded(void *)
{
    tcp_socket l;
    HOST_EXPECT(l.bind(3999) == 0 && l.listen(10) == 0);
    u64 reqs = slab_active("request_sock_TCP");
    for (u32 i = 0; i < 5000; i++) {
        peer p{static_cast<u16>(1024 + i), 3999};
        p.send(S);
        tcp_sent_count();
    }
    HOST_EXPECT(slab_active("request_sock_TCP") == reqs + 16 && synq(l) == 16);
    peer good{60000, 3999};
    HOST_EXPECT(good.connect() && acceptq(l) == 1); // by a cookie
    l.close();
    HOST_EXPECT(good.expect(R | A));
}

static unit_case tests[] = {
    KERNEL_UNIT(tcp_setup),
    KERNEL_UNIT(every_allocation_fails_once),
    KERNEL_UNIT(syn_flood_is_bounded),
};

extern "C" int main()
{
    unit_main("tcp_nomem", tests, 1);
}
