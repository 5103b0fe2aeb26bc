// SPDX-License-Identifier: MIT
// Storage for an object with static lifetime that is constructed by an init function, not by a
// global constructor (which would run before the kernel is set up), and that is never destroyed.
#pragma once

#include <new>
#include <utility>

/// Zero bytes until init(); then a T. Any context; the caller orders init() before use.
template <class T>
class static_object
{
public:
    /// Construct the object. Once, at boot.
    template <class... A>
    T &init(A &&...a)
    {
        return *new (bytes_) T(std::forward<A>(a)...);
    }
    T &operator*() { return *std::launder(reinterpret_cast<T *>(bytes_)); }
    T *operator->() { return &**this; }

private:
    alignas(T) unsigned char bytes_[sizeof(T)] = {};
};
