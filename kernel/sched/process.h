// SPDX-License-Identifier: MIT
// Processes: fork, exit, wait. Linux: kernel/fork.c, kernel/exit.c.
#pragma once

#include "sched/mutex.h"
#include "sched/signal.h"

constexpr u64 CSIGNAL = 0xff, CLONE_VM = 0x100, CLONE_FS = 0x200, CLONE_FILES = 0x400,
              CLONE_SIGHAND = 0x800, CLONE_VFORK = 0x4000, CLONE_PARENT = 0x8000,
              CLONE_THREAD = 0x10000, CLONE_NEWNS = 0x20000, CLONE_SETTLS = 0x80000,
              CLONE_PARENT_SETTID = 0x100000, CLONE_CHILD_CLEARTID = 0x200000,
              CLONE_CHILD_SETTID = 0x1000000, CLONE_NEWMASK = 0x7e020000, CLONE_LEGACY = 0xffffffff,
              CLONE_CLEAR_SIGHAND = 0x100000000;

/// How sched/ reaches what fs/ keeps per process; set at boot by syscall/exec.cc.
struct process_file_ops {
    files_struct *(*files_dup)(files_struct *f);
    void (*files_get)(files_struct *f);
    void (*files_put)(files_struct *f);
    fs_struct *(*fs_dup)(fs_struct *f);
    void (*fs_get)(fs_struct *f);
    void (*fs_put)(fs_struct *f);
};
extern const process_file_ops *process_files;
/// The last thread of the current process ends: undo its semaphore operations. Set at boot by fs/ipc/sem.cc. [P]
extern void (*process_exit_sem)();

/// A session leader is gone: its terminal sends SIGHUP and forgets the session. Set by the terminal
/// layer, or null. [P]
extern void (*process_tty_hangup)(signal_state *s);

/// clone/fork/vfork of the current task. Returns the child's pid. [P]
result<s32> do_fork(u64 flags, u64 stack, u64 parent_tid, u64 child_tid, u64 tls,
                    const pt_regs *regs);
/// Make the current kernel thread process 1: own signals, no parent. 0 or -ENOMEM. [P] boot.
int become_init();
/// execve: leave the current task as the only thread of its process. -EAGAIN when another thread
/// does the same or the process is being killed. [P]
int de_thread();
/// The vfork parent may go on (execve, exit). [P]
void mm_release();

constexpr u32 WNOHANG = 1, WUNTRACED = 2, WEXITED = 4, WCONTINUED = 8, WNOWAIT = 0x01000000,
              WNOTHREAD = 0x20000000, WALL = 0x40000000, WCLONE = 0x80000000;
/// Resources of a child, as rusage needs them.
struct child_usage {
    u64 utime, stime, maxrss, nvcsw, nivcsw, min_flt, maj_flt;
};
/// Add a thread's usage to a sum, which is a child_usage or a signal_state; maxrss is the process's.
template <class Sum>
void add_usage(Sum *to, const child_usage &one)
{
    to->utime += one.utime;
    to->stime += one.stime;
    to->nvcsw += one.nvcsw;
    to->nivcsw += one.nivcsw;
    to->min_flt += one.min_flt;
    to->maj_flt += one.maj_flt;
}
/// What wait found.
struct wait_result {
    s32 pid = 0;    // 0: nothing yet (WNOHANG)
    s32 status = 0; // as wait4 stores it
    int code = 0;   // CLD_*
    s32 uid = 0;
    child_usage usage{};
};
/// Wait for a child: pid > 0 that one, 0 own group, -1 any, < -1 group -pid. ECHILD, ERESTARTSYS.
/// [P]
result<wait_result> do_wait(s32 pid, u32 options);
/// Resources of one thread; of a process, its live and gone threads; of its children that were waited
/// for. tasklist_lock not held.
void thread_usage(task_struct *t, child_usage *u);
void process_usage(task_struct *t, child_usage *u);
void children_usage(task_struct *t, child_usage *u);
/// CPU time of a process, its live and gone threads. tasklist_lock not held.
void process_times(task_struct *t, u64 *utime, u64 *stime);

/// Change a task's nice value (-20…19). Any context.
void sched_set_nice(task_struct *p, s32 nice);

/// Change a task's policy (SCHED_*) and real-time priority (0 for the fair ones). Any context.
void sched_set_policy(task_struct *p, u8 policy, u8 rt_priority);

/// How much `t` deserves to die when memory runs out: pages and oom_score_adj; 0: not at all.
/// tasklist_lock held.
u64 oom_badness(task_struct *t);

/// Futexes. `key` rules and errors as futex(2). Timeout: absolute ktime, ~0 none. [P]
result<s64> futex_wait(u64 uaddr, bool shared, u32 val, u64 expires, u32 bitset);
result<s64> futex_wake(u64 uaddr, bool shared, u32 nr, u32 bitset);
result<s64> futex_requeue(u64 uaddr, u64 uaddr2, bool shared, u32 nr_wake, u32 nr_requeue,
                          const u32 *cmpval);
/// FUTEX_WAKE_OP: change *uaddr2 by the coded operation, wake at uaddr, and at uaddr2 if its old
/// value compares.
result<s64> futex_wake_op(u64 uaddr, u64 uaddr2, bool shared, u32 nr_wake, u32 nr_wake2, u32 op);
/// FUTEX_LOCK_PI, _TRYLOCK_PI, _UNLOCK_PI, _WAIT_REQUEUE_PI, _CMP_REQUEUE_PI.
result<s64> futex_lock_pi(u64 uaddr, bool shared, u64 expires, bool try_only);
result<s64> futex_unlock_pi(u64 uaddr, bool shared);
result<s64> futex_wait_requeue_pi(u64 uaddr, u64 uaddr2, bool shared, u32 val, u64 expires);
result<s64> futex_cmp_requeue_pi(u64 uaddr, u64 uaddr2, bool shared, u32 nr_wake, u32 nr_requeue,
                                 u32 cmpval);
/// A dying thread's robust list: mark the owners dead and wake. [P]
void exit_robust_list();

/// The address space of a task with a reference (mm_put), or null: /proc. Any task, also one that
/// is exiting. [P]
mm_struct *get_task_mm(task_struct *t);
