// SPDX-License-Identifier: MIT
// The per-thread part of signals, embedded in task_struct. Functions: sched/signal.h.
#pragma once

#include "lib/list.h"

/// What Linux passes as siginfo_t, without its padding: three words, then the union's first 32
/// bytes (x86_64 layout, offset 16): pid/uid/status/utime/stime, or fault address, or timer
/// id/overrun/value.
struct kernel_siginfo {
    s32 signo = 0, err = 0, code = 0, pad = 0;
    union {
        struct {
            s32 pid;
            u32 uid;
            u64 value; // status in the low half for SIGCHLD
            s64 utime, stime;
        } p;
        u64 addr;
        struct {
            s32 id, overrun;
            u64 value;
        } timer;
        struct {
            s64 band;
            s32 fd;
        } poll;
        u64 raw[4] = {};
    };
};
static_assert(sizeof(kernel_siginfo) == 48);

struct k_itimer;
/// One queued instance of a signal (cache "sigqueue"). That of a POSIX timer lives as long as the
/// timer (`timer` set) and is not freed when it is taken.
struct sigqueue {
    list_node node;
    kernel_siginfo info;
    k_itimer *timer = nullptr;
    struct user_struct *user = nullptr; // who is charged for it (RLIMIT_SIGPENDING)
};

/// How restart_syscall(2) goes on with an interrupted call.
struct restart_block {
    s64 (*fn)(restart_block *block) = nullptr; // result or -errno; null: EINTR
    u64 arg[5] = {};
};

/// Signals sent and not yet taken; bit n-1 = signal n. Protected by signal_state.lock.
struct sigpending_set {
    u64 mask = 0;
    list<sigqueue, &sigqueue::node> queue;
};

/// A thread's own signal state. `blocked` is written by the thread itself only, under
/// signal_state.lock.
struct thread_signals {
    u64 blocked = 0;
    u64 saved = 0;        // to be restored after the handler (rt_sigsuspend, ppoll, epoll_pwait)
    u64 real_blocked = 0; // rt_sigtimedwait: blocked but for its wait, so not acted upon
    bool restore_saved = false;
    bool restart = false; // the system call ended with a restart code
    bool stopped = false; // counted in signal_state.nr_stopped
    sigpending_set pending;
    u64 sas_sp = 0, sas_size = 0; // sigaltstack
    u32 sas_flags = 2;            // SS_DISABLE
    s32 timer_due = -1;           // POSIX timer whose signal was just taken: to be started again
    restart_block restart_at;
};
