// SPDX-License-Identifier: MIT
// Programs that start with "#!": their first line names an interpreter and at most one argument for
// it. Linux: fs/binfmt_script.c. Context: process.

#include "lib/string.h"
#include "mm/slab.h"
#include "syscall/exec.h"

namespace
{
char *copy_string(const char *s, size_t n)
{
    auto *c = static_cast<char *>(kmalloc(n + 1, GFP_KERNEL));
    if (!c)
        return nullptr;
    memcpy(c, s, n);
    c[n] = 0;
    return c;
}

bool blank(char c)
{
    return c == ' ' || c == '\t';
}

/// Put `s` before the other replacement strings; takes it over, also when it fails.
result<void> push_prefix(binprm &b, char *s)
{
    if (!s)
        return error{ENOMEM};
    memmove(b.prefix + 1, b.prefix, b.nr_prefix * sizeof(char *));
    b.prefix[0] = s;
    b.nr_prefix++;
    return {};
}
} // namespace

result<bool> load_script(binprm &b)
{
    if (b.buf_len < 2 || b.buf[0] != '#' || b.buf[1] != '!')
        return false;
    char *at = b.buf + 2, *end = b.buf + 2;
    char *limit = b.buf + sizeof(b.buf) - 1;
    while (end < limit && *end && *end != '\n')
        end++;
    while (end > at && blank(end[-1]))
        end--;
    while (at < end && blank(*at))
        at++;
    if (at == end)
        return error{ENOEXEC};
    char *name_end = at;
    while (name_end < end && !blank(*name_end))
        name_end++;
    char *arg = name_end;
    while (arg < end && blank(*arg))
        arg++;
    if (b.nr_prefix + 3 > sizeof(b.prefix) / sizeof(b.prefix[0]))
        return error{ELOOP};
    // The script's own path replaces argv[0] (of an earlier script: that one's interpreter stands
    // there already).
    if (b.nr_prefix == 0)
        TRY_VOID(push_prefix(b, copy_string(b.filename, strlen(b.filename))));
    if (arg < end)
        TRY_VOID(push_prefix(b, copy_string(arg, static_cast<size_t>(end - arg))));
    char *name = copy_string(at, static_cast<size_t>(name_end - at));
    TRY_VOID(push_prefix(b, name));
    kfree(b.interp);
    b.interp = copy_string(name, strlen(name));
    if (!b.interp)
        return error{ENOMEM};
    TRY_VOID(open_exec(b, b.interp));
    return true;
}
