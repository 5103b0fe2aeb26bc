// SPDX-License-Identifier: MIT
// The per-CPU rings of trace records, shared by the writer (trace.cc) and the reader (trace_text.cc).
#pragma once

#include "arch/arch.h"
#include "trace/trace.h"

constexpr unsigned NR_TRACE_EVENTS = static_cast<unsigned>(trace_event::nr);
constexpr unsigned TRACE_ARGS = 6;

enum class trace_context : u8 { process, hardirq, softirq, ksoftirqd, nr };

/// One event. Interpreted by the table's formats.
struct trace_record {
    u64 time; // arch_clock_ns()
    u64 seq;  // count in this ring: tells a record from the one it replaces
    s32 pid;
    trace_event event;
    trace_context context;
    char comm[16];
    u64 args[TRACE_ARGS];
};

/// One CPU's records; the oldest is overwritten. Written by that CPU with IRQs off.
struct trace_ring {
    trace_record *records = nullptr;
    u32 size = 0; // a power of two
    u64 head = 0; // records written since the last reset
    u64 contexts[static_cast<unsigned>(trace_context::nr)] = {};
};
trace_ring &trace_ring_of(unsigned cpu);

/// Name and field formats of an event.
struct trace_event_info {
    const char *name;
    const char *fields[TRACE_ARGS + 1]; // ends with null
};
extern const trace_event_info trace_event_table[NR_TRACE_EVENTS];
