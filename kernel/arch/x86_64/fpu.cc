// SPDX-License-Identifier: MIT
// x87/SSE/AVX state of user tasks. The kernel itself never touches these registers. A task's state
// is saved when it leaves the CPU and loaded again only on its way to user mode, and not at all
// when nobody else used the registers since. IRQs off unless said otherwise. Linux:
// arch/x86/kernel/fpu/.
#include "fpu.h"
#include "internal.h"
#include "lib/string.h"
#include "sched/sched.h"

namespace
{
constexpr u64 XSTATE_WANTED = 7; // x87, SSE, AVX
u64 xstate_mask;                 // XCR0; 0: FXSAVE only
u32 mxcsr_mask = 0xffbf;         // bits that MXCSR has (SDM vol. 1 §11.6.6)

void save(thread_struct &t)
{
    void *p = t.fpu_state();
    if (x86_features_found.xsaveopt)
        __asm__ volatile("xsaveopt64 (%0)" ::"r"(p), "a"(static_cast<u32>(xstate_mask)), "d"(0)
                         : "memory");
    else if (xstate_mask)
        __asm__ volatile("xsave64 (%0)" ::"r"(p), "a"(static_cast<u32>(xstate_mask)), "d"(0)
                         : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" ::"r"(p) : "memory");
}

void restore(thread_struct &t)
{
    const void *p = t.fpu_state();
    if (xstate_mask)
        __asm__ volatile("xrstor64 (%0)" ::"r"(p), "a"(static_cast<u32>(xstate_mask)), "d"(0)
                         : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" ::"r"(p) : "memory");
}
} // namespace

/// The state of a fresh program: FCW 0x37f, MXCSR 0x1f80 (System V ABI, amd64 §3.4.1), all else
/// zero.
void fpu_reset(thread_struct &t)
{
    u8 *p = static_cast<u8 *>(t.fpu_state());
    memset(p, 0, FPU_STATE_SIZE);
    *reinterpret_cast<u16 *>(p) = 0x37f;
    *reinterpret_cast<u32 *>(p + 24) = 0x1f80;
    if (xstate_mask)
        *reinterpret_cast<u64 *>(p + 512) = 3; // XSTATE_BV: x87 and SSE are given here
    t.fpu_cpu = -1;
}

void fpu_init_cpu()
{
    alignas(16) static u8 image[512];
    __asm__ volatile("fninit; fxsave64 %0" : "=m"(image));
    if (u32 m = *reinterpret_cast<u32 *>(image + 28))
        mxcsr_mask = m;
    if (!x86_features_found.xsave)
        return;
    cpuid_regs l = cpuid(0xd, 0);
    xstate_mask = XSTATE_WANTED & (u64{l.d} << 32 | l.a);
    __asm__ volatile("xsetbv" ::"c"(0), "a"(static_cast<u32>(xstate_mask)), "d"(0));
}

/// Keep `prev`'s state when it leaves the CPU; its registers stay usable if it comes back first.
void fpu_save_on_switch(task_struct *prev)
{
    if (prev->thread.user && this_x86_cpu()->fpu_owner == prev)
        save(prev->thread);
}

/// Forget a stale ownership: `next` may have run elsewhere since, or be a new task at an old
/// address.
void fpu_switch_in(task_struct *next)
{
    x86_cpu *c = this_x86_cpu();
    if (c->fpu_owner == next && next->thread.fpu_cpu != static_cast<s32>(c->block.id))
        c->fpu_owner = nullptr;
}

/// The registers do not hold the current task's state, which is about to return to user mode. From
/// entry.S.
extern "C" void fpu_restore_current()
{
    x86_cpu *c = this_x86_cpu();
    task_struct *t = c->block.current;
    restore(t->thread);
    t->thread.fpu_cpu = static_cast<s32>(c->block.id);
    c->fpu_owner = t;
}

/// The current task's state as of now in its memory (fork, signal frames). [P]
void fpu_sync_current()
{
    irq_guard g;
    task_struct *t = current_task();
    if (t->thread.user && this_x86_cpu()->fpu_owner == t)
        save(t->thread);
}

/// The current task's memory was rewritten (execve, sigreturn): load it before user mode. [P]
void fpu_reload_current()
{
    irq_guard g;
    if (this_x86_cpu()->fpu_owner == current_task())
        this_x86_cpu()->fpu_owner = nullptr;
}

u64 fpu_xstate_mask()
{
    return xstate_mask;
}

// What makes XRSTOR fault (SDM vol. 1 §13.8.1): unknown bits in XSTATE_BV, anything in the rest of
// the header, reserved MXCSR bits.
void fpu_sanitize(thread_struct &t, bool extended)
{
    u8 *p = static_cast<u8 *>(t.fpu_state());
    *reinterpret_cast<u32 *>(p + 24) &= mxcsr_mask;
    if (!xstate_mask)
        return;
    u64 *header = reinterpret_cast<u64 *>(p + 512);
    header[0] = extended ? header[0] & xstate_mask : 3;
    for (unsigned i = 1; i < 8; i++)
        header[i] = 0;
}
