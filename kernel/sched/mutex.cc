// SPDX-License-Identifier: MIT
// Sleeping mutexes. Linux: kernel/mutex.c. One compare-and-swap when nobody competes; waiters queue in order of arrival.
// A newcomer may take a free mutex before a waiter that was just woken; the waiter then keeps its place at the head.
#include "sched/mutex.h"

static bool take(task_struct **owner)
{
    task_struct *none = nullptr;
    return __atomic_compare_exchange_n(owner, &none, current(), false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

void mutex::lock_nested(unsigned subclass) NO_THREAD_SAFETY_ANALYSIS
{
    might_sleep();
    lockdep_acquire_sleeping(class_, this, __builtin_return_address(0), subclass);
    if (take(&owner_)) [[likely]]
        return;
    wait_queue w{default_wake_function, current()}; // stays queued when woken: keeps its place
    for (;;) {
        prepare_to_wait_exclusive(&wq_, &w, TASK_UNINTERRUPTIBLE);
        if (take(&owner_))
            break;
        schedule_from(__builtin_return_address(0));
    }
    finish_wait(&wq_, &w);
}

bool mutex::try_lock() NO_THREAD_SAFETY_ANALYSIS
{
    if (!take(&owner_))
        return false;
    lockdep_acquire_sleeping_try(class_, this, __builtin_return_address(0));
    return true;
}

void mutex::unlock() NO_THREAD_SAFETY_ANALYSIS
{
    lockdep_release_sleeping(class_, this);
    __atomic_store_n(&owner_, nullptr, __ATOMIC_RELEASE);
    smp_mb(); // the free mutex before the look for waiters: pairs with prepare_to_wait_exclusive()
    if (wq_.active())
        __wake_up(&wq_, TASK_NORMAL, 1, nullptr);
}
