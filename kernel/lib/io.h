// SPDX-License-Identifier: MIT
// Device register access (little-endian, uncached mappings from ioremap) and the ordering of memory shared with a device.
// Any context.
#pragma once

#include "lib/types.h"
#include <atomic>

inline u32 readl(const volatile void *p)
{
    return *static_cast<const volatile u32 *>(p);
}
inline u16 readw(const volatile void *p)
{
    return *static_cast<const volatile u16 *>(p);
}
inline u8 readb(const volatile void *p)
{
    return *static_cast<const volatile u8 *>(p);
}
inline void writel(u32 v, volatile void *p)
{
    *static_cast<volatile u32 *>(p) = v;
}
inline void writew(u16 v, volatile void *p)
{
    *static_cast<volatile u16 *>(p) = v;
}
inline void writeb(u8 v, volatile void *p)
{
    *static_cast<volatile u8 *>(p) = v;
}

/// Order what the CPU wrote for the device before a following register write, resp. reads of what the device wrote after the
/// read of its "done" bit. Both ports keep such accesses in order when the compiler does.
inline void dma_wmb()
{
    std::atomic_thread_fence(std::memory_order_release);
}
inline void dma_rmb()
{
    std::atomic_thread_fence(std::memory_order_acquire);
}
