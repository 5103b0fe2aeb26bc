// SPDX-License-Identifier: MIT
// Per-CPU variables: one T per CPU, each on its own cache lines. The caller must not migrate while it holds a reference.
#pragma once

#include "arch/arch.h"

template <class T>
class percpu : pinned
{
public:
    /// This CPU's copy.
    T &operator*() { return slot_[smp_processor_id()].value; }
    T *operator->() { return &slot_[smp_processor_id()].value; }
    /// CPU `cpu`'s copy: the owner's rules decide whether touching it is allowed.
    T &on(unsigned cpu) { return slot_[cpu].value; }

private:
    struct alignas(64) padded {
        T value{};
    };
    padded slot_[NR_CPUS];
};

/// A statistics counter: added to per CPU without locks, summed by readers.
class percpu_counter
{
public:
    void add(u64 n) { c_.on(smp_processor_id()).v += n; }
    void inc() { add(1); }
    u64 sum()
    {
        u64 s = 0;
        for (unsigned i = 0; i < NR_CPUS; i++)
            s += read_once(c_.on(i).v);
        return s;
    }

private:
    struct cell {
        u64 v = 0;
    };
    percpu<cell> c_;
};
