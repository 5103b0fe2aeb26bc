// SPDX-License-Identifier: MIT
// The main thread's side: whose turn it is, when time jumps, and kernel threads on behalf of tests.
#include "host.h"
#include "internal.h"
#include "mm/slab.h"
#include "sched/mutex.h"

void host_seed(u64 seed)
{
    host.turn_state = host.test_state = seed;
}
void host_preempt(unsigned one_in)
{
    host.preempt_one_in = one_in;
}
u64 host_random()
{
    return host_next_random(host.test_state);
}

static bool can_run(const host_vcpu &c)
{
    return c.started && (!c.halted || host_has_interrupt(c));
}

/// One of the CPUs that can run, at random; -1: all are idle.
static int choose_cpu()
{
    unsigned n = 0, able[NR_CPUS];
    for (unsigned i = 0; i < host.cpus; i++)
        if (can_run(host.cpu[i]))
            able[n++] = i;
    if (!n)
        return -1;
    return static_cast<int>(able[n == 1 ? 0 : host_next_random(host.turn_state) % n]);
}

static void give_turn(host_vcpu &c)
{
    host_cpu = &c.block;
    host.inside = true;
    os_fiber_switch(os_main_fiber, c.running, false);
    host.inside = false;
}

static u64 next_timer()
{
    u64 t = HOST_NEVER;
    for (unsigned i = 0; i < host.cpus; i++)
        t = min(t, host.cpu[i].timer);
    return t;
}

bool host_run_until(bool (*cond)(void *), void *arg, u64 limit_ns)
{
    u64 end = limit_ns == HOST_NEVER ? HOST_NEVER : host.clock + limit_ns;
    for (;;) {
        if (cond && cond(arg))
            return true;
        if (host.panicked || host.clock > end)
            return false;
        int cpu = choose_cpu();
        if (cpu >= 0) {
            give_turn(host.cpu[cpu]);
            continue;
        }
        u64 next = next_timer();
        if (next == HOST_NEVER || next > end || (!cond && end == HOST_NEVER)) {
            if (end != HOST_NEVER)
                host.clock = max(host.clock, end);
            return !cond;
        }
        host.clock = max(host.clock, next);
    }
}

void host_advance_ns(u64 ns)
{
    host_run_until(nullptr, nullptr, ns);
}

// --- kernel threads for tests -------------------------------------------------------------------

struct host_request {
    void (*fn)(void *);
    void *arg;
    int cpu;
    bool *done; // null: nobody waits
    host_request *next;
};
static constexpr unsigned MAX_REQUESTS = 256;
static host_request requests[MAX_REQUESTS], *free_requests, *first_request, **last_request;
static wait_queue_head *spawner_wait;

static void run_request(void *p)
{
    auto *r = static_cast<host_request *>(p);
    r->fn(r->arg);
    if (r->done)
        *r->done = true;
    r->next = free_requests;
    free_requests = r;
}

static void spawner_main(void *)
{
    for (;;) {
        wait_event(spawner_wait, first_request != nullptr);
        host_request *r = first_request;
        first_request = r->next;
        if (!first_request)
            last_request = &first_request;
        task_struct *t = kthread_create(run_request, r, r->cpu, "test");
        BUG_ON(!t);
        wake_up_process(t);
    }
}

void host_spawner_interrupt()
{
    wake_up(spawner_wait);
}

void host_spawner_init()
{
    for (host_request &r : requests) {
        r.next = free_requests;
        free_requests = &r;
    }
    last_request = &first_request;
    spawner_wait = knew<wait_queue_head>(GFP_KERNEL);
    task_struct *t = kthread_create(spawner_main, nullptr, -1, "host_spawner");
    BUG_ON(!t);
    wake_up_process(t);
}

static void submit(void (*fn)(void *), void *arg, int cpu, bool *done)
{
    host_request *r = free_requests;
    BUG_ON(!r);
    free_requests = r->next;
    *r = {fn, arg, cpu, done, nullptr};
    *last_request = r;
    last_request = &r->next;
    host.cpu[0].host_call = true;
}

void host_spawn(void (*fn)(void *), void *arg, int cpu)
{
    submit(fn, arg, cpu, nullptr);
}

bool host_run(void (*fn)(void *), void *arg)
{
    bool done = false;
    submit(fn, arg, -1, &done);
    return host_run_until([](void *d) { return *static_cast<bool *>(d); }, &done, HOST_NEVER);
}
