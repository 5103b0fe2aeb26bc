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
    int (*store)(task_struct *t, char *text, size_t n) = nullptr; // 0 or -errno
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
void show_pid_maps(seq_file *m, task_struct *t);
/// One area as copied out of an mm; `f` has a reference.
struct area_copy {
    u64 start, end, pgoff;
    u32 flags;
    file *f;
};
/// Its line of maps and smaps. `buf` has room for a path.
void show_area(seq_file *m, const area_copy &a, const mm_struct *mm, const path &root, char *buf);
// task_smaps.cc: smaps, statm, and the Vm… lines of status
void show_pid_smaps(seq_file *m, task_struct *t);
void show_memory_sizes(seq_file *m, task_struct *t);
// base_text.cc
void show_pid_cmdline(seq_file *m, task_struct *t);
struct io_counts {
    u64 rchar = 0, wchar = 0, syscr = 0, syscw = 0;
};
/// Whether the current task may look into another (Linux ptrace_may_access): itself, user 0, or the same user in every id.
bool may_access_task(const task_struct *t);
void show_pid_environ(seq_file *m, task_struct *t);
void show_pid_auxv(seq_file *m, task_struct *t);
void show_pid_personality(seq_file *m, task_struct *t);
void show_pid_io(seq_file *m, task_struct *t);
void show_pid_oom_score(seq_file *m, task_struct *t);
void show_pid_oom_score_adj(seq_file *m, task_struct *t);
int store_pid_oom_score_adj(task_struct *t, char *text, size_t n);
void show_pid_oom_adj(seq_file *m, task_struct *t);
int store_pid_oom_adj(task_struct *t, char *text, size_t n);
void show_pid_comm(seq_file *m, task_struct *t);
int store_pid_comm(task_struct *t, char *text, size_t n);
// base_fd.cc
extern const inode_operations proc_fd_dir_iops, proc_fdinfo_dir_iops;
extern const file_operations proc_fd_dir_fops, proc_fdinfo_dir_fops;
/// Where memory is, pages; tasks: kernel stacks.
struct memory_report {
    u64 total, free, slab, shmem, anonymous, mapped, page_tables, tasks;
};
memory_report memory_now();
// root.cc: operations of /proc itself and of "task" directories are set up here.
int proc_stat_init();
int proc_irq_init();
int proc_mem_init();
int proc_misc_init();
