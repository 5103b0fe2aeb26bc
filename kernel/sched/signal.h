// SPDX-License-Identifier: MIT
// Signals of processes: sending, blocking, handlers, what threads share. Linux: kernel/signal.c,
// include/linux/sched.h (signal_struct and sighand_struct, here one object).
#pragma once

#include "mm/uaccess.h"
#include "sched/mutex.h"
#include "sched/sched.h"
#include "time/posix_timers.h"

constexpr unsigned NSIG = 64;
constexpr u64 SIG_DFL = 0, SIG_IGN = 1;
constexpr u64 SA_NOCLDSTOP = 1, SA_NOCLDWAIT = 2, SA_SIGINFO = 4, SA_ONSTACK = 0x08000000,
              SA_RESTART = 0x10000000, SA_NODEFER = 0x40000000, SA_RESETHAND = 0x80000000,
              SA_RESTORER = 0x04000000;
constexpr int SI_USER = 0, SI_KERNEL = 0x80, SI_QUEUE = -1, SI_TIMER = -2, SI_MESGQ = -3,
              SI_ASYNCIO = -4, SI_SIGIO = -5, SI_TKILL = -6;
constexpr int CLD_EXITED = 1, CLD_KILLED = 2, CLD_DUMPED = 3, CLD_STOPPED = 5, CLD_CONTINUED = 6;
constexpr u64 sigmask(unsigned sig)
{
    return u64{1} << (sig - 1);
}
constexpr u64 UNBLOCKABLE = sigmask(SIGKILL) | sigmask(SIGSTOP);

/// As x86_64's rt_sigaction passes it.
struct kernel_sigaction {
    u64 handler = SIG_DFL, flags = 0, restorer = 0, mask = 0;
};
struct rlimit64 {
    u64 cur, max;
};
constexpr unsigned RLIMIT_CPU = 0, RLIMIT_FSIZE = 1, RLIMIT_DATA = 2, RLIMIT_STACK = 3,
                   RLIMIT_CORE = 4, RLIMIT_RSS = 5, RLIMIT_NPROC = 6, RLIMIT_NOFILE = 7,
                   RLIMIT_MEMLOCK = 8, RLIMIT_AS = 9, RLIMIT_LOCKS = 10, RLIMIT_SIGPENDING = 11,
                   RLIMIT_MSGQUEUE = 12, RLIMIT_NICE = 13, RLIMIT_RTPRIO = 14, RLIMIT_RTTIME = 15,
                   RLIM_NLIMITS = 16;
constexpr u64 RLIM_INFINITY = ~u64{0};

/// The handlers; shared by processes cloned with CLONE_SIGHAND. `lock` is innermost.
struct sighand_struct : pinned {
    refcount count;
    spinlock lock{"sighand.lock"};
    kernel_sigaction action[NSIG];
};

/// One of ITIMER_VIRTUAL and ITIMER_PROF, ns of the process's CPU time; 0: off.
struct cpu_itimer {
    u64 expires = 0, interval = 0;
};

/// What the threads of a process share. `lock` nests inside tasklist_lock. A task's `signal`
/// pointer is cleared under tasklist_lock when it is released; who is not that task looks at it
/// only with the lock held.
struct signal_state : pinned {
    refcount count;
    spinlock lock{"signal.lock"};
    sighand_struct *hand = nullptr;
    sigpending_set shared;
    list<task_struct, &task_struct::thread_node> threads; // tasklist_lock and lock
    u32 nr_threads = 0;                                   // not yet past exit's point of no return
    std::atomic<u32> live{0};                             // not yet in do_exit
    bool group_exit = false;
    s32 group_exit_code = 0;
    task_struct *group_exec = nullptr; // thread that waits to be the only one (execve)
    bool unkillable = false;           // process 1: only what it handles
    /// Job control: threads are to stop; how many did; what the parent has not been told yet.
    bool stopping = false;
    u32 nr_stopped = 0;
    s32 stop_code = 0;      // signal that stopped us, until waited for
    bool continued = false; // continued and not waited for
    bool no_child_stop = false;
    s32 pgrp = 0, session = 0;
    bool leader = false;                                 // of its session
    void *tty = nullptr;                                 // controlling terminal (fs/tty)
    u64 utime = 0, stime = 0;                            // of threads that are gone
    u64 nvcsw = 0, nivcsw = 0, min_flt = 0, maj_flt = 0; // of gone threads
    u64 cutime = 0, cstime = 0, cmaxrss = 0, cnvcsw = 0, cnivcsw = 0, cmin_flt = 0,
        cmaj_flt = 0; // of children waited for
    u64 maxrss = 0;
    bool child_subreaper = false;     // PR_SET_CHILD_SUBREAPER
    bool has_child_subreaper = false; // an ancestor is one
    s16 oom_score_adj = 0;
    u8 dumpable = 1;
    rlimit64 rlim[RLIM_NLIMITS];
    /// Bytes and calls of read(2), write(2) and their like (/proc/PID/io).
    std::atomic<u64> io_read{0}, io_written{0}, io_reads{0}, io_writes{0};
    hrtimer real_timer; // setitimer(ITIMER_REAL), alarm
    u64 real_interval = 0;
    task_struct *owner = nullptr;       // group leader, for the timer
    mutex timer_mutex{"signal.timers"}; // posix_timers, timer ids
    list<k_itimer, &k_itimer::node> posix_timers;
    s32 next_timer_id = 0;
    /// Timers on CPU time: armed ones, ITIMER_VIRTUAL and _PROF, RLIMIT_CPU's next look. `lock`.
    list<k_itimer, &k_itimer::cpu_node> cpu_timers;
    cpu_itimer cpu_itimers[2];
    u64 cpu_limit_next = 0;
    signal_state();
};

/// Queue `sig` with details for one thread (group false) or its process. 0, or -ESRCH when it is
/// gone, -EAGAIN when a real-time signal finds no memory. Any context, tasklist_lock not held.
int send_signal_info(task_struct *p, unsigned sig, const kernel_siginfo &info, bool group);
/// The same with tasklist_lock held.
int send_signal_locked(task_struct *p, unsigned sig, const kernel_siginfo &info, bool group);
/// The same with s->lock held as well; s is p's.
int send_signal_siglocked(task_struct *p, signal_state *s, unsigned sig, const kernel_siginfo &info,
                          bool group);
/// Queue a timer's own entry: 0, 1 when the signal is ignored, -1 when the process is gone; when it is
/// still queued, that is an overrun. tasklist_lock and s->lock held.
int send_sigqueue(task_struct *p, signal_state *s, sigqueue *q, bool group);
/// Give up a timer's queue entry: freed now, or when it is taken. No lock held.
void sigqueue_release(signal_state *s, sigqueue *q);
/// An entry for a timer, charged to the current user; null: RLIMIT_SIGPENDING or no memory. [P]
sigqueue *sigqueue_alloc_timer(k_itimer *t);
/// Deliver even if blocked or ignored: for faults of the current thread. [P]
void force_signal(unsigned sig, const kernel_siginfo &info);
/// To every process of a process group: 0 or -ESRCH. Any context. For terminals (^C) as well.
int kill_pgrp(s32 pgrp, unsigned sig, const kernel_siginfo &info);
inline int kill_pgrp(s32 pgrp, unsigned sig)
{
    kernel_siginfo info;
    info.code = SI_KERNEL;
    return kill_pgrp(pgrp, sig, info);
}
/// Whether a signal would have no effect on the current process (blocked or ignored):
/// SIGTTIN/SIGTTOU rules. [P]
bool signal_blocked_or_ignored(unsigned sig);
/// No process of the group has a parent in another group of the session. Any context.
bool is_orphaned_pgrp(s32 pgrp);
/// Session and group of a task, 0 when it is gone. Any context.
s32 task_pgrp(task_struct *t);
s32 task_session(task_struct *t);

/// Set the blocked mask of the current thread (KILL and STOP never are). [P]
void set_blocked(u64 mask);
/// Use `mask_addr`'s signal set (size bytes, must be 8; address 0: nothing) until the system call
/// is over: ppoll, pselect6, epoll_pwait. Afterwards restore_user_sigmask(): `interrupted` leaves
/// the mask for the handler to be entered. [P]
result<void> set_user_sigmask(u64 mask_addr, u64 size);
void restore_user_sigmask(bool interrupted);
/// The signal that ended or will be taken next, out of `mask`; 0 none. Used by rt_sigtimedwait. [P]
unsigned dequeue_signal(u64 mask, kernel_siginfo *info);
/// Recompute current->sigpending. signal lock not held. [P]
void recalc_sigpending();
/// Where pollers and readers of signalfds wait for signals of process `s`. Several processes may share
/// one: look again after a wake-up.
wait_queue_head *signalfd_queue(const signal_state *s);
/// Pending signals of the current thread and its process out of `mask`. [P]
u64 pending_signals(u64 mask);
/// Handle what is pending before the return to user mode. IRQs on. [P]
void do_signal(pt_regs *regs);

/// Tell the parent of `t` (group leader) by SIGCHLD and wake its waiters. tasklist_lock held. True:
/// nobody will wait for it.
bool notify_parent(task_struct *t, int code, int status);
/// End every thread of the current process. [P]
[[noreturn]] void do_group_exit(int code);
/// An action changed: what is pending of `sig` and now ignored is dropped. tasklist_lock and
/// s->lock held.
void discard_ignored(signal_state *s, unsigned sig);
/// Drop what a signal set holds. Nobody else may use it.
void flush_sigqueue(sigpending_set &s);
/// The handler of `sig` of the current process. [P]
u64 signal_handler(unsigned sig);
/// execve: handlers of our own; ENOMEM. [P]
result<void> unshare_sighand();
void sighand_put(sighand_struct *h);
/// setitimer(ITIMER_REAL): ns until the first, and between further ones; returns the old pair. [P]
void set_real_timer(u64 first, u64 interval, u64 *old_left, u64 *old_interval);
/// getitimer(ITIMER_REAL). [P]
void get_real_timer(u64 *left, u64 *interval);
/// Boot.
int signal_init();
