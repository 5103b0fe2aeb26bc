// SPDX-License-Identifier: MIT
// POSIX clocks and timers (timer_create and its like), and what is timed by CPU time: ITIMER_VIRTUAL,
// ITIMER_PROF, RLIMIT_CPU. Linux: kernel/posix-timers.c, kernel/posix-cpu-timers.c, kernel/itimer.c.
#pragma once

#include "lib/list.h"
#include "lib/result.h"
#include "time/timer.h"

struct task_struct;
struct signal_state;
struct sigqueue;

/// Clock ids (uapi/linux/time.h). Negative ones are CPU clocks of other processes: ~pid << 3, then
/// 4 for a thread, and a cpu_clock_kind.
constexpr s32 CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1, CLOCK_PROCESS_CPUTIME_ID = 2,
              CLOCK_THREAD_CPUTIME_ID = 3, CLOCK_MONOTONIC_RAW = 4, CLOCK_REALTIME_COARSE = 5,
              CLOCK_MONOTONIC_COARSE = 6, CLOCK_BOOTTIME = 7, CLOCK_TAI = 11;
constexpr int TIMER_ABSTIME = 1;
/// Longest time that is told from "for ever", ns.
constexpr u64 KTIME_MAX = INT64_MAX;

/// A CPU clock: whose time, and which part of it.
enum class cpu_clock_kind : u8 { prof = 0, virt = 1, sched = 2 };
struct cpu_clock {
    task_struct *task = nullptr; // referenced; the leader stands for its process
    bool thread = false;
    cpu_clock_kind kind = cpu_clock_kind::sched;
};
/// Is `clock` one of CPU time?
constexpr bool is_cpu_clock(s32 clock)
{
    return clock < 0 || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID;
}
/// Decode it: EINVAL for a thread of another process, or one that does not exist. The caller drops the
/// reference of the task. [P]
result<cpu_clock> find_cpu_clock(s32 clock);
/// Its time now, ns. [P]
u64 cpu_clock_sample(const cpu_clock &c);
/// Sleep until the process's clock shows `expires`: 0, EINTR. [P]
int cpu_clock_sleep(const cpu_clock &c, u64 expires);
/// Time of any clock, ns; EINVAL. [P]
result<u64> posix_clock_read(s32 clock);

/// One timer of timer_create(2). Fields that the expiry changes: signal_state.lock.
struct k_itimer : pinned {
    list_node node;     // signal_state.posix_timers
    list_node cpu_node; // signal_state.cpu_timers while armed
    s32 id = 0, clock = 0;
    bool none = false;             // SIGEV_NONE: nobody is told
    task_struct *target = nullptr; // SIGEV_THREAD_ID: this thread (referenced); else the process
    task_struct *wake = nullptr;   // a sleeper on a CPU clock instead of a signal
    signal_state *owner = nullptr;
    sigqueue *queue = nullptr;
    cpu_clock cpu;   // CPU clocks
    u64 expires = 0; // next expiry on the timer's clock, 0: disarmed (or waiting to be taken)
    u64 interval = 0;
    s32 overrun = 0, overrun_last = 0;
    bool waiting = false; // the signal was queued; starts again when it is taken
    hrtimer timer;
    k_itimer();
    ~k_itimer();
};

/// Interval and time left, or first expiry, ns; 0: none.
struct itimer_ns {
    u64 interval, value;
};
/// sigevent of the user, decoded.
struct timer_event {
    bool none;
    s32 signo;
    u64 value;
    bool value_is_id; // no sigevent was given
    s32 thread;       // SIGEV_THREAD_ID, else 0
};
/// timer_create, _settime, _gettime, _getoverrun, _delete for the current process. [P]
result<s32> posix_timer_create(s32 clock, const timer_event &e);
result<itimer_ns> posix_timer_settime(s32 id, bool absolute, const itimer_ns &to);
result<itimer_ns> posix_timer_gettime(s32 id);
result<s32> posix_timer_getoverrun(s32 id);
result<void> posix_timer_delete(s32 id);
s32 posix_timer_id(const k_itimer *t);
/// The signal of timer `id` was taken: a periodic one goes on. Returns the periods it missed. [P]
s32 posix_timer_rearm(s32 id);
/// execve, exit of the last thread: all timers of the process go. [P]
void exit_itimers(signal_state *s);

/// The tick of a task whose process times by CPU time: send what is due. Hard IRQ, no lock held.
void run_posix_cpu_timers();
/// Arm or disarm a CPU timer; signal_state.lock held. Expired ones fire with the next tick.
void cpu_timer_arm(k_itimer *t, u64 expires);
void cpu_timer_disarm(k_itimer *t);
/// Start (or stop) the ticks of all threads of `s` as needed; tasklist_lock and s->lock held.
void update_cpu_ticks(signal_state *s);
/// setitimer(ITIMER_VIRTUAL 1, ITIMER_PROF 2). [P]
void set_cpu_itimer(int which, const itimer_ns &to, itimer_ns *old);
itimer_ns get_cpu_itimer(int which);
/// The process is gone: nobody's sleep on its clock will end otherwise. s->lock held.
void wake_cpu_sleepers(signal_state *s);
/// RLIMIT_CPU of `s` changed, or was inherited; tasklist_lock and s->lock held.
void cpu_limit_changed(signal_state *s);
