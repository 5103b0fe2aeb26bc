// SPDX-License-Identifier: MIT
// Ports that are never chosen automatically: /proc/sys/net/ipv4/ip_local_reserved_ports, a list such as "8080,9148-9150" (Linux
// net/ipv4/inet_connection_sock.c sysctl_local_reserved_ports). Read without a lock; a write replaces the whole set bit by bit.

#include "fs/seq_file.h"
#include "net/ipv4/inet_connection_sock.h"

static std::atomic<u64> reserved[65536 / 64];

bool inet_is_reserved_local_port(u16 port)
{
    return reserved[port / 64].load(std::memory_order_relaxed) >> (port % 64) & 1;
}

static void reserved_show(seq_file *m)
{
    const char *sep = "";
    for (u32 p = 0; p < 65536; p++) {
        if (!inet_is_reserved_local_port(static_cast<u16>(p)))
            continue;
        u32 last = p;
        while (last + 1 < 65536 && inet_is_reserved_local_port(static_cast<u16>(last + 1)))
            last++;
        if (last == p)
            seq_printf(m, "%s%u", sep, p);
        else
            seq_printf(m, "%s%u-%u", sep, p, last);
        sep = ",";
        p = last;
    }
    seq_printf(m, "\n");
}

/// A decimal number at *s, below 65536; false if there is none.
static bool port_number(const char **s, const char *end, u32 *v)
{
    const char *p = *s;
    for (*v = 0; p < end && *p >= '0' && *p <= '9'; p++) {
        *v = *v * 10 + static_cast<u32>(*p - '0');
        if (*v > 65535)
            return false;
    }
    bool any = p != *s;
    *s = p;
    return any;
}

/// Each range of the list to f; false when it is ill-formed.
template <class F>
static bool each_range(const char *s, const char *end, F f)
{
    while (end > s && (end[-1] == '\n' || end[-1] == ' ' || end[-1] == '\0'))
        end--;
    while (s < end) {
        u32 lo, hi;
        if (!port_number(&s, end, &lo))
            return false;
        hi = lo;
        if (s < end && *s == '-' && (!port_number(&++s, end, &hi) || hi < lo))
            return false;
        if (s < end && *s++ != ',')
            return false;
        f(lo, hi);
    }
    return true;
}

static int reserved_store(char *buf, size_t n, void *)
{
    if (!each_range(buf, buf + n, [](u32, u32) {}))
        return -EINVAL;
    for (auto &w : reserved)
        w.store(0, std::memory_order_relaxed);
    each_range(buf, buf + n, [](u32 lo, u32 hi) {
        for (u32 p = lo; p <= hi; p++)
            reserved[p / 64].fetch_or(u64{1} << (p % 64), std::memory_order_relaxed);
    });
    return 0;
}

void inet_reserved_ports_init()
{
    proc_create("sys/net/ipv4/ip_local_reserved_ports", reserved_show, nullptr, reserved_store);
}
