// SPDX-License-Identifier: MIT
// What a program is told about the machine: ELF machine number, AT_HWCAP, AT_PLATFORM; and its TLS
// base. [P]
#include "internal.h"
#include "sched/sched.h"

const u16 arch_elf_machine = 62; // EM_X86_64

u64 arch_hwcap()
{
    return cpuid(1).d;
}
const char *arch_platform()
{
    return "x86_64";
}
u64 arch_get_tls()
{
    return current_task()->thread.fs_base;
}
