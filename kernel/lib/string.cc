// SPDX-License-Identifier: MIT
// String helpers that the C library does not have under these names; both ports. Any context.
#include "lib/string.h"

size_t strnlen(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && s[i])
        i++;
    return i;
}

size_t strlcpy(char *to, const char *from, size_t n)
{
    size_t len = strlen(from);
    if (n) {
        size_t k = len < n ? len : n - 1;
        memcpy(to, from, k);
        to[k] = 0;
    }
    return len;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 99;
}

u64 strtoul(const char *s, const char **end, int base)
{
    bool hex_prefix = s[0] == '0' && (s[1] == 'x' || s[1] == 'X') && digit(s[2]) < 16;
    if (base == 0)
        base = hex_prefix ? 16 : s[0] == '0' ? 8 : 10;
    if (base == 16 && hex_prefix)
        s += 2;
    u64 v = 0;
    for (int d; (d = digit(*s)) < base; s++)
        if (__builtin_mul_overflow(v, static_cast<u64>(base), &v) ||
            __builtin_add_overflow(v, static_cast<u64>(d), &v))
            v = ~u64{0};
    if (end)
        *end = s;
    return v;
}

bool in4_pton(const char *s, be32 *out, const char **end)
{
    u32 v = 0;
    for (int i = 0; i < 4; i++) {
        if (i && *s++ != '.')
            return false;
        const char *start = s;
        u32 part = 0;
        for (; *s >= '0' && *s <= '9' && s - start < 3; s++)
            part = part * 10 + static_cast<u32>(*s - '0');
        if (s == start || part > 255 || (*s >= '0' && *s <= '9'))
            return false;
        v = v << 8 | part;
    }
    *out = htonl(v);
    if (end)
        *end = s;
    return true;
}
