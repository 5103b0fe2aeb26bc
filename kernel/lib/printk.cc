// SPDX-License-Identifier: MIT
// The kernel log: a ring of text and the console. Any context, also inside a panic. Linux:
// kernel/printk/printk.c. log_lock (IRQs off) protects the ring and serialises the console; a CPU
// that panics while another holds it, or while it holds it itself, goes on without after a short
// wait.
#include "lib/printk.h"
#include "arch/arch.h"
#include "lib/string.h"
#include <atomic>

int console_loglevel = 7;

namespace
{
constexpr size_t LOG_SIZE = 128 * 1024;
char ring[LOG_SIZE];
u64 log_end; // bytes ever written

// Not a spinlock: lockdep reports through printk.
std::atomic<u32> lock_owner{0}; // CPU + 1
std::atomic<bool> panicking{false};

/// Returns whether the lock was taken; false only on the way down.
bool take_lock()
{
    u32 me = smp_processor_id() + 1;
    for (u64 spins = 0;; spins++) {
        u32 expect = 0;
        if (lock_owner.compare_exchange_weak(expect, me, std::memory_order_acquire))
            return true;
        // A fault inside printk itself, or a panic while another CPU was printing and was stopped.
        if (expect == me || (panicking.load(std::memory_order_relaxed) && spins > 10'000'000))
            return false;
        cpu_relax();
    }
}

void ring_put(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ring[log_end++ % LOG_SIZE] = s[i];
}

void emit(const char *s, size_t n, bool console)
{
    ring_put(s, n);
    if (console)
        arch_console_write(s, n);
}

/// Text line by line, each with its time; a missing newline at the end is added.
void write_text(log_level level, const char *s, size_t n)
{
    bool console = level < console_loglevel;
    u64 us = arch_clock_ns() / 1000;
    char stamp[32];
    size_t stamp_len = static_cast<size_t>(
        snprintf(stamp, sizeof(stamp), "[%5lu.%06lu] ", us / 1'000'000, us % 1'000'000));
    while (n) {
        const char *nl = static_cast<const char *>(__builtin_memchr(s, '\n', n));
        size_t k = nl ? static_cast<size_t>(nl - s) : n;
        emit(stamp, stamp_len, console);
        emit(s, k, console);
        emit("\n", 1, console);
        k += nl != nullptr;
        s += k;
        n -= k;
    }
}
} // namespace

void printk_panicking()
{
    panicking.store(true, std::memory_order_relaxed);
}

void vprintk(log_level level, const char *fmt, va_list ap)
{
    char buf[1024];
    int len = vsnprintf(buf, sizeof(buf), fmt, ap);
    size_t n = min(static_cast<size_t>(len), sizeof(buf) - 1);
    irq_flags flags = local_irq_save();
    bool locked = take_lock();
    write_text(level, buf, n);
    if (locked)
        lock_owner.store(0, std::memory_order_release);
    local_irq_restore(flags);
}

void printk(log_level level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vprintk(level, fmt, ap);
    va_end(ap);
}

void console_write(const char *s, size_t n)
{
    irq_flags flags = local_irq_save();
    bool locked = take_lock();
    arch_console_write(s, n);
    if (locked)
        lock_owner.store(0, std::memory_order_release);
    local_irq_restore(flags);
}

size_t printk_read_all(char *buf, size_t n)
{
    irq_flags flags = local_irq_save();
    bool locked = take_lock();
    size_t have = min(log_end, LOG_SIZE);
    size_t take = min(have, n);
    // The newest text is what matters when not all fits.
    for (size_t i = 0; i < take; i++)
        buf[i] = ring[(log_end - take + i) % LOG_SIZE];
    if (locked)
        lock_owner.store(0, std::memory_order_release);
    local_irq_restore(flags);
    return take;
}

bool printk_ratelimit()
{
    constexpr u64 INTERVAL_NS = 5'000'000'000;
    constexpr u32 BURST = 10;
    static std::atomic<u64> window_start{0};
    static std::atomic<u32> printed{0};
    u64 now = arch_clock_ns();
    u64 start = window_start.load(std::memory_order_relaxed);
    if (now - start >= INTERVAL_NS || !start) {
        window_start.store(now ? now : 1, std::memory_order_relaxed);
        printed.store(0, std::memory_order_relaxed);
    }
    return printed.fetch_add(1, std::memory_order_relaxed) < BURST;
}
