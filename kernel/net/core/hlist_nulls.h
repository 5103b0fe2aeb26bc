// SPDX-License-Identifier: MIT
// Hash chains that readers walk without a lock (Linux include/linux/rculist_nulls.h). The last link is no null pointer but
// the number of the chain, odd: a reader that was carried to another chain, because its element moved there, sees it at
// the end and starts again. Writers hold the chain's lock; readers are in an RCU read side, and elements are
// freed only after a grace period.
#pragma once

#include "sched/rcu.h"

struct hlist_nulls_node {
    hlist_nulls_node *next = nullptr;
    hlist_nulls_node **pprev = nullptr; // null: on no chain
    bool hashed() const { return pprev != nullptr; }
};
struct hlist_nulls_head {
    hlist_nulls_node *first;
    /// End marker of chain `slot`.
    static hlist_nulls_node *marker(u64 slot)
    {
        return reinterpret_cast<hlist_nulls_node *>(slot << 1 | 1);
    }
    explicit hlist_nulls_head(u64 slot) : first{marker(slot)} {}
};
inline bool is_a_nulls(const hlist_nulls_node *n)
{
    return reinterpret_cast<u64>(n) & 1;
}
inline u64 get_nulls_value(const hlist_nulls_node *n)
{
    return reinterpret_cast<u64>(n) >> 1;
}

/// Add at the head. Writer's lock held.
inline void hlist_nulls_add_head_rcu(hlist_nulls_node *n, hlist_nulls_head *h)
{
    hlist_nulls_node *first = h->first;
    n->next = first;
    n->pprev = &h->first;
    rcu_assign_pointer(h->first, n);
    if (!is_a_nulls(first))
        first->pprev = &n->next;
}
/// Take off; `next` stays, for readers that stand on it. Writer's lock held.
inline void hlist_nulls_del_rcu(hlist_nulls_node *n)
{
    hlist_nulls_node *next = n->next;
    write_once(*n->pprev, next);
    if (!is_a_nulls(next))
        next->pprev = n->pprev;
    n->pprev = nullptr;
}
