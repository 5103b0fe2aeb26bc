// SPDX-License-Identifier: MIT
// Trace records as text: the merge of the rings and the formats of the table. Process context; rings may be written
// meanwhile, records that change under the reader are left out.
#include "trace/trace_text.h"
#include "lib/percpu.h"
#include "lib/printk.h"
#include "lib/spinlock.h"
#include "lib/string.h"
#include "trace/ring.h"

/// A line under construction; what does not fit is cut.
struct line {
    char buf[400];
    size_t n = 0;
    void add(const char *s, size_t len)
    {
        len = min(len, sizeof(buf) - 1 - n);
        memcpy(buf + n, s, len);
        n += len;
    }
    void add(const char *s) { add(s, strlen(s)); }
    void addf(const char *fmt, ...) __attribute__((format(printf, 2, 3)))
    {
        char tmp[96];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(tmp, sizeof(tmp), fmt, ap);
        va_end(ap);
        add(tmp);
    }
};

static const char *const context_names[] = {"process", "hardirq", "softirq", "ksoftirqd"};

/// A task name without blanks, at most n bytes.
static void add_comm(line &l, const char *comm, size_t n)
{
    for (size_t i = 0; i < n && comm[i]; i++) {
        char c = comm[i] == ' ' || comm[i] == '\n' ? '_' : comm[i];
        l.add(&c, 1);
    }
}

static void add_symbol(line &l, u64 addr)
{
    if (!addr) {
        l.add("-");
        return;
    }
    u64 offset;
    const char *name = kallsyms_lookup(addr, &offset);
    if (name && strcmp(name, "?") != 0)
        l.add(name);
    else
        l.addf("0x%016llx", static_cast<unsigned long long>(addr));
}

static void add_ipv4(line &l, u64 raw)
{
    l.addf("%u.%u.%u.%u", unsigned(raw & 255), unsigned(raw >> 8 & 255), unsigned(raw >> 16 & 255),
           unsigned(raw >> 24 & 255));
}

static void add_hex(line &l, u64 v, int digits)
{
    l.addf("0x%0*llx", digits, static_cast<unsigned long long>(v));
}

/// One "name=%c" with its argument words; returns the words used.
static unsigned add_field(line &l, const char *format, const u64 *arg)
{
    const char *percent = strchr(format, '%');
    if (!percent) {
        l.add(format);
        return 0;
    }
    l.add(format, static_cast<size_t>(percent - format));
    const char *spec;
    int digits = static_cast<int>(strtoul(percent + 1, &spec, 10));
    switch (*spec) {
    case 'd':
        l.addf("%lld", static_cast<long long>(static_cast<s64>(arg[0])));
        return 1;
    case 'u':
        l.addf("%llu", static_cast<unsigned long long>(arg[0]));
        return 1;
    case 'x':
        add_hex(l, arg[0], digits ? digits : 1);
        return 1;
    case 'p':
        arg[0] ? add_hex(l, arg[0], 16) : l.add("-");
        return 1;
    case 'S':
        add_symbol(l, arg[0]);
        return 1;
    case 's':
        l.add(arg[0] ? reinterpret_cast<const char *>(arg[0]) : "-");
        return 1;
    case 'i':
        add_ipv4(l, arg[0]);
        return 1;
    default:
        add_comm(l, reinterpret_cast<const char *>(arg), 16);
        return 2;
    }
}

static void format_record(line &l, unsigned cpu, const trace_record &t)
{
    const trace_event_info &info = trace_event_table[static_cast<unsigned>(t.event)];
    add_comm(l, t.comm, sizeof(t.comm));
    u64 us = t.time / 1000;
    l.addf("-%d [%03u] %s %llu.%06llu: ", t.pid, cpu,
           context_names[static_cast<unsigned>(t.context)],
           static_cast<unsigned long long>(us / 1000000),
           static_cast<unsigned long long>(us % 1000000));
    l.add(info.name);
    l.add(":");
    unsigned arg = 0;
    for (const char *const *f = info.fields; *f; f++) {
        l.add(" ");
        arg += add_field(l, *f, t.args + arg);
    }
    l.add("\n");
}

/// Where the reader is in one CPU's ring.
struct cursor {
    u64 at, end;
    bool have;
    trace_record record;
};

/// Copy the next whole record, skipping what the writer has overtaken.
static void advance(unsigned cpu, cursor &c)
{
    trace_ring &r = trace_ring_of(cpu);
    c.have = false;
    for (; c.at < c.end && !c.have; c.at++) {
        const trace_record &t = r.records[c.at & (r.size - 1)];
        u64 before = read_once(t.seq);
        smp_rmb();
        c.record = t;
        smp_rmb();
        c.have = before == c.at && read_once(t.seq) == before;
    }
}

void trace_print(trace_emit emit, void *arg)
{
    cursor cursors[NR_CPUS];
    unsigned n = num_online_cpus();
    for (unsigned i = 0; i < n; i++) {
        trace_ring &r = trace_ring_of(i);
        u64 head = read_once(r.head);
        cursors[i].end = head;
        cursors[i].at = head > r.size ? head - r.size : 0;
        advance(i, cursors[i]);
    }
    for (;;) {
        int best = -1;
        for (unsigned i = 0; i < n; i++)
            if (cursors[i].have && (best < 0 || cursors[i].record.time < cursors[best].record.time))
                best = static_cast<int>(i);
        if (best < 0)
            return;
        line l;
        format_record(l, static_cast<unsigned>(best), cursors[best].record);
        if (!emit(arg, l.buf, l.n))
            return;
        advance(static_cast<unsigned>(best), cursors[best]);
    }
}

void trace_print_stats(trace_emit emit, void *arg)
{
    for (unsigned i = 0; i < num_online_cpus(); i++) {
        trace_ring &r = trace_ring_of(i);
        u64 head = read_once(r.head);
        line l;
        l.addf("cpu=%u entries=%llu overwritten=%llu", i,
               static_cast<unsigned long long>(min(head, r.size)),
               static_cast<unsigned long long>(head > r.size ? head - r.size : 0));
        for (unsigned c = 0; c < static_cast<unsigned>(trace_context::nr); c++)
            l.addf(" ctx_%s=%llu", context_names[c],
                   static_cast<unsigned long long>(r.contexts[c]));
        l.add("\n");
        if (!emit(arg, l.buf, l.n))
            return;
    }
}

void trace_reset()
{
    for (unsigned i = 0; i < num_online_cpus(); i++) {
        trace_ring &r = trace_ring_of(i);
        for (u32 k = 0; k < r.size; k++)
            write_once(r.records[k].seq, ~u64{0});
        write_once(r.head, 0);
        for (u64 &c : r.contexts)
            c = 0;
    }
}
