// SPDX-License-Identifier: MIT
// Queues of packets (sk_buff_head): doubly linked, null-terminated, with a length. Linux:
// net/core/skbuff.c. The __ functions need the caller's lock or ownership; the others take q->lock
// with IRQs off and work in any context.

#include "net/core/skbuff.h"

void __skb_queue_head(sk_buff_head *q, sk_buff *skb)
{
    skb->prev = nullptr;
    skb->next = q->next;
    if (q->next)
        q->next->prev = skb;
    else
        q->prev = skb;
    q->next = skb;
    write_once(q->qlen, q->qlen + 1);
}

void __skb_unlink(sk_buff *skb, sk_buff_head *q)
{
    if (skb->prev)
        skb->prev->next = skb->next;
    else
        q->next = skb->next;
    if (skb->next)
        skb->next->prev = skb->prev;
    else
        q->prev = skb->prev;
    skb->next = skb->prev = nullptr;
    write_once(q->qlen, q->qlen - 1);
}

void __skb_queue_splice_tail_init(sk_buff_head *from, sk_buff_head *to)
{
    if (from->empty())
        return;
    from->next->prev = to->prev;
    if (to->prev)
        to->prev->next = from->next;
    else
        to->next = from->next;
    to->prev = from->prev;
    write_once(to->qlen, to->qlen + from->qlen);
    from->next = from->prev = nullptr;
    write_once(from->qlen, 0);
}

void skb_queue_tail(sk_buff_head *q, sk_buff *skb)
{
    spin_guard<irqsave> g{q->lock};
    __skb_queue_tail(q, skb);
}

void skb_queue_head(sk_buff_head *q, sk_buff *skb)
{
    spin_guard<irqsave> g{q->lock};
    __skb_queue_head(q, skb);
}

sk_buff *skb_dequeue(sk_buff_head *q)
{
    spin_guard<irqsave> g{q->lock};
    return __skb_dequeue(q);
}

void __skb_queue_purge(sk_buff_head *q)
{
    while (sk_buff *skb = __skb_dequeue(q))
        kfree_skb(skb);
}

void skb_queue_purge(sk_buff_head *q)
{
    while (sk_buff *skb = skb_dequeue(q))
        kfree_skb(skb);
}
