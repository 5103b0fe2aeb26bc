// SPDX-License-Identifier: MIT
// Text files of /proc/<pid> that show what a process was started with and how the kernel judges it: cmdline, environ, auxv, io,
// oom_score, oom_score_adj, oom_adj, personality; and writing comm. Linux: fs/proc/base.c. Process context.

#include "fs/proc/internal.h"
#include "lib/string.h"
#include "mm/mm.h"

bool may_access_task(const task_struct *t)
{
    const task_struct *me = current();
    if (me == t || capable(CAP_SYS_PTRACE) || me->group_leader == t->group_leader)
        return true;
    return me->uid == t->uid && me->uid == t->euid && me->uid == t->suid && me->gid == t->gid &&
           me->gid == t->egid && me->gid == t->sgid;
}

namespace
{
constexpr int OOM_ADJUST_MAX = 15, OOM_ADJUST_MIN = -17, OOM_SCORE_ADJ_MAX = 1000;

/// Bytes [at,end) of a process's memory as they are.
void show_memory(seq_file *m, mm_struct *mm, u64 at, u64 end)
{
    char part[256];
    while (at < end) {
        size_t n = mm_read(mm, at, part, min<u64>(sizeof part, end - at));
        if (!n)
            break;
        seq_write(m, part, n);
        at += n;
    }
}

/// A decimal number, with white space around it, in [lo,hi].
bool parse_bounded(const char *s, s64 lo, s64 hi, s64 *out)
{
    while (*s == ' ' || *s == '\t' || *s == '\n')
        s++;
    bool negative = *s == '-';
    if (negative)
        s++;
    if (*s < '0' || *s > '9')
        return false;
    const char *end;
    u64 v = strtoul(s, &end, 10);
    while (*end == ' ' || *end == '\t' || *end == '\n')
        end++;
    *out = negative ? -static_cast<s64>(v) : static_cast<s64>(v);
    return !*end && v <= 1'000'000 && *out >= lo && *out <= hi;
}

int get_score_adj(task_struct *t)
{
    spin_guard<irqsave> g{tasklist_lock};
    return t->signal ? t->signal->oom_score_adj : 0;
}

int set_score_adj(task_struct *t, int value)
{
    spin_guard<irqsave> g{tasklist_lock};
    if (!t->signal)
        return -ESRCH;
    if (value < t->signal->oom_score_adj && !capable(CAP_SYS_RESOURCE))
        return -EACCES; // less likely to be killed: needs a right
    t->signal->oom_score_adj = static_cast<s16>(value);
    return 0;
}
} // namespace

void show_pid_cmdline(seq_file *m, task_struct *t)
{
    if (mm_struct *mm = get_task_mm(t)) {
        show_memory(m, mm, mm->arg_start, min(mm->arg_end, mm->arg_start + PAGE_SIZE));
        mm_put(mm);
    }
}

void show_pid_environ(seq_file *m, task_struct *t)
{
    if (!may_access_task(t)) {
        m->error = EACCES;
        return;
    }
    if (mm_struct *mm = get_task_mm(t)) {
        show_memory(m, mm, mm->env_start, mm->env_end);
        mm_put(mm);
    }
}

void show_pid_auxv(seq_file *m, task_struct *t)
{
    mm_struct *mm = may_access_task(t) ? get_task_mm(t) : nullptr;
    if (!mm)
        return;
    unsigned n = 0;
    while (n + 2 < AUXV_WORDS && mm->saved_auxv[n])
        n += 2;
    seq_write(m, mm->saved_auxv, (n + 2) * sizeof(u64));
    mm_put(mm);
}

void show_pid_personality(seq_file *m, task_struct *)
{
    seq_printf(m, "%08x\n", 0); // PER_LINUX, the only one
}

void show_pid_io(seq_file *m, task_struct *t)
{
    io_counts io;
    if (!may_access_task(t)) {
        m->error = EACCES;
        return;
    }
    {
        spin_guard<irqsave> g{tasklist_lock};
        if (t->signal)
            io = {t->signal->io_read.load(std::memory_order_relaxed),
                  t->signal->io_written.load(std::memory_order_relaxed),
                  t->signal->io_reads.load(std::memory_order_relaxed),
                  t->signal->io_writes.load(std::memory_order_relaxed)};
    }
    // the last three count storage, which there is none of
    seq_printf(m,
               "rchar: %llu\nwchar: %llu\nsyscr: %llu\nsyscw: %llu\nread_bytes: 0\nwrite_bytes: 0\n"
               "cancelled_write_bytes: 0\n",
               ull(io.rchar), ull(io.wchar), ull(io.syscr), ull(io.syscw));
}

void show_pid_oom_score(seq_file *m, task_struct *t)
{
    u64 points, total = max<u64>(page_alloc_stats().total, 1);
    {
        spin_guard<irqsave> g{tasklist_lock};
        points = t->flags & PF_KTHREAD ? 0 : oom_badness(t);
    }
    seq_printf(m, "%llu\n", ull(points * 1000 / total));
}

void show_pid_oom_score_adj(seq_file *m, task_struct *t)
{
    seq_printf(m, "%d\n", get_score_adj(t));
}

int store_pid_oom_score_adj(task_struct *t, char *text, size_t)
{
    s64 v;
    if (!parse_bounded(text, -OOM_SCORE_ADJ_MAX, OOM_SCORE_ADJ_MAX, &v))
        return -EINVAL;
    return set_score_adj(t, static_cast<int>(v));
}

// The older interface, -17…15, as a view of the newer one.
void show_pid_oom_adj(seq_file *m, task_struct *t)
{
    int v = get_score_adj(t);
    seq_printf(m, "%d\n",
               v == OOM_SCORE_ADJ_MAX ? OOM_ADJUST_MAX : v * -OOM_ADJUST_MIN / OOM_SCORE_ADJ_MAX);
}

int store_pid_oom_adj(task_struct *t, char *text, size_t)
{
    s64 v;
    if (!parse_bounded(text, OOM_ADJUST_MIN, OOM_ADJUST_MAX, &v))
        return -EINVAL;
    return set_score_adj(t, v == OOM_ADJUST_MAX
                                ? OOM_SCORE_ADJ_MAX
                                : static_cast<int>(v * OOM_SCORE_ADJ_MAX / -OOM_ADJUST_MIN));
}

void show_pid_comm(seq_file *m, task_struct *t)
{
    seq_printf(m, "%s\n", t->comm);
}

int store_pid_comm(task_struct *t, char *text, size_t n)
{
    if (t->group_leader != current()->group_leader)
        return -EINVAL; // a process names its own threads only
    size_t len = 0;
    while (len < n && len < sizeof t->comm - 1 && text[len])
        len++;
    char name[sizeof t->comm] = {};
    memcpy(name, text, len);
    memcpy(t->comm, name, sizeof name);
    return 0;
}
