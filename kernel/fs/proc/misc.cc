// SPDX-License-Identifier: MIT
// The rest of /proc: filesystems, mounts, devices, kallsyms, kmsg, sys/kernel and sys/fs. Process context.

#include "fs/file.h"
#include "fs/proc/internal.h"
#include "lib/initcall.h"
#include "lib/string.h"

int proc_pid_init();

namespace
{
void show_filesystems(seq_file *m)
{
    for_each_filesystem(
        [](const file_system_type *t, void *arg) {
            seq_printf(static_cast<seq_file *>(arg), "nodev\t%s\n", t->name);
        },
        m);
}

void show_devices(seq_file *m)
{
    seq_puts(m, "Character devices:\n");
    struct last_printed {
        seq_file *m;
        u32 major;
    } last{m, 0};
    for_each_chrdev(
        [](u32 major, const char *name, void *arg) {
            auto *l = static_cast<last_printed *>(arg);
            if (major != l->major)
                seq_printf(l->m, "%3u %s\n", major, name);
            l->major = major;
        },
        &last);
    seq_puts(m, "\nBlock devices:\n");
}

/// One line a symbol, by address.
void show_kallsyms(seq_file *m)
{
    for (u32 i = 0;; i++) {
        u64 addr;
        const char *name = kallsyms_entry(i, &addr);
        if (!name)
            return;
        seq_printf(m, "%016llx T %s\n", ull(addr), name);
    }
}

// /proc/sys: strings and counts that are not plain integers.

int nr_open_max = 1024 * 1024;
int pid_max = 32768; // sched/task.cc PID_MAX: fixed, so the file takes no other value

void show_file_nr(seq_file *m)
{
    seq_printf(m, "%llu\t0\t%llu\n", ull(nr_open_files()), ull(max_open_files()));
}

void show_file_max(seq_file *m)
{
    seq_printf(m, "%llu\n", ull(max_open_files()));
}

int store_file_max(char *text, size_t, void *)
{
    const char *end;
    if (*text < '0' || *text > '9')
        return -EINVAL;
    u64 n = strtoul(text, &end, 10);
    if (*end && *end != '\n')
        return -EINVAL;
    set_max_open_files(n);
    return 0;
}

void show_inode_nr(seq_file *m)
{
    seq_printf(m, "%llu\t0\n", ull(nr_inodes()));
}

int publish_sysctls()
{
    int err = proc_create("sys/fs/file-nr", show_file_nr);
    err |= proc_create("sys/fs/file-max", show_file_max, nullptr, store_file_max);
    err |= proc_create("sys/fs/inode-nr", show_inode_nr);
    err |= sysctl_create_int("fs/nr_open", nr_open_sysctl(), 64, nr_open_max);
    err |= sysctl_create_int("kernel/pid_max", &pid_max, pid_max, pid_max);
    return err;
}

int proc_kmsg_init()
{
    inode *i = new_inode(proc_sb(), S_IFREG | 0400);
    if (!i)
        return -ENOMEM;
    i->i_fop = &kmsg_fops;
    return pseudo_add(proc_sb(), "kmsg", i);
}

int proc_init()
{
    int err = proc_pid_init();
    err |= proc_stat_init();
    err |= proc_irq_init();
    err |= proc_mem_init();
    err |= proc_create("filesystems", show_filesystems);
    err |= proc_create("devices", show_devices);
    err |= proc_create("kallsyms", show_kallsyms);
    err |= proc_kmsg_init();
    err |= publish_sysctls();
    return err;
}
fs_initcall(proc_init);
} // namespace
