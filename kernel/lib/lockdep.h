// SPDX-License-Identifier: MIT
// A small lockdep: debug kernels record the order in which lock classes nest and the context in which each is
// taken, and panic at the first inversion, recursion or IRQ/BH-unsafe use. Compiled out of release kernels.
#pragma once

#include "lib/types.h"

#if SOFTNET_DEBUG

struct lock_class {
    const char *name;
    u16 id = 0; // index in lockdep's table once it was seen
    constexpr explicit lock_class(const char *n) : name{n} {}
};
/// One lock that is held, for reports and checks.
struct held_lock {
    u16 id;
    const void *lock;
    void *ip;
};
/// Sleeping locks that a task holds (spinlocks are kept per CPU).
struct lockdep_task {
    held_lock held[8];
    u32 depth = 0;
};
/// A lock of this class is about to be waited for / was taken by trylock / is released. Any context. A subclass (0…7) other
/// than 0 says that the caller knows an order among locks of one class (a child socket inside its listener, an epoll
/// inside an epoll) and has an order of its own in the graph.
void lockdep_acquire(lock_class &c, const void *lock, void *ip, unsigned subclass = 0);
void lockdep_acquire_try(lock_class &c, const void *lock, void *ip);
void lockdep_release(lock_class &c, const void *lock);
/// The same for sleeping locks: the holder is the task. [P]
void lockdep_acquire_sleeping(lock_class &c, const void *lock, void *ip, unsigned subclass = 0);
void lockdep_acquire_sleeping_try(lock_class &c, const void *lock, void *ip);
void lockdep_release_sleeping(lock_class &c, const void *lock);
/// Panic unless sleeping is allowed here (no spinlock held, not in interrupt, IRQs on).
void might_sleep();

#else

struct lockdep_task {
};
struct lock_class {
    constexpr explicit lock_class(const char *) {}
};
inline void lockdep_acquire(lock_class &, const void *, void *, unsigned = 0) {}
inline void lockdep_acquire_try(lock_class &, const void *, void *) {}
inline void lockdep_release(lock_class &, const void *) {}
inline void lockdep_acquire_sleeping(lock_class &, const void *, void *, unsigned = 0) {}
inline void lockdep_acquire_sleeping_try(lock_class &, const void *, void *) {}
inline void lockdep_release_sleeping(lock_class &, const void *) {}
inline void might_sleep() {}

#endif
