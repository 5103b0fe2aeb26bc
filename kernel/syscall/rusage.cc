// SPDX-License-Identifier: MIT
// getrusage and the form in which wait4, waitid and it give resources. Linux: kernel/sys.c. Context:
// process. Locks: those of process_usage().

#include "syscall/rusage.h"
#include "sched/cputime.h"
#include "syscall/time.h"

namespace
{
void put_time(s64 to[2], u64 ns)
{
    to[0] = static_cast<s64>(ns / NSEC_PER_SEC);
    to[1] = static_cast<s64>(ns % NSEC_PER_SEC / NSEC_PER_USEC);
}
} // namespace

user_rusage make_rusage(const child_usage &u)
{
    user_rusage r{};
    put_time(r.utime, u.utime);
    put_time(r.stime, u.stime);
    r.maxrss = static_cast<s64>(u.maxrss * (PAGE_SIZE / 1024));
    r.min_flt = static_cast<s64>(u.min_flt);
    r.maj_flt = static_cast<s64>(u.maj_flt);
    r.nvcsw = static_cast<s64>(u.nvcsw);
    r.nivcsw = static_cast<s64>(u.nivcsw);
    return r;
}

result<void> sys_getrusage(int who, user_ptr<void> usage)
{
    constexpr int RUSAGE_SELF = 0, RUSAGE_CHILDREN = -1, RUSAGE_THREAD = 1;
    task_struct *t = current();
    account_current();
    child_usage u{};
    switch (who) {
    case RUSAGE_SELF:
        process_usage(t, &u);
        u.maxrss = max(u.maxrss, mm_rss(t->mm));
        break;
    case RUSAGE_CHILDREN:
        children_usage(t, &u);
        break;
    case RUSAGE_THREAD:
        thread_usage(t, &u);
        u.maxrss = mm_rss(t->mm);
        break;
    default:
        return error{EINVAL};
    }
    user_rusage r = make_rusage(u);
    return copy_to_user(usage, &r, sizeof(r));
}
