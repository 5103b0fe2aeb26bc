// SPDX-License-Identifier: MIT
// Pages of an address space by kind, for /proc. See mm_usage.cc.
#pragma once

#include "mm/mm.h"

/// Pages of one area that are present. A page that is nobody's copy and that its file holds counts as the file's.
struct area_usage {
    u64 rss = 0, pss_bytes = 0, anonymous = 0;
    u64 shared_clean = 0, shared_dirty = 0, private_clean = 0, private_dirty = 0;
};
/// Count the pages of an area. The mm's lock is held (mm_for_each_area).
void mm_area_usage(mm_struct *mm, const vm_area &a, area_usage *u);

/// Sums over an mm, pages: present, anonymous; and sizes of areas: the program's text, other text, writable private, stack.
struct mm_sums {
    u64 rss = 0, anonymous = 0, exe = 0, lib = 0, data = 0, stack = 0, areas = 0;
    u64 text_areas = 0;
};
/// Page faults of programs since boot.
u64 nr_page_faults();
/// Walk all areas. [P]
void mm_usage_sums(mm_struct *mm, mm_sums *out);
