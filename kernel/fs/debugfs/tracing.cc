// SPDX-License-Identifier: MIT
// /sys/kernel/debug/tracing: the trace and its switches (formats: docs/debugfs.md). Linux: kernel/trace/trace.c. Process context.

#include "fs/pseudo.h"
#include "lib/initcall.h"
#include "lib/string.h"
#include "trace/trace_text.h"

namespace
{
bool emit_to_seq(void *arg, const char *text, size_t n)
{
    auto *m = static_cast<seq_file *>(arg);
    seq_write(m, text, n);
    return !m->overflow;
}

void show_trace(seq_file *m)
{
    trace_print(emit_to_seq, m);
}
void show_stats(seq_file *m)
{
    trace_print_stats(emit_to_seq, m);
}
void show_events(seq_file *m)
{
    trace_print_events(emit_to_seq, m);
}
void show_set_event(seq_file *m)
{
    trace_print_set_events(emit_to_seq, m);
}
void show_on(seq_file *m)
{
    seq_puts(m, trace_is_on() ? "1\n" : "0\n");
}
void show_size(seq_file *m)
{
    seq_printf(m, "%u\n", trace_ring_bytes() / 1024);
}

int store_trace(char *, size_t, void *)
{
    trace_reset();
    return 0;
}

int store_set_event(char *text, size_t n, void *)
{
    return trace_set_events(text, n);
}

/// A number and nothing else but a newline.
bool parse(const char *text, u64 *v)
{
    const char *end;
    if (*text < '0' || *text > '9')
        return false;
    *v = strtoul(text, &end, 10);
    return !*end || (*end == '\n' && !end[1]);
}

int store_on(char *text, size_t, void *)
{
    u64 v;
    if (!parse(text, &v) || v > 1)
        return -EINVAL;
    trace_set_on(v);
    return 0;
}

int store_size(char *text, size_t, void *)
{
    constexpr u64 MAX_KB = 1 << 20;
    u64 kb;
    if (!parse(text, &kb) || !kb || kb > MAX_KB)
        return -EINVAL;
    return trace_resize(static_cast<u32>(kb * 1024));
}

int tracing_init()
{
    int err = debugfs_create("tracing/tracing_on", show_on, nullptr, store_on);
    err |= debugfs_create("tracing/available_events", show_events);
    err |= debugfs_create("tracing/set_event", show_set_event, nullptr, store_set_event);
    err |= debugfs_create("tracing/trace", show_trace, nullptr, store_trace);
    err |= debugfs_create("tracing/trace_stats", show_stats);
    err |= debugfs_create("tracing/buffer_size_kb", show_size, nullptr, store_size);
    if (!err)
        err = pseudo_on_truncate(debugfs_sb(), "tracing/trace", trace_reset);
    return err;
}
fs_initcall(tracing_init);
} // namespace
