// SPDX-License-Identifier: MIT
// iov_iter: the two ends of a read or write, in pieces. Linux: lib/iov_iter.c. Process context for user memory.
// Not thread-safe: an iterator belongs to one call.

#include "fs/iovec.h"
#include "lib/checksum.h"
#include "lib/string.h"

iov_iter iov_iter::user(u64 base, size_t len)
{
    iov_iter i;
    i.one_ = {base, len};
    i.n_ = 1;
    i.count_ = len;
    i.user_ = true;
    return i;
}

iov_iter iov_iter::kernel(void *base, size_t len)
{
    iov_iter i = user(reinterpret_cast<u64>(base), len);
    i.user_ = false;
    return i;
}

iov_iter iov_iter::user_vec(const piece *v, unsigned n)
{
    iov_iter i;
    i.v_ = v;
    i.n_ = n;
    i.user_ = true;
    for (unsigned k = 0; k < n; k++)
        i.count_ += v[k].len;
    return i;
}

iov_iter iov_iter::kernel_vec(const piece *v, unsigned n)
{
    iov_iter i = user_vec(v, n);
    i.user_ = false;
    return i;
}

inline size_t iov_iter::contiguous(u64 *addr)
{
    const piece *p = v_ ? v_ : &one_;
    while (at_ < n_ && off_ >= p[at_].len) {
        at_++;
        off_ = 0;
    }
    if (at_ >= n_)
        return 0;
    *addr = p[at_].base + off_;
    return p[at_].len - off_;
}

void iov_iter::consume(size_t n)
{
    off_ += n;
    count_ -= n;
}

void iov_iter::advance(size_t n)
{
    u64 addr;
    for (n = min(n, count_); n;) {
        size_t part = min(n, contiguous(&addr));
        if (!part)
            return;
        consume(part);
        n -= part;
    }
}

template <class F>
result<void> iov_iter::each(size_t n, F f)
{
    size_t done = 0;
    while (done < n) {
        u64 addr = 0;
        size_t part = min(n - done, contiguous(&addr));
        if (!part)
            return error{EFAULT};
        if (!f(addr, done, part))
            return error{EFAULT};
        consume(part);
        done += part;
    }
    return {};
}

result<void> iov_iter::copy_to(const void *from, size_t n)
{
    auto *src = static_cast<const u8 *>(from);
    return each(n, [&](u64 addr, size_t done, size_t part) {
        auto *to = reinterpret_cast<void *>(addr);
        if (user_)
            return arch_copy_to_user(to, src + done, part) == 0;
        memcpy(to, src + done, part);
        return true;
    });
}

result<void> iov_iter::copy_from(void *to, size_t n)
{
    auto *dst = static_cast<u8 *>(to);
    return each(n, [&](u64 addr, size_t done, size_t part) {
        auto *from = reinterpret_cast<const void *>(addr);
        if (user_)
            return arch_copy_from_user(dst + done, from, part) == 0;
        memcpy(dst + done, from, part);
        return true;
    });
}

result<void> iov_iter::zero(size_t n)
{
    return each(n, [&](u64 addr, size_t, size_t part) {
        auto *to = reinterpret_cast<void *>(addr);
        if (user_)
            return arch_clear_user(to, part) == 0;
        memset(to, 0, part);
        return true;
    });
}

result<void> iov_iter::csum_copy_from(void *to, size_t n, u32 *csum)
{
    auto *dst = static_cast<u8 *>(to);
    return each(n, [&](u64 addr, size_t done, size_t part) {
        auto *from = reinterpret_cast<const void *>(addr);
        u32 sum = 0;
        if (user_) {
            if (arch_csum_and_copy_from_user(dst + done, from, part, &sum))
                return false;
        } else {
            sum = csum_partial_copy(dst + done, from, part, 0);
        }
        *csum = csum_block_add(*csum, sum, done);
        return true;
    });
}

result<void> iov_iter::csum_copy_to(const void *from, size_t n, u32 *csum)
{
    auto *src = static_cast<const u8 *>(from);
    return each(n, [&](u64 addr, size_t done, size_t part) {
        auto *to = reinterpret_cast<void *>(addr);
        // Sum our own copy, not the user's: another thread may change that while it is being read.
        *csum = csum_block_add(*csum, csum_partial(src + done, part, 0), done);
        if (user_)
            return arch_copy_to_user(to, src + done, part) == 0;
        memcpy(to, src + done, part);
        return true;
    });
}

result<void> user_iovec::import(user_ptr<const void> uvec, u64 n)
{
    if (n > UIO_MAXIOV)
        return error{EINVAL};
    if (n > 8) {
        heap_ = static_cast<iov_iter::piece *>(kmalloc(n * sizeof(iov_iter::piece), GFP_KERNEL));
        if (!heap_)
            return error{ENOMEM};
    }
    iov_iter::piece *v = heap_ ? heap_ : fast_;
    TRY_VOID(copy_from_user(v, uvec, n * sizeof(iov_iter::piece)));
    size_t total = 0;
    for (unsigned i = 0; i < n; i++) {
        if (v[i].len > static_cast<u64>(INT64_MAX))
            return error{EINVAL};
        if (!access_ok(v[i].base, v[i].len))
            return error{EFAULT};
        v[i].len = min<u64>(v[i].len, MAX_RW_COUNT - total);
        total += v[i].len;
    }
    n_ = static_cast<unsigned>(n);
    return {};
}
