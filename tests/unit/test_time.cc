// SPDX-License-Identifier: MIT
// Timers: the wheel fires each timer at its jiffy on every level, hrtimers in order of expiry, sleeps and their time-outs.
#include "sched/sched.h"
#include "unit.h"

struct probe {
    timer_list timer{fire};
    u64 fired_at = 0; // jiffy
    u32 cpu = ~0u;
    int count = 0;
    static void fire(timer_list *t)
    {
        auto *p = container_of(t, probe, timer);
        HOST_EXPECT(in_serving_softirq());
        p->fired_at = jiffies();
        p->cpu = smp_processor_id();
        p->count++;
    }
};

static void msleep(u64 ms)
{
    set_current_state(TASK_UNINTERRUPTIBLE);
    schedule_timeout(static_cast<s64>(ms));
}

static void wheel_fires_at_its_jiffy(void *)
{
    static const u64 deltas[] = {0,    1,    2,    63,   64,     65,     127,    128,    1000,
                                 4095, 4096, 4097, 5000, 262143, 262144, 262145, 3600000};
    constexpr unsigned N = sizeof(deltas) / sizeof(deltas[0]);
    static probe p[N];
    u64 now = jiffies(), last = 0;
    for (unsigned i = 0; i < N; i++) {
        mod_timer(&p[i].timer, now + deltas[i]);
        last = deltas[i];
    }
    msleep(last + 10);
    for (unsigned i = 0; i < N; i++) {
        HOST_EXPECT(p[i].count == 1);
        u64 late = p[i].fired_at - (now + deltas[i]);
        HOST_EXPECT(late <= 1); // an expiry that is already past fires at the next jiffy
    }
}

static void wheel_random(void *)
{
    static probe p[200];
    u64 want[200];
    for (int round = 0; round < 20; round++) {
        u64 now = jiffies();
        for (int i = 0; i < 200; i++) {
            want[i] = now + 1 + host_random() % (u64{1} << (host_random() % 14));
            mod_timer(&p[i].timer, want[i]);
            if (host_random() % 4 == 0) { // moved once more
                want[i] = now + 1 + host_random() % 3000;
                HOST_EXPECT(mod_timer(&p[i].timer, want[i]));
            }
            p[i].count = 0;
        }
        for (int i = 0; i < 200; i += 10)
            HOST_EXPECT(del_timer(&p[i].timer));
        msleep(20000);
        for (int i = 0; i < 200; i++) {
            HOST_EXPECT(p[i].count == (i % 10 ? 1 : 0));
            HOST_EXPECT(i % 10 == 0 || p[i].fired_at == want[i]);
        }
    }
}

struct periodic {
    timer_list timer{fire};
    int left = 100;
    static void fire(timer_list *t)
    {
        auto *p = container_of(t, periodic, timer);
        if (--p->left)
            mod_timer(t, jiffies() + 3);
    }
};

static void handler_rearms_itself(void *)
{
    static periodic p;
    mod_timer(&p.timer, jiffies() + 3);
    msleep(310);
    HOST_EXPECT(p.left == 0);
}

struct slow {
    timer_list timer{fire};
    std::atomic<int> state{0};
    static void fire(timer_list *t)
    {
        auto *s = container_of(t, slow, timer);
        s->state = 1;
        for (int i = 0; i < 200; i++)
            cpu_relax();
        s->state = 2;
    }
};

/// del_timer_sync() on another CPU returns only after the handler.
static void del_timer_sync_waits(void *)
{
    static slow s;
    (void)sched_setaffinity(current(), 2);
    mod_timer(&s.timer, jiffies() + 1);
    (void)sched_setaffinity(current(), 1);
    while (!s.state)
        cpu_relax();
    HOST_EXPECT(!del_timer_sync(&s.timer));
    HOST_EXPECT(s.state == 2);
    (void)sched_setaffinity(current(), ~u64{0});
}

struct hr_probe {
    hrtimer timer{fire};
    u64 fired_at = 0;
    int repeat = 0, count = 0;
    static u64 fire(hrtimer *t)
    {
        auto *p = container_of(t, hr_probe, timer);
        HOST_EXPECT(in_irq());
        p->fired_at = ktime_get();
        p->count++;
        return p->repeat-- > 0 ? t->expires + 10'000 : 0;
    }
};

static void hrtimers_in_order(void *)
{
    static hr_probe p[100];
    u64 now = ktime_get(), want[100];
    for (int i = 0; i < 100; i++) {
        want[i] = now + 100'000 + host_random() % 5'000'000;
        hrtimer_start(&p[i].timer, want[i]);
    }
    HOST_EXPECT(hrtimer_cancel(&p[7].timer) && !hrtimer_cancel(&p[7].timer));
    p[8].repeat = 5;
    msleep(20);
    for (int i = 0; i < 100; i++) {
        HOST_EXPECT(p[i].count == (i == 7 ? 0 : i == 8 ? 6 : 1));
        if (i != 7 && i != 8)
            HOST_EXPECT(p[i].fired_at >= want[i] && p[i].fired_at < want[i] + 50'000);
    }
}

static void sleeps_last(void *)
{
    u64 t = ktime_get();
    set_current_state(TASK_INTERRUPTIBLE);
    HOST_EXPECT(schedule_hrtimeout(t + 123'456) == 0);
    u64 slept = ktime_get() - t;
    HOST_EXPECT(slept >= 123'456 && slept < 160'000);
    t = jiffies();
    set_current_state(TASK_INTERRUPTIBLE);
    HOST_EXPECT(schedule_timeout(50) == 0);
    HOST_EXPECT(jiffies() - t >= 50 && jiffies() - t <= 51);
}

static void early_wake_reports_the_rest(void *)
{
    static task_struct *me;
    me = current();
    host_spawn(
        [](void *) {
            msleep(20);
            wake_up_process(me);
        },
        nullptr, -1);
    set_current_state(TASK_INTERRUPTIBLE);
    s64 left = schedule_timeout(100);
    HOST_EXPECT(left >= 75 && left <= 80);
}

extern "C" int main()
{
    unit_main("time",
              {KERNEL_UNIT(wheel_fires_at_its_jiffy), KERNEL_UNIT(wheel_random),
               KERNEL_UNIT(handler_rearms_itself), KERNEL_UNIT(del_timer_sync_waits),
               KERNEL_UNIT(hrtimers_in_order), KERNEL_UNIT(sleeps_last),
               KERNEL_UNIT(early_wake_reports_the_rest)},
              2);
}
