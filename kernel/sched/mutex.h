// SPDX-License-Identifier: MIT
// Sleeping mutual exclusion and completions. Process context.
#pragma once

#include "sched/sched.h"

/// Sleeping lock, FIFO. Checked by lockdep like a spinlock, minus the IRQ rules.
class CAPABILITY("mutex") mutex : pinned
{
public:
    explicit mutex(const char *name) : class_{name} {}
    void lock() ACQUIRE() { lock_nested(0); }
    /// lock() where another of the same class may be held: see lockdep_acquire(). Linux mutex_lock_nested.
    void lock_nested(unsigned subclass) ACQUIRE();
    bool try_lock() TRY_ACQUIRE(true);
    void unlock() RELEASE();
    /// Whether the current task holds it.
    bool held() const { return owner_ == current_task(); }

private:
    wait_queue_head wq_;
    task_struct *owner_ = nullptr;
    [[no_unique_address]] lock_class class_;
};
class SCOPED_CAPABILITY mutex_guard : pinned
{
public:
    explicit mutex_guard(mutex &m) ACQUIRE(m) : m_{m} { m_.lock(); }
    ~mutex_guard() RELEASE() { m_.unlock(); }

private:
    mutex &m_;
};

/// One-shot event with a count (Linux struct completion).
struct completion {
    wait_queue_head wait;
    unsigned done = 0;
};
void complete(completion *c);
void complete_all(completion *c);
void wait_for_completion(completion *c);
