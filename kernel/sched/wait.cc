// SPDX-License-Identifier: MIT
// Wait queues. Linux: kernel/wait.c and __wake_up_common of kernel/sched/core.c. Rows W-08…W-14.
// The head's lock is IRQ-safe; entries usually live on the sleeper's stack and are linked only under it.
#include "sched/sched.h"
#include "trace/trace.h"

wait_queue::wait_queue() : private_{current()}, func{autoremove_wake_function} {}

int default_wake_function(wait_queue *w, unsigned mode, int flags, void *)
{
    return try_to_wake_up(static_cast<task_struct *>(w->private_), mode, flags);
}

int autoremove_wake_function(wait_queue *w, unsigned mode, int flags, void *key)
{
    // Decide by the result: the task may be awake already and the entry still be wanted (row W-14).
    int woken = default_wake_function(w, mode, flags, key);
    if (woken)
        w->task_list.unlink();
    return woken;
}

void add_wait_queue(wait_queue_head *q, wait_queue *w)
{
    w->flags &= ~WQ_FLAG_EXCLUSIVE;
    spin_guard<irqsave> g{q->lock};
    q->task_list.push_front(*w);
}

void add_wait_queue_exclusive(wait_queue_head *q, wait_queue *w)
{
    w->flags |= WQ_FLAG_EXCLUSIVE;
    spin_guard<irqsave> g{q->lock};
    q->task_list.push_back(*w);
}

void remove_wait_queue(wait_queue_head *q, wait_queue *w)
{
    spin_guard<irqsave> g{q->lock};
    if (w->task_list.linked())
        w->task_list.unlink();
}

void prepare_to_wait(wait_queue_head *q, wait_queue *w, unsigned state)
{
    w->flags &= ~WQ_FLAG_EXCLUSIVE;
    spin_guard<irqsave> g{q->lock};
    if (!w->task_list.linked())
        q->task_list.push_front(*w);
    // Under the lock: a waker that finds the entry finds the state as well (row W-09).
    set_current_state(state);
}

void prepare_to_wait_exclusive(wait_queue_head *q, wait_queue *w, unsigned state)
{
    w->flags |= WQ_FLAG_EXCLUSIVE;
    spin_guard<irqsave> g{q->lock};
    if (!w->task_list.linked())
        q->task_list.push_back(*w);
    set_current_state(state);
}

void finish_wait(wait_queue_head *q, wait_queue *w)
{
    current()->state.store(TASK_RUNNING, std::memory_order_relaxed);
    // Unlocked look as in Linux: a waker that unlinks us stores next = prev = null last under the lock, and does not
    // touch the entry afterwards.
    if (read_once(w->task_list.next) || read_once(w->task_list.prev)) {
        spin_guard<irqsave> g{q->lock};
        if (w->task_list.linked())
            w->task_list.unlink();
    }
}

static void trace_wake_func(wait_queue_func func, task_struct *task, int flags, int woken)
{
    trace(trace_event::wake_func, reinterpret_cast<void *>(func), task ? task->pid : 0, flags,
          woken);
}

void __wake_up_common(wait_queue_head *q, unsigned mode, int nr_exclusive, int wake_flags,
                      void *key)
{
    for (wait_queue &w : q->task_list) {
        // All of the entry is read before the call: it may be gone after it.
        unsigned flags = w.flags;
        wait_queue_func func = w.func;
        auto *task = static_cast<task_struct *>(w.private_);
        int woken = func(&w, mode, wake_flags, key);
        if (trace_enabled(trace_event::wake_func)) [[unlikely]]
            trace_wake_func(func, task, wake_flags, woken);
        if (woken && (flags & WQ_FLAG_EXCLUSIVE) && !--nr_exclusive)
            break;
    }
}

void __wake_up(wait_queue_head *q, unsigned mode, int nr_exclusive, void *key)
{
    spin_guard<irqsave> g{q->lock};
    __wake_up_common(q, mode, nr_exclusive, 0, key);
}

void __wake_up_sync_key(wait_queue_head *q, unsigned mode, int nr_exclusive, void *key)
{
    spin_guard<irqsave> g{q->lock};
    __wake_up_common(q, mode, nr_exclusive, nr_exclusive == 1 ? WF_SYNC : 0, key);
}
