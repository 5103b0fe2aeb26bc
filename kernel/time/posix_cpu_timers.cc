// SPDX-License-Identifier: MIT
// Clocks and timers of CPU time. Linux: kernel/posix-cpu-timers.c, kernel/itimer.c.
//
// CPU time is charged at every boundary (sched/cputime.cc), so a clock is read exactly. Expiry is
// looked for by a tick of 1 ms which only tasks get whose process has such a timer.
//
// Contexts: process; run_posix_cpu_timers in hard IRQ. Locks: tasklist_lock → signal_state.lock.

#include "sched/cputime.h"
#include "sched/process.h"
#include "sched/signal_internal.h"
#include "time/alarm_clocks.h"

namespace
{
constexpr int ITIMER_VIRTUAL = 1, ITIMER_PROF = 2;

struct cpu_sample {
    u64 utime, stime;
    u64 of(cpu_clock_kind k) const { return k == cpu_clock_kind::virt ? utime : utime + stime; }
};

cpu_sample thread_sample(const task_struct *t)
{
    return {arch_cycles_to_ns(read_once(t->user_cycles)),
            arch_cycles_to_ns(read_once(t->system_cycles))};
}

/// The process's time; s->lock held.
cpu_sample process_sample(signal_state *s)
{
    cpu_sample sum{s->utime, s->stime};
    for (task_struct &t : s->threads)
        if (!(t.flags & PF_ACCOUNTED)) {
            cpu_sample one = thread_sample(&t);
            sum.utime += one.utime;
            sum.stime += one.stime;
        }
    return sum;
}

void fire_timer(k_itimer *t, signal_state *s, u64 now)
{
    if (t->wake) {
        wake_up_process(t->wake);
        return;
    }
    task_struct *p = t->target ? t->target : s->owner;
    if (!p || p->signal != s)
        return;
    int sent = send_sigqueue(p, s, t->queue, !t->target);
    t->waiting = sent == 0;
    if (sent != 1 || !t->interval)
        return;
    // Ignored: nobody will take it. Go on behind now: no period is short enough to occupy the CPU.
    cpu_timer_arm(t, t->expires + ((now - t->expires) / t->interval + 1) * t->interval);
}

void check_timers(signal_state *s, const cpu_sample &process)
{
    for (k_itimer &t : s->cpu_timers) {
        u64 now = (t.cpu.thread ? thread_sample(t.cpu.task) : process).of(t.cpu.kind);
        if (now < t.expires)
            continue;
        cpu_timer_disarm(&t);
        fire_timer(&t, s, now);
    }
}

void check_itimer(signal_state *s, cpu_itimer &it, u64 now, unsigned sig)
{
    if (!it.expires || now < it.expires || !s->owner)
        return;
    it.expires = it.interval ? it.expires + it.interval : 0;
    if (it.expires && it.expires <= now)
        it.expires = now + it.interval;
    kernel_siginfo info;
    info.code = SI_KERNEL;
    send_signal_siglocked(s->owner, s, sig, info, true);
}

/// RLIMIT_CPU: SIGXCPU from the soft limit on, each second; SIGKILL at the hard one.
void check_limit(signal_state *s, u64 now)
{
    if (!s->cpu_limit_next || now < s->cpu_limit_next || !s->owner)
        return;
    kernel_siginfo info;
    info.code = SI_KERNEL;
    rlimit64 l = s->rlim[RLIMIT_CPU];
    if (l.max != RLIM_INFINITY && now >= l.max * NSEC_PER_SEC) {
        s->cpu_limit_next = 0;
        send_signal_siglocked(s->owner, s, SIGKILL, info, true);
        return;
    }
    s->cpu_limit_next += NSEC_PER_SEC;
    send_signal_siglocked(s->owner, s, SIGXCPU, info, true);
}
} // namespace

result<cpu_clock> find_cpu_clock(s32 clock)
{
    cpu_clock c;
    s32 pid = 0;
    c.thread = clock == CLOCK_THREAD_CPUTIME_ID;
    if (clock < 0) {
        constexpr s32 KIND = 3, PER_THREAD = 4;
        if ((clock & KIND) == KIND)
            return error{EINVAL}; // a clock device's descriptor: there are none
        c.kind = static_cast<cpu_clock_kind>(clock & KIND);
        c.thread = clock & PER_THREAD;
        pid = ~(clock >> 3);
    }
    c.task = pid ? find_get_task(pid) : c.thread ? current() : current()->group_leader;
    if (!pid)
        get_task(c.task);
    if (!c.task)
        return error{EINVAL};
    bool ok = c.thread ? c.task->tgid == current()->tgid : c.task->group_leader == c.task;
    if (ok)
        return c;
    put_task(c.task);
    return error{EINVAL};
}

u64 cpu_clock_sample(const cpu_clock &c)
{
    account_current();
    if (c.thread)
        return thread_sample(c.task).of(c.kind);
    spin_guard<irqsave> tl{tasklist_lock};
    signal_state *s = c.task->signal;
    if (!s)
        return 0;
    spin_guard<plain> g{s->lock};
    return process_sample(s).of(c.kind);
}

result<u64> posix_clock_read(s32 clock)
{
    switch (alarm_base(clock)) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_TAI: // nobody told us of leap seconds
        return ktime_get_real();
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
        return ktime_get();
    default:
        break;
    }
    if (!is_cpu_clock(clock))
        return error{EINVAL};
    cpu_clock c = TRY(find_cpu_clock(clock));
    u64 ns = cpu_clock_sample(c);
    put_task(c.task);
    return ns;
}

void cpu_timer_arm(k_itimer *t, u64 expires)
{
    t->expires = expires;
    if (!t->cpu_node.linked())
        t->owner->cpu_timers.push_back(*t);
}

void cpu_timer_disarm(k_itimer *t)
{
    if (t->cpu_node.linked())
        t->cpu_node.unlink();
}

void update_cpu_ticks(signal_state *s)
{
    u32 on = !s->cpu_timers.empty() || s->cpu_itimers[0].expires || s->cpu_itimers[1].expires ||
             s->cpu_limit_next;
    for (task_struct &t : s->threads) {
        if (t.cpu_timers.load(std::memory_order_relaxed) == on)
            continue;
        t.cpu_timers.store(on, std::memory_order_relaxed);
        u32 cpu = read_once(t.cpu);
        if (on && &t == current())
            clock_event_at_most(ktime_get() + NSEC_PER_SEC / HZ);
        else if (on && t.on_cpu.load(std::memory_order_relaxed))
            arch_send_ipi(cpu, ipi::reschedule); // schedule() programs its timer
    }
}

void run_posix_cpu_timers()
{
    task_struct *me = current();
    spin_guard<irqsave> tl{tasklist_lock};
    signal_state *s = me->signal;
    if (!s || !s->nr_threads)
        return;
    spin_guard<plain> g{s->lock};
    cpu_sample now = process_sample(s);
    check_timers(s, now);
    check_itimer(s, s->cpu_itimers[ITIMER_VIRTUAL - 1], now.utime, SIGVTALRM);
    check_itimer(s, s->cpu_itimers[ITIMER_PROF - 1], now.utime + now.stime, SIGPROF);
    check_limit(s, now.utime + now.stime);
    update_cpu_ticks(s);
}

namespace
{
itimer_ns left(const cpu_itimer &it, u64 now)
{
    return {it.interval, it.expires ? max(it.expires > now ? it.expires - now : 0, u64{1}) : 0};
}
} // namespace

void set_cpu_itimer(int which, const itimer_ns &to, itimer_ns *old)
{
    account_current();
    signal_state *s = current()->signal;
    spin_guard<irqsave> tl{tasklist_lock};
    spin_guard<plain> g{s->lock};
    cpu_itimer &it = s->cpu_itimers[which - 1];
    cpu_sample p = process_sample(s);
    u64 now = which == ITIMER_VIRTUAL ? p.utime : p.utime + p.stime;
    *old = left(it, now);
    it = {to.value ? min(now + to.value, KTIME_MAX) : 0, to.interval};
    update_cpu_ticks(s);
}

itimer_ns get_cpu_itimer(int which)
{
    account_current();
    signal_state *s = current()->signal;
    spin_guard<irqsave> g{s->lock};
    cpu_sample p = process_sample(s);
    return left(s->cpu_itimers[which - 1], which == ITIMER_VIRTUAL ? p.utime : p.utime + p.stime);
}

void cpu_limit_changed(signal_state *s)
{
    const rlimit64 &l = s->rlim[RLIMIT_CPU];
    u64 first = min(l.cur, l.max);
    // RLIM_INFINITY is beyond what the clock can say, too.
    s->cpu_limit_next = first > KTIME_MAX / NSEC_PER_SEC ? 0 : max(first, u64{1}) * NSEC_PER_SEC;
    update_cpu_ticks(s);
}

namespace
{
/// Hang a sleeper's timer on the clock's process, which stays (signal_put); false: it is gone.
bool enter_timer(k_itimer *t, u64 expires)
{
    spin_guard<irqsave> tl{tasklist_lock};
    signal_state *s = t->cpu.task->signal;
    if (!s || !s->nr_threads)
        return false;
    s->count.get();
    t->owner = s;
    spin_guard<plain> g{s->lock};
    cpu_timer_arm(t, expires);
    update_cpu_ticks(s);
    return true;
}

void leave_timer(k_itimer *t)
{
    {
        spin_guard<irqsave> tl{tasklist_lock};
        spin_guard<plain> g{t->owner->lock};
        cpu_timer_disarm(t);
        update_cpu_ticks(t->owner);
    }
    signal_put(t->owner);
}
} // namespace

int cpu_clock_sleep(const cpu_clock &c, u64 expires)
{
    k_itimer t;
    t.cpu = c;
    t.wake = current();
    if (cpu_clock_sample(c) >= expires || !enter_timer(&t, expires))
        return 0;
    int err = 0;
    for (;;) {
        set_current_state(TASK_INTERRUPTIBLE);
        if (cpu_clock_sample(c) >= expires || !read_once(t.owner->nr_threads))
            break;
        if (signal_pending()) {
            err = EINTR;
            break;
        }
        schedule();
    }
    set_current_state(TASK_RUNNING);
    leave_timer(&t);
    return err;
}

void wake_cpu_sleepers(signal_state *s)
{
    for (k_itimer &t : s->cpu_timers)
        if (t.wake)
            wake_up_process(t.wake);
}
