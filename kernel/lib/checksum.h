// SPDX-License-Identifier: MIT
// Internet checksum (RFC 1071). Sums are 32-bit ones-complement accumulators over little-endian loads, so a folded
// result is stored to the packet as it stands. Any context.
#pragma once

#include "lib/types.h"

/// A partial sum (Linux __wsum).
using wsum = u32;

wsum csum_partial(const void *buf, size_t len, wsum sum);
/// Copy and sum in one pass.
wsum csum_partial_copy(void *to, const void *from, size_t len, wsum sum);
constexpr wsum csum_add(wsum a, wsum b)
{
    u32 r = a + b;
    return r + (r < b);
}
constexpr wsum csum_sub(wsum a, wsum b)
{
    return csum_add(a, ~b);
}
/// Add a block's sum that starts at byte `offset` of the whole.
constexpr wsum csum_block_add(wsum a, wsum b, size_t offset)
{
    return csum_add(a, offset & 1 ? __builtin_bswap32(b) : b);
}
/// Fold to 16 bits, complemented: the value for the checksum field.
constexpr be16 csum_fold(wsum s)
{
    s = (s & 0xffff) + (s >> 16);
    s = (s & 0xffff) + (s >> 16);
    return be16{static_cast<u16>(~s)};
}
/// Sum of the TCP/UDP pseudo header (RFC 793 §3.1); `len` host order.
wsum csum_tcpudp_nofold(be32 saddr, be32 daddr, u32 len, u8 proto, wsum sum);
inline be16 csum_tcpudp_magic(be32 saddr, be32 daddr, u32 len, u8 proto, wsum sum)
{
    return csum_fold(csum_tcpudp_nofold(saddr, daddr, len, proto, sum));
}
/// Checksum of a header of `ihl` 32-bit words; 0 when a received header is right.
be16 ip_fast_csum(const void *iph, unsigned ihl);
/// Checksum of a whole message (ICMP).
be16 ip_compute_csum(const void *buf, size_t len);
