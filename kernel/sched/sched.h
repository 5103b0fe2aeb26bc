// SPDX-License-Identifier: MIT
// Tasks and the scheduler: per-CPU run queues ordered by virtual run time, no kernel preemption (a task leaves the CPU in
// schedule() or on return to user mode). Linux: kernel/sched/core.c, fair.c; include/linux/sched.h.
#pragma once

#include "arch/arch.h"
#include "asm/thread.h" // struct thread_struct
#include "lib/list.h"
#include "lib/rbtree.h"
#include "lib/refcount.h"
#include "lib/result.h"
#include "lib/spinlock.h"
#include "sched/cred.h"
#include "sched/rcu.h"
#include "sched/signal_types.h"
#include "sched/wait.h"
#include "time/timer.h"

constexpr unsigned TASK_RUNNING = 0, TASK_INTERRUPTIBLE = 1, TASK_UNINTERRUPTIBLE = 2,
                   TASK_STOPPED = 4, EXIT_ZOMBIE = 16, EXIT_DEAD = 32, TASK_DEAD = 64,
                   TASK_WAKING = 256;
constexpr unsigned TASK_NORMAL = TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE;

constexpr unsigned SIGHUP = 1, SIGINT = 2, SIGQUIT = 3, SIGILL = 4, SIGTRAP = 5, SIGABRT = 6,
                   SIGBUS = 7, SIGFPE = 8, SIGKILL = 9, SIGUSR1 = 10, SIGSEGV = 11, SIGUSR2 = 12,
                   SIGPIPE = 13, SIGALRM = 14, SIGTERM = 15, SIGCHLD = 17, SIGCONT = 18,
                   SIGSTOP = 19, SIGTSTP = 20, SIGTTIN = 21, SIGTTOU = 22, SIGURG = 23,
                   SIGXCPU = 24, SIGXFSZ = 25, SIGVTALRM = 26, SIGPROF = 27, SIGWINCH = 28,
                   SIGIO = 29, SIGSYS = 31;

constexpr u8 SCHED_OTHER = 0, SCHED_FIFO = 1, SCHED_RR = 2, SCHED_BATCH = 3, SCHED_IDLE = 5;

struct files_struct;
struct fs_struct;
struct signal_state;

/// A kernel thread or a thread of a user process.
struct task_struct : pinned {
    thread_struct thread; // the port's part; first, so that assembly finds it
    std::atomic<u32> state{TASK_RUNNING};
    std::atomic<u32> on_cpu{0}; // running on a CPU right now (row W-19)
    u32 on_rq = 0;              // rq->lock
    u32 cpu = 0;                // CPU of its run queue
    u64 cpus_allowed = ~u64{0}; // affinity, bit n = CPU n
    u32 flags = 0;              // PF_*
    s32 pid = 0, tgid = 0;
    char comm[16] = {};
    void *stack = nullptr;   // lowest address
    mm_struct *mm = nullptr; // null: kernel thread
    files_struct *files = nullptr;
    fs_struct *fs = nullptr;
    signal_state *signal = nullptr; // shared by the threads of a process
    std::atomic<u32> sigpending{0}; // look at pending signals on the way to user mode

    rb_node run_node; // in the run queue
    u64 vruntime = 0; // ns, weighted
    s32 nice = 0;
    list_node rt_node;  // in its priority's queue while a real-time task waits
    u8 policy = 0;      // SCHED_*
    u8 rt_priority = 0; // 1…99 for SCHED_FIFO and SCHED_RR
    bool reset_on_fork = false;
    bool rt_yields = false; // goes behind its equals when it leaves the CPU
    u64 exec_start = 0, sum_exec_runtime = 0;
    u64 user_cycles = 0, system_cycles = 0; // CPU time, in arch_cycles()
    std::atomic<u64> nvcsw{0}, nivcsw{0};   // voluntary / involuntary switches
    u64 start_time = 0;
    spinlock pi_lock{"task.pi_lock"}; // wake-ups

    task_struct *parent = nullptr, *group_leader = this;
    list_node sibling, tasks,
        thread_node; // children of parent; all tasks; threads of the group (tasklist_lock)
    list<task_struct, &task_struct::sibling> children;
    s32 exit_code = 0;
    wait_queue_head wait_child;
    refcount usage{2}; // one for itself running, one for the parent/reaper
    u64 clear_child_tid = 0, set_child_tid = 0, robust_list = 0;
    s32 syscall_nr = -1;  // system call being executed, -1: none
    s32 uid = 0, gid = 0; // credentials (kernel tasks and init: 0)
    s32 euid = 0, egid = 0, suid = 0, sgid = 0;
    task_cred cred; // the rest of them
    u64 min_flt = 0,
        maj_flt = 0; // page faults without and with I/O
    std::atomic<u32> cpu_timers{
        0};                // the process has timers on CPU time: look at them each millisecond
    u32 pdeath_signal = 0; // PR_SET_PDEATHSIG
    thread_signals sig;    // this thread's signals
    std::atomic<u32> exit_state{
        0}; // 0, EXIT_ZOMBIE, then EXIT_DEAD once nobody can wait for it (tasklist_lock)
    s32 exit_signal = 0; // to the parent when the process ends; -1: a thread, nobody is told
    struct completion *vfork_done = nullptr; // the parent that waits for our execve or exit
    u32 wake_cpu = 0;
    const void *wchan =
        nullptr;          // who called schedule() or its like: the place where the task sleeps
    list_node pid_link;   // pid hash (tasklist_lock)
    rcu_head rcu;         // freed in process context, after a grace period
    lockdep_task lockdep; // debug kernels: sleeping locks held
};
constexpr u32 PF_KTHREAD = 1, PF_EXITING = 2, PF_IDLE = 4, PF_KSOFTIRQD = 8, PF_FORKNOEXEC = 16,
              PF_STRACE = 0x10000,
              PF_ACCOUNTED = 32; // its usage is in signal_state's sums

inline task_struct *current()
{
    return current_task();
}
/// Set the current task's state with a full barrier, before testing the wake-up condition.
inline void set_current_state(unsigned s)
{
    current()->state.store(s, std::memory_order_seq_cst);
    smp_mb();
}

/// Give up the CPU according to current->state. [P], no spinlock held.
void schedule();
/// The same on behalf of `wchan`, for sleeping primitives: their caller is what /proc/<pid>/wchan shows.
void schedule_from(const void *wchan);
/// Sleep at most `timeout` jiffies; returns what is left. State set by the caller. [P]
s64 schedule_timeout(s64 timeout);
/// Sleep until ktime `expires` (~0: none) or woken: 0 when expired, -EINTR when woken before. State set by the caller. [P]
int schedule_hrtimeout(u64 expires);
/// A timer that wakes a task; `task` is null once it has expired. The owner cancels it before it goes.
struct hrtimer_wake {
    hrtimer timer{expired};
    task_struct *task;
    explicit hrtimer_wake(task_struct *t) : task{t} {}
    static u64 expired(hrtimer *t);
};
/// Yield if the scheduler asked for it. [P]
void cond_resched();
inline bool need_resched()
{
    return read_once(this_cpu()->need_resched);
}
void sched_yield_current();

/// Make `p` runnable if its state is in `mode`. Never lost against a concurrent sleep (row W-19). Any context.
int try_to_wake_up(task_struct *p, unsigned mode, int wake_flags);
int wake_up_process(task_struct *p);
/// First wake-up of a new task.
void wake_up_new_task(task_struct *p);
/// Restrict a task to CPUs in mask; migrates it. EINVAL if no online CPU is in it. [P]
result<void> sched_setaffinity(task_struct *p, u64 mask);
/// A signal that the current task must handle before blocking on.
bool signal_pending();
bool signal_pending(task_struct *p);
/// Send signal `sig` to a process (default actions; SIGKILL always ends it). Any context.
int send_signal(task_struct *p, unsigned sig);

/// New kernel thread, sleeping until wake_up_process. `cpu` -1: any. Null when out of memory. [P]
task_struct *kthread_create(void (*fn)(void *), void *arg, int cpu, const char *namefmt, ...)
    __attribute__((format(printf, 4, 5)));
/// Create a task structure with a stack, linked nowhere yet (used by fork and kthread_create). [P]
task_struct *task_alloc();
/// End the current task. [P]
[[noreturn]] void do_exit(int code);
void get_task(task_struct *t);
void put_task(task_struct *t);
/// Find by pid with a reference, or null.
task_struct *find_get_task(int pid);
/// Visit every task under tasklist_lock. `f` must not sleep.
void for_each_task(void (*f)(task_struct *, void *), void *arg);
/// The same with the lock held by the caller.
void for_each_task_locked(void (*f)(task_struct *, void *), void *arg);
extern spinlock tasklist_lock;
extern task_struct *init_task; // pid 1 once it exists
/// Give a new kernel task a pid and publish it on the lists; EAGAIN when pids ran out. tasklist_lock not held. [P]
result<void> task_publish(task_struct *t);
/// The same with tasklist_lock held, for the child of `parent` (null: nobody's). [P]
result<void> task_publish_locked(task_struct *t, task_struct *parent);

/// Where a CPU's time went, ns (row R-17; /proc/stat prints USER_HZ ticks).
u64 cpu_time(unsigned cpu, cpu_time_class c);
/// Account the time since the last change of class on this CPU; IRQs off. Called at each context boundary.
void account_time_switch(cpu_time_class to);
u64 nr_context_switches();
unsigned nr_running();
u64 total_forks();
/// Interrupts: enter/leave one accounting level; called by irq_enter, irq_exit and the softirq core only. IRQs off.
void account_hardirq_enter();
void account_hardirq_exit();
u64 account_softirq_enter(); // returns when, in arch_cycles()
void account_softirq_exit();

/// Boot: run queues, idle tasks; the caller becomes CPU 0's idle task. After the slab caches, before interrupts.
void sched_init();
/// The idle task of a CPU (pid 0, "swapper/N"). The port makes it `current` of a CPU that it starts, and sets its `stack`.
task_struct *idle_task(unsigned cpu);
/// The idle loop of this CPU. Never returns. The CPU takes tasks from other CPUs only after it came here once.
[[noreturn]] void cpu_idle_loop();
/// Bit n: CPU n has entered its idle loop, and runs tasks.
u64 sched_active_mask();
/// One CPU's run queue, for /sys/kernel/debug/sched/runqueue. The task has a reference (put_task).
struct runqueue_info {
    unsigned nr_running;
    u64 nr_switches;
    task_struct *curr;
    bool idle;
};
void sched_runqueue_info(unsigned cpu, runqueue_info *out);
/// What the tick does: time slices. Hard IRQ.
void scheduler_tick();
/// Inter-processor interrupts received by a CPU (/proc/interrupts RES, CAL).
u64 ipi_count(unsigned cpu, ipi kind);
/// Run `f(arg)` on every other online CPU, in hard-IRQ context, and wait. [P] IRQs on.
void smp_call_function(void (*f)(void *), void *arg);
