// SPDX-License-Identifier: MIT
// The file side of sockets (Linux net/socket.c; rows K-01, K-04, K-05, U-07, T-01): the family table, socket objects with their
// anonymous inode "socket:[ino]", file operations, and the first step of the two-level dispatch. Process context.
//
// A socket lives in a socket_alloc together with its inode: the inode's last reference frees both. Before a file exists,
// sock_release drops that reference; afterwards closing the file does.

#include "fs/seq_file.h"
#include "lib/initcall.h"
#include "net/core/sock.h"
#include "net/core/sock_async.h"

static kmem_cache *sock_inode_cachep;
static const net_proto_family *net_families[NPROTO];
static std::atomic<int> sockets_in_use{0};

constexpr u32 FIOSETOWN = 0x8901, SIOCSPGRP = 0x8902, FIOGETOWN = 0x8903, SIOCGPGRP = 0x8904;

int sockets_used()
{
    return sockets_in_use.load(std::memory_order_relaxed);
}

// --- The socket object ----------------------------------------------------------------------------------------------------------

static void free_wq_rcu(rcu_head *head)
{
    kdelete(container_of(head, socket_wq, rcu));
}

static void sock_destroy_inode(inode *i)
{
    socket_alloc *sa = container_of(i, socket_alloc, vfs_inode);
    call_rcu(&sa->socket.wq->rcu, free_wq_rcu); // softirqs may still hold it
    sockets_in_use.fetch_sub(1, std::memory_order_relaxed);
    kmem_cache_delete(sock_inode_cachep, sa);
}

socket *sock_alloc()
{
    auto *sa = kmem_cache_new<socket_alloc>(sock_inode_cachep, GFP_KERNEL);
    if (!sa)
        return nullptr;
    auto *wq = knew<socket_wq>(GFP_KERNEL);
    if (!wq) {
        kmem_cache_delete(sock_inode_cachep, sa);
        return nullptr;
    }
    sa->socket.wq = wq;
    inode &i = sa->vfs_inode;
    i.ino = get_next_ino();
    i.mode = S_IFSOCK | 0777;
    i.uid = static_cast<u32>(current()->uid);
    i.gid = static_cast<u32>(current()->gid);
    i.atime = i.mtime = i.ctime = ktime_get_real();
    i.destroy = sock_destroy_inode;
    sockets_in_use.fetch_add(1, std::memory_order_relaxed);
    return &sa->socket;
}

void sock_release(socket *s)
{
    if (s->ops) {
        (void)s->ops->release(s); // nobody is left to be told
        s->ops = nullptr;
    }
    if (!s->file)
        iput(SOCK_INODE(s));
    else
        s->file = nullptr;
}

// --- Creation -------------------------------------------------------------------------------------------------------------------

int sock_register(const net_proto_family *f)
{
    if (f->family < 0 || f->family >= NPROTO)
        return -ENOBUFS;
    if (net_families[f->family])
        return -EEXIST;
    rcu_assign_pointer(net_families[f->family], f);
    return 0;
}

static result<socket *> __sock_create(int family, int type, int protocol, bool kern)
{
    trace(trace_event::sock_create, "__sock_create", family, type, protocol);
    if (family < 0 || family >= NPROTO)
        return error{EAFNOSUPPORT};
    if (type < 0 || type >= SOCK_MAX)
        return error{EINVAL};
    if (family == AF_INET && type == SOCK_PACKET)
        family = AF_PACKET; // what it was called before Linux 2.2
    socket *s = sock_alloc();
    if (!s) {
        pr_warn("socket: no more sockets\n");
        return error{ENFILE};
    }
    trace(trace_event::sock_create, "sock_alloc", family, type, protocol);
    s->type = static_cast<u16>(type);
    const net_proto_family *f = rcu_dereference(net_families[family]);
    if (!f) {
        sock_release(s);
        return error{EAFNOSUPPORT};
    }
    auto r = f->create(s, protocol, kern);
    if (!r) {
        s->ops = nullptr; // there is no sock to release
        sock_release(s);
        return r.fail();
    }
    return s;
}

result<socket *> sock_create(int family, int type, int protocol)
{
    trace(trace_event::sock_create, "sock_create", family, type, protocol);
    return __sock_create(family, type, protocol, false);
}

result<socket *> sock_create_kern(int family, int type, int protocol)
{
    return __sock_create(family, type, protocol, true);
}

// --- File operations --------------------------------------------------------------------------------------------------------------

static result<size_t> sock_file_read(file *f, iov_iter &to, u64 *)
{
    socket *s = static_cast<socket *>(f->private_data);
    size_t len = to.count();
    if (len == 0) // as read(2) of nothing: match SYS5 behaviour
        return size_t{0};
    msghdr m;
    m.msg_iter = &to;
    return sock_recvmsg(s, &m, len, f->f_flags & O_NONBLOCK ? MSG_DONTWAIT : 0);
}

static result<size_t> sock_file_write(file *f, iov_iter &from, u64 *)
{
    socket *s = static_cast<socket *>(f->private_data);
    msghdr m;
    m.msg_iter = &from;
    m.msg_flags = f->f_flags & O_NONBLOCK ? MSG_DONTWAIT : 0;
    if (s->type == SOCK_SEQPACKET)
        m.msg_flags |= MSG_EOR;
    return sock_sendmsg(s, &m, from.count());
}

static u32 sock_poll(file *f, poll_table *pt)
{
    socket *s = static_cast<socket *>(f->private_data);
    return s->ops->poll(f, s, pt);
}

static result<s64> sock_ioctl(file *f, u32 cmd, u64 arg)
{
    socket *s = static_cast<socket *>(f->private_data);
    switch (cmd) {
    case FIOSETOWN:
    case SIOCSPGRP: {
        int pid;
        TRY_VOID(get_user(pid, user_ptr<int>{arg}));
        TRY_VOID(f_setown_signed(f, pid));
        return s64{0};
    }
    case FIOGETOWN:
    case SIOCGPGRP:
        TRY_VOID(put_user(user_ptr<int>{arg}, f_getown_signed(f)));
        return s64{0};
    }
    return s->ops->ioctl(s, cmd, arg);
}

static void sock_close(inode *i, file *)
{
    sock_release(SOCKET_I(i));
}

static const file_operations socket_file_ops = {
    .read = sock_file_read,
    .write = sock_file_write,
    .poll = sock_poll,
    .ioctl = sock_ioctl,
    .release = sock_close,
    .fasync = sock_fasync,
};

static page *sock_file_page(file *f, u64 index)
{
    socket *s = static_cast<socket *>(f->private_data);
    return s->ops->file_page(s, index);
}

/// Of sockets whose memory can be mapped.
static const file_operations socket_mmap_file_ops = {
    .read = sock_file_read,
    .write = sock_file_write,
    .poll = sock_poll,
    .ioctl = sock_ioctl,
    .release = sock_close,
    .file_page = sock_file_page,
    .fasync = sock_fasync,
};

result<file *> sock_alloc_file(socket *s, u32 flags)
{
    char name[32];
    snprintf(name, sizeof name, "socket:[%llu]",
             static_cast<unsigned long long>(SOCK_INODE(s)->ino));
    dentry *d = TRY(d_alloc_pseudo(name, SOCK_INODE(s)));
    iget(SOCK_INODE(s)); // kept until it is certain that the file takes over
    auto f = alloc_file(d, O_RDWR | (flags & O_NONBLOCK),
                        s->ops->file_page ? &socket_mmap_file_ops : &socket_file_ops);
    dput(d);
    if (!f)
        return f.fail();
    (*f)->private_data = s;
    s->file = *f;
    iput(SOCK_INODE(s));
    return *f;
}

result<int> sock_map_fd(socket *s, u32 flags)
{
    int fd = TRY(get_unused_fd_flags(flags));
    auto f = sock_alloc_file(s, flags);
    if (!f) {
        put_unused_fd(fd);
        return f.fail();
    }
    fd_install(fd, *f);
    return fd;
}

socket *sock_from_file(file *f)
{
    return f->f_op == &socket_file_ops || f->f_op == &socket_mmap_file_ops
               ? static_cast<socket *>(f->private_data)
               : nullptr;
}

result<socket *> sockfd_lookup_light(int fd, file **out, bool *fput_needed)
{
    file *f = fget_light(fd, fput_needed);
    if (!f)
        return error{EBADF};
    socket *s = sock_from_file(f);
    if (!s) {
        fput_light(f, *fput_needed);
        return error{ENOTSOCK};
    }
    *out = f;
    return s;
}

// --- First level of the dispatch ------------------------------------------------------------------------------------------------

result<size_t> sock_sendmsg(socket *s, msghdr *m, size_t len)
{
    if (trace_enabled(trace_event::sock_sendmsg)) [[unlikely]]
        trace(trace_event::sock_sendmsg, s->sk, s->ops->sendmsg, s->sk->sk_prot->sendmsg, len);
    return s->ops->sendmsg(s, m, len);
}

result<size_t> sock_recvmsg(socket *s, msghdr *m, size_t len, u32 flags)
{
    if (trace_enabled(trace_event::sock_recvmsg)) [[unlikely]]
        trace(trace_event::sock_recvmsg, s->sk, s->ops->recvmsg, s->sk->sk_prot->recvmsg, len);
    return s->ops->recvmsg(s, m, len, flags);
}

constexpr int SCM_TIMESTAMP = SO_TIMESTAMP, SCM_TIMESTAMPNS = 35;

void __sock_recv_ts_and_drops(msghdr *m, sock *sk, sk_buff *skb)
{
    // A message that the user's buffer does not hold is cut (MSG_CTRUNC); a bad address is the copy's problem, not the packet's.
    if (sock_flag(sk, SOCK_RCVTSTAMP)) {
        u64 ns = skb->tstamp ? skb->tstamp : ktime_get_real();
        bool nano = sock_flag(sk, SOCK_RCVTSTAMPNS);
        s64 t[2] = {static_cast<s64>(ns / NSEC_PER_SEC),
                    static_cast<s64>(ns % NSEC_PER_SEC / (nano ? 1 : NSEC_PER_USEC))};
        (void)put_cmsg(m, SOL_SOCKET, nano ? SCM_TIMESTAMPNS : SCM_TIMESTAMP, t, sizeof t);
    } else {
        sk->sk_stamp = skb->tstamp;
    }
    if (sock_flag(sk, SOCK_RXQ_OVFL) && skb->mark)
        (void)put_cmsg(m, SOL_SOCKET, SO_RXQ_OVFL, &skb->mark, sizeof skb->mark);
}

// --- Boot and dumps ---------------------------------------------------------------------------------------------------------------

static void net_families_show(seq_file *m)
{
    for (const net_proto_family *f : net_families)
        if (f)
            seq_printf(m, "%d %s\n", f->family, f->name);
}

static void copied_show(seq_file *m)
{
    u64 rx = 0, tx = 0;
    for (unsigned i = 0; i < NR_CPUS; i++) {
        rx += read_once(net_copied.on(i).to_user);
        tx += read_once(net_copied.on(i).from_user);
    }
    seq_printf(m, "user_rx_bytes=%llu user_tx_bytes=%llu\n", static_cast<unsigned long long>(rx),
               static_cast<unsigned long long>(tx));
}

static int sock_init()
{
    sock_inode_cachep = kmem_cache_create("sock_inode_cache", sizeof(socket_alloc), 64);
    debugfs_create("net/net_families", net_families_show);
    debugfs_create("net/copied", copied_show);
    return 0;
}
core_initcall(sock_init);
