// SPDX-License-Identifier: MIT
// The registers of interrupted code as entry.S pushes them; Linux's struct pt_regs (its order is
// the ptrace and core ABI). For a task of user mode it lies at the very top of the kernel stack.
#pragma once

#include "lib/types.h"

struct pt_regs {
    u64 r15, r14, r13, r12, bp, bx;
    u64 r11, r10, r9, r8, ax, cx, dx, si, di;
    /// System call number; error code of an exception; vector number of an interrupt.
    u64 orig_ax;
    u64 ip, cs, flags, sp, ss;
};
static_assert(sizeof(pt_regs) == 21 * 8);

/// Selectors; the user ones have RPL 3. The order in the GDT is what syscall/sysret want.
constexpr u64 KERNEL_CS = 0x10, KERNEL_DS = 0x18, USER_DS = 0x2b, USER_CS = 0x33,
              TSS_SELECTOR = 0x40;

inline bool user_mode(const pt_regs *r)
{
    return r->cs & 3;
}
/// Portable accessors: what code outside arch/ may ask of a frame.
inline u64 regs_ip(const pt_regs *r)
{
    return r->ip;
}
inline u64 regs_sp(const pt_regs *r)
{
    return r->sp;
}
inline bool regs_irqs_on(const pt_regs *r)
{
    return r->flags & 0x200;
}
inline u64 syscall_nr(const pt_regs *r)
{
    return r->orig_ax;
}
/// The n-th (0…5) argument of a system call.
inline u64 syscall_arg(const pt_regs *r, unsigned n)
{
    switch (n) {
    case 0:
        return r->di;
    case 1:
        return r->si;
    case 2:
        return r->dx;
    case 3:
        return r->r10;
    case 4:
        return r->r8;
    default:
        return r->r9;
    }
}
