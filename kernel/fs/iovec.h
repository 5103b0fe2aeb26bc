// SPDX-License-Identifier: MIT
// Arrays of buffers as readv, writev, sendmsg and recvmsg pass them. Process context.
#pragma once

#include "fs/fs.h"
#include "mm/slab.h"

/// Most bytes of one read or write (Linux MAX_RW_COUNT), and most pieces (UIO_MAXIOV).
constexpr size_t MAX_RW_COUNT = 0x7ffff000;
constexpr u64 UIO_MAXIOV = 1024;

/// A kernel copy of a struct iovec array, checked: lengths not negative, buffers in user space, the total cut at MAX_RW_COUNT.
class user_iovec : pinned
{
public:
    ~user_iovec() { kfree(heap_); }
    /// EINVAL (count or a length), EFAULT, ENOMEM.
    result<void> import(user_ptr<const void> uvec, u64 n);
    iov_iter iter() const { return iov_iter::user_vec(heap_ ? heap_ : fast_, n_); }

private:
    iov_iter::piece fast_[8], *heap_ = nullptr;
    unsigned n_ = 0;
};

/// Whether [addr, addr+n) lies in user space (Linux access_ok).
inline bool access_ok(u64 addr, u64 n)
{
    return addr <= TASK_SIZE && n <= TASK_SIZE - addr;
}
