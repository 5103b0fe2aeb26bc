// SPDX-License-Identifier: MIT
// Initcalls: functions collected by level in the image and run in order at boot (rows B-04, B-05, B-10). Linux:
// include/linux/init.h, init/main.c do_initcalls(). `early` runs before the other CPUs are started.
#pragma once

using initcall_fn = int (*)();

/// One registered initcall. Its size is its alignment: the linker lays entries side by side as an array, and the compiler must
/// not leave gaps between them.
struct alignas(32) initcall {
    initcall_fn fn;
    const char *name;
    const char *level;
};

/// Register `fn` at a level. Entries are placed in linker section ".initcall.<n>.<level>", sorted by n; within a level in
/// link order. fn returns 0 or -errno (reported, boot goes on).
#define DEFINE_INITCALL(n, level, fn)                                                \
    [[gnu::used, gnu::section(".initcall." #n)]] static const initcall initcall_##fn \
    {                                                                                \
        fn, #fn, #level                                                              \
    }

#define early_initcall(fn) DEFINE_INITCALL(0, early, fn)
#define pure_initcall(fn) DEFINE_INITCALL(1, pure, fn)
#define core_initcall(fn) DEFINE_INITCALL(2, core, fn)
#define postcore_initcall(fn) DEFINE_INITCALL(3, postcore, fn)
#define arch_initcall(fn) DEFINE_INITCALL(4, arch, fn)
#define subsys_initcall(fn) DEFINE_INITCALL(5, subsys, fn)
#define fs_initcall(fn) DEFINE_INITCALL(6, fs, fn)
#define device_initcall(fn) DEFINE_INITCALL(7, device, fn)
#define module_init(fn) device_initcall(fn)
#define late_initcall(fn) DEFINE_INITCALL(8, late, fn)
