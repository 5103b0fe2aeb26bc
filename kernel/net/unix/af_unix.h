// SPDX-License-Identifier: MIT
// AF_UNIX sockets. Linux: include/net/af_unix.h, net/unix/af_unix.c.
//
// Locks: one spinlock, unix_lock, protects what ties sockets together: the tables of names, states, peers, shutdown flags, and that a
// message is queued only at a socket that still takes it. Nothing sleeps under it; the receive queue's own lock and
// wake-ups nest inside. A reader of a stream holds `readlock` (mutex), so that two do not mix their bytes.
//
// References: the table's entry has none (release removes it); a peer pointer has one; a queued connection (a message whose sk is the
// new sock) has one. A message is charged to its sender's send buffer until it is read.
#pragma once

#include "fs/namei.h"
#include "net/core/scm.h"

/// struct sockaddr_un; sun_path of an abstract name begins with a NUL and need not end with one.
constexpr int UNIX_PATH_MAX = 108;
struct sockaddr_un {
    u16 sun_family;
    char sun_path[UNIX_PATH_MAX];
};
static_assert(sizeof(sockaddr_un) == 110);

/// A bound name, shared by a listener and the sockets that it accepted.
struct unix_address : pinned {
    refcount refs;
    int len = 0; // of the whole sockaddr_un
    u32 hash = 0;
    sockaddr_un name;
};

struct unix_sock : sock {
    unix_address *addr = nullptr;
    path where; // of a name in a file system, referenced
    sock *peer = nullptr;
    list_node node; // table of names, or list of those without
    mutex readlock{"unix.readlock"};
    u32 max_ack_backlog = 0;
    wait_queue_head peer_wait; // senders that wait for room in our queue (connect: in our backlog)
    /// Those of our senders that somebody polls for it, and our own place on such a list of a peer that is full (unix_lock).
    list_node watch_node;
    list<unix_sock, &unix_sock::watch_node> watchers;
    // Garbage collection (unix_gc_lock): messages that hold our file, and marks.
    unsigned inflight = 0;
    list_node gc_node;
    int gc_count = 0;
    unix_sock *gc_next = nullptr;
    bool gc_candidate = false, gc_reached = false;

    unix_sock() : sock{"sk_lock-AF_UNIX"} {}
};
inline unix_sock *unix_sk(sock *sk)
{
    return static_cast<unix_sock *>(sk);
}
inline const unix_sock *unix_sk(const sock *sk)
{
    return static_cast<const unix_sock *>(sk);
}

constexpr u8 TCPF_ESTABLISHED = 1, TCPF_CLOSE = 7, TCPF_LISTEN = 10; // sk_state numbers

/// Private to a queued message.
struct unix_skb_parms {
    ucred creds;
    bool creds_set;
    scm_fp_list *fp; // owned by the message
};
static_assert(sizeof(unix_skb_parms) <= sizeof(sk_buff::cb));
inline unix_skb_parms &UNIXCB(sk_buff *skb)
{
    return *reinterpret_cast<unix_skb_parms *>(skb->cb);
}

/// `sk` has another peer, or none: no other queue's room concerns it. unix_lock held.
inline void unix_stop_watching(sock *sk)
{
    if (unix_sk(sk)->watch_node.linked())
        unix_sk(sk)->watch_node.unlink();
}

extern spinlock unix_lock;
extern int sysctl_max_dgram_qlen;
extern const proto_ops unix_stream_ops, unix_dgram_ops, unix_seqpacket_ops;

inline bool unix_connection_based(const sock *sk)
{
    return sk->sk_type != SOCK_DGRAM;
}
/// Half of the send buffer's room is free, by truesize.
inline bool unix_writable(const sock *sk)
{
    return static_cast<u32>(sk->sk_wmem_alloc.load()) << 2 <= static_cast<u32>(sk->sk_sndbuf);
}
inline bool unix_recvq_full(const sock *sk)
{
    return read_once(sk->sk_receive_queue.qlen) > read_once(unix_sk(sk)->max_ack_backlog);
}
/// The peer with a reference, or null. unix_lock not held.
sock *unix_peer_get(sock *sk);
/// `sk` may send to `osk`, which has no peer, or us. unix_lock held.
inline bool unix_may_send(const sock *sk, const sock *osk)
{
    return !unix_sk(osk)->peer || unix_sk(osk)->peer == sk;
}
/// Sleep until `other` has room, is gone, or the time is over; *timeo becomes what is left. EAGAIN: there was none; EINTR,
/// ERESTARTSYS: a signal. unix_lock not held; the caller looks again.
errno_t unix_wait_for_peer(sock *other, s64 *timeo);
/// Make a new sock, with an owning socket or (a connection to be accepted) without. ENOMEM, ENFILE.
result<sock *> unix_create1(socket *s, u16 type);
/// End of a sock; `embryo`: it was never accepted. [P]
void unix_release_sock(sock *sk, bool embryo);
/// `sk` is no longer connected to `other`: messages from there are forgotten, and `other` is told. Both referenced; no lock held.
void unix_dgram_disconnected(sock *sk, sock *other);
/// There is room in sk's queue (or it is gone): wake senders and those who poll them. No lock held.
void unix_wake_senders(sock *sk);

// unix_name.cc
/// The length of a valid name: the path's with NUL, an abstract one's as given. EINVAL.
result<int> unix_mkname(sockaddr_storage *a, int len, u32 *hash);
result<void> unix_bind(socket *s, sockaddr_storage *a, int len);
result<void> unix_autobind(sock *sk);
/// The socket of a name with a reference. ECONNREFUSED, EPROTOTYPE, or the path's error.
result<sock *> unix_find_other(const sockaddr_storage *a, int len, u16 type, u32 hash);
result<int> unix_getname(socket *s, sockaddr_storage *a, bool peer);
/// Address of a message's sender.
void unix_copy_addr(msghdr *m, sock *sk);
void unix_insert_unbound(unix_sock *u);
/// Off the tables. unix_lock held.
void unix_remove(unix_sock *u);
void unix_release_address(unix_address *a);
/// Call f for every AF_UNIX sock under unix_lock.
void for_each_unix(void (*f)(unix_sock *u, void *arg), void *arg);
void unix_name_init();

// unix_msg.cc
/// Give a message, which is charged to its sender, its files and credentials. The files move to the message.
void unix_scm_to_skb(scm_cookie *scm, sk_buff *skb);
/// Take (or, peeking, copy) them out of a message that is being received.
void unix_scm_from_skb(sk_buff *skb, scm_cookie *scm, bool peek);
/// Nobody gave credentials, but one side wants them.
void unix_maybe_add_creds(sk_buff *skb, const sock *sk, const sock *other);
// unix_stream.cc, unix_dgram.cc
result<size_t> unix_stream_sendmsg(socket *s, msghdr *m, size_t len);
result<size_t> unix_stream_recvmsg(socket *s, msghdr *m, size_t len, u32 flags);
result<void> unix_stream_connect(socket *s, sockaddr_storage *a, int len, u32 file_flags);
result<void> unix_listen(socket *s, int backlog);
result<void> unix_accept(socket *s, socket *newsock, u32 file_flags);
result<void> unix_socketpair(socket *a, socket *b);
result<size_t> unix_dgram_sendmsg(socket *s, msghdr *m, size_t len);
result<size_t> unix_dgram_recvmsg(socket *s, msghdr *m, size_t len, u32 flags);
result<void> unix_dgram_connect(socket *s, sockaddr_storage *a, int len, u32 file_flags);
u32 unix_dgram_poll(file *f, socket *s, poll_table *pt);

// garbage.cc
/// The AF_UNIX sock behind a file, or null.
sock *unix_get_socket(file *f);
/// Files go into a message, or come out of it; each has a reference.
void unix_inflight_add(scm_fp_list *l);
void unix_inflight_remove(scm_fp_list *l);
/// A copy for a reader that peeks, safe against the collector.
scm_fp_list *unix_inflight_dup(const scm_fp_list *l);
/// Collect sockets that only messages in each other's queues refer to. [P]
void unix_gc();
/// The same if there are many in flight.
void unix_gc_if_needed();
void unix_gc_init();
// unix_proc.cc, unix_diag.cc
int unix_proc_init();
void unix_diag_init();
/// Bytes to be read; of a datagram socket, in the first message.
u32 unix_unread(sock *sk);
