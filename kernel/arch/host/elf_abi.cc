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

void arch_describe_cpu(unsigned cpu, void (*row)(void *, const char *, const char *), void *arg)
{
    const char digits[] = {static_cast<char>('0' + cpu / 10), static_cast<char>('0' + cpu % 10), 0};
    row(arg, "processor\t", cpu > 9 ? digits : digits + 1);
}
