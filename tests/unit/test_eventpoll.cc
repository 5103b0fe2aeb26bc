// SPDX-License-Identifier: MIT
// eventpoll: what epoll_ctl and epoll_wait promise (rows of E), and its insides after each step.
#include "epoll_util.h"
#include "fs/pipe.h"
#include "mm/slab.h"

using namespace epoll_test;

namespace
{
// --- ctl ------------------------------------------------------------------------------------------

void new_eventpoll_is_empty()
{
    HOST_EXPECT(do_epoll_create(1).err() == EINVAL);
    int ep = epoll();
    eventpoll *e = inside(ep);
    HOST_EXPECT(e->rdllist.empty() && e->rbr.empty() && e->ovflist == EP_UNACTIVE_PTR);
    HOST_EXPECT(!e->wq.active() && !e->poll_wait.active() && e->nr_items == 0);
    HOST_EXPECT(wait(ep) == 0);
    close(ep);
}

u32 never_ready(file *, poll_table *)
{
    return 0;
}
const file_operations no_poll{}, plain_poll{.poll = never_ready};
int file_with(const file_operations *ops, void *data = nullptr)
{
    auto f = anon_inode_getfile("anon_inode:[test]", ops, data, O_RDWR);
    auto fd = get_unused_fd_flags(0);
    HOST_EXPECT(f && fd);
    fd_install(*fd, *f);
    return *fd;
}

void ctl_errors()
{
    int ep = epoll(), a = event_fd(), regular = file_with(&no_poll);
    HOST_EXPECT(ctl(ep, EPOLL_CTL_ADD, 999, POLLIN) == EBADF);
    HOST_EXPECT(ctl(999, EPOLL_CTL_ADD, a, POLLIN) == EBADF);
    HOST_EXPECT(ctl(ep, EPOLL_CTL_ADD, regular, POLLIN) == EPERM);
    HOST_EXPECT(ctl(ep, EPOLL_CTL_ADD, ep, POLLIN) == EINVAL);
    HOST_EXPECT(ctl(a, EPOLL_CTL_ADD, ep, POLLIN) == EINVAL);
    HOST_EXPECT(ctl(ep, 7, a, POLLIN) == EINVAL);
    HOST_EXPECT(ctl(ep, EPOLL_CTL_MOD, a, POLLIN) == ENOENT);
    HOST_EXPECT(ctl(ep, EPOLL_CTL_DEL, a) == ENOENT);
    HOST_EXPECT(ctl(ep, EPOLL_CTL_ADD, a, POLLIN) == 0);
    HOST_EXPECT(ctl(ep, EPOLL_CTL_ADD, a, POLLIN) == EEXIST);
    HOST_EXPECT(do_epoll_wait(a, user_events(), 1, 0).err() == EINVAL);
    HOST_EXPECT(do_epoll_wait(999, user_events(), 1, 0).err() == EBADF);
    HOST_EXPECT(ctl(ep, EPOLL_CTL_DEL, a) == 0);
    HOST_EXPECT(inside(ep)->nr_items == 0);
    for (int fd : {ep, a, regular})
        close(fd);
}

void ready_before_add_is_reported()
{
    int ep = epoll(), a = event_fd(3);
    HOST_EXPECT(ctl(ep, EPOLL_CTL_ADD, a, POLLIN) == 0);
    HOST_EXPECT(wait(ep) == 1 && event_at(0).data == static_cast<u64>(a));
    HOST_EXPECT(event_at(0).events == POLLIN);
    close(ep);
    close(a);
}

/// 10,000 random insertions and removals: colours, black heights and order hold, and the depth of the tree.
void tree_stays_balanced()
{
    int ep = epoll(), fds[256];
    eventpoll *e = inside(ep);
    bool in[256] = {};
    unsigned n = 0;
    for (int &fd : fds)
        fd = event_fd();
    for (int i = 0; i < 10'000; i++) {
        unsigned k = host_random() % 256;
        HOST_EXPECT(ctl(ep, in[k] ? EPOLL_CTL_DEL : EPOLL_CTL_ADD, fds[k], POLLIN) == 0);
        n += in[k] ? -1u : 1u;
        in[k] = !in[k];
        if (i % 64 == 0)
            HOST_EXPECT(e->rbr.check() == static_cast<int>(n));
    }
    HOST_EXPECT(e->nr_items == n);
    close(ep);
    for (int fd : fds)
        close(fd);
}

// --- How events are reported ----------------------------------------------------------------------

void level_repeats_until_drained()
{
    int ep = epoll(), a = event_fd(1);
    ctl(ep, EPOLL_CTL_ADD, a, POLLIN);
    HOST_EXPECT(wait(ep) == 1 && wait(ep) == 1);
    HOST_EXPECT(drain_fd(a) == 1);
    HOST_EXPECT(wait(ep) == 0 && inside(ep)->rdllist.empty());
    close(ep);
    close(a);
}

void edge_reports_each_arrival_once()
{
    int ep = epoll(), a = event_fd();
    ctl(ep, EPOLL_CTL_ADD, a, POLLIN | EPOLLET);
    HOST_EXPECT(wait(ep) == 0);
    signal_fd(a);
    HOST_EXPECT(wait(ep) == 1 && wait(ep) == 0);
    signal_fd(a); // new data, the old unread: again
    HOST_EXPECT(wait(ep) == 1 && wait(ep) == 0);
    HOST_EXPECT(ctl(ep, EPOLL_CTL_MOD, a, POLLIN | EPOLLET) == 0); // looks again
    HOST_EXPECT(wait(ep) == 1);
    close(ep);
    close(a);
}

void oneshot_is_masked_until_mod()
{
    for (u32 edge : {0u, EPOLLET}) {
        int ep = epoll(), a = event_fd(1);
        ctl(ep, EPOLL_CTL_ADD, a, POLLIN | EPOLLONESHOT | edge);
        HOST_EXPECT(wait(ep) == 1 && wait(ep) == 0);
        signal_fd(a);
        HOST_EXPECT(wait(ep) == 0);
        epitem *epi = inside(ep)->rbr.first(); // still there, masked (row E-19)
        HOST_EXPECT(epi && !(epi->event.events & ~EP_PRIVATE_BITS) && epi->nwait == 1);
        HOST_EXPECT(ctl(ep, EPOLL_CTL_ADD, a, POLLIN) == EEXIST);
        HOST_EXPECT(ctl(ep, EPOLL_CTL_MOD, a, POLLIN | EPOLLONESHOT | edge) == 0);
        HOST_EXPECT(wait(ep) == 1 && wait(ep) == 0);
        close(ep);
        close(a);
    }
}

void several_bits_are_one_event()
{
    int ep = epoll();
    file *rd, *wr;
    HOST_EXPECT(create_pipe_files(&rd, &wr, 0));
    int r = *get_unused_fd_flags(0);
    fd_install(r, rd);
    ctl(ep, EPOLL_CTL_ADD, r, POLLIN | EPOLLONESHOT);
    iov_iter from = iov_iter::kernel(user_room, 5);
    HOST_EXPECT(vfs_write(wr, from, nullptr));
    fput(wr);
    HOST_EXPECT(wait(ep) == 1 && event_at(0).events == (POLLIN | POLLHUP));
    close(r);
    HOST_EXPECT(wait(ep) == 0 && inside(ep)->nr_items == 0);
    close(ep);
}

void cost_is_of_the_ready_ones()
{
    constexpr int N = 800;
    static int fds[N];
    int ep = epoll();
    for (int &fd : fds) {
        fd = event_fd();
        HOST_EXPECT(ctl(ep, EPOLL_CTL_ADD, fd, POLLIN) == 0);
    }
    for (int i : {700, 5, 321})
        signal_fd(fds[i]);
    eventpoll *e = inside(ep);
    u64 visits = e->send_visits;
    HOST_EXPECT(wait(ep) == 3);
    HOST_EXPECT(e->send_visits == visits + 3);
    HOST_EXPECT(event_at(0).data ==
                static_cast<u64>(fds[700])); // in the order of readiness (row E-28)
    HOST_EXPECT(event_at(1).data == static_cast<u64>(fds[5]));
    HOST_EXPECT(event_at(2).data == static_cast<u64>(fds[321]));
    for (int fd : fds)
        close(fd);
    HOST_EXPECT(e->nr_items == 0);
    close(ep);
}

/// With room for less than all, the rest comes first next time, and nobody starves.
void rest_of_a_transfer_comes_first()
{
    int ep = epoll(), fds[4];
    for (int &fd : fds) {
        fd = event_fd(1);
        ctl(ep, EPOLL_CTL_ADD, fd, POLLIN);
    }
    for (int i = 0; i < 8; i++)
        HOST_EXPECT(wait(ep, 1) == 1 && event_at(0).data == static_cast<u64>(fds[i % 4]));
    for (int fd : fds)
        close(fd);
    close(ep);
}

void bad_buffer_loses_nothing()
{
    int ep = epoll(), a = event_fd(1), b = event_fd(1);
    ctl(ep, EPOLL_CTL_ADD, a, POLLIN | EPOLLET);
    ctl(ep, EPOLL_CTL_ADD, b, POLLIN | EPOLLET);
    auto r = do_epoll_wait(ep, user_ptr<epoll_event>{64}, 4, 0);
    HOST_EXPECT(r.err() == EFAULT);
    // Room for one before the end of the mapping: one is reported, the other kept.
    u64 edge = reinterpret_cast<u64>(user_room) + sizeof user_room - sizeof(epoll_event);
    auto one = do_epoll_wait(ep, user_ptr<epoll_event>{edge}, 4, 0);
    HOST_EXPECT(one && *one == 1);
    HOST_EXPECT(wait(ep) == 1 && event_at(0).data == static_cast<u64>(b));
    for (int fd : {ep, a, b})
        close(fd);
}

// --- Files come and go ----------------------------------------------------------------------------

void dup_keeps_an_item_alive()
{
    int ep = epoll(), a = event_fd(1);
    ctl(ep, EPOLL_CTL_ADD, a, POLLIN);
    int copy = *get_unused_fd_flags(0);
    fd_install(copy, fget(a)->release());
    close(a);
    HOST_EXPECT(wait(ep) == 1 &&
                event_at(0).data == static_cast<u64>(a)); // reported by its old name
    HOST_EXPECT(ctl(ep, EPOLL_CTL_DEL, copy) == ENOENT);  // the key has the number
    close(copy);
    HOST_EXPECT(wait(ep) == 0 && inside(ep)->nr_items == 0);
    close(ep);
}

void one_file_in_two_epolls()
{
    int x = epoll(), y = epoll(), a = event_fd();
    ctl(x, EPOLL_CTL_ADD, a, POLLIN);
    ctl(y, EPOLL_CTL_ADD, a, POLLIN);
    signal_fd(a);
    HOST_EXPECT(wait(x) == 1 && wait(y) == 1);
    close(x);
    HOST_EXPECT(wait(y) == 1);
    close(a);
    HOST_EXPECT(wait(y) == 0 && inside(y)->nr_items == 0);
    close(y);
}

void nested_epolls()
{
    int chain[7], a = event_fd();
    for (int &ep : chain)
        ep = epoll();
    for (int i = 0; i < 4; i++)
        HOST_EXPECT(ctl(chain[i], EPOLL_CTL_ADD, chain[i + 1], POLLIN) == 0);
    HOST_EXPECT(ctl(chain[4], EPOLL_CTL_ADD, chain[0], POLLIN) == ELOOP);
    HOST_EXPECT(ctl(chain[3], EPOLL_CTL_ADD, chain[1], POLLIN) == ELOOP);
    HOST_EXPECT(ctl(chain[4], EPOLL_CTL_ADD, chain[6], POLLIN) == ELOOP); // too deep from above
    HOST_EXPECT(ctl(chain[6], EPOLL_CTL_ADD, chain[0], POLLIN) == ELOOP); // and from below
    HOST_EXPECT(ctl(chain[4], EPOLL_CTL_ADD, a, POLLIN) == 0);
    HOST_EXPECT(wait(chain[0]) == 0);
    signal_fd(a);
    for (int i = 0; i < 5; i++)
        HOST_EXPECT(wait(chain[i]) == 1);
    HOST_EXPECT(drain_fd(a) == 1);
    for (int i = 0; i < 5; i++)
        HOST_EXPECT(wait(chain[i]) == 0);
    for (int ep : chain)
        close(ep);
    close(a);
}

/// An edge-triggered epoll around another is told of arrivals, not of what is left after a look.
void nested_edge_is_reported_once()
{
    int outer = epoll(), inner = epoll(), a = event_fd();
    HOST_EXPECT(ctl(inner, EPOLL_CTL_ADD, a, POLLIN) == 0);
    HOST_EXPECT(ctl(outer, EPOLL_CTL_ADD, inner, POLLIN | EPOLLET) == 0);
    for (int arrival = 0; arrival < 2; arrival++) {
        signal_fd(a);
        HOST_EXPECT(wait(outer) == 1 && wait(outer) == 0);
        HOST_EXPECT(wait(inner) == 1); // level: still there
    }
    for (int fd : {outer, inner, a})
        close(fd);
}

void paths_to_a_file_are_limited()
{
    // a ← inner ← many: each outer one is a path of length 2 to `a`; 500 may be.
    int a = event_fd(), inner = epoll(), made = 0;
    static int outer[520];
    HOST_EXPECT(ctl(inner, EPOLL_CTL_ADD, a, POLLIN) == 0);
    int err = 0;
    for (; made < 520 && !err; made++) {
        outer[made] = epoll();
        err = ctl(outer[made], EPOLL_CTL_ADD, inner, POLLIN);
    }
    HOST_EXPECT(err == EINVAL && made == 501);
    for (int i = 0; i < made; i++)
        close(outer[i]);
    close(inner);
    close(a);
}

int allocations_left;
bool fail_nth(size_t, gfp)
{
    return --allocations_left == 0;
}

/// Every allocation fails once: an error, and nothing is left behind.
void no_memory_leaves_nothing()
{
    int ep = epoll(), a = event_fd();
    eventpoll *e = inside(ep);
    s64 watches = e->user->epoll_watches;
    for (int n = 1; n <= 2; n++) {
        allocations_left = n;
        should_fail_alloc = fail_nth;
        HOST_EXPECT(ctl(ep, EPOLL_CTL_ADD, a, POLLIN) == ENOMEM);
        should_fail_alloc = nullptr;
        HOST_EXPECT(e->nr_items == 0 && e->user->epoll_watches == watches);
        HOST_EXPECT(!fget(a)->get()->f_ep_links);
    }
    HOST_EXPECT(ctl(ep, EPOLL_CTL_ADD, a, POLLIN) == 0);
    close(ep);
    close(a);
}

// --- Sleepers -------------------------------------------------------------------------------------

int shared_ep, woken, order[4];
struct waiter {
    int id, got;
};
waiter waiters[4];

void wait_once(void *p)
{
    as_process();
    auto *w = static_cast<waiter *>(p);
    auto r = do_epoll_wait(shared_ep, user_events() + static_cast<u64>(w->id) * 8, 8, FOREVER);
    w->got = r ? *r : -r.err();
    order[woken++] = w->id;
    current()->files = nullptr;
}

/// One arrival on an edge-triggered item wakes one sleeper, the newest (row W-13).
void one_of_four_is_woken_newest_first()
{
    int a = event_fd();
    shared_ep = epoll();
    woken = 0;
    ctl(shared_ep, EPOLL_CTL_ADD, a, POLLIN | EPOLLET);
    for (int i = 0; i < 4; i++) {
        waiters[i] = {i, 0};
        wake_up_process(kthread_create(wait_once, &waiters[i], -1, "waiter/%d", i));
        msleep(2);
    }
    eventpoll *e = inside(shared_ep);
    HOST_EXPECT(e->wq.active() && e->sleeps >= 4);
    for (int i = 0; i < 4; i++) {
        signal_fd(a);
        msleep(2);
        HOST_EXPECT(woken == i + 1 && order[i] == 3 - i && waiters[3 - i].got == 1);
    }
    HOST_EXPECT(!e->wq.active() && e->empty_wakeups == 0);
    close(shared_ep);
    close(a);
}

void time_out_and_no_sleep_when_ready()
{
    int ep = epoll(), a = event_fd(1);
    u64 before = ktime_get();
    HOST_EXPECT(wait(ep, 4, before + 5 * NSEC_PER_MSEC) == 0);
    HOST_EXPECT(ktime_get() >= before + 5 * NSEC_PER_MSEC);
    ctl(ep, EPOLL_CTL_ADD, a, POLLIN);
    u64 switches = current()->nvcsw;
    HOST_EXPECT(wait(ep, 4, FOREVER) == 1);
    HOST_EXPECT(current()->nvcsw == switches); // row E-12
    close(ep);
    close(a);
}

// --- A transfer under way -------------------------------------------------------------------------

struct trigger {
    wait_queue_head q;
    bool ready = false;
    trigger *fires[3] = {}; // when it is looked at, these become ready
};
u32 trigger_poll(file *f, poll_table *pt)
{
    auto *t = static_cast<trigger *>(f->private_data);
    poll_wait(f, &t->q, pt);
    for (trigger *&o : t->fires)
        if (t->ready && o) {
            o->ready = true;
            wake_up_poll(&o->q, POLLIN);
            o = nullptr;
        }
    return t->ready ? POLLIN : 0;
}
const file_operations trigger_ops{.poll = trigger_poll};

/// What becomes ready while the ready list is being transferred comes by ovflist, newest first (row E-28).
void arrivals_during_a_transfer_come_reversed()
{
    trigger t[4];
    int ep = epoll(), fds[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = file_with(&trigger_ops, &t[i]);
        ctl(ep, EPOLL_CTL_ADD, fds[i], POLLIN | EPOLLET);
    }
    for (int i = 0; i < 3; i++)
        t[0].fires[i] = &t[i + 1];
    t[0].ready = true;
    wake_up_poll(&t[0].q, POLLIN);
    HOST_EXPECT(wait(ep) == 1 && event_at(0).data == static_cast<u64>(fds[0]));
    HOST_EXPECT(inside(ep)->ovflist == EP_UNACTIVE_PTR);
    HOST_EXPECT(wait(ep) == 3);
    for (int i = 0; i < 3; i++)
        HOST_EXPECT(event_at(i).data == static_cast<u64>(fds[3 - i]));
    close(ep);
    for (int fd : fds)
        close(fd);
}
} // namespace

extern "C" int main()
{
    unit_main("eventpoll",
              {
                  PROCESS_UNIT(new_eventpoll_is_empty),
                  PROCESS_UNIT(ctl_errors),
                  PROCESS_UNIT(ready_before_add_is_reported),
                  PROCESS_UNIT(tree_stays_balanced),
                  PROCESS_UNIT(level_repeats_until_drained),
                  PROCESS_UNIT(edge_reports_each_arrival_once),
                  PROCESS_UNIT(oneshot_is_masked_until_mod),
                  PROCESS_UNIT(several_bits_are_one_event),
                  PROCESS_UNIT(cost_is_of_the_ready_ones),
                  PROCESS_UNIT(rest_of_a_transfer_comes_first),
                  PROCESS_UNIT(bad_buffer_loses_nothing),
                  PROCESS_UNIT(dup_keeps_an_item_alive),
                  PROCESS_UNIT(one_file_in_two_epolls),
                  PROCESS_UNIT(nested_epolls),
                  PROCESS_UNIT(nested_edge_is_reported_once),
                  PROCESS_UNIT(paths_to_a_file_are_limited),
                  PROCESS_UNIT(no_memory_leaves_nothing),
                  PROCESS_UNIT(one_of_four_is_woken_newest_first),
                  PROCESS_UNIT(time_out_and_no_sleep_when_ready),
                  PROCESS_UNIT(arrivals_during_a_transfer_come_reversed),
              },
              4);
}
