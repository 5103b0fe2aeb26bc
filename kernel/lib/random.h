// SPDX-License-Identifier: MIT
// Random numbers and keyed hashes. Any context.
#pragma once

#include "lib/types.h"

/// Fill with unpredictable bytes (ChaCha-based pool seeded from RDRAND/TSC; on arch/host from the test's seed).
void get_random_bytes(void *buf, size_t n);
u32 get_random_u32();
/// Cheap, predictable: jitter and sampling only (Linux prandom_u32/net_random).
u32 prandom_u32();

/// Bob Jenkins's hash as in Linux (include/linux/jhash.h semantics: mixes 1-3 words with an initial value).
u32 jhash_3words(u32 a, u32 b, u32 c, u32 initval);
u32 jhash(const void *key, size_t len, u32 initval);
/// SipHash-2-4 for keys an attacker must not predict.
u64 siphash(const void *data, size_t len, const u64 key[2]);
