// SPDX-License-Identifier: MIT
// poll, ppoll, select, pselect6: time-outs, signal masks and user memory around fs/select.cc. Linux: fs/select.c. Process context.

#include "fs/file.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "sched/signal.h"
#include "syscall/file.h"
#include "syscall/timeout.h"

namespace
{
/// Store what is left of the time, as Linux does. A failing store changes nothing else, but that a signal ends the call; otherwise it
/// goes on after one without a handler (stop and continue).
template <class T>
result<int> write_remaining(result<int> done, user_ptr<T> user, u64 expires, s64 T::*fraction,
                            s64 unit_ns)
{
    bool again = done.err() == EINTR;
    if (!user || expires == FOREVER) {
        if (again)
            return error{ERESTARTNOHAND};
        return done;
    }
    u64 now = ktime_get(), left = expires > now ? expires - now : 0;
    T t;
    t.sec = static_cast<s64>(left / NSEC_PER_SEC);
    t.*fraction = static_cast<s64>(left % NSEC_PER_SEC) / unit_ns;
    bool stored = !put_user(user, t).err();
    if (again && stored)
        return error{ERESTARTNOHAND};
    return done;
}

/// Only revents goes back: another thread may be using the rest of the array.
result<int> poll_copied(pollfd *fds, user_ptr<pollfd> ufds, u32 n, u64 expires)
{
    TRY_VOID(copy_from_user(fds, ufds.cast<const void>(), n * sizeof(pollfd)));
    int ready = TRY(do_poll(fds, n, expires));
    for (u32 i = 0; i < n; i++)
        TRY_VOID(
            put_user(user_ptr<s16>{(ufds + i).addr() + offsetof(pollfd, revents)}, fds[i].revents));
    return ready;
}

result<int> poll_user(user_ptr<pollfd> ufds, u32 n, u64 expires)
{
    constexpr u32 FAST = 8;
    if (n > rlimit_nofile())
        return error{EINVAL};
    pollfd fast[FAST];
    if (n <= FAST)
        return poll_copied(fast, ufds, n, expires);
    auto *fds = static_cast<pollfd *>(kmalloc(n * sizeof(pollfd), GFP_KERNEL));
    if (!fds)
        return error{ENOMEM};
    auto r = poll_copied(fds, ufds, n, expires);
    kfree(fds);
    return r;
}

enum poll_arg { FDS, COUNT, EXPIRES };
s64 restart_poll(restart_block *b);

/// A poll keeps its end when it is restarted.
result<int> poll_restartable(user_ptr<pollfd> ufds, u32 n, u64 expires)
{
    auto r = poll_user(ufds, n, expires);
    if (r.err() != EINTR)
        return r;
    restart_block &b = current()->sig.restart_at;
    b.fn = restart_poll;
    b.arg[FDS] = ufds.addr();
    b.arg[COUNT] = n;
    b.arg[EXPIRES] = expires;
    return error{ERESTART_RESTARTBLOCK};
}

s64 restart_poll(restart_block *b)
{
    auto r = poll_restartable(user_ptr<pollfd>{b->arg[FDS]}, static_cast<u32>(b->arg[COUNT]),
                              b->arg[EXPIRES]);
    return r ? s64{*r} : -static_cast<s64>(r.err());
}
} // namespace

result<int> sys_poll(user_ptr<pollfd> fds, u32 n, int timeout_ms)
{
    u64 expires = timeout_ms < 0    ? FOREVER
                  : timeout_ms == 0 ? 0
                                    : deadline(static_cast<u64>(timeout_ms) * NSEC_PER_MSEC);
    return poll_restartable(fds, n, expires);
}

result<int> sys_ppoll(user_ptr<pollfd> fds, u32 n, user_ptr<timespec64_abi> timeout, u64 sigmask,
                      u64 sigsetsize)
{
    u64 expires = TRY(read_timeout(timeout, &timespec64_abi::nsec, 1));
    TRY_VOID(set_user_sigmask(sigmask, sigsetsize));
    auto r = poll_user(fds, n, expires);
    restore_user_sigmask(r.err() == EINTR);
    return write_remaining(std::move(r), timeout, expires, &timespec64_abi::nsec, 1);
}

namespace
{
/// Copy one bitmap of n bits in; the bytes beyond are zero.
result<void> get_set(u64 *to, user_ptr<u64> from, unsigned n)
{
    return from ? copy_from_user(to, from.cast<const void>(), (n + 63) / 64 * 8) : result<void>{};
}

result<void> put_set(user_ptr<u64> to, const u64 *from, unsigned n)
{
    return to ? copy_to_user(to.cast<void>(), from, (n + 63) / 64 * 8) : result<void>{};
}

result<int> select_sets(unsigned n, unsigned words, u64 *maps, const user_ptr<u64> sets[3],
                        u64 expires)
{
    u64 *in = maps, *out = maps + 3 * words;
    for (unsigned k = 0; k < 3; k++)
        TRY_VOID(get_set(in + k * words, sets[k], n));
    int ready = TRY(do_select(n, words, in, out, expires));
    for (unsigned k = 0; k < 3; k++)
        TRY_VOID(put_set(sets[k], out + k * words, n));
    return ready;
}

result<int> select_user(int n, const user_ptr<u64> sets[3], u64 expires)
{
    constexpr unsigned FAST_WORDS = 2;
    if (n < 0)
        return error{EINVAL};
    files_struct *files = current()->files;
    auto count =
        min(static_cast<unsigned>(n), files ? files_max(files) : 0); // nothing is open beyond
    unsigned words = max(1u, (count + 63) / 64);
    u64 fast[6 * FAST_WORDS] = {}, *maps = fast;
    if (words > FAST_WORDS)
        maps = static_cast<u64 *>(kzalloc(6 * words * sizeof(u64), GFP_KERNEL));
    if (!maps)
        return error{ENOMEM};
    auto r = select_sets(count, words, maps, sets, expires);
    if (maps != fast)
        kfree(maps);
    return r;
}
} // namespace

result<int> sys_select(int n, user_ptr<u64> in, user_ptr<u64> out, user_ptr<u64> ex,
                       user_ptr<timeval_abi> timeout)
{
    // Unlike the other calls' times, a timeval may have a second's worth of microseconds too many.
    timeval_abi t{};
    u64 expires = FOREVER;
    if (timeout) {
        TRY_VOID(get_user(t, timeout));
        s64 sec = t.sec + t.usec / 1'000'000, usec = t.usec % 1'000'000;
        if (sec < 0 || usec < 0)
            return error{EINVAL};
        if (static_cast<u64>(sec) < FOREVER / NSEC_PER_SEC - 1)
            expires = sec || usec ? deadline(static_cast<u64>(sec) * NSEC_PER_SEC +
                                             static_cast<u64>(usec) * NSEC_PER_USEC)
                                  : 0;
    }
    const user_ptr<u64> sets[3] = {in, out, ex};
    auto r = select_user(n, sets, expires);
    return write_remaining(std::move(r), timeout, expires, &timeval_abi::usec, 1000);
}

result<int> sys_pselect6(int n, user_ptr<u64> in, user_ptr<u64> out, user_ptr<u64> ex,
                         user_ptr<timespec64_abi> timeout, user_ptr<u64> sig)
{
    u64 mask[2] = {0, 0}; // address of the set and its size
    if (sig)
        TRY_VOID(copy_from_user(mask, sig.cast<const void>(), sizeof mask));
    u64 expires = TRY(read_timeout(timeout, &timespec64_abi::nsec, 1));
    TRY_VOID(set_user_sigmask(mask[0], mask[1]));
    const user_ptr<u64> sets[3] = {in, out, ex};
    auto r = select_user(n, sets, expires);
    restore_user_sigmask(r.err() == EINTR);
    return write_remaining(std::move(r), timeout, expires, &timespec64_abi::nsec, 1);
}
