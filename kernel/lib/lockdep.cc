// SPDX-License-Identifier: MIT
// The lock checker of debug kernels: order graph, recursion, interrupt safety, and sleeping in the wrong place. Linux:
// kernel/lockdep.c. Any context. All tables are under one raw flag, taken with IRQs off; the first report ends the checking.
#include "lib/lockdep.h"

#if SOFTNET_DEBUG

#include "lib/percpu.h"
#include "lib/preempt.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "sched/sched.h"
#include <atomic>

static constexpr unsigned MAX_CLASSES = 256, MAX_HELD = 24, WORDS = MAX_CLASSES / 64;
static constexpr unsigned MAX_SUBCLASS = 7;

enum usage : u8 {
    USED_IN_HARDIRQ = 1,
    USED_IN_SOFTIRQ = 2,
    TAKEN_IRQS_ON = 4, // a hard IRQ may interrupt the holder
    TAKEN_BH_ON = 8,   // a softirq may
};

struct class_info {
    const char *name;
    u8 subclass;
    u16 nested[MAX_SUBCLASS]; // ids of subclasses 1…
    u8 usage;
    void *where[4];   // who first used it so, per usage bit
    u64 after[WORDS]; // classes that were taken while this one was held
};
static class_info classes[MAX_CLASSES];
static unsigned nr_classes = 1; // 0: not yet known
static std::atomic<u32> graph_lock{0};
static std::atomic<bool> disabled{false};

struct held_stack {
    held_lock lock[MAX_HELD];
};
static percpu<held_stack> held_spin; // depth: cpu_block.lock_depth

struct graph_guard {
    irq_flags flags;
    graph_guard() : flags{local_irq_save()}
    {
        while (graph_lock.exchange(1, std::memory_order_acquire))
            cpu_relax();
    }
    ~graph_guard()
    {
        graph_lock.store(0, std::memory_order_release);
        local_irq_restore(flags);
    }
};

/// The report. Checking ends first: the printing takes locks as well.
template <class... A>
[[noreturn]] static void report(const char *fmt, A... a)
{
    disabled.store(true);
    panic(fmt, a...);
}

/// Find or enter a class; 0: the table is full. graph_lock held.
static u16 find_class(const char *name, u8 subclass)
{
    for (unsigned i = 1; i < nr_classes; i++)
        if (classes[i].subclass == subclass && !strcmp(classes[i].name, name))
            return static_cast<u16>(i);
    if (nr_classes == MAX_CLASSES)
        return 0;
    classes[nr_classes].name = name;
    classes[nr_classes].subclass = subclass;
    return static_cast<u16>(nr_classes++);
}

static u16 class_id(lock_class &c)
{
    if (c.id) [[likely]]
        return c.id;
    graph_guard g;
    return c.id = find_class(c.name, 0);
}

/// The class of a lock that its caller may take while it holds another of the same name: an order of its own.
static u16 nested_id(lock_class &c, unsigned subclass)
{
    u16 base = class_id(c);
    if (!subclass || !base)
        return base;
    if (subclass > MAX_SUBCLASS)
        report("lockdep: %s has no subclass %u", c.name, subclass);
    u16 &id = classes[base].nested[subclass - 1];
    if (id) [[likely]]
        return id;
    graph_guard g;
    return id = find_class(c.name, static_cast<u8>(subclass));
}

/// Is `to` reachable from `from` along "taken while held"? Iterative; graph_lock held.
static bool reaches(u16 from, u16 to)
{
    u64 seen[WORDS] = {}, todo[WORDS] = {};
    todo[from / 64] |= u64{1} << (from % 64);
    for (bool again = true; again;) {
        again = false;
        for (unsigned w = 0; w < WORDS; w++) {
            while (u64 bits = todo[w] & ~seen[w]) {
                unsigned i = w * 64 + static_cast<unsigned>(__builtin_ctzll(bits));
                seen[w] |= u64{1} << (i % 64);
                for (unsigned k = 0; k < WORDS; k++)
                    todo[k] |= classes[i].after[k];
                again = true;
            }
        }
    }
    return todo[to / 64] >> (to % 64) & 1;
}

/// A lock that interrupts take must not be held around one under which they may come: the interrupt would spin for the
/// first while its CPU, holding it, waits for the second. Returns the offending pair.
static bool unsafe_dependency(u8 irq_bit, u8 on_bit, u16 *safe, u16 *unsafe)
{
    for (unsigned i = 1; i < nr_classes; i++)
        for (unsigned k = 1; (classes[i].usage & irq_bit) && k < nr_classes; k++)
            if (i != k && (classes[k].usage & on_bit) && reaches(i, k)) {
                *safe = static_cast<u16>(i);
                *unsafe = static_cast<u16>(k);
                return true;
            }
    return false;
}

static void check_dependencies()
{
    u16 a = 0, b = 0;
    bool hard, bad;
    {
        graph_guard g;
        hard = unsafe_dependency(USED_IN_HARDIRQ, TAKEN_IRQS_ON, &a, &b);
        bad = hard || unsafe_dependency(USED_IN_SOFTIRQ, TAKEN_BH_ON, &a, &b);
    }
    if (bad)
        report("lockdep: %s is taken in %s, and held while taking %s, which is taken with them on",
               classes[a].name, hard ? "hard IRQs" : "softirqs", classes[b].name);
}

static u8 usage_now()
{
    if (in_irq())
        return USED_IN_HARDIRQ;
    u8 u = irqs_disabled() ? 0 : TAKEN_IRQS_ON;
    if (in_serving_softirq())
        return u | USED_IN_SOFTIRQ;
    if (!irqs_disabled() && !in_softirq())
        u |= TAKEN_BH_ON;
    return u;
}

static void note_usage(u16 id, void *ip)
{
    class_info &c = classes[id];
    u8 fresh = usage_now() & ~c.usage;
    if (!fresh) [[likely]]
        return;
    {
        graph_guard g;
        c.usage |= fresh;
        for (unsigned b = 0; b < 4; b++)
            if (fresh >> b & 1)
                c.where[b] = ip;
    }
    if ((c.usage & USED_IN_HARDIRQ) && (c.usage & TAKEN_IRQS_ON))
        report("lockdep: %s is taken in a hard IRQ (%pS) and with IRQs on (%pS)", c.name,
               c.where[0], c.where[2]);
    if ((c.usage & USED_IN_SOFTIRQ) && (c.usage & TAKEN_BH_ON))
        report("lockdep: %s is taken in a softirq (%pS) and with softirqs on (%pS)", c.name,
               c.where[1], c.where[3]);
    check_dependencies();
}

static void add_order(const held_lock &outer, u16 id, void *ip)
{
    u64 bit = u64{1} << (id % 64);
    if (classes[outer.id].after[id / 64] & bit) [[likely]]
        return;
    bool inverted;
    {
        graph_guard g;
        inverted = reaches(id, outer.id);
        classes[outer.id].after[id / 64] |= bit;
    }
    if (inverted)
        report("lockdep: order inversion: %s (%pS) is held while taking %s (%pS), seen the other "
               "way round before",
               classes[outer.id].name, outer.ip, classes[id].name, ip);
    check_dependencies();
}

/// All locks that this context holds: the task's sleeping ones (not inside interrupts), then this CPU's spinlocks.
template <class F>
static void for_each_held(F f)
{
    task_struct *t = current();
    if (t && !in_irq() && !in_serving_softirq())
        for (u32 i = 0; i < t->lockdep.depth; i++)
            f(t->lockdep.held[i]);
    held_stack &s = *held_spin;
    for (u32 i = 0; i < this_cpu()->lock_depth && i < MAX_HELD; i++)
        f(s.lock[i]);
}

static bool checking()
{
    return !disabled.load(std::memory_order_relaxed);
}

static void push_spin(u16 id, const void *lock, void *ip)
{
    u32 &depth = this_cpu()->lock_depth;
    if (depth < MAX_HELD)
        held_spin->lock[depth] = {id, lock, ip};
    depth++;
}

/// Order and recursion against everything held.
static void check_order(u16 id, const void *lock, void *ip)
{
    for_each_held([&](const held_lock &h) {
        if (h.lock == lock)
            report("lockdep: %s taken at %pS is held already, since %pS", classes[id].name, ip,
                   h.ip);
        if (h.id == id)
            report("lockdep: two locks of class %s nest: %pS inside %pS", classes[id].name, ip,
                   h.ip);
        add_order(h, id, ip);
    });
}

void lockdep_acquire(lock_class &c, const void *lock, void *ip, unsigned subclass)
{
    if (!checking())
        return;
    u16 id = nested_id(c, subclass);
    note_usage(id, ip);
    check_order(id, lock, ip);
    push_spin(id, lock, ip);
}

void lockdep_acquire_try(lock_class &c, const void *lock, void *ip)
{
    if (checking())
        push_spin(class_id(c), lock, ip);
}

/// Locks may be released in any order. A lock taken before checking began, or after it ended, is not on the stack.
void lockdep_release(lock_class &c, const void *lock)
{
    if (!checking())
        return;
    u32 &depth = this_cpu()->lock_depth;
    held_stack &s = *held_spin;
    for (u32 i = min(depth, MAX_HELD); i-- > 0;) {
        if (s.lock[i].lock != lock)
            continue;
        for (u32 k = i; k + 1 < min(depth, MAX_HELD); k++)
            s.lock[k] = s.lock[k + 1];
        depth--;
        return;
    }
    report("lockdep: %s released but not held on this CPU", c.name);
}

static void push_sleeping(u16 id, const void *lock, void *ip)
{
    lockdep_task &l = current()->lockdep;
    if (l.depth == sizeof(l.held) / sizeof(l.held[0]))
        report("lockdep: %s holds too many mutexes", current()->comm);
    l.held[l.depth++] = {id, lock, ip};
}

void lockdep_acquire_sleeping(lock_class &c, const void *lock, void *ip, unsigned subclass)
{
    if (!checking() || !current())
        return;
    u16 id = nested_id(c, subclass);
    check_order(id, lock, ip);
    push_sleeping(id, lock, ip);
}

void lockdep_acquire_sleeping_try(lock_class &c, const void *lock, void *ip)
{
    if (checking() && current())
        push_sleeping(class_id(c), lock, ip);
}

void lockdep_release_sleeping(lock_class &c, const void *lock)
{
    if (!checking() || !current())
        return;
    lockdep_task &l = current()->lockdep;
    for (u32 i = l.depth; i-- > 0;) {
        if (l.held[i].lock != lock)
            continue;
        for (u32 k = i; k + 1 < l.depth; k++)
            l.held[k] = l.held[k + 1];
        l.depth--;
        return;
    }
    report("lockdep: %s released by %s, which does not hold it", c.name, current()->comm);
}

void might_sleep()
{
    if (!checking() || !current())
        return;
    cpu_block *cpu = this_cpu();
    if (in_atomic())
        report("sleeping function called with preempt_count %#x by %pS", preempt_count(),
               __builtin_return_address(0));
    if (cpu->lock_depth)
        report("sleeping function called while holding %s (taken at %pS)",
               classes[held_spin->lock[0].id].name, held_spin->lock[0].ip);
    if (irqs_disabled() && (sched_active_mask() >> cpu->id & 1)) // off all the time while booting
        report("sleeping function called with IRQs off by %pS", __builtin_return_address(0));
}

#endif
