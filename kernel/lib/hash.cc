// SPDX-License-Identifier: MIT
// Keyed hashes: Bob Jenkins's lookup3 (public domain algorithm, as Linux's jhash) and SipHash-2-4 (Aumasson, Bernstein 2012).
#include "lib/random.h"

static constexpr u32 rol32(u32 v, unsigned n)
{
    return v << n | v >> (32 - n);
}
static constexpr u64 rol64(u64 v, unsigned n)
{
    return v << n | v >> (64 - n);
}
static constexpr u32 JHASH_INIT = 0xdeadbeef;

struct jhash_state {
    u32 a, b, c;
    void mix()
    {
        a = (a - c) ^ rol32(c, 4), c += b;
        b = (b - a) ^ rol32(a, 6), a += c;
        c = (c - b) ^ rol32(b, 8), b += a;
        a = (a - c) ^ rol32(c, 16), c += b;
        b = (b - a) ^ rol32(a, 19), a += c;
        c = (c - b) ^ rol32(b, 4), b += a;
    }
    u32 final()
    {
        c = (c ^ b) - rol32(b, 14);
        a = (a ^ c) - rol32(c, 11);
        b = (b ^ a) - rol32(a, 25);
        c = (c ^ b) - rol32(b, 16);
        a = (a ^ c) - rol32(c, 4);
        b = (b ^ a) - rol32(a, 14);
        return (c ^ b) - rol32(b, 24);
    }
};

u32 jhash_3words(u32 a, u32 b, u32 c, u32 initval)
{
    u32 base = JHASH_INIT + (3 << 2) + initval;
    return jhash_state{a + base, b + base, c + base}.final();
}

/// Little-endian word of at most four bytes.
static u32 load_le(const u8 *p, size_t n)
{
    u32 v = 0;
    for (size_t i = 0; i < n; i++)
        v |= u32{p[i]} << (8 * i);
    return v;
}

u32 jhash(const void *key, size_t len, u32 initval)
{
    auto *p = static_cast<const u8 *>(key);
    u32 base = JHASH_INIT + static_cast<u32>(len) + initval;
    jhash_state s{base, base, base};
    for (; len > 12; len -= 12, p += 12) {
        s.a += load_le(p, 4);
        s.b += load_le(p + 4, 4);
        s.c += load_le(p + 8, 4);
        s.mix();
    }
    if (!len)
        return s.c;
    s.a += load_le(p, min(len, 4));
    if (len > 4)
        s.b += load_le(p + 4, min(len - 4, 4));
    if (len > 8)
        s.c += load_le(p + 8, len - 8);
    return s.final();
}

struct sip_state {
    u64 v0, v1, v2, v3;
    void round()
    {
        v0 += v1, v1 = rol64(v1, 13) ^ v0, v0 = rol64(v0, 32);
        v2 += v3, v3 = rol64(v3, 16) ^ v2;
        v0 += v3, v3 = rol64(v3, 21) ^ v0;
        v2 += v1, v1 = rol64(v1, 17) ^ v2, v2 = rol64(v2, 32);
    }
    void absorb(u64 m)
    {
        v3 ^= m;
        round();
        round();
        v0 ^= m;
    }
};

u64 siphash(const void *data, size_t len, const u64 key[2])
{
    auto *p = static_cast<const u8 *>(data);
    sip_state s{key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
                key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};
    u64 last = u64{len} << 56;
    for (; len >= 8; len -= 8, p += 8) {
        u64 m;
        __builtin_memcpy(&m, p, 8);
        s.absorb(m);
    }
    for (size_t i = 0; i < len; i++)
        last |= u64{p[i]} << (8 * i);
    s.absorb(last);
    s.v2 ^= 0xff;
    for (int i = 0; i < 4; i++)
        s.round();
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
