// SPDX-License-Identifier: MIT
// How a system call is written. A call `name` is a typed function in one of syscall/*.cc, declared
// in a header next to it that table.cc includes, and listed in syscall/table.h:
//
//     result<size_t> sys_read(int fd, user_ptr<void> buf, size_t n);          // syscall/file.h
//     SYSCALL(0, read)                                                        // syscall/table.h
//
// Parameters (at most six): integers (cut to their type, as in Linux), user_ptr<T>, or a leading
// `pt_regs *` for calls that work on the user's registers. Result: result<T> with T integral, or
// result<void> = 0; errors become -errno here, at this one place. ERESTARTSYS asks for the call to
// be restarted after a signal (sched/signal.h).
#pragma once

#include "asm/ptregs.h"
#include "lib/result.h"
#include "mm/uaccess.h"

/// A number without a call: ENOSYS, and a line in the log the first time.
s64 sys_ni_syscall(pt_regs *regs);

/// One entry of the table.
struct syscall_entry {
    s64 (*call)(pt_regs *regs) = sys_ni_syscall;
    const char *name = nullptr; // null: there is no such call
    u8 nargs = 0;
};
/// Number of slots; numbers beyond it or without a function give ENOSYS.
constexpr unsigned NR_SYSCALLS = 512;
struct syscall_entries {
    syscall_entry entry[NR_SYSCALLS] = {};
};
extern const syscall_entries syscall_table;

namespace syscall_detail
{
/// A register as a parameter of type T.
template <class T>
inline T decode(u64 v)
{
    return static_cast<T>(v);
}

template <class T>
inline s64 encode(const result<T> &r)
{
    return r ? static_cast<s64>(*r) : -static_cast<s64>(r.err());
}
inline s64 encode(const result<void> &r)
{
    return -static_cast<s64>(r.err());
}

/// Whether the first parameter is the registers.
template <class... A>
constexpr bool takes_regs = false;
template <class... A>
constexpr bool takes_regs<pt_regs *, A...> = true;

/// Parameter I of a call, whose registers `r` are: a pt_regs * is passed on, the others are counted
/// from the first register.
template <bool Regs, size_t I, class T>
inline T argument(pt_regs *r)
{
    if constexpr (Regs && I == 0)
        return r;
    else
        return decode<T>(syscall_arg(r, I - Regs));
}

template <auto F>
struct glue;
template <class R, class... A, R (*F)(A...)>
struct glue<F> {
    static constexpr bool regs = takes_regs<A...>;
    static constexpr u8 nargs = sizeof...(A) - regs;
    static_assert(nargs <= 6);
    template <size_t... I>
    static s64 invoke([[maybe_unused]] pt_regs *r, std::index_sequence<I...>)
    {
        return encode(F(argument<regs, I, A>(r)...));
    }
    static s64 call(pt_regs *r) { return invoke(r, std::index_sequence_for<A...>{}); }
};
} // namespace syscall_detail
