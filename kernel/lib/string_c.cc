// SPDX-License-Identifier: MIT
// The C library's string functions, for ports without a C library (memcpy and its kin are the
// port's). Any context.
#include "lib/string.h"

extern "C" {

size_t strlen(const char *s)
{
    const char *p = s;
    while (*p)
        p++;
    return static_cast<size_t>(p - s);
}

int strcmp(const char *a, const char *b)
{
    for (; *a && *a == *b; a++)
        b++;
    return static_cast<u8>(*a) - static_cast<u8>(*b);
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n; a++, b++, n--) {
        if (*a != *b)
            return static_cast<u8>(*a) - static_cast<u8>(*b);
        if (!*a)
            break;
    }
    return 0;
}

const void *memchr(const void *s, int c, size_t n)
{
    auto *p = static_cast<const u8 *>(s);
    for (; n; p++, n--)
        if (*p == static_cast<u8>(c))
            return p;
    return nullptr;
}

char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == static_cast<char>(c))
            return const_cast<char *>(s);
        if (!*s)
            return nullptr;
    }
}

char *strrchr(const char *s, int c)
{
    const char *last = nullptr;
    do {
        if (*s == static_cast<char>(c))
            last = s;
    } while (*s++);
    return const_cast<char *>(last);
}

char *strstr(const char *s, const char *what)
{
    size_t n = strlen(what);
    for (; *s; s++)
        if (!strncmp(s, what, n))
            return const_cast<char *>(s);
    return n ? nullptr : const_cast<char *>(s);
}
}
