// SPDX-License-Identifier: MIT
// A small lockdep: debug kernels record the order in which lock classes nest and the context in which each is
// taken, and panic at the first inversion, recursion or IRQ/BH-unsafe use. Compiled out of release kernels.
#pragma once

#include "lib/types.h"

#if SOFTNET_DEBUG

struct lock_class {
    const char *name;
    constexpr explicit lock_class(const char *n) : name{n} {}
};
/// A lock of this class is about to be waited for / was taken by trylock / is released. Any context.
void lockdep_acquire(lock_class &c, const void *lock, void *ip);
void lockdep_acquire_try(lock_class &c, const void *lock, void *ip);
void lockdep_release(lock_class &c, const void *lock);
/// Panic unless sleeping is allowed here (no spinlock held, not in interrupt, IRQs on).
void might_sleep();

#else

struct lock_class {
    constexpr explicit lock_class(const char *) {}
};
inline void lockdep_acquire(lock_class &, const void *, void *) {}
inline void lockdep_acquire_try(lock_class &, const void *, void *) {}
inline void lockdep_release(lock_class &, const void *) {}
inline void might_sleep() {}

#endif
