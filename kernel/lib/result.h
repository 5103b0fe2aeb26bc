// SPDX-License-Identifier: MIT
// result<T>: a value or a positive errno. Conversion to -errno happens once, at the system-call edge.
// Any context; no allocation.
#pragma once

#include "lib/errno.h"
#include "lib/types.h"
#include <new>
#include <utility>

/// An error on its way up: `return error{EINVAL};`.
struct error {
    errno_t code;
};

/// A value or an errno. Test with `if (!r)`; take with *r; `TRY(expr)` propagates.
template <class T>
class [[nodiscard]] result
{
public:
    result(T v) : err_{} { new (&val_) T(std::move(v)); }
    result(error e) : err_{e.code} {}
    result(result &&o) : err_{o.err_}
    {
        if (!err_)
            new (&val_) T(std::move(o.val_));
    }
    result(const result &) = delete;
    result &operator=(const result &) = delete;
    ~result()
    {
        if (!err_)
            val_.~T();
    }
    explicit operator bool() const { return !err_; }
    /// The errno (positive), or 0 when there is a value.
    int err() const { return err_; }
    /// The error, to pass up.
    ::error fail() const { return ::error{static_cast<errno_t>(err_)}; }
    T &operator*() { return val_; }
    const T &operator*() const { return val_; }
    T *operator->() { return &val_; }
    T take() { return std::move(val_); }

private:
    union {
        T val_;
    };
    int err_;
};

/// Success or an errno.
template <>
class [[nodiscard]] result<void>
{
public:
    constexpr result() : err_{0} {}
    constexpr result(::error e) : err_{e.code} {}
    constexpr explicit operator bool() const { return !err_; }
    constexpr int err() const { return err_; }
    constexpr ::error fail() const { return ::error{static_cast<errno_t>(err_)}; }

private:
    int err_;
};

/// Evaluate to the value of a result, or return its error from the enclosing function.
#define TRY(expr)                      \
    ({                                 \
        auto &&try_result_ = (expr);   \
        if (!try_result_) [[unlikely]] \
            return try_result_.fail(); \
        std::move(*try_result_);       \
    })
/// The same for result<void>.
#define TRY_VOID(expr)                 \
    do {                               \
        auto &&try_result_ = (expr);   \
        if (!try_result_) [[unlikely]] \
            return try_result_.fail(); \
    } while (0)
