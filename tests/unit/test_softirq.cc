// SPDX-License-Identifier: MIT
// Interrupts and softirqs: where they run, how many rounds, when ksoftirqd takes over (atlas §3; rows B-02, B-03, B-07, R-05…R-07,
//
#include "irq/irq.h"
#include "irq/softirq.h"
#include "sched/sched.h"
#include "unit.h"

static void msleep(int ms)
{
    set_current_state(TASK_UNINTERRUPTIBLE);
    schedule_timeout(ms);
}

/// What the test's vector (BLOCK, which nothing else uses) does when it runs.
static struct {
    int again;    // raise itself so many times more
    u64 cost_ns;  // time each run takes
    bool resched; // ask for the CPU in the first run
    int runs, in_thread, runs_on_exit;
    u32 cpus;
    bool irqs_were_on;
} act;

static void block_action()
{
    act.runs++;
    in_ksoftirqd() ? act.in_thread++ : act.runs_on_exit++;
    act.cpus |= 1u << smp_processor_id();
    act.irqs_were_on = !irqs_disabled();
    HOST_EXPECT(in_serving_softirq() && in_interrupt() && !in_irq());
    if (act.cost_ns)
        host_consume_ns(act.cost_ns);
    if (act.resched) {
        this_cpu()->need_resched = 1;
        act.resched = false;
    }
    if (act.again) {
        act.again--;
        irq_guard g;
        raise_softirq_irqoff(BLOCK_SOFTIRQ);
    }
}

/// The "device": an interrupt that raises the softirq.
static unsigned irq;
static int irqs_taken;
static u32 pending_seen;
static void device_irq(unsigned, void *)
{
    irqs_taken++;
    HOST_EXPECT(in_irq() && irqs_disabled());
    raise_softirq_irqoff(BLOCK_SOFTIRQ);
    pending_seen = this_cpu()->softirq_pending;
}

static void setup(void *)
{
    static const irq_chip chip{"test", nullptr, nullptr};
    open_softirq(BLOCK_SOFTIRQ, block_action, "block_action");
    HOST_EXPECT(softirq_vec[BLOCK_SOFTIRQ].action == block_action);
    auto r = irq_alloc_msi(&chip, nullptr, 1);
    HOST_EXPECT(bool(r));
    irq = *r;
    HOST_EXPECT(bool(request_irq(irq, device_irq, "dev-0", &irq)));
    HOST_EXPECT(request_irq(irq, device_irq, "dev-0", &irq).err() == EBUSY);
}

static void interrupt(unsigned cpu)
{
    act.runs = act.in_thread = act.runs_on_exit = 0;
    act.cpus = 0;
    host_raise_irq(irq, cpu);
    msleep(20);
}

static void runs_on_irq_exit_on_the_same_cpu(void *)
{
    for (unsigned cpu = 0; cpu < num_online_cpus(); cpu++) {
        u64 before = softirq_count(cpu, BLOCK_SOFTIRQ);
        act = {};
        interrupt(cpu);
        HOST_EXPECT(act.runs == 1 && act.runs_on_exit == 1 && act.cpus == 1u << cpu);
        HOST_EXPECT(act.irqs_were_on);                    // IRQs are on while a vector runs
        HOST_EXPECT(pending_seen == 1u << BLOCK_SOFTIRQ); // a bit in memory
        HOST_EXPECT(softirq_count(cpu, BLOCK_SOFTIRQ) == before + 1);
    }
}

static void ten_rounds_then_ksoftirqd(void *)
{
    act = {};
    u64 runs = ksoftirqd_runs(1);
    act.again = 14;
    interrupt(1);
    HOST_EXPECT(act.runs == 15);
    HOST_EXPECT(act.runs_on_exit == 10);
    HOST_EXPECT(act.in_thread == 5 && act.cpus == 2);
    HOST_EXPECT(ksoftirqd_runs(1) == runs + 1);
}

static void two_milliseconds_then_ksoftirqd(void *)
{
    act = {};
    act.again = 7;
    act.cost_ns = 900'000;
    interrupt(1);
    HOST_EXPECT(act.runs == 8);
    HOST_EXPECT(act.runs_on_exit == 3); // 0.9, 1.8, 2.7 ms
    HOST_EXPECT(act.in_thread == 5);
}

static void need_resched_then_ksoftirqd(void *)
{
    act = {};
    act.again = 3;
    act.resched = true;
    interrupt(1);
    HOST_EXPECT(act.runs == 4 && act.runs_on_exit == 1 && act.in_thread == 3);
}

static void bh_disable_defers_to_bh_enable(void *)
{
    act = {};
    local_bh_disable();
    raise_softirq(BLOCK_SOFTIRQ); // in_interrupt(): nobody is woken, local_bh_enable() will look
    local_bh_disable();
    local_bh_enable();
    HOST_EXPECT(act.runs == 0);
    local_bh_enable();
    HOST_EXPECT(act.runs == 1 && act.runs_on_exit == 1);
}

static void raise_in_process_wakes_ksoftirqd(void *)
{
    act = {};
    raise_softirq(BLOCK_SOFTIRQ);
    msleep(5);
    HOST_EXPECT(act.runs == 1 && act.in_thread == 1);
}

/// During a long softirq another hard IRQ is still taken (row R-07).
static void irq_during_softirq(void *)
{
    act = {};
    act.cost_ns = 1'500'000;
    irqs_taken = 0;
    host_raise_irq(irq, 1);
    static hrtimer second{[](hrtimer *) -> u64 {
        HOST_EXPECT(in_irq());
        if (preempt_count() & SOFTIRQ_OFFSET)
            irqs_taken += 100; // interrupted the vector
        return 0;
    }};
    (void)sched_setaffinity(current(), 2);
    hrtimer_start(&second, ktime_get() + 300'000);
    host_raise_irq(irq, 1);
    msleep(10);
    HOST_EXPECT(irqs_taken > 100);
    (void)sched_setaffinity(current(), ~u64{0});
}

static void affinity_and_counts(void *)
{
    irq_info i;
    HOST_EXPECT(irq_get_info(irq, &i) && !strcmp(i.name, "dev-0") && i.affinity == 2);
    u64 on0 = i.count[0];
    HOST_EXPECT(bool(irq_set_affinity(irq, 1)));
    HOST_EXPECT(irq_get_affinity(irq) == 1);
    HOST_EXPECT(irq_set_affinity(irq, u64{1} << 50).err() == EINVAL);
    act = {};
    interrupt(0);
    irq_get_info(irq, &i);
    HOST_EXPECT(i.count[0] == on0 + 1);
    free_irq(irq, &irq);
    irq_free_msi(irq);
    HOST_EXPECT(!irq_get_info(irq, &i));
}

static void one_ksoftirqd_per_cpu(void *)
{
    struct found {
        unsigned n = 0;
        u32 cpus = 0;
        bool asleep = true, bound = true;
    } f;
    for_each_task(
        [](task_struct *t, void *p) {
            auto *f = static_cast<found *>(p);
            if (strncmp(t->comm, "ksoftirqd/", 10))
                return;
            f->n++;
            f->cpus |= 1u << t->cpu;
            f->asleep &= t->state == TASK_INTERRUPTIBLE;
            f->bound &= t->cpus_allowed == u64{1} << t->cpu && t->comm[10] == char('0' + t->cpu);
        },
        &f);
    HOST_EXPECT(f.n == num_online_cpus() && f.cpus == (1u << f.n) - 1 && f.asleep && f.bound);
}

extern "C" int main()
{
    unit_main(
        "softirq",
        {KERNEL_UNIT(one_ksoftirqd_per_cpu), KERNEL_UNIT(setup),
         KERNEL_UNIT(runs_on_irq_exit_on_the_same_cpu), KERNEL_UNIT(ten_rounds_then_ksoftirqd),
         KERNEL_UNIT(two_milliseconds_then_ksoftirqd), KERNEL_UNIT(need_resched_then_ksoftirqd),
         KERNEL_UNIT(bh_disable_defers_to_bh_enable), KERNEL_UNIT(raise_in_process_wakes_ksoftirqd),
         KERNEL_UNIT(irq_during_softirq), KERNEL_UNIT(affinity_and_counts)},
        4);
}
