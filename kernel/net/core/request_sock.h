// SPDX-License-Identifier: MIT
// Half-open connections: request_sock, the SYN table and the accept queue of a listener (Linux include/net/request_sock.h,
// net/core/request_sock.c; atlas §13, §15; rows N-04…N-07). Everything here is under the listener's socket lock; syn_wait_lock is
// only for those who look from outside (/proc, dumps).
#pragma once

#include "net/core/sock.h"

struct request_sock;

/// How a protocol answers for its half-open connections.
struct request_sock_ops {
    const char *slab_name; // "request_sock_TCP"
    size_t obj_size;
    kmem_cache *slab = nullptr;
    /// Send (again) the SYN-ACK. 0 or -errno. [S]
    int (*rtx_syn_ack)(sock *listener, request_sock *req);
    void (*send_ack)(sock *sk, sk_buff *skb, request_sock *req);
    void (*send_reset)(sock *sk, sk_buff *skb);
    void (*destruct)(
        request_sock *req); // end of life: options and the like; the memory is the caller's
};

/// A connection between SYN and accept(): in the SYN table until the handshake is over, then in the accept queue with its child in `sk`.
struct request_sock {
    request_sock *dl_next = nullptr; // chain of the SYN table, or accept queue
    request_sock_ops *rsk_ops = nullptr;
    sock *sk = nullptr; // the child, once it exists
    u64 expires = 0;    // jiffies of the next SYN-ACK
    u32 window_clamp = 0, rcv_wnd = 0, ts_recent = 0;
    u16 mss = 0;
    u8 num_retrans : 7 = 0; // SYN-ACKs sent again
    u8 cookie_ts : 1 = 0;
    u8 num_timeout : 7 = 0; // timer expiries; 0: young
};

/// The SYN table (Linux listen_sock): sized once, at the first listen() (row N-07).
struct listen_sock {
    u8 max_qlen_log = 0;
    int qlen = 0, qlen_young = 0; // all; those whose SYN-ACK has not timed out yet
    int clock_hand = 0;           // next bucket the SYN-ACK timer looks at
    u32 hash_rnd = 0;
    u32 nr_table_entries = 0;
    bool synflood_warned = false;
    request_sock *syn_table[]; // chains by jhash(peer address, peer port)
};

/// Both queues of a listener (rows N-04…N-06).
struct request_sock_queue {
    request_sock *rskq_accept_head = nullptr, *rskq_accept_tail = nullptr; // FIFO
    u8 rskq_defer_accept = 0; // TCP_DEFER_ACCEPT, in SYN-ACK timeouts
    listen_sock *listen_opt = nullptr;
    spinlock syn_wait_lock{"request_sock_queue.syn_wait_lock"};
};

/// Entries of a SYN table for a listen(backlog): roundup_pow_of_two(max(8, min(backlog, max_syn_backlog)) + 1) (row N-07; backlog is
/// already clamped to somaxconn).
u32 reqsk_table_entries(u32 backlog, u32 max_syn_backlog);
/// Make the SYN table with that many entries (a power of two). ENOMEM. [P]
result<void> reqsk_queue_alloc(request_sock_queue *queue, u32 entries);
/// Free the table with all half-open requests; the accept queue must be empty. [P]
void reqsk_queue_destroy(request_sock_queue *queue);
/// A request of ops' cache, constructed by the caller's type; null: no memory. [S]
void *reqsk_alloc_mem(request_sock_ops *ops);
/// Free a request that is on no queue. Any context.
void reqsk_free(request_sock *req);
inline int reqsk_queue_len(const request_sock_queue *q)
{
    return q->listen_opt ? q->listen_opt->qlen : 0;
}
inline int reqsk_queue_len_young(const request_sock_queue *q)
{
    return q->listen_opt->qlen_young;
}
/// Half-open table full: qlen >= nr_table_entries.
inline bool reqsk_queue_is_full(const request_sock_queue *q)
{
    return q->listen_opt->qlen >> q->listen_opt->max_qlen_log;
}
inline bool reqsk_queue_empty(const request_sock_queue *q)
{
    return !q->rskq_accept_head;
}
/// Take a request out of the SYN table: `prev` is the link that points to it.
inline void reqsk_queue_unlink(request_sock_queue *q, request_sock *req, request_sock **prev)
{
    spin_guard<plain> g{q->syn_wait_lock};
    write_once(*prev, req->dl_next);
}
/// It left the table: the counts. Returns how many are left.
inline int reqsk_queue_removed(request_sock_queue *q, const request_sock *req)
{
    if (req->num_timeout == 0)
        q->listen_opt->qlen_young--;
    return --q->listen_opt->qlen;
}
/// A finished handshake: to the end of the accept queue, with its child. The caller counts sk_ack_backlog.
inline void reqsk_queue_add(request_sock_queue *q, request_sock *req, sock *child)
{
    req->sk = child;
    req->dl_next = nullptr;
    if (q->rskq_accept_head)
        q->rskq_accept_tail->dl_next = req;
    else
        q->rskq_accept_head = req;
    q->rskq_accept_tail = req;
}
inline request_sock *reqsk_queue_remove(request_sock_queue *q)
{
    request_sock *req = q->rskq_accept_head;
    q->rskq_accept_head = req->dl_next;
    if (!q->rskq_accept_head)
        q->rskq_accept_tail = nullptr;
    return req;
}
