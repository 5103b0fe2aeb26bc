// SPDX-License-Identifier: MIT
// The timer wheel: jiffies resolution, one wheel per CPU, handlers in TIMER softirq. Linux: kernel/timer.c.
// Six levels of 64 slots; level l has slots of 64^l jiffies. A timer sits on the lowest level that reaches it and moves
// down when its slot begins, so it fires exactly at its jiffy. A bitmap per level finds the next slot without ticks.
// base.lock (IRQ-safe) protects one CPU's wheel and the timers on it; handlers run without it.
#include "time/timer.h"
#include "irq/softirq.h"
#include "lib/initcall.h"
#include "time/timer_base.h"
#include "trace/trace.h"

static constexpr unsigned LEVEL_BITS = 6, SLOTS = 1 << LEVEL_BITS, LEVELS = 6;
static constexpr u64 MAX_DELTA = (u64{1} << (LEVEL_BITS * LEVELS)) - 1;
static constexpr u64 NEVER = ~u64{0};

using slot_list = list<timer_list, &timer_list::entry>;

struct timer_base {
    spinlock lock{"timer_base"};
    u64 clk =
        0; // first jiffy whose slots (of every level that has one beginning there) have not been run
    u64 next = NEVER; // no slot begins before this jiffy (may be earlier than the first that does)
    bool raised = false; // TIMER softirq is on its way: do not interrupt again for it
    timer_list *running = nullptr;
    u64 used[LEVELS] = {}; // bit n: slot n is not empty, or was not when it was last looked at
    slot_list slots[LEVELS][SLOTS];
};
static percpu<timer_base> bases;

static unsigned slot_index(u64 jiffy, unsigned level)
{
    return (jiffy >> (level * LEVEL_BITS)) % SLOTS;
}

/// Link t where its expiry belongs as seen from base.clk. Returns the jiffy at which its slot begins. base.lock held.
static u64 wheel_insert(timer_base &b, timer_list *t)
{
    u64 when = time_after(b.clk, t->expires) ? b.clk : t->expires;
    u64 delta = when - b.clk;
    if (delta > MAX_DELTA) {
        delta = MAX_DELTA;
        when = b.clk + delta;
    }
    unsigned level = 0;
    while (delta >> ((level + 1) * LEVEL_BITS))
        level++;
    unsigned slot = slot_index(when, level);
    b.slots[level][slot].push_back(*t);
    b.used[level] |= u64{1} << slot;
    return when >> (level * LEVEL_BITS) << (level * LEVEL_BITS);
}

/// Distance in slots from `from` (0…63) to the first used slot at or after it, going round; bits != 0.
static unsigned slots_ahead(u64 bits, unsigned from)
{
    u64 turned = from ? bits >> from | bits << (SLOTS - from) : bits;
    return static_cast<unsigned>(__builtin_ctzll(turned));
}

/// The first jiffy >= clk at which a slot begins that may hold timers; NEVER when the wheel is empty. base.lock held.
static u64 next_slot(timer_base &b)
{
    u64 best = NEVER;
    for (unsigned level = 0; level < LEVELS; level++) {
        if (!b.used[level])
            continue;
        unsigned shift = level * LEVEL_BITS;
        // The first slot that begins at or after clk; one that began before clk holds what is a full turn ahead.
        u64 first = (b.clk + (u64{1} << shift) - 1) >> shift;
        u64 begin = (first + slots_ahead(b.used[level], first % SLOTS)) << shift;
        best = min(best, begin);
    }
    return best;
}

/// Program the CPU's timer for this wheel if it must come earlier. base.lock held, own CPU.
static void wheel_program(timer_base &b, u64 jiffy)
{
    if (jiffy < b.next)
        b.next = jiffy;
    if (!b.raised && b.next != NEVER)
        clock_event_at_most(b.next * (NSEC_PER_SEC / HZ));
}

/// Bring clk up to now when nothing lies in between: new timers are then placed by their true distance.
static void wheel_forward(timer_base &b, u64 now)
{
    if (b.raised || b.running || b.next <= now || now <= b.clk)
        return;
    b.clk = now;
}

bool mod_timer(timer_list *t, u64 expires) NO_THREAD_SAFETY_ANALYSIS
{
    // Re-arming for the same jiffy is common (delayed ACK, neighbours) and needs no work.
    if (t->pending() && read_once(t->expires) == expires)
        return true;
    irq_guard g;
    bool was_pending = false;
    timer_base *b = move_timer_base(bases, t, [&](timer_base &, timer_list *timer) {
        if ((was_pending = timer->pending()))
            timer->entry.unlink();
    });
    t->expires = expires;
    wheel_forward(*b, jiffies());
    u64 begin = wheel_insert(*b, t);
    if (b == &*bases)
        wheel_program(*b, begin);
    else
        b->next = min(b->next, begin); // its owner runs handlers now and will program when done
    b->lock.unlock();
    return was_pending;
}

bool del_timer(timer_list *t) NO_THREAD_SAFETY_ANALYSIS
{
    if (!t->pending())
        return false;
    irq_guard g;
    timer_base *b = lock_timer_base(bases, t);
    if (!b)
        return false;
    bool pending = t->pending();
    if (pending)
        t->entry.unlink();
    b->lock.unlock();
    return pending;
}

bool del_timer_sync(timer_list *t) NO_THREAD_SAFETY_ANALYSIS
{
    bool was_pending = false;
    for (;;) {
        irq_flags flags = local_irq_save();
        timer_base *b = lock_timer_base(bases, t);
        bool running = false;
        if (b) {
            if (t->pending()) {
                t->entry.unlink();
                was_pending = true;
            }
            running = b->running == t;
            b->lock.unlock();
        }
        local_irq_restore(flags);
        if (!running)
            return was_pending;
        cpu_relax();
    }
}

/// Slots of higher levels that begin at clk: their timers move down. base.lock held.
static void cascade(timer_base &b)
{
    for (unsigned level = 1; level < LEVELS; level++) {
        if (b.clk & ((u64{1} << (level * LEVEL_BITS)) - 1))
            return;
        unsigned slot = slot_index(b.clk, level);
        if (!(b.used[level] >> slot & 1))
            continue;
        b.used[level] &= ~(u64{1} << slot);
        slot_list moving;
        moving.splice_back(b.slots[level][slot]);
        while (timer_list *t = moving.pop_front())
            wheel_insert(b, t);
    }
}

/// Run what expires at clk. Drops and retakes base.lock around handlers. IRQs off on entry and exit.
static void expire_slot(timer_base &b) NO_THREAD_SAFETY_ANALYSIS
{
    unsigned slot = slot_index(b.clk, 0);
    if (!(b.used[0] >> slot & 1))
        return;
    slot_list due;
    due.splice_back(b.slots[0][slot]);
    b.used[0] &= ~(u64{1} << slot);
    b.clk++; // a handler that re-arms for now gets the next jiffy
    while (timer_list *t = due.pop_front()) {
        void (*f)(timer_list *) = t->function;
        b.running = t;
        b.lock.unlock();
        local_irq_enable();
        trace(trace_event::timer_expire, reinterpret_cast<void *>(f));
        f(t);
        local_irq_disable();
        b.lock.lock();
        b.running = nullptr;
    }
}

/// TIMER softirq.
static void run_timer_softirq() NO_THREAD_SAFETY_ANALYSIS
{
    local_irq_disable();
    timer_base &b = *bases;
    b.lock.lock();
    u64 now = jiffies();
    for (;;) {
        u64 at = next_slot(b);
        if (at == NEVER || at > now) {
            b.next = at;
            break;
        }
        b.clk = at;
        cascade(b);
        expire_slot(b);
        b.clk = at + 1;
    }
    if (b.clk <= now)
        b.clk = now + 1 < b.next ? now + 1 : b.next;
    b.raised = false;
    wheel_program(b, b.next);
    b.lock.unlock();
    local_irq_enable();
}

/// When the wheel wants an interrupt (ns), NEVER if not. Own CPU, IRQs off.
u64 wheel_next_event()
{
    timer_base &b = *bases;
    return b.raised || b.next == NEVER ? NEVER : b.next * (NSEC_PER_SEC / HZ);
}

/// From the timer interrupt: raise TIMER when a slot has begun. IRQs off.
void wheel_check(u64 now_ns)
{
    timer_base &b = *bases;
    if (b.raised || b.next == NEVER || b.next * (NSEC_PER_SEC / HZ) > now_ns)
        return;
    b.raised = true;
    __raise_softirq_irqoff(TIMER_SOFTIRQ);
}

void timers_init()
{
    open_softirq(TIMER_SOFTIRQ, run_timer_softirq, "run_timer_softirq");
}
