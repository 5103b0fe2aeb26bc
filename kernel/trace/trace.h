// SPDX-License-Identifier: MIT
// Tracepoints: one table of typed events (trace/events.h), per-CPU rings, next to nothing when off (one load and a branch).
// Any context; lock-free per CPU with IRQs off for the few stores. Read at /sys/kernel/debug/tracing/.
#pragma once

#include "lib/types.h"

/// Event numbers, one per line of trace/events.h: TRACE_EVENT(name, fields…).
enum class trace_event : u16 {
#define TRACE_EVENT(name, ...) name,
#include "trace/events.h"
#undef TRACE_EVENT
    nr
};

/// Bit n: event n is on. Zero when tracing is off.
extern u64 trace_mask[4];

inline bool trace_enabled(trace_event e)
{
    return trace_mask[static_cast<u16>(e) / 64] & (u64{1} << (static_cast<u16>(e) % 64));
}

/// Store one event with up to six 64-bit arguments (integers, or addresses of symbols/static strings; the table
/// says how each is printed). Adds time, CPU, context and task.
void trace_write(trace_event e, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5);

template <class T>
constexpr u64 trace_arg(T v)
{
    if constexpr (std::is_pointer_v<T>)
        return reinterpret_cast<u64>(v);
    else
        return static_cast<u64>(v);
}
/// Use: trace(trace_event::udp_rcv, skb->trace_id, skb->len);
template <class... A>
inline void trace(trace_event e, A... a)
{
    if (trace_enabled(e)) [[unlikely]] {
        u64 v[6] = {trace_arg(a)...};
        trace_write(e, v[0], v[1], v[2], v[3], v[4], v[5]);
    }
}
/// Halves of a task name as the two words that %T prints.
inline u64 trace_comm(const char *comm, unsigned half)
{
    u64 v;
    __builtin_memcpy(&v, comm + 8 * half, 8);
    return v;
}
/// A fresh id for an skb: follows a packet from descriptor to user buffer.
u32 trace_new_id();
