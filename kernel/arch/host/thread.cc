// SPDX-License-Identifier: MIT
// Tasks of the host port: fibers. There is no user mode.
#include "internal.h"
#include "lib/printk.h"
#include "sched/sched.h"

static void thread_start()
{
    task_struct *me = current();
    schedule_tail(this_vcpu()->switched_from);
    me->thread.entry(me->thread.arg);
    do_exit(0);
}

void arch_thread_init(task_struct *t, void (*entry)(void *), void *arg)
{
    t->thread.entry = entry;
    t->thread.arg = arg;
    t->thread.fiber = os_fiber_create(thread_start);
}

void arch_thread_free(task_struct *t)
{
    if (t->thread.fiber)
        os_fiber_free(t->thread.fiber);
    t->thread.fiber = nullptr;
}

task_struct *arch_switch_to(task_struct *prev, task_struct *next)
{
    // prev is off its queue and still on its stack: what a waker on another CPU must wait for (row W-19).
    host_point();
    host_vcpu *c = this_vcpu();
    c->switched_from = prev;
    c->running = next->thread.fiber;
    bool dying = prev->state.load(std::memory_order_relaxed) == TASK_DEAD;
    os_fiber_switch(prev->thread.fiber, next->thread.fiber, dying);
    return this_vcpu()->switched_from; // maybe another CPU than before
}

void arch_thread_fork(task_struct *, const pt_regs *, u64, u64)
{
    panic("the host port has no user mode");
}

void arch_enter_user(u64, u64)
{
    panic("the host port has no user mode");
}
void arch_start_thread(pt_regs *regs, u64 ip, u64 sp)
{
    regs->ip = ip;
    regs->sp = sp;
}
pt_regs *arch_task_regs(task_struct *t)
{
    return &t->thread.regs;
}
u64 arch_task_wchan_ip(const task_struct *t)
{
    return reinterpret_cast<u64>(t->wchan);
}
void arch_set_tls(u64) {}

// Signals reach user mode only, which there is none of: a handler's frame cannot be written.
bool arch_setup_signal_frame(pt_regs *, const signal_frame &)
{
    return false;
}
bool arch_restore_signal_frame(pt_regs *, signal_frame *)
{
    return false;
}
s64 arch_syscall_result(const pt_regs *regs)
{
    return static_cast<s64>(regs->ret);
}
void arch_set_syscall_result(pt_regs *regs, s64 v)
{
    regs->ret = static_cast<u64>(v);
}
void arch_restart_syscall(pt_regs *, u64) {}
