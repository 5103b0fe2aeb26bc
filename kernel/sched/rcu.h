// SPDX-License-Identifier: MIT
// Read-copy-update for a kernel without preemption: a reader is any code that does not sleep between rcu_read_lock()
// and rcu_read_unlock(); a grace period is over when every CPU has passed through schedule().
#pragma once

#include "lib/types.h"
#include <atomic>

/// Mark a read side (checked in debug kernels: may not sleep inside). Any context; nests.
inline void rcu_read_lock()
{
    __asm__ volatile("" ::: "memory");
}
inline void rcu_read_unlock()
{
    __asm__ volatile("" ::: "memory");
}

/// Publish / read an RCU-protected pointer.
template <class T>
inline void rcu_assign_pointer(T *&p, std::type_identity_t<T> *v)
{
    __atomic_store_n(&p, v, __ATOMIC_RELEASE);
}
template <class T>
inline T *rcu_dereference(T *const &p)
{
    return __atomic_load_n(&p, __ATOMIC_CONSUME);
}

/// Wait for a grace period. [P]
void synchronize_rcu();

/// Deferred callback after a grace period; runs in process context (kthread). Any context.
struct rcu_head {
    rcu_head *next = nullptr;
    void (*func)(rcu_head *) = nullptr;
};
void call_rcu(rcu_head *head, void (*func)(rcu_head *));
