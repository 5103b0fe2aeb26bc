// SPDX-License-Identifier: MIT
// Pipes and FIFOs: a ring of buffers, a page each. Linux: fs/pipe.c. Process context.
//
// Locks: pipe.lock (a mutex) for everything; the wait queue is used without it. A pipe belongs to its inode: an anonymous one dies with
// it, a FIFO's when the last opener goes. Writes of at most PIPE_BUF bytes (a page) are never split (POSIX).

#include "fs/pipe.h"
#include "fs/fasync.h"
#include "fs/ioctl.h"
#include "fs/pipe_internal.h"
#include "lib/string.h"
#include "sched/sched.h"

pipe_inode_info *pipe_of(const file *f)
{
    return static_cast<pipe_inode_info *>(f->private_data);
}

void pipe_wake_readers(pipe_inode_info *p)
{
    wake_up_interruptible_sync_poll(&p->wait, POLLIN | POLLRDNORM);
    kill_fasync(&p->fasync_readers, SIGIO, POLL_IN);
}

void pipe_wake_writers(pipe_inode_info *p)
{
    wake_up_interruptible_sync_poll(&p->wait, POLLOUT | POLLWRNORM);
    kill_fasync(&p->fasync_writers, SIGIO, POLL_OUT);
}

[[gnu::noinline]] int pipe_wait_readable(pipe_inode_info *p)
{
    return wait_event_interruptible(&p->wait, p->readable() || p->at_end());
}

[[gnu::noinline]] int pipe_wait_room(pipe_inode_info *p)
{
    return wait_event_interruptible(&p->wait, p->room() || !read_once(p->readers));
}

namespace
{
constexpr unsigned MAX_BUFFERS =
    256; // F_SETPIPE_SZ: up to 1 MiB, as for Linux's users without privilege

/// What a pipe counts of the two ends a file opens.
bool reads(const file *f)
{
    return f->f_mode & FMODE_READ;
}
bool writes(const file *f)
{
    return f->f_mode & FMODE_WRITE;
}

pipe_buffer *alloc_buffers(unsigned n)
{
    return static_cast<pipe_buffer *>(kzalloc(n * sizeof(pipe_buffer), GFP_KERNEL));
}

pipe_inode_info *pipe_alloc()
{
    auto *p = knew<pipe_inode_info>(GFP_KERNEL);
    if (!p)
        return nullptr;
    p->buffers = PIPE_DEF_BUFFERS;
    p->bufs = alloc_buffers(p->buffers);
    if (!p->bufs) {
        kdelete(p);
        return nullptr;
    }
    return p;
}

void pipe_free(pipe_inode_info *p)
{
    for (unsigned i = 0; i < p->nrbufs; i++)
        put_page(p->at(i).pg);
    if (p->tmp_page)
        put_page(p->tmp_page);
    kfree(p->bufs);
    kdelete(p);
}

/// The front buffer goes; its page is kept for the next write if nobody else has it. Lock held.
void drop_front(pipe_inode_info *p)
{
    page *pg = p->at(0).pg;
    if (!p->tmp_page && pg->refs.load(std::memory_order_acquire) == 1)
        p->tmp_page = pg;
    else
        put_page(pg);
    p->first = (p->first + 1) & (p->buffers - 1);
    p->nrbufs--;
}

/// Move bytes out of the ring; at most one packet. Lock held.
result<size_t> take(pipe_inode_info *p, iov_iter &to)
{
    size_t done = 0;
    bool packet = false;
    while (to.count() && p->nrbufs && !packet) {
        pipe_buffer &b = p->at(0);
        size_t n = min<size_t>(to.count(), b.len);
        if (!to.copy_to(b.data(), n)) {
            if (done)
                break;
            return error{EFAULT};
        }
        done += n;
        b.offset += static_cast<u32>(n);
        b.len -= static_cast<u32>(n);
        packet = b.flags & PIPE_BUF_PACKET; // what does not fit is lost
        if (!b.len || packet)
            drop_front(p);
    }
    return done;
}

/// Put what does not fill whole pages behind the last write, if all of it fits there. Lock held.
result<size_t> give_behind(pipe_inode_info *p, iov_iter &from)
{
    size_t odd = from.count() % PAGE_SIZE;
    if (!odd || !p->nrbufs)
        return size_t{0};
    pipe_buffer &b = p->at(p->nrbufs - 1);
    if (!(b.flags & PIPE_BUF_MERGE) || b.offset + b.len + odd > PAGE_SIZE)
        return size_t{0};
    TRY_VOID(from.copy_from(b.data() + b.len, odd));
    b.len += static_cast<u32>(odd);
    return odd;
}

/// Move bytes into free buffers, as many as fit. Lock held.
result<size_t> give(pipe_inode_info *p, iov_iter &from, u8 flags)
{
    size_t done = 0;
    while (from.count() && p->room()) {
        page *pg = p->tmp_page ? p->tmp_page : alloc_pages(GFP_KERNEL, 0);
        p->tmp_page = nullptr;
        size_t n = min(from.count(), PAGE_SIZE);
        bool copied = pg && from.copy_from(page_address(pg), n);
        if (!copied) {
            p->tmp_page = pg;
            if (done)
                break;
            return error{pg ? EFAULT : ENOMEM};
        }
        p->at(p->nrbufs++) = {pg, 0, static_cast<u32>(n), flags};
        done += n;
    }
    return done;
}

/// One look at the pipe for a read: 0 at its end, EAGAIN when nothing is there now. Lock not held.
result<size_t> read_some(pipe_inode_info *p, iov_iter &to)
{
    mutex_guard g{p->lock};
    if (p->readable())
        return take(p, to);
    return p->at_end() ? result<size_t>{size_t{0}} : result<size_t>{error{EAGAIN}};
}

result<size_t> pipe_read(file *f, iov_iter &to, u64 *)
{
    pipe_inode_info *p = pipe_of(f);
    if (!to.count())
        return size_t{0};
    for (;;) {
        auto r = read_some(p, to);
        if (r && *r)
            pipe_wake_writers(p);
        if (r || r.err() != EAGAIN || (f->f_flags & O_NONBLOCK))
            return r;
        if (pipe_wait_readable(p))
            return error{ERESTARTSYS};
    }
}

/// One look at the pipe for a write: 0 when there is no room. Lock not held.
result<size_t> write_some(pipe_inode_info *p, iov_iter &from, u8 flags, bool first)
{
    mutex_guard g{p->lock};
    if (!p->readers)
        return error{EPIPE};
    size_t behind = first ? TRY(give_behind(p, from)) : 0;
    auto r = give(p, from, flags);
    if (!r && behind)
        return behind;
    return r ? result<size_t>{*r + behind} : result<size_t>{r.fail()};
}

result<size_t> pipe_write(file *f, iov_iter &from, u64 *)
{
    pipe_inode_info *p = pipe_of(f);
    size_t done = 0, all = from.count();
    u8 flags = f->f_flags & O_DIRECT ? PIPE_BUF_PACKET : PIPE_BUF_MERGE;
    for (bool first = true; done < all; first = false) {
        auto r = write_some(p, from, flags, first);
        errno_t why{};
        if (!r)
            why = static_cast<errno_t>(r.err());
        else
            done += *r;
        pipe_wake_readers(p);
        if (done == all)
            break;
        if (!why && (f->f_flags & O_NONBLOCK))
            why = EAGAIN;
        if (!why && pipe_wait_room(p))
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
        if (p->readable())
            mask |= POLLIN | POLLRDNORM;
        if (!read_once(p->writers) && p->w_opens)
            mask |= POLLHUP;
    }
    if (writes(f)) {
        if (p->room())
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
    pipe_inode_info *p = pipe_of(f);
    int n = 0;
    {
        mutex_guard g{p->lock};
        for (unsigned i = 0; i < p->nrbufs; i++)
            n += static_cast<int>(p->at(i).len);
    }
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
    auto w = p ? alloc_file(*d, O_WRONLY | (flags & (O_NONBLOCK | O_DIRECT)), &fifo_operations)
               : result<file *>{error{ENFILE}};
    auto r = w ? alloc_file(*d, O_RDONLY | (flags & (O_NONBLOCK | O_DIRECT)), &fifo_operations)
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
    return static_cast<unsigned>(pipe_of(f)->buffers * PAGE_SIZE);
}

result<unsigned> pipe_set_size(file *f, u64 bytes)
{
    if (bytes > MAX_BUFFERS * PAGE_SIZE)
        return error{capable(CAP_SYS_RESOURCE) ? EINVAL : EPERM};
    if (!bytes)
        return error{EINVAL};
    unsigned want = 1;
    while (want * PAGE_SIZE < bytes)
        want *= 2;
    pipe_buffer *bufs = alloc_buffers(want);
    if (!bufs)
        return error{ENOMEM};
    pipe_inode_info *p = pipe_of(f);
    {
        mutex_guard g{p->lock};
        if (want < p->nrbufs + p->reserved) {
            kfree(bufs);
            return error{EBUSY};
        }
        for (unsigned i = 0; i < p->nrbufs; i++)
            bufs[i] = p->at(i);
        kfree(p->bufs);
        p->bufs = bufs;
        p->buffers = want;
        p->first = 0;
    }
    wake_up_all(&p->wait);
    return static_cast<unsigned>(want * PAGE_SIZE);
}

void pipe_consume(pipe_inode_info *p, size_t n)
{
    while (n) {
        pipe_buffer &b = p->at(0);
        u32 part = static_cast<u32>(min<size_t>(n, b.len));
        b.offset += part;
        b.len -= part;
        n -= part;
        if (!b.len)
            drop_front(p);
    }
}
