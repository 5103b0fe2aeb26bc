// SPDX-License-Identifier: MIT
// /sys/kernel/debug/initcalls and deviations. [P]
#include "fs/seq_file.h"
#include "init/init.h"

static void show_initcalls(seq_file *m)
{
    const initcall_record *r;
    unsigned n = initcall_records(&r);
    for (unsigned i = 0; i < n; i++)
        seq_printf(m, "level=%s name=%s ret=%d usecs=%lu\n", r[i].call->level, r[i].call->name,
                   r[i].ret, r[i].usecs);
}

static void show_deviations(seq_file *m)
{
    for (unsigned i = 0; i < nr_known_deviations; i++)
        seq_printf(m, "%s\n", known_deviations[i]);
}

static int init_debugfs()
{
    if (int err = debugfs_create("initcalls", show_initcalls))
        return err;
    return debugfs_create("deviations", show_deviations);
}
late_initcall(init_debugfs);
