// SPDX-License-Identifier: MIT
// What every connection-oriented IPv4 socket has: accept queue, retransmission and delayed-ACK timers, congestion control, port.
// Linux: include/net/inet_connection_sock.h, inet_hashtables.h, inet_timewait_sock.h (atlas §13…§15, §18…§20).
#pragma once

#include "net/core/request_sock.h"
#include "net/ipv4/inet_sock.h"
#include "time/timer.h"

struct tcp_congestion_ops;
struct inet_connection_sock;
struct inet_request_sock;

/// The states of RFC 9293 under Linux's numbers (tcp_states.h); TCP_ESTABLISHED = 1 and TCP_CLOSE = 7 are in inet_sock.h.
constexpr u8 TCP_SYN_SENT = 2, TCP_SYN_RECV = 3, TCP_FIN_WAIT1 = 4, TCP_FIN_WAIT2 = 5,
             TCP_TIME_WAIT = 6, TCP_CLOSE_WAIT = 8, TCP_LAST_ACK = 9, TCP_LISTEN = 10,
             TCP_CLOSING = 11;
constexpr u32 TCPF(u8 state)
{
    return 1u << state;
}

/// A local port in use (cache tcp_bind_bucket); bhash[port]. Its chain's lock protects it.
struct inet_bind_bucket {
    inet_bind_bucket *next = nullptr, **pprev = nullptr;
    u16 port = 0;
    s8 fastreuse = 0; // all owners SO_REUSEADDR and none listens; -1: made by connect (row C-03)
    s8 fastreuseport = 0; // all owners SO_REUSEPORT of fastuid; -1: made by connect
    u32 fastuid = 0;
    int num_owners = 0;
    inet_connection_sock *owners = nullptr;         // through icsk_bind_next
    struct inet_timewait_sock *tw_owners = nullptr; // through tw_bind_next
};

/// icsk_pending.
constexpr u8 ICSK_TIME_RETRANS = 1, ICSK_TIME_DACK = 2, ICSK_TIME_PROBE0 = 3,
             ICSK_TIME_EARLY_RETRANS = 4, ICSK_TIME_LOSS_PROBE = 5;
/// icsk_ack.pending.
constexpr u8 ICSK_ACK_SCHED = 1, ICSK_ACK_TIMER = 2, ICSK_ACK_PUSHED = 4, ICSK_ACK_PUSHED2 = 8;
/// Times of atlas §1, in jiffies.
constexpr u32 TCP_HZ = static_cast<u32>(HZ);
constexpr u32 TCP_TIMEOUT_INIT = TCP_HZ, TCP_RTO_MIN = TCP_HZ / 5, TCP_RTO_MAX = 120 * TCP_HZ,
              TCP_DELACK_MIN = TCP_HZ / 25, TCP_DELACK_MAX = TCP_HZ / 5, TCP_ATO_MIN = TCP_HZ / 25,
              TCP_SYNQ_INTERVAL = TCP_HZ / 5, TCP_TIMEWAIT_LEN = 60 * TCP_HZ,
              TCP_FIN_TIMEOUT = 60 * TCP_HZ;

struct inet_connection_sock : inet_sock {
    request_sock_queue icsk_accept_queue; // listener only
    inet_bind_bucket *icsk_bind_hash = nullptr;
    inet_connection_sock *icsk_bind_next = nullptr,
                         **icsk_bind_pprev = nullptr; // bucket->owners; bhash lock
    u16 sk_ack_backlog = 0,
        sk_max_ack_backlog = 0; // accept queue: length and limit (full: length > limit, atlas §13)
    timer_list
        icsk_retransmit_timer; // RETRANS, PROBE0, LOSS_PROBE, EARLY_RETRANS: see icsk_pending
    timer_list icsk_delack_timer;
    timer_list sk_timer;  // keepalive; SYN-ACK timer of a listener; FIN_WAIT2 beyond 60 s
    u64 icsk_timeout = 0; // jiffies of the pending event of icsk_retransmit_timer
    u32 icsk_rto = TCP_TIMEOUT_INIT;
    u32 icsk_pmtu_cookie = 0;
    const tcp_congestion_ops *icsk_ca_ops = nullptr;
    u8 icsk_ca_state = 0; // tcp_ca_state
    u8 icsk_retransmits = 0, icsk_pending = 0, icsk_backoff = 0, icsk_syn_retries = 0,
       icsk_probes_out = 0;
    u16 icsk_ext_hdr_len = 0; // bytes of IP options
    struct {
        u8 pending = 0; // ICSK_ACK_*
        u8 quick = 0;   // quick ACKs left
        u8 pingpong = 0;
        u8 blocked = 0; // a delayed ACK was due while a process owned the socket
        u32 ato = 0;    // predicted tick of the delayed ACK, jiffies
        u64 timeout = 0;
        u32 lrcvtime = 0; // when data last came, jiffies
        u16 last_seg_size = 0;
        u16 rcv_mss = 0; // estimate of the peer's segment size
    } icsk_ack;
    u32 icsk_user_timeout = 0;
    u64 icsk_ca_priv[6] = {}; // the congestion control's own

    inet_connection_sock(const char *lock_name, void (*retransmit)(timer_list *),
                         void (*delack)(timer_list *), void (*keepalive)(timer_list *))
        : inet_sock{lock_name}, icsk_retransmit_timer{retransmit},
          icsk_delack_timer{delack}, sk_timer{keepalive}
    {
    }
};
inline inet_connection_sock *inet_csk(sock *sk)
{
    return static_cast<inet_connection_sock *>(sk);
}
inline const inet_connection_sock *inet_csk(const sock *sk)
{
    return static_cast<const inet_connection_sock *>(sk);
}

// --- Hash tables (inet_hashtables.cc) -----------------------------------------------------------------------------------
/// A chain of established sockets and the one of TIME_WAIT with the same hash; the lock (ehash_locks) is shared by several.
struct inet_ehash_bucket {
    hlist_nulls_head chain;
    hlist_nulls_head twchain;
};
struct inet_bind_hashbucket {
    spinlock lock{"inet_bind_hashbucket"};
    inet_bind_bucket *chain = nullptr;
};
struct inet_listen_hashbucket {
    spinlock lock{"inet_listen_hashbucket"};
    hlist_nulls_head head;
    explicit inet_listen_hashbucket(u64 slot) : head{slot} {}
};
constexpr u32 INET_LHTABLE_SIZE = 32; // by local port
struct inet_hashinfo {
    inet_ehash_bucket *ehash = nullptr;
    spinlock *ehash_locks = nullptr;
    u32 ehash_mask = 0, ehash_locks_mask = 0;
    inet_bind_hashbucket *bhash = nullptr;
    u32 bhash_size = 0;
    kmem_cache *bind_bucket_cachep = nullptr;
    inet_listen_hashbucket *listening_hash = nullptr;
    std::atomic<int> bsockets{0};             // socks that own a port
    percpu_counter lookups, examined;         // look-ups of segments, socks looked at
    percpu_counter port_tries;                // ports that connect looked at (row C-08)
    percpu_counter syn_lookups, syn_examined; // the same for SYN tables
};
extern inet_hashinfo tcp_hashinfo;
/// Allocate the tables for a machine with that many pages; panics when out of memory. Boot.
void inet_hashinfo_init(u64 pages);
/// The lock of an established chain.
inline spinlock &inet_ehash_lockp(u32 hash)
{
    return tcp_hashinfo.ehash_locks[hash & tcp_hashinfo.ehash_locks_mask];
}
inline inet_ehash_bucket *inet_ehash_bucket_of(u32 hash)
{
    return &tcp_hashinfo.ehash[hash & tcp_hashinfo.ehash_mask];
}
inline inet_bind_hashbucket *inet_bhash_of(u16 port)
{
    return &tcp_hashinfo.bhash[port & (tcp_hashinfo.bhash_size - 1)];
}
inline inet_listen_hashbucket *inet_listen_bucket_of(u16 port)
{
    return &tcp_hashinfo.listening_hash[port & (INET_LHTABLE_SIZE - 1)];
}
/// The bucket of a port; null: none. Its chain's lock held.
inet_bind_bucket *inet_bind_bucket_find(inet_bind_hashbucket *head, u16 port);
/// A new one without owners; null: no memory. Its chain's lock held.
inet_bind_bucket *inet_bind_bucket_create(inet_bind_hashbucket *head, u16 port);
/// Free it if nobody owns it any more. Its chain's lock held.
void inet_bind_bucket_destroy(inet_bind_bucket *tb);
/// Ports that are never chosen automatically (/proc/sys/net/ipv4/ip_local_reserved_ports, row C-02).
bool inet_is_reserved_local_port(u16 port);
/// Publish the list. Boot.
void inet_reserved_ports_init();
u32 inet_ehashfn(be32 laddr, u16 lport, be32 faddr, be16 fport);
/// TIME_WAIT's small stand-in for a tcp_sock: a lookup can end at either.
struct inet_lookup_result {
    sock *sk = nullptr;                      // referenced
    struct inet_timewait_sock *tw = nullptr; // referenced
    explicit operator bool() const { return sk || tw; }
};
/// Established or TIME_WAIT socket of a 4-tuple (dport in host order), referenced. [S][P]
inet_lookup_result __inet_lookup_established(be32 saddr, be16 sport, be32 daddr, u16 hnum, u32 dif);
/// The same without TIME_WAIT: a connection or null. [S]
sock *inet_lookup_connection(be32 saddr, be16 sport, be32 daddr, u16 hnum, u32 dif);
/// Best listener for a local address and port (score: address, device; SO_REUSEPORT group by hash), referenced; null: none. [S]
sock *__inet_lookup_listener(be32 saddr, be16 sport, be32 daddr, u16 hnum, u32 dif);
/// Hash a child or connecting socket into ehash; tw (may be null) leaves it in the same step. BH off or [S].
void __inet_hash_nolisten(sock *sk, struct inet_timewait_sock *tw);
/// The same for whole packets: established first, then listeners. [S]
inet_lookup_result __inet_lookup(be32 saddr, be16 sport, be32 daddr, u16 hnum, u32 dif);
/// proto->hash / unhash: listening_hash or ehash by state.
void inet_hash(sock *sk);
void inet_unhash(sock *sk);
/// Choose a port (row C-02) and hash; EADDRNOTAVAIL. Socket lock held. [P]
result<void> inet_hash_connect(sock *sk);
/// Give the port back. Socket lock held.
void inet_put_port(sock *sk);
/// A child listens on its parent's port: share the bucket. 0 or -ENOMEM. [S]
int __inet_inherit_port(sock *sk, sock *child);
void inet_bind_hash(sock *sk, inet_bind_bucket *tb, u16 port);

// --- TIME_WAIT (inet_timewait_sock.cc) ----------------------------------------------------------------------------------
/// At most 256 bytes with its cache's overhead (issue "TCP"); cache tw_sock_TCP. Reference counted; ehash, bind bucket and the
/// death row hold one each.
struct inet_timewait_sock {
    hlist_nulls_node tw_nulls_node; // ehash twchain
    inet_bind_bucket *tw_tb = nullptr;
    inet_timewait_sock *tw_bind_next = nullptr, **tw_bind_pprev = nullptr;
    inet_timewait_sock *tw_death_next = nullptr, **tw_death_pprev = nullptr; // tcp_death_row slot
    rcu_head rcu;
    refcount tw_refcnt;
    be32 tw_daddr{}, tw_rcv_saddr{};
    be16 tw_dport{}, tw_sport{};
    u16 tw_num = 0;
    u8 tw_substate = TCP_TIME_WAIT; // or TCP_FIN_WAIT2
    u8 tw_rcv_wscale = 0, tw_tos = 0, tw_reuse = 0, tw_reuseport = 0;
    u32 tw_bound_dev_if = 0, tw_hash = 0, tw_mark = 0;
    u32 tw_timeout = 0; // jiffies
    u64 tw_ttd = 0;     // when it ends, jiffies (dumps)
    // tcp_timewait_sock's part.
    u32 tw_rcv_nxt = 0, tw_snd_nxt = 0, tw_rcv_wnd = 0, tw_ts_offset = 0, tw_ts_recent = 0;
    u64 tw_ts_recent_stamp = 0; // seconds
};
/// A stand-in with the socket's addresses, in no table yet; null when out of memory or over tcp_max_tw_buckets. [P][S]
inet_timewait_sock *inet_twsk_alloc(sock *sk, u8 substate);
/// Replace sk by tw in ehash and give tw a share of the port. BH off.
void __inet_twsk_hashdance(inet_timewait_sock *tw, sock *sk);
/// Arm (again) for `timeo` jiffies; lengths beyond the row's span are rounded as 3.10 does (8 slots of 7.5 s). BH off.
void inet_twsk_schedule(inet_timewait_sock *tw, u32 timeo);
/// End it now. BH off.
void inet_twsk_deschedule(inet_timewait_sock *tw);
void inet_twsk_put(inet_timewait_sock *tw);
/// Take it out of ehash / from its port, if it is there; each gives a reference back that the caller must drop: true.
/// ehash lock resp. bhash lock held.
bool inet_twsk_unhash(inet_timewait_sock *tw);
bool inet_twsk_bind_unhash(inet_timewait_sock *tw);
/// Cache. Boot.
void inet_timewait_init();
extern std::atomic<int> tcp_tw_count;

// --- inet_connection_sock.cc --------------------------------------------------------------------------------------------
/// Bind to a port (0: choose), rows of C: EADDRINUSE. Socket lock held. [P]
result<void> inet_csk_get_port(sock *sk, u16 port);
/// LISTEN: queues, state, port, hash. EADDRINUSE, ENOMEM. Socket lock held. [P]
result<void> inet_csk_listen_start(sock *sk, u32 backlog);
/// Half-open requests freed, children nobody accepted reset. Socket lock held. [P]
void inet_csk_listen_stop(sock *sk);
/// Head of the accept queue; sleeps exclusively (FIFO). EINVAL not listening, EAGAIN, EINTR. [P]
result<sock *> inet_csk_accept(sock *sk, u32 file_flags);
/// Half-open request of a peer; *prev: its predecessor's link, for removal. Listener's lock held. [S]
request_sock *inet_csk_search_req(sock *sk, request_sock ***prev, be16 rport, be32 raddr,
                                  be32 laddr);
/// Put into the SYN table with its first time-out; arms the SYN-ACK timer with the first entry. [S]
void inet_csk_reqsk_queue_hash_add(sock *sk, request_sock *req, u32 timeout);
/// Take a request out of the SYN table, and free it (drop). The last one stops the SYN-ACK timer. Listener's lock held. [S]
void inet_csk_reqsk_queue_unlink(sock *sk, request_sock *req, request_sock **prev);
void inet_csk_reqsk_queue_drop(sock *sk, request_sock *req, request_sock **prev);
/// To the accept queue, with its child. [S]
void inet_csk_reqsk_queue_add(sock *sk, request_sock *req, sock *child);
/// Send the SYN-ACK again and count it. 0 or -errno. [S]
int inet_rtx_syn_ack(sock *sk, request_sock *req);
/// A child that failed while it was made: unlocked, one reference fewer, ready for tcp_done(). [S]
void inet_csk_prepare_forced_close(sock *sk);
/// The SYN-ACK timer's round over a part of the table (atlas §18). [T]
void inet_csk_reqsk_queue_prune(sock *parent, u32 interval, u32 timeout, u32 max_rto);
inline bool sk_acceptq_is_full(const sock *sk)
{
    return inet_csk(sk)->sk_ack_backlog > inet_csk(sk)->sk_max_ack_backlog;
}
/// A new sock from a listener's request: copy, state SYN_RECV, locked (slock), two references; null: no memory. [S]
sock *inet_csk_clone_lock(sock *sk, const inet_request_sock *req);
/// Route for the SYN-ACK / for a child; referenced, null: none. [S]
rtable *inet_csk_route_req(sock *sk, inet_request_sock *req);
/// Stop all timers (they may be running). Socket lock held.
void inet_csk_clear_xmit_timers(sock *sk);
void inet_csk_reset_xmit_timer(sock *sk, u8 what, u32 when, u32 max_when);
void inet_csk_clear_xmit_timer(sock *sk, u8 what);
void inet_csk_reset_keepalive_timer(sock *sk, u32 len);
void inet_csk_delete_keepalive_timer(sock *sk);
/// End of a socket that no process has any more and that left the hashes. BH off, slock held.
void inet_csk_destroy_sock(sock *sk);
inline void inet_csk_schedule_ack(sock *sk)
{
    inet_csk(sk)->icsk_ack.pending |= ICSK_ACK_SCHED;
}
inline bool inet_csk_ack_scheduled(const sock *sk)
{
    return inet_csk(sk)->icsk_ack.pending & ICSK_ACK_SCHED;
}
inline void inet_csk_delack_init(sock *sk)
{
    inet_csk(sk)->icsk_ack = {};
}
