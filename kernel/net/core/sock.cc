// SPDX-License-Identifier: MIT
// Life and default callbacks of a sock (Linux net/core/sock.c, atlas §7, §9). Its lock is in sock_lock.cc, buffer accounting in
// sock_buf.cc, SOL_SOCKET options in sock_options.cc, the list of protocols in sock_proto.cc.
//
// A sock lives as long as it has users (sk_refcnt) or packets of its own in flight (sk_wmem_alloc). After that comes a grace
// period, so softirqs may use a sock that they found in a hash table without taking a reference; what they queued on a sock
// that was just closed is purged by sk_destruct, which runs in process context after the grace period.

#include "net/core/sock.h"
#include "mm/slab.h"
#include "net/core/sock_async.h"

static spinlock sk_all_lock{"sk_all"};
// Threaded through sk_all_node; a bare circular head, because a list<> would need a constructor at boot.
static sock *sk_all_head;

constinit percpu<net_copied_bytes> net_copied;

void sk_all_add(sock *sk)
{
    spin_guard<bh> g{sk_all_lock};
    list_node &n = sk->sk_all_node;
    if (!sk_all_head) {
        n.next = n.prev = &n;
        sk_all_head = sk;
        return;
    }
    list_node &first = sk_all_head->sk_all_node;
    n.insert_between(first.prev, &first);
}

static void sk_all_del(sock *sk)
{
    spin_guard<bh> g{sk_all_lock};
    list_node &n = sk->sk_all_node;
    if (!n.linked())
        return;
    if (n.next == &n) {
        sk_all_head = nullptr;
        n.next = n.prev = nullptr;
        return;
    }
    if (sk_all_head == sk)
        sk_all_head = container_of(n.next, sock, sk_all_node);
    n.unlink();
}

void for_each_sock(void (*f)(sock *sk, void *arg), void *arg)
{
    spin_guard<bh> g{sk_all_lock};
    if (!sk_all_head)
        return;
    sock *sk = sk_all_head;
    do {
        f(sk, arg);
        sk = container_of(sk->sk_all_node.next, sock, sk_all_node);
    } while (sk != sk_all_head);
}

sock *sk_alloc(int family, gfp flags, proto *p)
{
    void *mem = kmem_cache_alloc(*p->slab, flags);
    if (!mem)
        return nullptr;
    sock *sk = p->construct(mem);
    sk->sk_family = static_cast<u16>(family);
    sk->sk_prot = p;
    p->allocated.fetch_add(1, std::memory_order_relaxed);
    return sk;
}

/// After the grace period, in process context.
static void sk_free_rcu(rcu_head *head)
{
    sock *sk = container_of(head, sock, sk_rcu);
    if (sk->sk_destruct)
        sk->sk_destruct(sk);
    if (int left = sk->sk_rmem_alloc.load())
        pr_err("sock %p: %d bytes of receive memory are still charged\n", static_cast<void *>(sk),
               left);
    sk_dst_reset(sk);
    sk_filter_release(sk);
    proto *p = sk->sk_prot;
    p->destruct(sk);
    kmem_cache_free(*p->slab, sk);
    p->allocated.fetch_sub(1, std::memory_order_relaxed);
}

void sk_wmem_put(sock *sk, int n)
{
    if (sk->sk_wmem_alloc.fetch_sub(n, std::memory_order_acq_rel) == n)
        call_rcu(&sk->sk_rcu, sk_free_rcu);
}

void sk_free(sock *sk)
{
    sk_all_del(sk);
    sk_wmem_put(sk, 1);
}

void sock_put(sock *sk)
{
    if (sk->sk_refcnt.put())
        sk_free(sk);
}

void sock_wfree(sk_buff *skb)
{
    sock *sk = skb->sk;
    int len = static_cast<int>(skb->truesize);
    // One byte stays charged while the callback runs, so that the sock cannot go away under it.
    sk->sk_wmem_alloc.fetch_sub(len - 1, std::memory_order_acq_rel);
    sk->sk_write_space(sk);
    sk_wmem_put(sk, 1);
}

void sock_init_data(socket *s, sock *sk)
{
    sk->sk_rcvbuf = read_once(sysctl_rmem_default);
    sk->sk_sndbuf = read_once(sysctl_wmem_default);
    sk->sk_state = 7; // TCP_CLOSE
    sock_set_flag(sk, SOCK_ZAPPED);
    sk->sk_stamp = ~u64{0};
    sk->sk_uid = current()->uid;
    sk->sk_pid = current()->pid;
    if (s) {
        sk->sk_type = s->type;
        sk->sk_wq = s->wq;
        sk->sk_socket = s;
        sk->sk_ino = SOCK_INODE(s)->ino;
        s->sk = sk;
    }
    sk->sk_state_change = sock_def_wakeup;
    sk->sk_data_ready = sock_def_readable;
    sk->sk_write_space = sock_def_write_space;
    sk->sk_error_report = sock_def_error_report;
    sk_all_add(sk);
}

void sock_graft(sock *sk, socket *parent)
{
    spin_guard<bh> g{sk->sk_callback_lock};
    rcu_assign_pointer(sk->sk_wq, parent->wq);
    parent->sk = sk;
    sk->sk_socket = parent;
    sk->sk_ino = SOCK_INODE(parent)->ino;
}

void sock_orphan(sock *sk)
{
    spin_guard<bh> g{sk->sk_callback_lock};
    sock_set_flag(sk, SOCK_DEAD);
    sk->sk_socket = nullptr;
    sk->sk_ino = 0;
    rcu_assign_pointer(sk->sk_wq, nullptr);
}

void sk_common_release(sock *sk)
{
    if (sk->sk_prot->destroy)
        sk->sk_prot->destroy(sk);
    // From here on no packet finds it; those on their way end in sk_destruct.
    sk->sk_prot->unhash(sk);
    sock_orphan(sk);
    sock_put(sk);
}

// --- Callbacks (row K-03): called from softirq or process context, under RCU because the wait queue belongs to the file --------

/// Entries on the queue, for the trace.
static unsigned count_waiters(wait_queue_head *q)
{
    spin_guard<irqsave> g{q->lock};
    unsigned n = 0;
    for ([[maybe_unused]] wait_queue &w : q->task_list)
        n++;
    return n;
}

void sock_def_readable(sock *sk, int)
{
    rcu_read_lock();
    socket_wq *wq = rcu_dereference(sk->sk_wq);
    bool sleeper = wq_has_sleeper(wq);
    if (trace_enabled(trace_event::sock_def_readable)) [[unlikely]]
        trace(trace_event::sock_def_readable, sk, sleeper ? count_waiters(&wq->wait) : 0u);
    if (sleeper)
        wake_up_interruptible_sync_poll(&wq->wait, POLLIN | POLLPRI | POLLRDNORM | POLLRDBAND);
    rcu_read_unlock();
    sk_wake_async(sk, sock_wake::waitdata, POLL_IN);
}

void sock_def_write_space(sock *sk)
{
    // Much room is wanted before a writer is woken: not for every packet.
    if (sk->sk_wmem_alloc.load(std::memory_order_relaxed) * 2 > read_once(sk->sk_sndbuf))
        return;
    rcu_read_lock();
    socket_wq *wq = rcu_dereference(sk->sk_wq);
    if (wq_has_sleeper(wq))
        wake_up_interruptible_sync_poll(&wq->wait, POLLOUT | POLLWRNORM | POLLWRBAND);
    rcu_read_unlock();
    sk_wake_async(sk, sock_wake::space, POLL_OUT);
}

void sock_def_error_report(sock *sk)
{
    rcu_read_lock();
    socket_wq *wq = rcu_dereference(sk->sk_wq);
    if (wq_has_sleeper(wq))
        __wake_up(&wq->wait, TASK_INTERRUPTIBLE, 1, reinterpret_cast<void *>(u64{POLLERR}));
    rcu_read_unlock();
    sk_wake_async(sk, sock_wake::io, POLL_ERR);
}

void sock_def_wakeup(sock *sk)
{
    rcu_read_lock();
    socket_wq *wq = rcu_dereference(sk->sk_wq);
    if (wq_has_sleeper(wq))
        wake_up_interruptible_all(&wq->wait);
    rcu_read_unlock();
}

// --- The cached route ---------------------------------------------------------------------------------------------------------

dst_entry *sk_dst_check(sock *sk)
{
    rcu_read_lock();
    dst_entry *d = rcu_dereference(sk->sk_dst_cache);
    if (d && !d->refcnt.get_unless_zero())
        d = nullptr;
    rcu_read_unlock();
    if (d && !dst_check(d)) {
        sk_dst_reset(sk);
        dst_release(d);
        return nullptr;
    }
    return d;
}

void sk_dst_set(sock *sk, dst_entry *d)
{
    dst_entry *old = __atomic_exchange_n(&sk->sk_dst_cache, d, __ATOMIC_ACQ_REL);
    if (old)
        dst_release(old);
}

void sk_rx_dst_reset(sock *sk)
{
    dst_entry *old = sk->sk_rx_dst;
    rcu_assign_pointer(sk->sk_rx_dst, static_cast<dst_entry *>(nullptr));
    dst_release(old);
}
