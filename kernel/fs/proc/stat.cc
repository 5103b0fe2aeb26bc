// SPDX-License-Identifier: MIT
// /proc/stat, uptime, loadavg, version, cmdline, cpuinfo. Linux: fs/proc/{stat,uptime,loadavg,version,cmdline}.c. Process context.

#include "fs/proc/internal.h"
#include "irq/irq.h"
#include "irq/softirq.h"
#include "lib/initcall.h"
#include "time/timer.h"

namespace
{
/// Tasks in uninterruptible sleep, and the highest pid.
struct task_counts {
    unsigned blocked = 0, total = 0;
    s32 last_pid = 0;
};

task_counts count_tasks()
{
    task_counts c;
    for_each_task(
        [](task_struct *t, void *arg) {
            auto *n = static_cast<task_counts *>(arg);
            n->total++;
            n->blocked += t->state.load(std::memory_order_relaxed) == TASK_UNINTERRUPTIBLE &&
                          !(t->flags & PF_KTHREAD);
            n->last_pid = max(n->last_pid, t->pid);
        },
        &c);
    return c;
}

/// user nice system idle iowait irq softirq steal guest guest_nice
void show_cpu_line(seq_file *m, const u64 ns[NR_CPUTIME])
{
    auto ticks = [&](cpu_time_class c) { return ull(ns[c] / NSEC_PER_TICK); };
    seq_printf(m, " %llu 0 %llu %llu 0 %llu %llu 0 0 0\n", ticks(CPUTIME_USER),
               ticks(CPUTIME_SYSTEM), ticks(CPUTIME_IDLE), ticks(CPUTIME_IRQ),
               ticks(CPUTIME_SOFTIRQ));
}

void show_interrupt_sums(seq_file *m)
{
    u64 total = 0;
    for (unsigned pass = 0; pass < 2; pass++) {
        if (pass)
            seq_printf(m, "intr %llu", ull(total));
        for (unsigned irq = 0; irq < NR_IRQS; irq++) {
            irq_info info;
            u64 n = 0;
            if (irq_get_info(irq, &info))
                for (unsigned cpu = 0; cpu < num_online_cpus(); cpu++)
                    n += info.count[cpu];
            if (pass)
                seq_printf(m, " %llu", ull(n));
            else
                total += n;
        }
        for (unsigned cpu = 0; !pass && cpu < num_online_cpus(); cpu++)
            total += timer_irq_count(cpu) + ipi_count(cpu, ipi::reschedule) +
                     ipi_count(cpu, ipi::call_function);
    }
    seq_putc(m, '\n');
}

void show_softirq_sums(seq_file *m)
{
    u64 sum[NR_SOFTIRQS] = {}, total = 0;
    for (unsigned nr = 0; nr < NR_SOFTIRQS; nr++) {
        for (unsigned cpu = 0; cpu < num_online_cpus(); cpu++)
            sum[nr] += softirq_count(cpu, nr);
        total += sum[nr];
    }
    seq_printf(m, "softirq %llu", ull(total));
    for (u64 n : sum)
        seq_printf(m, " %llu", ull(n));
    seq_putc(m, '\n');
}

void show_stat(seq_file *m)
{
    u64 all[NR_CPUTIME] = {};
    for (unsigned cpu = 0; cpu < num_online_cpus(); cpu++)
        for (unsigned c = 0; c < NR_CPUTIME; c++)
            all[c] += cpu_time(cpu, static_cast<cpu_time_class>(c));
    seq_puts(m, "cpu ");
    show_cpu_line(m, all);
    for (unsigned cpu = 0; cpu < num_online_cpus(); cpu++) {
        u64 one[NR_CPUTIME];
        for (unsigned c = 0; c < NR_CPUTIME; c++)
            one[c] = cpu_time(cpu, static_cast<cpu_time_class>(c));
        seq_printf(m, "cpu%u", cpu);
        show_cpu_line(m, one);
    }
    show_interrupt_sums(m);
    u64 btime = (ktime_get_real() - ktime_get()) / NSEC_PER_SEC;
    seq_printf(m, "ctxt %llu\nbtime %llu\nprocesses %llu\nprocs_running %u\nprocs_blocked %u\n",
               ull(nr_context_switches()), ull(btime), ull(total_forks()), nr_running(),
               count_tasks().blocked);
    show_softirq_sums(m);
}

void show_uptime(seq_file *m)
{
    u64 idle = 0, up = ktime_get();
    for (unsigned cpu = 0; cpu < num_online_cpus(); cpu++)
        idle += cpu_time(cpu, CPUTIME_IDLE);
    auto hundredths = [](u64 ns) { return ull(ns % NSEC_PER_SEC / 10'000'000); };
    seq_printf(m, "%llu.%02llu %llu.%02llu\n", ull(up / NSEC_PER_SEC), hundredths(up),
               ull(idle / NSEC_PER_SEC), hundredths(idle));
}

// Load averages: every 5 s each moves towards the number of active tasks by 1 - e^(-5/T), T = 60, 300, 900 s, in 11-bit
// fixed point (Linux kernel/sched/core.c calc_load; the factors are round(2048 e^(-5/T))).
constexpr u64 FIXED_1 = 2048, LOAD_FREQ = 5 * HZ + 1;
constexpr u64 decay[3] = {1884, 2014, 2037};
u64 avenrun[3];
alignas(timer_list) u8 load_timer_room[sizeof(timer_list)];

void sample_load(timer_list *t)
{
    u64 active = (nr_running() + count_tasks().blocked) * FIXED_1;
    for (unsigned i = 0; i < 3; i++) {
        u64 next = avenrun[i] * decay[i] + active * (FIXED_1 - decay[i]);
        write_once(avenrun[i], (next + (active > avenrun[i] ? FIXED_1 - 1 : 0)) / FIXED_1);
    }
    mod_timer(t, jiffies() + LOAD_FREQ);
}

void show_loadavg(seq_file *m)
{
    for (u64 load : avenrun) {
        u64 rounded = load + FIXED_1 / 200;
        seq_printf(m, "%llu.%02llu ", ull(rounded / FIXED_1),
                   ull(rounded % FIXED_1 * 100 / FIXED_1));
    }
    task_counts c = count_tasks();
    seq_printf(m, "%u/%u %d\n", nr_running(), c.total, c.last_pid);
}

void show_cmdline(seq_file *m)
{
    seq_printf(m, "%s\n", arch_command_line());
}

void show_cpuinfo(seq_file *m)
{
    for (unsigned cpu = 0; cpu < num_online_cpus(); cpu++) {
        arch_describe_cpu(
            cpu,
            [](void *arg, const char *name, const char *value) {
                seq_printf(static_cast<seq_file *>(arg), "%s:%s%s\n", name, *value ? " " : "",
                           value);
            },
            m);
        seq_putc(m, '\n');
    }
}
} // namespace

int proc_stat_init()
{
    auto *t = new (load_timer_room) timer_list(sample_load);
    mod_timer(t, jiffies() + LOAD_FREQ);
    int err = proc_create("stat", show_stat);
    err |= proc_create("uptime", show_uptime);
    err |= proc_create("loadavg", show_loadavg);
    err |= proc_create("cmdline", show_cmdline);
    err |= proc_create("cpuinfo", show_cpuinfo);
    return err;
}
