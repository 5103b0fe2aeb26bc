// SPDX-License-Identifier: MIT
// Typed user pointers: they cannot be dereferenced, only copied through. [P], IRQs on, may fault
// and sleep.
#pragma once

#include "arch/arch.h"
#include "lib/result.h"

/// A pointer into the current process's memory, unchecked until copied.
template <class T>
class user_ptr
{
public:
    constexpr user_ptr() = default;
    constexpr explicit user_ptr(u64 a) : a_{a} {}
    constexpr u64 addr() const { return a_; }
    constexpr explicit operator bool() const { return a_ != 0; }
    template <class U>
    user_ptr<U> cast() const
    {
        return user_ptr<U>{a_};
    }
    /// Pointer arithmetic in elements (bytes for void).
    user_ptr operator+(u64 n) const
    {
        if constexpr (std::is_void_v<std::remove_const_t<T>>)
            return user_ptr{a_ + n};
        else
            return user_ptr{a_ + n * sizeof(T)};
    }

private:
    u64 a_ = 0;
};

/// Copy n bytes in/out; EFAULT unless all were copied.
inline result<void> copy_from_user(void *to, user_ptr<const void> from, size_t n)
{
    if (arch_copy_from_user(to, reinterpret_cast<const void *>(from.addr()), n))
        return error{EFAULT};
    return {};
}
inline result<void> copy_to_user(user_ptr<void> to, const void *from, size_t n)
{
    if (arch_copy_to_user(reinterpret_cast<void *>(to.addr()), from, n))
        return error{EFAULT};
    return {};
}
/// One object in/out.
template <class T>
result<void> get_user(T &to, user_ptr<T> from)
{
    return copy_from_user(&to, from.template cast<const void>(), sizeof(T));
}
template <class T>
result<void> put_user(user_ptr<T> to, const T &v)
{
    return copy_to_user(to.template cast<void>(), &v, sizeof(T));
}
