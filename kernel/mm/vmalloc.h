// SPDX-License-Identifier: MIT
// Virtually contiguous kernel memory and kernel stacks with guard pages. Process context.
#pragma once

#include "mm/page.h"

/// Zeroed memory of `size` bytes, page aligned, an unmapped page on both sides; null when out of
/// memory. [P]
void *vzalloc(size_t size);
void vfree(void *p);
/// A kernel stack of THREAD_SIZE with a guard page below. Returns its lowest address. [P]
void *stack_alloc();
void stack_free(void *stack);
/// Address space for device mappings (used by ioremap).
u64 vmap_reserve(size_t size);
void vmalloc_init();
