// SPDX-License-Identifier: MIT
// What mm/ needs from the scheduler's side (it may not include it): an mm's sleeping lock, and the
// signals of bad faults. Also the interval timer of a process, which is nothing but a late signal.
// Context: as mm_task_ops says.

#include "lib/initcall.h"
#include "lib/printk.h"
#include "mm/mm.h"
#include "mm/slab.h"
#include "sched/process.h"
#include "sched/signal_internal.h"

/// The sleeping lock that mm.h leaves opaque.
struct mm_lock {
    mutex m{"mm_struct.lock"};
};

namespace
{
mm_lock *lock_alloc()
{
    return knew<mm_lock>(GFP_KERNEL);
}
void lock_free(mm_lock *l)
{
    kdelete(l);
}
void lock(mm_lock *l) NO_THREAD_SAFETY_ANALYSIS
{
    l->m.lock();
}
void unlock(mm_lock *l) NO_THREAD_SAFETY_ANALYSIS
{
    l->m.unlock();
}

u64 limit(unsigned what)
{
    const signal_state *s = current()->signal;
    return s ? read_once(s->rlim[what].cur) : RLIM_INFINITY;
}

bool may_lock()
{
    return capable(CAP_IPC_LOCK);
}

void sigbus(u64 addr)
{
    kernel_siginfo info;
    info.code = 2; // BUS_ADRERR
    info.addr = addr;
    force_signal(SIGBUS, info);
}

void count_fault()
{
    current()->min_flt++;
}

const mm_task_ops ops{lock_alloc, lock_free, lock,        unlock, out_of_memory,
                      limit,      may_lock,  count_fault, sigbus};

int process_init()
{
    mm_tasks = &ops;
    mm_init();
    return 0;
}
early_initcall(process_init);
} // namespace

u64 real_timer_expired(hrtimer *timer)
{
    signal_state *s = container_of(timer, signal_state, real_timer);
    kernel_siginfo info;
    info.code = SI_KERNEL;
    spin_guard<irqsave> g{tasklist_lock};
    if (s->owner)
        send_signal_locked(s->owner, SIGALRM, info, true);
    return 0; // an interval goes on when the signal is taken: no period is too short
}

void real_timer_taken(signal_state *s)
{
    if (!s->real_interval || read_once(s->real_timer.queued))
        return;
    u64 now = ktime_get(), next = s->real_timer.expires + s->real_interval;
    if (next <= now) // missed periods count once
        next = now + s->real_interval - (now - next) % s->real_interval;
    hrtimer_start(&s->real_timer, next);
}

void get_real_timer(u64 *left, u64 *interval)
{
    signal_state *s = current()->signal;
    u64 now = ktime_get(), expires = read_once(s->real_timer.expires);
    *left = read_once(s->real_timer.queued) ? (expires > now ? expires - now : 1) : 0;
    *interval = s->real_interval;
}

void set_real_timer(u64 first, u64 interval, u64 *old_left, u64 *old_interval)
{
    signal_state *s = current()->signal;
    u64 expires = s->real_timer.expires;
    u64 now = ktime_get();
    {
        spin_guard<irqsave> g{s->lock};
        *old_interval = s->real_interval;
        s->real_interval = 0; // who takes the signal just now does not start it again
    }
    bool was = hrtimer_cancel(&s->real_timer);
    *old_left = was ? max(expires > now ? expires - now : 0, u64{1}) : 0;
    spin_guard<irqsave> g{s->lock};
    s->real_interval = interval;
    if (first)
        hrtimer_start(&s->real_timer, min(now + first, KTIME_MAX));
}
