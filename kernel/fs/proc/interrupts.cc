// SPDX-License-Identifier: MIT
// /proc/interrupts, softirqs, and /proc/irq/<n>/smp_affinity. Linux: kernel/irq/proc.c, fs/proc/softirqs.c. Process context.

#include "fs/proc/internal.h"
#include "irq/irq.h"
#include "irq/softirq.h"
#include "lib/string.h"

namespace
{
void show_cpu_heads(seq_file *m, unsigned indent)
{
    seq_printf(m, "%*s", static_cast<int>(indent), "");
    for (unsigned cpu = 0; cpu < num_online_cpus(); cpu++)
        seq_printf(m, "CPU%-8u", cpu);
    seq_putc(m, '\n');
}

/// "PCI-MSI-edge" as Linux prints chip and flow handler: the chip right-aligned, the rest behind it left-aligned.
void show_chip(seq_file *m, const char *chip)
{
    const char *flow = strrchr(chip, '-');
    if (!flow) {
        seq_printf(m, " %8s          ", chip);
        return;
    }
    char name[32];
    strlcpy(name, chip, min(sizeof name, static_cast<size_t>(flow - chip) + 1));
    seq_printf(m, " %8s-%-8s", name, flow + 1);
}

void show_arch_row(seq_file *m, const char *name, u64 (*count)(unsigned cpu), const char *text)
{
    seq_printf(m, "%3s: ", name);
    for (unsigned cpu = 0; cpu < num_online_cpus(); cpu++)
        seq_printf(m, "%10llu ", ull(count(cpu)));
    seq_printf(m, "  %s\n", text);
}

void show_interrupts(seq_file *m)
{
    show_cpu_heads(m, 11);
    for (unsigned irq = 0; irq < NR_IRQS; irq++) {
        irq_info info;
        if (!irq_get_info(irq, &info) || !info.name)
            continue;
        seq_printf(m, "%3u: ", irq);
        for (unsigned cpu = 0; cpu < num_online_cpus(); cpu++)
            seq_printf(m, "%10llu ", ull(info.count[cpu]));
        show_chip(m, info.chip ? info.chip : "-");
        seq_printf(m, "  %s\n", info.name);
    }
    show_arch_row(m, "LOC", timer_irq_count, "Local timer interrupts");
    show_arch_row(
        m, "RES", [](unsigned cpu) { return ipi_count(cpu, ipi::reschedule); },
        "Rescheduling interrupts");
    show_arch_row(
        m, "CAL", [](unsigned cpu) { return ipi_count(cpu, ipi::call_function); },
        "Function call interrupts");
}

void show_softirqs(seq_file *m)
{
    show_cpu_heads(m, 20);
    for (unsigned nr = 0; nr < NR_SOFTIRQS; nr++) {
        seq_printf(m, "%12s:", softirq_to_name[nr]);
        for (unsigned cpu = 0; cpu < num_online_cpus(); cpu++)
            seq_printf(m, " %10llu", ull(softirq_count(cpu, nr)));
        seq_putc(m, '\n');
    }
}

/// The interrupt's number is the file's private_data.
unsigned irq_of(const void *private_data)
{
    return static_cast<unsigned>(reinterpret_cast<u64>(private_data));
}

void show_affinity(seq_file *m)
{
    seq_printf(m, "%0*llx\n", static_cast<int>((num_online_cpus() + 3) / 4),
               ull(irq_get_affinity(irq_of(m->private_data))));
}

/// A hexadecimal mask; commas between groups of 8 digits are allowed, as bitmap_parse() does.
int store_affinity(char *text, size_t, void *private_data)
{
    u64 mask = 0;
    unsigned digits = 0;
    for (const char *s = text; *s && *s != '\n'; s++) {
        if (*s == ',')
            continue;
        char c = static_cast<char>(*s | 32);
        u64 v = c >= '0' && c <= '9'   ? static_cast<u64>(c - '0')
                : c >= 'a' && c <= 'f' ? static_cast<u64>(c - 'a' + 10)
                                       : 16;
        if (v > 15 || mask >> 60)
            return -EINVAL;
        mask = mask << 4 | v;
        digits++;
    }
    if (!digits)
        return -EINVAL;
    auto r = irq_set_affinity(irq_of(private_data), mask);
    return -r.err();
}

void show_affinity_list(seq_file *m)
{
    u64 mask = irq_get_affinity(irq_of(m->private_data));
    bool first = true;
    for (unsigned cpu = 0; cpu < num_online_cpus(); cpu++)
        if (mask >> cpu & 1) {
            seq_printf(m, first ? "%u" : ",%u", cpu);
            first = false;
        }
    seq_putc(m, '\n');
}

// /proc/irq has a directory for every interrupt in use, made on demand: interrupts come and go with their drivers.

struct irq_dir {
    unsigned irq;
};
const char *const irq_files[] = {"smp_affinity", "smp_affinity_list"};

bool in_use(unsigned irq)
{
    irq_info info;
    return irq < NR_IRQS && irq_get_info(irq, &info) && info.name;
}

result<dentry *> irq_file_lookup(dentry *dir, const char *name, size_t len)
{
    unsigned irq = static_cast<irq_dir *>(dir->d_inode->private_data)->irq;
    auto *arg = reinterpret_cast<void *>(u64{irq});
    for (unsigned k = 0; k < 2; k++) {
        if (strncmp(irq_files[k], name, len) != 0 || irq_files[k][len])
            continue;
        inode *i =
            k ? pseudo_file_inode(proc_sb(), S_IFREG | 0444, show_affinity_list, arg, nullptr)
              : pseudo_file_inode(proc_sb(), S_IFREG | 0644, show_affinity, arg, store_affinity);
        return proc_instantiate(dir, name, len, i);
    }
    return error{ENOENT};
}

result<void> irq_file_iterate(file *f, dir_context *ctx)
{
    tree_guard g;
    if (dcache_iterate(f, ctx))
        for (u64 k = 0; k < 2; k++)
            if (!dir_emit(ctx, irq_files[k], strlen(irq_files[k]), 3 + k, 3 + k, S_IFREG))
                break;
    return {};
}
const inode_operations irq_dir_iops{.lookup = irq_file_lookup};
const file_operations irq_dir_fops{.llseek = dcache_dir_lseek, .iterate = irq_file_iterate};

result<dentry *> irq_lookup(dentry *dir, const char *name, size_t len)
{
    s64 irq = parse_number(name, len);
    if (irq < 0 || !in_use(static_cast<unsigned>(irq)))
        return error{ENOENT};
    auto *data = static_cast<irq_dir *>(kmalloc(sizeof(irq_dir), GFP_KERNEL));
    if (data)
        data->irq = static_cast<unsigned>(irq);
    inode *i = owned_inode(proc_sb(), S_IFDIR | 0555, data);
    if (i) {
        i->i_op = &irq_dir_iops;
        i->i_fop = &irq_dir_fops;
    }
    return proc_instantiate(dir, name, len, i);
}

result<void> irq_iterate(file *f, dir_context *ctx)
{
    constexpr u64 FIRST = 16;
    tree_guard g;
    if (!dcache_iterate(f, ctx))
        return {};
    for (unsigned irq = 0; irq < NR_IRQS; irq++) {
        char name[8];
        int n = snprintf(name, sizeof name, "%u", irq);
        if (in_use(irq) &&
            !dir_emit(ctx, name, static_cast<size_t>(n), FIRST + irq, FIRST + irq, S_IFDIR))
            break;
    }
    return {};
}
const inode_operations irq_root_iops{.lookup = irq_lookup};
const file_operations irq_root_fops{.llseek = dcache_dir_lseek, .iterate = irq_iterate};
} // namespace

int proc_irq_init()
{
    dentry *dir = pseudo_mkdir(proc_sb(), "irq");
    if (!dir)
        return -ENOMEM;
    dir->d_inode->i_op = &irq_root_iops;
    dir->d_inode->i_fop = &irq_root_fops;
    int err = proc_create("interrupts", show_interrupts);
    return err | proc_create("softirqs", show_softirqs);
}
