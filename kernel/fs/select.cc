// SPDX-License-Identifier: MIT
// poll and select. Linux: fs/select.c. Process context, no locks of its own: while the poll methods run, one entry is put on each wait
// queue they name; all are taken off before the call ends. A wake-up between the look and the sleep is remembered in `triggered`.

#include "fs/select.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "sched/sched.h"

namespace
{
struct poll_wqueues;

/// One wait queue this call is on. `wait` has the task as every entry has: traces and dumps print its pid.
struct poll_table_entry : pinned {
    file *filp;
    u32 key;
    poll_wqueues *pwq;
    wait_queue wait;
    wait_queue_head *head;
    poll_table_entry(file *f, u32 k, wait_queue_func func, poll_wqueues *p, wait_queue_head *q)
        : filp{f}, key{k}, pwq{p}, wait{func, current()}, head{q}
    {
    }
};

constexpr unsigned INLINE_ENTRIES = 6, CHUNK_ENTRIES = 32;

/// Raw room for entries: they stay in place until the call ends.
template <unsigned N>
struct entry_room {
    alignas(poll_table_entry) u8 bytes[N * sizeof(poll_table_entry)];
    unsigned used = 0;
    poll_table_entry *at(unsigned i) { return reinterpret_cast<poll_table_entry *>(bytes) + i; }
};
struct entry_chunk {
    entry_chunk *next;
    entry_room<CHUNK_ENTRIES> room;
};

struct poll_wqueues : pinned {
    poll_table pt; // first: poll methods know only this part
    u32 key = 0;   // events the current file is asked for
    std::atomic<bool> triggered{false};
    bool no_memory = false;
    entry_room<INLINE_ENTRIES> room;
    entry_chunk *chunks = nullptr;

    poll_wqueues();
    ~poll_wqueues();
    void *next_slot();
    int wait(u64 expires);
};

/// A file has news: remember it and wake the poller if it is asleep. Any context, the queue's lock held.
int pollwake(wait_queue *w, unsigned mode, int flags, void *key)
{
    auto *e = container_of(w, poll_table_entry, wait);
    poll_wqueues *pwq = e->pwq;
    if (key && !(reinterpret_cast<u64>(key) & e->key))
        return 0;
    pwq->triggered.store(true, std::memory_order_release);
    smp_mb();
    return default_wake_function(w, mode, flags, key);
}

void add_entry(file *f, wait_queue_head *q, poll_table *pt)
{
    auto *pwq = container_of(pt, poll_wqueues, pt);
    void *slot = pwq->next_slot();
    if (!slot) {
        pwq->no_memory = true;
        return;
    }
    get_file(f);
    auto *e = new (slot) poll_table_entry{f, pwq->key, pollwake, pwq, q};
    add_wait_queue(q, &e->wait);
}

poll_wqueues::poll_wqueues()
{
    pt.qproc = add_entry;
}

void *poll_wqueues::next_slot()
{
    if (room.used < INLINE_ENTRIES)
        return room.at(room.used++);
    if (!chunks || chunks->room.used == CHUNK_ENTRIES) {
        auto *c = knew<entry_chunk>(GFP_KERNEL);
        if (!c)
            return nullptr;
        c->next = chunks;
        chunks = c;
    }
    return chunks->room.at(chunks->room.used++);
}

void drop_entry(poll_table_entry *e)
{
    remove_wait_queue(e->head, &e->wait);
    file *f = e->filp;
    e->~poll_table_entry();
    fput(f);
}

poll_wqueues::~poll_wqueues()
{
    for (unsigned i = 0; i < room.used; i++)
        drop_entry(room.at(i));
    while (entry_chunk *c = chunks) {
        chunks = c->next;
        for (unsigned i = 0; i < c->room.used; i++)
            drop_entry(c->room.at(i));
        kdelete(c);
    }
}

/// Sleep unless something was triggered since the last look. False: the time is over.
[[gnu::noinline]] int poll_schedule_timeout(poll_wqueues &pwq, u64 expires)
{
    int r = -EINTR;
    set_current_state(TASK_INTERRUPTIBLE);
    if (!pwq.triggered.load(std::memory_order_acquire))
        r = schedule_hrtimeout(expires);
    current()->state.store(TASK_RUNNING, std::memory_order_relaxed);
    pwq.triggered.store(false, std::memory_order_relaxed);
    smp_mb();
    return r;
}

/// Run `look` (returns how many are ready; registers while pt is given) until it finds something or the time is over.
template <class F>
result<int> poll_loop(u64 expires, F look)
{
    poll_wqueues pwq;
    poll_table *pt = expires ? &pwq.pt : nullptr;
    bool timed_out = expires == 0;
    for (;;) {
        int ready = look(pwq, pt);
        pt = nullptr; // on all queues now
        if (ready)
            return ready;
        if (pwq.no_memory)
            return error{ENOMEM};
        if (signal_pending())
            return error{EINTR};
        if (timed_out)
            return 0;
        timed_out = poll_schedule_timeout(pwq, expires) == 0;
    }
}

/// Events of one descriptor, POLLNVAL if it is not open.
u32 look_at(int fd, u32 events, poll_wqueues &pwq, poll_table *pt)
{
    bool put;
    file *f = fget_light(fd, &put);
    if (!f)
        return POLLNVAL;
    pwq.key = events;
    u32 mask = vfs_poll(f, pt) & events;
    fput_light(f, put);
    return mask;
}
} // namespace

result<int> do_poll(pollfd *fds, unsigned n, u64 expires)
{
    return poll_loop(expires, [=](poll_wqueues &pwq, poll_table *pt) {
        int ready = 0;
        for (unsigned i = 0; i < n; i++) {
            fds[i].revents = 0;
            if (fds[i].fd < 0)
                continue;
            u32 want = static_cast<u16>(fds[i].events) | POLLERR | POLLHUP;
            fds[i].revents = static_cast<s16>(look_at(fds[i].fd, want, pwq, pt));
            if (fds[i].revents) {
                ready++;
                pt = nullptr; // the call will not sleep
            }
        }
        return ready;
    });
}

namespace
{
constexpr u32 POLLIN_SET = POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR;
constexpr u32 POLLOUT_SET = POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR;
constexpr u32 POLLEX_SET = POLLPRI;

/// One pass over the bitmaps: bits ready, or -EBADF.
int select_look(unsigned n, unsigned words, const u64 *in, u64 *out, poll_wqueues &pwq,
                poll_table *pt)
{
    constexpr u32 sets[3] = {POLLIN_SET, POLLOUT_SET, POLLEX_SET};
    int ready = 0;
    memset(out, 0, 3 * words * sizeof(u64));
    for (unsigned fd = 0; fd < n; fd++) {
        unsigned w = fd / 64;
        u64 bit = u64{1} << (fd % 64);
        u32 want = 0;
        for (unsigned k = 0; k < 3; k++)
            if (in[k * words + w] & bit)
                want |= sets[k];
        if (!want) {
            if (!(fd % 64) && !(in[w] | in[words + w] | in[2 * words + w]))
                fd += 63;
            continue;
        }
        u32 mask = look_at(static_cast<int>(fd), want, pwq, pt);
        if (mask == POLLNVAL)
            return -EBADF;
        for (unsigned k = 0; k < 3; k++)
            if ((in[k * words + w] & bit) && (mask & sets[k])) {
                out[k * words + w] |= bit;
                ready++;
                pt = nullptr;
            }
    }
    return ready;
}
} // namespace

result<int> do_select(unsigned n, unsigned words, const u64 *in, u64 *out, u64 expires)
{
    auto r = poll_loop(expires, [=](poll_wqueues &pwq, poll_table *pt) {
        return select_look(n, words, in, out, pwq, pt);
    });
    if (r && *r < 0)
        return error{static_cast<errno_t>(-*r)};
    return r;
}
