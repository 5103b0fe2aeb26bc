// SPDX-License-Identifier: MIT
// Who a task acts as: user and group ids, supplementary groups, capabilities, and what is counted
// per user. Linux: include/linux/cred.h, kernel/cred.c, kernel/user.c, kernel/capability.c.
// A task's ids are written by the task itself only; others read single fields without a lock.
#pragma once

#include "lib/types.h"
#include <atomic>

struct task_struct;

/// Capabilities that are asked about here (uapi/linux/capability.h); CAP_LAST_CAP as in 3.10.
enum capability : unsigned {
    CAP_CHOWN = 0,
    CAP_DAC_OVERRIDE = 1,
    CAP_DAC_READ_SEARCH = 2,
    CAP_FOWNER = 3,
    CAP_FSETID = 4,
    CAP_KILL = 5,
    CAP_SETGID = 6,
    CAP_SETUID = 7,
    CAP_SETPCAP = 8,
    CAP_NET_BIND_SERVICE = 10,
    CAP_NET_ADMIN = 12,
    CAP_NET_RAW = 13,
    CAP_IPC_LOCK = 14,
    CAP_IPC_OWNER = 15,
    CAP_SYS_CHROOT = 18,
    CAP_SYS_PTRACE = 19,
    CAP_SYS_ADMIN = 21,
    CAP_SYS_BOOT = 22,
    CAP_SYS_NICE = 23,
    CAP_SYS_RESOURCE = 24,
    CAP_SYS_TIME = 25,
    CAP_SYS_TTY_CONFIG = 26,
    CAP_MKNOD = 27,
    CAP_LAST_CAP = 36,
};
constexpr u64 CAP_FULL_SET = (u64{2} << CAP_LAST_CAP) - 1;

/// Supplementary groups, sorted; shared by the tasks that were forked with them, never changed.
struct group_info;
/// New list of n groups (copied), or null. n ≤ 65536. [P]
group_info *groups_alloc(const u32 *ids, unsigned n);
/// Null is an empty list.
void groups_get(group_info *g);
void groups_put(group_info *g);
unsigned groups_count(const group_info *g);
u32 groups_at(const group_info *g, unsigned i);

/// What one user has at the moment (Linux struct user_struct), by real uid.
struct user_struct;
/// The user `uid` with a reference, or null when out of memory. [P]
user_struct *user_alloc(u32 uid);
void user_get(user_struct *u);
void user_put(user_struct *u);
/// Count of the user's tasks (RLIMIT_NPROC) and queued signals (RLIMIT_SIGPENDING). Any context.
std::atomic<s64> &user_processes(user_struct *u);
std::atomic<s64> &user_sigpending(user_struct *u);

/// The part of a task that says who it is.
struct task_cred {
    u64 cap_inheritable = 0, cap_permitted = CAP_FULL_SET, cap_effective = CAP_FULL_SET,
        cap_bset = CAP_FULL_SET;
    u32 fsuid = 0, fsgid = 0;
    group_info *groups = nullptr;
    user_struct *user = nullptr; // null: a kernel thread
    bool keep_caps = false;      // PR_SET_KEEPCAPS
    bool no_new_privs = false;
};

/// Whether the current task may do what needs `cap`. Kernel threads may everything. Any context.
bool capable(capability cap);
/// Whether the current task's file-system group, or one of its supplementary groups, is `gid`.
bool in_group_p(u32 gid);
/// The same for its effective group (in_egroup_p).
bool in_egroup_p(u32 gid);
/// fork: a copy of the current task's credentials with their references; drop them (the task is
/// being freed).
void copy_creds(task_struct *t);
void exit_creds(task_struct *t);
/// The task counts no longer among its user's: once, when it is reaped.
void uncount_process(task_struct *t);
/// The ids changed from what they were: capabilities follow as capabilities(7) says, the file-system
/// ids follow the effective ones, and the user is the real uid's. ENOMEM: nothing changed but what
/// the caller did. [P] current only.
struct cred_ids {
    s32 uid, euid, suid;
};
void creds_changed(const cred_ids &old, user_struct *new_user);
/// execve: what the new program may do (no file capabilities; set-id bits are handled by the
/// caller through the ids). [P]
void creds_for_exec();
