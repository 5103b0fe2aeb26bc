// SPDX-License-Identifier: MIT
// The trace as text and its switches, for fs/debugfs (docs/debugfs.md fixes the formats). Process context.
#pragma once

#include "lib/types.h"

/// Receives `n` bytes of text; returns false to stop (out of memory).
using trace_emit = bool (*)(void *arg, const char *text, size_t n);

/// The file `trace`: the records of all CPUs merged by time, one line each. Does not consume. [P]
void trace_print(trace_emit emit, void *arg);
/// The file `trace_stats`: one line per CPU.
void trace_print_stats(trace_emit emit, void *arg);
/// The file `available_events`: every name.
void trace_print_events(trace_emit emit, void *arg);
/// The file `set_event` as read: names of the events that are on.
void trace_print_set_events(trace_emit emit, void *arg);
/// `set_event` as written: names apart by blanks, `!name` off, `*` or `all`, `prefix*`; empty: all off. 0 or -EINVAL, then
/// nothing has changed.
int trace_set_events(const char *text, size_t n);

/// The file `tracing_on`.
void trace_set_on(bool on);
bool trace_is_on();
/// Empty the rings.
void trace_reset();
/// Bytes of one CPU's ring (`buffer_size_kb`), and a new size: rounded up to a power of two of records, at least 4096.
/// 0 or -ENOMEM. Empties the rings.
u32 trace_ring_bytes();
int trace_resize(u32 bytes);
