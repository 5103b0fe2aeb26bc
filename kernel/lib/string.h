// SPDX-License-Identifier: MIT
// The C string functions the kernel uses. Any context.
#pragma once

#include "lib/types.h"

extern "C" {
void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *what);
}
size_t strnlen(const char *s, size_t n);
/// Copy with truncation; always NUL-terminated; returns strlen(from).
size_t strlcpy(char *to, const char *from, size_t n);
/// Unsigned number in base 10/16 (0x)/8 (0) or as given; *end after it. Overflow saturates.
u64 strtoul(const char *s, const char **end, int base);
/// A dotted quad. Returns false unless it is one; *end after it.
bool in4_pton(const char *s, be32 *out, const char **end);
