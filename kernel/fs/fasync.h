// SPDX-License-Identifier: MIT
// Signals instead of polling: who owns an open file (F_SETOWN, F_SETSIG), and lists of files in O_ASYNC mode that an object keeps. Linux:
// fs/fcntl.c (struct fown_struct, struct fasync_struct). One spinlock (irqsave) protects all owners and lists; the lists end with their
// files, whose release takes them out.
#pragma once

#include "fs/fs.h"

/// What fown_struct::type says (F_SETOWN_EX).
constexpr s32 F_OWNER_TID = 0, F_OWNER_PID = 1, F_OWNER_PGRP = 2;
/// Why SIGIO is sent: si_code, which also gives si_band.
constexpr int POLL_IN = 1, POLL_OUT = 2, POLL_MSG = 3, POLL_ERR = 4, POLL_PRI = 5, POLL_HUP = 6;

struct fasync_struct;

/// Who gets the signals of an open file, and with which rights they are sent.
struct fown_struct {
    s32 type = F_OWNER_PID;
    s32 pid = 0; // of a thread, process or group; 0: nobody
    u32 uid = 0, euid = 0;
    u32 signum = 0; // 0: SIGIO without details
};

/// The owner of `f`; all zero when none was ever set. Any context.
fown_struct f_getown(file *f);
/// Set who gets the signals, sent with the current task's rights; keeps signum. ESRCH: there is no such task or group (pid 0 is nobody),
/// ENOMEM. Linux __f_setown. [P]
result<void> f_setown(file *f, s32 type, s32 pid);
/// F_SETSIG: 0 is SIGIO. EINVAL, ENOMEM. [P]
result<void> f_setsig(file *f, u64 signum);
/// F_SETOWN, FIOSETOWN, SIOCSPGRP: a process, or a group as a negative number. EINVAL, ESRCH, ENOMEM. [P]
result<void> f_setown_signed(file *f, s32 who);
/// F_GETOWN and its like: the process, or minus the group. [P]
s32 f_getown_signed(file *f);

/// Put `f` on (or take it off) an object's list and set its O_ASYNC; `fd` is what SIGIO tells. ENOMEM. [P]
result<void> fasync_helper(int fd, file *f, bool on, fasync_struct **list);
/// Change O_ASYNC of a file if its kind has it. Linux setfl, ioctl_fioasync. [P]
result<void> file_set_async(int fd, file *f, bool on);
/// Send `sig` to the owners of all files of the list; SIGURG only to files that did not ask for another signal. Any context.
/// `wanted`, if given, is asked for each file (its release waits meanwhile).
void kill_fasync(fasync_struct *const *list, unsigned sig, int reason,
                 bool (*wanted)(file *f) = nullptr);
/// Urgent data: SIGURG to the file's owner, O_ASYNC or not. Whether there is one. Linux send_sigurg. Any context.
bool send_sigurg(file *f);
/// The last reference to `f` goes. fput() calls it. [P]
void fasync_release_file(file *f);
