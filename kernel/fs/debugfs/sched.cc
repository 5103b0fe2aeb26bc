// SPDX-License-Identifier: MIT
// /sys/kernel/debug/sched and net/softirq_vec (formats: docs/debugfs.md). Process context.
// Locks: tasklist_lock while tasks are printed, which is why printing must not allocate (fs/seq_file.cc).

#include "sched/sched.h"
#include "fs/pseudo.h"
#include "irq/softirq.h"
#include "lib/initcall.h"

namespace
{
unsigned long long ull(u64 v)
{
    return v;
}

void show_runqueue(seq_file *m)
{
    for (unsigned cpu = 0; cpu < num_online_cpus(); cpu++) {
        runqueue_info i;
        sched_runqueue_info(cpu, &i);
        seq_printf(m, "cpu=%u nr_running=%u nr_switches=%llu curr=%d curr_comm=%s idle=%d\n", cpu,
                   i.nr_running, ull(i.nr_switches), i.curr ? i.curr->pid : 0,
                   i.curr ? i.curr->comm : "-", i.idle);
        if (i.curr)
            put_task(i.curr);
    }
}

char state_char(const task_struct *t)
{
    if (t->exit_state.load())
        return 'Z';
    u32 s = t->state.load();
    return s & TASK_INTERRUPTIBLE     ? 'S'
           : s & TASK_UNINTERRUPTIBLE ? 'D'
           : s & TASK_STOPPED         ? 'T'
           : s & TASK_DEAD            ? 'X'
                                      : 'R';
}

void show_task(task_struct *t, void *arg)
{
    const void *at = read_once(t->wchan);
    bool asleep = t->state.load() != TASK_RUNNING && !t->on_cpu.load();
    seq_printf(static_cast<seq_file *>(arg),
               "pid=%d tgid=%d comm=%s state=%c cpu=%u cpus_allowed=0x%llx on_rq=%u nvcsw=%llu "
               "nivcsw=%llu runtime_us=%llu "
               "wchan=%s flags=0x%x\n",
               t->pid, t->tgid, t->comm, state_char(t), t->cpu, ull(t->cpus_allowed), t->on_rq,
               ull(t->nvcsw.load()), ull(t->nivcsw.load()), ull(t->sum_exec_runtime / 1000),
               asleep && at ? kallsyms_lookup(reinterpret_cast<u64>(at), nullptr) : "-", t->flags);
}

void show_tasks(seq_file *m)
{
    for_each_task(show_task, m);
}

void show_cpustat(seq_file *m)
{
    for (unsigned cpu = 0; cpu < num_online_cpus(); cpu++)
        seq_printf(m, "cpu=%u user=%llu system=%llu softirq=%llu irq=%llu idle=%llu\n", cpu,
                   ull(cpu_time(cpu, CPUTIME_USER)), ull(cpu_time(cpu, CPUTIME_SYSTEM)),
                   ull(cpu_time(cpu, CPUTIME_SOFTIRQ)), ull(cpu_time(cpu, CPUTIME_IRQ)),
                   ull(cpu_time(cpu, CPUTIME_IDLE)));
}

void show_softirq_vec(seq_file *m)
{
    for (unsigned nr = 0; nr < NR_SOFTIRQS; nr++)
        seq_printf(m, "%u %s %s\n", nr, softirq_to_name[nr],
                   softirq_vec[nr].name ? softirq_vec[nr].name : "-");
}

int sched_debug_init()
{
    int err = debugfs_create("sched/runqueue", show_runqueue);
    err |= debugfs_create("sched/tasks", show_tasks);
    err |= debugfs_create("sched/cpustat", show_cpustat);
    err |= debugfs_create("net/softirq_vec", show_softirq_vec);
    return err;
}
fs_initcall(sched_debug_init);
} // namespace
