// SPDX-License-Identifier: MIT
// Futexes: sleeping on a word of user memory. Linux: kernel/futex.c.
// Context: process. Locks: one per hash bucket (irqsave); two only in order of address.
//
// A waiter queues itself first and compares the word afterwards: a waker changes the word before it
// looks at the queue, so one of the two sees the other, and no user memory is touched under a
// spinlock.

#include "lib/random.h"
#include "mm/mm.h"
#include "sched/futex_internal.h"

namespace
{
constexpr unsigned BUCKETS = 256;
constexpr unsigned ROBUST_LIST_LIMIT = 2048;

struct bucket;
/// One waiter, on its stack. `in` is where it is queued; changes under the locks of both buckets.
struct futex_q {
    list_node node;
    futex_key key;
    task_struct *task = nullptr;
    u32 bitset = ~u32{0};
    bucket *in = nullptr;
    bool woken = false;
};
struct bucket {
    spinlock lock{"futex.lock"};
    list<futex_q, &futex_q::node> queue;
};
bucket buckets[BUCKETS];

bucket *bucket_of(const futex_key &k)
{
    u64 m = reinterpret_cast<u64>(k.mm);
    u32 h = jhash_3words(static_cast<u32>(k.addr), static_cast<u32>(k.addr >> 32),
                         static_cast<u32>(m >> 6), 0);
    return &buckets[h % BUCKETS];
}

/// Take a waiter off and wake it. Its bucket locked.
void wake_one(futex_q *q)
{
    task_struct *t = q->task;
    get_task(t);
    q->node.unlink();
    __atomic_store_n(&q->woken, true, __ATOMIC_RELEASE); // q may be gone from here on
    wake_up_process(t);
    put_task(t);
}

u32 wake_key(const futex_key &key, u32 nr, u32 bitset)
{
    bucket *b = bucket_of(key);
    spin_guard<irqsave> g{b->lock};
    u32 n = 0;
    for (futex_q &q : b->queue) {
        if (n >= nr)
            break;
        if (q.key == key && (q.bitset & bitset)) {
            wake_one(&q);
            n++;
        }
    }
    return n;
}

void queue_me(futex_q &q)
{
    bucket *b = bucket_of(q.key);
    spin_guard<irqsave> g{b->lock};
    q.in = b;
    b->queue.push_back(q);
}

/// Off the queue; true when it had been woken. A requeue may move us between buckets meanwhile.
bool unqueue_me(futex_q &q)
{
    for (;;) {
        bucket *b = __atomic_load_n(&q.in, __ATOMIC_ACQUIRE);
        spin_guard<irqsave> g{b->lock};
        if (b != q.in)
            continue;
        if (!q.node.linked())
            return true;
        q.node.unlink();
        return false;
    }
}

/// Two buckets, locked in order of address.
class two_buckets : pinned
{
public:
    two_buckets(bucket *a, bucket *b) NO_THREAD_SAFETY_ANALYSIS : lo_{a < b ? a : b},
                                                                  hi_{a < b ? b : a}
    {
        flags_ = local_irq_save();
        lo_->lock.lock();
        if (hi_ != lo_)
            hi_->lock.lock_nested(1);
    }
    ~two_buckets() NO_THREAD_SAFETY_ANALYSIS
    {
        if (hi_ != lo_)
            hi_->lock.unlock();
        lo_->lock.unlock();
        local_irq_restore(flags_);
    }

private:
    bucket *lo_, *hi_;
    irq_flags flags_;
};
} // namespace

result<futex_key> futex_get_key(u64 uaddr, bool shared)
{
    if (uaddr & 3)
        return error{EINVAL};
    if (uaddr >= TASK_SIZE)
        return error{EFAULT};
    mm_struct *mm = current()->mm;
    if (shared) {
        u64 pa = TRY(mm_shared_phys(mm, uaddr));
        if (pa)
            return futex_key{nullptr, pa};
    }
    return futex_key{mm, uaddr};
}

bool futex_has_waiters(const futex_key &key)
{
    bucket *b = bucket_of(key);
    spin_guard<irqsave> g{b->lock};
    for (futex_q &q : b->queue)
        if (q.key == key)
            return true;
    return false;
}

int futex_sleep(const bool *flag, u64 expires)
{
    for (;;) {
        set_current_state(TASK_INTERRUPTIBLE);
        if (__atomic_load_n(flag, __ATOMIC_ACQUIRE))
            break;
        if (signal_pending()) {
            set_current_state(TASK_RUNNING);
            return ERESTARTSYS;
        }
        if (schedule_hrtimeout(expires) == 0 && expires != ~u64{0})
            return ETIMEDOUT;
    }
    set_current_state(TASK_RUNNING);
    return 0;
}

result<s64> futex_wait(u64 uaddr, bool shared, u32 val, u64 expires, u32 bitset)
{
    if (!bitset)
        return error{EINVAL};
    futex_q q;
    q.key = TRY(futex_get_key(uaddr, shared));
    q.task = current();
    q.bitset = bitset;
    futex_key key = q.key;
    queue_me(q);
    u32 now = 0;
    auto got = get_user(now, user_ptr<u32>{uaddr});
    if (!got || now != val) {
        if (unqueue_me(q))
            wake_key(key, 1, bitset); // a wake-up meant for one who really waits
        return got ? error{EAGAIN} : error{EFAULT};
    }
    int err = futex_sleep(&q.woken, expires);
    if (unqueue_me(q) || !err)
        return 0;
    return error{static_cast<errno_t>(err)};
}

result<s64> futex_wake(u64 uaddr, bool shared, u32 nr, u32 bitset)
{
    if (!bitset)
        return error{EINVAL};
    futex_key key = TRY(futex_get_key(uaddr, shared));
    return s64{wake_key(key, nr, bitset)};
}

result<s64> futex_requeue(u64 uaddr, u64 uaddr2, bool shared, u32 nr_wake, u32 nr_requeue,
                          const u32 *cmpval)
{
    futex_key from = TRY(futex_get_key(uaddr, shared));
    futex_key to = TRY(futex_get_key(uaddr2, shared));
    if (cmpval) {
        u32 now;
        TRY_VOID(get_user(now, user_ptr<u32>{uaddr}));
        if (now != *cmpval)
            return error{EAGAIN};
    }
    bucket *a = bucket_of(from), *b = bucket_of(to);
    two_buckets g{a, b};
    u32 n = 0;
    for (futex_q &q : a->queue) {
        if (!(q.key == from))
            continue;
        if (n < nr_wake) {
            wake_one(&q);
        } else if (n - nr_wake < nr_requeue) {
            if (from == to)
                continue;
            q.node.unlink();
            q.key = to;
            __atomic_store_n(&q.in, b, __ATOMIC_RELEASE);
            b->queue.push_back(q);
        } else {
            break;
        }
        n++;
    }
    return s64{n};
}

namespace
{
/// FUTEX_OP encoding: operation 4 bits, comparison 4, operand 12, comparand 12.
struct coded_op {
    u32 op, cmp;
    s32 arg, cmparg;
    explicit coded_op(u32 v)
        : op{v >> 28 & 15}, cmp{v >> 24 & 15}, arg{static_cast<s32>(v << 8) >> 20},
          cmparg{static_cast<s32>(v << 20) >> 20}
    {
        if (op & 8) {
            arg = static_cast<s32>(1u << (arg & 31));
            op &= 7;
        }
    }
    u32 apply(u32 v) const
    {
        u32 a = static_cast<u32>(arg);
        switch (op) {
        case 0:
            return a;
        case 1:
            return v + a;
        case 2:
            return v | a;
        case 3:
            return v & ~a;
        default:
            return v ^ a;
        }
    }
    bool compare(u32 v) const
    {
        s32 s = static_cast<s32>(v);
        switch (cmp) {
        case 0:
            return s == cmparg;
        case 1:
            return s != cmparg;
        case 2:
            return s < cmparg;
        case 3:
            return s <= cmparg;
        case 4:
            return s > cmparg;
        default:
            return s >= cmparg;
        }
    }
};
} // namespace

result<s64> futex_wake_op(u64 uaddr, u64 uaddr2, bool shared, u32 nr_wake, u32 nr_wake2, u32 op)
{
    coded_op c{op};
    if (c.op > 4 || c.cmp > 5)
        return error{ENOSYS};
    futex_key k1 = TRY(futex_get_key(uaddr, shared));
    futex_key k2 = TRY(futex_get_key(uaddr2, shared));
    u32 old = 0;
    for (;;) {
        u32 found = TRY(mm_cmpxchg(current()->mm, uaddr2, old, c.apply(old)));
        if (found == old)
            break;
        old = found;
    }
    s64 n = wake_key(k1, nr_wake, ~u32{0});
    if (c.compare(old))
        n += wake_key(k2, nr_wake2, ~u32{0});
    return n;
}

namespace
{
/// The futex word of one robust-list entry, if we own it: owner died, wake one.
void owner_died(u64 uaddr)
{
    u32 value;
    if ((uaddr & 3) || !get_user(value, user_ptr<u32>{uaddr}))
        return;
    for (;;) {
        if ((value & FUTEX_TID_MASK) != static_cast<u32>(current()->pid))
            return;
        u32 dead = (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
        auto found = mm_cmpxchg(current()->mm, uaddr, value, dead);
        if (!found)
            return;
        if (*found == value)
            break;
        value = *found;
    }
    if (value & FUTEX_WAITERS)
        (void)futex_wake(uaddr, true, 1, ~u32{0}).err();
}
} // namespace

void exit_robust_list()
{
    struct {
        u64 next;
        s64 futex_offset;
        u64 pending;
    } head;
    task_struct *t = current();
    u64 head_addr = t->robust_list;
    t->robust_list = 0;
    if (!copy_from_user(&head, user_ptr<const void>{head_addr}, sizeof(head)))
        return;
    auto word = [&](u64 entry) { return (entry & ~u64{1}) + static_cast<u64>(head.futex_offset); };
    u64 entry = head.next;
    for (unsigned n = 0; (entry & ~u64{1}) != head_addr && n < ROBUST_LIST_LIMIT; n++) {
        u64 next;
        bool more = static_cast<bool>(get_user(next, user_ptr<u64>{entry & ~u64{1}}));
        if (entry != head.pending)
            owner_died(word(entry));
        if (!more)
            return;
        entry = next;
    }
    if (head.pending)
        owner_died(word(head.pending));
}
