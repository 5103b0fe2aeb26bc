// SPDX-License-Identifier: MIT
// Sockets: socket (the file side), sock (the network side), the two-level dispatch proto_ops → proto, the socket lock with its backlog.
// Linux: include/net/sock.h, include/linux/net.h, net/core/sock.c (atlas §7, §9, §26.3).
#pragma once

#include "fs/fs.h"
#include "mm/slab.h"
#include "net/core/dst.h"
#include "net/core/hlist_nulls.h"
#include "net/uapi.h"
#include "time/timer.h"
#include "trace/trace.h"

struct socket;
struct sock;
struct proto;

enum socket_state : u8 { SS_FREE, SS_UNCONNECTED, SS_CONNECTING, SS_CONNECTED, SS_DISCONNECTING };

/// Wait queue of a socket (Linux socket_wq). Freed after a grace period: softirqs reach it without a reference.
struct socket_wq {
    wait_queue_head wait;
    rcu_head rcu;
};
static_assert(sizeof(socket_wq) > 32 && sizeof(socket_wq) <= 64,
              "row K-04: it comes from kmalloc-64");

/// What sendmsg/recvmsg work on: decoded by syscall/net.cc, user memory only through iov_iter.
struct msghdr {
    sockaddr_storage *msg_name = nullptr; // kernel copy
    int msg_namelen = 0;
    iov_iter *msg_iter = nullptr;
    const u8 *msg_control_kern = nullptr; // sendmsg: kernel copy of the control messages
    u64 msg_control = 0;                  // recvmsg: user address, advanced by put_cmsg()
    size_t msg_controllen = 0;            // bytes there / room left
    u32 msg_flags = 0;
};

/// First level: the family's methods for a socket type (inet_dgram_ops, inet_stream_ops…). All [P]; errors as positive errno.
struct proto_ops {
    int family;
    const char *name;
    result<void> (*release)(socket *s);
    result<void> (*bind)(socket *s, sockaddr_storage *a, int len);
    result<void> (*connect)(socket *s, sockaddr_storage *a, int len, u32 file_flags);
    result<void> (*accept)(socket *s, socket *newsock, u32 file_flags);
    /// peer: getpeername. Returns the length.
    result<int> (*getname)(socket *s, sockaddr_storage *a, bool peer);
    u32 (*poll)(file *f, socket *s, poll_table *pt);
    result<s64> (*ioctl)(socket *s, u32 cmd, u64 arg);
    result<void> (*listen)(socket *s, int backlog);
    result<void> (*shutdown)(socket *s, int how);
    result<void> (*setsockopt)(socket *s, int level, int name, user_ptr<const void> val,
                               unsigned len);
    result<void> (*getsockopt)(socket *s, int level, int name, user_ptr<void> val,
                               user_ptr<int> len);
    result<size_t> (*sendmsg)(socket *s, msghdr *m, size_t len);
    result<size_t> (*recvmsg)(socket *s, msghdr *m, size_t len, u32 flags);
    /// Connect two fresh sockets with each other; null: EOPNOTSUPP.
    result<void> (*socketpair)(socket *a, socket *b) = nullptr;
    /// Page `index` of memory that programs may map, with a reference; null method: ENODEV.
    page *(*file_page)(socket *s, u64 index) = nullptr;
};

/// struct ucred of the ABI: a process and who it is.
struct ucred {
    s32 pid;
    u32 uid, gid;
};

/// Second level: the protocol's handlers (udp_prot, tcp_prot…). Families with one level only (AF_UNIX, AF_NETLINK, AF_PACKET)
/// leave the handlers out and use it for the socks' memory.
struct proto {
    const char *name;
    void (*close)(sock *sk, s64 timeout) = nullptr;
    result<void> (*connect)(sock *sk, sockaddr_storage *a, int len) = nullptr;
    result<void> (*disconnect)(sock *sk, u32 flags) = nullptr;
    result<void> (*init)(sock *sk) = nullptr;
    void (*destroy)(sock *sk) = nullptr;
    result<void> (*setsockopt)(sock *sk, int level, int name, user_ptr<const void> val,
                               unsigned len) = nullptr;
    result<void> (*getsockopt)(sock *sk, int level, int name, user_ptr<void> val,
                               user_ptr<int> len) = nullptr;
    result<size_t> (*sendmsg)(sock *sk, msghdr *m, size_t len) = nullptr;
    result<size_t> (*recvmsg)(sock *sk, msghdr *m, size_t len, u32 flags) = nullptr;
    result<s64> (*ioctl)(sock *sk, u32 cmd, u64 arg) = nullptr;
    result<void> (*bind)(sock *sk, sockaddr_storage *a, int len) = nullptr;
    int (*backlog_rcv)(sock *sk, sk_buff *skb) = nullptr;
    void (*release_cb)(sock *sk) = nullptr;
    void (*hash)(sock *sk) = nullptr;
    void (*unhash)(sock *sk) = nullptr;
    result<void> (*get_port)(sock *sk, u16 port) = nullptr;
    void (*rehash)(sock *sk) = nullptr; // the bound address changed
    size_t obj_size;
    kmem_cache **slab; // created by proto_register under `name`
    sock *(*construct)(void *mem);
    void (*destruct)(sock *sk) = nullptr; // end of life: the destructor of what construct made
    const char *symbol = nullptr;         // "udp_prot", for the dumps
    void (*shutdown)(sock *sk, int how) = nullptr; // SEND_SHUTDOWN, RCV_SHUTDOWN. Socket lock held
    result<sock *> (*accept)(sock *sk, u32 file_flags) = nullptr;
    void (*keepalive)(sock *sk, bool on) = nullptr; // SO_KEEPALIVE changes. Socket lock held
    bool no_autobind = false;
    u8 filter_keeps = 0; // bytes of header that a socket filter may not cut off
    std::atomic<int> allocated{0},
        inuse{0};          // socks of it; those that are hashed (/proc/net/sockstat)
    proto *next = nullptr; // all registered
};
/// Create the cache and list the protocol for /proc/net/protocols. Boot.
int proto_register(proto *p);

enum sock_flags : u32 {
    SOCK_DEAD = 1,
    SOCK_DONE = 2,
    SOCK_URGINLINE = 4,
    SOCK_KEEPOPEN = 8,
    SOCK_LINGER = 0x10,
    SOCK_DESTROY = 0x20,
    SOCK_BROADCAST = 0x40,
    SOCK_TIMESTAMP = 0x80,
    SOCK_ZAPPED = 0x100,
    SOCK_RXQ_OVFL = 0x200,
    SOCK_RCVTSTAMP = 0x400,
    SOCK_LOCALROUTE = 0x800,
    SOCK_PASSCRED_F = 0x1000,
    SOCK_RCVTSTAMPNS = 0x2000,
    SOCK_DBG = 0x4000,
    SOCK_SELECT_ERR_QUEUE = 0x8000,
    SOCK_NOFCS = 0x10000,
    SOCK_FILTER_LOCKED = 0x400000
};
constexpr u32 RCV_SHUTDOWN = 1, SEND_SHUTDOWN = 2, SHUTDOWN_MASK = 3;
constexpr u32 SOCK_SNDBUF_LOCK = 1, SOCK_RCVBUF_LOCK = 2, SOCK_BINDADDR_LOCK = 4,
              SOCK_BINDPORT_LOCK = 8;
/// Bits of socket->flags.
constexpr u32 SOCK_NOSPACE = 1, SOCK_ASYNC_NOSPACE = 2, SOCK_ASYNC_WAITDATA = 4;

/// `slock` (spin, BH off) protects `owned` and the backlog; `owned` is the sleeping lock of a process.
struct socket_lock_t {
    spinlock slock;
    int owned = 0;
    task_struct *owner = nullptr;
    wait_queue_head wq;
    explicit socket_lock_t(const char *name) : slock{name} {}
};

/// The network side of a socket. Protocols embed it first: sock ⊂ inet_sock ⊂ udp_sock / tcp_sock.
struct sock : pinned {
    u16 sk_family = 0;
    u8 sk_state = 0; // TCP_* numbers: 7 = CLOSE, 1 = ESTABLISHED (also connected UDP)
    u8 sk_reuse = 0, sk_reuseport = 0, sk_protocol = 0, sk_shutdown = 0, sk_userlocks = 0,
       sk_no_check = 0;
    u16 sk_type = 0;
    u32 sk_bound_dev_if = 0;
    u32 sk_hash = 0;
    proto *sk_prot = nullptr;
    refcount sk_refcnt;
    dst_entry *sk_rx_dst =
        nullptr; // route by which the last packet came in; socket lock, read under RCU
    std::atomic<u32> sk_flags{0}; // SOCK_* bits

    socket_lock_t sk_lock;
    sk_buff_head sk_receive_queue;
    sk_buff_head sk_write_queue;
    sk_buff_head sk_error_queue;
    /// Packets that arrived while a process owned the lock.
    struct {
        sk_buff *head = nullptr, *tail = nullptr;
        int len = 0; // truesize sum
        int qlen = 0;
    } sk_backlog;
    std::atomic<int> sk_rmem_alloc{0}; // truesize in the receive queue
    std::atomic<int> sk_wmem_alloc{1}; // truesize in flight, +1 while the sock lives
    int sk_rcvbuf = 0, sk_sndbuf = 0;
    int sk_rcvlowat = 1;
    s64 sk_rcvtimeo = MAX_SCHEDULE_TIMEOUT, sk_sndtimeo = MAX_SCHEDULE_TIMEOUT; // jiffies
    s64 sk_lingertime = 0;
    std::atomic<int> sk_drops{0};
    std::atomic<int> sk_err{0}, sk_err_soft{0};
    dst_entry *sk_dst_cache = nullptr; // sk_dst_lock
    spinlock sk_dst_lock{"sk.sk_dst_lock"};
    u32 sk_priority = 0, sk_mark = 0;
    u64 sk_stamp = 0;
    s32 sk_uid = 0; // of the task that made it
    s32 sk_pid = 0;
    ucred sk_peer_cred{0, ~0u, ~0u}; // SO_PEERCRED
    /// Keeps sk_socket alive for those who look from outside (dumps): sock_orphan takes it too.
    spinlock sk_callback_lock{"sk.sk_callback_lock"};
    socket *sk_socket = nullptr;
    u64 sk_ino = 0;                            // inode number of the socket, 0: no file any more
    socket_wq *sk_wq = nullptr;                // RCU
    struct fasync_struct *sk_fasync = nullptr; // who wants SIGIO (fs/fasync.h)
    void *sk_user_data = nullptr;
    struct sk_filter_prog *sk_filter = nullptr; // RCU

    void (*sk_state_change)(sock *sk) = nullptr;
    void (*sk_data_ready)(sock *sk, int bytes) = nullptr;
    void (*sk_write_space)(sock *sk) = nullptr;
    void (*sk_error_report)(sock *sk) = nullptr;
    int (*sk_backlog_rcv)(sock *sk, sk_buff *skb) = nullptr;
    void (*sk_destruct)(sock *sk) =
        nullptr; // after the last user and a grace period: purge queues. [P]

    hlist_nulls_node sk_nulls_node;    // the protocol's hash by port
    hlist_nulls_node sk_portaddr_node; // its hash by (address, port)
    list_node sk_all_node;             // every sock, for the dumps
    rcu_head sk_rcu;

    explicit sock(const char *lock_name) : sk_lock{lock_name} {}
};
inline bool sock_flag(const sock *sk, sock_flags f)
{
    return sk->sk_flags.load(std::memory_order_relaxed) & f;
}
inline void sock_set_flag(sock *sk, sock_flags f)
{
    sk->sk_flags.fetch_or(f);
}
inline void sock_reset_flag(sock *sk, sock_flags f)
{
    sk->sk_flags.fetch_and(~u32(f));
}

/// The file side (Linux struct socket, in socket_alloc with its inode, cache sock_inode_cache).
struct socket {
    socket_state state = SS_UNCONNECTED;
    u16 type = 0;
    std::atomic<u32> flags{0}; // SOCK_NOSPACE…
    socket_wq *wq = nullptr;
    ::file *file = nullptr;
    sock *sk = nullptr;
    const proto_ops *ops = nullptr;
};
struct socket_alloc {
    struct socket socket;
    inode vfs_inode;
};
inline inode *SOCK_INODE(socket *s)
{
    return &container_of(s, socket_alloc, socket)->vfs_inode;
}
inline socket *SOCKET_I(inode *i)
{
    return &container_of(i, socket_alloc, vfs_inode)->socket;
}

/// Ioctls of devices, which sockets of every family have (SIOCGIFCONF, SIOCGIFFLAGS, SIOCETHTOOL…). ENOTTY. net/core/dev_ioctl.cc [P]
result<s64> dev_ioctl(u32 cmd, u64 arg);

/// A family: create() makes the sock behind a fresh socket.
struct net_proto_family {
    int family;
    result<void> (*create)(socket *s, int protocol, bool kern);
    const char *name;
};
/// Publish a family; EEXIST as -errno when taken. Boot.
int sock_register(const net_proto_family *f);

// --- net/socket.cc ------------------------------------------------------------------------------------------------------
/// A fresh socket without family, type or sock; null when out of memory. [P]
socket *sock_alloc();
/// A socket with its sock by the family's create(): EAFNOSUPPORT, EINVAL, ENFILE, or the family's error. [P]
result<socket *> sock_create(int family, int type, int protocol);
/// The same for the kernel's own use: no privilege is asked for.
result<socket *> sock_create_kern(int family, int type, int protocol);
/// The open file of a socket (flags: O_NONBLOCK). On failure the socket is still the caller's. [P]
result<file *> sock_alloc_file(socket *s, u32 flags);
/// A descriptor for it (flags: O_CLOEXEC, O_NONBLOCK): EMFILE, ENFILE, ENOMEM; on failure the socket is still the caller's. [P]
result<int> sock_map_fd(socket *s, u32 flags);
/// End of a socket: ops->release, then the object itself unless a file still holds it. [P]
void sock_release(socket *s);
/// Sockets that exist (/proc/net/sockstat "used").
int sockets_used();
/// The socket behind fd; EBADF / ENOTSOCK.
result<socket *> sockfd_lookup_light(int fd, file **f, bool *fput_needed);
result<size_t> sock_sendmsg(socket *s, msghdr *m, size_t len);
result<size_t> sock_recvmsg(socket *s, msghdr *m, size_t len, u32 flags);
/// The socket of a file, or null.
socket *sock_from_file(file *f);
/// Timestamp and drop-count control messages of a received packet.
void __sock_recv_ts_and_drops(msghdr *m, sock *sk, sk_buff *skb);
inline void sock_recv_ts_and_drops(msghdr *m, sock *sk, sk_buff *skb)
{
    if (sk->sk_flags.load(std::memory_order_relaxed) & (SOCK_RXQ_OVFL | SOCK_RCVTSTAMP))
        [[unlikely]]
        __sock_recv_ts_and_drops(m, sk, skb);
    else
        sk->sk_stamp = skb->tstamp;
}
/// Append one control message for the user (net/core/scm.cc). Too small a buffer: MSG_CTRUNC. EFAULT. [P]
result<void> put_cmsg(msghdr *m, int level, int type, const void *data, size_t len);
/// Control message header of the x86_64 ABI; data follows, each message padded to 8 bytes.
struct cmsghdr {
    u64 cmsg_len;
    int cmsg_level;
    int cmsg_type;
};
/// Next message of a sendmsg's (kernel) control buffer after `c`, null: first. Null at the end. EINVAL: ill-formed.
result<const cmsghdr *> cmsg_next(const msghdr *m, const cmsghdr *c);
/// Privileged as Linux's CAP_NET_* would be: user 0.
inline bool capable_net()
{
    return current()->uid == 0;
}
/// The sum of payload bytes that socket calls have copied to and from users since boot (/sys/kernel/debug/net/copied).
struct net_copied_bytes {
    u64 to_user = 0, from_user = 0;
};
extern percpu<net_copied_bytes> net_copied;

// --- net/core/sock.cc ---------------------------------------------------------------------------------------------------
/// New sock of protocol p with one reference, or null. [P]
sock *sk_alloc(int family, gfp flags, proto *p);
/// The owner's part is gone; the memory follows when the last packet in flight is, and a grace period later. Any context.
void sk_free(sock *sk);
/// Queues, default callbacks, limits; ties sk to its socket (null: none). [P]
void sock_init_data(socket *s, sock *sk);
inline void sock_hold(sock *sk)
{
    sk->sk_refcnt.get();
}
void sock_put(sock *sk);
/// Arm a timer of sk (again), stop it: an armed timer holds a reference, which its handler drops at its end. Any context.
void sk_reset_timer(sock *sk, timer_list *t, u64 expires);
void sk_stop_timer(sock *sk, timer_list *t);
/// A child of a listening sock: a new sock of its protocol with its SOL_SOCKET options and callbacks, without socket, returned
/// with slock held and two references (the caller's, and that of the queue it will wait in); null: no memory. [S]
sock *sk_clone_lock(const sock *sk, gfp flags);
/// Tie to / cut from the socket; the callbacks see it under sk_callback_lock's rules: RCU on sk_wq.
void sock_graft(sock *sk, socket *parent);
void sock_orphan(sock *sk);
inline wait_queue_head *sk_sleep(sock *sk)
{
    return &rcu_dereference(sk->sk_wq)->wait;
}
/// The usual close of datagram protocols: destroy, unhash, orphan, drop. [P]
void sk_common_release(sock *sk);
/// List a new sock for the dumps; sk_free takes it off.
void sk_all_add(sock *sk);
/// Visit every sock under the list's lock (BH off); f must not sleep.
void for_each_sock(void (*f)(sock *sk, void *arg), void *arg);
extern proto *proto_list;
/// Process side of the socket lock. [P]
void lock_sock(sock *sk);
/// Drain the backlog in arrival order, then let go (atlas §9). [P]
void release_sock(sock *sk);
/// Lock without owning when nobody does: returns true if it had to take the slow way (then unlock with release_sock).
bool lock_sock_fast(sock *sk);
void unlock_sock_fast(sock *sk, bool slow);
/// Softirq side: spin only; look at sock_owned_by_user before touching.
inline void bh_lock_sock(sock *sk) NO_THREAD_SAFETY_ANALYSIS
{
    sk->sk_lock.slock.lock();
}
/// The lock of a child while its listener's is held (Linux bh_lock_sock_nested).
inline void bh_lock_sock_nested(sock *sk) NO_THREAD_SAFETY_ANALYSIS
{
    sk->sk_lock.slock.lock_nested(1);
}
inline void bh_unlock_sock(sock *sk) NO_THREAD_SAFETY_ANALYSIS
{
    sk->sk_lock.slock.unlock();
}
inline bool sock_owned_by_user(const sock *sk)
{
    return sk->sk_lock.owned;
}
/// Bytes waiting (queue and backlog) are more than `limit`.
inline bool sk_rcvqueues_full(const sock *sk, unsigned limit)
{
    return static_cast<unsigned>(sk->sk_backlog.len +
                                 sk->sk_rmem_alloc.load(std::memory_order_relaxed)) > limit;
}
/// Park a packet for the owner; false when backlog + rmem exceed `limit` (caller counts and frees). slock held.
[[nodiscard]] bool sk_add_backlog(sock *sk, sk_buff *skb, unsigned limit);
/// Queue for the reader and call sk_data_ready; ENOMEM when over sk_rcvbuf (caller frees; sk_drops counted).
result<void> sock_queue_rcv_skb(sock *sk, sk_buff *skb);
/// Charge the send buffer; sock_wfree undoes it when the packet is gone.
void skb_set_owner_w(sk_buff *skb, sock *sk);
void skb_set_owner_r(sk_buff *skb, sock *sk);
/// Give `n` units of sk_wmem_alloc back; the last one ends the sock. Any context.
void sk_wmem_put(sock *sk, int n);
void sock_wfree(sk_buff *skb);
void sock_rfree(sk_buff *skb);
/// Destructor of a packet that has found its socket before its route (early demux): drops that reference.
void sock_edemux(sk_buff *skb);
/// The socket that early demux found, with the reference; null: none. Linux skb_steal_sock.
inline sock *skb_steal_sock(sk_buff *skb)
{
    sock *sk = skb->sk;
    if (sk) {
        skb->sk = nullptr;
        skb->destructor = nullptr;
    }
    return sk;
}
/// An skb of `size` bytes charged to sk; waits for room unless noblock. EAGAIN, EPIPE, pending sk_err. [P]
result<sk_buff *> sock_alloc_send_skb(sock *sk, u32 size, bool noblock);
/// Fetch and clear the pending error: a positive errno or 0.
inline int sock_error(sock *sk)
{
    if (sk->sk_err.load(std::memory_order_relaxed) == 0) [[likely]]
        return 0;
    return sk->sk_err.exchange(0);
}
/// Errno of an interrupted wait: restart unless there was a time-out.
inline errno_t sock_intr_errno(s64 timeo)
{
    return timeo == MAX_SCHEDULE_TIMEOUT ? ERESTARTSYS : EINTR;
}
inline int sk_wmem_alloc_get(const sock *sk)
{
    return sk->sk_wmem_alloc.load() - 1;
}
/// Less than half of the send buffer is in flight.
inline bool sock_writeable(const sock *sk)
{
    return sk->sk_wmem_alloc.load() < sk->sk_sndbuf / 2;
}
/// Queue an error report (MSG_ERRQUEUE). ENOMEM when over sk_rcvbuf (caller frees).
result<void> sock_queue_err_skb(sock *sk, sk_buff *skb);
/// A sleeper is on the wait queue; orders the caller's change before the look.
inline bool wq_has_sleeper(socket_wq *wq)
{
    smp_mb();
    return wq && wq->wait.active();
}
inline s64 sock_rcvtimeo(const sock *sk, bool noblock)
{
    return noblock ? 0 : sk->sk_rcvtimeo;
}
inline s64 sock_sndtimeo(const sock *sk, bool noblock)
{
    return noblock ? 0 : sk->sk_sndtimeo;
}
/// SOL_SOCKET options.
result<void> sock_setsockopt(socket *s, int level, int name, user_ptr<const void> val,
                             unsigned len);
result<void> sock_getsockopt(socket *s, int level, int name, user_ptr<void> val, user_ptr<int> len);
/// Run the socket's filter, if it has one, and cut the packet to what it keeps (at least `keep` bytes). 0, -EPERM: drop it, or
/// -ENOMEM. Any context. net/core/filter.cc
int sk_filter(sock *sk, sk_buff *skb, u32 keep);
/// SO_ATTACH_FILTER, SO_DETACH_FILTER: EINVAL, EFAULT, ENOMEM, EPERM (SO_LOCK_FILTER), ENOENT. [P]
result<void> sk_attach_filter(sock *sk, user_ptr<const void> val, unsigned len);
result<void> sk_detach_filter(sock *sk);
/// The socket's end.
void sk_filter_release(sock *sk);
/// Default callbacks (row K-03).
void sock_def_readable(sock *sk, int bytes);
void sock_def_write_space(sock *sk);
void sock_def_error_report(sock *sk);
void sock_def_wakeup(sock *sk);
/// Cached route of a connected socket: referenced if still valid, else dropped and null.
dst_entry *sk_dst_check(sock *sk);
void sk_dst_set(sock *sk, dst_entry *d);
/// Forget the route of received packets. Socket lock, or nobody else has sk.
void sk_rx_dst_reset(sock *sk);
inline void sk_dst_reset(sock *sk)
{
    sk_dst_set(sk, nullptr);
}
extern int sysctl_rmem_default, sysctl_wmem_default, sysctl_rmem_max, sysctl_wmem_max,
    sysctl_somaxconn, sysctl_optmem_max; // optmem_max: control data of one message

// --- net/core/datagram.cc -----------------------------------------------------------------------------------------------
/// Take (or peek at) the first packet, sleeping exclusively if there is none (rows U-08, U-09). Null: receive side shut
/// down. *peeked: it had been peeked at before. EAGAIN, EINTR, sk_err. Linux __skb_recv_datagram. [P]
result<sk_buff *> skb_recv_datagram(sock *sk, u32 flags, bool noblock, bool *peeked);
result<void> skb_copy_datagram_iter(const sk_buff *skb, u32 offset, iov_iter &to, u32 n);
/// Copy and verify the checksum in one pass; EINVAL when wrong.
result<void> skb_copy_and_csum_datagram_iter(sk_buff *skb, u32 hlen, iov_iter &to);
void skb_free_datagram_locked(sock *sk, sk_buff *skb);
/// Drop a bad packet that skb_recv_datagram gave (off the queue too when it was peeked at). False: another reader did.
bool skb_kill_datagram(sock *sk, sk_buff *skb, u32 flags);
/// Nothing to verify any more (Linux skb_csum_unnecessary; a looped-back CHECKSUM_PARTIAL counts).
inline bool skb_csum_unnecessary(const sk_buff *skb)
{
    return skb->ip_summed & CHECKSUM_UNNECESSARY;
}
/// Verify the sum over the whole packet onto skb->csum (pseudo header): true when it is right.
bool skb_checksum_complete(sk_buff *skb);
u32 datagram_poll(file *f, socket *s, poll_table *pt);
