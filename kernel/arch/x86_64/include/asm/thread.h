// SPDX-License-Identifier: MIT
// The x86_64 part of a task. Written by arch_switch_to() with IRQs off, otherwise by the task
// itself.
#pragma once

#include "arch/arch.h"
#include "asm/ptregs.h"

/// Largest x87+SSE+AVX state in the standard XSAVE format (SDM vol. 1 §13.4): 512 legacy, 64
/// header, 256 AVX.
constexpr size_t FPU_STATE_SIZE = 832;

struct thread_struct {
    u64 sp = 0;        // kernel stack pointer while switched out; entry.S: offset 0
    u64 fs_base = 0;   // user TLS
    u64 gs_base = 0;   // user GS base
    s32 fpu_cpu = -1;  // CPU whose registers hold fpu_state's content, -1: none
    bool user = false; // has user registers to save and restore
    u64 trap_nr = 0, error_code = 0, cr2 = 0;    // the last exception, for its signal's frame
    alignas(8) u8 fpu_area[FPU_STATE_SIZE + 64]; // XSAVE wants 64-byte alignment: see fpu_state()

    void *fpu_state()
    {
        return reinterpret_cast<void *>((reinterpret_cast<u64>(fpu_area) + 63) & ~u64{63});
    }
};
