// SPDX-License-Identifier: MIT
// /proc/<pid>/stat and status. Linux: fs/proc/array.c; proc(5) lists the fields. Process context.
// Locks: tasklist_lock while the task's signal_state is read.

#include "fs/proc/internal.h"
#include "lib/string.h"
#include "mm/mm.h"

namespace
{

/// What is copied out of a process under its locks.
struct task_facts {
    s32 ppid = 0, pgrp = 0, session = 0, tty_nr = 0, tpgid = -1;
    u64 utime = 0, stime = 0, cutime = 0, cstime = 0;
    u32 threads = 1, queued = 0;
    u64 sigpending_limit = 0;
    u64 ignored = 0, caught = 0, shared_pending = 0, stack_limit = RLIM_INFINITY;
    u64 vsize = 0, rss = 0, maxrss = 0, start_stack = 0, start_brk = 0, data = 0;
    u64 arg_start = 0, arg_end = 0, env_start = 0, env_end = 0;
};

char state_char(const task_struct *t)
{
    if (u32 e = t->exit_state.load())
        return e & EXIT_ZOMBIE ? 'Z' : 'X';
    u32 s = t->state.load();
    return s & TASK_INTERRUPTIBLE     ? 'S'
           : s & TASK_UNINTERRUPTIBLE ? 'D'
           : s & TASK_STOPPED         ? 'T'
           : s & TASK_DEAD            ? 'X'
                                      : 'R';
}

const char *state_name(char c)
{
    switch (c) {
    case 'R':
        return "R (running)";
    case 'S':
        return "S (sleeping)";
    case 'D':
        return "D (disk sleep)";
    case 'T':
        return "T (stopped)";
    case 'Z':
        return "Z (zombie)";
    default:
        return "X (dead)";
    }
}

/// The parent's id; 0: none, or none any more. A thread that is about to go may have outlived its leader: signal_state.owner
/// says so. tasklist_lock held, t->signal is there.
s32 parent_id(const task_struct *t)
{
    const task_struct *leader = t->group_leader == t ? t : t->signal->owner;
    bool alive = leader && leader->parent && leader->exit_state.load() != EXIT_DEAD;
    return alive ? leader->parent->tgid : 0;
}

void read_signal_state(task_struct *t, task_facts *f)
{
    spin_guard<irqsave> g{tasklist_lock};
    signal_state *s = t->signal;
    if (!s)
        return;
    f->ppid = parent_id(t);
    f->pgrp = s->pgrp;
    f->session = s->session;
    f->tty_nr = s->tty && tty_device_number ? static_cast<s32>(tty_device_number(s->tty)) : 0;
    f->tpgid = s->tty && tty_foreground_pgrp ? tty_foreground_pgrp(s->tty) : -1;
    f->threads = s->nr_threads;
    f->cutime = s->cutime;
    f->cstime = s->cstime;
    f->stack_limit = s->rlim[RLIMIT_STACK].cur;
    f->shared_pending = s->shared.mask;
    f->sigpending_limit = s->rlim[RLIMIT_SIGPENDING].cur;
    spin_guard<plain> signals{s->lock};
    for (const sigqueue &q : s->shared.queue)
        f->queued += q.info.signo != 0;
    for (const sigqueue &q : t->sig.pending.queue)
        f->queued += q.info.signo != 0;
    for (unsigned i = 0; i < NSIG; i++) {
        u64 h = s->hand->action[i].handler;
        f->ignored |= h == SIG_IGN ? u64{1} << i : 0;
        f->caught |= h != SIG_IGN && h != SIG_DFL ? u64{1} << i : 0;
    }
}

void read_mm(task_struct *t, task_facts *f)
{
    mm_struct *mm = get_task_mm(t);
    if (!mm)
        return;
    f->vsize = mm->total_vm * PAGE_SIZE;
    f->rss = mm->rss.load();
    f->start_stack = mm->start_stack;
    f->start_brk = mm->start_brk;
    f->data = mm->brk - mm->start_brk;
    f->arg_start = mm->arg_start;
    f->arg_end = mm->arg_end;
    f->env_start = mm->env_start;
    f->env_end = mm->env_end;
    mm_put(mm);
}

task_facts collect(task_struct *t)
{
    task_facts f;
    read_signal_state(t, &f);
    process_times(t, &f.utime, &f.stime);
    read_mm(t, &f);
    return f;
}
} // namespace

s32 (*tty_foreground_pgrp)(void *tty);
u32 (*tty_device_number)(void *tty);

void show_pid_stat(seq_file *m, task_struct *t)
{
    task_facts f = collect(t);
    seq_printf(m, "%d (%s) %c %d %d %d %d %d %u 0 0 0 0", t->pid, t->comm, state_char(t), f.ppid,
               f.pgrp, f.session, f.tty_nr, f.tpgid,
               (t->flags & PF_KTHREAD ? 0x200000u : 0x400000u) |
                   (t->flags & PF_FORKNOEXEC ? 0x40u : 0));
    for (u64 ns : {f.utime, f.stime, f.cutime, f.cstime})
        seq_printf(m, " %llu", ull(ns / NSEC_PER_TICK));
    seq_printf(m, " %d %d %u 0 %llu %llu %llu %llu", 20 + t->nice, t->nice, f.threads,
               ull(t->start_time / NSEC_PER_TICK), ull(f.vsize), ull(f.rss), ull(f.stack_limit));
    // startcode endcode startstack kstkesp kstkeip
    seq_printf(m, " 0 0 %llu 0 0 %llu %llu %llu %llu", ull(f.start_stack),
               ull(t->sig.pending.mask & 0x7fffffff), ull(t->sig.blocked & 0x7fffffff),
               ull(f.ignored & 0x7fffffff), ull(f.caught & 0x7fffffff));
    seq_printf(m, " %llu 0 0 %d %u 0 0 0 0 0", ull(reinterpret_cast<u64>(t->wchan)), t->exit_signal,
               t->cpu);
    seq_printf(m, " 0 0 %llu %llu %llu %llu %llu %d\n", ull(f.start_brk), ull(f.arg_start),
               ull(f.arg_end), ull(f.env_start), ull(f.env_end), t->exit_code);
}

namespace
{
void show_ids(seq_file *m, const task_struct *t)
{
    seq_printf(m, "Uid:\t%d\t%d\t%d\t%d\n", t->uid, t->euid, t->suid,
               static_cast<s32>(t->cred.fsuid));
    seq_printf(m, "Gid:\t%d\t%d\t%d\t%d\n", t->gid, t->egid, t->sgid,
               static_cast<s32>(t->cred.fsgid));
}

/// A CPU set as Linux prints it: hexadecimal, and as a list of ranges.
void show_cpus(seq_file *m, u64 mask)
{
    unsigned n = num_online_cpus();
    u64 all = n >= 64 ? ~u64{0} : (u64{1} << n) - 1;
    mask &= all;
    seq_printf(m, "Cpus_allowed:\t%llx\nCpus_allowed_list:\t", ull(mask));
    bool first = true;
    for (unsigned a = 0; a < n; a++) {
        if (!(mask >> a & 1))
            continue;
        unsigned b = a;
        while (b + 1 < n && (mask >> (b + 1) & 1))
            b++;
        seq_printf(m, first ? "%u" : ",%u", a);
        if (b > a)
            seq_printf(m, "-%u", b);
        first = false;
        a = b;
    }
    seq_putc(m, '\n');
}
} // namespace

void show_pid_status(seq_file *m, task_struct *t)
{
    task_facts f = collect(t);
    files_struct *files = get_task_files(t);
    unsigned fd_size = files ? files_max(files) : 0;
    files_put(files);
    seq_printf(m, "Name:\t%s\nState:\t%s\nTgid:\t%d\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n", t->comm,
               state_name(state_char(t)), t->tgid, t->pid, f.ppid);
    show_ids(m, t);
    seq_printf(m, "FDSize:\t%u\nGroups:\t\n", fd_size);
    show_memory_sizes(m, t);
    seq_printf(m, "Threads:\t%u\nSigQ:\t%u/%llu\n", f.threads, f.queued, ull(f.sigpending_limit));
    seq_printf(m,
               "SigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\nSigIgn:\t%016llx\nSigCgt:\t%"
               "016llx\n",
               ull(t->sig.pending.mask), ull(f.shared_pending), ull(t->sig.blocked), ull(f.ignored),
               ull(f.caught));
    seq_printf(m, "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\nCapBnd:\t%016llx\n",
               ull(t->cred.cap_inheritable), ull(t->cred.cap_permitted), ull(t->cred.cap_effective),
               ull(t->cred.cap_bset));
    show_cpus(m, t->cpus_allowed);
    seq_puts(m, "Mems_allowed:\t1\nMems_allowed_list:\t0\n");
    seq_printf(m, "voluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t%llu\n",
               ull(t->nvcsw.load()), ull(t->nivcsw.load()));
}
