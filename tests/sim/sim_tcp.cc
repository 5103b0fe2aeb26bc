// SPDX-License-Identifier: MIT
// TCP over a wire that drops, repeats, reorders, delays and damages packets, both ways at the same time, in virtual time (rows of H and
// T on the data path). The wire is lo with another transmit function: both ends are our stack. Everything follows from the seed.
//
// Which options the stacks use follows from the seed's lowest bits: 1 no SACK, 2 no timestamps, 4 no window scaling, 8 Reno, 16 a small
// receive buffer, 32 segments for an MTU of 576; a seed that is a multiple of 64 has 3.10's defaults.
//
//   sim_tcp SEED [BYTES]     one run; exit status 0 when all bytes arrived intact and nothing is left
//   sim_tcp replay SEED      two runs of a seed must put the same packets on the wire at the same times

#include "host.h"
#include "lib/string.h"
#include "net/ipv4/devinet.h"
#include "net/ipv4/tcp.h"
#include <sys/wait.h>
#include <unistd.h>

// <cstdio> would declare names that the kernel has as well.
extern "C" int printf(const char *format, ...);
extern "C" int fflush(void *stream);

namespace
{
constexpr be32 lo = htonl(0x7f000001);
constexpr u16 PORT = 9000;

/// What the wire does, in thousandths.
struct wire_config {
    u32 drop, repeat, reorder, damage;
    u64 delay_ns, jitter_ns;
};
wire_config wire;

/// What the seed's lowest bits change in the stacks.
enum stack_option : u64 {
    NO_SACK = 1,
    NO_TIMESTAMPS = 2,
    NO_SCALING = 4,
    RENO = 8,
    SMALL_BUFFER = 16,
    SMALL_MTU = 32
};
u64 stack;
u64 total = 1 << 20;
u64 rng_state;
u64 digest = 14695981039346656037ull;
u64 packets, dropped, repeated, reordered, damaged;

u64 rnd()
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state;
}
bool chance(u32 permille)
{
    return rnd() % 1000 < permille;
}

void mix(const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        digest = (digest ^ static_cast<const u8 *>(p)[i]) * 1099511628211ull;
}

// --- The wire ----------------------------------------------------------------------------------------------------------------------------

/// A packet on its way.
struct in_flight {
    timer_list timer;
    sk_buff *skb;
    in_flight(void (*f)(timer_list *), sk_buff *s) : timer{f}, skb{s} {}
};

void arrive(timer_list *t)
{
    in_flight *f = container_of(t, in_flight, timer);
    netif_rx(f->skb);
    kdelete(f);
}

void depart(sk_buff *skb, u64 ns)
{
    auto *f = knew<in_flight>(GFP_ATOMIC, arrive, skb);
    if (!f) {
        kfree_skb(skb);
        return;
    }
    mod_timer(&f->timer, jiffies() + (ns + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC);
}

/// One bit of the segment, not of the IP header (which would be another address) flips; the checksum is there already.
void damage(sk_buff *skb)
{
    u32 hlen = ip_hdrlen(skb) +
               (skb_network_offset(skb) > 0 ? static_cast<u32>(skb_network_offset(skb)) : 0);
    if (skb->len <= hlen)
        return;
    skb->data[hlen + rnd() % (skb->len - hlen)] ^= static_cast<u8>(1u << rnd() % 8);
    damaged++;
}

netdev_tx sim_xmit(sk_buff *skb, net_device *dev)
{
    packets++;
    u64 now = ktime_get();
    mix(&now, sizeof now);
    mix(skb_transport_header(skb), sizeof(tcphdr));
    sk_buff *copy = skb_copy(skb, GFP_ATOMIC); // the sender keeps its own
    consume_skb(skb);
    if (!copy)
        return NETDEV_TX_OK;
    if (copy->ip_summed == CHECKSUM_PARTIAL && skb_checksum_help(copy)) {
        kfree_skb(copy);
        return NETDEV_TX_OK;
    }
    copy->ip_summed = CHECKSUM_NONE;
    copy->protocol = eth_type_trans(copy, dev);
    if (chance(wire.drop)) {
        dropped++;
        kfree_skb(copy);
        return NETDEV_TX_OK;
    }
    u64 delay = wire.delay_ns + (wire.jitter_ns ? rnd() % wire.jitter_ns : 0);
    if (chance(wire.repeat)) {
        if (sk_buff *twin = skb_copy(copy, GFP_ATOMIC)) {
            repeated++;
            depart(twin, delay + rnd() % (10 * NSEC_PER_MSEC));
        }
    }
    if (chance(wire.reorder)) {
        reordered++;
        delay += 3 * NSEC_PER_MSEC + rnd() % (20 * NSEC_PER_MSEC);
    }
    if (chance(wire.damage))
        damage(copy);
    depart(copy, delay);
    return NETDEV_TX_OK;
}

void make_wire(void *)
{
    static net_device_ops ops;
    ops = *loopback_dev->netdev_ops;
    ops.ndo_start_xmit = sim_xmit;
    mutex_guard g{rtnl_mutex};
    loopback_dev->netdev_ops = &ops;
    loopback_dev->mtu = stack & SMALL_MTU ? 576 : 1500;
    loopback_dev->features &= ~(NETIF_F_GSO | NETIF_F_TSO);
    HOST_EXPECT(inet_set_ifaddr(loopback_dev, lo, htonl(0xff000000), be32{}) == 0);
    HOST_EXPECT(dev_change_flags(loopback_dev, loopback_dev->flags | IFF_UP) == 0);
}

// --- The two ends ------------------------------------------------------------------------------------------------------------------------

socket *ends[2];
bool sent_all[2], got_all[2];

u8 byte_at(unsigned dir, u64 pos)
{
    u64 x = (pos / 8 + 1) * 0x9e3779b97f4a7c15ull + dir;
    return static_cast<u8>(x >> (8 * (pos % 8)));
}

socket *make_socket()
{
    auto r = sock_create_kern(AF_INET, SOCK_STREAM, 0);
    HOST_EXPECT(r);
    if (r && (stack & RENO))
        HOST_EXPECT(tcp_set_congestion_control((*r)->sk, "reno"));
    return r ? *r : nullptr;
}

void configure()
{
    sysctl_tcp_sack = !(stack & NO_SACK);
    sysctl_tcp_timestamps = !(stack & NO_TIMESTAMPS);
    sysctl_tcp_window_scaling = !(stack & NO_SCALING);
    if (stack & SMALL_BUFFER)
        sysctl_tcp_rmem[1] = sysctl_tcp_rmem[2] = 16384;
}

void writer(void *arg)
{
    unsigned dir = static_cast<unsigned>(reinterpret_cast<u64>(arg));
    static u8 buf[2][16384];
    u64 pos = 0;
    while (pos < total) {
        u64 n = min(1 + host_random() % sizeof(buf[dir]), total - pos);
        for (u64 i = 0; i < n; i++)
            buf[dir][i] = byte_at(dir, pos + i);
        iov_iter from = iov_iter::kernel(buf[dir], n);
        msghdr m;
        m.msg_iter = &from;
        m.msg_flags = MSG_NOSIGNAL;
        auto r = sock_sendmsg(ends[dir], &m, n);
        HOST_EXPECT(r);
        if (!r)
            return;
        pos += *r;
    }
    HOST_EXPECT(ends[dir]->ops->shutdown(ends[dir], 1));
    sent_all[dir] = true;
}

void reader(void *arg)
{
    unsigned dir = static_cast<unsigned>(reinterpret_cast<u64>(arg));
    static u8 buf[2][16384];
    u64 pos = 0;
    for (;;) {
        u64 want = 1 + host_random() % sizeof(buf[dir]);
        iov_iter to = iov_iter::kernel(buf[dir], want);
        msghdr m;
        m.msg_iter = &to;
        auto r = sock_recvmsg(ends[1 - dir], &m, want, 0);
        HOST_EXPECT(r);
        if (!r || !*r)
            break;
        for (u64 i = 0; i < *r; i++) {
            if (buf[dir][i] == byte_at(dir, pos + i))
                continue;
            printf("direction %u: wrong byte at %lu: %02x, not %02x\n", dir, pos + i, buf[dir][i],
                   byte_at(dir, pos + i));
            HOST_EXPECT(false);
            return;
        }
        pos += *r;
    }
    HOST_EXPECT(pos == total);
    got_all[dir] = true;
}

void start(void *)
{
    configure();
    sockaddr_storage a{};
    *reinterpret_cast<sockaddr_in *>(&a) = {AF_INET, htons(PORT), lo, {}};
    socket *l = make_socket();
    HOST_EXPECT(l->ops->bind(l, &a, sizeof(sockaddr_in)));
    HOST_EXPECT(l->ops->listen(l, 5));
    ends[0] = make_socket();
    HOST_EXPECT(ends[0]->ops->connect(ends[0], &a, sizeof(sockaddr_in), 0));
    ends[1] = sock_alloc();
    ends[1]->type = SOCK_STREAM;
    ends[1]->ops = l->ops;
    HOST_EXPECT(l->ops->accept(l, ends[1], 0));
    sock_release(l);
    for (u64 d = 0; d < 2; d++) {
        host_spawn(writer, reinterpret_cast<void *>(d), -1);
        host_spawn(reader, reinterpret_cast<void *>(d), -1);
    }
}

bool finished(void *)
{
    return (sent_all[0] && sent_all[1] && got_all[0] && got_all[1]) || host_failures();
}

void finish(void *)
{
    for (socket *&s : ends) {
        HOST_EXPECT(s->sk->sk_receive_queue.empty());
        sock_release(s);
    }
}

/// The count of a MIB over all CPUs.
u64 mib(linux_mib f)
{
    u64 n = 0;
    for (unsigned i = 0; i < NR_CPUS; i++)
        n += net_mib.on(i).tcpext[f];
    return n;
}

int run(u64 seed)
{
    stack = seed % 64;
    rng_state = seed * 0x9e3779b97f4a7c15ull + 1;
    rnd();
    wire = {.drop = static_cast<u32>(rnd() % 40),
            .repeat = static_cast<u32>(rnd() % 20),
            .reorder = static_cast<u32>(rnd() % 60),
            .damage = static_cast<u32>(rnd() % 10),
            .delay_ns = (1 + rnd() % 20) * NSEC_PER_MSEC,
            .jitter_ns = rnd() % 2 ? rnd() % (2 * NSEC_PER_MSEC) : 0};
    host_boot(2, seed);
    if (!host_run(make_wire, nullptr) || !host_run(start, nullptr)) {
        printf("seed %lu: no connection\n", seed);
        return 1;
    }
    bool done = host_run_until(finished, nullptr, 4000 * NSEC_PER_SEC);
    u64 took = host_now_ns();
    if (done && !host_failures())
        host_run(finish, nullptr);
    host_advance_ns(200 * NSEC_PER_SEC); // TIME_WAIT and all timers
    s64 left = tcp_memory_allocated.load();
    HOST_EXPECT(left == 0);
    printf("seed %lu (options %lx): %s, %lu bytes each way in %lu.%03lu s, wire drop %u repeat %u "
           "reorder %u "
           "damage %u permille delay %lu ms: %lu "
           "packets, %lu dropped %lu repeated %lu reordered %lu damaged; fast %lu rto %lu dsack "
           "%lu sack %lu tlp %lu undo %lu "
           "pages left %ld digest %016lx\n",
           seed, stack, done && !host_failures() ? "ok" : "FAILED", total, took / NSEC_PER_SEC,
           took / NSEC_PER_MSEC % 1000, wire.drop, wire.repeat, wire.reorder, wire.damage,
           wire.delay_ns / NSEC_PER_MSEC, packets, dropped, repeated, reordered, damaged,
           mib(LINUX_MIB_TCPFastRetrans), mib(LINUX_MIB_TCPTimeouts), mib(LINUX_MIB_TCPDSACKRecv),
           mib(LINUX_MIB_TCPSackRecovery), mib(LINUX_MIB_TCPLossProbes),
           mib(LINUX_MIB_TCPFullUndo) + mib(LINUX_MIB_TCPDSACKUndo) + mib(LINUX_MIB_TCPLossUndo),
           left, digest);
    return done && !host_failures() ? 0 : 1;
}

u64 number(const char *s)
{
    const char *end;
    return strtoul(s, &end, 10);
}

/// The digest of a run in a process of its own (a kernel boots once).
u64 digest_of(u64 seed)
{
    int fd[2];
    if (pipe(fd))
        return 0;
    if (pid_t child = fork(); child == 0) {
        int rc = run(seed);
        if (rc || write(fd[1], &digest, sizeof digest) != sizeof digest)
            host_exit(1);
        host_exit(0);
    }
    close(fd[1]);
    u64 d = 0;
    if (read(fd[0], &d, sizeof d) != sizeof d)
        d = 0;
    close(fd[0]);
    wait(nullptr);
    return d;
}
} // namespace

int main(int argc, char **argv)
{
    if (argc > 2 && !strcmp(argv[1], "replay")) {
        total = 1 << 18;
        u64 seed = number(argv[2]);
        u64 a = digest_of(seed), b = digest_of(seed);
        printf("replay of seed %lu: %016lx and %016lx\n", seed, a, b);
        return !a || a != b;
    }
    u64 seed = argc > 1 ? number(argv[1]) : 1;
    if (argc > 2)
        total = number(argv[2]);
    int rc = run(seed);
    host_exit(rc);
}
