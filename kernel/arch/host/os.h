// SPDX-License-Identifier: MIT
// What the host port needs from Linux. Implemented in os_linux.cc, the only file that sees libc headers; so no type of either
// side appears here.
#pragma once

#include <cstddef>
#include <cstdint>

/// Fixed addresses, so that runs are alike: the direct map of all RAM, and the kernel's virtual area.
constexpr uint64_t HOST_DIRECT_MAP = 0x200000000000;
constexpr uint64_t HOST_VMALLOC_START = 0x210000000000;
constexpr uint64_t HOST_VMALLOC_SIZE = uint64_t{4} << 30;
/// Physical address of the first byte of RAM.
constexpr uint64_t HOST_PHYS_BASE = 0x400000;

/// Create RAM and map it; ends the process on failure.
void os_ram_create(size_t bytes);
/// Map the RAM page at offset `off` a second time at `va` (kernel virtual area), or take the mapping away.
bool os_ram_alias(uint64_t va, uint64_t off, bool writable);
void os_ram_unalias(uint64_t va);

/// Fibers: stacks and the switch with the sanitizers' knowledge.
struct host_fiber;
/// The fiber of the host's main thread.
extern host_fiber *os_main_fiber;
/// A fiber that starts in entry() on its first switch; `entry` never returns.
host_fiber *os_fiber_create(void (*entry)());
void os_fiber_free(host_fiber *f);
/// Continue `to`; returns when somebody switches back. `dying`: `from` never continues.
void os_fiber_switch(host_fiber *from, host_fiber *to, bool dying);

void os_console(const char *s, size_t n);
[[noreturn]] void os_exit(int status);
[[noreturn]] void os_abort();
unsigned os_backtrace(uint64_t *out, unsigned max);
/// Symbol of an address, or null.
const char *os_symbol(uint64_t addr, uint64_t *offset);
