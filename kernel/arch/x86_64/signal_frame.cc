// SPDX-License-Identifier: MIT
// The frame of a signal handler on the user's stack, as the x86_64 ABI of Linux has it
// (arch/x86/kernel/signal.c, rt_sigframe), and the end of system calls. [P], IRQs on; the current
// task only. Everything read back is the user's and is checked.
#include "asm/signal_abi.h"
#include "fpu.h"
#include "internal.h"
#include "lib/string.h"
#include "sched/sched.h"

namespace
{
constexpr u64 SA_ONSTACK = 0x08000000, SA_RESTORER = 0x04000000;
constexpr u64 RED_ZONE = 128;
constexpr u32 FP_XSTATE_MAGIC1 = 0x46505853, FP_XSTATE_MAGIC2 = 0x46505845;
constexpr u64 UC_FP_XSTATE = 1;
/// Flags that a program may set by itself.
constexpr u64 USER_FLAGS = 0x40000 | 0x10000 | 0x800 | 0x400 | 0x100 | 0x80 | 0x40 | 0x10 | 4 | 1;

bool on_sig_stack(u64 sp, const signal_frame &f)
{
    constexpr u32 SS_AUTODISARM = 1u << 31; // then the stack counts as not in use
    return f.sas_size && !(f.sas_flags & SS_AUTODISARM) && sp > f.sas_sp &&
           sp - f.sas_sp <= f.sas_size;
}

void fill_context(user_sigcontext &c, const pt_regs *r)
{
    c.r8 = r->r8;
    c.r9 = r->r9;
    c.r10 = r->r10;
    c.r11 = r->r11;
    c.r12 = r->r12;
    c.r13 = r->r13;
    c.r14 = r->r14;
    c.r15 = r->r15;
    c.di = r->di;
    c.si = r->si;
    c.bp = r->bp;
    c.bx = r->bx;
    c.dx = r->dx;
    c.ax = r->ax;
    c.cx = r->cx;
    c.sp = r->sp;
    c.ip = r->ip;
    c.flags = r->flags;
    c.cs = USER_CS;
    c.ss = USER_DS;
    const thread_struct &t = current_task()->thread;
    c.err = t.error_code;
    c.trapno = t.trap_nr;
    c.cr2 = t.cr2;
}

void load_context(pt_regs *r, const user_sigcontext &c)
{
    r->r8 = c.r8;
    r->r9 = c.r9;
    r->r10 = c.r10;
    r->r11 = c.r11;
    r->r12 = c.r12;
    r->r13 = c.r13;
    r->r14 = c.r14;
    r->r15 = c.r15;
    r->di = c.di;
    r->si = c.si;
    r->bp = c.bp;
    r->bx = c.bx;
    r->dx = c.dx;
    r->ax = c.ax;
    r->cx = c.cx;
    r->sp = c.sp;
    r->ip = c.ip;
    r->flags = (r->flags & ~USER_FLAGS) | (c.flags & USER_FLAGS) | X86_EFLAGS_IF;
    r->cs = USER_CS;
    r->ss = USER_DS;
    r->orig_ax = ~u64{0};
}

/// Bytes of the FPU part: XSAVE image and the closing magic number, or the bare FXSAVE image.
size_t fpu_frame_size()
{
    return fpu_xstate_mask() ? FPU_STATE_SIZE + 4 : 512;
}

bool write_fpu(u64 addr)
{
    fpu_sync_current();
    u8 *state = static_cast<u8 *>(current_task()->thread.fpu_state());
    if (!fpu_xstate_mask())
        return !arch_copy_to_user(reinterpret_cast<void *>(addr), state, 512);
    fpu_sw_bytes sw{FP_XSTATE_MAGIC1, FPU_STATE_SIZE + 4, fpu_xstate_mask(), FPU_STATE_SIZE, {}};
    u32 magic2 = FP_XSTATE_MAGIC2;
    return !arch_copy_to_user(reinterpret_cast<void *>(addr), state, FPU_STATE_SIZE) &&
           !arch_copy_to_user(reinterpret_cast<void *>(addr + 464), &sw, sizeof(sw)) &&
           !arch_copy_to_user(reinterpret_cast<void *>(addr + FPU_STATE_SIZE), &magic2, 4);
}

bool read_fpu(u64 addr)
{
    thread_struct &t = current_task()->thread;
    if (!addr) { // the handler wants a clean state
        fpu_reset(t);
        fpu_reload_current();
        return true;
    }
    u8 *state = static_cast<u8 *>(t.fpu_state());
    fpu_reload_current(); // from here on memory counts
    fpu_sw_bytes sw;
    if (arch_copy_from_user(state, reinterpret_cast<void *>(addr), 512)) {
        fpu_reset(t);
        return false;
    }
    memcpy(&sw, state + 464, sizeof(sw));
    bool extended =
        fpu_xstate_mask() && sw.magic1 == FP_XSTATE_MAGIC1 && sw.xstate_size == FPU_STATE_SIZE;
    memset(state + 512, 0, FPU_STATE_SIZE - 512);
    if (extended && arch_copy_from_user(state + 512, reinterpret_cast<void *>(addr + 512),
                                        FPU_STATE_SIZE - 512)) {
        fpu_reset(t);
        return false;
    }
    fpu_sanitize(t, extended);
    return true;
}
} // namespace

bool arch_setup_signal_frame(pt_regs *regs, const signal_frame &f)
{
    if (!(f.flags & SA_RESTORER))
        return false;
    u64 sp = regs->sp;
    bool switch_stack = (f.flags & SA_ONSTACK) && f.sas_size && !on_sig_stack(sp, f);
    sp = switch_stack ? f.sas_sp + f.sas_size : sp - RED_ZONE;
    u64 fpu = align_down(sp - fpu_frame_size(), 64);
    u64 at = align_down(fpu - sizeof(rt_sigframe), 16) - 8; // as after a call
    if (!switch_stack && on_sig_stack(regs->sp, f) && !on_sig_stack(at, f))
        return false; // the alternate stack is full
    rt_sigframe frame{};
    frame.restorer = f.restorer;
    frame.flags = fpu_xstate_mask() ? UC_FP_XSTATE : 0;
    frame.sas_sp = f.sas_sp;
    frame.sas_flags =
        f.sas_size ? (on_sig_stack(regs->sp, f) ? 1u : f.sas_flags) : 2u; // SS_ONSTACK, SS_DISABLE
    frame.sas_size = f.sas_size;
    fill_context(frame.context, regs);
    frame.context.oldmask = frame.sigmask = f.blocked;
    frame.context.fpstate = fpu;
    memcpy(frame.info, f.info, sizeof(kernel_siginfo));
    if (!write_fpu(fpu) || arch_copy_to_user(reinterpret_cast<void *>(at), &frame, sizeof(frame)))
        return false;
    regs->di = f.sig;
    regs->si = at + __builtin_offsetof(rt_sigframe, info);
    regs->dx = at + __builtin_offsetof(rt_sigframe, flags);
    regs->ax = 0;
    regs->sp = at;
    regs->ip = regs->cx = f.handler;
    regs->flags &= ~(X86_EFLAGS_DF | X86_EFLAGS_RF | X86_EFLAGS_TF);
    regs->r11 = regs->flags;
    regs->cs = USER_CS;
    regs->ss = USER_DS;
    return true;
}

bool arch_restore_signal_frame(pt_regs *regs, signal_frame *f)
{
    rt_sigframe frame;
    u64 at = regs->sp - 8; // the handler's return took the restorer's address
    if (arch_copy_from_user(&frame, reinterpret_cast<void *>(at), sizeof(frame)))
        return false;
    load_context(regs, frame.context);
    f->blocked = frame.sigmask;
    f->sas_sp = frame.sas_sp;
    f->sas_size = frame.sas_size;
    f->sas_flags = frame.sas_flags;
    return read_fpu(frame.context.fpstate);
}

s64 arch_syscall_result(const pt_regs *regs)
{
    return static_cast<s64>(regs->ax);
}
void arch_set_syscall_result(pt_regs *regs, s64 v)
{
    regs->ax = static_cast<u64>(v);
}

void arch_restart_syscall(pt_regs *regs, u64 nr)
{
    regs->ax = nr;
    regs->ip -= 2; // the syscall instruction
}
