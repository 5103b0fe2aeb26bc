// SPDX-License-Identifier: MIT
// eventpoll's races, each scenario under seeded schedules: another seed is another interleaving of its threads on four virtual CPUs.
// SOFTNET_SCHEDULES: how many of each (60).
#include "epoll_util.h"
#include "lib/printk.h"
#include <cstdlib>

using namespace epoll_test;

namespace
{
constexpr int FDS = 3, ROUNDS = 12;

// --- The threads of a scenario --------------------------------------------------------------------

struct job {
    void (*f)(int);
    int n;
};
job jobs[8];
int started, running;
bool done; // those that go on for ever shall end

void run_job(void *p)
{
    as_process();
    auto *j = static_cast<job *>(p);
    j->f(j->n);
    current()->files = nullptr;
    running--;
}
void start(void (*f)(int), int n = 0)
{
    jobs[started] = {f, n};
    running++;
    wake_up_process(kthread_create(run_job, &jobs[started], -1, "job/%d", started));
    started++;
}
/// All have ended; one that sleeps for ever fails the test, and what it would use stays.
void join()
{
    for (int i = 0; i < 5000 && running; i++)
        msleep(1);
    HOST_EXPECT(!running);
    started = 0;
    done = false;
}
void sometimes_sleep()
{
    if (host_random() % 4 == 0)
        msleep(1);
}
/// Events for the thread of number `n`, waiting a millisecond at most.
int wait_in_room(int ep, int n, int max)
{
    auto r = do_epoll_wait(ep, user_events() + static_cast<u64>(n) * 8, max,
                           ktime_get() + NSEC_PER_MSEC);
    HOST_EXPECT(r || r.err() == EINTR);
    return r ? *r : 0;
}
int fd_in_room(int n, int i)
{
    return static_cast<int>(event_at(n * 8 + i).data);
}

template <void (*SCENARIO)()>
void schedules()
{
    const char *more = getenv("SOFTNET_SCHEDULES");
    unsigned seeds = more ? static_cast<unsigned>(atoi(more)) : 60;
    host_preempt(7);
    for (unsigned seed = 1; seed <= seeds; seed++) {
        host_seed(seed);
        SCENARIO();
        if (host_failures()) {
            pr_info("seed %u\n", seed);
            break;
        }
    }
    host_preempt(0);
}

/// An epoll whose watched files are all closed.
void expect_empty(int ep, s64 watches)
{
    eventpoll *e = inside(ep);
    HOST_EXPECT(e->nr_items == 0 && e->rbr.empty() && e->rdllist.empty());
    HOST_EXPECT(e->ovflist == EP_UNACTIVE_PTR && e->user->epoll_watches == watches);
}
s64 watches_of(int ep)
{
    return inside(ep)->user->epoll_watches;
}

// --- Waiters, writers and ctl ---------------------------------------------------------------------

int ep, fds[FDS], owners[FDS];
u32 flags;
u64 sent, taken;

void writer(int)
{
    for (int i = 0; i < ROUNDS; i++) {
        signal_fd(fds[host_random() % FDS]);
        sent++;
        sometimes_sleep();
    }
}

/// Takes what it is told of; with ONESHOT it alone owns the descriptor until it re-arms it (row E-21).
void reader(int n)
{
    while (!done) {
        int got = wait_in_room(ep, n, 2);
        for (int i = 0; i < got; i++) {
            int fd = fd_in_room(n, i), k = 0;
            while (k < FDS && fds[k] != fd)
                k++;
            HOST_EXPECT(k < FDS);
            if (flags & EPOLLONESHOT)
                HOST_EXPECT(owners[k]++ == 0);
            taken += drain_fd(fd);
            if (flags & EPOLLONESHOT) {
                owners[k]--;
                HOST_EXPECT(ctl(ep, EPOLL_CTL_MOD, fd, POLLIN | flags) == 0);
            }
        }
    }
}

/// Adds and removes another descriptor all the time, and closes it while it is watched.
void churner(int)
{
    while (!done) {
        int fd = event_fd();
        HOST_EXPECT(ctl(ep, EPOLL_CTL_ADD, fd, POLLIN | EPOLLET) == 0);
        if (host_random() % 2)
            HOST_EXPECT(ctl(ep, EPOLL_CTL_DEL, fd) == 0);
        close(fd);
        msleep(1);
    }
}

/// Nothing is lost, nothing asleep for ever, whatever comes and goes beside.
template <u32 FLAGS, int READERS>
void nothing_is_lost()
{
    flags = FLAGS;
    sent = taken = 0;
    ep = epoll();
    for (int &fd : fds) {
        fd = event_fd();
        HOST_EXPECT(ctl(ep, EPOLL_CTL_ADD, fd, POLLIN | flags) == 0);
    }
    start(writer);
    for (int i = 1; i <= READERS; i++)
        start(reader, i);
    start(churner);
    for (int i = 0; i < 2000 && (sent < ROUNDS || taken < sent); i++)
        msleep(1);
    HOST_EXPECT(sent == ROUNDS && taken == sent);
    done = true;
    join();
    eventpoll *e = inside(ep);
    HOST_EXPECT(e->rbr.check() == FDS && e->nr_items == FDS && e->ovflist == EP_UNACTIVE_PTR);
    for (int fd : fds)
        close(fd);
    close(ep);
}
void level_two_readers()
{
    nothing_is_lost<0, 2>();
}
void edge_two_readers()
{
    nothing_is_lost<EPOLLET, 2>();
}
void oneshot_four_readers()
{
    nothing_is_lost<EPOLLONESHOT, 4>();
}
void edge_oneshot_four_readers()
{
    nothing_is_lost<EPOLLET | EPOLLONESHOT, 4>();
}

// --- ADD and MOD against the event and the sleeper --------------------------------------------------

int events_got;
void sleeper(int)
{
    events_got = wait(ep, 8, FOREVER);
}
void arrival(int)
{
    sometimes_sleep();
    signal_fd(fds[0]);
}

/// The event comes before, while or after the descriptor is added or armed: the sleeper gets it.
void ctl_against_wait()
{
    ep = epoll();
    fds[0] = event_fd();
    events_got = 0;
    int op = host_random() % 2 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (op == EPOLL_CTL_MOD)
        HOST_EXPECT(ctl(ep, EPOLL_CTL_ADD, fds[0], 0) == 0);
    start(sleeper);
    start(arrival);
    sometimes_sleep();
    HOST_EXPECT(ctl(ep, op, fds[0], POLLIN | EPOLLET) == 0);
    for (int i = 0; i < 2000 && !events_got; i++)
        msleep(1);
    HOST_EXPECT(events_got == 1);
    join();
    close(fds[0]);
    close(ep);
}

void two_arrivals(int)
{
    for (int k : {0, 1}) {
        sometimes_sleep();
        signal_fd(fds[k]);
    }
}
/// Two events, and a thread that takes one of them only: the other, which may come while it does so, is the sleeper's.
void what_is_left_wakes_the_sleeper()
{
    ep = epoll();
    for (int k : {0, 1}) {
        fds[k] = event_fd();
        HOST_EXPECT(ctl(ep, EPOLL_CTL_ADD, fds[k], POLLIN | EPOLLET) == 0);
    }
    events_got = 0;
    start(sleeper);
    start(two_arrivals);
    int taken_here = 0;
    for (int i = 0; i < 2000 && !taken_here && !events_got; i++)
        taken_here = wait_in_room(ep, 1, 1);
    for (int i = 0; i < 2000 && events_got + taken_here < 2; i++) {
        if (events_got) // the sleeper was first
            taken_here += wait_in_room(ep, 1, 1);
        msleep(1);
    }
    HOST_EXPECT(events_got >= 1 && events_got + taken_here == 2);
    join();
    close(fds[0]);
    close(fds[1]);
    close(ep);
}

// --- close, dup and fork against the callback -------------------------------------------------------

int second;

/// Writes through references of its own, so that the last one may be the writer's.
void reference_holder(int)
{
    for (int i = 0; i < ROUNDS; i++) {
        u64 one = 1;
        iov_iter from = iov_iter::kernel(&one, sizeof one);
        if (auto f = fget(fds[host_random() % FDS])) {
            sometimes_sleep();
            HOST_EXPECT(vfs_write(f->get(), from, nullptr));
        }
    }
}
/// Closes descriptors, dups of them some time later, and opens others in their places.
void closer(int)
{
    for (int i = 0; i < ROUNDS; i++) {
        int k = static_cast<int>(host_random() % FDS), copy = -1, fresh = event_fd();
        if (host_random() % 2) {
            copy = *get_unused_fd_flags(0);
            fd_install(copy, fget(fds[k])->release());
        }
        HOST_EXPECT(ctl(ep, EPOLL_CTL_ADD, fresh, POLLIN) == 0);
        HOST_EXPECT(ctl(second, EPOLL_CTL_ADD, fresh, POLLIN | EPOLLET) == 0);
        int old = fds[k];
        fds[k] = fresh;
        close(old);
        sometimes_sleep();
        if (copy >= 0)
            close(copy);
    }
}
void onlooker(int n)
{
    while (!done) {
        wait_in_room(ep, n, 4);
        wait_in_room(second, n, 4);
    }
}
/// A child with all descriptors of the time: it waits with them and closes them in its own order.
void child(int n)
{
    files_struct *parent = current()->files, *copy = files_dup(parent);
    HOST_EXPECT(copy);
    current()->files = copy;
    wait_in_room(ep, n, 4);
    if (host_random() % 2)
        close(ep); // the parent has it still
    sometimes_sleep();
    current()->files = parent;
    files_put(copy);
}

void close_against_callback()
{
    ep = epoll();
    second = epoll();
    s64 watches = watches_of(ep);
    for (int &fd : fds) {
        fd = event_fd();
        HOST_EXPECT(ctl(ep, EPOLL_CTL_ADD, fd, POLLIN) == 0);
        HOST_EXPECT(ctl(second, EPOLL_CTL_ADD, fd, POLLIN | EPOLLET) == 0);
    }
    start(onlooker, 1); // until the others are done
    start(reference_holder);
    start(reference_holder);
    start(closer);
    start(child, 2);
    for (int i = 0; i < 5000 && running > 1; i++)
        msleep(1);
    done = true;
    join();
    for (int fd : fds)
        close(fd);
    expect_empty(ep, watches);
    expect_empty(second, watches);
    close(ep);
    close(second);
}

// --- epolls that watch epolls -------------------------------------------------------------------------

int loop_errors[2];
void watch_the_other(int n)
{
    sometimes_sleep();
    loop_errors[n] = ctl(n ? second : ep, EPOLL_CTL_ADD, n ? ep : second, POLLIN);
}
/// Two epolls try to watch each other at the same time: one may.
void loops_are_refused()
{
    ep = epoll();
    second = epoll();
    start(watch_the_other, 0);
    start(watch_the_other, 1);
    join();
    HOST_EXPECT((loop_errors[0] == 0 && loop_errors[1] == ELOOP) ||
                (loop_errors[1] == 0 && loop_errors[0] == ELOOP));
    int first_to_go = host_random() % 2 ? ep : second;
    close(first_to_go);
    close(first_to_go == ep ? second : ep);
}

/// Takes from the inner epoll when the outer one says that it is ready.
void outer_reader(int n)
{
    while (!done)
        for (int got = wait_in_room(ep, n, 2); got > 0; got--)
            if (wait_in_room(second, n, 1) == 1)
                taken += drain_fd(fd_in_room(n, 0));
}
/// Takes the inner epoll out of the outer one, and a file out of the inner one, and puts them back.
void rebuilder(int)
{
    for (int i = 0; i < ROUNDS; i++) {
        bool inner = host_random() % 2;
        int from = inner ? second : ep, what = inner ? fds[host_random() % FDS] : second;
        HOST_EXPECT(ctl(from, EPOLL_CTL_DEL, what) == 0);
        sometimes_sleep();
        HOST_EXPECT(ctl(from, EPOLL_CTL_ADD, what, POLLIN) == 0);
    }
}
void nested_while_rebuilt()
{
    sent = taken = 0;
    ep = epoll();
    second = epoll();
    for (int &fd : fds) {
        fd = event_fd();
        HOST_EXPECT(ctl(second, EPOLL_CTL_ADD, fd, POLLIN) == 0);
    }
    HOST_EXPECT(ctl(ep, EPOLL_CTL_ADD, second, POLLIN) == 0);
    start(writer);
    start(outer_reader, 1);
    start(outer_reader, 2);
    start(rebuilder);
    for (int i = 0; i < 2000 && (sent < ROUNDS || taken < sent); i++)
        msleep(1);
    HOST_EXPECT(sent == ROUNDS && taken == sent);
    done = true;
    join();
    for (int fd : fds)
        close(fd);
    close(host_random() % 2 ? ep : second);
    for (int fd : {ep, second})
        (void)close_fd(static_cast<unsigned>(fd)); // the other
}

// --- The order of what comes while a transfer runs -----------------------------------------------------

constexpr int MANY = 8;
int ordered[MANY];
void in_order(int)
{
    for (int fd : ordered) {
        signal_fd(fd);
        sometimes_sleep();
    }
}

/// Each arrival once, in their order but for stretches that came by ovflist: those are reversed (row E-28).
void order_of_arrival()
{
    int seen[MANY], n = 0;
    ep = epoll();
    for (int &fd : ordered) {
        fd = event_fd();
        HOST_EXPECT(ctl(ep, EPOLL_CTL_ADD, fd, POLLIN | EPOLLET) == 0);
    }
    start(in_order);
    for (int tries = 0; n < MANY && tries < 2000; tries++) {
        int got = wait_in_room(ep, 1, MANY - n < 2 ? 1 : 2);
        for (int i = 0; i < got; i++)
            for (int k = 0; k < MANY; k++)
                if (ordered[k] == fd_in_room(1, i))
                    seen[n++] = k;
    }
    join();
    HOST_EXPECT(n == MANY && wait(ep) == 0);
    for (int next = 0; n == MANY && next < MANY;) {
        int last = seen[next], length = last - next + 1;
        HOST_EXPECT(length >= 1);
        for (int i = 0; i < length; i++)
            HOST_EXPECT(seen[next + i] == last - i);
        next += max(length, 1);
    }
    for (int fd : ordered)
        close(fd);
    close(ep);
}
} // namespace

#define SCHEDULES(f) (unit_case{#f, nullptr, process<schedules<f>>})

extern "C" int main()
{
    unit_main("eventpoll_races",
              {
                  SCHEDULES(level_two_readers),
                  SCHEDULES(edge_two_readers),
                  SCHEDULES(oneshot_four_readers),
                  SCHEDULES(edge_oneshot_four_readers),
                  SCHEDULES(ctl_against_wait),
                  SCHEDULES(what_is_left_wakes_the_sleeper),
                  SCHEDULES(close_against_callback),
                  SCHEDULES(loops_are_refused),
                  SCHEDULES(nested_while_rebuilt),
                  SCHEDULES(order_of_arrival),
              },
              4);
}
