// SPDX-License-Identifier: MIT
// splice, tee and vmsplice: data between a pipe and a file, two pipes, a pipe and user memory. Linux: fs/splice.c. Process context.
//
// Locks: pipe.lock, one at a time and never while a file or user memory is touched: see fs/pipe_internal.h. Nothing is lost when the
// other side takes less than it was offered or fails.

#include "fs/pipe.h"
#include "fs/pipe_internal.h"
#include "mm/page.h"
#include "sched/sched.h"

namespace
{
constexpr unsigned BATCH = PIPE_DEF_BUFFERS;

/// The front of a pipe for one who will take data from it, until it is released.
class front_claim : pinned
{
public:
    explicit front_claim(pipe_inode_info *p) : p_{p} {}
    ~front_claim() { release(0); }

    /// Claim the front as soon as there is data. False: there is none, and will be none (or `wait` is false). EAGAIN, ERESTARTSYS.
    result<bool> get(bool wait, bool nonblock)
    {
        for (;;) {
            {
                mutex_guard g{p_->lock};
                if (p_->readable()) {
                    p_->claimed = mine_ = true;
                    return true;
                }
                if (!wait || p_->at_end())
                    return false;
            }
            if (nonblock)
                return error{EAGAIN};
            if (pipe_wait_readable(p_))
                return error{ERESTARTSYS};
        }
    }

    /// The first buffers, at most BATCH and `len` bytes; each with a reference of its page. `share`: their pages go into another pipe,
    /// so nobody may write behind the data.
    unsigned peek(pipe_buffer *out, unsigned max, size_t len, bool share)
    {
        mutex_guard g{p_->lock};
        unsigned n = 0;
        for (; n < min(max, BATCH) && n < p_->nrbufs && len; n++) {
            pipe_buffer &b = p_->at(n);
            if (share)
                b.flags &= static_cast<u8>(~PIPE_BUF_MERGE);
            out[n] = b;
            out[n].len = static_cast<u32>(min<size_t>(b.len, len));
            len -= out[n].len;
            get_page(b.pg);
        }
        return n;
    }

    /// Take `n` bytes, and let others read.
    void release(size_t n)
    {
        if (!mine_)
            return;
        {
            mutex_guard g{p_->lock};
            pipe_consume(p_, n);
            p_->claimed = mine_ = false;
        }
        if (n)
            pipe_wake_writers(p_);
        wake_up_interruptible_sync_poll(&p_->wait, POLLIN | POLLRDNORM);
    }

private:
    pipe_inode_info *p_;
    bool mine_ = false;
};

/// Free buffers of a pipe for one who will fill them.
class room_claim : pinned
{
public:
    explicit room_claim(pipe_inode_info *p) : p_{p} {}
    ~room_claim() { fill(nullptr, 0); }

    /// Reserve up to `want` buffers, at least one. EPIPE (with the signal), EAGAIN, ERESTARTSYS.
    result<unsigned> get(size_t want, bool nonblock)
    {
        for (;;) {
            bool gone;
            {
                mutex_guard g{p_->lock};
                gone = !p_->readers;
                n_ = gone ? 0 : static_cast<unsigned>(min<size_t>(min(p_->room(), BATCH), want));
                p_->reserved += n_;
            }
            if (n_)
                return n_;
            if (gone) {
                send_signal(current(), SIGPIPE);
                return error{EPIPE};
            }
            if (nonblock)
                return error{EAGAIN};
            if (pipe_wait_room(p_))
                return error{ERESTARTSYS};
        }
    }

    /// Put `n` buffers, whose pages now are the pipe's, into the place; give back the rest.
    void fill(const pipe_buffer *bufs, unsigned n)
    {
        if (!n_)
            return;
        {
            mutex_guard g{p_->lock};
            p_->reserved -= n_;
            for (unsigned i = 0; i < n; i++)
                p_->at(p_->nrbufs++) = bufs[i];
        }
        if (n)
            pipe_wake_readers(p_);
        if (n < n_)
            wake_up_interruptible_sync_poll(&p_->wait, POLLOUT | POLLWRNORM);
        n_ = 0;
    }

private:
    pipe_inode_info *p_;
    unsigned n_ = 0;
};

void put_buffers(const pipe_buffer *b, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        put_page(b[i].pg);
}

/// One step into a pipe: `source(pieces, n)` fills memory and says how much.
template <class Source>
result<size_t> fill_once(pipe_inode_info *p, size_t len, bool nonblock, Source source)
{
    room_claim room{p};
    unsigned want = TRY(room.get((len + PAGE_SIZE - 1) / PAGE_SIZE, nonblock)), n = 0;
    pipe_buffer b[BATCH];
    iov_iter::piece v[BATCH];
    for (; n < want && len; n++) {
        page *pg = alloc_pages(GFP_KERNEL, 0);
        if (!pg)
            break;
        b[n] = {pg, 0, static_cast<u32>(min(len, PAGE_SIZE)), PIPE_BUF_MERGE};
        v[n] = {reinterpret_cast<u64>(page_address(pg)), b[n].len};
        len -= b[n].len;
    }
    auto got = n ? source(v, n) : result<size_t>{error{ENOMEM}};
    size_t left = got ? *got : 0;
    unsigned used = 0;
    for (; used < n && left; used++) {
        b[used].len = static_cast<u32>(min<size_t>(left, b[used].len));
        left -= b[used].len;
    }
    put_buffers(b + used, n - used);
    room.fill(b, used);
    return got;
}

/// Fill a pipe until it is full, `len` bytes are there, or the source gives less than it was asked for. `once`: the source may
/// block, so it is asked only once.
template <class Source>
result<size_t> fill_pipe(pipe_inode_info *p, size_t len, bool nonblock, bool once, Source source)
{
    size_t done = 0;
    while (done < len) {
        size_t want = min(len - done, BATCH * PAGE_SIZE);
        auto got = fill_once(p, want, nonblock || done, source);
        if (!got && !done)
            return got;
        if (!got || !*got)
            break;
        done += *got;
        if (once || *got % PAGE_SIZE || signal_pending())
            break;
        cond_resched();
    }
    return done;
}

/// Empty a pipe into `sink(pieces, n)`, which says how much it took: `len` bytes, or what there is. Waits for the first only.
template <class Sink>
result<size_t> drain_pipe(pipe_inode_info *p, size_t len, bool nonblock, Sink sink)
{
    size_t done = 0;
    while (done < len && !(done && signal_pending())) {
        front_claim front{p};
        if (!TRY(front.get(!done, nonblock)))
            break;
        pipe_buffer b[BATCH];
        iov_iter::piece v[BATCH];
        unsigned n = front.peek(b, BATCH, len - done, false);
        size_t offered = 0;
        for (unsigned i = 0; i < n; i++) {
            v[i] = {reinterpret_cast<u64>(b[i].data()), b[i].len};
            offered += b[i].len;
        }
        auto put = sink(v, n);
        put_buffers(b, n);
        front.release(put ? *put : 0);
        if (!put && !done)
            return put;
        done += put ? *put : 0;
        if (!put || *put < offered)
            break;
        cond_resched();
    }
    return done;
}

/// One step from pipe to pipe; 0: nothing more, or (`wait` false) nothing now.
result<size_t> link_once(pipe_inode_info *in, pipe_inode_info *out, size_t len, bool wait,
                         bool nonblock, bool keep)
{
    for (;;) {
        {
            front_claim look{
                in}; // only to wait: whoever waits for room must not hold up other readers
            if (!TRY(look.get(wait, nonblock)))
                return size_t{0};
        }
        room_claim room{out};
        unsigned free = TRY(room.get(BATCH, nonblock || !wait));
        front_claim front{in};
        if (!TRY(front.get(false, false)))
            continue; // somebody read it meanwhile
        pipe_buffer b[BATCH];
        unsigned n = front.peek(b, free, len, true);
        size_t moved = 0;
        for (unsigned i = 0; i < n; i++)
            moved += b[i].len;
        room.fill(b, n);
        front.release(keep ? 0 : moved);
        return moved;
    }
}

result<size_t> splice_pipes(pipe_inode_info *in, pipe_inode_info *out, size_t len, bool nonblock)
{
    if (in == out)
        return error{EINVAL};
    size_t done = 0;
    while (done < len) {
        auto r = link_once(in, out, len - done, !done, nonblock, false);
        if (!r && !done)
            return r;
        if (!r || !*r)
            break;
        done += *r;
    }
    return done;
}
} // namespace

result<size_t> do_splice(file *in, u64 *in_pos, file *out, u64 *out_pos, size_t len, u32 flags)
{
    bool from = is_pipe(in), to = is_pipe(out), nonblock = flags & SPLICE_F_NONBLOCK;
    if (!(in->f_mode & FMODE_READ) || !(out->f_mode & FMODE_WRITE))
        return error{EBADF};
    if ((from && in_pos) || (to && out_pos))
        return error{ESPIPE};
    if (from && to)
        return splice_pipes(pipe_of(in), pipe_of(out), len, nonblock);
    if (from) {
        if ((out_pos && !out->f_op->llseek) || (out->f_flags & O_APPEND))
            return error{EINVAL};
        return drain_pipe(pipe_of(in), len, nonblock, [&](iov_iter::piece *v, unsigned n) {
            iov_iter it = iov_iter::kernel_vec(v, n);
            return vfs_write(out, it, out_pos ? out_pos : &out->f_pos);
        });
    }
    if (!to || (in_pos && !in->f_op->llseek))
        return error{EINVAL};
    bool once = !s_isreg(in->f_inode->mode);
    return fill_pipe(pipe_of(out), len, nonblock, once, [&](iov_iter::piece *v, unsigned n) {
        iov_iter it = iov_iter::kernel_vec(v, n);
        return vfs_read(in, it, in_pos ? in_pos : &in->f_pos);
    });
}

result<size_t> do_tee(file *in, file *out, size_t len, u32 flags)
{
    if (!(in->f_mode & FMODE_READ) || !(out->f_mode & FMODE_WRITE))
        return error{EBADF};
    if (!is_pipe(in) || !is_pipe(out) || pipe_of(in) == pipe_of(out))
        return error{EINVAL};
    return link_once(pipe_of(in), pipe_of(out), len, true, flags & SPLICE_F_NONBLOCK, true);
}

result<size_t> do_vmsplice(file *f, iov_iter it, u32 flags)
{
    if (!is_pipe(f))
        return error{EBADF};
    pipe_inode_info *p = pipe_of(f);
    bool nonblock = flags & SPLICE_F_NONBLOCK, in = f->f_mode & FMODE_WRITE;
    // Pieces are moved one after the other: what was moved counts if a later one cannot be touched.
    auto each = [&](iov_iter::piece *v, unsigned n) -> result<size_t> {
        size_t done = 0;
        for (unsigned i = 0; i < n; i++) {
            auto *at = reinterpret_cast<void *>(v[i].base);
            if (!(in ? it.copy_from(at, v[i].len) : it.copy_to(at, v[i].len))) {
                if (!done)
                    return error{EFAULT};
                break;
            }
            done += v[i].len;
        }
        return done;
    };
    return in ? fill_pipe(p, it.count(), nonblock, false, each)
              : drain_pipe(p, it.count(), nonblock, each);
}
