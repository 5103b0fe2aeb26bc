// SPDX-License-Identifier: MIT
// The host port runs no programs; their ABI facts only have to exist.
#include "arch/arch.h"

const u16 arch_elf_machine = 0;
u64 arch_hwcap()
{
    return 0;
}
const char *arch_platform()
{
    return "host";
}
u64 arch_get_tls()
{
    return 0;
}
