// SPDX-License-Identifier: MIT
// Page-table entry bits and indices (SDM vol. 3 §4.5). Port-internal.
#pragma once

#include "lib/types.h"

constexpr u64 PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_PWT = 8, PTE_PCD = 16, PTE_A = 32, PTE_D = 64,
              PTE_LARGE = 128, PTE_G = 256,
              PTE_NONE = 512, // software: a page that nobody may touch
    PTE_NX = u64{1} << 63;
constexpr u64 PTE_ADDR = 0x000ffffffffff000;
constexpr u64 LARGE_PAGE = 0x200000;

/// Index into the table of `level` (3: PML4 … 0: 4 KiB pages).
constexpr unsigned pt_index(u64 va, unsigned level)
{
    return va >> (12 + 9 * level) & 511;
}
