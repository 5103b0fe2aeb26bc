// SPDX-License-Identifier: MIT
// Hooks of the debug kernel that belong to no single subsystem (docs/debugfs.md): protocols out of and back into inet_protos[], one failing
// allocation, a panic. [P]
#include "net/test_hooks.h"
#include "lib/initcall.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/page.h"
#include "net/ipv4/ip.h"
#include <atomic>

#if SOFTNET_DEBUG

static const net_protocol *removed[MAX_INET_PROTOS];

/// The common form "hook N"; false when it is not that.
static bool hook_number(int argc, char **argv, u64 limit, u64 *n)
{
    if (argc != 2)
        return false;
    const char *end = nullptr;
    *n = strtoul(argv[1], &end, 10);
    return end != argv[1] && !*end && *n <= limit;
}

static int hook_unregister_proto(int argc, char **argv)
{
    u64 n;
    if (!hook_number(argc, argv, MAX_INET_PROTOS - 1, &n))
        return -EINVAL;
    const net_protocol *p = inet_protos[n];
    if (!p)
        return -ENOENT;
    if (int err = inet_del_protocol(p, static_cast<u8>(n)))
        return err;
    removed[n] = p;
    return 0;
}

static int hook_register_proto(int argc, char **argv)
{
    u64 n;
    if (!hook_number(argc, argv, MAX_INET_PROTOS - 1, &n))
        return -EINVAL;
    if (!removed[n])
        return -ENOENT;
    int err = inet_add_protocol(removed[n], static_cast<u8>(n));
    if (!err)
        removed[n] = nullptr;
    return err;
}

static std::atomic<u64> allocations_left{0};

/// The allocation that takes the count to zero fails. Any context.
static bool fail_one(size_t, gfp)
{
    u64 left = allocations_left.load(std::memory_order_relaxed);
    while (left)
        if (allocations_left.compare_exchange_weak(left, left - 1, std::memory_order_relaxed))
            return left == 1;
    return false;
}

static int hook_fail_alloc(int argc, char **argv)
{
    u64 n;
    if (!hook_number(argc, argv, UINT32_MAX, &n))
        return -EINVAL;
    allocations_left = n;
    should_fail_alloc = n ? fail_one : nullptr;
    return 0;
}

static int hook_panic(int argc, char **)
{
    if (argc != 1)
        return -EINVAL;
    panic("test");
}

static int test_hooks_init()
{
    register_test_hook("unregister_proto", hook_unregister_proto);
    register_test_hook("register_proto", hook_register_proto);
    register_test_hook("fail_alloc", hook_fail_alloc);
    register_test_hook("panic", hook_panic);
    return 0;
}
late_initcall(test_hooks_init);

#endif
