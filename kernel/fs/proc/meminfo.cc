// SPDX-License-Identifier: MIT
// /proc/meminfo, buddyinfo, slabinfo, vmstat's basics. Linux: fs/proc/meminfo.c, mm/vmstat.c, mm/slab_common.c. Process context.

#include "fs/proc/internal.h"
#include "mm/mm.h"

namespace
{
constexpr u64 KB_PER_PAGE = PAGE_SIZE / 1024;

void row(seq_file *m, const char *name, u64 kb)
{
    seq_printf(m, "%-15s %8llu kB\n", name, ull(kb));
}

/// Pages that programs may still get: all that is not free is in use (there is no cache to shrink).
u64 commit_limit(const memory_report &r)
{
    return r.total * 50 / 100; // vm.overcommit_ratio, no swap
}

u64 committed_pages()
{
    u64 sum = 0;
    for_each_task(
        [](task_struct *t, void *arg) {
            spin_guard<plain> g{t->pi_lock}; // against exit, as get_task_mm()
            if (t->mm && t->group_leader == t)
                *static_cast<u64 *>(arg) += read_once(t->mm->total_vm);
        },
        &sum);
    return sum;
}

/// Lines whose subject does not exist here (swap, disks) are 0, so that readers find what they expect. There are no lists by age: anonymous
/// pages count as active, files' pages (all of them tmpfs's) as inactive.
void show_meminfo(seq_file *m)
{
    memory_report r = memory_now();
    auto pages = [&](const char *name, u64 n) { row(m, name, n * KB_PER_PAGE); };
    pages("MemTotal:", r.total);
    pages("MemFree:", r.free);
    pages("MemAvailable:", r.free);
    pages("Buffers:", 0);
    pages("Cached:", r.shmem);
    pages("SwapCached:", 0);
    pages("Active:", r.anonymous);
    pages("Inactive:", r.shmem);
    pages("Active(anon):", r.anonymous);
    pages("Inactive(anon):", r.shmem);
    pages("Active(file):", 0);
    pages("Inactive(file):", 0);
    pages("Unevictable:", 0);
    pages("Mlocked:", 0);
    pages("SwapTotal:", 0);
    pages("SwapFree:", 0);
    pages("Dirty:", 0);
    pages("Writeback:", 0);
    pages("AnonPages:", r.anonymous);
    pages("Mapped:", r.mapped);
    pages("Shmem:", r.shmem);
    pages("Slab:", r.slab);
    pages("SReclaimable:", 0);
    pages("SUnreclaim:", r.slab);
    row(m, "KernelStack:", r.tasks * THREAD_SIZE / 1024);
    pages("PageTables:", r.page_tables);
    pages("NFS_Unstable:", 0);
    pages("Bounce:", 0);
    pages("WritebackTmp:", 0);
    pages("CommitLimit:", commit_limit(r));
    pages("Committed_AS:", committed_pages());
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

memory_report memory_now()
{
    page_stats p = page_alloc_stats();
    memory_report r{p.total, p.free, 0, ramfs_pages(), nr_anon_pages(), 0, arch_table_pages(), 0};
    for_each_slab(
        [](const slab_stats &c, void *arg) {
            static_cast<memory_report *>(arg)->slab += c.num_slabs * c.pagesperslab;
        },
        &r);
    u64 resident = 0;
    struct sums {
        u64 *resident, *tasks;
    } s{&resident, &r.tasks};
    for_each_task(
        [](task_struct *t, void *arg) {
            auto *x = static_cast<sums *>(arg);
            ++*x->tasks;
            spin_guard<plain> g{t->pi_lock};
            if (t->mm && t->group_leader == t)
                *x->resident += t->mm->rss.load(std::memory_order_relaxed);
        },
        &s);
    // A page that several programs map counts once in `shmem`, so no more than that can be mapped.
    r.mapped = min(r.shmem, resident > r.anonymous ? resident - r.anonymous : 0);
    return r;
}

int proc_mem_init()
{
    int err = proc_create("meminfo", show_meminfo);
    err |= proc_create("buddyinfo", show_buddyinfo);
    return err | proc_create("slabinfo", show_slabinfo);
}
