// SPDX-License-Identifier: MIT
// arch_copy_*_user: range check, SMAP window, and the copy of uaccess.S. [P], IRQs on, may fault
// and sleep.
#include "internal.h"
#include "lib/checksum.h"
#include "lib/errno.h"
#include "lib/string.h"

extern "C" {
u64 x86_copy_user(void *to, const void *from, u64 n);
u64 x86_clear_user(void *to, u64 n);
u64 x86_get_user8(const void *from, void *out);
u64 x86_put_user8(void *to, u64 v);
u64 x86_get_user4(const void *from, void *out);
u64 x86_put_user4(void *to, u32 v);
s64 x86_strncpy_user(char *to, const char *from, u64 n);
}

namespace
{
/// User memory may be touched while one of these lives. A page fault inside keeps the flag in its
/// own frame.
struct user_access {
    user_access()
    {
        if (smap_enabled)
            __asm__ volatile("stac" ::: "memory");
    }
    ~user_access()
    {
        if (smap_enabled)
            __asm__ volatile("clac" ::: "memory");
    }
};

bool range_ok(const void *p, size_t n)
{
    u64 a = reinterpret_cast<u64>(p);
    return n <= TASK_SIZE && a <= TASK_SIZE - n;
}
} // namespace

size_t arch_copy_from_user(void *to, const void *from, size_t n)
{
    if (!range_ok(from, n)) [[unlikely]]
        return n;
    user_access open;
    if (n == 8)
        return x86_get_user8(from, to);
    if (n == 4)
        return x86_get_user4(from, to);
    return x86_copy_user(to, from, n);
}

size_t arch_copy_to_user(void *to, const void *from, size_t n)
{
    if (!range_ok(to, n)) [[unlikely]]
        return n;
    user_access open;
    if (n == 8)
        return x86_put_user8(to, *static_cast<const u64 *>(from));
    if (n == 4)
        return x86_put_user4(to, *static_cast<const u32 *>(from));
    return x86_copy_user(to, from, n);
}

size_t arch_clear_user(void *to, size_t n)
{
    if (!range_ok(to, n)) [[unlikely]]
        return n;
    user_access open;
    return x86_clear_user(to, n);
}

ssize_t arch_strncpy_from_user(char *to, const char *from, size_t n)
{
    u64 a = reinterpret_cast<u64>(from);
    if (a >= TASK_SIZE)
        return -EFAULT;
    u64 room = min(u64{n}, TASK_SIZE - a);
    user_access open;
    s64 r = x86_strncpy_user(to, from, room);
    if (r == static_cast<s64>(room) && room < n && to[room - 1])
        return -EFAULT; // ran into the end of user space
    return r;
}

size_t arch_csum_and_copy_from_user(void *to, const void *from, size_t n, u32 *csum)
{
    size_t left = arch_copy_from_user(to, from, n);
    *csum = csum_partial(to, n - left, *csum);
    return left;
}
