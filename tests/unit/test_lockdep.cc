// SPDX-License-Identifier: MIT
// The lock checker finds an inversion that never deadlocked. Its report is a panic: one defect per program run, by argument.
#include "mm/slab.h"
#include "sched/mutex.h"
#include "unit.h"

static spinlock a{"test.a"}, b{"test.b"}, irq_lock{"test.irq"};

static void take(spinlock &outer, spinlock &inner) NO_THREAD_SAFETY_ANALYSIS
{
    spin_guard<irqsave> g{outer};
    spin_guard<plain> h{inner};
}

static void consistent_order(void *)
{
    for (int i = 0; i < 10; i++)
        take(a, b);
    mutex m{"test.mutex"};
    mutex_guard g{m};
    take(a, b); // spinlocks inside a mutex
}

/// Two of one class nest when the inner one says so.
static void nested(void *) NO_THREAD_SAFETY_ANALYSIS
{
    spinlock parent{"test.family"}, child{"test.family"};
    mutex outer{"test.tree"}, inner{"test.tree"};
    mutex_guard g{outer};
    inner.lock_nested(1);
    spin_guard<irqsave> h{parent};
    child.lock_nested(1);
    child.unlock();
    inner.unlock();
}

static void nested_inversion(void *) NO_THREAD_SAFETY_ANALYSIS
{
    spinlock parent{"test.family"}, child{"test.family"};
    nested(nullptr);
    child.lock_nested(1);
    parent.lock();
}

static u64 lock_in_irq(hrtimer *)
{
    spin_guard<plain> g{irq_lock};
    return 0;
}

static void inversion(void *)
{
    take(b, a);
}

static void irq_unsafe(void *)
{
    static hrtimer t{lock_in_irq};
    hrtimer_start(&t, ktime_get() + 1000);
    host_consume_ns(100'000);
    spin_guard<plain> g{irq_lock}; // with IRQs on: the timer could deadlock on it
}

static void sleep_in_atomic(void *)
{
    spin_guard<bh> g{a};
    might_sleep();
}

static void recursion(void *) NO_THREAD_SAFETY_ANALYSIS
{
    take(a, a);
}

static const struct {
    const char *name;
    void (*run)(void *);
    const char *report;
} defects[] = {
    {"inversion", inversion, "order inversion"},
    {"nested_inversion", nested_inversion, "order inversion"},
    {"irq_unsafe", irq_unsafe, "taken in a hard IRQ"},
    {"sleep_in_atomic", sleep_in_atomic, "sleeping function"},
    {"recursion", recursion, "held already"},
};
static unsigned chosen;

static void test_good_code_passes(void **)
{
    assert_true(host_run(consistent_order, nullptr));
    assert_true(host_run(nested, nullptr));
    assert_int_equal(host_failures(), 0);
}

static void test_defect_is_reported(void **)
{
    host_expect_panic();
    assert_false(host_run(defects[chosen].run, nullptr));
    assert_true(host_panicked());
    assert_non_null(strstr(host_console(), defects[chosen].report));
}

extern "C" int main(int argc, char **argv)
{
    for (unsigned i = 0; argc > 1 && i < sizeof(defects) / sizeof(defects[0]); i++)
        if (!strcmp(argv[1], defects[i].name))
            chosen = i;
    unit_main(defects[chosen].name, {UNIT(test_good_code_passes), UNIT(test_defect_is_reported)},
              2);
}
