// SPDX-License-Identifier: MIT
// What tests, fuzzers and simulations do with a kernel that runs as a Linux process: boot it, run code in its tasks, move its
// clock, raise interrupts. Called from the host's main thread, outside the kernel, unless marked [K] (inside a kernel task).
//
// Everything is deterministic: one host thread, virtual CPUs that take turns by a seeded generator, a virtual clock that
// jumps to the next timer when every CPU is idle. A process boots once.
#pragma once

#include "lib/types.h"

/// How to boot. Zero members take defaults.
struct host_config {
    unsigned cpus = 1;
    u64 seed = 1;
    size_t memory = size_t{64} << 20;
    const char *cmdline = "";
};
/// Boot the kernel: memory, scheduler, all initcalls, all CPUs. Panics end the process. Returns once it idles.
void host_boot(unsigned ncpus, u64 seed);
void host_boot(const host_config &config);

/// Run until cond(arg) is true (tested each time a virtual CPU gives up its turn) or `limit_ns` of virtual time have passed
/// (~0: no limit), or nothing can ever happen again. Returns cond's last answer; null cond: run until idle or the limit, true.
bool host_run_until(bool (*cond)(void *), void *arg, u64 limit_ns);
/// Let `ns` of virtual time pass.
void host_advance_ns(u64 ns);
/// [K] Time passes while this CPU computes: the clock moves, timers that become due interrupt.
void host_consume_ns(u64 ns);
u64 host_now_ns();

/// Start fn(arg) in a new kernel thread, on `cpu` (-1: any). Returns at once; it runs under host_run_until().
void host_spawn(void (*fn)(void *), void *arg, int cpu);
/// Run fn(arg) in a kernel thread and the kernel until it has returned. False: it never did (deadlock, panic).
bool host_run(void (*fn)(void *), void *arg);

/// Raise virtual interrupt `irq` (its number in the kernel) on a CPU; delivered when that CPU has IRQs on. Also [K].
void host_raise_irq(unsigned irq, unsigned cpu);

/// From now on virtual CPUs change turns at random, at one of `one_in` places (0: only when they wait).
void host_preempt(unsigned one_in);
/// Restart the generator of turns: each seed is another interleaving.
void host_seed(u64 seed);
/// A number from a generator of the test's own.
u64 host_random();

/// Memory that user pointers may point to: [start, start+n). Everything else faults.
void host_user_memory(void *start, size_t n);

/// Expect a panic: host_run*() then return false and host_panicked() is true, instead of ending the process. The kernel is
/// dead afterwards.
void host_expect_panic();
bool host_panicked();
/// What the console got since boot (NUL-terminated, the newest 64 KiB), and whether to copy it to stderr.
const char *host_console();
void host_console_echo(bool on);

/// Expectations inside kernel tasks, where CMocka's longjmp must not be used: count and print, the test asserts zero.
void host_expect_failed(const char *file, int line, const char *what);
unsigned host_failures();
#define HOST_EXPECT(c)                                  \
    do {                                                \
        if (!(c))                                       \
            host_expect_failed(__FILE__, __LINE__, #c); \
    } while (0)

/// End the process with all output written, without running destructors (the kernel's objects are never destroyed).
[[noreturn]] void host_exit(int status);
