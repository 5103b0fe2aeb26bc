// SPDX-License-Identifier: MIT
// Text files made on demand: /proc, /sys, /sys/kernel/debug. The show function prints the whole text into a buffer at the first read
// and at every read from position 0; other reads come from it. [P]
// A show function must have no side effects: it is called again, with a larger buffer, when its text did not fit. In return it may
// print while it holds spinlocks, for printing never allocates.
#pragma once

#include "fs/fs.h"

/// The text so far. Printing past the buffer sets `overflow`: the rest of this run is lost, and show runs again.
struct seq_file {
    char *buf = nullptr;
    size_t len = 0, cap = 0;
    bool overflow = false;
    int error = 0; // set by show: the read fails with it (ESRCH: the process is gone)
    void *private_data = nullptr; // as given at creation
};
void seq_printf(seq_file *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void seq_puts(seq_file *m, const char *s);
void seq_putc(seq_file *m, char c);
void seq_write(seq_file *m, const void *data, size_t n);
/// Pad with spaces until the current line is `col` long.
void seq_pad(seq_file *m, size_t col);

using seq_show = void (*)(seq_file *m);
/// Handle a write of one piece of text (NUL-terminated copy, at most 4095 bytes); returns 0 or -errno.
using seq_store = int (*)(char *text, size_t n, void *private_data);

/// Publish a text file at `path` below /proc ("net/udp"), /sys/kernel/debug ("net/rings") or /sys; parent directories are made.
/// `store` null: read-only. Mode 0444/0644 resp. Any time after vfs_caches_init. [P]
int proc_create(const char *path, seq_show show, void *private_data = nullptr,
                seq_store store = nullptr);
int debugfs_create(const char *path, seq_show show, void *private_data = nullptr,
                   seq_store store = nullptr);
int sysfs_create(const char *path, seq_show show, void *private_data = nullptr,
                 seq_store store = nullptr);
/// Remove a file or a whole directory (a network device that goes away); open files stay usable, so `private_data` must outlive
/// them. 0 or -ENOENT. [P]
int proc_remove(const char *path);
int sysfs_remove(const char *path);
/// A symbolic link below /sys. [P]
int sysfs_symlink(const char *path, const char *target);
/// A /proc/sys file over an integer with limits; /proc/sys/<path>. changed (may be null): called after each write.
int sysctl_create_int(const char *path, int *value, int lo, int hi, void (*changed)() = nullptr);
/// Several integers in one line (tcp_rmem, ip_local_port_range).
int sysctl_create_ints(const char *path, int *values, unsigned n, int lo, int hi,
                       void (*changed)() = nullptr);
