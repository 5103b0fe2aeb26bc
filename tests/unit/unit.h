// SPDX-License-Identifier: MIT
// For unit tests: CMocka and a booted host kernel. A test program is one .cc file with
//
//   static void test_x(void **) { assert_true(...); }              pure functions, no kernel needed
//   static void kernel_test_x(void *) { HOST_EXPECT(...); }        runs in a kernel thread
//   extern "C" int main() { unit_main("name", {UNIT(test_x), KERNEL_UNIT(kernel_test_x)}, 4); }
//
// and a line in meson.build. Code in kernel threads uses HOST_EXPECT: CMocka's assertions jump to another stack. The rows
// that a test proves are listed in rows.map.
#pragma once

#include "host.h"
#include "lib/string.h"
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
extern "C" {
#include <cmocka.h>
}

/// One test: `plain` runs on the main thread, `kernel` in a kernel thread.
struct unit_case {
    const char *name;
    void (*plain)(void **);
    void (*kernel)(void *);
};
#define UNIT(f) (unit_case{#f, f, nullptr})
#define KERNEL_UNIT(f) (unit_case{#f, nullptr, f})

/// Run the tests in order; boots the kernel first with `cpus` CPUs if that is not 0. The exit status is the number of
/// failures; does not return (the kernel's objects are never destroyed).
[[noreturn]] void unit_run(const char *group, const unit_case *tests, size_t n, unsigned cpus);
template <size_t N>
[[noreturn]] void unit_main(const char *group, const unit_case (&tests)[N], unsigned cpus)
{
    unit_run(group, tests, N, cpus);
}
