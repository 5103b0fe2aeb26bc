// SPDX-License-Identifier: MIT
// Random delays before and after system calls, so that races between tasks happen which else need years: `syscall_delay=` on the command line
// or /sys/kernel/debug/syscall_delay (docs/debugfs.md). Off by default. Linux: compare lib/fault-inject.c. Process context; no locks.

#include "fs/seq_file.h"
#include "lib/cmdline.h"
#include "lib/initcall.h"
#include "lib/printk.h"
#include "lib/random.h"
#include "lib/string.h"
#include "sched/sched.h"
#include "syscall/watch.h"

namespace
{
/// What was asked for: the generator's seed (0: no delays), one delay in how many places, and the longest in microseconds.
struct settings {
    u64 seed = 0, one_in = 16, longest = 10000;
};
settings now;
std::atomic<u32> places; // passed so far

/// "SEED[,ONE_IN[,MICROSECONDS]]". False: not that.
bool parse(const char *s, settings *to)
{
    for (u64 *field : {&to->seed, &to->one_in, &to->longest}) {
        const char *end;
        *field = strtoul(s, &end, 10);
        if (end == s || (*end && *end != ','))
            return false;
        if (!*end)
            break;
        s = end + 1;
    }
    return to->one_in > 0 && to->longest > 0 && to->longest <= NSEC_PER_SEC / NSEC_PER_USEC;
}

void set(const settings &wanted)
{
    now = wanted;
    watch_syscalls(WATCH_DELAY, now.seed != 0);
}

void delay_show(seq_file *m)
{
    seq_printf(m, "%llu,%llu,%llu\n", static_cast<unsigned long long>(now.seed),
               static_cast<unsigned long long>(now.one_in),
               static_cast<unsigned long long>(now.longest));
}

int delay_store(char *text, size_t n, void *)
{
    while (n && text[n - 1] == '\n')
        text[--n] = 0;
    settings wanted;
    if (!parse(text, &wanted))
        return -EINVAL;
    set(wanted);
    return 0;
}

int delay_init()
{
    char value[64];
    if (cmdline_get("syscall_delay", value, sizeof value)) {
        settings wanted;
        if (parse(value, &wanted))
            set(wanted);
        else
            pr_warn("syscall_delay=%s: wanted SEED[,ONE_IN[,MICROSECONDS]]", value);
    }
    return debugfs_create("syscall_delay", delay_show, nullptr, delay_store);
}
late_initcall(delay_init);
} // namespace

void syscall_delay()
{
    u32 r = jhash_3words(places.fetch_add(1, std::memory_order_relaxed), 0, 0,
                         static_cast<u32>(now.seed));
    if (!(syscall_watchers.load(std::memory_order_relaxed) & WATCH_DELAY) || r % now.one_in)
        return;
    // Short delays are as likely as long ones: each power of two up to the longest has the same share.
    u32 shift = jhash_3words(r, 1, 0, 0) % (64 - static_cast<u32>(__builtin_clzll(now.longest)));
    u64 most = min(u64{2} << shift, now.longest);
    set_current_state(TASK_UNINTERRUPTIBLE);
    schedule_hrtimeout(ktime_get() + (jhash_3words(r, 2, 0, 0) % most + 1) * NSEC_PER_USEC);
}
