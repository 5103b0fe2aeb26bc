// SPDX-License-Identifier: MIT
// Random numbers: a ChaCha20 generator (RFC 8439 §2.3 block function) that replaces its key after every request, seeded from
// the port (RDRAND) and the clock. prandom_u32: a per-CPU xorshift for jitter. Any context.
#include "lib/random.h"
#include "lib/percpu.h"
#include "lib/spinlock.h"
#include "lib/string.h"

static constexpr size_t BLOCK = 64, KEY_WORDS = 8;

struct random_pool {
    spinlock lock{"random_pool"};
    u32 key[KEY_WORDS] = {};
    u64 counter = 0;
    bool seeded = false;
    /// Output for small requests: half of the block whose other half became the key. Wiped as it is handed out.
    u8 ready[BLOCK - KEY_WORDS * sizeof(u32)] = {};
    size_t left = 0; // unused bytes at the end of `ready`
};
static random_pool pool;

static constexpr u32 rol(u32 v, unsigned n)
{
    return v << n | v >> (32 - n);
}

[[gnu::always_inline]] static inline void quarter_round(u32 *s, int a, int b, int c, int d)
{
    s[a] += s[b], s[d] = rol(s[d] ^ s[a], 16);
    s[c] += s[d], s[b] = rol(s[b] ^ s[c], 12);
    s[a] += s[b], s[d] = rol(s[d] ^ s[a], 8);
    s[c] += s[d], s[b] = rol(s[b] ^ s[c], 7);
}

static void chacha_block(random_pool &p, u32 out[16])
{
    u64 n = p.counter++;
    u32 in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    memcpy(in + 4, p.key, sizeof(p.key));
    in[12] = static_cast<u32>(n);
    in[13] = static_cast<u32>(n >> 32);
    u32 s
        [16]; // known to be ours alone, and indexed by constants: the compiler keeps most of it in registers
    memcpy(s, in, sizeof(in));
    for (int i = 0; i < 10; i++) {
#pragma GCC unroll 4
        for (int c = 0; c < 4; c++)
            quarter_round(s, c, c + 4, c + 8, c + 12);
#pragma GCC unroll 4
        for (int c = 0; c < 4; c++)
            quarter_round(s, c, 4 + (c + 1) % 4, 8 + (c + 2) % 4, 12 + (c + 3) % 4);
    }
    for (int i = 0; i < 16; i++)
        out[i] = s[i] + in[i];
}

/// First use: as much as the machine offers. Without a hardware generator only the clock's low bits are unpredictable.
static void seed(random_pool &p)
{
    for (unsigned i = 0; i < KEY_WORDS; i += 2) {
        u64 v = 0;
        if (!arch_random(&v))
            v = arch_clock_ns() * 0x9e3779b97f4a7c15;
        v ^= arch_clock_ns() << (i * 8);
        p.key[i] ^= static_cast<u32>(v);
        p.key[i + 1] ^= static_cast<u32>(v >> 32);
    }
    p.seeded = true;
}

/// A new key, so that what was handed out cannot be computed from the state that is left (backtracking resistance), and
/// some output with it.
static void rekey(random_pool &p)
{
    u32 block[BLOCK / sizeof(u32)];
    chacha_block(p, block);
    memcpy(p.key, block, sizeof(p.key));
    memcpy(p.ready, block + KEY_WORDS, sizeof(p.ready));
    p.left = sizeof(p.ready);
    memset(block, 0, sizeof(block));
}

void get_random_bytes(void *buf, size_t n)
{
    spin_guard<irqsave> g{pool.lock};
    if (!pool.seeded) [[unlikely]]
        seed(pool);
    auto *to = static_cast<u8 *>(buf);
    if (n <= sizeof(pool.ready)) {
        if (pool.left < n)
            rekey(pool);
        u8 *from = pool.ready + sizeof(pool.ready) - pool.left;
        memcpy(to, from, n);
        memset(from, 0, n);
        pool.left -= n;
        return;
    }
    u32 block[BLOCK / sizeof(u32)];
    while (n) {
        chacha_block(pool, block);
        size_t take = min(n, size_t{BLOCK});
        memcpy(to, block, take);
        to += take;
        n -= take;
    }
    rekey(pool);
}

u32 get_random_u32()
{
    u32 v;
    get_random_bytes(&v, sizeof(v));
    return v;
}

struct prandom_state {
    u64 x = 0;
};
static percpu<prandom_state> prandom;

u32 prandom_u32()
{
    irq_guard g;
    u64 &x = prandom->x;
    if (!x) [[unlikely]]
        x = arch_clock_ns() * 0x9e3779b97f4a7c15 + smp_processor_id() + 1;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return static_cast<u32>(x >> 32);
}
