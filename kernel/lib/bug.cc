// SPDX-License-Identifier: MIT
// Panic, warnings, backtraces. Any context. Linux: kernel/panic.c.
#include "arch/arch.h"
#include "lib/cmdline.h"
#include "lib/printk.h"
#include "lib/string.h"
#include <atomic>

void printk_panicking();

namespace
{
constexpr unsigned MAX_FRAMES = 32;
std::atomic<u32> panic_cpu{0}; // CPU + 1

/// Seconds of `panic=`: 0 wait for ever, negative: restart at once.
s64 panic_timeout()
{
    char v[16];
    if (!cmdline_get("panic", v, sizeof(v)))
        return 0;
    bool negative = v[0] == '-';
    u64 n = strtoul(v + negative, nullptr, 10);
    return negative ? -1 : static_cast<s64>(min(n, 86400));
}
} // namespace

/// Implemented where tasks are known: "comm: x Pid: 1" of the current task. Weak: nothing before
/// that is linked.
[[gnu::weak]] void panic_describe_task(char *buf, size_t n)
{
    strlcpy(buf, "?", n);
}

static void print_frames(log_level level)
{
    u64 frame[MAX_FRAMES];
    unsigned n = arch_backtrace(frame, MAX_FRAMES, nullptr);
    printk(level, "Call Trace:\n");
    for (unsigned i = 0; i < n; i++)
        printk(level, " [<%016lx>] %pS\n", frame[i], reinterpret_cast<void *>(frame[i]));
}

void dump_stack()
{
    print_frames(KERN_WARNING);
}

void warn_slow(const char *file, int line, const char *what)
{
    printk(KERN_WARNING, "WARNING: CPU %u at %s:%d: %s\n", smp_processor_id(), file, line, what);
    dump_stack();
}

void panic(const char *fmt, ...)
{
    local_irq_disable();
    u32 me = smp_processor_id() + 1, expect = 0;
    // One CPU reports; a second panic on the same CPU (a fault while reporting) just stops.
    if (!panic_cpu.compare_exchange_strong(expect, me))
        arch_stop_cpu();
    for (unsigned i = 0; i < num_online_cpus(); i++)
        if (i + 1 != me)
            arch_send_ipi(i, ipi::stop);
    printk_panicking();
    console_loglevel = 8;
    char msg[512], task[64];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    panic_describe_task(task, sizeof(task));
    printk(KERN_EMERG, "Kernel panic - not syncing: %s\n", msg);
    printk(KERN_EMERG, "CPU: %u %s\n", me - 1, task);
    print_frames(KERN_EMERG);
    s64 t = panic_timeout();
    if (t) {
        if (t > 0)
            printk(KERN_EMERG, "Rebooting in %ld seconds..\n", t);
        for (s64 s = 0; s < t; s++)
            arch_udelay(1'000'000);
        arch_restart();
    }
    printk(KERN_EMERG, "---[ end Kernel panic - not syncing: %s\n", msg);
    arch_stop_cpu();
}
