// SPDX-License-Identifier: MIT
// Futexes that are locks known to the kernel: FUTEX_LOCK_PI and its like. Linux: kernel/futex.c. The
// word holds the owner's thread id; an unlock with waiters hands the lock to the first of them (by
// real-time priority, then by time). The owner is not raised to its waiters' priority.
//
// Context: process. Locks: pi_mutex for everything, so that word and queue change together; the mm's
// lock inside it. It may be held across page faults.

#include "mm/mm.h"
#include "sched/futex_internal.h"

namespace
{
struct pi_waiter {
    list_node node;
    futex_key key;    // where it waits
    futex_key target; // requeue: the lock that it is to get
    bool requeue;     // waits at a plain futex for being requeued
    task_struct *task;
    s32 owner = 0;     // thread that holds the lock, as far as we know
    bool done = false; // the lock is ours
    pi_waiter(const futex_key &k, const futex_key &t, bool r)
        : key{k}, target{t}, requeue{r}, task{current()}
    {
    }
};
mutex pi_mutex{"futex.pi"};
list<pi_waiter, &pi_waiter::node> waiters;
std::atomic<u32> nr_waiters{0};

u32 my_tid()
{
    return static_cast<u32>(current()->pid);
}

void enqueue(pi_waiter &w)
{
    for (pi_waiter &o : waiters)
        if (o.task->rt_priority < w.task->rt_priority) {
            waiters.insert_before(o, w);
            nr_waiters.fetch_add(1);
            return;
        }
    waiters.push_back(w);
    nr_waiters.fetch_add(1);
}

void dequeue(pi_waiter &w)
{
    if (!w.node.linked())
        return;
    w.node.unlink();
    nr_waiters.fetch_sub(1);
}

/// First waiter for the lock `key`, after `after` if that is given.
pi_waiter *lock_waiter(const futex_key &key, pi_waiter *after = nullptr)
{
    for (pi_waiter *w = after ? waiters.next(*after) : waiters.front(); w; w = waiters.next(*w))
        if (!w->requeue && w->key == key)
            return w;
    return nullptr;
}

void grant(pi_waiter *w)
{
    task_struct *t = w->task;
    dequeue(*w);
    __atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
    wake_up_process(t); // it cannot leave before pi_mutex is free
}

/// Replace the word by what `f` makes of it; returns the old value. `f` may refuse with an error.
template <class F>
result<u32> update_word(u64 uaddr, F f)
{
    u32 old = 0;
    TRY_VOID(get_user(old, user_ptr<u32>{uaddr}));
    for (;;) {
        u32 next = TRY(f(old));
        u32 found = TRY(mm_cmpxchg(current()->mm, uaddr, old, next));
        if (found == old)
            return old;
        old = found;
    }
}

/// Take the lock for thread `tid`: true. Held: false, with the waiters bit set, and who holds it.
result<bool> try_take(u64 uaddr, const futex_key &key, u32 tid, bool more, s32 *owner)
{
    bool taken = false;
    TRY(update_word(uaddr, [&](u32 v) -> result<u32> {
        u32 holder = v & FUTEX_TID_MASK;
        taken = !holder;
        *owner = static_cast<s32>(holder);
        if (holder == tid)
            return error{EDEADLK};
        if (holder)
            return v | FUTEX_WAITERS;
        return tid | (v & FUTEX_OWNER_DIED) | (more || lock_waiter(key) ? FUTEX_WAITERS : 0);
    }));
    if (taken)
        return true;
    task_struct *t = find_get_task(*owner);
    if (!t)
        return error{ESRCH};
    bool kernel = t->flags & PF_KTHREAD;
    put_task(t);
    if (kernel)
        return error{EPERM};
    return false;
}

/// Sleep with `w` queued; pi_mutex held on entry and exit. True: the lock is ours.
bool wait_queued(pi_waiter &w, u64 expires, int *err) NO_THREAD_SAFETY_ANALYSIS
{
    pi_mutex.unlock();
    *err = futex_sleep(&w.done, expires);
    pi_mutex.lock();
    dequeue(w);
    return w.done;
}
} // namespace

result<s64> futex_lock_pi(u64 uaddr, bool shared, u64 expires, bool try_only)
{
    futex_key key = TRY(futex_get_key(uaddr, shared));
    mutex_guard g{pi_mutex};
    pi_waiter w{key, {}, false};
    if (TRY(try_take(uaddr, key, my_tid(), false, &w.owner)))
        return s64{0};
    if (try_only)
        return error{EWOULDBLOCK};
    enqueue(w);
    int err;
    if (wait_queued(w, expires, &err))
        return s64{0};
    return error{err == ETIMEDOUT ? ETIMEDOUT : ERESTARTNOINTR};
}

result<s64> futex_unlock_pi(u64 uaddr, bool shared)
{
    futex_key key = TRY(futex_get_key(uaddr, shared));
    mutex_guard g{pi_mutex};
    pi_waiter *first = lock_waiter(key);
    pi_waiter *second = first ? lock_waiter(key, first) : nullptr;
    TRY(update_word(uaddr, [&](u32 v) -> result<u32> {
        if ((v & FUTEX_TID_MASK) != my_tid())
            return error{EPERM};
        u32 next = first ? static_cast<u32>(first->task->pid) : 0;
        return next | (second ? FUTEX_WAITERS : 0);
    }));
    for (pi_waiter *w = second; w; w = lock_waiter(key, w))
        w->owner = first->task->pid;
    if (first)
        grant(first);
    return s64{0};
}

result<s64> futex_wait_requeue_pi(u64 uaddr, u64 uaddr2, bool shared, u32 val, u64 expires)
{
    futex_key key = TRY(futex_get_key(uaddr, shared));
    futex_key target = TRY(futex_get_key(uaddr2, shared));
    if (key == target)
        return error{EINVAL};
    mutex_guard g{pi_mutex};
    u32 now;
    TRY_VOID(get_user(now, user_ptr<u32>{uaddr}));
    if (now != val)
        return error{EWOULDBLOCK};
    pi_waiter w{key, target, true};
    enqueue(w);
    int err;
    if (wait_queued(w, expires, &err))
        return s64{0};
    if (err == ETIMEDOUT)
        return error{ETIMEDOUT};
    // Once requeued, the call cannot simply begin again: the program looks at its condition.
    return error{w.requeue ? ERESTARTNOINTR : EWOULDBLOCK};
}

namespace
{
pi_waiter *requeue_waiter(const futex_key &key)
{
    for (pi_waiter &w : waiters)
        if (w.requeue && w.key == key)
            return &w;
    return nullptr;
}
} // namespace

result<s64> futex_cmp_requeue_pi(u64 uaddr, u64 uaddr2, bool shared, u32 nr_wake, u32 nr_requeue,
                                 u32 cmpval)
{
    futex_key from = TRY(futex_get_key(uaddr, shared));
    futex_key to = TRY(futex_get_key(uaddr2, shared));
    if (nr_wake != 1 || from == to)
        return error{EINVAL};
    mutex_guard g{pi_mutex};
    u32 now;
    TRY_VOID(get_user(now, user_ptr<u32>{uaddr}));
    if (now != cmpval)
        return error{EAGAIN};
    if (futex_has_waiters(from))
        return error{EINVAL}; // they do not know that they would get a lock
    s64 n = 0;
    for (pi_waiter *w; (w = requeue_waiter(from)) && n < s64{nr_wake} + nr_requeue; n++) {
        if (!(w->target == to))
            return error{EINVAL};
        auto tid = static_cast<u32>(w->task->pid);
        bool taken = false;
        s32 owner;
        w->requeue = false;
        w->key = to;
        dequeue(*w);
        if (!n)
            taken = TRY(try_take(uaddr2, to, tid, nr_requeue && requeue_waiter(from), &owner));
        else
            TRY(update_word(uaddr2, [&](u32 v) -> result<u32> {
                owner = static_cast<s32>(v & FUTEX_TID_MASK);
                return v | FUTEX_WAITERS;
            }));
        w->owner = owner;
        if (taken)
            grant(w);
        else
            enqueue(*w);
    }
    return n;
}

namespace
{
/// The word of `w` passes from the dying current task to w's.
void inherit(pi_waiter *w)
{
    u32 next = static_cast<u32>(w->task->pid) | FUTEX_OWNER_DIED |
               (lock_waiter(w->key, w) ? FUTEX_WAITERS : 0);
    if (w->key.mm) {
        auto r = update_word(w->key.addr, [&](u32) -> result<u32> { return next; });
        (void)r.err();
    } else {
        __atomic_store_n(static_cast<u32 *>(phys_to_virt(w->key.addr)), next, __ATOMIC_SEQ_CST);
    }
    for (pi_waiter *o = lock_waiter(w->key, w); o; o = lock_waiter(w->key, o))
        o->owner = w->task->pid;
    grant(w);
}
} // namespace

void exit_pi_locks()
{
    if (!nr_waiters.load())
        return;
    mutex_guard g{pi_mutex};
    for (pi_waiter *w = waiters.front(); w;) {
        bool ours =
            !w->requeue && w->owner == current()->pid && (!w->key.mm || w->key.mm == current()->mm);
        if (ours)
            inherit(w);
        w = ours ? waiters.front() : waiters.next(*w);
    }
}
