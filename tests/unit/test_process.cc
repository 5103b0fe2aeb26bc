// SPDX-License-Identifier: MIT
// Credentials, the real-time class and timers on the wall clock: groups are sorted and found, users are one object each,
// SCHED_FIFO tasks run by priority before others, and setting the clock moves what follows it.
#include "sched/process.h"
#include "unit.h"

static void groups_are_sorted(void *)
{
    static const u32 ids[] = {9, 3, 7, 1, 3, 1000000};
    group_info *g = groups_alloc(ids, 6);
    HOST_EXPECT(g && groups_count(g) == 6);
    for (unsigned i = 1; i < 6; i++)
        HOST_EXPECT(groups_at(g, i - 1) <= groups_at(g, i));
    task_cred &c = current()->cred;
    c.groups = g;
    c.fsgid = 55;
    HOST_EXPECT(in_group_p(1) && in_group_p(9) && in_group_p(1000000) && in_group_p(55));
    HOST_EXPECT(!in_group_p(2) && !in_group_p(0) && !in_group_p(1000001));
    c.groups = nullptr;
    groups_put(g);
    HOST_EXPECT(groups_count(nullptr) == 0);
}

static void users_are_shared(void *)
{
    user_struct *a = user_alloc(1000), *b = user_alloc(1000), *c = user_alloc(1032);
    HOST_EXPECT(a == b && a != c); // 1000 and 1032 share a bucket
    user_processes(a).fetch_add(2);
    HOST_EXPECT(user_processes(b).load() == 2 && user_processes(c).load() == 0);
    user_put(a);
    user_processes(b).fetch_sub(2);
    user_put(b);
    user_put(c);
}

static void ids_and_capabilities(void *)
{
    task_struct *t = current();
    t->cred = {};
    t->cred.user = user_alloc(0);
    HOST_EXPECT(capable(CAP_SYS_TIME));
    t->uid = t->euid = t->suid = 1000;
    creds_changed({0, 0, 0}, user_alloc(1000));
    HOST_EXPECT(!capable(CAP_SYS_TIME) && t->cred.cap_permitted == 0 && t->cred.fsuid == 1000);
    t->cred.cap_permitted = CAP_FULL_SET; // as with PR_SET_KEEPCAPS
    t->euid = 0;
    creds_changed({1000, 1000, 1000}, nullptr);
    HOST_EXPECT(capable(CAP_SYS_TIME) && t->cred.fsuid == 0);
    t->euid = 1000;
    creds_changed({1000, 0, 1000}, nullptr);
    HOST_EXPECT(!capable(CAP_SYS_TIME));
    t->uid = t->euid = t->suid = 0;
    user_put(t->cred.user);
    t->cred = {};
}

static char order[8];
static unsigned nr_ran;

static void note(void *arg)
{
    order[nr_ran++] = *static_cast<const char *>(arg);
}

static void fifo_before_others(void *)
{
    nr_ran = 0;
    struct {
        char name;
        u8 policy, prio;
    } static const who[] = {{'o', SCHED_OTHER, 0}, {'a', SCHED_FIFO, 10}, {'c', SCHED_FIFO, 30},
                            {'b', SCHED_RR, 20},   {'A', SCHED_FIFO, 10}, {'p', SCHED_OTHER, 0}};
    sched_set_policy(current(), SCHED_FIFO, 99); // until all are there
    for (auto &w : who) {
        task_struct *t = kthread_create(note, const_cast<char *>(&w.name),
                                        static_cast<int>(smp_processor_id()), "rt");
        sched_set_policy(t, w.policy, w.prio);
        wake_up_process(t);
    }
    HOST_EXPECT(nr_ran == 0);
    sched_set_policy(current(), SCHED_OTHER, 0);
    while (nr_ran < 6) {
        set_current_state(TASK_UNINTERRUPTIBLE);
        schedule_timeout(1);
    }
    HOST_EXPECT(!memcmp(order, "cbaA", 4));
}

static void wall_clock_moves_timers(void *)
{
    hrtimer_wake follows{current()}, stays{current()};
    u64 mono = ktime_get(), real = ktime_get_real();
    hrtimer_start_real(&follows.timer, real + 1000 * NSEC_PER_SEC);
    hrtimer_start(&stays.timer, mono + 1000 * NSEC_PER_SEC);
    ktime_set_real(ktime_get_real() + 999 * NSEC_PER_SEC);
    while (read_once(follows.task)) {
        set_current_state(TASK_UNINTERRUPTIBLE);
        schedule_timeout(10);
    }
    HOST_EXPECT(ktime_get() - mono < 2 * NSEC_PER_SEC);
    HOST_EXPECT(read_once(stays.task));
    hrtimer_cancel(&stays.timer);
    hrtimer_cancel(&follows.timer);
    ktime_set_real(ktime_get_real() - 999 * NSEC_PER_SEC);
}

extern "C" int main()
{
    unit_main("process",
              {KERNEL_UNIT(groups_are_sorted), KERNEL_UNIT(users_are_shared),
               KERNEL_UNIT(ids_and_capabilities), KERNEL_UNIT(fifo_before_others),
               KERNEL_UNIT(wall_clock_moves_timers)},
              2);
}
