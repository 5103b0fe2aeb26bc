// SPDX-License-Identifier: MIT
// /proc/meminfo, buddyinfo, slabinfo, vmstat's basics. Linux: fs/proc/meminfo.c, mm/vmstat.c, mm/slab_common.c. Process context.

#include "fs/proc/internal.h"

namespace
{
constexpr u64 KB_PER_PAGE = PAGE_SIZE / 1024;

struct memory_sums {
    u64 slab_pages = 0, rss_pages = 0, tasks = 0;
};

memory_sums sum_memory()
{
    memory_sums s;
    for_each_slab(
        [](const slab_stats &c, void *arg) {
            static_cast<memory_sums *>(arg)->slab_pages += c.num_slabs * c.pagesperslab;
        },
        &s);
    for_each_task([](task_struct *, void *arg) { static_cast<memory_sums *>(arg)->tasks++; }, &s);
    return s;
}

void row(seq_file *m, const char *name, u64 kb)
{
    seq_printf(m, "%-15s %8llu kB\n", name, ull(kb));
}

/// Lines whose subject does not exist here (swap, disks) are 0, so that readers find what they expect.
void show_meminfo(seq_file *m)
{
    page_stats p = page_alloc_stats();
    memory_sums s = sum_memory();
    u64 cached = ramfs_pages() * KB_PER_PAGE, slab = s.slab_pages * KB_PER_PAGE;
    row(m, "MemTotal:", p.total * KB_PER_PAGE);
    row(m, "MemFree:", p.free * KB_PER_PAGE);
    row(m, "Buffers:", 0);
    row(m, "Cached:", cached);
    row(m, "SwapCached:", 0);
    row(m, "SwapTotal:", 0);
    row(m, "SwapFree:", 0);
    row(m, "Dirty:", 0);
    row(m, "Writeback:", 0);
    row(m, "Shmem:", cached);
    row(m, "Slab:", slab);
    row(m, "SReclaimable:", 0);
    row(m, "SUnreclaim:", slab);
    row(m, "KernelStack:", s.tasks * THREAD_SIZE / 1024);
    row(m, "VmallocTotal:", (VMALLOC_END - VMALLOC_START) / 1024);
}

void show_buddyinfo(seq_file *m)
{
    page_stats p = page_alloc_stats();
    seq_printf(m, "Node 0, zone %8s ", "Normal");
    for (u64 n : p.free_area)
        seq_printf(m, "%6llu ", ull(n));
    seq_putc(m, '\n');
}

void show_slabinfo(seq_file *m)
{
    seq_puts(m, "slabinfo - version: 2.1\n"
                "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>"
                " : tunables <limit> <batchcount> <sharedfactor>"
                " : slabdata <active_slabs> <num_slabs> <sharedavail>\n");
    for_each_slab(
        [](const slab_stats &c, void *arg) {
            seq_printf(static_cast<seq_file *>(arg),
                       "%-17s %6llu %6llu %6llu %4llu %4llu : tunables    0    0    0 : slabdata "
                       "%6llu %6llu      0\n",
                       c.name, ull(c.active_objs), ull(c.num_objs), ull(c.objsize),
                       ull(c.objperslab), ull(c.pagesperslab), ull(c.active_slabs),
                       ull(c.num_slabs));
        },
        m);
}
} // namespace

int proc_mem_init()
{
    int err = proc_create("meminfo", show_meminfo);
    err |= proc_create("buddyinfo", show_buddyinfo);
    return err | proc_create("slabinfo", show_slabinfo);
}
