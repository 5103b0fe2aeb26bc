// SPDX-License-Identifier: MIT
// The table of test hooks and its debugfs file (docs/debugfs.md `test/hooks`). Process context; one mutex for table and values.

#include "net/test_hooks.h"

#if SOFTNET_DEBUG

#include "fs/seq_file.h"
#include "lib/initcall.h"
#include "lib/spinlock.h"
#include "lib/string.h"

namespace
{
struct test_hook {
    const char *name;
    test_hook_fn fn;
    char value[40]; // arguments of the last command that worked
};
constexpr unsigned MAX_HOOKS = 32, MAX_ARGS = 8;
test_hook hooks[MAX_HOOKS];
unsigned nr_hooks;
spinlock hooks_lock{"test_hooks"};

test_hook *find_hook(const char *name)
{
    spin_guard<plain> g{hooks_lock};
    for (unsigned i = 0; i < nr_hooks; i++)
        if (strcmp(hooks[i].name, name) == 0)
            return &hooks[i];
    return nullptr;
}

void hooks_show(seq_file *m)
{
    for (unsigned i = 0; i < read_once(nr_hooks); i++) {
        char value[sizeof hooks[i].value];
        {
            spin_guard<plain> g{hooks_lock};
            strlcpy(value, hooks[i].value, sizeof value);
        }
        seq_printf(m, "%s %s\n", hooks[i].name, value);
    }
}

/// Cut the text into words; returns how many, or -1: too many.
int split(char *text, char **argv)
{
    int argc = 0;
    for (char *p = text; *p;) {
        while (*p == ' ' || *p == '\t' || *p == '\n')
            *p++ = 0;
        if (!*p)
            break;
        if (argc == MAX_ARGS)
            return -1;
        argv[argc++] = p;
        while (*p && *p != ' ' && *p != '\t' && *p != '\n')
            p++;
    }
    argv[argc] = nullptr;
    return argc;
}

int hooks_store(char *text, size_t, void *)
{
    char *argv[MAX_ARGS + 1];
    int argc = split(text, argv);
    if (argc < 1)
        return -EINVAL;
    test_hook *h = find_hook(argv[0]);
    if (!h)
        return -EINVAL;
    if (int err = h->fn(argc, argv))
        return err;
    spin_guard<plain> g{hooks_lock};
    size_t n = 0;
    h->value[0] = 0;
    for (int i = 1; i < argc && n + 1 < sizeof h->value; i++) {
        if (i > 1)
            h->value[n++] = ' ';
        n += strlcpy(h->value + n, argv[i], sizeof h->value - n);
    }
    return 0;
}
} // namespace

int register_test_hook(const char *name, test_hook_fn fn)
{
    if (find_hook(name))
        return -EEXIST;
    spin_guard<plain> g{hooks_lock};
    if (nr_hooks == MAX_HOOKS)
        return -ENOMEM;
    hooks[nr_hooks] = {name, fn, "0"};
    nr_hooks++;
    return 0;
}

static int test_hooks_init()
{
    return debugfs_create("test/hooks", hooks_show, nullptr, hooks_store);
}
core_initcall(test_hooks_init);

#endif
