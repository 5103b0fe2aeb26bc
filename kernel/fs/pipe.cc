// SPDX-License-Identifier: MIT
// Pipes and FIFOs: a ring of pages. Linux: fs/pipe.c. Process context.
//
// Locks: pipe.lock (a mutex) for everything; the wait queue is used without it. A pipe belongs to its inode: an anonymous one dies with
// it, a FIFO's when the last opener goes. Writes of at most PIPE_BUF bytes are never split (POSIX).

#include "fs/pipe.h"
#include "fs/fasync.h"
#include "fs/ioctl.h"
#include "lib/string.h"
#include "sched/sched.h"

namespace
{
constexpr size_t PIPE_BUF = 4096;
constexpr unsigned DEF_PAGES = 16,
                   MAX_PAGES =
                       256; // F_SETPIPE_SZ: up to 1 MiB, as for Linux's users without privilege

struct pipe_inode_info : pinned {
    mutex lock{"pipe.lock"};
    wait_queue_head wait;
    void **pages = nullptr; // ring; a page exists while it holds data
    unsigned nr_pages = 0;
    u64 tail = 0, head = 0; // bytes read and written, ever
    unsigned readers = 0, writers = 0;
    u32 r_opens = 0, w_opens = 0; // how often an end was opened: FIFO openers wait for a change
    unsigned files = 0;           // open files and openers; inode.i_mutex
    fasync_struct *fasync_readers = nullptr, *fasync_writers = nullptr;
    size_t used() const { return head - tail; }
    size_t capacity() const { return nr_pages * PAGE_SIZE; }
    void *&page_at(u64 pos) { return pages[pos / PAGE_SIZE % nr_pages]; }
};

/// What a pipe counts of the two ends a file opens.
bool reads(const file *f)
{
    return f->f_mode & FMODE_READ;
}
bool writes(const file *f)
{
    return f->f_mode & FMODE_WRITE;
}

pipe_inode_info *pipe_alloc()
{
    auto *p = knew<pipe_inode_info>(GFP_KERNEL);
    if (!p)
        return nullptr;
    p->nr_pages = DEF_PAGES;
    p->pages = static_cast<void **>(kzalloc(DEF_PAGES * sizeof(void *), GFP_KERNEL));
    if (!p->pages) {
        kdelete(p);
        return nullptr;
    }
    return p;
}

void pipe_free(pipe_inode_info *p)
{
    for (unsigned i = 0; i < p->nr_pages; i++)
        if (p->pages[i])
            free_pages(p->pages[i]);
    kfree(p->pages);
    kdelete(p);
}

pipe_inode_info *pipe_of(const file *f)
{
    return static_cast<pipe_inode_info *>(f->private_data);
}

/// Sleep until data (or space for `need` bytes), or the other end's disappearance. 0 or -ERESTARTSYS. Lock not held.
[[gnu::noinline]] int pipe_wait(pipe_inode_info *p, bool for_data, size_t need)
{
    return wait_event_interruptible(&p->wait, for_data ? p->used() || !read_once(p->writers)
                                                       : p->capacity() - p->used() >= need ||
                                                             !read_once(p->readers));
}

/// Move bytes out of the ring. Lock held.
result<size_t> take(pipe_inode_info *p, iov_iter &to)
{
    size_t done = 0;
    while (to.count() && p->used()) {
        size_t off = p->tail % PAGE_SIZE;
        size_t n = min(min(to.count(), p->used()), PAGE_SIZE - off);
        if (!to.copy_to(static_cast<u8 *>(p->page_at(p->tail)) + off, n)) {
            if (done)
                break;
            return error{EFAULT};
        }
        done += n;
        u64 old = p->tail;
        p->tail += n;
        // A page that was read to its end, or holds nothing more, goes back, unless the writer has wrapped onto it.
        if ((off + n == PAGE_SIZE &&
             (p->used() == 0 || &p->page_at(p->head - 1) != &p->page_at(old))) ||
            !p->used()) {
            free_pages(p->page_at(old));
            p->page_at(old) = nullptr;
            if (!p->used())
                p->tail = p->head = align_up(p->head, PAGE_SIZE);
        }
    }
    return done;
}

/// Move bytes into the ring, as many as fit. Lock held.
result<size_t> give(pipe_inode_info *p, iov_iter &from)
{
    size_t done = 0;
    while (from.count() && p->used() < p->capacity()) {
        size_t off = p->head % PAGE_SIZE;
        size_t n = min(min(from.count(), p->capacity() - p->used()), PAGE_SIZE - off);
        void *&pg = p->page_at(p->head);
        if (!pg && !(pg = get_free_pages(GFP_KERNEL, 0))) {
            if (done)
                break;
            return error{ENOMEM};
        }
        if (!from.copy_from(static_cast<u8 *>(pg) + off, n)) {
            if (done)
                break;
            return error{EFAULT};
        }
        p->head += n;
        done += n;
    }
    return done;
}

result<size_t> pipe_read(file *f, iov_iter &to, u64 *)
{
    pipe_inode_info *p = pipe_of(f);
    if (!to.count())
        return size_t{0};
    for (;;) {
        {
            mutex_guard g{p->lock};
            if (p->used()) {
                auto r = take(p, to);
                wake_up_interruptible_sync_poll(&p->wait, POLLOUT | POLLWRNORM);
                kill_fasync(&p->fasync_writers, SIGIO, POLL_OUT);
                return r;
            }
            if (!p->writers)
                return size_t{0};
        }
        if (f->f_flags & O_NONBLOCK)
            return error{EAGAIN};
        if (pipe_wait(p, true, 0))
            return error{ERESTARTSYS};
    }
}

result<size_t> pipe_write(file *f, iov_iter &from, u64 *)
{
    pipe_inode_info *p = pipe_of(f);
    size_t done = 0, all = from.count();
    while (done < all) {
        errno_t why{};
        {
            mutex_guard g{p->lock};
            size_t room = p->capacity() - p->used(), left = all - done;
            if (!p->readers) {
                why = EPIPE;
            } else if (room >= min(left, all <= PIPE_BUF ? left : 1)) {
                auto r = give(p, from);
                if (r)
                    done += *r;
                else
                    why = static_cast<errno_t>(r.err());
            }
        }
        wake_up_interruptible_sync_poll(&p->wait, POLLIN | POLLRDNORM);
        kill_fasync(&p->fasync_readers, SIGIO, POLL_IN);
        if (done == all)
            break;
        if (!why && (f->f_flags & O_NONBLOCK))
            why = EAGAIN;
        if (!why && pipe_wait(p, false, all <= PIPE_BUF ? all : 1))
            why = ERESTARTSYS;
        if (!why)
            continue;
        if (why == EPIPE)
            send_signal(current(), SIGPIPE);
        if (done)
            break;
        return error{why};
    }
    return done;
}

u32 pipe_poll(file *f, poll_table *pt)
{
    pipe_inode_info *p = pipe_of(f);
    poll_wait(f, &p->wait, pt);
    u32 mask = 0;
    if (reads(f)) {
        if (p->used())
            mask |= POLLIN | POLLRDNORM;
        if (!read_once(p->writers) && p->w_opens)
            mask |= POLLHUP;
    }
    if (writes(f)) {
        // Linux reports space as soon as one of its buffers is free.
        if (p->capacity() - p->used() >= PIPE_BUF)
            mask |= POLLOUT | POLLWRNORM;
        if (!read_once(p->readers))
            mask |= POLLERR;
    }
    return mask;
}

result<s64> pipe_ioctl(file *f, u32 cmd, u64 arg)
{
    if (cmd != FIONREAD)
        return error{ENOTTY};
    int n = static_cast<int>(pipe_of(f)->used());
    TRY_VOID(put_user(user_ptr<int>{arg}, n));
    return s64{0};
}

/// One user less; the last frees the pipe, and what was in a FIFO is forgotten. [P]
void put_pipe(inode *i, pipe_inode_info *p)
{
    bool last;
    {
        mutex_guard g{i->i_mutex};
        last = --p->files == 0;
        if (last)
            i->private_data = nullptr;
    }
    if (last)
        pipe_free(p);
}

void drop_end(pipe_inode_info *p, const file *f)
{
    {
        mutex_guard g{p->lock};
        p->readers -= reads(f);
        p->writers -= writes(f);
    }
    wake_up_all(&p->wait);
    kill_fasync(&p->fasync_readers, SIGIO, POLL_IN);
    kill_fasync(&p->fasync_writers, SIGIO, POLL_OUT);
}

result<void> pipe_fasync(int fd, file *f, bool on)
{
    pipe_inode_info *p = pipe_of(f);
    if (reads(f))
        TRY_VOID(fasync_helper(fd, f, on, &p->fasync_readers));
    if (!writes(f))
        return {};
    auto r = fasync_helper(fd, f, on, &p->fasync_writers);
    if (!r && reads(f)) // taking it off again cannot fail
        (void)fasync_helper(fd, f, false, &p->fasync_readers);
    return r;
}

void pipe_release(inode *i, file *f)
{
    drop_end(pipe_of(f), f);
    put_pipe(i, pipe_of(f));
}

/// Wait until the other end of a FIFO was opened once more than `seen` says. 0 or -ERESTARTSYS.
[[gnu::noinline]] int wait_for_partner(pipe_inode_info *p, const u32 *opens, u32 seen)
{
    return wait_event_interruptible(&p->wait, read_once(*opens) != seen);
}

/// Count the new end, and wait for the other as fifo(7) says. A pipe opened through /proc/<pid>/fd waits for nobody.
result<void> connect_fifo(pipe_inode_info *p, file *f, bool anonymous)
{
    u32 r_seen, w_seen;
    bool met; // the other end is open now; it may be closed again before we look once more
    bool nonblock = f->f_flags & O_NONBLOCK;
    {
        mutex_guard g{p->lock};
        r_seen = p->r_opens;
        w_seen = p->w_opens;
        met = reads(f) ? p->writers : p->readers;
        if (!anonymous && writes(f) && !reads(f) && nonblock && !p->readers)
            return error{ENXIO};
        p->r_opens += reads(f);
        p->w_opens += writes(f);
        p->readers += reads(f);
        p->writers += writes(f);
    }
    wake_up_all(&p->wait);
    if (anonymous || met)
        return {};
    int err = 0;
    if (reads(f) && !writes(f) && !nonblock)
        err = wait_for_partner(p, &p->w_opens, w_seen);
    else if (writes(f) && !reads(f))
        err = wait_for_partner(p, &p->r_opens, r_seen);
    if (err)
        drop_end(p, f);
    return err ? result<void>{error{ERESTARTSYS}} : result<void>{};
}

result<void> fifo_open(inode *i, file *f)
{
    pipe_inode_info *p;
    {
        mutex_guard g{i->i_mutex};
        p = static_cast<pipe_inode_info *>(i->private_data);
        if (!p && !(p = pipe_alloc()))
            return error{ENOMEM};
        i->private_data = p;
        p->files++;
    }
    f->private_data = p;
    auto r = connect_fifo(p, f, !i->i_sb);
    if (!r)
        put_pipe(i, p);
    return r;
}
} // namespace

const file_operations fifo_operations{
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .ioctl = pipe_ioctl,
    .open = fifo_open,
    .release = pipe_release,
    .fasync = pipe_fasync,
};

result<void> create_pipe_files(file **read_end, file **write_end, u32 flags)
{
    inode *i = new_inode(nullptr, S_IFIFO | 0600);
    if (!i)
        return error{ENFILE};
    i->i_fop = &fifo_operations; // open("/proc/self/fd/N") opens the pipe once more
    char name[32];
    snprintf(name, sizeof name, "pipe:[%llu]", static_cast<unsigned long long>(i->ino));
    auto d = d_alloc_pseudo(name, i);
    if (!d) {
        iput(i);
        return d.fail();
    }
    pipe_inode_info *p = pipe_alloc();
    auto w = p ? alloc_file(*d, O_WRONLY | (flags & O_NONBLOCK), &fifo_operations)
               : result<file *>{error{ENFILE}};
    auto r = w ? alloc_file(*d, O_RDONLY | (flags & O_NONBLOCK), &fifo_operations)
               : result<file *>{w.fail()};
    dput(*d);
    if (!r) {
        if (w) {
            (*w)->f_op = &bad_file_operations;
            fput(*w);
        }
        if (p)
            pipe_free(p);
        return r.fail();
    }
    i->private_data = (*w)->private_data = (*r)->private_data = p;
    p->files = 2;
    p->readers = p->writers = p->r_opens = p->w_opens = 1;
    *read_end = *r;
    *write_end = *w;
    return {};
}

bool is_pipe(const file *f)
{
    return f->f_op == &fifo_operations;
}

unsigned pipe_size(file *f)
{
    return static_cast<unsigned>(pipe_of(f)->capacity());
}

result<unsigned> pipe_set_size(file *f, u64 bytes)
{
    if (bytes > MAX_PAGES * PAGE_SIZE)
        return error{capable(CAP_SYS_RESOURCE) ? EINVAL : EPERM};
    if (!bytes)
        return error{EINVAL};
    unsigned want = 1;
    while (want * PAGE_SIZE < bytes)
        want *= 2;
    auto **pages = static_cast<void **>(kzalloc(want * sizeof(void *), GFP_KERNEL));
    if (!pages)
        return error{ENOMEM};
    pipe_inode_info *p = pipe_of(f);
    {
        mutex_guard g{p->lock};
        // Pages keep their order; positions start again so that the first page has slot 0.
        u64 base = align_down(p->tail, PAGE_SIZE);
        bool wrapped = p->used() && p->head - base > p->capacity();
        if (p->head - base > want * PAGE_SIZE || wrapped) {
            kfree(pages);
            return error{EBUSY};
        }
        for (u64 at = base; at < p->head; at += PAGE_SIZE)
            pages[(at - base) / PAGE_SIZE] = p->page_at(at);
        kfree(p->pages);
        p->pages = pages;
        p->nr_pages = want;
        p->tail -= base;
        p->head -= base;
    }
    wake_up_all(&p->wait);
    return static_cast<unsigned>(want * PAGE_SIZE);
}
