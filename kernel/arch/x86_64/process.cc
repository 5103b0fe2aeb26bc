// SPDX-License-Identifier: MIT
// Tasks of the port: switching, first steps of new ones, entering user mode, TLS. Linux:
// arch/x86/kernel/process_64.c.
#include "fpu.h"
#include "internal.h"
#include "lib/string.h"
#include "sched/sched.h"

extern "C" {
task_struct *x86_switch_stack(u64 *prev_sp, u64 next_sp, task_struct *prev);
void x86_thread_start();
void x86_fork_return();
[[noreturn]] void x86_return_to_user(pt_regs *regs);
}

static u64 stack_top(const task_struct *t)
{
    return reinterpret_cast<u64>(t->stack) + THREAD_SIZE;
}

task_struct *arch_switch_to(task_struct *prev, task_struct *next)
{
    x86_cpu *c = this_x86_cpu();
    fpu_save_on_switch(prev);
    // A task without an address space keeps the loaded one: its kernel half is everybody's.
    if (next->mm && next->mm != c->active_mm)
        arch_activate_mm(next->mm);
    if (next->thread.user) {
        fpu_switch_in(next);
        u64 top = stack_top(next);
        c->kernel_sp = top;
        c->tss.rsp[0] = top;
        // A program can zero the base by loading %fs, unseen by us: what this CPU loaded counts only
        // while the same task uses it. Kernel threads in between leave it alone.
        if (c->fs_owner != next || c->loaded_fs != next->thread.fs_base) {
            wrmsr(MSR_FS_BASE, next->thread.fs_base);
            c->fs_owner = next;
            c->loaded_fs = next->thread.fs_base;
        }
    }
    return x86_switch_stack(&prev->thread.sp, next->thread.sp, prev);
}

void arch_thread_init(task_struct *t, void (*entry)(void *), void *arg)
{
    // Room for a user frame at the top: the thread may become a process (kernel_execve).
    auto *sp = reinterpret_cast<u64 *>(reinterpret_cast<u64>(arch_task_regs(t)) - 16);
    memset(arch_task_regs(t), 0, sizeof(pt_regs));
    *--sp = 0; // end of the frame chain
    *--sp = reinterpret_cast<u64>(&x86_thread_start);
    *--sp = 0;                            // rbp
    *--sp = reinterpret_cast<u64>(entry); // rbx
    *--sp = reinterpret_cast<u64>(arg);   // r12
    *--sp = 0;
    *--sp = 0;
    *--sp = 0; // r15
    t->thread.sp = reinterpret_cast<u64>(sp);
    t->thread.user = false;
    t->thread.fpu_cpu = -1;
}

void arch_thread_fork(task_struct *t, const pt_regs *regs, u64 user_sp, u64 tls)
{
    thread_struct &mine = current_task()->thread;
    pt_regs *r = arch_task_regs(t);
    *r = *regs;
    r->ax = 0;
    if (user_sp)
        r->sp = user_sp;
    auto *sp = reinterpret_cast<u64 *>(r);
    *--sp = reinterpret_cast<u64>(&x86_fork_return);
    for (unsigned i = 0; i < 6; i++)
        *--sp = 0;
    fpu_sync_current();
    memcpy(t->thread.fpu_state(), mine.fpu_state(), FPU_STATE_SIZE);
    t->thread.sp = reinterpret_cast<u64>(sp);
    t->thread.user = true;
    t->thread.fpu_cpu = -1;
    t->thread.fs_base = tls ? tls : mine.fs_base;
}

/// Make the current task one of user mode, with a clean state.
static void become_user()
{
    task_struct *t = current_task();
    irq_guard g;
    x86_cpu *c = this_x86_cpu();
    fpu_reset(t->thread);
    c->fpu_owner = nullptr;
    t->thread.user = true;
    t->thread.fs_base = 0;
    wrmsr(MSR_FS_BASE, 0);
    c->loaded_fs = 0;
    c->kernel_sp = stack_top(t);
    c->tss.rsp[0] = c->kernel_sp;
}

void arch_start_thread(pt_regs *regs, u64 ip, u64 sp)
{
    *regs = {};
    regs->ip = regs->cx = ip; // rcx, r11 as sysret wants them
    regs->flags = regs->r11 = X86_EFLAGS_IF | 2;
    regs->cs = USER_CS;
    regs->ss = USER_DS;
    regs->sp = sp;
    regs->orig_ax = ~u64{0};
    become_user();
}

void arch_enter_user(u64 ip, u64 sp)
{
    pt_regs *r = arch_task_regs(current_task());
    arch_start_thread(r, ip, sp);
    x86_return_to_user(r);
}

void arch_thread_free(task_struct *) {}

pt_regs *arch_task_regs(task_struct *t)
{
    return reinterpret_cast<pt_regs *>(stack_top(t)) - 1;
}

// The innermost frames belong to the scheduler; the caller of schedule() is kept by it, so this is
// only for dumps.
u64 arch_task_wchan_ip(const task_struct *t)
{
    auto *sp = reinterpret_cast<const u64 *>(t->thread.sp);
    return sp ? sp[6] : 0;
}

void arch_set_tls(u64 base)
{
    irq_guard g;
    current_task()->thread.fs_base = base;
    this_x86_cpu()->loaded_fs = base;
    wrmsr(MSR_FS_BASE, base);
}
