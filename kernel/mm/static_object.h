// SPDX-License-Identifier: MIT
// Storage for an object with static lifetime that is constructed by an init function, not by a global constructor
// (which would run before the kernel is set up), and that is never destroyed.
#pragma once

#include <new>
#include <utility>

/// Zero bytes until init(); then a T. Any context; the caller orders init() before use.
template <class T> union static_object {
    T value;
    constexpr static_object() : bytes_{} {}
    ~static_object() {}
    /// Construct the object. Once, at boot.
    template <class... A> T &init(A &&...a) { return *new (&value) T(std::forward<A>(a)...); }
    T &operator*() { return value; }
    T *operator->() { return &value; }

  private:
    unsigned char bytes_[sizeof(T)];
};
