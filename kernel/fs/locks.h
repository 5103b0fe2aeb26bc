// SPDX-License-Identifier: MIT
// Advisory locks on files: POSIX record locks (fcntl), their open-file-description kind, and flock. Linux: fs/locks.c. Process context.
// One spinlock protects all locks and waiters; a lock belongs to its inode's list until its owner removes it.
#pragma once

#include "fs/fs.h"

/// As fcntl(2) numbers the types.
constexpr s16 F_RDLCK = 0, F_WRLCK = 1, F_UNLCK = 2;
/// The last byte that a lock can cover: "to the end, wherever that will be".
constexpr s64 OFFSET_MAX = 0x7fffffffffffffff;

/// Who holds a lock: FLOCK and OFD locks belong to an open file, POSIX locks to a process (its descriptor table).
enum class lock_kind : u8 { posix, ofd, flock };

/// A lock held, asked for, or found in the way.
struct file_lock : pinned {
    lock_kind kind = lock_kind::posix;
    s16 type = F_UNLCK;
    const void *owner = nullptr; // files_struct or file
    s32 pid = 0;                 // as F_GETLK and /proc/locks tell; -1 for OFD locks
    s64 start = 0, end = OFFSET_MAX;
    inode *i = nullptr;
    list_node node,
        global; // of the inode, by owner and start; of all locks, newest first (waiters: of all waiters)
    file_lock *blocked_on = nullptr; // a waiter's obstacle; null: try again
    wait_queue_head wait;
};

/// Take, change or (F_UNLCK) give back a POSIX or OFD lock on the range; `wait`: until it is free. EAGAIN, EDEADLK, ENOLCK, ERESTARTSYS.
/// Linux posix_lock_file, posix_lock_file_wait. [P]
result<void> posix_lock_file(const file_lock &request, bool wait);
/// Turn `request` into the first lock that is in its way, or set its type to F_UNLCK. Linux posix_test_lock. [P]
void posix_test_lock(file_lock *request);
/// flock(2): `type` is F_UNLCK, F_RDLCK or F_WRLCK. EWOULDBLOCK, ENOLCK, ERESTARTSYS. Linux flock_lock_file_wait. [P]
result<void> flock_lock_file(file *f, s16 type, bool wait);
/// A process closes a descriptor of `f`: its POSIX locks on the inode go, whichever descriptor they were taken by. [P]
void locks_remove_posix(file *f, const files_struct *owner);
/// The last reference to `f` goes: with it its flock and OFD locks. [P]
void locks_remove_file(file *f);
