// SPDX-License-Identifier: MIT
// Names of kernel addresses. kallsyms.py makes the table from the first link's symbols; the second
// link puts it at the end of the read-only data, so that no function moves. Read-only; any context.
#include "lib/printk.h"
#include "lib/types.h"

extern "C" {
/// Offsets from kallsyms_base in ascending order, their names' offsets in kallsyms_names. Absent in
/// the first link and in programs that link no table.
[[gnu::weak]] extern const u32 kallsyms_count;
[[gnu::weak]] extern const u64 kallsyms_base;
[[gnu::weak]] extern const u32 kallsyms_offsets[];
[[gnu::weak]] extern const u32 kallsyms_name_at[];
[[gnu::weak]] extern const char kallsyms_names[];
}

const char *kallsyms_lookup(u64 addr, u64 *offset)
{
    if (offset)
        *offset = 0;
    if (!&kallsyms_count || !kallsyms_count || addr < kallsyms_base)
        return "?";
    u64 off = addr - kallsyms_base;
    u32 lo = 0, hi = kallsyms_count;
    while (hi - lo > 1) {
        u32 mid = lo + (hi - lo) / 2;
        if (kallsyms_offsets[mid] <= off)
            lo = mid;
        else
            hi = mid;
    }
    // The last entry is the end of the text.
    if (kallsyms_offsets[lo] > off || lo + 1 == kallsyms_count)
        return "?";
    if (offset)
        *offset = off - kallsyms_offsets[lo];
    return kallsyms_names + kallsyms_name_at[lo];
}

const char *kallsyms_entry(u32 i, u64 *addr)
{
    if (!&kallsyms_count || i + 1 >= kallsyms_count)
        return nullptr;
    *addr = kallsyms_base + kallsyms_offsets[i];
    return kallsyms_names + kallsyms_name_at[i];
}
