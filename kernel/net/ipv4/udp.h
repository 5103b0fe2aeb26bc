// SPDX-License-Identifier: MIT
// UDP (RFC 768; Linux include/net/udp.h, net/ipv4/udp.c, atlas §7). udp.cc: hash tables and ports; udp_recv.cc, udp_recvmsg.cc: in;
// udp_send.cc: out; udp_proc.cc: /proc and dumps; udp_hook.cc: the test hook.
#pragma once

#include "lib/percpu.h"
#include "net/ipv4/inet_sock.h"
#include "net/ipv4/snmp.h"

struct udphdr {
    be16 source;
    be16 dest;
    be16 len;
    be16 check;
};
static_assert(sizeof(udphdr) == 8);
constexpr be16 CSUM_MANGLED_0{0xffff};
/// Most payload bytes of one datagram.
constexpr u32 UDP_MAX_PAYLOAD = 65535 - 20 - 8;
constexpr int UDP_CORK = 1;

struct udp_sock : inet_sock {
    u16 udp_port_hash = 0;     // port as hashed (slot of the first table)
    u32 udp_portaddr_hash = 0; // of (bound address, port): slot of the second table
    bool corkflag = false;     // UDP_CORK
    /// A datagram that grows (MSG_MORE, UDP_CORK): payload skbs on sk_write_queue, fixed destination and header values. Under the
    /// socket lock.
    struct {
        bool pending = false;
        u32 len = 0;
        flowi4 fl;
        ipcm_cookie ipc;
        rtable *rt = nullptr;      // referenced
        ip_options *opt = nullptr; // copy, kmalloc
    } cork;
    udp_sock() : inet_sock{"UDP"} {}
};
inline udp_sock *udp_sk(sock *sk)
{
    return static_cast<udp_sock *>(sk);
}
inline const udp_sock *udp_sk(const sock *sk)
{
    return static_cast<const udp_sock *>(sk);
}
inline udphdr *udp_hdr(const sk_buff *skb)
{
    return reinterpret_cast<udphdr *>(skb_transport_header(skb));
}

/// skb->cb of a packet on a UDP or raw socket's queue: what control messages are made from.
struct inet_skb_cb {
    inet_skb_parm header;
    u32 pktinfo_ifindex;
    be32 pktinfo_spec_dst;
};
static_assert(sizeof(inet_skb_cb) <= 48);
inline inet_skb_cb *inet_cb(sk_buff *skb)
{
    return reinterpret_cast<inet_skb_cb *>(skb->cb);
}

/// One chain with its writers' lock.
struct udp_hslot {
    hlist_nulls_head head;
    u32 count = 0;
    spinlock lock;
    udp_hslot(u64 slot, const char *lock_name) : head{slot}, lock{lock_name} {}
};
/// Both hash tables over the same sockets: by port, and by (bound address, port) for crowded ports.
struct udp_table {
    udp_hslot *hash = nullptr, *hash2 = nullptr;
    u32 mask = 0, log = 0;
    percpu_counter lookups, examined;
};
extern udp_table udp_table_;
/// Beyond this many sockets on a port's chain the second table is tried.
constexpr u32 UDP_CROWDED = 10;

/// Find the socket for a packet or an ICMP error; null: none. The result is good until the RCU read side ends. [S][P]
sock *__udp4_lib_lookup(be32 saddr, be16 sport, be32 daddr, be16 dport, u32 dif, u32 trace_id);
/// Handler and ICMP error handler in inet_protos. [S]
int udp_rcv(sk_buff *skb);
void udp_err(sk_buff *skb, u32 info);
/// What an ICMP error means for the sender of the quoted packet: errno (0: nothing), and whether a connected socket must hear of it.
icmp_err inet_icmp_meaning(const inet_sock *inet, u8 type, u8 code);
/// sk_backlog_rcv of UDP: the queue, or a counted drop. slock held or backlog run.
int __udp_queue_rcv_skb(sock *sk, sk_buff *skb);
/// The proto methods. [P]
result<size_t> udp_sendmsg(sock *sk, msghdr *m, size_t len);
result<size_t> udp_recvmsg(sock *sk, msghdr *m, size_t len, u32 flags);
result<s64> udp_ioctl(sock *sk, u32 cmd, u64 arg);
result<void> udp_disconnect(sock *sk, u32 flags);
u32 udp_poll(file *f, socket *s, poll_table *pt);
/// Forget / send a corked datagram; socket lock held.
void udp_flush_pending_frames(udp_sock *up);
result<void> udp_push_pending_frames(udp_sock *up);
/// (Re)compute the second table's slot after the bound address changed.
void udp_v4_rehash(sock *sk);
/// Hash tables; panics when out of memory. Boot.
void udp_init();
int udp_proc_init();
/// Shared by /proc/net/udp, raw and icmp: header, and one socket's line: addresses as they lie in memory, ports in host order,
/// padded to `width` columns.
void inet_proc_header(struct seq_file *m, int width);
void inet_proc_line(struct seq_file *m, const inet_sock *sk, u32 bucket, const char *bucket_fmt,
                    u16 local, u16 remote, int width);
int udp_test_hooks_init();
