// SPDX-License-Identifier: MIT
// Fuzz target: segments against a listening socket and an established connection, mixed with what a program does to it. Nothing may
// crash, hang or leak: after each input both ends are closed, all timers run out, and every sk_buff, sock and page of tcp_mem must be
// back.
//
// Input: operations, each a first byte (low 3 bits: which) and its arguments. Sequence and acknowledgment numbers are small signed
// offsets from where the connection really is, so that the fuzzer need not guess 32-bit numbers; ports and checksums are right.
//   0…4  segment: flags, seq offset (16 bits), ack offset (16), window (16), options length (0…40) and bytes, payload length (16)
//   5    read: length and MSG_* bits     6  write: length, MSG_* bits     7  let time pass: 2^n ms; or shut down, or accept
#include "host.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "net/ipv4/tcp.h"
#include "sched/sched.h"
#include "wire.h"

namespace
{
struct input {
    const u8 *data;
    size_t n;
    u8 byte()
    {
        if (!n)
            return 0;
        n--;
        return *data++;
    }
    u16 word()
    {
        u8 lo = byte();
        return static_cast<u16>(lo | byte() << 8);
    }
};
constexpr u16 US = 80, PEER = 40000;
u8 frame[WIRE_FRAME_MAX];
u64 idle_skbs, idle_socks;

u64 active(const char *prefix)
{
    struct find {
        const char *prefix;
        u64 n;
    } f{prefix, 0};
    for_each_slab(
        [](const slab_stats &s, void *p) {
            auto *x = static_cast<find *>(p);
            if (!strncmp(s.name, x->prefix, strlen(x->prefix)))
                x->n += s.active_objs;
        },
        &f);
    return f.n;
}

/// A segment from the peer; numbers in host order.
void segment(u8 flags, u32 seq, u32 ack, u16 window, const u8 *opt, u32 optlen, u32 len)
{
    static u8 t[1460 + 60];
    u32 hlen = 20 + ((optlen + 3) & ~3u);
    memset(t, 0, hlen);
    auto *th = new (t) tcphdr{};
    th->source = htons(PEER);
    th->dest = htons(US);
    th->seq = htonl(seq);
    th->ack_seq = htonl(ack);
    t[12] = static_cast<u8>(hlen / 4 << 4);
    t[13] = flags;
    th->window = htons(window);
    th->urg_ptr = htons(static_cast<u16>(flags & TCPHDR_URG ? window >> 3 : 0));
    memcpy(t + 20, opt, optlen);
    for (u32 i = 0; i < len; i++)
        t[hlen + i] = static_cast<u8>(seq + i);
    th->check = csum_tcpudp_magic(htonl(PEER_IP), htonl(WIRE_IP), hlen + len, IPPROTO_TCP,
                                  csum_partial(t, hlen + len, 0));
    wire_receive(frame, build_ip(frame, IPPROTO_TCP, t, hlen + len));
}

socket *make()
{
    auto r = sock_create_kern(AF_INET, SOCK_STREAM, 0);
    BUG_ON(!r);
    return *r;
}

socket *try_accept(socket *l)
{
    socket *c = sock_alloc();
    if (!c)
        return nullptr;
    c->type = SOCK_STREAM;
    c->ops = l->ops;
    if (l->ops->accept(l, c, O_NONBLOCK))
        return c;
    sock_release(c);
    return nullptr;
}

void use(socket *s, bool reading, u32 n, u32 flags)
{
    static u8 buf[65536];
    iov_iter it = iov_iter::kernel(buf, n);
    msghdr m;
    m.msg_iter = &it;
    flags = (flags & (MSG_OOB | MSG_PEEK | MSG_TRUNC | MSG_MORE | MSG_WAITALL)) | MSG_DONTWAIT |
            MSG_NOSIGNAL;
    if (reading) {
        (void)sock_recvmsg(s, &m, n, flags & ~MSG_MORE);
    } else {
        m.msg_flags = flags & ~(MSG_PEEK | MSG_TRUNC | MSG_WAITALL);
        (void)sock_sendmsg(s, &m, n);
    }
}

void pass_time(u64 ms)
{
    set_current_state(TASK_UNINTERRUPTIBLE);
    schedule_timeout(static_cast<s64>(ms));
}

/// SYN, SYN-ACK, ACK; options as the first bytes of the input ask. The accepted socket or null.
socket *connect(socket *l, u8 how, u32 *iss)
{
    static const u8 opts[] = {2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0x10, 0, 0, 0, 0, 0, 1, 3, 3, 7};
    static const u8 plain[] = {2, 4, 5, 0xb4};
    const u8 *o = how & 1 ? opts : plain;
    u32 n = how & 1 ? sizeof(opts) : sizeof(plain);
    wire_forget_sent();
    segment(TCPHDR_SYN, 1000, 0, 65535, o, n, 0);
    u8 f[WIRE_FRAME_MAX];
    *iss = 0;
    while (size_t len = wire_sent(f))
        if (len >= 54 && f[23] == IPPROTO_TCP && f[47] == (TCPHDR_SYN | TCPHDR_ACK))
            *iss = u32{f[38]} << 24 | u32{f[39]} << 16 | u32{f[40]} << 8 | f[41];
    if (how & 2) // leave it half open
        return nullptr;
    u8 ts[12] = {1, 1, 8, 10, 0, 0, 0x10, 1, 0, 0, 0, 0};
    segment(TCPHDR_ACK, 1001, *iss + 1, 65535, ts, how & 1 ? 12 : 0, 0);
    return try_accept(l);
}

void segment_op(input *in, const socket *c, u32 iss)
{
    u8 flags = in->byte();
    s16 dseq = static_cast<s16>(in->word()), dack = static_cast<s16>(in->word());
    u16 window = in->word();
    u8 opt[40] = {};
    u32 optlen = in->byte() % 41;
    for (u32 i = 0; i < optlen; i++)
        opt[i] = in->byte();
    u32 len = in->word() % 1461;
    u32 seq = 1001, ack = iss + 1;
    if (c) {
        seq = tcp_sk(c->sk)->rcv_nxt;
        ack = tcp_sk(c->sk)->snd_nxt;
    }
    segment(flags, seq + static_cast<u32>(s32{dseq}), ack + static_cast<u32>(s32{dack}), window,
            opt, optlen, min(len, 1460u - ((optlen + 3) & ~3u)));
}

void feed(void *p)
{
    auto *in = static_cast<input *>(p);
    socket *l = make();
    sockaddr_storage a{};
    *reinterpret_cast<sockaddr_in *>(&a) = {AF_INET, htons(US), be32{}, {}};
    l->sk->sk_reuse = 1;
    BUG_ON(!l->ops->bind(l, &a, sizeof(sockaddr_in)) || !l->ops->listen(l, 3));
    u32 iss;
    socket *c = connect(l, in->byte(), &iss);
    while (in->n) {
        u8 op = in->byte();
        switch (op & 7) {
        case 5:
            if (c)
                use(c, true, in->word(), op & 0x20 ? in->byte() : 0);
            break;
        case 6:
            if (c)
                use(c, false, in->word(), op & 0x20 ? in->byte() | MSG_MORE : 0);
            break;
        case 7:
            if (op & 0x40 && c)
                (void)c->ops->shutdown(c, op >> 3 & 1);
            else if (op & 0x20 && !c)
                c = try_accept(l);
            else
                pass_time(u64{1} << (op >> 3 & 15));
            break;
        default:
            segment_op(in, c, iss);
            break;
        }
        wire_forget_sent();
    }
    if (c)
        sock_release(c);
    sock_release(l);
    wire_forget_sent();
}

void set_up(void *)
{
    BUG_ON(!wire_up());
    wire_receive(frame, build_arp(frame, 1, PEER_IP, WIRE_IP)); // answers then have somewhere to go
}

void check_idle(void *)
{
    wire_forget_sent();
    if (u64 now = active("skbuff_"); now > idle_skbs)
        panic("%lu sk_buffs leaked", static_cast<unsigned long>(now - idle_skbs));
    if (u64 now = active("TCP"); now > idle_socks)
        panic("%lu socks leaked", static_cast<unsigned long>(now - idle_socks));
    if (s64 pages = tcp_memory_allocated.load())
        panic("%ld pages of tcp_mem leaked", static_cast<long>(pages));
}
} // namespace

extern "C" int LLVMFuzzerInitialize(int *, char ***)
{
    host_boot(1, 1);
    host_run(set_up, nullptr);
    host_advance_ns(u64{60} * 1000000000);
    idle_skbs = active("skbuff_");
    idle_socks = active("TCP");
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const u8 *data, size_t n)
{
    input in{data, n};
    if (!host_run(feed, &in))
        panic("fuzz: the kernel stopped");
    // Orphans give up after their retries, TIME_WAIT after a minute.
    host_advance_ns(u64{2000} * 1000000000);
    host_run(check_idle, nullptr);
    return 0;
}
