// SPDX-License-Identifier: MIT
// Registers of interrupted code: the host port has no user mode, so nothing ever fills one; the accessors keep portable
// code compiling.
#pragma once

#include "lib/types.h"

struct pt_regs {
    u64 ip, sp, nr, arg[6], ret;
};
inline bool user_mode(const pt_regs *)
{
    return false;
}
inline u64 regs_ip(const pt_regs *r)
{
    return r->ip;
}
inline u64 regs_sp(const pt_regs *r)
{
    return r->sp;
}
inline bool regs_irqs_on(const pt_regs *)
{
    return true;
}
inline u64 syscall_nr(const pt_regs *r)
{
    return r->nr;
}
inline u64 syscall_arg(const pt_regs *r, unsigned n)
{
    return r->arg[n];
}
