// SPDX-License-Identifier: MIT
// The IDT, exceptions and the dispatch of interrupt vectors. Entered from entry.S with IRQs off on
// the interrupted task's stack (NMI, #DF, #MC, #DB: own stacks). Linux: arch/x86/kernel/traps.c,
// arch/x86/mm/fault.c.
#include "fpu.h"
#include "internal.h"
#include "lib/preempt.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "sched/signal.h"

namespace
{
struct idt_gate {
    u16 offset_low, selector;
    u8 ist, type;
    u16 offset_mid;
    u32 offset_high, reserved;
};
idt_gate idt[256];

constexpr u8 GATE_INTERRUPT = 0x8e, DPL3 = 0x60;

void set_gate(unsigned v, const void *handler, unsigned ist = IST_NONE, u8 type = GATE_INTERRUPT)
{
    u64 a = reinterpret_cast<u64>(handler);
    idt[v] = {static_cast<u16>(a),
              static_cast<u16>(KERNEL_CS),
              static_cast<u8>(ist),
              type,
              static_cast<u16>(a >> 16),
              static_cast<u32>(a >> 32),
              0};
}

constexpr u64 PF_PRESENT = 1, PF_WRITE = 2, PF_USER = 4, PF_RSVD = 8, PF_INSTR = 16;
} // namespace

extern "C" {
void trap_de();
void trap_db();
void trap_nmi();
void trap_bp();
void trap_of();
void trap_br();
void trap_ud();
void trap_nm();
void trap_df();
void trap_ts();
void trap_np();
void trap_ss();
void trap_gp();
void trap_pf();
void trap_mf();
void trap_ac();
void trap_mc();
void trap_xm();
void trap_other();
extern const u8 interrupt_stubs[];
}

void idt_init()
{
    for (unsigned v = 0; v < 32; v++)
        set_gate(v, reinterpret_cast<const void *>(&trap_other));
    for (unsigned v = 32; v < 256; v++)
        set_gate(v, interrupt_stubs + (v - 32) * 16);
    static constexpr struct {
        u8 vector;
        void (*handler)();
        u8 ist, dpl;
    } traps[] = {
        {0, trap_de, 0, 0},    {1, trap_db, IST_DB, 0},  {2, trap_nmi, IST_NMI, 0},
        {3, trap_bp, 0, DPL3}, {4, trap_of, 0, DPL3},    {5, trap_br, 0, 0},
        {6, trap_ud, 0, 0},    {7, trap_nm, 0, 0},       {8, trap_df, IST_DF, 0},
        {10, trap_ts, 0, 0},   {11, trap_np, 0, 0},      {12, trap_ss, 0, 0},
        {13, trap_gp, 0, 0},   {14, trap_pf, 0, 0},      {16, trap_mf, 0, 0},
        {17, trap_ac, 0, 0},   {18, trap_mc, IST_MC, 0}, {19, trap_xm, 0, 0},
    };
    for (auto &t : traps)
        set_gate(t.vector, reinterpret_cast<const void *>(t.handler), t.ist,
                 GATE_INTERRUPT | t.dpl);
}

void idt_load()
{
    struct [[gnu::packed]] {
        u16 limit;
        u64 base;
    } idtr{sizeof(idt) - 1, reinterpret_cast<u64>(idt)};
    __asm__ volatile("lidt %0" ::"m"(idtr));
}

/// The error code of the frame; marks the frame as "not a system call".
static u64 take_code(pt_regs *r)
{
    u64 code = r->orig_ax;
    r->orig_ax = ~u64{0};
    return code;
}

constexpr int ILL_ILLOPN = 2, FPE_INTDIV = 1, FPE_FLTDIV = 3, FPE_FLTOVF = 4, FPE_FLTUND = 5,
              FPE_FLTRES = 6, FPE_FLTINV = 7, BUS_ADRALN = 1, TRAP_TRACE = 2;

static void remember(u64 nr, u64 code)
{
    thread_struct &t = current_task()->thread;
    t.trap_nr = nr;
    t.error_code = code;
}

/// An exception that is not a page fault: signal for user mode, death for the kernel.
static void trap(pt_regs *r, u64 nr, const char *what, unsigned signal, int si_code, u64 addr)
{
    u64 code = take_code(r);
    if (user_mode(r)) {
        local_irq_enable();
        remember(nr, nr == 8 || (nr >= 10 && nr <= 14) || nr == 17 ? code : 0);
        user_exception(r, static_cast<int>(signal), si_code, addr);
        return;
    }
    r->orig_ax = code;
    die(what, r, addr);
}

/// si_code of x87 and SSE exceptions: the first unmasked one in the order of Linux
/// (SDM vol. 1 §8.5, §11.5: bits invalid 0, denormal 1, zero 2, overflow 3, underflow 4, precision 5).
static int fpe_code(u32 raised)
{
    if (raised & 1)
        return FPE_FLTINV;
    if (raised & 4)
        return FPE_FLTDIV;
    if (raised & 8)
        return FPE_FLTOVF;
    if (raised & 0x12)
        return FPE_FLTUND;
    return raised & 0x20 ? FPE_FLTRES : SI_KERNEL;
}

static void math_error(pt_regs *r, u64 nr, const char *what)
{
    int code = 0;
    if (user_mode(r)) {
        fpu_sync_current();
        const u8 *state = static_cast<const u8 *>(current_task()->thread.fpu_state());
        u16 control, status;
        u32 mxcsr;
        memcpy(&control, state, 2);
        memcpy(&status, state + 2, 2);
        memcpy(&mxcsr, state + 24, 4);
        code = fpe_code(nr == 16 ? status & ~control & 0x3fu : ~(mxcsr >> 7) & mxcsr & 0x3f);
    }
    trap(r, nr, what, SIGFPE, code, r->ip);
}

extern "C" {
void x86_trap_de(pt_regs *r)
{
    trap(r, 0, "divide error", SIGFPE, FPE_INTDIV, r->ip);
}
void x86_trap_bp(pt_regs *r)
{
    trap(r, 3, "int3", SIGTRAP, SI_KERNEL, 0);
}
void x86_trap_of(pt_regs *r)
{
    trap(r, 4, "overflow", SIGSEGV, SI_KERNEL, 0);
}
void x86_trap_br(pt_regs *r)
{
    trap(r, 5, "bounds", SIGSEGV, SI_KERNEL, 0);
}
void x86_trap_ud(pt_regs *r)
{
    trap(r, 6, "invalid opcode", SIGILL, ILL_ILLOPN, r->ip);
}
void x86_trap_nm(pt_regs *r)
{
    trap(r, 7, "device not available", SIGFPE, SI_KERNEL, 0);
}
void x86_trap_ts(pt_regs *r)
{
    trap(r, 10, "invalid TSS", SIGSEGV, SI_KERNEL, 0);
}
void x86_trap_np(pt_regs *r)
{
    trap(r, 11, "segment not present", SIGBUS, SI_KERNEL, 0);
}
void x86_trap_ss(pt_regs *r)
{
    trap(r, 12, "stack segment", SIGBUS, SI_KERNEL, 0);
}
void x86_trap_gp(pt_regs *r)
{
    trap(r, 13, "general protection fault", SIGSEGV, SI_KERNEL, 0);
}
void x86_trap_mf(pt_regs *r)
{
    math_error(r, 16, "x87 error");
}
void x86_trap_ac(pt_regs *r)
{
    trap(r, 17, "alignment check", SIGBUS, BUS_ADRALN, 0);
}
void x86_trap_xm(pt_regs *r)
{
    math_error(r, 19, "SIMD error");
}
void x86_trap_other(pt_regs *r)
{
    trap(r, 15, "reserved exception", SIGSEGV, SI_KERNEL, r->ip);
}

void x86_trap_df(pt_regs *r)
{
    die("double fault (stack overflow?)", r, read_cr2());
}
void x86_trap_mc(pt_regs *r)
{
    die("machine check", r, 0);
}
void x86_trap_nmi(pt_regs *) {}

// Single stepping: only a program's own TF can cause it; on the debug stack it may not sleep, so
// the trap flag is cleared and the signal is taken on the next return to user mode.
void x86_trap_db(pt_regs *r)
{
    r->orig_ax = ~u64{0};
    __asm__ volatile("mov %0, %%dr6" ::"r"(u64{0}));
    r->flags &= ~X86_EFLAGS_TF;
    if (!user_mode(r))
        return;
    remember(1, 0);
    kernel_siginfo info;
    info.code = TRAP_TRACE;
    info.addr = r->ip;
    send_signal_info(current(), SIGTRAP, info, false);
}

void x86_bad_iret(pt_regs *r)
{
    *r = {};
    r->orig_ax = ~u64{0};
    r->cs = USER_CS;
    r->ss = USER_DS;
    r->flags = X86_EFLAGS_IF | 2;
    local_irq_enable();
    user_exception(r, SIGSEGV, SI_KERNEL, 0);
}
}

/// A fault at a user address: from user mode, or in a function that may touch user memory. 0 when it was
/// dealt with, else SIGSEGV's si_code.
static int fault_in_user_space(pt_regs *r, u64 addr, u64 code)
{
    constexpr int SEGV_MAPERR = 1;
    mm_struct *mm = current_task() ? current_task()->mm : nullptr;
    bool user = user_mode(r);
    if (!mm || !regs_irqs_on(r) || in_atomic() || (code & PF_RSVD))
        return SEGV_MAPERR;
    local_irq_enable();
    int si_code = handle_mm_fault(mm, addr, code & PF_WRITE, code & PF_INSTR, user);
    local_irq_disable();
    return si_code;
}

extern "C" void x86_trap_pf(pt_regs *r)
{
    constexpr int SEGV_MAPERR = 1;
    u64 addr = read_cr2();
    u64 code = take_code(r);
    if (user_mode(r)) {
        int si_code = addr < TASK_SIZE ? fault_in_user_space(r, addr, code) : SEGV_MAPERR;
        thread_struct &t = current_task()->thread;
        t.cr2 = addr;
        remember(14,
                 addr < TASK_SIZE ? code : code | PF_PRESENT); // kernel addresses all look alike
        if (!si_code)
            return;
        local_irq_enable();
        user_exception(r, static_cast<int>(SIGSEGV), si_code, addr);
        return;
    }
    // The kernel touches user memory only in functions that have a fix-up.
    u64 fix = addr < TASK_SIZE ? extable_find(r->ip) : 0;
    if (fix) {
        if (fault_in_user_space(r, addr, code))
            r->ip = fix;
        return;
    }
    r->orig_ax = code;
    die(addr < PAGE_SIZE ? "null pointer dereference" : "page fault", r, addr);
}

extern "C" void x86_interrupt(pt_regs *r)
{
    unsigned v = static_cast<u8>(r->orig_ax);
    x86_cpu *c = this_x86_cpu();
    if (unsigned irq = c->vector_irq[v]) [[likely]] {
        apic_eoi();
        do_irq(irq - 1, r);
        return;
    }
    switch (v) {
    case VECTOR_TIMER:
        apic_eoi();
        timer_interrupt(r);
        break;
    case VECTOR_TLB:
        apic_eoi();
        tlb_handle_ipi();
        break;
    case VECTOR_SPURIOUS:
        break; // no EOI: SDM vol. 3 §11.9
    case VECTOR_IPI + static_cast<u8>(ipi::reschedule):
    case VECTOR_IPI + static_cast<u8>(ipi::call_function):
    case VECTOR_IPI + static_cast<u8>(ipi::stop):
        apic_eoi();
        handle_ipi(static_cast<ipi>(v - VECTOR_IPI), r);
        break;
    default:
        apic_eoi();
        if (printk_ratelimit())
            pr_warn("unexpected interrupt vector %u on CPU %u\n", v, smp_processor_id());
    }
}
