// SPDX-License-Identifier: MIT
// Reference count that saturates instead of wrapping. Any context.
#pragma once

#include "lib/printk.h"
#include <atomic>

class refcount
{
public:
    constexpr explicit refcount(int n = 1) : n_{n} {}
    void get()
    {
        int old = n_.fetch_add(1, std::memory_order_relaxed);
        BUG_ON(old <= 0);
    }
    /// Take a reference unless the object is already dying.
    bool get_unless_zero()
    {
        int v = n_.load(std::memory_order_relaxed);
        while (v > 0)
            if (n_.compare_exchange_weak(v, v + 1, std::memory_order_acquire))
                return true;
        return false;
    }
    /// Drop one; true when it was the last and the caller must free.
    [[nodiscard]] bool put()
    {
        int old = n_.fetch_sub(1, std::memory_order_acq_rel);
        BUG_ON(old <= 0);
        return old == 1;
    }
    int read() const { return n_.load(std::memory_order_relaxed); }

private:
    std::atomic<int> n_;
};
