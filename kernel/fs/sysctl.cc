// SPDX-License-Identifier: MIT
// /proc/sys: integers with limits. Linux: kernel/sysctl.c, fs/proc/proc_sysctl.c. Process context. Values are single words, read by
// their users without locks, so a change takes effect at their next look.

#include "fs/pseudo.h"
#include "lib/string.h"

namespace
{
struct sysctl_ints {
    int *values;
    unsigned n;
    int lo, hi;
    void (*changed)();
};

void sysctl_show(seq_file *m)
{
    auto *s = static_cast<sysctl_ints *>(m->private_data);
    for (unsigned i = 0; i < s->n; i++)
        seq_printf(m, "%s%d", i ? "\t" : "", read_once(s->values[i]));
    seq_putc(m, '\n');
}

bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

/// One signed decimal, octal or hexadecimal number within int.
bool parse_int(const char *&s, int *out)
{
    bool negative = *s == '-';
    if (negative)
        s++;
    if (*s < '0' || *s > '9')
        return false;
    const char *end;
    u64 v = strtoul(s, &end, 0);
    s = end;
    if ((*s && !is_blank(*s)) || v > 0x80000000u || (!negative && v > 0x7fffffff))
        return false;
    *out = static_cast<int>(negative ? -static_cast<s64>(v) : static_cast<s64>(v));
    return true;
}

/// As Linux: several values are taken in order, missing ones keep theirs; nothing changes if one is bad.
int sysctl_store(char *text, size_t, void *private_data)
{
    constexpr unsigned MAX_INTS = 8;
    auto *s = static_cast<sysctl_ints *>(private_data);
    int parsed[MAX_INTS];
    unsigned n = 0;
    for (const char *p = text;;) {
        while (is_blank(*p))
            p++;
        if (!*p || n == s->n)
            break;
        if (!parse_int(p, &parsed[n]) || parsed[n] < s->lo || parsed[n] > s->hi)
            return -EINVAL;
        n++;
    }
    if (!n)
        return -EINVAL;
    for (unsigned i = 0; i < n; i++)
        write_once(s->values[i], parsed[i]);
    if (s->changed)
        s->changed();
    return 0;
}
} // namespace

int sysctl_create_ints(const char *path, int *values, unsigned n, int lo, int hi, void (*changed)())
{
    char full[256];
    if (n > 8 || snprintf(full, sizeof full, "sys/%s", path) >= static_cast<int>(sizeof full))
        return -EINVAL;
    auto *s = static_cast<sysctl_ints *>(
        kmalloc(sizeof(sysctl_ints), GFP_KERNEL)); // kept for ever, like the file
    if (!s)
        return -ENOMEM;
    *s = {values, n, lo, hi, changed};
    int err = proc_create(full, sysctl_show, s, sysctl_store);
    if (err)
        kfree(s);
    return err;
}

int sysctl_create_int(const char *path, int *value, int lo, int hi, void (*changed)())
{
    return sysctl_create_ints(path, value, 1, lo, hi, changed);
}
