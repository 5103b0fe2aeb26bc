// SPDX-License-Identifier: MIT
// The pieces of the C++ ABI that compiled code asks for. Destructors of static objects are never
// run: the kernel does not end.
#include "lib/printk.h"

extern "C" {
void *__dso_handle;
int __cxa_atexit(void (*)(void *), void *, void *)
{
    return 0;
}
/// __builtin_popcountll without the instruction, which the base ISA lacks.
int __popcountdi2(unsigned long v)
{
    int n = 0;
    for (; v; v &= v - 1)
        n++;
    return n;
}
[[noreturn]] void __cxa_pure_virtual()
{
    panic("pure virtual function called");
}
}

/// A broken assertion of the standard library (std::span, std::array bounds): by which name depends
/// on its version.
extern "C" [[noreturn]] void abort()
{
    panic("standard library assertion");
}
namespace std
{
[[noreturn]] void __glibcxx_assert_fail(const char *file, int line, const char *,
                                        const char *condition)
{
    panic("%s:%d: %s", file, line, condition);
}
} // namespace std
