// SPDX-License-Identifier: MIT
// Tells AddressSanitizer (arch/host builds) which bytes of our own allocators are handed out, so
// that a use after free of a slab object or page is reported at the access. Nothing in other
// builds. Any context.
#pragma once

#include "lib/types.h"

#if defined(__SANITIZE_ADDRESS__)
#define SOFTNET_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SOFTNET_ASAN 1
#endif
#endif

#ifdef SOFTNET_ASAN
extern "C" void __asan_poison_memory_region(const volatile void *p, size_t n);
extern "C" void __asan_unpoison_memory_region(const volatile void *p, size_t n);
inline void kasan_poison(const void *p, size_t n)
{
    __asan_poison_memory_region(p, n);
}
inline void kasan_unpoison(const void *p, size_t n)
{
    __asan_unpoison_memory_region(p, n);
}
constexpr bool kasan_enabled = true;
#else
inline void kasan_poison(const void *, size_t) {}
inline void kasan_unpoison(const void *, size_t) {}
constexpr bool kasan_enabled = false;
#endif
