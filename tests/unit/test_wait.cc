// SPDX-License-Identifier: MIT
// Wait queues and wake-ups: the walker's counting and order (rows W-08…W-14), and that no wake-up is ever lost (W-09, W-19).
#include "mm/slab.h"
#include "sched/mutex.h"
#include "unit.h"
#include <initializer_list>

// --- the walk, with entries that only take notes ---------------------------------------------------

struct note {
    wait_queue entry;
    int id;
    int result;
    static int calls, order[16];
    note(int id, int result) : entry{take, nullptr}, id{id}, result{result} {}
    static int take(wait_queue *w, unsigned, int, void *)
    {
        auto *n = container_of(w, note, entry);
        order[calls++] = n->id;
        return n->result;
    }
};
int note::calls, note::order[16];

static void walker_counts_exclusive(void *)
{
    wait_queue_head q;
    note plain1{1, 1}, plain2{2, 1}, ex1{11, 0}, ex2{12, 1}, ex3{13, 1};
    add_wait_queue_exclusive(&q, &ex1.entry);
    add_wait_queue_exclusive(&q, &ex2.entry);
    add_wait_queue(&q, &plain1.entry);
    add_wait_queue(&q, &plain2.entry);
    add_wait_queue_exclusive(&q, &ex3.entry);
    note::calls = 0;
    __wake_up(&q, TASK_NORMAL, 1, nullptr);
    // Non-exclusive at the head, newest first, all called; then exclusive FIFO until one was woken: ex1 refused.
    const int want[] = {2, 1, 11, 12};
    HOST_EXPECT(note::calls == 4);
    HOST_EXPECT(!memcmp(note::order, want, sizeof(want)));
    note::calls = 0;
    __wake_up(&q, TASK_NORMAL, 0, nullptr);
    HOST_EXPECT(note::calls == 5);
    for (note *n : {&plain1, &plain2, &ex1, &ex2, &ex3})
        remove_wait_queue(&q, &n->entry);
    HOST_EXPECT(!q.active());
}

// --- sleepers -------------------------------------------------------------------------------------

struct herd {
    wait_queue_head q;
    bool exclusive = false, go = false;
    int asleep = 0, woken = 0, order[8] = {}, gone = 0;
};
struct sleeper {
    herd *h;
    int id;
};

static void sleep_once(void *p)
{
    auto *s = static_cast<sleeper *>(p);
    herd *h = s->h;
    wait_queue w;
    HOST_EXPECT(w.private_ == current() && w.func == autoremove_wake_function);
    h->exclusive ? prepare_to_wait_exclusive(&h->q, &w, TASK_INTERRUPTIBLE)
                 : prepare_to_wait(&h->q, &w, TASK_INTERRUPTIBLE);
    h->asleep++;
    u64 switches = current()->nvcsw;
    schedule();
    HOST_EXPECT(current()->nvcsw == switches + 1); // one sleep, one voluntary switch (W-10)
    HOST_EXPECT(!w.task_list.linked());            // autoremove (W-14)
    h->order[h->woken++] = s->id;
    finish_wait(&h->q, &w);
    h->gone++;
}

static void msleep(int ms)
{
    set_current_state(TASK_UNINTERRUPTIBLE);
    schedule_timeout(ms);
}

static void start_herd(herd &h, sleeper *s, int n)
{
    for (int i = 0; i < n; i++) {
        s[i] = {&h, i};
        task_struct *t = kthread_create(sleep_once, &s[i], -1, "sleeper/%d", i);
        wake_up_process(t);
        while (h.asleep <= i)
            msleep(1);
    }
}

static void exclusive_sleepers_one_by_one(void *)
{
    herd h;
    h.exclusive = true;
    sleeper s[4];
    start_herd(h, s, 4);
    for (int i = 0; i < 4; i++) {
        wake_up_interruptible(&h.q);
        msleep(2);
        HOST_EXPECT(h.woken == i + 1);
        HOST_EXPECT(h.order[i] == i); // FIFO
    }
    HOST_EXPECT(!h.q.active());
}

static void plain_sleepers_all_at_once(void *)
{
    herd h;
    sleeper s[4];
    start_herd(h, s, 4);
    wake_up_interruptible(&h.q);
    msleep(2);
    HOST_EXPECT(h.woken == 4 && h.gone == 4);
}

static void mode_mask_is_respected(void *)
{
    herd h;
    sleeper s[1];
    start_herd(h, s, 1); // INTERRUPTIBLE
    __wake_up(&h.q, TASK_UNINTERRUPTIBLE, 0, nullptr);
    msleep(2);
    HOST_EXPECT(h.woken == 0 && h.q.active());
    wake_up(&h.q);
    msleep(2);
    HOST_EXPECT(h.woken == 1);
}

// --- the race: a waker against a task that is just going to sleep, on another CPU ------------------

static constexpr int ROUNDS = 12500;

struct ping_pong {
    wait_queue_head q;
    std::atomic<int> turn{0};
    std::atomic<int> done{0};
};

/// Each side waits for its turn and hands over: every hand-over is a chance to lose a wake-up.
static void player(ping_pong *p, int me)
{
    for (int i = 0; i < ROUNDS; i++) {
        wait_event(&p->q, p->turn.load() == me);
        p->turn.store(1 - me);
        wake_up(&p->q);
    }
    p->done++;
}
static void player0(void *p)
{
    player(static_cast<ping_pong *>(p), 0);
}
static void player1(void *p)
{
    player(static_cast<ping_pong *>(p), 1);
}

static bool both_done(void *p)
{
    return static_cast<ping_pong *>(p)->done == 2;
}

/// 4 x 25,000 hand-overs under random interleavings, two CPUs or wandering tasks: 10^5 schedules.
static void test_no_lost_wakeup(void **)
{
    for (int variant = 0; variant < 4; variant++) {
        static ping_pong games[4];
        ping_pong &p = games[variant];
        host_seed(1000 + variant);
        host_preempt(variant < 2 ? 4 : 15);
        host_spawn(player0, &p, variant % 2 ? -1 : 0);
        host_spawn(player1, &p, variant % 2 ? -1 : 1);
        assert_true(host_run_until(both_done, &p, ~u64{0}));
    }
    host_preempt(0);
}

// --- mutex, completion ----------------------------------------------------------------------------

struct counter_test {
    mutex m{"test.counter"};
    int value = 0, inside = 0, done = 0;
    completion all;
};

static void count_up(void *p)
{
    auto *c = static_cast<counter_test *>(p);
    for (int i = 0; i < 200; i++) {
        mutex_guard g{c->m};
        HOST_EXPECT(c->inside++ == 0);
        HOST_EXPECT(c->m.held());
        int v = c->value;
        if (i % 3 == 0)
            msleep(0);
        cpu_relax();
        c->value = v + 1;
        c->inside--;
    }
    if (++c->done == 4)
        complete(&c->all);
}

static void mutex_excludes(void *)
{
    auto *c = knew<counter_test>(GFP_KERNEL);
    host_preempt(5);
    for (int i = 0; i < 4; i++)
        wake_up_process(kthread_create(count_up, c, -1, "count/%d", i));
    wait_for_completion(&c->all);
    host_preempt(0);
    HOST_EXPECT(c->value == 800);
    kdelete(c);
}

extern "C" int main()
{
    unit_main("wait",
              {KERNEL_UNIT(walker_counts_exclusive), KERNEL_UNIT(exclusive_sleepers_one_by_one),
               KERNEL_UNIT(plain_sleepers_all_at_once), KERNEL_UNIT(mode_mask_is_respected),
               UNIT(test_no_lost_wakeup), KERNEL_UNIT(mutex_excludes)},
              4);
}
