// SPDX-License-Identifier: MIT
// What the files of fs/proc/ share. Process context.
#pragma once

#include "fs/pseudo.h"
#include "sched/process.h"

/// USER_HZ ticks, the unit of times in /proc/stat and /proc/<pid>/stat.
constexpr u64 NSEC_PER_TICK = 10'000'000;
inline unsigned long long ull(u64 v)
{
    return v;
}

/// Which process an inode below /proc/<pid> belongs to: the pid, and the start time against a reused one.
struct proc_pid {
    s32 pid;
    u64 start_time;
};
/// The task with a reference (put_task), or null when it is gone.
task_struct *get_proc_task(const proc_pid &p);

/// A file of /proc/<pid>/ and how it is printed; the task has a reference.
struct proc_pid_file {
    const char *name;
    u32 mode;
    void (*show)(seq_file *m, task_struct *t);
    /// Text written to it, NUL-terminated: 0 or -errno. Null: it is not writable.
    int (*store)(task_struct *t, const char *text) = nullptr;
};

/// A directory, link or file made on demand, as a dentry that is in no tree. Takes over the inode's reference. ENOMEM.
result<dentry *> proc_instantiate(dentry *parent, const char *name, size_t len, inode *i);
/// A decimal number without sign or leading zeros; -1: it is none.
s64 parse_number(const char *name, size_t len);
/// Entry of a process in an inode's private_data.
inline proc_pid &pid_of(const inode *i)
{
    return *static_cast<proc_pid *>(i->private_data);
}
/// An inode of process p with operations.
inode *proc_pid_inode(const proc_pid &p, u32 mode, const inode_operations *iop,
                      const file_operations *fop);

/// Foreground group of a terminal, set by the terminal layer (which lies to the right of fs/).
extern s32 (*tty_foreground_pgrp)(void *tty);
/// Its device number (field tty_nr of /proc/<pid>/stat).
extern u32 (*tty_device_number)(void *tty);
// array.cc, task_mm.cc
void show_pid_stat(seq_file *m, task_struct *t);
void show_pid_status(seq_file *m, task_struct *t);
void show_pid_statm(seq_file *m, task_struct *t);
void show_pid_cmdline(seq_file *m, task_struct *t);
void show_pid_maps(seq_file *m, task_struct *t);
// base_fd.cc
extern const inode_operations proc_fd_dir_iops, proc_fdinfo_dir_iops;
extern const file_operations proc_fd_dir_fops, proc_fdinfo_dir_fops;
// root.cc: operations of /proc itself and of "task" directories are set up here.
int proc_stat_init();
int proc_irq_init();
int proc_mem_init();
int proc_misc_init();
