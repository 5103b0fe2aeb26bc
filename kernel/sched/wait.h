// SPDX-License-Identifier: MIT
// Wait queues exactly as Linux 3.10's include/linux/wait.h and kernel/wait.c (rows W-08…W-14): entry with flags, private, func;
// non-exclusive entries at the head, exclusive at the tail; __wake_up_common stops after nr_exclusive exclusive wake-ups.
#pragma once

#include "lib/list.h"
#include "lib/spinlock.h"

struct wait_queue;
/// Called with the head's lock held, IRQs off; non-zero: it woke somebody. `key`: poll events of the wake-up.
using wait_queue_func = int (*)(wait_queue *wait, unsigned mode, int flags, void *key);

constexpr unsigned WQ_FLAG_EXCLUSIVE = 1;
/// wake_flags: the waker is about to sleep (Linux WF_SYNC).
constexpr int WF_SYNC = 1;

/// One waiter (Linux wait_queue_t); usually on the sleeper's stack.
struct wait_queue {
    unsigned flags = 0;
    void *private_ = nullptr;
    wait_queue_func func = nullptr;
    list_node task_list;
    /// DEFINE_WAIT: private = current, func = autoremove_wake_function.
    wait_queue();
    wait_queue(wait_queue_func f, void *p) : private_{p}, func{f} {}
};

/// The head: lock and entries.
struct wait_queue_head : pinned {
    spinlock lock;
    list<wait_queue, &wait_queue::task_list> task_list;
    /// `lock_name`: a lock class of its own, for queues that are woken while another queue's lock is held.
    explicit wait_queue_head(const char *lock_name = "wait_queue_head") : lock{lock_name} {}
    /// Linux waitqueue_active(): callers order it against their condition with smp_mb().
    bool active() { return !task_list.empty(); }
};

int default_wake_function(wait_queue *w, unsigned mode, int flags, void *key);
int autoremove_wake_function(wait_queue *w, unsigned mode, int flags, void *key);

/// Head of the queue, non-exclusive. Any context.
void add_wait_queue(wait_queue_head *q, wait_queue *w);
/// Tail of the queue, exclusive.
void add_wait_queue_exclusive(wait_queue_head *q, wait_queue *w);
void remove_wait_queue(wait_queue_head *q, wait_queue *w);
/// Queue (if not yet) and set the task state, both under q->lock, before the caller re-tests its condition. [P]
void prepare_to_wait(wait_queue_head *q, wait_queue *w, unsigned state);
void prepare_to_wait_exclusive(wait_queue_head *q, wait_queue *w, unsigned state);
/// State RUNNING, unlink if still queued. [P]
void finish_wait(wait_queue_head *q, wait_queue *w);

/// The walk; q->lock held.
void __wake_up_common(wait_queue_head *q, unsigned mode, int nr_exclusive, int wake_flags,
                      void *key);
/// Wake waiters in `mode` states; nr_exclusive 0 = all. Any context.
void __wake_up(wait_queue_head *q, unsigned mode, int nr_exclusive, void *key);
void __wake_up_sync_key(wait_queue_head *q, unsigned mode, int nr_exclusive, void *key);

#define wake_up(q) __wake_up(q, TASK_NORMAL, 1, nullptr)
#define wake_up_all(q) __wake_up(q, TASK_NORMAL, 0, nullptr)
#define wake_up_interruptible(q) __wake_up(q, TASK_INTERRUPTIBLE, 1, nullptr)
#define wake_up_interruptible_all(q) __wake_up(q, TASK_INTERRUPTIBLE, 0, nullptr)
#define wake_up_poll(q, m) __wake_up(q, TASK_NORMAL, 1, reinterpret_cast<void *>(u64(m)))
#define wake_up_interruptible_sync_poll(q, m) \
    __wake_up_sync_key(q, TASK_INTERRUPTIBLE, 1, reinterpret_cast<void *>(u64(m)))

/// Sleep until `cond` (re-evaluated at each wake-up). wait_event_interruptible is -ERESTARTSYS on a signal, else 0. [P]
#define wait_event(q, cond)                                \
    do {                                                   \
        wait_queue w_;                                     \
        for (;;) {                                         \
            prepare_to_wait(q, &w_, TASK_UNINTERRUPTIBLE); \
            if (cond)                                      \
                break;                                     \
            schedule();                                    \
        }                                                  \
        finish_wait(q, &w_);                               \
    } while (0)
#define wait_event_interruptible(q, cond)                \
    ({                                                   \
        int r_ = 0;                                      \
        wait_queue w_;                                   \
        for (;;) {                                       \
            prepare_to_wait(q, &w_, TASK_INTERRUPTIBLE); \
            if (cond)                                    \
                break;                                   \
            if (signal_pending()) {                      \
                r_ = -ERESTARTSYS;                       \
                break;                                   \
            }                                            \
            schedule();                                  \
        }                                                \
        finish_wait(q, &w_);                             \
        r_;                                              \
    })
