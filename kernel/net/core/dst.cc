// SPDX-License-Identifier: MIT
// Reference counts of routes. Linux: net/core/dst.c. Any context. The last reference frees after a
// grace period, since look-ups hold none.

#include "net/core/dst.h"

std::atomic<u32> rt_genid{1};

static void dst_free_rcu(rcu_head *h)
{
    dst_entry *d = container_of(h, dst_entry, rcu);
    d->destroy(d);
}

void dst_release(dst_entry *d)
{
    if (d && d->refcnt.put())
        call_rcu(&d->rcu, dst_free_rcu);
}
