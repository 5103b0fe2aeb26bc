// SPDX-License-Identifier: MIT
// Fixed-width integers, byte-order types, intrusive-pointer helpers. Any context; no state.
#pragma once

// libstdc++'s <atomic> brings in futex waiting, and with it libc's errno and unistd, unless its guard is already set.
#ifndef _GLIBCXX_ATOMIC_WAIT_H
#define _GLIBCXX_ATOMIC_WAIT_H 1
#endif

#include <cstddef>
#include <cstdint>
#include <type_traits>

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using s8 = std::int8_t;
using s16 = std::int16_t;
using s32 = std::int32_t;
using s64 = std::int64_t;
using ssize_t = std::ptrdiff_t;
using std::size_t;

/// Physical (bus) address. The machine has no IOMMU, so a DMA address is a physical address.
using phys_addr_t = u64;
using dma_addr_t = u64;

constexpr u16 bswap16(u16 v)
{
    return __builtin_bswap16(v);
}
constexpr u32 bswap32(u32 v)
{
    return __builtin_bswap32(v);
}
constexpr u64 bswap64(u64 v)
{
    return __builtin_bswap64(v);
}

/// A big-endian (network byte order) integer: no silent conversion to or from a host integer.
/// Compare for equality freely; convert with host()/be16::of(). Layout: the wire's own bytes.
template <class T>
struct big_endian {
    T raw{};

    /// Host value `v` in network order.
    static constexpr big_endian of(T v) { return big_endian{swap(v)}; }
    /// The value in host order.
    constexpr T host() const { return swap(raw); }
    constexpr bool operator==(const big_endian &) const = default;
    /// True when any bit is set (byte order does not matter for that).
    constexpr explicit operator bool() const { return raw != 0; }
    constexpr big_endian operator&(big_endian o) const { return {static_cast<T>(raw & o.raw)}; }
    constexpr big_endian operator|(big_endian o) const { return {static_cast<T>(raw | o.raw)}; }
    constexpr big_endian operator^(big_endian o) const { return {static_cast<T>(raw ^ o.raw)}; }
    constexpr big_endian operator~() const { return {static_cast<T>(~raw)}; }

private:
    static constexpr T swap(T v)
    {
        if constexpr (sizeof(T) == 2)
            return bswap16(v);
        else
            return bswap32(v);
    }
};
using be16 = big_endian<u16>;
using be32 = big_endian<u32>;
static_assert(sizeof(be16) == 2 && sizeof(be32) == 4);
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "both ports are little-endian");

constexpr be16 htons(u16 v)
{
    return be16::of(v);
}
constexpr be32 htonl(u32 v)
{
    return be32::of(v);
}
constexpr u16 ntohs(be16 v)
{
    return v.host();
}
constexpr u32 ntohl(be32 v)
{
    return v.host();
}

/// Round `v` up to a multiple of `a`, a power of two.
template <class T>
constexpr T align_up(T v, std::type_identity_t<T> a)
{
    return (v + a - 1) & ~(a - 1);
}
/// Round `v` down to a multiple of `a`, a power of two.
template <class T>
constexpr T align_down(T v, std::type_identity_t<T> a)
{
    return v & ~(a - 1);
}

template <class T>
constexpr T min(T a, std::type_identity_t<T> b)
{
    return b < a ? b : a;
}
template <class T>
constexpr T max(T a, std::type_identity_t<T> b)
{
    return a < b ? b : a;
}

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/// The object of type `type` whose member `member` is at `ptr`.
#define container_of(ptr, type, member) \
    (reinterpret_cast<type *>(reinterpret_cast<char *>(ptr) - __builtin_offsetof(type, member)))

/// Read/write a memory location exactly once (Linux ACCESS_ONCE): the compiler may not repeat or tear it.
template <class T>
inline T read_once(const T &v)
{
    return *const_cast<const volatile T *>(&v);
}
template <class T>
inline void write_once(T &v, std::type_identity_t<T> n)
{
    *const_cast<volatile T *>(&v) = n;
}

/// Not copyable, not movable: objects that others point into.
struct pinned {
    pinned() = default;
    pinned(const pinned &) = delete;
    pinned &operator=(const pinned &) = delete;
};
