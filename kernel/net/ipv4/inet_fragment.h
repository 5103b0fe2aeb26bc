// SPDX-License-Identifier: MIT
// Queues of fragments: hash, memory limits, expiry. Linux: include/net/inet_frag.h. Used by
// ip_fragment.cc.
#pragma once

#include "lib/list.h"
#include "lib/refcount.h"
#include "net/ipv4/ip_frag.h"
#include "time/timer.h"

/// What fragments of one datagram have in common (RFC 791).
struct frag_key {
    be32 saddr, daddr;
    be16 id;
    u8 protocol;
    bool operator==(const frag_key &) const = default;
};

struct ipq;
/// The queue's expiry timer, which finds its owner.
struct ipq_timer : timer_list {
    ipq *q;
    ipq_timer(void (*f)(timer_list *), ipq *o) : timer_list{f}, q{o} {}
};

constexpr u8 FRAG_FIRST_IN = 1, FRAG_LAST_IN = 2, FRAG_COMPLETE = 4;
/// One datagram under reassembly. The hash holds a reference, the armed timer another. Fragments
/// are in order of offset.
struct ipq : pinned {
    frag_key key;
    ipq *hash_next = nullptr;
    list_node lru; // oldest first
    refcount refcnt;
    spinlock lock{"ipq.lock"};
    sk_buff *fragments = nullptr; // chain by offset
    sk_buff *tail = nullptr;
    u32 len = 0;       // end of the datagram as known so far
    u32 meat = 0;      // bytes received
    u32 mem = 0;       // truesize held
    u8 last_in = 0;    // FRAG_*
    u8 ecn = 0;        // bit per ECN codepoint seen (RFC 3168 §5.3)
    bool dead = false; // off the hash
    u32 iif = 0;
    ipq_timer timer;
    ipq(const frag_key &k, void (*expire)(timer_list *)) : key{k}, timer{expire, this} {}
};

/// Queue of a key, made when missing, with a reference; null: no memory or chain too long. Makes
/// room by dropping the oldest first. [S]
ipq *inet_frag_find(const frag_key &key, void (*expire)(timer_list *));
/// Off the hash and the timer; fragments stay for the caller's last reference. q->lock held.
void inet_frag_kill(ipq *q);
/// Drop a reference; the last frees the fragments, with `reason` in the trace.
void ipq_put(ipq *q, const char *reason);
/// Account memory (bytes may be negative).
void inet_frag_mem_add(ipq *q, s32 bytes);
