// SPDX-License-Identifier: MIT
// Looking words up in the kernel command line (Documentation/admin-guide/kernel-parameters of
// Linux: blanks separate, double quotes keep blanks together, '-' and '_' in names are the same).
// Read-only after boot; any context.
#include "lib/cmdline.h"
#include "arch/arch.h"
#include "lib/string.h"

namespace
{
struct word {
    const char *start, *end; // quotes included
};

/// The next word at or after `s`; start == end at the end of the line.
word next_word(const char *s)
{
    while (*s == ' ' || *s == '\t' || *s == '\n')
        s++;
    const char *e = s;
    for (bool quoted = false; *e && (quoted || (*e != ' ' && *e != '\t' && *e != '\n')); e++)
        if (*e == '"')
            quoted = !quoted;
    return {s, e};
}

char same_class(char c)
{
    return c == '-' ? '_' : c;
}

/// Where the value of `w` starts (behind '='), its end for a bare word, or null when its name is
/// not `key`.
const char *match(const word &w, const char *key)
{
    const char *p = w.start;
    if (p < w.end && *p == '"')
        p++;
    for (; *key; key++, p++)
        if (p == w.end || same_class(*p) != same_class(*key))
            return nullptr;
    if (p == w.end)
        return p;
    return *p == '=' ? p + 1 : nullptr;
}

/// Value without quotes.
void copy_value(const char *p, const char *end, char *value, size_t n)
{
    size_t k = 0;
    for (; p < end; p++)
        if (*p != '"' && k + 1 < n)
            value[k++] = *p;
    if (n)
        value[k] = 0;
}
} // namespace

bool cmdline_get(const char *key, char *value, size_t n)
{
    bool found = false;
    for (word w = next_word(arch_command_line()); w.start != w.end; w = next_word(w.end)) {
        // Words behind "--" belong to init.
        if (w.end - w.start == 2 && w.start[0] == '-' && w.start[1] == '-')
            break;
        if (const char *v = match(w, key)) {
            copy_value(v, w.end, value, n);
            found = true;
        }
    }
    return found;
}

bool cmdline_has(const char *key)
{
    char unused[1];
    return cmdline_get(key, unused, sizeof(unused));
}
