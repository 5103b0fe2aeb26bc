// SPDX-License-Identifier: MIT
// Kernel command line (Linux's words and syntax).
#pragma once

#include "lib/types.h"

/// Value of `key=value` (copied, NUL-terminated, truncated to n) or of a bare word `key` ("" copied). False when absent.
/// The last occurrence wins. Any context after boot.
bool cmdline_get(const char *key, char *value, size_t n);
/// Whether the word is present, with or without a value.
bool cmdline_has(const char *key);
