// SPDX-License-Identifier: MIT
// Files in flight, and sockets that only messages refer to: A's file in B's queue, B's in A's, both closed. Linux: net/unix/garbage.c.
//
// A socket is a candidate when every reference of its file is one in flight. References that come from the queues of candidates are
// subtracted; a candidate with others left is reachable, and so is all that is in its queue. What remains is garbage: the files come out
// of its messages and are closed. unix_gc_lock (innermost but for queue locks) makes counts and marks one snapshot: a file goes into a
// message, comes out of one, or is copied out by a peeking reader only with it held. Process context.

#include "mm/static_object.h"
#include "net/unix/af_unix.h"

namespace
{
spinlock unix_gc_lock{"unix.gc"};
using gc_list = list<unix_sock, &unix_sock::gc_node>;
static_object<gc_list> inflight_socks; // those with inflight > 0
unsigned tot_inflight;                 // unix_gc_lock; read as a hint

/// Call f for u and, if it listens, for its connections that were not accepted yet: the socks whose queues only u leads to. A listener
/// can still get connections while we look (by its name); those are at the end of its queue, and files that come with them count as
/// reachable, because they are not found here.
template <class F>
void for_each_queue(unix_sock *u, F f)
{
    if (u->sk_state != TCPF_LISTEN) {
        f(u);
        return;
    }
    constexpr u32 BATCH = 32;
    sock *embryos[BATCH];
    u32 seen = 0, n;
    do {
        n = 0;
        {
            spin_guard<irqsave> g{u->sk_receive_queue.lock};
            u32 at = 0;
            for (sk_buff *skb = skb_peek(&u->sk_receive_queue); skb && n < BATCH; skb = skb->next)
                if (at++ >= seen)
                    embryos[n++] = skb->sk;
        }
        for (u32 i = 0; i < n; i++)
            f(unix_sk(embryos[i]));
        seen += n;
    } while (n == BATCH);
}

/// Call f for each AF_UNIX sock whose file is in a message that u leads to.
template <class F>
void for_each_child(unix_sock *u, F f)
{
    for_each_queue(u, [&f](unix_sock *q) {
        spin_guard<irqsave> g{q->sk_receive_queue.lock};
        for (sk_buff *skb = skb_peek(&q->sk_receive_queue); skb; skb = skb->next) {
            const scm_fp_list *l = UNIXCB(skb).fp;
            for (unsigned i = 0; l && i < l->count; i++)
                if (sock *child = unix_get_socket(l->fp[i]))
                    f(unix_sk(child));
        }
    });
}

/// Count the files of a list in or out.
void account(const scm_fp_list *l, int n)
{
    for (unsigned i = 0; i < l->count; i++) {
        sock *sk = unix_get_socket(l->fp[i]);
        if (!sk)
            continue;
        unix_sock *u = unix_sk(sk);
        u->inflight += static_cast<unsigned>(n);
        tot_inflight += static_cast<unsigned>(n);
        if (u->inflight && !u->gc_node.linked())
            inflight_socks->push_back(*u);
        else if (!u->inflight && u->gc_node.linked())
            u->gc_node.unlink();
    }
}

/// Mark `u` reachable, and put it on the stack of those whose queues are still to be looked at.
void reach(unix_sock *u, unix_sock **stack)
{
    if (!u->gc_candidate || u->gc_reached)
        return;
    u->gc_reached = true;
    u->gc_next = *stack;
    *stack = u;
}

void mark()
{
    for (unix_sock &u : *inflight_socks) {
        const file *f = u.sk_socket ? u.sk_socket->file : nullptr;
        u.gc_candidate = f && static_cast<unsigned>(f->count.read()) == u.inflight;
        u.gc_reached = false;
        u.gc_count = static_cast<int>(u.inflight);
    }
    for (unix_sock &u : *inflight_socks)
        if (u.gc_candidate)
            for_each_child(&u, [](unix_sock *child) { child->gc_count--; });
    unix_sock *stack = nullptr;
    for (unix_sock &u : *inflight_socks)
        if (u.gc_count > 0)
            reach(&u, &stack);
    while (unix_sock *u = stack) {
        stack = u->gc_next;
        for_each_child(u, [&stack](unix_sock *child) { reach(child, &stack); });
    }
}

/// Lists of files taken out of garbage, to be closed when no lock is held.
scm_fp_list *collect()
{
    spin_guard<bh> g{unix_gc_lock};
    mark();
    scm_fp_list *hits = nullptr;
    for (unix_sock &u : *inflight_socks) {
        if (!u.gc_candidate || u.gc_reached)
            continue;
        for_each_queue(&u, [&hits](unix_sock *q) {
            spin_guard<irqsave> l{q->sk_receive_queue.lock};
            for (sk_buff *skb = skb_peek(&q->sk_receive_queue); skb; skb = skb->next)
                if (scm_fp_list *fp = UNIXCB(skb).fp) {
                    UNIXCB(skb).fp = nullptr;
                    fp->next = hits;
                    hits = fp;
                }
        });
    }
    for (scm_fp_list *l = hits; l; l = l->next)
        account(l, -1);
    return hits;
}
} // namespace

sock *unix_get_socket(file *f)
{
    socket *s = sock_from_file(f);
    return s && s->ops && s->ops->family == AF_UNIX && s->sk ? s->sk : nullptr;
}

void unix_inflight_add(scm_fp_list *l)
{
    spin_guard<bh> g{unix_gc_lock};
    account(l, 1);
}

void unix_inflight_remove(scm_fp_list *l)
{
    spin_guard<bh> g{unix_gc_lock};
    account(l, -1);
}

scm_fp_list *unix_inflight_dup(const scm_fp_list *l)
{
    // The copy's references must not appear between the collector's count and its marks; memory comes before the lock.
    scm_fp_list *copy = scm_fp_alloc(l->count);
    if (!copy)
        return nullptr;
    spin_guard<bh> g{unix_gc_lock};
    scm_fp_copy(copy, l);
    return copy;
}

void unix_gc()
{
    if (!read_once(tot_inflight))
        return;
    for (scm_fp_list *l = collect(); l;) {
        scm_fp_list *next = l->next;
        scm_fp_free(l);
        l = next;
    }
}

void unix_gc_if_needed()
{
    constexpr unsigned MANY = 16000;
    if (read_once(tot_inflight) > MANY)
        unix_gc();
}

void unix_gc_init()
{
    inflight_socks.init();
}
