// SPDX-License-Identifier: MIT
// signalfd: signals of whoever reads, instead of handlers. Linux: fs/signalfd.c. Process context. No lock of its own: the mask
// is one word; signals are taken under the process's signal lock.

#include "fs/signalfd.h"
#include "fs/file.h"
#include "fs/seq_file.h"
#include "lib/string.h"
#include "sched/signal.h"

namespace
{
/// What a read gives for each signal (struct signalfd_siginfo, uapi/linux/signalfd.h).
struct signalfd_siginfo {
    u32 signo;
    s32 err, code;
    u32 pid, uid;
    s32 fd;
    u32 tid, band, overrun, trapno;
    s32 status, value;
    u64 pointer, utime, stime, addr;
    u16 addr_lsb;
    u8 pad[46];
};
static_assert(sizeof(signalfd_siginfo) == 128);

struct signalfd_ctx {
    u64 mask;
};

signalfd_ctx *ctx_of(file *f)
{
    return static_cast<signalfd_ctx *>(f->private_data);
}

bool is_fault(u32 sig)
{
    return sig == SIGSEGV || sig == SIGBUS || sig == SIGILL || sig == SIGFPE || sig == SIGTRAP;
}

signalfd_siginfo convert(const kernel_siginfo &k)
{
    signalfd_siginfo s{};
    s.signo = static_cast<u32>(k.signo);
    s.err = k.err;
    s.code = k.code;
    if (k.code == SI_TIMER) {
        s.tid = static_cast<u32>(k.timer.id);
        s.overrun = static_cast<u32>(k.timer.overrun);
        s.value = static_cast<s32>(k.timer.value);
        s.pointer = k.timer.value;
    } else if (k.code > SI_USER && k.code < SI_KERNEL && s.signo == SIGIO) {
        s.band = static_cast<u32>(k.poll.band);
        s.fd = k.poll.fd;
    } else if (k.code > SI_USER && k.code < SI_KERNEL && is_fault(s.signo)) {
        s.addr = k.addr;
    } else {
        s.pid = static_cast<u32>(k.p.pid);
        s.uid = k.p.uid;
        if (s.signo == SIGCHLD && k.code > SI_USER) {
            s.status = static_cast<s32>(k.p.value);
            s.utime = static_cast<u64>(k.p.utime);
            s.stime = static_cast<u64>(k.p.stime);
        } else {
            s.value = static_cast<s32>(k.p.value);
            s.pointer = k.p.value;
        }
    }
    return s;
}

[[gnu::noinline]] int signalfd_wait(u64 mask, kernel_siginfo *info, unsigned *sig)
{
    return wait_event_interruptible(signalfd_queue(current()->signal),
                                    (*sig = dequeue_signal(mask, info)) != 0);
}

result<size_t> signalfd_read(file *f, iov_iter &to, u64 *)
{
    u64 mask = read_once(ctx_of(f)->mask);
    size_t done = 0;
    while (to.count() >= sizeof(signalfd_siginfo)) {
        kernel_siginfo info;
        unsigned sig = dequeue_signal(mask, &info);
        if (!sig && done)
            break;
        if (!sig && (f->f_flags & O_NONBLOCK))
            return error{EAGAIN};
        if (!sig && signalfd_wait(mask, &info, &sig))
            return error{ERESTARTSYS};
        signalfd_siginfo s = convert(info);
        TRY_VOID(to.copy_to(&s, sizeof s));
        done += sizeof s;
    }
    if (!done)
        return error{EINVAL};
    return done;
}

u32 signalfd_poll(file *f, poll_table *pt)
{
    poll_wait(f, signalfd_queue(current()->signal), pt);
    return pending_signals(read_once(ctx_of(f)->mask)) ? POLLIN : 0;
}

void signalfd_release(inode *, file *f)
{
    kdelete(ctx_of(f));
}

void signalfd_fdinfo(seq_file *m, file *f)
{
    seq_printf(m, "sigmask:\t%016llx\n",
               static_cast<unsigned long long>(read_once(ctx_of(f)->mask)));
}

const file_operations signalfd_fops{
    .read = signalfd_read,
    .poll = signalfd_poll,
    .release = signalfd_release,
    .show_fdinfo = signalfd_fdinfo,
};
} // namespace

result<int> do_signalfd(int fd, u64 mask, u32 flags)
{
    if (flags & ~(O_CLOEXEC | O_NONBLOCK))
        return error{EINVAL};
    mask &= ~UNBLOCKABLE;
    if (fd != -1) {
        file_ptr f = TRY(fget(fd));
        if (f->f_op != &signalfd_fops)
            return error{EINVAL};
        write_once(ctx_of(f.get())->mask, mask);
        wake_up_all(signalfd_queue(current()->signal));
        return fd;
    }
    auto *c = knew<signalfd_ctx>(GFP_KERNEL, signalfd_ctx{mask});
    if (!c)
        return error{ENOMEM};
    auto new_fd = anon_inode_getfd("anon_inode:[signalfd]", &signalfd_fops, c,
                                   O_RDWR | (flags & (O_NONBLOCK | O_CLOEXEC)));
    if (!new_fd)
        kdelete(c);
    return new_fd;
}
