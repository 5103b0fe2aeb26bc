// SPDX-License-Identifier: MIT
// Internet checksum (RFC 1071), eight bytes at a step: an add and an add-with-carry each. Any context.
#include "lib/checksum.h"
#include "lib/string.h"

static u64 load64(const u8 *p)
{
    u64 v;
    __builtin_memcpy(&v, p, 8);
    return v;
}

/// Ones-complement sum: the carry comes back in (the compiler makes it add, adc 0).
static u64 add64(u64 a, u64 b)
{
    u64 s = a + b;
    return s + (s < b);
}

/// The last 0…7 bytes as if zeroes followed.
static u64 load_tail(const u8 *p, size_t n)
{
    u64 v = 0;
    if (n & 4) {
        u32 w;
        __builtin_memcpy(&w, p, 4);
        v = w;
        p += 4;
    }
    unsigned shift = n & 4 ? 32 : 0;
    if (n & 2) {
        u16 w;
        __builtin_memcpy(&w, p, 2);
        v |= u64{w} << shift;
        p += 2;
        shift += 16;
    }
    if (n & 1)
        v |= u64{*p} << shift;
    return v;
}

static wsum fold64(u64 s)
{
    s = (s & 0xffffffff) + (s >> 32);
    s = (s & 0xffffffff) + (s >> 32);
    return static_cast<wsum>(s);
}

wsum csum_partial(const void *buf, size_t len, wsum sum)
{
    auto *p = static_cast<const u8 *>(buf);
    u64 s = sum;
    for (; len >= 64; len -= 64, p += 64)
        for (unsigned i = 0; i < 64; i += 8)
            s = add64(s, load64(p + i));
    for (; len >= 8; len -= 8, p += 8)
        s = add64(s, load64(p));
    return fold64(add64(s, load_tail(p, len)));
}

wsum csum_partial_copy(void *to, const void *from, size_t len, wsum sum)
{
    auto *d = static_cast<u8 *>(to);
    auto *p = static_cast<const u8 *>(from);
    u64 s = sum;
    for (; len >= 8; len -= 8, p += 8, d += 8) {
        u64 v = load64(p);
        __builtin_memcpy(d, &v, 8);
        s = add64(s, v);
    }
    memcpy(d, p, len);
    return fold64(add64(s, load_tail(p, len)));
}

wsum csum_tcpudp_nofold(be32 saddr, be32 daddr, u32 len, u8 proto, wsum sum)
{
    // Length and protocol are 16-bit big-endian words of the pseudo header: swap their (17-bit) sum as one value.
    u64 s = u64{sum} + saddr.raw + daddr.raw + (u64{len + proto} << 8);
    return fold64(s);
}

be16 ip_fast_csum(const void *iph, unsigned ihl)
{
    auto *p = static_cast<const u8 *>(iph);
    u64 s = add64(load64(p), load64(p + 8)); // a header has 20 bytes at least
    for (unsigned at = 16; at < ihl * 4; at += 4)
        s = add64(s, load_tail(p + at, 4));
    return csum_fold(fold64(s));
}

be16 ip_compute_csum(const void *buf, size_t len)
{
    return csum_fold(csum_partial(buf, len, 0));
}
