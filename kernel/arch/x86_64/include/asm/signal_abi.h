// SPDX-License-Identifier: MIT
// Layout of the signal frame in user memory: Linux's ABI, arch/x86/include/uapi/asm/sigcontext.h
// and ucontext.h.
#pragma once

#include "lib/types.h"

struct user_sigcontext {
    u64 r8, r9, r10, r11, r12, r13, r14, r15;
    u64 di, si, bp, bx, dx, ax, cx, sp, ip, flags;
    u16 cs, gs, fs, ss;
    u64 err, trapno, oldmask, cr2;
    u64 fpstate;
    u64 reserved[8];
};
static_assert(sizeof(user_sigcontext) == 256);

struct rt_sigframe {
    u64 restorer;
    // struct ucontext
    u64 flags, link;
    u64 sas_sp;
    u32 sas_flags, pad;
    u64 sas_size;
    user_sigcontext context;
    u64 sigmask;
    u8 info[128];
};
static_assert(__builtin_offsetof(rt_sigframe, info) == 8 + 40 + 256 + 8);

/// What the last 48 bytes of the FXSAVE image say about the extended state behind it (struct
/// _fpx_sw_bytes).
struct fpu_sw_bytes {
    u32 magic1, extended_size;
    u64 xfeatures;
    u32 xstate_size;
    u32 padding[7];
};
static_assert(sizeof(fpu_sw_bytes) == 48);
