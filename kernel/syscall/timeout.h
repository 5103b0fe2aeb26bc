// SPDX-License-Identifier: MIT
// Time limits of the calls that wait for several files (poll, select, epoll_wait): relative as users give them, absolute (ktime) as the
// kernel waits. Linux: poll_select_set_timeout. Process context.
#pragma once

#include "lib/result.h"
#include "mm/uaccess.h"
#include "time/time.h"

/// No limit.
constexpr u64 FOREVER = ~u64{0};

/// Absolute time of a relative one; saturates to "for ever".
inline u64 deadline(u64 ns)
{
    u64 at;
    return __builtin_add_overflow(ktime_get(), ns, &at) ? FOREVER : at;
}

/// A user's relative time (null pointer: for ever). `unit_ns`: of the second field. EINVAL, EFAULT.
template <class T>
result<u64> read_timeout(user_ptr<T> user, s64 T::*fraction, s64 unit_ns)
{
    if (!user)
        return FOREVER;
    T t;
    TRY_VOID(get_user(t, user));
    if (t.sec < 0 || t.*fraction < 0 || t.*fraction >= static_cast<s64>(NSEC_PER_SEC) / unit_ns)
        return error{EINVAL};
    if (!t.sec && !(t.*fraction))
        return u64{0};
    if (static_cast<u64>(t.sec) > FOREVER / NSEC_PER_SEC - 1)
        return FOREVER;
    return deadline(static_cast<u64>(t.sec) * NSEC_PER_SEC +
                    static_cast<u64>(t.*fraction * unit_ns));
}
