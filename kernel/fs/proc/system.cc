// SPDX-License-Identifier: MIT
// Files of /proc about the whole machine whose subject is small or absent here (no disks, no swap), in Linux's format, and
// settings below /proc/sys that programs ask for. Linux: fs/proc/, mm/vmstat.c, kernel/sysctl.c. Process context.

#include "fs/proc/internal.h"
#include "lib/initcall.h"
#include "lib/random.h"
#include "mm/mm_usage.h"

namespace
{
void show_swaps(seq_file *m)
{
    seq_puts(m, "Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n");
}

void show_nothing(seq_file *) {} // of each disk and partition: there are none

void show_execdomains(seq_file *m)
{
    seq_puts(m, "0-0\tLinux           \t[kernel]\n");
}

/// name, what it can do (read, write, unblank), flags (enabled, consdev, printk buffer, any time), device number
void show_consoles(seq_file *m)
{
    seq_printf(m, "%-21s%s (%s) %4d:%d\n", "ttyS0", "-W-", "EC p a ", 4, 64);
}

/// An (approximate) id of random bytes in the form of RFC 4122, version 4.
void show_uuid(seq_file *m, const u8 *b)
{
    for (unsigned i = 0; i < 16; i++)
        seq_printf(m, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", b[i]);
    seq_putc(m, '\n');
}

void make_uuid(u8 out[16])
{
    get_random_bytes(out, 16);
    out[6] = static_cast<u8>((out[6] & 0x0f) | 0x40);
    out[8] = static_cast<u8>((out[8] & 0x3f) | 0x80);
}

u8 boot_id[16];
void show_boot_id(seq_file *m)
{
    show_uuid(m, boot_id);
}

void show_new_uuid(seq_file *m)
{
    u8 id[16];
    make_uuid(id);
    show_uuid(m, id);
}

void counter(seq_file *m, const char *name, u64 v)
{
    seq_printf(m, "%s %llu\n", name, ull(v));
}

void show_vmstat(seq_file *m)
{
    memory_report r = memory_now();
    counter(m, "nr_free_pages", r.free);
    counter(m, "nr_inactive_anon", r.shmem);
    counter(m, "nr_active_anon", r.anonymous);
    counter(m, "nr_inactive_file", 0);
    counter(m, "nr_active_file", 0);
    counter(m, "nr_unevictable", 0);
    counter(m, "nr_mlock", 0);
    counter(m, "nr_anon_pages", r.anonymous);
    counter(m, "nr_mapped", r.mapped);
    counter(m, "nr_file_pages", r.shmem);
    counter(m, "nr_dirty", 0);
    counter(m, "nr_writeback", 0);
    counter(m, "nr_slab_reclaimable", 0);
    counter(m, "nr_slab_unreclaimable", r.slab);
    counter(m, "nr_page_table_pages", r.page_tables);
    counter(m, "nr_kernel_stack", r.tasks);
    counter(m, "nr_unstable", 0);
    counter(m, "nr_bounce", 0);
    counter(m, "nr_shmem", r.shmem);
    // what would move pages to and from disks
    for (const char *name : {"pgpgin", "pgpgout", "pswpin", "pswpout"})
        counter(m, name, 0);
    counter(m, "pgfault", nr_page_faults());
    counter(m, "pgmajfault", 0);
}

void show_zoneinfo(seq_file *m)
{
    page_stats p = page_alloc_stats();
    seq_printf(
        m,
        "Node 0, zone   Normal\n  pages free     %llu\n        min      0\n        low      0\n"
        "        high     0\n        scanned  0\n        spanned  %llu\n        present  %llu\n"
        "        managed  %llu\n    nr_free_pages %llu\n",
        ull(p.free), ull(p.total), ull(p.total), ull(p.total), ull(p.free));
}

// Settings that say how this kernel is, so that they take no other value.
int ngroups_max = 65536, cap_last_cap = 36, pipe_max_size = 1 << 20;
int randomize_va_space = 1; // stack and mmap area; the heap follows the program
int threads_max = 32768 - 300;

int fixed(const char *path, int *value)
{
    return sysctl_create_int(path, value, *value, *value);
}

int proc_system_init()
{
    make_uuid(boot_id);
    int err = proc_create("swaps", show_swaps);
    err |= proc_create("partitions", show_nothing);
    err |= proc_create("diskstats", show_nothing);
    err |= proc_create("execdomains", show_execdomains);
    err |= proc_create("consoles", show_consoles);
    err |= proc_create("vmstat", show_vmstat);
    err |= proc_create("zoneinfo", show_zoneinfo);
    err |= proc_create("sys/kernel/random/boot_id", show_boot_id);
    err |= proc_create("sys/kernel/random/uuid", show_new_uuid);
    err |= fixed("kernel/ngroups_max", &ngroups_max);
    err |= fixed("kernel/cap_last_cap", &cap_last_cap);
    err |= fixed("kernel/randomize_va_space", &randomize_va_space);
    err |= fixed("kernel/threads-max", &threads_max);
    err |= fixed("fs/pipe-max-size", &pipe_max_size);
    return err;
}
fs_initcall(proc_system_init);
} // namespace
