// SPDX-License-Identifier: MIT
// Which events are on: `tracing_on` and `set_event`. trace_mask is what the tracepoints test: the chosen events while
// recording, nothing otherwise. Process context; two writers at once may mix their choices, nothing worse.
#include "lib/errno.h"
#include "lib/string.h"
#include "trace/ring.h"
#include "trace/trace_text.h"
#include <initializer_list>

static constexpr unsigned WORDS = sizeof(trace_mask) / sizeof(trace_mask[0]);
struct event_set {
    u64 bits[WORDS];
    void set(unsigned e, bool on)
    {
        u64 bit = u64{1} << (e % 64);
        bits[e / 64] = on ? bits[e / 64] | bit : bits[e / 64] & ~bit;
    }
    bool has(unsigned e) const { return bits[e / 64] >> (e % 64) & 1; }
};

/// All but those that fire too often to be of use unasked.
static constexpr event_set default_events()
{
    event_set s{};
    for (unsigned i = 0; i < NR_TRACE_EVENTS; i++)
        s.bits[i / 64] |= u64{1} << (i % 64);
    for (trace_event e : {trace_event::kmem_cache_alloc, trace_event::kmem_cache_free}) {
        unsigned i = static_cast<unsigned>(e);
        s.bits[i / 64] &= ~(u64{1} << (i % 64));
    }
    return s;
}
static constinit event_set chosen = default_events();
static bool recording;

static void publish()
{
    for (unsigned i = 0; i < WORDS; i++)
        write_once(trace_mask[i], recording ? chosen.bits[i] : 0);
}

void trace_set_on(bool on)
{
    recording = on;
    publish();
}

bool trace_is_on()
{
    return recording;
}

/// Apply one word to the set; false: no event has that name.
static bool apply_word(event_set &s, const char *word, size_t n)
{
    bool on = true;
    if (n && word[0] == '!') {
        on = false;
        word++;
        n--;
    }
    if (!n)
        return false;
    bool prefix = word[n - 1] == '*', all = n == 3 && !strncmp(word, "all", 3);
    if (prefix)
        n--;
    bool found = false;
    for (unsigned i = 0; i < NR_TRACE_EVENTS; i++) {
        const char *name = trace_event_table[i].name;
        if (all || (!strncmp(name, word, n) && (prefix || !name[n]))) {
            s.set(i, on);
            found = true;
        }
    }
    return found;
}

static bool blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\0';
}

int trace_set_events(const char *text, size_t n)
{
    event_set s = chosen;
    bool any = false;
    for (size_t i = 0; i < n;) {
        if (blank(text[i])) {
            i++;
            continue;
        }
        size_t end = i;
        while (end < n && !blank(text[end]))
            end++;
        if (!apply_word(s, text + i, end - i))
            return -EINVAL;
        any = true;
        i = end;
    }
    chosen = any ? s : event_set{};
    publish();
    return 0;
}

static void print_names(trace_emit emit, void *arg, bool only_chosen)
{
    for (unsigned i = 0; i < NR_TRACE_EVENTS; i++) {
        const char *name = trace_event_table[i].name;
        if (only_chosen && !chosen.has(i))
            continue;
        if (!emit(arg, name, strlen(name)) || !emit(arg, "\n", 1))
            return;
    }
}

void trace_print_events(trace_emit emit, void *arg)
{
    print_names(emit, arg, false);
}
void trace_print_set_events(trace_emit emit, void *arg)
{
    print_names(emit, arg, true);
}
