// SPDX-License-Identifier: MIT
// Spinlocks and their guards. A guard names its context:
//   spin_guard<plain>   caller is already in the right context (IRQs off, or softirq on its own data)
//   spin_guard<bh>      process context: keeps softirqs off this CPU while held
//   spin_guard<irqsave> any context: IRQs off while held
// Debug kernels check lock order, IRQ/BH consistency and recursion (lib/lockdep.h).
#pragma once

#include "arch/arch.h"
#include "lib/annotations.h"
#include "lib/lockdep.h"
#include "lib/preempt.h"
#include <atomic>

/// Ticket lock. Name = its lock class in lockdep reports; locks of one class share ordering rules.
class CAPABILITY("spinlock") spinlock : pinned
{
public:
    constexpr explicit spinlock(const char *name) : class_{name} {}

    void lock() ACQUIRE() { lock_nested(0); }
    /// lock() where another of the same class may be held: see lockdep_acquire(). Linux spin_lock_nested.
    void lock_nested(unsigned subclass) ACQUIRE()
    {
        lockdep_acquire(class_, this, _builtin_return(), subclass);
        u16 me = next_.fetch_add(1, std::memory_order_relaxed);
        while (serving_.load(std::memory_order_acquire) != me)
            cpu_relax();
    }
    bool try_lock() TRY_ACQUIRE(true)
    {
        u16 s = serving_.load(std::memory_order_relaxed);
        u16 expect = s;
        if (!next_.compare_exchange_strong(expect, static_cast<u16>(s + 1),
                                           std::memory_order_acquire, std::memory_order_relaxed))
            return false;
        lockdep_acquire_try(class_, this, _builtin_return());
        return true;
    }
    void unlock() RELEASE()
    {
        lockdep_release(class_, this);
        serving_.store(static_cast<u16>(serving_.load(std::memory_order_relaxed) + 1),
                       std::memory_order_release);
    }
    bool is_locked() const
    {
        return next_.load(std::memory_order_relaxed) != serving_.load(std::memory_order_relaxed);
    }

private:
    static void *_builtin_return() { return __builtin_return_address(0); }
    std::atomic<u16> next_{0}, serving_{0};
    [[no_unique_address]] lock_class class_;
};

struct plain {
};
struct bh {
};
struct irqsave {
};

template <class Context>
class spin_guard;

template <>
class SCOPED_CAPABILITY spin_guard<plain> : pinned
{
public:
    explicit spin_guard(spinlock &l) ACQUIRE(l) : l_{l} { l_.lock(); }
    ~spin_guard() RELEASE() { l_.unlock(); }

private:
    spinlock &l_;
};

template <>
class SCOPED_CAPABILITY spin_guard<bh> : pinned
{
public:
    explicit spin_guard(spinlock &l) ACQUIRE(l) : l_{l}
    {
        local_bh_disable();
        l_.lock();
    }
    ~spin_guard() RELEASE()
    {
        l_.unlock();
        local_bh_enable();
    }

private:
    spinlock &l_;
};

template <>
class SCOPED_CAPABILITY spin_guard<irqsave> : pinned
{
public:
    explicit spin_guard(spinlock &l) ACQUIRE(l) : l_{l}, flags_{local_irq_save()} { l_.lock(); }
    ~spin_guard() RELEASE()
    {
        l_.unlock();
        local_irq_restore(flags_);
    }

private:
    spinlock &l_;
    irq_flags flags_;
};

/// IRQs off for a scope, without a lock (per-CPU data).
class irq_guard : pinned
{
public:
    irq_guard() : flags_{local_irq_save()} {}
    ~irq_guard() { local_irq_restore(flags_); }

private:
    irq_flags flags_;
};
/// BHs off for a scope.
class bh_guard : pinned
{
public:
    bh_guard() { local_bh_disable(); }
    ~bh_guard() { local_bh_enable(); }
};
