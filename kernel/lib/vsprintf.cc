// SPDX-License-Identifier: MIT
// vsnprintf with the kernel's pointer extensions. Any context, no locks, no allocation. Linux:
// lib/vsprintf.c. Supported: %d %i %u %x %X %o %c %s %p %%, flags "-0+ #", width, precision (also
// *), h hh l ll z; %pS %pf symbol of an address (name+0xoff, or the plain name at offset 0; %pf
// always plain), %pI4 (be32 *), %pM (u8[6]).
#include "lib/printk.h"
#include "lib/string.h"

namespace
{
struct spec {
    bool left = false, zero = false, plus = false, space = false, alt = false;
    int width = 0, precision = -1;
    int length = 0; // -2 hh, -1 h, 0 int, 1 long and size_t, 2 long long
};

/// The buffer: counts everything, stores what fits.
struct sink {
    char *at, *end;
    size_t total = 0;
    void put(char c)
    {
        if (at < end)
            *at++ = c;
        total++;
    }
    void pad(char c, int n)
    {
        while (n-- > 0)
            put(c);
    }
};

void put_string(sink &o, const char *s, const spec &f)
{
    if (!s)
        s = "(null)";
    int len = static_cast<int>(f.precision >= 0 ? strnlen(s, static_cast<size_t>(f.precision))
                                                : strlen(s));
    if (!f.left)
        o.pad(' ', f.width - len);
    for (int i = 0; i < len; i++)
        o.put(s[i]);
    if (f.left)
        o.pad(' ', f.width - len);
}

void put_number(sink &o, u64 v, bool negative, unsigned base, bool upper, const spec &f)
{
    char digits[24];
    int n = 0;
    const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    while (v) {
        digits[n++] = set[v % base];
        v /= base;
    }
    if (!n && f.precision != 0)
        digits[n++] = '0';
    char sign = negative ? '-' : f.plus ? '+' : f.space ? ' ' : 0;
    int prefix = (sign ? 1 : 0) + (f.alt && base == 16 ? 2 : f.alt && base == 8 ? 1 : 0);
    int zeros = f.precision > n ? f.precision - n : 0;
    if (f.zero && !f.left && f.precision < 0 && f.width > n + prefix)
        zeros = f.width - n - prefix;
    int blanks = f.width - n - prefix - zeros;
    if (!f.left)
        o.pad(' ', blanks);
    if (sign)
        o.put(sign);
    if (f.alt && base != 10)
        o.put('0');
    if (f.alt && base == 16)
        o.put(upper ? 'X' : 'x');
    o.pad('0', zeros);
    while (n)
        o.put(digits[--n]);
    if (f.left)
        o.pad(' ', blanks);
}

void put_symbol(sink &o, const void *p, bool plain, const spec &f)
{
    u64 off = 0;
    const char *name = kallsyms_lookup(reinterpret_cast<u64>(p), &off);
    char buf[160];
    if (name[0] == '?' && !name[1])
        snprintf(buf, sizeof(buf), "0x%lx", reinterpret_cast<unsigned long>(p));
    else if (plain || !off)
        strlcpy(buf, name, sizeof(buf));
    else
        snprintf(buf, sizeof(buf), "%s+0x%lx", name, static_cast<unsigned long>(off));
    put_string(o, buf, f);
}

void put_ip4(sink &o, const void *p, const spec &f)
{
    u8 a[4];
    memcpy(a, p, 4);
    char buf[16];
    snprintf(buf, sizeof(buf), "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
    put_string(o, buf, f);
}

void put_mac(sink &o, const void *p, const spec &f)
{
    u8 a[6];
    memcpy(a, p, 6);
    char buf[18];
    snprintf(buf, sizeof(buf), "%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3], a[4], a[5]);
    put_string(o, buf, f);
}

/// %p and what may follow it. Returns the format after the letters used.
const char *put_pointer(sink &o, const void *p, const char *fmt, spec f)
{
    if (fmt[0] == 'S' || fmt[0] == 'f') {
        put_symbol(o, p, fmt[0] == 'f', f);
        return fmt + 1;
    }
    if (fmt[0] == 'I' && fmt[1] == '4') {
        if (p)
            put_ip4(o, p, f);
        else
            put_string(o, nullptr, f);
        return fmt + 2;
    }
    if (fmt[0] == 'M') {
        if (p)
            put_mac(o, p, f);
        else
            put_string(o, nullptr, f);
        return fmt + 1;
    }
    if (!f.width) {
        f.width = 16;
        f.zero = true;
    }
    put_number(o, reinterpret_cast<u64>(p), false, 16, false, f);
    return fmt;
}

struct args {
    va_list ap;
};

const char *parse_number(const char *s, int *v, args &a)
{
    if (*s == '*') {
        *v = va_arg(a.ap, int);
        return s + 1;
    }
    *v = 0;
    while (*s >= '0' && *s <= '9' && *v < 10000)
        *v = *v * 10 + (*s++ - '0');
    return s;
}

const char *parse_spec(const char *s, spec &f, args &a)
{
    for (;; s++) {
        if (*s == '-')
            f.left = true;
        else if (*s == '0')
            f.zero = true;
        else if (*s == '+')
            f.plus = true;
        else if (*s == ' ')
            f.space = true;
        else if (*s == '#')
            f.alt = true;
        else
            break;
    }
    s = parse_number(s, &f.width, a);
    if (f.width < 0) {
        f.left = true;
        f.width = -f.width;
    }
    if (*s == '.')
        s = parse_number(s + 1, &f.precision, a);
    for (;; s++) {
        if (*s == 'l')
            f.length++;
        else if (*s == 'h')
            f.length--;
        else if (*s == 'z' || *s == 't' || *s == 'j')
            f.length = 1;
        else
            return s;
    }
}

u64 unsigned_arg(const spec &f, args &a)
{
    if (f.length > 0)
        return va_arg(a.ap, unsigned long);
    unsigned v = va_arg(a.ap, unsigned);
    return f.length == -1 ? static_cast<u16>(v) : f.length < -1 ? static_cast<u8>(v) : v;
}

s64 signed_arg(const spec &f, args &a)
{
    if (f.length > 0)
        return va_arg(a.ap, long);
    int v = va_arg(a.ap, int);
    return f.length == -1 ? static_cast<s16>(v) : f.length < -1 ? static_cast<s8>(v) : v;
}

/// One conversion; `s` is behind the '%'. Returns what follows it.
const char *convert(sink &o, const char *s, args &a)
{
    spec f;
    s = parse_spec(s, f, a);
    char c = *s;
    if (!c)
        return s;
    s++;
    switch (c) {
    case 'd':
    case 'i': {
        s64 v = signed_arg(f, a);
        put_number(o, v < 0 ? u64{0} - static_cast<u64>(v) : static_cast<u64>(v), v < 0, 10, false,
                   f);
        break;
    }
    case 'u':
        put_number(o, unsigned_arg(f, a), false, 10, false, f);
        break;
    case 'o':
        put_number(o, unsigned_arg(f, a), false, 8, false, f);
        break;
    case 'x':
    case 'X':
        put_number(o, unsigned_arg(f, a), false, 16, c == 'X', f);
        break;
    case 'c': {
        char ch[2] = {static_cast<char>(va_arg(a.ap, int)), 0};
        f.precision = -1;
        put_string(o, ch, f);
        break;
    }
    case 's':
        put_string(o, va_arg(a.ap, const char *), f);
        break;
    case 'p':
        return put_pointer(o, va_arg(a.ap, const void *), s, f);
    case '%':
        o.put('%');
        break;
    default: // unknown: show it
        o.put('%');
        o.put(c);
    }
    return s;
}
} // namespace

int vsnprintf(char *buf, size_t n, const char *fmt, va_list ap)
{
    sink o{buf, n ? buf + n - 1 : buf};
    args a;
    va_copy(a.ap, ap);
    while (*fmt) {
        if (*fmt != '%')
            o.put(*fmt++);
        else
            fmt = convert(o, fmt + 1, a);
    }
    va_end(a.ap);
    if (n)
        *o.at = 0;
    return static_cast<int>(o.total);
}

int snprintf(char *buf, size_t n, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int r = vsnprintf(buf, n, fmt, ap);
    va_end(ap);
    return r;
}
