// SPDX-License-Identifier: MIT
// splice, tee, vmsplice: descriptors and positions. Linux: fs/splice.c. Process context.

#include "fs/iovec.h"
#include "fs/pipe.h"
#include "syscall/file.h"

namespace
{
constexpr u32 SPLICE_F_ALL = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT;

/// A position that the caller gave: read now, written back at the end.
class user_position : pinned
{
public:
    explicit user_position(user_ptr<s64> at) : at_{at} {}
    /// EFAULT; EINVAL: negative.
    result<void> read()
    {
        s64 v = 0;
        if (at_)
            TRY_VOID(get_user(v, at_));
        pos_ = static_cast<u64>(v);
        return v < 0 ? result<void>{error{EINVAL}} : result<void>{};
    }
    u64 *pos() { return at_ ? &pos_ : nullptr; }
    result<void> write() { return at_ ? put_user(at_, static_cast<s64>(pos_)) : result<void>{}; }

private:
    user_ptr<s64> at_;
    u64 pos_ = 0;
};
} // namespace

result<size_t> sys_splice(int in_fd, user_ptr<s64> in_off, int out_fd, user_ptr<s64> out_off,
                          size_t len, u32 flags)
{
    if (!len)
        return size_t{0};
    if (flags & ~SPLICE_F_ALL)
        return error{EINVAL};
    file_ptr in = TRY(fget(in_fd)), out = TRY(fget(out_fd));
    if ((in_off && is_pipe(in.get())) || (out_off && is_pipe(out.get())))
        return error{ESPIPE};
    user_position from{in_off}, to{out_off};
    TRY_VOID(to.read());
    TRY_VOID(from.read());
    size_t done =
        TRY(do_splice(in.get(), from.pos(), out.get(), to.pos(), min(len, MAX_RW_COUNT), flags));
    TRY_VOID(to.write());
    TRY_VOID(from.write());
    return done;
}

result<size_t> sys_tee(int in_fd, int out_fd, size_t len, u32 flags)
{
    if (flags & ~SPLICE_F_ALL)
        return error{EINVAL};
    if (!len)
        return size_t{0};
    file_ptr in = TRY(fget(in_fd)), out = TRY(fget(out_fd));
    return do_tee(in.get(), out.get(), min(len, MAX_RW_COUNT), flags);
}

result<size_t> sys_vmsplice(int fd, user_ptr<const void> vec, u64 n, u32 flags)
{
    if (flags & ~SPLICE_F_ALL)
        return error{EINVAL};
    file_ptr f = TRY(fget(fd));
    user_iovec v;
    TRY_VOID(v.import(vec, n));
    return v.iter().count() ? do_vmsplice(f.get(), v.iter(), flags) : result<size_t>{size_t{0}};
}
